//! One model of what a restore test found, and its renderings.

mod model;
mod objectives;
mod text;
mod trace;

pub use model::{Cleanup, KeptReport, PointReport, ResourceReport, RestoreTests, TestReport, VerdictReport, assemble};
pub use objectives::{Rpo, Rto};
pub use text::{Detail, columns, table, test as test_as_text};
pub use trace::trace;
