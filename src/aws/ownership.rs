//! How what drctl makes can be told from everything else.

/// How everything that drctl makes is named.
pub const NAME_PREFIX: &str = "drctl-";
/// The tag that says which run made it.
pub const RUN_TAG: &str = "drctl:run-id";
/// The tag that says which target it is a copy of.
pub const TARGET_TAG: &str = "drctl:target";
/// The tag that says when it may be removed by anybody.
pub const EXPIRES_TAG: &str = "drctl:expires-at";
/// The tag that says whether a drill made it, which removes it, or a recovery, which does not.
pub const KIND_TAG: &str = "drctl:kind";
