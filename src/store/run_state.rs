//! Where a run stands.

use std::fmt;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Not ended: its process is at work, or was killed.
    Running,
    /// Everything is as promised.
    Passed,
    /// Something is not as promised.
    Failed,
    /// Nobody can say.
    Unknown,
    /// It could not begin: the configuration or the account does not allow it.
    Refused,
    /// Stopped by a person, or unwound after its process was killed.
    Interrupted,
    /// Something that drctl made is still there.
    Stuck,
}

impl RunState {
    const ALL: [Self; 7] =
        [Self::Running, Self::Passed, Self::Failed, Self::Unknown, Self::Refused, Self::Interrupted, Self::Stuck];

    /// The fixed name, as in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Stuck => "stuck",
        }
    }

    pub(crate) fn parse(name: &str) -> anyhow::Result<Self> {
        let state = Self::ALL.into_iter().find(|state| state.name() == name);
        state.with_context(|| format!("`{name}` is not a run's state"))
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
