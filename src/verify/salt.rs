//! What the hash of every row begins with. It stands in drctl's state and never in the database: who can write to the
//! database cannot know what to aim at.

use std::fmt;
use std::sync::OnceLock;

use super::model::Baseline;

const BYTES: usize = 16;

/// The salt of a run's fingerprints. They are comparable only under one salt, so that a run takes over its baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) struct Salt(pub(in crate::verify) [u8; BYTES]);

impl Salt {
    /// That of the baseline, or a new one where there is none: the process's, since a connection that takes a broken
    /// one's place has to hash as the others do.
    pub(in crate::verify) fn of_run(baseline: Option<&Baseline>) -> Self {
        static FRESH: OnceLock<Salt> = OnceLock::new();
        baseline.and_then(Self::of_facts).unwrap_or_else(|| *FRESH.get_or_init(|| Self(rand::random())))
    }

    fn of_facts(facts: &Baseline) -> Option<Self> {
        let relations = facts.relations.values().filter_map(|relation| relation.fingerprint.as_deref());
        let settled = facts.settled.values().map(|settled| settled.fingerprint.as_str());
        relations.chain(settled).find_map(Self::of)
    }

    /// The salt of a fingerprint `METHOD/SALT:SUM`; `None` where it was made without one.
    pub(in crate::verify) fn of(fingerprint: &str) -> Option<Self> {
        let (method, _) = fingerprint.rsplit_once(':')?;
        let (_, salt) = method.rsplit_once('/')?;
        let number = u128::from_str_radix(salt, 16).ok().filter(|_| salt.len() == 2 * BYTES)?;
        Some(Self(number.to_be_bytes()))
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
