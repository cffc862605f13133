//! What was looked at before a restore, and what came of it. Preflight refuses on the first that stands in the way;
//! `drctl doctor` shows all of them.

use serde::Serialize;

use crate::runbook::Failure;
use crate::store::RunState;
use crate::verify::Outcome;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// What a run is that comes to stand before it; `None` where a run can go on all the same.
    #[serde(skip)]
    stops_as: Option<RunState>,
    /// Whether looking again may go well.
    #[serde(skip)]
    transient: bool,
}

impl Finding {
    /// All is well.
    pub fn pass(subject: impl Into<String>, found: impl Into<String>) -> Self {
        let (subject, found) = (subject.into(), found.into());
        Self { subject, outcome: Outcome::Passed, found, fix: None, stops_as: None, transient: false }
    }

    /// Something is wrong, or cannot be told, that keeps no run from starting.
    pub fn fail(
        subject: impl Into<String>,
        outcome: Outcome,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (subject, found) = (subject.into(), found.into());
        Self { subject, outcome, found, fix: Some(fix.into()), stops_as: None, transient: false }
    }

    /// Something is in the way of a restore, which is then refused.
    pub fn refused(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { stops_as: Some(RunState::Refused), ..Self::fail(subject, Outcome::Failed, found, fix) }
    }

    /// What stands in the way makes a run end in `state`.
    #[must_use]
    pub fn stopping_as(self, state: RunState) -> Self {
        Self { stops_as: Some(state), ..self }
    }

    /// A failure, as a finding.
    pub fn of(subject: impl Into<String>, failure: &Failure) -> Self {
        let outcome = if failure.state == RunState::Unknown { Outcome::Unknown } else { Outcome::Failed };
        let fix = failure.hint.clone().unwrap_or_default();
        Self::fail(subject, outcome, failure.message(), fix).stopping_as(failure.state)
    }

    /// That AWS could not be asked. A run goes on: the restore will tell.
    pub fn not_asked(subject: impl Into<String>, error: &crate::aws::Error) -> Self {
        let finding = Self::fail(subject, Outcome::Unknown, error.to_string(), error.hint());
        Self { transient: error.is_transient(), ..finding }
    }

    /// Why a run cannot go on.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let hint = self.fix.clone().unwrap_or_default();
        let error = anyhow::anyhow!("{}", self.found);
        self.stops_as.map(|state| Failure { transient: self.transient, ..Failure::new(state, error, hint) })
    }
}
