//! SQLite, or PostgreSQL where several agents share the work: runs, their journals, what the last passed run found, what
//! is due, what is wrong, and what people are still to be told.
//!
//! Every write of a run carries its owner's epoch; a process that has lost a run to another cannot write to it. No
//! transaction is held across a remote call.

mod alert;
mod baseline;
mod connection;
mod jobs;
mod journal;
mod lease;
mod metrics_queries;
mod migrate;
mod open_error;
mod outbox;
mod owner;
mod postgres_url;
mod private_file;
mod run_state;
mod runs;
mod scope;
mod time_limit;

pub use alert::{Alert, AlertCheck};
pub use connection::Store;
pub use jobs::{Claimed, DueJob, Job, PlannedJob};
pub use journal::{Entry, Phase, Spent};
pub use lease::Lease;
pub use metrics_queries::{Counted, LastRun};
pub use open_error::{OpenError, STATE_IS_AWAY, is_away};
pub use outbox::{ClaimedMessage, DeliveryOutcome, OutboxMessage};
pub use owner::{DaemonLock, Owner};
pub use run_state::RunState;
pub use runs::{AlertTransition, AlertsBefore, DecideTransition, Ended, NewRun, NotWritten, Run};
pub use scope::Scope;
