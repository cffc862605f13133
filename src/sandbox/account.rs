//! The accounts that there are.

/// The account that everything belongs to.
pub(super) const ACCOUNT: &str = "123456789012";
/// Whoever shares snapshots with it.
pub(super) const FOREIGN_ACCOUNT: &str = "210987654321";
