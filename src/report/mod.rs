//! One model of what a restore test found, and its renderings.

mod model;
mod text;
mod trace;

pub use model::{Cleanup, PointReport, ResourceReport, RestoreTests, Rpo, Rto, TestReport, VerdictReport, assemble};
pub use text::{table, test as test_as_text};
pub use trace::trace;
