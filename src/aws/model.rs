//! What AWS tells, as plain structs. Absent stays absent: what AWS did not say is unknown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::estate::{HostPort, ServerlessV2Scaling, Tags};

/// The kinds of thing that drctl makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// An RDS instance, or a member of a cluster.
    DbInstance,
    /// An Aurora or DocumentDB cluster.
    DbCluster,
}

impl ResourceKind {
    /// The name as in reports and as `aws rds ... --source-type` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DbInstance => "db-instance",
            Self::DbCluster => "db-cluster",
        }
    }
}

/// A thing that drctl made or means to make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// Its identifier.
    pub id: String,
    /// Where it is.
    pub region: String,
}

impl Resource {
    /// The command that removes it by hand.
    #[must_use]
    pub fn removal_command(&self) -> String {
        let (verb, option) = match self.kind {
            ResourceKind::DbInstance => ("delete-db-instance", "--db-instance-identifier"),
            ResourceKind::DbCluster => ("delete-db-cluster", "--db-cluster-identifier"),
        };
        format!("aws rds {verb} {option} {} --skip-final-snapshot --region {}", self.id, self.region)
    }

    /// The command that turns deletion protection off by hand; a deletion works only after it.
    #[must_use]
    pub fn unprotect_command(&self) -> String {
        self.modify_command("--no-deletion-protection")
    }

    /// The command that sets the master user's password by hand.
    #[must_use]
    pub fn set_password_command(&self) -> String {
        self.modify_command("--master-user-password ...")
    }

    /// The command that changes what `options` name.
    #[must_use]
    pub fn modify_command(&self, options: &str) -> String {
        let (verb, option) = match self.kind {
            ResourceKind::DbInstance => ("modify-db-instance", "--db-instance-identifier"),
            ResourceKind::DbCluster => ("modify-db-cluster", "--db-cluster-identifier"),
        };
        let Self { id, region, .. } = self;
        format!("aws rds {verb} {option} {id} {options} --apply-immediately --region {region}")
    }
}

/// What a database's storage is, as AWS names it. Absent is what AWS did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// `gp3`, `io2`, `aurora-iopt1`, `iopt1`, ...; AWS leaves out a cluster's where it is the standard one.
    pub kind: Option<String>,
    /// Provisioned I/O operations per second.
    pub iops: Option<i32>,
    /// Provisioned throughput in MiB per second.
    pub throughput: Option<i32>,
    /// Allocated GiB; clusters grow by themselves and say 1.
    pub allocated_gib: Option<i32>,
}

/// An instance.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// Identifier.
    pub id: String,
    /// When AWS described it, by AWS's clock; only where it was asked for by name.
    pub described_at: Option<Timestamp>,
    /// The identifier that never changes, `db-...`: it names retained backups once the instance is gone.
    pub resource_id: Option<String>,
    /// The master user.
    pub master_username: Option<String>,
    /// Its option groups.
    pub option_groups: Vec<String>,
    /// Its storage.
    pub storage: Storage,
    /// ARN.
    pub arn: String,
    /// Status, such as `available`.
    pub status: String,
    /// Engine, such as `postgres`.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// Instance class.
    pub class: String,
    /// The cluster that it is a member of.
    pub cluster: Option<String>,
    /// Where clients connect, once there is such a place.
    pub endpoint: Option<HostPort>,
    /// Its own parameter group.
    pub parameter_group: Option<String>,
    /// Whether it is enrolled in Extended Support, such as `open-source-rds-extended-support`.
    pub lifecycle: Option<String>,
    /// Whether a standby exists.
    pub multi_az: Option<bool>,
    /// Whether storage is encrypted.
    pub encrypted: Option<bool>,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// Whether IAM authentication is on.
    pub iam_authentication: Option<bool>,
    /// Logs that go to CloudWatch.
    pub log_exports: Vec<String>,
    /// Whether deletion protection is on.
    pub deletion_protection: Option<bool>,
    /// Whether it can be reached from the internet.
    pub publicly_accessible: Option<bool>,
    /// Days that automated backups are kept.
    pub backup_retention_days: Option<i32>,
    /// The newest moment that PITR reaches.
    pub latest_restorable: Option<Timestamp>,
    /// Whether a password change is still to come.
    pub password_pending: bool,
    /// `Initializing` while blocks are still being loaded from S3.
    pub storage_operation: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// A member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The instance.
    pub id: String,
    /// Whether it takes writes.
    pub is_writer: bool,
}

/// A cluster.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Identifier.
    pub id: String,
    /// When AWS described it, by AWS's clock; only where it was asked for by name.
    pub described_at: Option<Timestamp>,
    /// The identifier that never changes, `cluster-...`.
    pub resource_id: Option<String>,
    /// The master user.
    pub master_username: Option<String>,
    /// Its storage.
    pub storage: Storage,
    /// The class of its instances, which only a Multi-AZ DB cluster has.
    pub instance_class: Option<String>,
    /// `provisioned`, or `serverless` for Aurora Serverless v1.
    pub engine_mode: Option<String>,
    /// Whether it can be reached from the internet; Aurora and DocumentDB do not say.
    pub publicly_accessible: Option<bool>,
    /// Days that automated backups are kept.
    pub backup_retention_days: Option<i32>,
    /// The oldest moment that PITR reaches.
    pub earliest_restorable: Option<Timestamp>,
    /// ARN.
    pub arn: String,
    /// Status, such as `available`.
    pub status: String,
    /// Engine, such as `aurora-postgresql`.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// The writer's endpoint.
    pub endpoint: Option<HostPort>,
    /// Members; none straight after a restore.
    pub members: Vec<Member>,
    /// Cluster parameter group.
    pub parameter_group: Option<String>,
    /// Whether it is enrolled in Extended Support, such as `open-source-rds-extended-support`.
    pub lifecycle: Option<String>,
    /// Whether members stand in several zones.
    pub multi_az: Option<bool>,
    /// Whether storage is encrypted.
    pub encrypted: Option<bool>,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// Whether IAM authentication is on.
    pub iam_authentication: Option<bool>,
    /// Logs that go to CloudWatch.
    pub log_exports: Vec<String>,
    /// Whether deletion protection is on.
    pub deletion_protection: Option<bool>,
    /// The newest moment that PITR reaches; absent while the cluster itself is restoring.
    pub latest_restorable: Option<Timestamp>,
    /// How far Serverless v2 scales, where it is used.
    pub capacity: Option<ServerlessV2Scaling>,
    /// Whether a password change is still to come.
    pub password_pending: bool,
    /// Tags.
    pub tags: Tags,
}

/// A snapshot of an instance or a cluster.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Identifier; a shared one is named by its ARN.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// What it is a snapshot of.
    pub source: String,
    /// Only `available` is usable.
    pub status: String,
    /// `automated`, `manual`, `awsbackup`, `shared`.
    pub snapshot_type: String,
    /// Engine.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// When this snapshot was made; changes when it is copied.
    pub created_at: Option<Timestamp>,
    /// When the first of its line was made.
    pub original_created_at: Option<Timestamp>,
    /// The time of the last transaction in it.
    pub database_time: Option<Timestamp>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// How much of it is there.
    pub percent: Option<i32>,
    /// The cluster snapshot that it was copied from.
    pub copied_from: Option<String>,
    /// The master user of its time.
    pub master_username: Option<String>,
    /// The option group of its time.
    pub option_group: Option<String>,
    /// The storage of its time.
    pub storage: Storage,
    /// `provisioned`, or `serverless` for Aurora Serverless v1.
    pub engine_mode: Option<String>,
}

impl Snapshot {
    /// The moment that the data in it is of. A copied cluster snapshot only tells when it was copied: unknown.
    #[must_use]
    pub fn taken_at(&self) -> Option<Timestamp> {
        self.database_time.or(self.original_created_at).or(self.created_at.filter(|_| self.copied_from.is_none()))
    }

    /// The account that it belongs to, as its ARN names it.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|account| !account.is_empty())
    }

    /// Whether it can be restored now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.status == "available"
    }
}

/// Something that AWS says has happened to a resource.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Option<Timestamp>,
    /// What.
    pub message: String,
}

/// An account quota of RDS.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Such as `DBInstances`.
    pub name: String,
    /// In use.
    pub used: i64,
    /// Allowed.
    pub max: i64,
}

/// Automated backups of an instance or a cluster, which may outlive it.
#[derive(Clone, Debug, Default)]
pub struct AutomatedBackup {
    /// What it is of.
    pub source: String,
    /// The identifier of the source that never changes: a restore names it.
    pub resource_id: String,
    /// `active`, `retained` once the source is gone, `creating`.
    pub status: String,
    /// The oldest moment that it reaches.
    pub earliest: Option<Timestamp>,
    /// The newest moment that it reaches.
    pub latest: Option<Timestamp>,
    /// Engine.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// The master user.
    pub master_username: Option<String>,
    /// The option group.
    pub option_group: Option<String>,
    /// The storage.
    pub storage: Storage,
    /// `provisioned`, or `serverless` for Aurora Serverless v1.
    pub engine_mode: Option<String>,
}

/// A DB subnet group.
#[derive(Clone, Debug, Default)]
pub struct SubnetGroup {
    /// `Complete`.
    pub status: String,
    /// The VPC that its subnets are in.
    pub vpc: Option<String>,
    /// Zones of its subnets.
    pub zones: Vec<String>,
}

/// An option group.
#[derive(Clone, Debug, Default)]
pub struct OptionGroup {
    /// The VPC that it is bound to; none where it holds nothing that belongs to a network.
    pub vpc: Option<String>,
    /// The engine that it is for.
    pub engine: String,
    /// That engine's major version.
    pub major_version: String,
    /// The options in it.
    pub options: Vec<String>,
}

/// One way in which an instance class can be ordered.
#[derive(Clone, Debug, Default)]
pub struct Orderable {
    /// The class.
    pub class: String,
    /// The storage type.
    pub storage: Option<String>,
    /// The zones that offer it.
    pub zones: Vec<String>,
}
