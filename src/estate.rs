//! What drctl is told about: targets, their objectives, and how each is tested. Plain data, valid by construction.
//!
//! [`crate::config`] makes an [`Estate`] from the file as written; nothing here does I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

/// Everything that one `drctl.toml` describes.
#[derive(Clone, Debug)]
pub struct Estate {
    /// The estate's name, shown in every report.
    pub name: String,
    /// Such as `prod`.
    pub environment: String,
    /// The AWS Region of the sources, and of the copies.
    pub region: String,
    /// The Region that backups are copied to.
    pub backup_region: Option<String>,
    /// A role to assume before anything else.
    pub role_arn: Option<String>,
    /// What the estate as a whole was promised.
    pub objectives: Objectives,
    /// Where runs and their journals are kept.
    pub state: StateLocation,
    /// Where restored copies live.
    pub quarantine: Quarantine,
    /// The databases to prove.
    pub databases: Vec<Database>,
}

impl Estate {
    /// The database of this name.
    #[must_use]
    pub fn database(&self, id: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.id == id)
    }
}

/// The promised time to recover, and the promised bound on lost data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objectives {
    /// Recovery time objective.
    pub rto: Duration,
    /// Recovery point objective.
    pub rpo: Duration,
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// A SQLite file, relative to the directory of the configuration.
    Sqlite(PathBuf),
}

/// The network that restored copies are put in.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    /// A DB subnet group that exists already.
    pub subnet_group: Option<String>,
    /// VPC security groups by id.
    pub security_groups: Vec<String>,
    /// Whether a copy may be put in the account's default network.
    pub allow_default_network: bool,
}

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
    /// When, as written.
    pub schedule: Option<String>,
    /// The IANA time zone of the schedule.
    pub timezone: String,
    /// What to restore from.
    pub point: PointChoice,
    /// How far back `random` may reach.
    pub random_window: Duration,
    /// The oldest that a snapshot may be.
    pub max_snapshot_age: Duration,
    /// The copy's instance class; the source's own where absent.
    pub instance_class: Option<String>,
    /// How long the whole test may take.
    pub deadline: Duration,
    /// How long a proved copy stays.
    pub keep_for: Duration,
    /// The database to connect to. For DocumentDB also the one that is verified.
    pub database: String,
    /// Who connects.
    pub username: String,
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

/// Where a secret is kept. The secret itself never enters the estate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a trailing newline is not part of the secret.
    File(PathBuf),
    /// AWS Secrets Manager, by name or ARN, with an optional JSON key after `#`.
    SecretsManager {
        /// Name or ARN.
        id: String,
        /// The key inside a JSON secret; `password` where absent.
        key: Option<String>,
    },
}

impl SecretRef {
    /// Reads `env:NAME`, `file:PATH` or `secretsmanager:ID[#KEY]`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if rest.is_empty() {
            return None;
        }
        match scheme {
            "env" => Some(Self::Env(rest.to_owned())),
            "file" => Some(Self::File(rest.into())),
            "secretsmanager" => {
                let (id, key) = rest.split_once('#').map_or((rest, None), |(id, key)| (id, Some(key.to_owned())));
                Some(Self::SecretsManager { id: id.to_owned(), key })
            }
            _ => None,
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::SecretsManager { id, key: None } => write!(f, "secretsmanager:{id}"),
            Self::SecretsManager { id, key: Some(key) } => write!(f, "secretsmanager:{id}#{key}"),
        }
    }
}

/// How a connection is encrypted and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Encrypted; chain and name verified.
    VerifyFull,
    /// Encrypted; nothing verified.
    Require,
    /// In the clear.
    Off,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(())?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A check that the user wrote.
#[derive(Clone, Debug)]
pub struct CustomCheck {
    /// Its name in the report.
    pub name: String,
    /// What it looks at.
    pub probe: Probe,
}

/// What a user's check looks at.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A read-only statement whose first column of the first row is judged.
    Sql {
        /// The statement.
        sql: String,
        /// What it must yield.
        expect: Expectation,
    },
    /// An aggregation whose first value of the first document is judged.
    Aggregate {
        /// The collection.
        collection: String,
        /// The pipeline, as JSON.
        pipeline: Vec<serde_json::Value>,
        /// What it must yield.
        expect: Expectation,
    },
    /// The newest value of a time column must be near the restore point.
    Newest {
        /// Table or collection.
        relation: String,
        /// Column or field.
        column: String,
        /// How far before the restore point it may lie.
        within: Duration,
    },
    /// Rows older than `settled_after` no longer change: their fingerprint must stay as it was.
    Settled {
        /// Table or collection.
        relation: String,
        /// The column that tells a row's age.
        column: String,
        /// The age from which rows no longer change.
        settled_after: Duration,
    },
}

/// What a query must yield.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// No row.
    Empty,
    /// At least one row.
    NotEmpty,
    /// A comparison of the first value with a number.
    Number(Comparison, f64),
    /// The first value as text.
    Text(String),
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

impl Comparison {
    const ALL: [(&'static str, Self); 7] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("?", |(sign, _)| sign)
    }
}

impl Expectation {
    /// Reads `empty`, `not empty`, `>= 1`, `== 0`, or a literal text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text {
            "" => return None,
            "empty" => return Some(Self::Empty),
            "not empty" => return Some(Self::NotEmpty),
            _ => {}
        }
        for (sign, comparison) in Comparison::ALL {
            if let Some(rest) = text.strip_prefix(sign) {
                let number: f64 = rest.trim().parse().ok()?;
                return number.is_finite().then_some(Self::Number(comparison, number));
            }
        }
        Some(text.parse::<f64>().map_or_else(
            |_| Self::Text(text.trim_matches('\'').to_owned()),
            |number| Self::Number(Comparison::Equal, number),
        ))
    }

    /// Whether the first value of the first row (`None` where there was no row) is as expected.
    #[must_use]
    pub fn holds(&self, first: Option<&str>) -> bool {
        match (self, first) {
            (Self::Empty, first) => first.is_none(),
            (Self::NotEmpty, first) => first.is_some(),
            (_, None) => false,
            (Self::Text(text), Some(first)) => first == text,
            (Self::Number(comparison, number), Some(first)) => {
                let Ok(value) = first.trim().parse::<f64>() else { return false };
                match comparison {
                    Comparison::Less => value < *number,
                    Comparison::AtMost => value <= *number,
                    Comparison::Equal => (value - number).abs() < f64::EPSILON * number.abs().max(1.0),
                    Comparison::Unequal => (value - number).abs() >= f64::EPSILON * number.abs().max(1.0),
                    Comparison::AtLeast => value >= *number,
                    Comparison::More => value > *number,
                }
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no row"),
            Self::NotEmpty => f.write_str("at least one row"),
            Self::Number(comparison, number) => write!(f, "{} {number}", comparison.sign()),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// Tags, sorted by key.
pub type Tags = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_word_a_time_or_a_snapshot() {
        assert_eq!(PointChoice::parse("latest"), PointChoice::Latest);
        assert!(matches!(PointChoice::parse("2026-11-20T08:00:00Z"), PointChoice::At(_)));
        assert_eq!(PointChoice::parse("rds:db-1"), PointChoice::Snapshot("rds:db-1".into()));
    }

    #[test]
    fn expectations_judge_the_first_value() {
        let holds = |text: &str, value| Expectation::parse(text).unwrap().holds(value);
        assert!(holds(">= 1", Some("1")) && !holds(">= 1", Some("0")) && !holds(">= 1", None));
        assert!(holds("empty", None) && !holds("empty", Some("3")));
        assert!(holds("not empty", Some("")) && !holds("not empty", None));
        assert!(holds("== 0", Some("0")) && holds("0", Some("0.0")) && !holds("0", Some("x")));
        assert!(holds("'ok'", Some("ok")) && !holds("ok", Some("no")));
        assert_eq!(Expectation::parse(">= many"), None);
    }

    #[test]
    fn a_secret_is_named_never_given() {
        assert!(SecretRef::parse("hunter2").is_none() && SecretRef::parse("env:").is_none());
        let reference = SecretRef::parse("secretsmanager:a/b#password").unwrap();
        assert_eq!(reference.to_string(), "secretsmanager:a/b#password");
    }

    #[test]
    fn a_host_and_port() {
        assert_eq!(HostPort::parse("[::1]:5432").unwrap().host, "::1");
        assert!(HostPort::parse("localhost").is_none() && HostPort::parse(":1").is_none());
    }
}
