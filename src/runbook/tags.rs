//! The tags of what a run makes.

use super::action::RunInfo;
pub use crate::aws::{EXPIRES_TAG, KIND_TAG, NAME_PREFIX, RUN_TAG, TARGET_TAG};
use crate::estate::Tags;

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
