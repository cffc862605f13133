//! How what drctl makes can be told from everything else.

use super::action::RunInfo;
use crate::estate::Tags;

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

impl RunInfo {
    /// The tags of everything that the run makes.
    #[must_use]
    pub fn tags(&self) -> Tags {
        // Only what a recovery makes never expires.
        let kind = if self.expires_at.is_some() { "drill" } else { "recovery" };
        let mut tags = Tags::from([
            (RUN_TAG.to_owned(), self.id.clone()),
            (TARGET_TAG.to_owned(), self.target.clone()),
            (KIND_TAG.to_owned(), kind.to_owned()),
        ]);
        tags.extend(self.expires_at.map(|at| (EXPIRES_TAG.to_owned(), at.to_string())));
        tags
    }
}
