//! The only importer of `aws_sdk_*`: one file per service, plain structs out, one error classifier.
//!
//! Reads are functions. What changes something is a [`Change`]: data that can be previewed before it is applied.

mod change;
mod client;
mod connect;
mod convert;
mod databases;
mod dated;
mod docdb;
mod ec2;
mod error;
mod fence;
mod kms;
mod model;
mod ownership;
mod policy;
mod policy_scope;
mod preview;
mod rds;
mod sandbox_clock;
mod secrets;
mod sendings;
mod session;
mod sns;
mod status;
mod sts;
mod watch;

pub use change::{BackupSource, Change, Restore, RestoreSource};
pub use connect::{Aws, Destination};
pub use ec2::SecurityGroup;
pub use error::{Error, ErrorKind, Result};
pub use fence::LeaseFence;
pub use kms::KeyState;
pub use model::{
    AutomatedBackup, Cluster, Event, Instance, Member, OptionGroup, Orderable, Quota, Resource, ResourceKind, Snapshot,
    Storage, SubnetGroup,
};
pub use ownership::{EXPIRES_TAG, KIND_TAG, NAME_PREFIX, RUN_TAG, TARGET_TAG};
pub use policy::{base_policy, policy};
pub use preview::Call;
pub use rds::Sighting;
pub use sandbox_clock::SandboxNote;
pub(crate) use sandbox_clock::{SANDBOX_HEADER, is_loopback};
pub use secrets::{
    resolve as resolve_secret, resolve_local as resolve_local_secret, resolve_previous as resolve_previous_secret,
};
pub use session::CredentialsLife;
pub use sns::Publish;
pub use status::{Status, judge as judge_status};
pub use sts::Account;
pub use watch::Watcher;
