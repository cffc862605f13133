//! Calls that change something, as data: previewed by a dry run, applied by a run.

use jiff::Timestamp;
use secrecy::SecretString;

use super::model::{Resource, Storage};
use crate::estate::{DatabaseKind, ServerlessV2Scaling, Tags};

/// Whose backups a point in time is restored from.
#[derive(Clone, Debug)]
pub enum BackupSource {
    /// An instance or cluster that exists.
    Existing(String),
    /// One that is gone, by the identifier that its automated backups have kept.
    Retained {
        /// `db-...` or `cluster-...`.
        resource_id: String,
    },
}

/// What a copy is made from.
#[derive(Clone, Debug)]
pub enum RestoreSource {
    /// A snapshot, by id or ARN.
    Snapshot(String),
    /// The backups of `source`, at a moment; the newest restorable one where absent.
    PointInTime {
        /// The instance or cluster, or what is left of it.
        source: BackupSource,
        /// The moment.
        at: Option<Timestamp>,
    },
}

impl Default for RestoreSource {
    fn default() -> Self {
        Self::Snapshot(String::new())
    }
}

/// A restore, with every setting that AWS would otherwise default.
#[derive(Clone, Debug, Default)]
pub struct Restore {
    /// The copy's identifier.
    pub id: String,
    /// What it is made from.
    pub source: RestoreSource,
    /// The engine, as AWS names it.
    pub engine: String,
    /// The snapshot's own version; the Region's default would be taken otherwise.
    pub engine_version: Option<String>,
    /// The class of an instance; a cluster has none.
    pub class: Option<String>,
    /// The quarantine's subnet group.
    pub subnet_group: Option<String>,
    /// The quarantine's security groups.
    pub security_groups: Vec<String>,
    /// The source's parameter group.
    pub parameter_group: Option<String>,
    /// An option group that the quarantine's VPC takes; only instances have one.
    pub option_group: Option<String>,
    /// The source's storage.
    pub storage: Storage,
    /// Whether the source is enrolled in Extended Support, as AWS words it. Copies are enrolled as their source is: without
    /// it AWS would restore an old major version as a newer one, and another engine than the backup's be proved. MariaDB and
    /// DocumentDB have no such thing.
    pub lifecycle: Option<String>,
    /// How far the source's Serverless v2 scales.
    pub capacity: Option<ServerlessV2Scaling>,
    /// Tags; without any, AWS copies the source's.
    pub tags: Tags,
}

/// One call that changes something.
#[derive(Clone, Debug)]
pub enum Change {
    /// Restore an instance or a cluster.
    Restore {
        /// The target's kind: decides the service and the operation.
        kind: DatabaseKind,
        /// The details.
        restore: Box<Restore>,
    },
    /// Give a restored cluster an instance, without which nobody can connect.
    AddMember {
        /// The target's kind.
        kind: DatabaseKind,
        /// The instance's identifier.
        id: String,
        /// The cluster.
        cluster: String,
        /// The instance class.
        class: String,
        /// The engine, as AWS names it.
        engine: String,
        /// The parameter group of the source's writer. DocumentDB's instances have none of their own.
        parameter_group: Option<String>,
        /// Tags.
        tags: Tags,
    },
    /// Set the master password.
    SetPassword {
        /// The target's kind.
        kind: DatabaseKind,
        /// The instance or cluster.
        id: String,
        /// The new password.
        password: SecretString,
    },
    /// Take tags away, so that drctl no longer takes something for its own.
    Untag {
        /// The instance or cluster.
        arn: String,
        /// The tags' keys.
        keys: Vec<String>,
    },
    /// Remove something that drctl made.
    Delete {
        /// The target's kind.
        kind: DatabaseKind,
        /// What to remove.
        resource: Resource,
    },
}

impl Change {
    /// What it does, for logs.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Restore { .. } => "restore",
            Self::AddMember { .. } => "add-member",
            Self::SetPassword { .. } => "set-password",
            Self::Untag { .. } => "untag",
            Self::Delete { .. } => "delete",
        }
    }
}
