//! SQLite, or PostgreSQL where several agents share the work: runs, their journals, what the last passed run found, what
//! is due, what is wrong, and what people are still to be told.
//!
//! Every write of a run carries its owner's epoch; a process that has lost a run to another cannot write to it. No
//! transaction is held across a remote call.

mod alert;
mod baseline;
mod history;
mod jobs;
mod journal;
mod lease;
mod outbox;
mod owner;
mod runs;
mod schema;
mod scope;
mod state;

pub use alert::{Alert, AlertCheck};
pub use history::{Counted, LastRun};
pub use jobs::{Claimed, DueJob, Job, PlannedJob};
pub use journal::{Entry, Phase, Spent};
pub use lease::Lease;
pub use outbox::{Outgoing, Sendable, Sent};
pub use owner::{DaemonLock, Owner};
pub use runs::{Before, Ended, NewRun, NotWritten, Run, Tell, Told};
pub use schema::{OpenError, Store};
pub use scope::Scope;
pub use state::RunState;
