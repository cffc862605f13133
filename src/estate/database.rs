//! Databases: what they are, what was promised for them, and how they are tested.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Objectives;
use super::access::{HostPort, SecretRef, TlsMode};
use super::check::CustomCheck;
use super::timetable::ZonedSchedule;

/// The kinds of database that drctl restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// An RDS instance with MySQL or MariaDB.
    RdsMysql,
    /// An RDS instance with PostgreSQL.
    RdsPostgresql,
    /// An Aurora cluster compatible with MySQL.
    AuroraMysql,
    /// An Aurora cluster compatible with PostgreSQL.
    AuroraPostgresql,
    /// A DocumentDB cluster.
    Documentdb,
}

/// What a database speaks to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL's.
    Postgres,
    /// MySQL's.
    Mysql,
    /// MongoDB's.
    Mongo,
}

impl DatabaseKind {
    /// Every kind with its fixed name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("rds-mysql", Self::RdsMysql),
        ("rds-postgresql", Self::RdsPostgresql),
        ("aurora-mysql", Self::AuroraMysql),
        ("aurora-postgresql", Self::AuroraPostgresql),
        ("documentdb", Self::Documentdb),
    ];

    /// The fixed name, as in the configuration and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RdsMysql => "rds-mysql",
            Self::RdsPostgresql => "rds-postgresql",
            Self::AuroraMysql => "aurora-mysql",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::Documentdb => "documentdb",
        }
    }

    /// Whether AWS keeps it as a cluster with members, rather than as an instance.
    #[must_use]
    pub fn is_cluster(self) -> bool {
        !matches!(self, Self::RdsMysql | Self::RdsPostgresql)
    }

    /// The engine's name in the RDS API, as in `Engine = "docdb"`.
    #[must_use]
    pub fn engine(self) -> &'static str {
        match self {
            Self::RdsMysql => "mysql",
            Self::RdsPostgresql => "postgres",
            Self::AuroraMysql => "aurora-mysql",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::Documentdb => "docdb",
        }
    }

    /// Whether `engine`, as AWS reports it, is of this kind. RDS for MariaDB counts as MySQL.
    #[must_use]
    pub fn matches_engine(self, engine: &str) -> bool {
        engine == self.engine() || (self == Self::RdsMysql && engine == "mariadb")
    }

    /// What its clients speak.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self {
            Self::RdsMysql | Self::AuroraMysql => Protocol::Mysql,
            Self::RdsPostgresql | Self::AuroraPostgresql => Protocol::Postgres,
            Self::Documentdb => Protocol::Mongo,
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One database of the estate.
#[derive(Clone, Debug)]
pub struct Database {
    /// The AWS identifier, and the target's name everywhere in drctl.
    pub id: String,
    /// What it is.
    pub kind: DatabaseKind,
    /// What was promised for it.
    pub objectives: Objectives,
    /// How long backups are promised to be kept.
    pub retention: Option<Duration>,
    /// How it is tested.
    pub test: RestoreTest,
}

/// How one database is restored and proved.
#[derive(Clone, Debug)]
pub struct RestoreTest {
    /// When the daemon tests it; never by itself where absent.
    pub timetable: Option<ZonedSchedule>,
    /// What to restore from.
    pub point: PointChoice,
    /// How far back `random` may reach.
    pub random_window: Duration,
    /// The oldest that a snapshot may be.
    pub max_snapshot_age: Duration,
    /// The copy's instance class; the source's own where absent.
    pub instance_class: Option<String>,
    /// Classes to take instead, in this order, where AWS has no capacity of the first.
    pub instance_classes: Vec<String>,
    /// The copy's parameter group (of a cluster its cluster parameter group); the source's own where absent.
    pub parameter_group: Option<String>,
    /// The copy's option group; the source's own where absent and the quarantine's VPC takes it.
    pub option_group: Option<String>,
    /// How far the copy's Serverless v2 scales; as its source where absent.
    pub capacity: Option<ServerlessV2Scaling>,
    /// The copy's storage type; the source's own where absent.
    pub storage_type: Option<String>,
    /// Provisioned I/O operations per second; the source's own where absent.
    pub iops: Option<i32>,
    /// Provisioned throughput in MiB per second; the source's own where absent.
    pub storage_throughput: Option<i32>,
    /// How long the whole test may take.
    pub deadline: Duration,
    /// How long a proved copy stays.
    pub keep_for: Duration,
    /// The database to connect to. For DocumentDB also the one that is verified.
    pub database: String,
    /// Who connects; the backup's master user where absent.
    pub username: Option<String>,
    /// The password of the snapshot's time. Where absent, a new random one is set on the copy.
    pub password: Option<SecretRef>,
    /// How the connection is encrypted.
    pub tls: TlsMode,
    /// PEM file of the authorities to trust.
    pub ca: Option<PathBuf>,
    /// Reach the copy here instead of at its endpoint.
    pub connect: Option<HostPort>,
    /// The share of rows, from 0 to 1, by which a table may shrink since the last passed run.
    pub row_tolerance: f64,
    /// How much of the content is fingerprinted.
    pub content: ContentMode,
    /// The user's own checks.
    pub checks: Vec<CustomCheck>,
}

/// How much of the content is read and fingerprinted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentMode {
    /// Every row of every table.
    Full,
    /// Only what `fingerprint` checks name; rows are still counted.
    Settled,
}

/// How far Serverless v2 scales, in its capacity units. Without it a cluster takes no `db.serverless` instance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerlessV2Scaling {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// What to restore from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointChoice {
    /// The newest usable snapshot of any type.
    Latest,
    /// The newest usable automated snapshot.
    LatestAutomated,
    /// Any usable snapshot of the window, drawn by lot.
    Random,
    /// The newest moment that point-in-time recovery offers.
    Pitr,
    /// Point-in-time recovery to this moment.
    At(Timestamp),
    /// The snapshot of this id or ARN.
    Snapshot(String),
}

impl PointChoice {
    /// Reads a choice as it stands in the configuration or on the command line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "latest" => Self::Latest,
            "latest-automated" => Self::LatestAutomated,
            "random" => Self::Random,
            "pitr" => Self::Pitr,
            other => other.parse().map_or_else(|_| Self::Snapshot(other.to_owned()), Self::At),
        }
    }
}

impl fmt::Display for PointChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::LatestAutomated => f.write_str("latest-automated"),
            Self::Random => f.write_str("random"),
            Self::Pitr => f.write_str("pitr"),
            Self::At(at) => write!(f, "{at}"),
            Self::Snapshot(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PointChoice;

    #[test]
    fn a_point_is_a_word_a_time_or_a_snapshot() {
        assert_eq!(PointChoice::parse("latest"), PointChoice::Latest);
        assert!(matches!(PointChoice::parse("2026-11-20T08:00:00Z"), PointChoice::At(_)));
        assert_eq!(PointChoice::parse("rds:db-1"), PointChoice::Snapshot("rds:db-1".into()));
    }
}
