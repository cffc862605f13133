//! How closely the sandbox keeps to AWS's delays: nothing here reads a clock; every duration is in virtual seconds.
//!
//! What a request must look like does not depend on it: what AWS refuses, the sandbox refuses in every mode. Where
//! every lifecycle ends at once (`--time-scale 0`) only rates and probabilities are left.

use std::fmt;

/// How kind the sandbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AwsBehaviour {
    /// Everything that was done is seen at once, and nothing refuses what should work.
    Kind,
    /// What AWS documents: statuses on the way, pending passwords, refusals around `available`.
    #[default]
    Documented,
    /// Also what AWS does on a bad day: lagging visibility, late passwords, throttling everywhere.
    Harsh,
}

/// A rate as a bucket of tokens has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// Calls that are let through at once.
    pub(super) burst: f64,
    /// Calls that are let through for each real second thereafter.
    pub(super) per_second: f64,
}

impl AwsBehaviour {
    /// Every mode with its name.
    pub const ALL: [(&'static str, Self); 3] =
        [("kind", Self::Kind), ("documented", Self::Documented), ("harsh", Self::Harsh)];

    /// Reads `kind`, `documented` or `harsh`.
    ///
    /// # Errors
    /// With the names that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, mode)| mode);
        found.ok_or_else(|| "write kind, documented or harsh".to_owned())
    }

    /// For so long after it was made nothing but its name is there: describes and changes do not find it, and making
    /// it again says that it exists. RDS promises no more than eventual consistency; the length is an assumption.
    pub(super) fn invisible_seconds(self) -> i64 {
        match self {
            Self::Kind | Self::Documented => 0,
            Self::Harsh => 12,
        }
    }

    /// Describes tell the status of so long ago (assumption, as above).
    pub(super) fn status_lag_seconds(self) -> i64 {
        match self {
            Self::Kind | Self::Documented => 0,
            Self::Harsh => 5,
        }
    }

    /// A new master password is pending, and the status still `available`, for so long. "The change is
    /// asynchronously applied as soon as possible" (`ModifyDBInstance`); the length is an assumption.
    pub(super) fn password_notice_seconds(self) -> i64 {
        match self {
            Self::Kind => 0,
            Self::Documented => 3,
            Self::Harsh => 8,
        }
    }

    /// The database takes a new master password only so long after AWS has called it done (assumption).
    pub(super) fn password_late_seconds(self) -> i64 {
        match self {
            Self::Kind | Self::Documented => 0,
            Self::Harsh => 20,
        }
    }

    /// Connections are refused for so long after `available`, while the server still comes up (assumption).
    pub(super) fn refusal_seconds(self) -> i64 {
        match self {
            Self::Kind => 0,
            Self::Documented => 5,
            Self::Harsh => 25,
        }
    }

    /// Whether the statuses on the way are shown: `modifying`, `rebooting`, `backing-up`, `configuring-...`. They
    /// are those of "Viewing DB instance status" in the RDS user guide; when they come is an assumption.
    pub(super) fn shows_interim_statuses(self) -> bool {
        self != Self::Kind
    }

    /// How many calls one service takes; `None` where it takes any number. AWS publishes no figures for RDS
    /// (assumption: tens of describes a second are well, hundreds are not).
    pub(super) fn rate(self) -> Option<Rate> {
        match self {
            Self::Kind => None,
            Self::Documented => Some(Rate { burst: 200.0, per_second: 50.0 }),
            Self::Harsh => Some(Rate { burst: 20.0, per_second: 10.0 }),
        }
    }

    /// The share of calls that is throttled whatever the rate, from 0 to 1.
    pub(super) fn throttled_share(self) -> f64 {
        match self {
            Self::Kind | Self::Documented => 0.0,
            Self::Harsh => 0.05,
        }
    }
}

impl fmt::Display for AwsBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_is_harder_than_the_one_before() {
        let modes = AwsBehaviour::ALL.map(|(_, mode)| mode);
        for pair in modes.windows(2) {
            let [milder, harder] = pair else { continue };
            assert!(milder.refusal_seconds() < harder.refusal_seconds());
            assert!(milder.password_notice_seconds() < harder.password_notice_seconds());
            assert!(milder.invisible_seconds() <= harder.invisible_seconds());
            assert!(milder.throttled_share() <= harder.throttled_share());
        }
        assert!(AwsBehaviour::Kind.rate().is_none());
        assert_eq!(AwsBehaviour::parse("harsh"), Ok(AwsBehaviour::Harsh));
        assert!(AwsBehaviour::parse("gentle").is_err());
    }
}
