//! One restore test from its start to its report: starts or resumes a run, and ends it in the store.

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tracing::Instrument;

use crate::action;
use crate::aws::LeaseFence;
use crate::context::{AppContext, RunEvent};
use crate::estate::Database;
use crate::notify::compose;
use crate::report::{TestReport, assemble};
use crate::runbook::{
    Failure, Journal, Preview, REMOVAL_LIMIT, Registry, Run, RunInfo, Runbook, RunbookKind, Step, execute, inputs_of,
    preview, unwind,
};
use crate::store::{AlertsBefore, Ended, Entry, Lease, NewRun, Owner, RunState};

/// Added to the time after which anybody may remove what a run made.
const EXPIRY_MARGIN: Duration = Duration::from_hours(2);

/// How long reaping waits for each part of a removal.
pub const REAPING_LIMIT: Duration = Duration::from_mins(20);

/// The runbook for clusters, as shipped.
pub const CLUSTER_RUNBOOK: &str = include_str!("../runbooks/restore-test-cluster.md");
/// The runbook for instances, as shipped.
pub const INSTANCE_RUNBOOK: &str = include_str!("../runbooks/restore-test-instance.md");

/// How a test differs from what the configuration says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Another restore point.
    pub point: Option<String>,
    /// Keep a proved copy this long.
    pub keep_for: Option<Duration>,
    /// Keep a copy as long where its test failed.
    pub keep_failed: bool,
    /// Forget what the last passed run found.
    pub update_baseline: bool,
}

/// The shipped runbook for a database.
///
/// # Errors
/// Never for a runbook that the tests have seen.
pub fn shipped_runbook(database: &Database) -> anyhow::Result<Runbook> {
    let (name, text) = if database.kind.is_cluster() {
        ("runbooks/restore-test-cluster.md", CLUSTER_RUNBOOK)
    } else {
        ("runbooks/restore-test-instance.md", INSTANCE_RUNBOOK)
    };
    Ok(Runbook::parse(name, text)?)
}

/// How this process's part in a run ended.
#[derive(Clone, Debug)]
pub enum RunProgress {
    /// The run has ended.
    Finished(Box<TestReport>),
    /// The run goes on elsewhere, or later: this process has to leave, or another agent has taken it over.
    Yielded,
}

impl RunProgress {
    /// The report.
    ///
    /// # Errors
    /// Where the run has not ended here.
    pub fn report(self) -> anyhow::Result<TestReport> {
        match self {
            Self::Finished(report) => Ok(*report),
            Self::Yielded => {
                anyhow::bail!("the run was left for another agent to resume; `drctl runs list` shows it")
            }
        }
    }
}

/// Tests one database.
///
/// # Errors
/// Where the run could not even be recorded; everything later is part of the report.
pub async fn test(
    app: &AppContext,
    database: &Database,
    runbook: &Runbook,
    options: &Options,
) -> anyhow::Result<TestReport> {
    if app.clock.is_simulated() {
        // The sandbox's clock runs ahead of ours until the next answer: begin in step with it.
        app.aws.account().await?;
    }
    let new = new_run(app, database, runbook, options)?;
    let owner = app.store.begin(&new).await?;
    let mut work = RunExecution::new(app, &new, owner.lease())?;
    work.info.keep_failed = options.keep_failed;
    work.drive(owner, Vec::new(), Direction::Execute).instrument(span(&new)).await?.report()
}

/// A test that is about to start.
///
/// # Errors
/// Where the runbook wants an input that nobody has given.
pub fn new_run(app: &AppContext, database: &Database, runbook: &Runbook, options: &Options) -> anyhow::Result<NewRun> {
    let info = new_info(app, database, runbook, options);
    Ok(NewRun {
        id: info.id,
        estate: app.estate.name.clone(),
        target: database.id.clone(),
        runbook: runbook.name.clone(),
        document: runbook.text.clone(),
        inputs: Value::Object(inputs(runbook, database, options)?),
        started_at: info.started_at,
        expires_at: info.expires_at,
        simulated: app.clock.is_simulated(),
        keep_for: options.keep_for.unwrap_or(database.test.keep_for),
        update_baseline: options.update_baseline,
        account: app.account.clone(),
        region: app.aws.region.clone(),
        occurrence: None,
    })
}

/// What a test would do, without doing it.
///
/// # Errors
/// Where a step finds that it could not be done.
pub async fn dry_run(
    app: &AppContext,
    database: &Database,
    runbook: &Runbook,
    options: &Options,
) -> Result<Vec<(Step, Preview)>, Failure> {
    let info = new_info(app, database, runbook, options);
    let inputs = inputs(runbook, database, options)?;
    preview(app, &info, runbook, &action::registry(), &inputs).await
}

fn inputs(runbook: &Runbook, database: &Database, options: &Options) -> anyhow::Result<Map<String, Value>> {
    let mut given = Map::new();
    given.insert("target".to_owned(), Value::from(database.id.clone()));
    let point = options.point.clone().unwrap_or_else(|| database.test.point.to_string());
    given.insert("point".to_owned(), Value::from(point));
    given.retain(|name, _| runbook.inputs.iter().any(|input| input.name == *name));
    inputs_of(runbook, &given)
}

fn new_info(app: &AppContext, database: &Database, runbook: &Runbook, options: &Options) -> RunInfo {
    let started_at = app.clock.now();
    let keep_for = options.keep_for.unwrap_or(database.test.keep_for);
    let deadline_at = later(started_at, database.test.deadline);
    let expires_at = match runbook.kind {
        RunbookKind::Recovery => None,
        RunbookKind::Drill if keep_for.is_zero() => Some(later(deadline_at, EXPIRY_MARGIN)),
        RunbookKind::Drill => Some(later(started_at, keep_for).max(deadline_at)),
    };
    let (id, target) = (new_run_id(started_at), database.id.clone());
    let (update_baseline, keep_failed) = (options.update_baseline, options.keep_failed);
    RunInfo { id, target, started_at, expires_at, update_baseline, keep_failed, deadline_at }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A ULID: runs sort by their start.
fn new_run_id(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    ulid::Ulid::from_parts(millis, rand::random()).to_string()
}

/// Carries on a run whose process is gone.
///
/// # Errors
/// Where it still runs, has ended, or its target is no longer configured.
pub async fn resume(app: &AppContext, run: &crate::store::Run) -> anyhow::Result<TestReport> {
    let (owner, history) = take_over(app, run).await?;
    drive(app, &run.new, owner, history).await?.report()
}

/// Undoes what a dead or stuck run left, and ends it.
///
/// # Errors
/// Where it still runs, or its target is no longer configured.
pub async fn unwind_run(app: &AppContext, run: &crate::store::Run) -> anyhow::Result<TestReport> {
    let (owner, history) = take_over(app, run).await?;
    let mut work = RunExecution::new(app, &run.new, owner.lease())?;
    // Whoever reaps comes again: what cannot move now need not be waited for.
    work.removal_limit = REAPING_LIMIT;
    work.drive(owner, history, Direction::Unwind).instrument(span(&run.new)).await?.report()
}

async fn take_over(app: &AppContext, run: &crate::store::Run) -> anyhow::Result<(Owner, Vec<(Timestamp, Entry)>)> {
    database_of(app, &run.new)?;
    same_place(app, run)?;
    let owner = app.store.claim(&run.new.id).await?;
    let owner = owner.with_context(|| format!("run `{}` is still at work in another process", run.new.id))?;
    let history = app.store.journal(&run.new.id).await?;
    Ok((owner, history))
}

/// Carries a run that this process owns from where its journal stands to its end.
///
/// # Errors
/// Where its target is no longer configured, or its document cannot be read.
pub async fn drive(
    app: &AppContext,
    new: &NewRun,
    owner: Owner,
    history: Vec<(Timestamp, Entry)>,
) -> anyhow::Result<RunProgress> {
    let work = RunExecution::new(app, new, owner.lease())?;
    work.drive(owner, history, Direction::Execute).instrument(span(new)).await
}

/// Every line that is logged on the way carries the run's id.
fn span(new: &NewRun) -> tracing::Span {
    tracing::info_span!("run", run.id = %new.id, database = %new.target)
}

fn database_of<'e>(app: &'e AppContext, new: &NewRun) -> anyhow::Result<&'e Database> {
    app.estate
        .database(&new.target)
        .with_context(|| format!("run `{}` is of `{}`, which the configuration no longer has", new.id, new.target))
}

/// Whether we look where the run has made things: elsewhere all of them would seem to be gone.
fn same_place(app: &AppContext, run: &crate::store::Run) -> anyhow::Result<()> {
    let there = |simulated: bool| if simulated { "the sandbox" } else { "AWS" };
    let (then, now) = (run.new.simulated, app.clock.is_simulated());
    anyhow::ensure!(
        then == now && run.new.account == app.account,
        "run `{}` was against {} in account {}, and this is {} in account {}",
        run.new.id,
        there(then),
        run.new.account,
        there(now),
        app.account
    );
    Ok(())
}

/// Where a run is carried.
#[derive(Clone, Copy, Debug)]
enum Direction {
    /// Through its steps.
    Execute,
    /// Back to where nothing of it stands.
    Unwind,
}

/// A run that this process owns.
struct RunExecution<'w> {
    /// The way to AWS is barred as soon as the run is no longer ours.
    app: AppContext,
    database: &'w Database,
    new: &'w NewRun,
    info: RunInfo,
    lease: Option<Lease>,
    /// How long each part of a removal may take.
    removal_limit: Duration,
}

impl<'w> RunExecution<'w> {
    fn new(app: &'w AppContext, new: &'w NewRun, lease: Option<Lease>) -> anyhow::Result<Self> {
        let database = database_of(app, new)?;
        let mut app = app.clone();
        // A run goes on where it began, whatever the configuration says by now.
        app.aws = app.aws.for_region(&new.region);
        if let Some(lease) = lease.clone() {
            app.aws = app.aws.guarded(LeaseFence::new(lease.length(), move || lease.left()));
        }
        let info = RunInfo {
            id: new.id.clone(),
            target: new.target.clone(),
            started_at: new.started_at,
            expires_at: new.expires_at,
            update_baseline: new.update_baseline,
            keep_failed: false,
            deadline_at: later(new.started_at, database.test.deadline),
        };
        Ok(Self { app, database, new, info, lease, removal_limit: REMOVAL_LIMIT })
    }

    async fn drive(
        &self,
        owner: Owner,
        history: Vec<(Timestamp, Entry)>,
        direction: Direction,
    ) -> anyhow::Result<RunProgress> {
        let runbook = Runbook::parse(&self.new.runbook, &self.new.document)?;
        let earlier_seconds = self.earlier_seconds(&history);
        let AppContext { store, clock, .. } = &self.app;
        let last_seq = if history.is_empty() { 0 } else { store.last_seq(&self.info.id).await? };
        let journal = Journal::new(store.clone(), clock.clone(), owner, history, last_seq);
        let ended = tokio::select! {
            biased;
            () = self.lost() => None,
            () = self.app.leave.cancelled() => None,
            report = self.to_its_end(&runbook, &journal, direction, earlier_seconds) => Some(report?),
        };
        if let Some(report) = ended {
            if let Some(owner) = journal.into_owner() {
                owner.release();
            }
            return Ok(RunProgress::Finished(Box::new(report)));
        }
        // A call that is under way is seen through before somebody else may act.
        journal.drain_in_flight().await;
        if let Some(owner) = journal.into_owner() {
            owner.abandon().await;
        }
        tracing::info!("run left to be resumed");
        Ok(RunProgress::Yielded)
    }

    async fn lost(&self) {
        match &self.lease {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    }

    async fn to_its_end(
        &self,
        runbook: &Runbook,
        journal: &Journal,
        direction: Direction,
        earlier_seconds: f64,
    ) -> anyhow::Result<TestReport> {
        let app = &self.app;
        let (kind, keep_for) = (self.database.kind, self.new.keep_for);
        let removal_limit = self.removal_limit;
        let run = Run { app, info: &self.info, kind, keep_for, removal_limit, journal };
        let finished = match direction {
            Direction::Execute => {
                let registry: Registry = action::registry();
                let inputs = self.new.inputs.as_object().cloned().unwrap_or_default();
                let began = RunEvent::Began { run_id: self.info.id.clone(), objective: self.database.objectives.rto };
                app.reporter.emit(&self.info.target, &began);
                execute(&run, runbook, &registry, &inputs).await
            }
            Direction::Unwind => unwind(&run, runbook, "its process was killed; cleaned up later by reap").await,
        };
        self.conclude(journal, &finished, earlier_seconds).await
    }

    /// How long the run had taken, and lain, before this process took it over.
    fn earlier_seconds(&self, history: &[(Timestamp, Entry)]) -> f64 {
        if history.is_empty() {
            return 0.0;
        }
        // Where the data was proved before the process died, the recovery ended with that.
        let proved_at = history.iter().find_map(|(at, entry)| match entry {
            Entry::StepDone { outputs, .. } if outputs.get("checks").is_some() => Some(*at),
            _ => None,
        });
        let until = proved_at.unwrap_or_else(|| self.app.clock.now());
        let since = until.duration_since(self.info.started_at).as_secs_f64();
        // In the sandbox a wait took this machine less time than the clock shows: count only the former here.
        let shortened = history.iter().map(|(_, entry)| match entry {
            Entry::PhaseEnded { phase, .. } => phase.seconds - phase.worked_seconds,
            _ => 0.0,
        });
        (since - shortened.sum::<f64>()).max(0.0)
    }

    async fn conclude(
        &self,
        journal: &Journal,
        finished: &crate::runbook::Finished,
        earlier_seconds: f64,
    ) -> anyhow::Result<TestReport> {
        let AppContext { store, clock, estate, .. } = &self.app;
        let mut report =
            journal.read(|entries| assemble(self.database, &self.info, finished, entries, earlier_seconds));
        let json = serde_json::to_value(&report)?;
        let facts = finished.outputs.values().find_map(|output| output.get("facts")).filter(|facts| !facts.is_null());
        let at = clock.now();
        let ended = Ended { state: report.outcome, reason: &report.reason, at, report: Some(&json), facts };
        // What a schedule started is told of, whoever ends it.
        let tells = self.app.notify || self.new.occurrence.is_some();
        let tell = |before: &AlertsBefore| {
            let told = tells.then(|| compose(estate, &report, at, self.new.simulated, before));
            told.transpose().unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "the result could not be put into messages");
                None
            })
        };
        if let Some(owner) = journal.owner()
            && let Err(error) = store.end(owner, &ended, &tell).await
        {
            report = not_recorded(report, &error);
        }
        let event = RunEvent::Ended { state: report.outcome, reason: report.reason.clone() };
        self.app.reporter.emit(&self.info.target, &event);
        Ok(report)
    }
}

/// The verdict stands, but nobody will find it in the store: that is not a pass.
fn not_recorded(mut report: TestReport, error: &anyhow::Error) -> TestReport {
    if report.outcome == RunState::Passed {
        report.outcome = RunState::Unknown;
    }
    report.reason = format!("{}; but the result could not be recorded: {error:#}", report.reason);
    report.hint = Some("free the disk that holds the state file, then run the test again".to_owned());
    report
}
