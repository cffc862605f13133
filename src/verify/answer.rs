//! What the engines answer, in one shape.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::model::{RelationFacts, Trouble};

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Nobody answered; a later try may go well.
    Unreachable(String),
    /// The certificate does not verify, or TLS is not offered.
    Tls(String),
    /// User or password is wrong.
    Credentials(String),
    /// There is no such database in the copy.
    NoDatabase(String),
    /// Anything else that the server said.
    Other(String),
}

/// What an engine's catalogue holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    /// The server's version.
    pub(super) version: String,
    /// Tables or collections, without counts.
    pub(super) relations: BTreeMap<String, RelationFacts>,
    /// Constraints that were never validated.
    pub(super) unvalidated: Vec<String>,
    /// What is wrong with the catalogue itself, such as an invalid index.
    pub(super) defects: Vec<Trouble>,
    /// What the structure check looks at, in words.
    pub(super) structure_note: String,
}

/// How many rows, and a digest of them where it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scan {
    pub(super) rows: u64,
    pub(super) fingerprint: Option<String>,
}

/// A moment from seconds since 1970, as the engines give it.
pub(super) fn from_epoch(seconds: f64) -> Option<Timestamp> {
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since).ok()
}
