//! One restore test from its start to its report: starts or resumes a run, and ends it in the store.

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::action;
use crate::estate::Database;
use crate::report::{TestReport, assemble};
use crate::runbook::{
    Environment, Failure, Happening, Ledger, Preview, Registry, Run, RunInfo, Runbook, RunbookKind, Step, execute,
    inputs_of, preview, unwind,
};
use crate::store::{Ended, Entry, NewRun, Owner, RunState};

/// Added to the time after which anybody may remove what a run made.
const EXPIRY_MARGIN: Duration = Duration::from_hours(2);

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
    let estate = &environment.estate.name;
    if environment.clock.is_simulated() {
        // The sandbox's clock runs ahead of ours until the next answer: begin in step with it.
        environment.aws.account().await?;
    }
    let info = new_info(environment, database, runbook, options);
    let inputs = inputs(runbook, database, options)?;
    let new = NewRun {
        id: info.id.clone(),
        estate: estate.clone(),
        target: database.id.clone(),
        runbook: runbook.name.clone(),
        document: runbook.text.clone(),
        inputs: Value::Object(inputs.clone()),
        started_at: info.started_at,
        expires_at: info.expires_at,
        simulated: environment.clock.is_simulated(),
        keep_for: options.keep_for.unwrap_or(database.test.keep_for),
        accept_changes: options.accept_changes,
        account: environment.account.clone(),
    };
    let owner = environment.store.begin(&new).await?;
    let keep_for = new.keep_for;
    let work = Work { environment, database, info: &info, keep_for };
    work.carry_out(runbook, &inputs, owner, Vec::new()).await
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
    let (work, owner, history) = take_over(environment, run).await?;
    let runbook = Runbook::parse(&run.new.runbook, &run.new.document)?;
    let inputs = run.new.inputs.as_object().cloned().unwrap_or_default();
    let info = work.info.clone();
    let work = Work { environment, database: work.database, info: &info, keep_for: work.keep_for };
    work.carry_out(&runbook, &inputs, owner, history).await
}

/// Undoes what a dead or stuck run left, and ends it.
///
/// # Errors
/// Where it still runs, or its target is no longer configured.
pub async fn settle(environment: &Environment, run: &crate::store::Run) -> anyhow::Result<TestReport> {
    let runbook = Runbook::parse(&run.new.runbook, &run.new.document)?;
    let (work, owner, history) = take_over(environment, run).await?;
    let info = work.info.clone();
    let work = Work { environment, database: work.database, info: &info, keep_for: work.keep_for };
    work.wind_up(&runbook, owner, history).await
}

struct TakenOver<'e> {
    database: &'e Database,
    info: RunInfo,
    keep_for: Duration,
}

async fn take_over<'e>(
    environment: &'e Environment,
    run: &crate::store::Run,
) -> anyhow::Result<(TakenOver<'e>, Owner, Vec<(Timestamp, Entry)>)> {
    let database = environment.estate.database(&run.new.target).with_context(|| {
        format!("run `{}` is of `{}`, which the configuration no longer has", run.new.id, run.new.target)
    })?;
    same_place(environment, run)?;
    let owner = environment.store.claim(&run.new.id).await?;
    let owner = owner.with_context(|| format!("run `{}` is still at work in another process", run.new.id))?;
    let history = environment.store.journal(&run.new.id).await?;
    let info = RunInfo {
        id: run.new.id.clone(),
        target: run.new.target.clone(),
        started_at: run.new.started_at,
        expires_at: run.new.expires_at,
        accept_changes: run.new.accept_changes,
        deadline_at: later(run.new.started_at, database.test.deadline),
    };
    Ok((TakenOver { database, info, keep_for: run.new.keep_for }, owner, history))
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

/// A run that this process owns.
struct Work<'w> {
    environment: &'w Environment,
    database: &'w Database,
    info: &'w RunInfo,
    keep_for: Duration,
}

impl Work<'_> {
    fn run<'r>(&'r self, ledger: &'r Ledger) -> Run<'r> {
        Run {
            environment: self.environment,
            info: self.info,
            kind: self.database.kind,
            keep_for: self.keep_for,
            ledger,
        }
    }

    fn ledger(&self, owner: Owner, history: Vec<(Timestamp, Entry)>) -> Ledger {
        Ledger::new(self.environment.store.clone(), self.environment.clock.clone(), owner, history)
    }

    async fn carry_out(
        &self,
        runbook: &Runbook,
        inputs: &Map<String, Value>,
        owner: Owner,
        history: Vec<(Timestamp, Entry)>,
    ) -> anyhow::Result<TestReport> {
        let registry: Registry = action::registry();
        let earlier_seconds = self.earlier_seconds(&history);
        let began = Happening::Began { run_id: self.info.id.clone(), objective: self.database.objectives.rto };
        self.environment.reporter.tell(&self.info.target, &began);
        let ledger = self.ledger(owner, history);
        let finished = execute(&self.run(&ledger), runbook, &registry, inputs).await;
        self.conclude(ledger, &finished, earlier_seconds).await
    }

    async fn wind_up(
        &self,
        runbook: &Runbook,
        owner: Owner,
        history: Vec<(Timestamp, Entry)>,
    ) -> anyhow::Result<TestReport> {
        let earlier_seconds = self.earlier_seconds(&history);
        let ledger = self.ledger(owner, history);
        let finished = unwind(&self.run(&ledger), runbook, "its process was killed; unwound afterwards").await;
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
        ledger: Ledger,
        finished: &crate::runbook::Finished,
        earlier_seconds: f64,
    ) -> anyhow::Result<TestReport> {
        let entries = ledger.entries();
        let report = assemble(self.database, self.info, finished, &entries, earlier_seconds);
        let json = serde_json::to_value(&report)?;
        let facts = finished.outputs.values().find_map(|output| output.get("facts")).filter(|facts| !facts.is_null());
        let ended = Ended {
            state: report.outcome,
            reason: &report.reason,
            at: self.environment.clock.now(),
            report: Some(&json),
            facts,
        };
        if let Some(owner) = ledger.into_owner() {
            match self.environment.store.end(&owner, &ended).await {
                Ok(()) => owner.release(),
                Err(error) => return Ok(self.not_recorded(report, &error)),
            }
        }
        let happening = Happening::Ended { state: report.outcome, reason: report.reason.clone() };
        self.environment.reporter.tell(&self.info.target, &happening);
        Ok(report)
    }

    /// The verdict stands, but nobody will find it in the store: that is not a pass.
    fn not_recorded(&self, mut report: TestReport, error: &anyhow::Error) -> TestReport {
        if report.outcome == RunState::Passed {
            report.outcome = RunState::Unknown;
        }
        report.reason = format!("{}; but the result could not be recorded: {error:#}", report.reason);
        report.hint = Some("free the disk that holds the state file, then run the test again".to_owned());
        let happening = Happening::Ended { state: report.outcome, reason: report.reason.clone() };
        self.environment.reporter.tell(&self.info.target, &happening);
        report
    }
}
