//! Exit codes. They are fixed: programs rely on them.

use std::process::ExitCode;

use crate::store::RunState;

/// Shown below `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0    passed
  1    failed: an objective was missed, or a check failed
  2    wrong usage or configuration; nothing was changed
  3    unknown: something could not be checked, nothing failed
  4    something that drctl created could not be removed
  130  interrupted, and cleaned up

Environment:
  DRCTL_CONFIG  the configuration file, instead of ./drctl.toml
  DRCTL_LOG     what to log on standard error, as in `DRCTL_LOG=debug` (default: warn; the daemon: info)
  NO_COLOR      print without colour
  AWS_*         as everywhere: AWS_PROFILE, AWS_ENDPOINT_URL, AWS_CA_BUNDLE, ...";

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Passed,
    /// 1
    Failed,
    /// 2
    Usage,
    /// 3
    Unknown,
    /// 4
    Remains,
    /// 130
    Interrupted,
}

impl Exit {
    /// For one run.
    #[must_use]
    pub fn of(state: RunState) -> Self {
        match state {
            RunState::Passed => Self::Passed,
            RunState::Failed => Self::Failed,
            RunState::Refused => Self::Usage,
            RunState::Unknown | RunState::Running => Self::Unknown,
            RunState::Stuck => Self::Remains,
            RunState::Interrupted => Self::Interrupted,
        }
    }

    /// For several: the gravest wins.
    #[must_use]
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        const GRAVEST_FIRST: [Exit; 6] =
            [Exit::Remains, Exit::Failed, Exit::Unknown, Exit::Interrupted, Exit::Usage, Exit::Passed];
        let rank = |exit: &Self| GRAVEST_FIRST.iter().position(|other| other == exit);
        all.into_iter().min_by_key(rank).unwrap_or(Self::Passed)
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Remains => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn of_several_the_gravest_wins() {
        assert_eq!(Exit::worst([Exit::Passed, Exit::Unknown, Exit::Failed]), Exit::Failed);
        assert_eq!(Exit::worst([Exit::Failed, Exit::Remains]), Exit::Remains);
        assert_eq!(Exit::worst([Exit::Unknown, Exit::Passed, Exit::Usage]), Exit::Unknown);
        assert_eq!(Exit::worst([]), Exit::Passed);
    }
}
