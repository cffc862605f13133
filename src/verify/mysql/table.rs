//! A table, as its catalogue tells it.

use super::super::answer::ConnectError;
use super::super::budget::{Budget, TOO_LARGE};
use super::super::identifier;
use super::digest::Column;

/// A table as its questions need it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) parts: u64,
    /// The first column of the primary key, where it is an integer, and its least and greatest value.
    pub(super) key: Option<(String, i128, i128)>,
    /// Why it is not read, if it is not.
    pub(super) elsewhere: Option<String>,
}

impl Table {
    /// How SQL names it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", identifier::mysql(&self.schema), identifier::mysql(&self.name))
    }

    /// The keys of one part; the last part has no end, and the first no beginning.
    pub(super) fn range(&self, part: usize) -> String {
        let Some((key, least, greatest)) = self.key.as_ref().filter(|_| self.parts > 1) else { return String::new() };
        let (part, parts, key) = (part as u64, self.parts, identifier::mysql(key));
        let bound = |part: u64| least + (greatest - least) * i128::from(part) / i128::from(parts);
        let from = (part > 0).then(|| format!("{key} >= {}", bound(part)));
        let to = (part + 1 < parts).then(|| format!("{key} < {}", bound(part + 1)));
        let both: Vec<String> = from.into_iter().chain(to).collect();
        format!("force index (primary) where {}", both.join(" and "))
    }
}

/// Takes `bytes` from what may be kept.
pub(super) fn kept(budget: &mut Budget, bytes: usize) -> Result<(), ConnectError> {
    if budget.take(bytes) { Ok(()) } else { Err(ConnectError::Other(TOO_LARGE.to_owned())) }
}
