//! Why a step could not be done.

use std::fmt;

use crate::aws::ErrorKind;
use crate::store::RunState;

/// Why a step could not be done, and what that means for the run.
#[derive(Debug)]
pub struct Failure {
    /// `Failed`, `Unknown`, `Refused` or `Interrupted`.
    pub state: RunState,
    /// What happened.
    pub error: anyhow::Error,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether another try may go well.
    pub transient: bool,
}

impl Failure {
    /// A failure with what it means and what to do.
    pub fn new(state: RunState, error: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self { state, error: error.into(), hint: Some(hint.into()), transient: false }
    }

    /// A promise that was not kept.
    pub fn failed(message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(RunState::Failed, anyhow::anyhow!("{message}"), hint)
    }

    /// Something that has to be put right before anything can be tried.
    pub fn refused(message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(RunState::Refused, anyhow::anyhow!("{message}"), hint)
    }

    /// The error with its causes on one line.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{:#}", self.error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let hint = "run it again with `DRCTL_LOG=debug`; `drctl doctor` shows what failed".to_owned();
        Self { state: RunState::Unknown, error, hint: Some(hint), transient: false }
    }
}

impl From<crate::aws::Error> for Failure {
    fn from(error: crate::aws::Error) -> Self {
        let state = match error.kind {
            ErrorKind::Denied | ErrorKind::Credentials | ErrorKind::WrongAccount => RunState::Refused,
            _ => RunState::Unknown,
        };
        let transient = error.is_transient();
        Self { state, hint: Some(error.hint()), transient, error: error.into() }
    }
}
