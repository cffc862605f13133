//! `drctl status`: how each target stands by what drctl has proved and remembers. Asks nothing but the state.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, runs};
use crate::clock::Clock;
use crate::duration;
use crate::estate::{Database, Estate};
use crate::report::{Cleanup, TestReport};
use crate::store::{LastRun, PlannedJob, Run, RunState, Scope, Store};

/// Runs that are looked through for copies that are kept.
const MOST_RUNS: u32 = 1000;
/// What is due for so long without having started is overdue.
const OVERDUE_AFTER_SECONDS: i64 = 600;

/// What `drctl status --output json` prints.
#[derive(Debug, Serialize)]
struct Status {
    schema: &'static str,
    estate: String,
    environment: String,
    targets: Vec<TargetStatus>,
    /// Runs that have not ended, or that left something behind.
    unfinished: Vec<Unfinished>,
    /// Copies that people wanted kept.
    kept: Vec<KeptCopy>,
}

/// One target.
#[derive(Debug, Serialize)]
struct TargetStatus {
    target: String,
    kind: String,
    /// How its last test ended; absent where it was never tested.
    outcome: Option<RunState>,
    reason: Option<String>,
    run_id: Option<String>,
    ended_at: Option<Timestamp>,
    /// When its backup was proved last.
    proved_at: Option<Timestamp>,
    /// When it is tested next; absent where it has no schedule, or none that fires again.
    next_at: Option<Timestamp>,
    /// Since when a test is due that has not started.
    overdue_since: Option<Timestamp>,
    /// Whether that was in the sandbox.
    simulated: bool,
}

/// A run that has not ended, or that left something behind.
#[derive(Debug, Serialize)]
struct Unfinished {
    run_id: String,
    target: String,
    /// `at-work`, `dead` or `stuck`.
    state: &'static str,
    started_at: Timestamp,
    reason: String,
    /// What to do.
    hint: String,
}

/// A copy that stays on purpose.
#[derive(Debug, Serialize)]
struct KeptCopy {
    id: String,
    region: String,
    target: String,
    run_id: String,
    until: Option<Timestamp>,
}

pub(super) async fn run(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let store = bootstrap::store_for_reading(&loaded).await?;
    let now = Clock::system().now();
    let status = collect(&loaded.estate, &store, now).await?;
    if format == Format::Json {
        output::json(&status)?;
    } else {
        show(&status, &loaded.estate.timezone, now);
    }
    Ok(exit(&status))
}

async fn collect(estate: &Estate, store: &Store, now: Timestamp) -> anyhow::Result<Status> {
    let mut targets = Vec::new();
    let of = |simulated: bool| Scope {
        estate: &estate.name,
        account: estate.account.as_deref().unwrap_or_default(),
        region: &estate.region,
        simulated,
    };
    // What was proved at AWS counts before what was tried in the sandbox.
    let (real, in_sandbox) = (store.last_runs(of(false)).await?, store.last_runs(of(true)).await?);
    for database in &estate.databases {
        let is_of = |last: &&LastRun| last.ended.new.target == database.id;
        let last = real.iter().find(is_of).or_else(|| in_sandbox.iter().find(is_of));
        let planned = match last {
            Some(last) => store.jobs(last.ended.new.scope()).await?,
            None => Vec::new(),
        };
        targets.push(target(database, last, &planned, now));
    }
    let mut unfinished = Vec::new();
    for run in store.unfinished_runs(&estate.name).await? {
        let is_at_work = run.state == RunState::Running && store.is_at_work(&run.new.id).await?;
        unfinished.push(of_run(&run, is_at_work));
    }
    let kept = store.runs(None, MOST_RUNS).await?.iter().flat_map(|run| kept_by(estate, run, now)).collect();
    Ok(Status {
        schema: "drctl.status/1",
        estate: estate.name.clone(),
        environment: estate.environment.clone(),
        targets,
        unfinished,
        kept,
    })
}

fn target(database: &Database, last: Option<&LastRun>, planned: &[PlannedJob], now: Timestamp) -> TargetStatus {
    let due = planned.iter().find(|planned| planned.job.target.as_deref() == Some(&database.id));
    let due = due.and_then(|planned| planned.due_at);
    let timetable = database.test.timetable.as_ref();
    let is_overdue = |due: &Timestamp| now.duration_since(*due).as_secs() > OVERDUE_AFTER_SECONDS;
    let run = last.map(|last| &last.ended);
    TargetStatus {
        target: database.id.clone(),
        kind: database.kind.name().to_owned(),
        outcome: run.map(|run| run.state),
        reason: run.and_then(|run| run.reason.clone()),
        run_id: run.map(|run| run.new.id.clone()),
        ended_at: run.and_then(|run| run.ended_at),
        proved_at: last.and_then(|last| last.passed_at),
        next_at: timetable.and_then(|timetable| due.filter(|due| *due > now).or_else(|| timetable.next(now, now))),
        overdue_since: timetable.and(due).filter(is_overdue),
        simulated: run.is_some_and(|run| run.new.simulated),
    }
}

fn of_run(run: &Run, is_at_work: bool) -> Unfinished {
    let id = &run.new.id;
    let (state, reason, hint) = match run.state {
        RunState::Stuck => {
            let hint = report_of(run).and_then(|report| report.hint).unwrap_or_else(|| "try `drctl reap`".to_owned());
            ("stuck", run.reason.clone().unwrap_or_default(), hint)
        }
        _ if is_at_work => ("at-work", "a process is at work on it".to_owned(), format!("`drctl runs show {id}`")),
        _ => (
            "dead",
            "its process is gone".to_owned(),
            format!("resume with `drctl runs resume {id}`, undo with `drctl reap`"),
        ),
    };
    let (target, started_at) = (run.new.target.clone(), run.new.started_at);
    Unfinished { run_id: id.clone(), target, state, started_at, reason, hint }
}

/// The report, where there is one that this drctl can read.
fn report_of(run: &Run) -> Option<TestReport> {
    serde_json::from_value(run.report.clone()?).ok()
}

/// The copies of a run that were kept and have not expired.
fn kept_by(estate: &Estate, run: &Run, now: Timestamp) -> Vec<KeptCopy> {
    let until = run.new.expires_at;
    if run.new.estate != estate.name || until.is_some_and(|until| until <= now) {
        return Vec::new();
    }
    let Some(report) = report_of(run).filter(|report| report.cleanup == Cleanup::Kept) else { return Vec::new() };
    let kept = report.resources.into_iter().filter(|resource| resource.state == "kept");
    kept.map(|resource| KeptCopy {
        id: resource.id,
        region: resource.region,
        target: run.new.target.clone(),
        run_id: run.new.id.clone(),
        until,
    })
    .collect()
}

/// The gravest of everything wins; what was never tested is unknown.
fn exit(status: &Status) -> Exit {
    let stuck = status.unfinished.iter().filter(|run| run.state == "stuck").map(|_| Exit::Remains);
    let targets = status.targets.iter().map(|target| match target.outcome {
        Some(RunState::Passed) if target.overdue_since.is_none() => Exit::Passed,
        Some(RunState::Failed) => Exit::Failed,
        _ => Exit::Unknown,
    });
    Exit::worst(stuck.chain(targets))
}

fn show(status: &Status, zone: &TimeZone, now: Timestamp) {
    let environment = if status.environment.is_empty() { String::new() } else { format!(" ({})", status.environment) };
    output::print(&format!("estate {}{environment}", status.estate));
    let width = status.targets.iter().map(|target| target.target.chars().count()).max().unwrap_or(0).clamp(6, 32);
    let line = |cells: [&str; 5]| {
        let [target, result, ended, proved, next] = cells;
        let style = style_of_cell(result);
        format!("{target:<width$}  {style}{result:<11}{style:#}  {ended:<11}  {proved:<11}  {next}")
    };
    output::print(&line(["TARGET", "RESULT", "ENDED", "PROVED", "NEXT TEST"]));
    for target in &status.targets {
        let result = target.outcome.map_or("never", RunState::name);
        let next = match (target.overdue_since, target.next_at) {
            (Some(since), _) => format!("overdue {}", ago(Some(since), now)),
            (None, Some(at)) => format!("in {}", duration::show_seconds(at.duration_since(now).as_secs_f64())),
            (None, None) => "not scheduled".to_owned(),
        };
        let cells = [&target.target, result, &ago(target.ended_at, now), &ago(target.proved_at, now), &next];
        output::print(&line(cells.map(|cell| cell)));
        let is_well = matches!(target.outcome, Some(RunState::Passed) | None);
        if let (Some(reason), Some(run), false) = (&target.reason, &target.run_id, is_well) {
            output::print_wrapped(&format!("  {}", crate::text::clean(reason)), 2);
            output::print(&format!("  full report: `drctl runs show {run}`"));
        }
    }
    if status.targets.iter().any(|target| target.simulated) {
        output::print("Some results are of the sandbox, not of AWS.");
    }
    for run in &status.unfinished {
        let Unfinished { run_id, target, state, reason, hint, .. } = run;
        output::print_wrapped(&format!("{state}: run {run_id} of {target}: {}", crate::text::clean(reason)), 2);
        output::print_wrapped(&format!("  hint: {hint}"), 4);
    }
    for copy in &status.kept {
        let until =
            copy.until.map_or_else(|| "for good".to_owned(), |until| format!("until {}", runs::minute(until, zone)));
        let line = format!("kept: `{}` in {}, a copy of {}, {until}", copy.id, copy.region, copy.target);
        output::print_wrapped(&line, 2);
        output::print(&format!("  hint: `drctl keep {}` keeps it for good", copy.id));
    }
}

/// The heading has no colour.
fn style_of_cell(result: &str) -> anstyle::Style {
    if result == "RESULT" { anstyle::Style::new() } else { output::style_of(result) }
}

/// How long ago; a moment that is still to come is the sandbox's, whose clock runs ahead.
fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "never".to_owned() };
    let seconds = now.duration_since(at).as_secs();
    match seconds {
        ..0 => at.strftime("%Y-%m-%d").to_string(),
        0..60 => "just now".to_owned(),
        // The largest unit is enough.
        _ => {
            let shown = duration::show_seconds(f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)));
            format!("{} ago", shown.split(' ').next().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(ago(None, at(0)), "never");
        assert_eq!(ago(Some(at(0)), at(30)), "just now");
        assert_eq!(ago(Some(at(0)), at(7500)), "2h ago");
        assert_eq!(ago(Some(at(90_000)), at(0)), "1970-01-02");
    }
}
