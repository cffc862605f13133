//! What is known of a call besides its action and resource.

use std::collections::BTreeMap;

/// What is known of a call besides its action and resource. Keys are compared without regard to case, as AWS does.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Adds a key with one value.
    #[must_use]
    pub(in crate::sandbox) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.add(key, value);
        self
    }

    /// Adds a value to a key.
    pub(in crate::sandbox) fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_lowercase()).or_default().push(value.into());
    }

    /// The values of a key; none where the call does not have it.
    pub(super) fn get(&self, key: &str) -> &[String] {
        self.0.get(&key.to_lowercase()).map_or(&[], Vec::as_slice)
    }
}
