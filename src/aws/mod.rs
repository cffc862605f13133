//! The only importer of `aws_sdk_*`: one file per service, plain structs out, one error classifier.
//!
//! Reads are functions. What changes something is a [`Change`]: data that can be shown before it is applied.

mod account;
mod change;
mod connect;
mod convert;
mod databases;
mod docdb;
mod error;
mod guard;
mod listing;
mod model;
mod rds;
mod secrets;
mod session;
mod sns;
mod status;
mod watch;

pub use account::{Account, KeyState};
pub use change::{Call, Change, Restore, RestoreSource};
pub use connect::{Aws, Destination, SandboxNote};
pub(crate) use connect::{SANDBOX_HEADER, is_loopback};
pub use error::{Error, Kind, Result};
pub use guard::Guard;
pub use model::{Capacity, Cluster, Event, Instance, Member, Quota, Resource, ResourceKind, Snapshot};
pub use secrets::{resolve as resolve_secret, resolve_local as resolve_local_secret};
pub use session::CredentialsLife;
pub use sns::Publish;
pub use status::{Status, judge as judge_status};
pub use watch::Watcher;
