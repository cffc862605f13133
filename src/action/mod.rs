//! What the steps of a runbook do: one file per action.

mod choose_point;
mod copy;
mod cost;
mod examine;
mod exposure;
mod finding;
mod network;
mod plan;
mod point;
mod preflight;
mod promises;
mod recoverable;
mod restore;
mod source;
mod unsupported;
mod verify;
mod wait;
mod wanted;

pub use copy::{Copy, Difference};
pub(crate) use examine::{examine, source_endpoint};
pub use finding::Finding;
pub use point::{Point, PointType, Promise};
pub(crate) use preflight::of_estate as examine_estate;
pub use source::SourceSettings;
pub use verify::VerifyOutput;

use crate::runbook::Registry;

/// Every action.
#[must_use]
pub fn registry() -> Registry {
    vec![Box::new(choose_point::ChoosePoint), Box::new(restore::Restore), Box::new(verify::Verify)]
}
