//! One restore test from its start to its report: starts or resumes a run, and ends it in the store.

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tracing::Instrument;

use crate::action;
use crate::aws::Guard;
use crate::estate::Database;
use crate::notify::compose;
use crate::report::{TestReport, assemble};
use crate::runbook::{
    Environment, Failure, Happening, Ledger, PATIENCE, Preview, Registry, Run, RunInfo, Runbook, RunbookKind, Step,
    execute, inputs_of, preview, unwind,
};
use crate::store::{Before, Ended, Entry, Lease, NewRun, Owner, RunState};

/// Added to the time after which anybody may remove what a run made.
const EXPIRY_MARGIN: Duration = Duration::from_hours(2);

/// How long reaping waits for each part of a removal.
pub const REAPING_PATIENCE: Duration = Duration::from_mins(20);

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
    /// Forget what the last passed run found.
    pub accept_changes: bool,
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
pub enum Carried {
    /// The run has ended.
    Done(Box<TestReport>),
    /// The run goes on elsewhere, or later: this process has to leave, or another agent has taken it over.
    Left,
}

impl Carried {
    /// The report.
    ///
    /// # Errors
    /// Where the run has not ended here.
    pub fn report(self) -> anyhow::Result<TestReport> {
        match self {
            Self::Done(report) => Ok(*report),
            Self::Left => anyhow::bail!("the run was left for another agent to carry on; `drctl runs list` shows it"),
        }
    }
}

/// Tests one database.
///
/// # Errors
/// Where the run could not even be recorded; everything later is part of the report.
pub async fn test(
    environment: &Environment,
    database: &Database,
    runbook: &Runbook,
    options: &Options,
) -> anyhow::Result<TestReport> {
    if environment.clock.is_simulated() {
        // The sandbox's clock runs ahead of ours until the next answer: begin in step with it.
        environment.aws.account().await?;
    }
    let new = new_run(environment, database, runbook, options)?;
    let owner = environment.store.begin(&new).await?;
    carry_on(environment, &new, owner, Vec::new()).await?.report()
}

/// A test that is about to start.
///
/// # Errors
/// Where the runbook wants an input that nobody has given.
pub fn new_run(
    environment: &Environment,
    database: &Database,
    runbook: &Runbook,
    options: &Options,
) -> anyhow::Result<NewRun> {
    let info = new_info(environment, database, runbook, options);
    Ok(NewRun {
        id: info.id,
        estate: environment.estate.name.clone(),
        target: database.id.clone(),
        runbook: runbook.name.clone(),
        document: runbook.text.clone(),
        inputs: Value::Object(inputs(runbook, database, options)?),
        started_at: info.started_at,
        expires_at: info.expires_at,
        simulated: environment.clock.is_simulated(),
        keep_for: options.keep_for.unwrap_or(database.test.keep_for),
        accept_changes: options.accept_changes,
        account: environment.account.clone(),
        region: environment.aws.region.clone(),
        occurrence: None,
    })
}

/// What a test would do, without doing it.
///
/// # Errors
/// Where a step finds that it could not be done.
pub async fn dry_run(
    environment: &Environment,
    database: &Database,
    runbook: &Runbook,
    options: &Options,
) -> Result<Vec<(Step, Preview)>, Failure> {
    let info = new_info(environment, database, runbook, options);
    let inputs = inputs(runbook, database, options)?;
    preview(environment, &info, runbook, &action::registry(), &inputs).await
}

fn inputs(runbook: &Runbook, database: &Database, options: &Options) -> anyhow::Result<Map<String, Value>> {
    let mut given = Map::new();
    given.insert("target".to_owned(), Value::from(database.id.clone()));
    let point = options.point.clone().unwrap_or_else(|| database.test.point.to_string());
    given.insert("point".to_owned(), Value::from(point));
    given.retain(|name, _| runbook.inputs.iter().any(|input| input.name == *name));
    inputs_of(runbook, &given)
}

fn new_info(environment: &Environment, database: &Database, runbook: &Runbook, options: &Options) -> RunInfo {
    let started_at = environment.clock.now();
    let keep_for = options.keep_for.unwrap_or(database.test.keep_for);
    let deadline_at = later(started_at, database.test.deadline);
    let expires_at = match runbook.kind {
        RunbookKind::Recovery => None,
        RunbookKind::Drill if keep_for.is_zero() => Some(later(deadline_at, EXPIRY_MARGIN)),
        RunbookKind::Drill => Some(later(started_at, keep_for).max(deadline_at)),
    };
    let (id, target) = (new_run_id(started_at), database.id.clone());
    RunInfo { id, target, started_at, expires_at, accept_changes: options.accept_changes, deadline_at }
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
pub async fn resume(environment: &Environment, run: &crate::store::Run) -> anyhow::Result<TestReport> {
    let (owner, history) = take_over(environment, run).await?;
    carry_on(environment, &run.new, owner, history).await?.report()
}

/// Undoes what a dead or stuck run left, and ends it.
///
/// # Errors
/// Where it still runs, or its target is no longer configured.
pub async fn settle(environment: &Environment, run: &crate::store::Run) -> anyhow::Result<TestReport> {
    let (owner, history) = take_over(environment, run).await?;
    let mut work = Work::new(environment, &run.new, owner.lease())?;
    // Whoever reaps comes again: what cannot move now need not be waited for.
    work.patience = REAPING_PATIENCE;
    work.go(owner, history, Direction::Back).instrument(span(&run.new)).await?.report()
}

async fn take_over(
    environment: &Environment,
    run: &crate::store::Run,
) -> anyhow::Result<(Owner, Vec<(Timestamp, Entry)>)> {
    database_of(environment, &run.new)?;
    same_place(environment, run)?;
    let owner = environment.store.claim(&run.new.id).await?;
    let owner = owner.with_context(|| format!("run `{}` is still at work in another process", run.new.id))?;
    let history = environment.store.journal(&run.new.id).await?;
    Ok((owner, history))
}

/// Carries a run that this process owns from where its journal stands to its end.
///
/// # Errors
/// Where its target is no longer configured, or its document cannot be read.
pub async fn carry_on(
    environment: &Environment,
    new: &NewRun,
    owner: Owner,
    history: Vec<(Timestamp, Entry)>,
) -> anyhow::Result<Carried> {
    let work = Work::new(environment, new, owner.lease())?;
    work.go(owner, history, Direction::Forward).instrument(span(new)).await
}

/// Every line that is logged on the way carries the run's id.
fn span(new: &NewRun) -> tracing::Span {
    tracing::info_span!("run", run.id = %new.id, database = %new.target)
}

fn database_of<'e>(environment: &'e Environment, new: &NewRun) -> anyhow::Result<&'e Database> {
    environment
        .estate
        .database(&new.target)
        .with_context(|| format!("run `{}` is of `{}`, which the configuration no longer has", new.id, new.target))
}

/// Whether we look where the run has made things: elsewhere all of them would seem to be gone.
fn same_place(environment: &Environment, run: &crate::store::Run) -> anyhow::Result<()> {
    let there = |simulated: bool| if simulated { "the sandbox" } else { "AWS" };
    let (then, now) = (run.new.simulated, environment.clock.is_simulated());
    anyhow::ensure!(
        then == now && run.new.account == environment.account,
        "run `{}` was against {} in account {}, and this is {} in account {}",
        run.new.id,
        there(then),
        run.new.account,
        there(now),
        environment.account
    );
    Ok(())
}

/// Where a run is carried.
#[derive(Clone, Copy, Debug)]
enum Direction {
    /// Through its steps.
    Forward,
    /// Back to where nothing of it stands.
    Back,
}

/// A run that this process owns.
struct Work<'w> {
    /// The way to AWS is barred as soon as the run is no longer ours.
    environment: Environment,
    database: &'w Database,
    new: &'w NewRun,
    info: RunInfo,
    lease: Option<Lease>,
    /// How long each part of a removal may take.
    patience: Duration,
}

impl<'w> Work<'w> {
    fn new(environment: &'w Environment, new: &'w NewRun, lease: Option<Lease>) -> anyhow::Result<Self> {
        let database = database_of(environment, new)?;
        let mut environment = environment.clone();
        // A run goes on where it began, whatever the configuration says by now.
        environment.aws = environment.aws.for_region(&new.region);
        if let Some(lease) = lease.clone() {
            environment.aws = environment.aws.guarded(Guard::new(lease.length(), move || lease.left()));
        }
        let info = RunInfo {
            id: new.id.clone(),
            target: new.target.clone(),
            started_at: new.started_at,
            expires_at: new.expires_at,
            accept_changes: new.accept_changes,
            deadline_at: later(new.started_at, database.test.deadline),
        };
        Ok(Self { environment, database, new, info, lease, patience: PATIENCE })
    }

    async fn go(
        &self,
        owner: Owner,
        history: Vec<(Timestamp, Entry)>,
        direction: Direction,
    ) -> anyhow::Result<Carried> {
        let runbook = Runbook::parse(&self.new.runbook, &self.new.document)?;
        let earlier_seconds = self.earlier_seconds(&history);
        let Environment { store, clock, .. } = &self.environment;
        let last_seq = if history.is_empty() { 0 } else { store.last_seq(&self.info.id).await? };
        let ledger = Ledger::new(store.clone(), clock.clone(), owner, history, last_seq);
        let ended = tokio::select! {
            biased;
            () = self.lost() => None,
            () = self.environment.leave.cancelled() => None,
            report = self.to_its_end(&runbook, &ledger, direction, earlier_seconds) => Some(report?),
        };
        if let Some(report) = ended {
            if let Some(owner) = ledger.into_owner() {
                owner.release();
            }
            return Ok(Carried::Done(Box::new(report)));
        }
        // A call that is under way is seen through before somebody else may act.
        ledger.settle().await;
        if let Some(owner) = ledger.into_owner() {
            owner.abandon().await;
        }
        tracing::info!("the run is left to be carried on");
        Ok(Carried::Left)
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
        ledger: &Ledger,
        direction: Direction,
        earlier_seconds: f64,
    ) -> anyhow::Result<TestReport> {
        let environment = &self.environment;
        let (kind, keep_for) = (self.database.kind, self.new.keep_for);
        let patience = self.patience;
        let run = Run { environment, info: &self.info, kind, keep_for, patience, ledger };
        let finished = match direction {
            Direction::Forward => {
                let registry: Registry = action::registry();
                let inputs = self.new.inputs.as_object().cloned().unwrap_or_default();
                let began = Happening::Began { run_id: self.info.id.clone(), objective: self.database.objectives.rto };
                environment.reporter.tell(&self.info.target, &began);
                execute(&run, runbook, &registry, &inputs).await
            }
            Direction::Back => unwind(&run, runbook, "its process was killed; unwound afterwards").await,
        };
        self.conclude(ledger, &finished, earlier_seconds).await
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
        let until = proved_at.unwrap_or_else(|| self.environment.clock.now());
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
        ledger: &Ledger,
        finished: &crate::runbook::Finished,
        earlier_seconds: f64,
    ) -> anyhow::Result<TestReport> {
        let Environment { store, clock, estate, .. } = &self.environment;
        let mut report = ledger.read(|entries| assemble(self.database, &self.info, finished, entries, earlier_seconds));
        let json = serde_json::to_value(&report)?;
        let facts = finished.outputs.values().find_map(|output| output.get("facts")).filter(|facts| !facts.is_null());
        let at = clock.now();
        let ended = Ended { state: report.outcome, reason: &report.reason, at, report: Some(&json), facts };
        // What a schedule started is told of, whoever ends it.
        let tells = self.environment.notify || self.new.occurrence.is_some();
        let tell = |before: &Before| {
            let told = tells.then(|| compose(estate, &report, at, self.new.simulated, before));
            told.transpose().unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "the result could not be put into messages");
                None
            })
        };
        if let Some(owner) = ledger.owner()
            && let Err(error) = store.end(owner, &ended, &tell).await
        {
            report = not_recorded(report, &error);
        }
        let happening = Happening::Ended { state: report.outcome, reason: report.reason.clone() };
        self.environment.reporter.tell(&self.info.target, &happening);
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
