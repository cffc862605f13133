//! SQLite: runs, their journals, and what the last passed run found.
//!
//! Every write of a run carries its owner's epoch; a process that has lost a run to another cannot write to it. No
//! transaction is held across a remote call.

mod baseline;
mod journal;
mod owner;
mod runs;
mod schema;

pub use journal::{Entry, Phase, Spent};
pub use owner::Owner;
pub use runs::{Ended, NewRun, Run, RunState};
pub use schema::{OpenError, Store};
