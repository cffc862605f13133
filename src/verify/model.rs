//! What verification is asked, and what it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::estate::{ContentMode, CustomCheck, HostPort, Protocol, TlsMode};

/// How to reach and enter a restored copy.
#[derive(Clone)]
pub struct ConnectionSettings {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub address: HostPort,
    /// How the connection is encrypted.
    pub tls: TlsMode,
    /// Whether the address is a tunnel's: the certificate's name is then another one than the address.
    pub tunnelled: bool,
    /// The name that the certificate has to be good for: the copy's own, whatever the address is.
    pub certificate_name: String,
    /// PEM file of the authorities to trust.
    pub ca: Option<PathBuf>,
    /// Who connects.
    pub username: String,
    /// With what.
    pub password: SecretString,
    /// To which database.
    pub database: String,
    /// Whether the password was set a moment ago, so that it may still be refused for a while.
    pub fresh_password: bool,
    /// Told the name of every command that is sent to DocumentDB.
    pub on_command: Option<CommandListener>,
}

/// Told the name of a command.
pub type CommandListener = Arc<dyn Fn(&str) + Send + Sync>;

impl fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?} {}@{}/{})", self.protocol, self.username, self.address, self.database)
    }
}

/// What to look at, and what to compare it with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The moment that the data is of.
    pub point: Timestamp,
    /// What the last passed run found.
    pub baseline: Option<Baseline>,
    /// The restore point's identity, to know the same one again.
    pub point_id: String,
    /// The share of rows by which a table may shrink.
    pub row_tolerance: f64,
    /// How much is fingerprinted.
    pub content: ContentMode,
    /// The user's own checks.
    pub checks: Vec<CustomCheck>,
    /// A collection with more documents than this is read in ranges, by several readers.
    pub large_rows: u64,
    /// Connections that read at the same time.
    pub connections: usize,
    /// The longest that one statement, and all of them together, may take. What is not answered by then is unknown.
    pub deadline: Duration,
}

impl Plan {
    /// Where reading in ranges pays.
    pub const LARGE_ROWS: u64 = 1_000_000;
    /// As many connections as a copy is read over.
    pub const CONNECTIONS: usize = 4;
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As expected.
    Passed,
    /// It could not be told.
    Unknown,
    /// Not as expected.
    Failed,
}

impl Outcome {
    /// The fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// TLS and credentials.
    Connect,
    /// Tables, columns and indexes.
    Catalog,
    /// Counts.
    Rows,
    /// Pages and indexes.
    Structure,
    /// The newest row.
    Freshness,
    /// Fingerprints.
    Content,
    /// The user's own question.
    Query,
}

/// A check's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What it looked at.
    pub kind: CheckKind,
    /// How it ended.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// How long it took.
    pub seconds: f64,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The restore point's time less the newest row's, where the check has found that row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_loss_seconds: Option<f64>,
}

/// One table, materialised view or collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RelationFacts {
    /// Columns with their types, in order; none for collections.
    pub columns: Vec<String>,
    /// Indexes with their definitions, sorted.
    pub indexes: Vec<String>,
    /// What expires by itself, where anything may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiring: Option<Expiring>,
    /// How many rows there are, besides those that can expire.
    pub rows: Option<u64>,
    /// A digest of these rows' content.
    pub fingerprint: Option<String>,
}

/// Rows that may be gone the next time, and were not lost then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expiring {
    /// The fields by which they expire: those of TTL indexes.
    pub fields: Vec<String>,
    /// How many rows hold a date in one of them. The others never expire.
    pub rows: u64,
}

/// The rows that were settled at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettledFacts {
    /// Rows older than this.
    pub before: Timestamp,
    /// How many.
    pub rows: u64,
    /// A digest of their content.
    pub fingerprint: String,
}

/// What a run found; the next one is compared with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The restore point that it was found in.
    pub point_id: String,
    /// The moment that the point is of.
    #[serde(default)]
    pub point_at: Timestamp,
    /// The server's version: fingerprints are compared only within one.
    pub version: String,
    /// By name.
    pub relations: BTreeMap<String, RelationFacts>,
    /// By the check's name.
    pub settled: BTreeMap<String, SettledFacts>,
    /// Constraints that were never validated.
    pub unvalidated: Vec<String>,
}

/// Everything that verification found.
#[derive(Clone, Debug)]
pub struct Verification {
    /// In the order of the report.
    pub checks: Vec<Check>,
    /// To compare the next run with; absent where an older point was proved than the last time.
    pub facts: Option<Baseline>,
    /// Whether the server refused user or password, so that another password may do.
    pub credentials_refused: bool,
}

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeError {
    /// The data is damaged, or the server fell over it.
    Damage(String),
    /// The question could not be asked.
    Unable(String),
    /// The connection broke while the question was asked.
    Lost,
}

/// What is said of a question over which the server broke the connection twice.
pub(super) const BROKE_TWICE: &str = "the server broke the connection twice while it read this";
const BROKE: &str = "the connection broke, and there is no new one";

impl ProbeError {
    /// The check's outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Damage(_) => Outcome::Failed,
            Self::Unable(_) | Self::Lost => Outcome::Unknown,
        }
    }

    /// What to show.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Damage(message) | Self::Unable(message) => message,
            Self::Lost => BROKE,
        }
    }
}
