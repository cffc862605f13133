//! What every request sees: the world, the faults, and the log of calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::fault::Rule;
use super::policy::Policy;
use super::rate::Rates;
use super::record::Recorder;
use super::world::World;
use crate::aws::SandboxNote;
use crate::clock::VirtualClock;

/// How fast clients wait where there is nothing to wait for.
const SCALE_WITHOUT_LIFECYCLES: f64 = 50.0;

/// Calls that the log keeps.
const MAX_CALLS: usize = 100_000;

/// What every request sees.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    pub(super) rules: Mutex<Vec<Rule>>,
    pub(super) calls: Mutex<Vec<Value>>,
    pub(super) rates: Mutex<Rates>,
    pub(super) recorder: Option<Recorder>,
    pub(super) clock: VirtualClock,
    /// What callers may do; everything where there are none.
    pub(super) policies: Mutex<Vec<Policy>>,
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policies(&self) -> MutexGuard<'_, Vec<Policy>> {
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Vec<Value>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call to the log.
    pub(super) fn log(&self, call: Value) {
        let mut calls = self.calls();
        if calls.len() < MAX_CALLS {
            calls.push(call);
        }
    }

    pub(super) fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the sandbox says about itself with every answer.
pub(super) fn note(shared: &Shared) -> SandboxNote {
    // Where every lifecycle ends at once, nobody has to wait for long.
    let scale = if shared.clock.scale() < 1.0 { SCALE_WITHOUT_LIFECYCLES } else { shared.clock.scale() };
    SandboxNote { now: Some(shared.clock.now()), scale }
}
