//! One estate's agent: goes round, looks what is due, and starts it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::deliver;
use super::due::{DueDecision, JobAction, decide};
use super::health::Health;
use super::heartbeat;
use super::jobs;
use crate::aws::resolve_secret;
use crate::context::AppContext;
use crate::notify::{Deliverer, address, export};
use crate::reap::{DeadRuns, Reaped, Remains, Unseen, reap};
use crate::report::TestReport;
use crate::restore_test::{self, RunProgress};
use crate::store::{Entry, NewRun, Owner};

/// Between two rounds at most, so that a clock that was set, or a run that was left, is noticed soon.
const ROUND: Duration = Duration::from_secs(15);
/// The same on a sandbox's clock, which is read anew with every round.
const SIMULATED_ROUND: Duration = Duration::from_mins(20);
/// The longest that a round takes where AWS does not answer.
const SLOW_ROUND: Duration = Duration::from_mins(3);
/// Between two rounds at least.
const SHORTEST_ROUND: Duration = Duration::from_millis(20);
/// After a round that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(2);
/// Between two questions to AWS whether it knows us.
const ASK_AWS_EVERY: Duration = Duration::from_mins(5);
/// Between two plans: another agent's configuration may have undone ours.
const PLAN_EVERY: Duration = Duration::from_mins(10);
/// So late, a job is not only waiting for its turn.
const STALLED_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// After a run that broke off.
const PAUSE_AFTER_BREAK: Duration = Duration::from_mins(1);
/// The text of messages is kept this long after they were sent.
const KEEP_MESSAGES: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The last delivery before the end.
const LAST_DELIVERY: Duration = Duration::from_secs(10);

/// One estate's agent.
#[derive(Debug)]
pub struct Agent {
    app: AppContext,
    health: Health,
    running: JoinSet<()>,
    /// The runs that this process carries.
    ours: Arc<Mutex<BTreeSet<String>>>,
    ended: Arc<Notify>,
    asked_aws: Option<crate::clock::Stopwatch>,
    reaping: Option<tokio::task::JoinHandle<()>>,
    planned: Option<crate::clock::Stopwatch>,
    /// Whether the credentials are of another account by now.
    is_elsewhere: bool,
    /// Runs of other accounts that were told of.
    told_elsewhere: BTreeSet<String>,
    /// Since when somebody has gone round here without a gap, and when last.
    present: Option<(Timestamp, Timestamp)>,
}

impl Agent {
    /// An agent for an estate. Does nothing yet.
    #[must_use]
    pub fn new(app: AppContext, health: Health) -> Self {
        Self {
            app,
            health,
            running: JoinSet::new(),
            ours: Arc::default(),
            ended: Arc::default(),
            asked_aws: None,
            reaping: None,
            planned: None,
            is_elsewhere: false,
            told_elsewhere: BTreeSet::new(),
            present: None,
        }
    }

    /// Goes round until `stop`, then waits for what is about to end, and leaves the rest to be carried on.
    pub async fn run(mut self, stop: CancellationToken) {
        let app = self.app.clone();
        let estate = app.estate.name.clone();
        let helpers = stop.child_token();
        let channels = {
            let (app, stop) = (app.clone(), helpers.clone());
            tokio::spawn(async move { stop.run_until_cancelled(look_at_channels(&app)).await })
        };
        let delivery = tokio::spawn(deliver(app.clone(), Arc::clone(&self.ended), helpers.clone()));
        let pulse = tokio::spawn(heartbeat::run(app.clone(), self.health.clone(), helpers.clone()));
        while !stop.is_cancelled() {
            let pause = match self.reconcile().await {
                Ok(pause) => {
                    self.health.passed(Ok(()));
                    pause
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(estate, error, "a round failed; trying again");
                    self.health.passed(Err("it could not be used: see the log".to_owned()));
                    PAUSE_AFTER_ERROR
                }
            };
            let ended = Arc::clone(&self.ended);
            tokio::select! {
                () = stop.cancelled() => {}
                () = ended.notified() => {}
                () = tokio::time::sleep(pause.max(SHORTEST_ROUND)) => {}
            }
        }
        helpers.cancel();
        self.drain().await;
        let _ = tokio::join!(delivery, pulse, channels);
        let last = Deliverer::new(app);
        let _ = tokio::time::timeout(LAST_DELIVERY, last.deliver_due()).await;
    }

    async fn drain(&mut self) {
        let bound = self.app.estate.daemon.drain;
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::info!(left = self.running.len(), "leaving runs to be carried on after the next start");
        }
        self.app.leave.cancel();
        while self.running.join_next().await.is_some() {}
        if let Some(reaping) = self.reaping.take() {
            reaping.abort();
        }
    }

    /// One round. Returns how long nothing is to be done, in this machine's time.
    async fn reconcile(&mut self) -> anyhow::Result<Duration> {
        self.ask_aws().await;
        self.note_presence();
        while self.running.try_join_next().is_some() {}
        let planned = self.planned.as_ref();
        if planned.is_none_or(|planned| planned.worked_seconds() >= PLAN_EVERY.as_secs_f64()) {
            self.plan().await?;
            self.planned = Some(self.app.clock.stopwatch());
        }
        if self.is_elsewhere {
            // Nothing is begun with credentials of an account that the estate is not worked on in.
            return Ok(PAUSE_AFTER_ERROR.max(self.longest_round()));
        }
        self.carry_on_others().await?;
        while self.has_room() {
            if !self.start_next().await? {
                break;
            }
        }
        self.pause().await
    }

    /// A long gap between two rounds is an absence: the host was asleep, or its clock was set.
    fn note_presence(&mut self) {
        let now = self.app.clock.now();
        // A round may take long: AWS does not answer, or, in the sandbox, the clock is fast.
        let slow = if self.app.clock.is_simulated() { SIMULATED_ROUND * 3 } else { SLOW_ROUND };
        let gap = self.app.estate.daemon.missed_after.max(slow);
        let gap = SignedDuration::try_from(gap).unwrap_or(SignedDuration::MAX);
        self.present = match self.present {
            Some((since, last)) if now.duration_since(last) <= gap => Some((since, now)),
            _ => Some((now, now)),
        };
    }

    /// Asks AWS who we are: is it there, does it know us; and what time is it in the sandbox.
    async fn ask_aws(&mut self) {
        let simulated = self.app.clock.is_simulated();
        let due = self.asked_aws.as_ref().is_none_or(|asked| asked.worked_seconds() >= ASK_AWS_EVERY.as_secs_f64());
        if !due && !simulated {
            return;
        }
        let answer = self.app.aws.account_of(Some(&self.app.account)).await;
        self.is_elsewhere = answer.as_ref().is_err_and(|error| error.kind == crate::aws::ErrorKind::WrongAccount);
        if let Err(error) = &answer {
            tracing::warn!(estate = self.app.estate.name, %error, "AWS does not answer");
        } else {
            self.asked_aws = Some(self.app.clock.stopwatch());
        }
        self.health.asked_aws(answer.map(drop).map_err(|error| error.brief()));
    }

    /// Makes the store's jobs those of the configuration.
    async fn plan(&self) -> anyhow::Result<()> {
        let AppContext { store, estate, clock, .. } = &self.app;
        let now = clock.now();
        let list: Vec<_> = jobs::jobs(estate).into_iter().map(|(job, _)| job).collect();
        let when = |job: &crate::store::Job| {
            let due_at = jobs::kind_of(estate, &job.name).and_then(|(_, timetable)| timetable.next(now, now));
            jobs::occurrence(&estate.name, &job.name, due_at, estate.daemon.jitter)
        };
        store.plan_jobs(self.app.scope(), now, &list, when).await?;
        if self.planned.is_some() {
            return Ok(());
        }
        for planned in store.jobs(self.app.scope()).await? {
            let next = planned.start_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
            tracing::info!(
                estate = estate.name,
                job = planned.job.name,
                timetable = planned.job.timetable,
                next,
                "planned"
            );
        }
        Ok(())
    }

    /// Whether more can be started now.
    fn has_room(&self) -> bool {
        self.running.len() < self.app.estate.daemon.parallel
    }

    fn is_ours(&self, run_id: &str) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).contains(run_id)
    }

    /// Takes over what a schedule started and nobody carries: its agent was killed, stopped or cut off.
    async fn carry_on_others(&mut self) -> anyhow::Result<()> {
        let AppContext { store, estate, clock, account, .. } = self.app.clone();
        for run in store.scheduled_running(&estate.name).await? {
            let elsewhere = run.new.simulated != clock.is_simulated() || run.new.account != account;
            if elsewhere && self.told_elsewhere.insert(run.new.id.clone()) {
                let (there, here) = (&run.new.account, &account);
                tracing::error!(
                    run.id = %run.new.id, account = there,
                    "a run of account {there} is not carried on by an agent in account {here}: what it made is still there"
                );
            }
            if self.is_ours(&run.new.id) || elsewhere || estate.database(&run.new.target).is_none() {
                continue;
            }
            if !self.has_room() {
                break;
            }
            let owner = match store.claim(&run.new.id).await {
                Ok(Some(owner)) => owner,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(run.id = %run.new.id, error = format!("{error:#}"), "a run could not be taken over");
                    continue;
                }
            };
            let history = match store.journal(&run.new.id).await {
                Ok(history) => history,
                Err(error) => {
                    tracing::error!(run.id = %run.new.id, error = format!("{error:#}"), "a journal cannot be read");
                    continue;
                }
            };
            tracing::info!(run.id = %run.new.id, database = run.new.target, entries = history.len(), "carrying a run on");
            self.spawn(run.new, owner, history);
        }
        Ok(())
    }

    /// Starts one job whose time has come; false where there is none.
    async fn start_next(&mut self) -> anyhow::Result<bool> {
        let app = self.app.clone();
        let AppContext { store, estate, clock, .. } = &app;
        let now = clock.now();
        let names: Vec<String> = jobs::jobs(estate).into_iter().map(|(job, _)| job.name).collect();
        if names.is_empty() {
            return Ok(false);
        }
        let since = self.present.map_or(now, |(since, _)| since);
        let claimed = store.claim_job(self.app.scope(), now, &names, |due| decide(&app, due, now, since)).await?;
        let Some((due, chosen, owner)) = claimed else { return Ok(false) };
        let DueDecision { work, missed } = chosen;
        if missed > 0 {
            let then = if matches!(work, JobAction::Nothing) { "left out, as `missed` says" } else { "done once, now" };
            tracing::warn!(estate = estate.name, job = due.name, due_at = %due.due_at, missed, then, "a job was missed");
        }
        match (work, owner) {
            (JobAction::Test(new), Some(owner)) => self.spawn(*new, owner, Vec::new()),
            (JobAction::Reap, _) => self.reap(),
            _ => {}
        }
        Ok(true)
    }

    fn spawn(&mut self, new: NewRun, owner: Owner, history: Vec<(Timestamp, Entry)>) {
        let (app, ours, ended) = (self.app.clone(), Arc::clone(&self.ours), Arc::clone(&self.ended));
        ours.lock().unwrap_or_else(PoisonError::into_inner).insert(new.id.clone());
        self.running.spawn(async move {
            let id = new.id.clone();
            let _carried = Carrying { id: id.clone(), ours, ended };
            match restore_test::drive(&app, &new, owner, history).await {
                Ok(RunProgress::Finished(report)) => {
                    let outcome = report.outcome.name();
                    tracing::info!(run.id = %id, database = new.target, outcome, reason = report.reason, "a test has ended");
                    trace(&app, &report).await;
                }
                Ok(RunProgress::Yielded) => {}
                Err(error) => {
                    tracing::error!(run.id = %id, error = format!("{error:#}"), "a test broke off; it is tried again later");
                    let leave = app.leave.clone();
                    let _ = leave.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_BREAK)).await;
                }
            }
        });
    }

    /// Removes what has expired, beside everything else; never twice at once.
    fn reap(&mut self) {
        if self.reaping.as_ref().is_some_and(|reaping| !reaping.is_finished()) {
            return;
        }
        let app = self.app.clone();
        self.reaping = Some(tokio::spawn(async move {
            match reap(&app, false, DeadRuns::OfPeople).await {
                Ok(reaped) => {
                    for id in &reaped.removed {
                        tracing::info!(estate = app.estate.name, resource = id, "removed");
                    }
                    tell_reaped(&app.estate.name, &reaped);
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "reaping failed"),
            }
            let old = app.clock.now().checked_sub(KEEP_MESSAGES).unwrap_or(Timestamp::MIN);
            if let Err(error) = app.store.forget_sent(&app.estate.name, old).await {
                tracing::warn!(error = format!("{error:#}"), "old messages could not be forgotten");
            }
        }));
    }

    /// Between two rounds at most, as the clock shows it.
    fn longest_round(&self) -> Duration {
        let AppContext { estate, clock, .. } = &self.app;
        if clock.is_simulated() { SIMULATED_ROUND } else { ROUND.min(estate.state.lease / 2) }
    }

    /// Until the next job is due, but not so long that a change of the clock goes unnoticed.
    async fn pause(&self) -> anyhow::Result<Duration> {
        let AppContext { store, clock, .. } = &self.app;
        let longest = self.longest_round();
        let now = clock.now();
        let planned = store.jobs(self.app.scope()).await?;
        let overdue = planned.iter().filter(|planned| planned.start_at.is_some_and(|at| at < now));
        let stalled = overdue.clone().find(|one| one.start_at.is_some_and(|at| now.duration_since(at) > STALLED_AFTER));
        self.health.waits(overdue.count(), stalled.map(|one| one.job.name.clone()));
        let next = planned.into_iter().filter_map(|planned| planned.start_at).min();
        let until = next.map_or(SignedDuration::MAX, |next| next.duration_since(now));
        let until = Duration::try_from(until).unwrap_or(Duration::ZERO);
        // What is due and was not started waits for room, or for its target: whoever ends wakes us.
        let until = if until.is_zero() { longest } else { until.min(longest) };
        Ok(clock.real(until))
    }
}

/// What reaping could not remove, or did not dare to.
fn tell_reaped(estate: &str, reaped: &Reaped) {
    for Remains { id, region, reason, hint, .. } in &reaped.remains {
        tracing::error!(estate, resource = id, region, reason, hint, "could not be removed");
    }
    for Remains { id, region, reason, hint, .. } in &reaped.left_alone {
        tracing::error!(estate, resource = id, region, reason, hint, "left alone: in use, or so it looks");
    }
    for Unseen { region, reason, hint } in &reaped.unseen {
        tracing::error!(estate, region, reason, hint, "a Region could not be looked at");
    }
}

/// A channel without its secret would be noticed only when there is something to tell.
async fn look_at_channels(app: &AppContext) {
    for channel in &app.estate.channels {
        for secret in channel.way.secrets() {
            if let Err(error) = resolve_secret(&app.aws, secret).await {
                let error = format!("{error:#}");
                tracing::error!(channel = channel.name, error, "a channel cannot send; messages to it wait");
            }
        }
    }
}

/// Tells a collector of a run, where there is one.
async fn trace(app: &AppContext, report: &TestReport) {
    let Some(collector) = &app.estate.daemon.otlp else { return };
    let sent = match address(app, collector).await {
        Ok(collector) => export(app, &collector, report).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::warn!(run.id = %report.run_id, %error, "the trace was not taken");
    }
}

/// A run that this process carries, until it is dropped.
struct Carrying {
    id: String,
    ours: Arc<Mutex<BTreeSet<String>>>,
    ended: Arc<Notify>,
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.ended.notify_waiters();
        self.ended.notify_one();
    }
}
