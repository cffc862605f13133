//! How an agent stands, for those who ask from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};

/// So long after its last pass an agent counts as hung.
const HUNG_AFTER: Duration = Duration::from_mins(3);

const NOT_ASKED: &str = "not checked yet";

/// How an agent stands. Clones look at the same one.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    last_pass: Stopwatch,
    aws: Result<(), String>,
    account: Option<String>,
    store: Result<(), String>,
    overdue: usize,
    stalled: Option<String>,
}

/// An agent's answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HealthStatus {
    /// Whether it goes round.
    pub alive: bool,
    /// What keeps it from doing its work.
    pub trouble: Vec<String>,
}

impl Default for Health {
    fn default() -> Self {
        let unknown = || Err(NOT_ASKED.to_owned());
        Self(Arc::new(Mutex::new(Inner {
            last_pass: Clock::system().stopwatch(),
            aws: unknown(),
            account: None,
            store: unknown(),
            overdue: 0,
            stalled: None,
        })))
    }
}

impl Health {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent is alive, whatever it could do.
    pub(super) fn record_heartbeat(&self) {
        self.inner().last_pass = Clock::system().stopwatch();
    }

    /// A pass was made, and the store answered so.
    pub(super) fn passed(&self, store: Result<(), String>) {
        let mut inner = self.inner();
        inner.last_pass = Clock::system().stopwatch();
        inner.store = store;
    }

    /// So many jobs should have started; the one that has waited far too long, where there is one.
    pub(super) fn waits(&self, overdue: usize, stalled: Option<String>) {
        let mut inner = self.inner();
        inner.overdue = overdue;
        inner.stalled = stalled;
    }

    /// Jobs that should have started and have not.
    #[must_use]
    pub fn overdue(&self) -> usize {
        self.inner().overdue
    }

    /// The account that the agent works in, once AWS has said so.
    #[must_use]
    pub fn account(&self) -> Option<String> {
        self.inner().account.clone()
    }

    /// The agent works in this account from now on.
    pub(super) fn works_in(&self, account: &str) {
        self.inner().account = Some(account.to_owned());
    }

    /// AWS answered so.
    pub(super) fn asked_aws(&self, aws: Result<(), String>) {
        self.inner().aws = aws;
    }

    /// Whether everybody has been asked once: before that nobody can say how it stands.
    pub(super) fn is_settled(&self) -> bool {
        let inner = self.inner();
        [&inner.aws, &inner.store].iter().all(|found| found.as_ref().err().is_none_or(|error| error != NOT_ASKED))
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> HealthStatus {
        let inner = self.inner();
        let alive = inner.last_pass.worked_seconds() < HUNG_AFTER.as_secs_f64();
        let told =
            |what: &str, found: &Result<(), String>| found.as_ref().err().map(|error| format!("{what}: {error}"));
        let mut trouble: Vec<String> = told("AWS", &inner.aws).into_iter().chain(told("state", &inner.store)).collect();
        trouble.extend(inner.stalled.iter().map(|job| format!("`{job}` should have started hours ago")));
        if !alive {
            trouble.push(format!("no pass for {} s", HUNG_AFTER.as_secs()));
        }
        HealthStatus { alive, trouble }
    }
}
