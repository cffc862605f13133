//! What the steps of a runbook do: one file per action.

mod choose_point;
mod copy;
mod point;
mod preflight;
mod restore;
mod source;
mod verify;
mod wait;

pub use copy::{Copy, Difference};
pub use point::{Point, PointType};
pub use verify::Proved;

use crate::runbook::Registry;

/// Every action.
#[must_use]
pub fn registry() -> Registry {
    vec![Box::new(choose_point::ChoosePoint), Box::new(restore::Restore), Box::new(verify::Verify)]
}
