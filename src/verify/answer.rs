//! What the engines answer, in one shape.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::model::{ProbeError, RelationFacts};

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) enum ConnectError {
    /// Nobody answered; a later try may go well.
    Unreachable(String),
    /// The certificate does not verify, or TLS is not offered.
    Tls(String),
    /// The certificate verifies, but is of another server.
    WrongName(String),
    /// The file with the authorities cannot be used.
    Authorities(String),
    /// User or password is wrong.
    Credentials(String),
    /// The user may not look at what has to be looked at; the message names the right.
    Rights(String),
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
    /// In how many parts a relation is read; one where it is absent.
    pub(super) parts: BTreeMap<String, usize>,
    /// What can be asked, but holds nothing of its own.
    pub(super) views: Vec<String>,
    /// The address or name that the server gives itself, where it does.
    pub(super) server: Option<String>,
    /// Constraints that were never validated.
    pub(super) unvalidated: Vec<String>,
    /// What is wrong with the catalogue itself, such as an invalid index.
    pub(super) defects: Vec<ProbeError>,
    /// What the structure check looks at, in words.
    pub(super) structure_note: String,
}

/// How many rows, and a digest of them where it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scan {
    pub(super) rows: u64,
    pub(super) digest: Option<Digest>,
}

/// A sum over all rows, so that neither order nor parallel readers matter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Digest {
    /// How each row was hashed: digests are compared only within one method.
    pub(super) method: String,
    /// The sum of the rows' hashes; it wraps around.
    pub(super) sum: i128,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method, self.sum)
    }
}

impl Scan {
    /// Two parts of one relation taken together.
    pub(super) fn merge(self, other: Self) -> Self {
        let digest = match (self.digest, other.digest) {
            // A part without rows says nothing about the method.
            (digest, _) if other.rows == 0 => digest,
            (_, digest) if self.rows == 0 => digest,
            (Some(one), Some(two)) if one.method == two.method => {
                Some(Digest { sum: one.sum.wrapping_add(two.sum), method: one.method })
            }
            _ => None,
        };
        Self { rows: self.rows + other.rows, digest }
    }
}

/// The first value of the first row that a question yields.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum First {
    /// There is no row.
    NoRow,
    /// There is a row, and its first value is null.
    Null,
    /// The value as text.
    Value(String),
    /// A field of the first document: its name, and its value as text, which is absent where it is null.
    Field(String, Option<String>),
}

/// A moment from seconds since 1970, as the engines give it.
pub(super) fn from_epoch(seconds: f64) -> Option<Timestamp> {
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(rows: u64, method: &str, sum: i128) -> Scan {
        Scan { rows, digest: Some(Digest { method: method.to_owned(), sum }) }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        assert_eq!(scan(2, "a", 5).merge(scan(3, "a", -7)), scan(5, "a", -2));
        assert_eq!(scan(0, "a", 0).merge(scan(3, "b", 7)), scan(3, "b", 7));
        assert_eq!(scan(3, "b", 7).merge(scan(0, "a", 0)), scan(3, "b", 7));
        assert_eq!(scan(1, "a", 1).merge(scan(1, "b", 1)).digest, None);
    }
}
