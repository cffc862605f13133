//! The only importer of `aws_sdk_*`: one file per service, plain structs out, one error classifier.
//!
//! Reads are functions. What changes something is a [`Change`]: data that can be previewed before it is applied.

mod backups;
mod change;
mod connect;
mod convert;
mod databases;
mod dated;
mod docdb;
mod ec2;
mod error;
mod fence;
mod groups;
mod inspect;
mod listing;
mod model;
mod preview;
mod rds;
mod restore;
mod secrets;
mod sendings;
mod session;
mod sns;
mod status;
mod sts;
mod watch;

pub use change::{BackupSource, Change, Restore, RestoreSource};
pub use connect::{Aws, Destination, SandboxNote};
pub(crate) use connect::{SANDBOX_HEADER, is_loopback};
pub use ec2::SecurityGroup;
pub use error::{Error, ErrorKind, Result};
pub use fence::LeaseFence;
pub use inspect::Sighting;
pub use model::{
    AutomatedBackup, Cluster, Event, Instance, Member, OptionGroup, Orderable, Quota, Resource, ResourceKind, Snapshot,
    Storage, SubnetGroup,
};
pub use preview::Call;
pub use secrets::{
    resolve as resolve_secret, resolve_local as resolve_local_secret, resolve_previous as resolve_previous_secret,
};
pub use session::CredentialsLife;
pub use sns::Publish;
pub use status::{Status, judge as judge_status};
pub use sts::{Account, KeyState};
pub use watch::Watcher;
