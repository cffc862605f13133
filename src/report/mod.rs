//! One model of what a restore test found, and its renderings.

mod model;
mod objectives;
mod text;
mod trace;

pub use model::{Cleanup, PointReport, ResourceReport, RestoreTests, TestReport, VerdictReport, assemble};
pub use objectives::{Rpo, Rto};
pub use text::{table, test as test_as_text};
pub use trace::trace;
