//! `drctl restore-test`: proves one database, several, or all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress, runs};
use crate::context::{AppContext, RunEvent};
use crate::estate::Database;
use crate::notify::Deliverer;
use crate::report::{self, Detail, RestoreTests, TestReport};
use crate::restore_test::{self, Options};
use crate::runbook::{Failure, Preview, Runbook, Step, lint};
use crate::{duration, text};

/// Tests at the same time, unless asked otherwise.
const PARALLEL: usize = 4;
const MAX_PARALLEL: usize = 32;
/// Where the values of a report's lines begin.
const INDENT: usize = 11;
/// What lines of a report begin with that say how something ended.
const OUTCOMES: [&str; 6] = ["passed", "failed", "unknown", "refused", "interrupted", "stuck"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The databases to test, by their names in the estate file.
    targets: Vec<String>,
    /// Test every database of the estate.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// What to restore: latest, latest-automated, random, pitr, an RFC 3339 time, or a snapshot's id.
    #[arg(long)]
    point: Option<String>,
    /// Follow this runbook instead of the shipped one.
    #[arg(long, value_name = "FILE")]
    runbook: Option<PathBuf>,
    /// Keep a copy that passed for so long, as in `2h`; `drctl reap` removes it afterwards.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    keep_for: Option<Duration>,
    /// Keep a copy that did not pass as long as `--keep-for` says, to inspect it.
    #[arg(long, requires = "keep_for")]
    keep_failed: bool,
    /// Print every call that would be made, and make none that changes anything.
    #[arg(long)]
    dry_run: bool,
    /// Accept what changed: this run's catalogue, counts and content become the new baseline, if it passes.
    #[arg(long, alias = "accept-changes")]
    update_baseline: bool,
    /// Notify the estate's channels, as the daemon does: for a timer of your own.
    #[arg(long)]
    notify: bool,
    /// Tests at the same time.
    #[arg(long, default_value_t = PARALLEL, value_parser = parse_parallel, value_name = "N")]
    parallel: usize,
    /// Show every difference between the copy and its source.
    #[arg(long, short)]
    verbose: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write a duration such as 2h".to_owned())
}

fn parse_parallel(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=MAX_PARALLEL).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {MAX_PARALLEL}"))
}

pub(super) async fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let databases = choose(&loaded.estate.databases, args)?;
    let plans: Vec<(Database, Runbook)> = databases
        .into_iter()
        .map(|database| Ok((database.clone(), runbook_for(database, args.runbook.as_deref())?)))
        .collect::<anyhow::Result<_>>()?;
    let cancel = bootstrap::cancel_on_signal();
    let (mut app, _) = bootstrap::app(&loaded, cancel, progress::reporter()).await?;
    app.notify = args.notify;
    let options = Options {
        point: args.point.clone(),
        keep_for: args.keep_for,
        keep_failed: args.keep_failed,
        update_baseline: args.update_baseline,
    };
    runs::warn_of_dead(&app.store, &app.estate.name).await?;
    if args.dry_run {
        return dry_run(&app, &plans, &options, format).await;
    }
    let (reports, mut exits) = test_all(&app, plans, &options, args.parallel).await;
    if args.notify
        && let Err(error) = Deliverer::new(app.clone()).deliver_due().await
    {
        output::status(&format!(
            "warning: some messages could not be delivered: {error:#}; `drctl notify retry` tries again"
        ));
    }
    let simulated = app.clock.is_simulated();
    let detail = if args.verbose { Detail::Full } else { Detail::Brief };
    show(&app.estate.name, simulated, &reports, detail, format)?;
    exits.extend(reports.iter().map(|report| Exit::of(report.outcome)));
    Ok(Exit::worst(exits))
}

fn choose<'e>(databases: &'e [Database], args: &Args) -> anyhow::Result<Vec<&'e Database>> {
    let names: Vec<_> = databases.iter().map(|database| database.id.as_str()).collect();
    let hint = format!("the estate has: {}", names.join(", "));
    if args.all {
        if databases.is_empty() {
            return Err(output::usage("the estate has no database", "add a `[[database]]` to the configuration"));
        }
        return Ok(databases.iter().collect());
    }
    if args.targets.is_empty() {
        let message = format!("no target given; {hint}");
        return Err(output::usage(message, "name one or more of them, or give `--all`"));
    }
    let find = |name: &String| {
        let found = databases.iter().find(|database| database.id == *name);
        let hint = || text::did_you_mean(name, names.iter().copied()).unwrap_or_else(|| hint.clone());
        found.ok_or_else(|| output::usage(format!("there is no target `{name}`"), hint()))
    };
    args.targets.iter().map(find).collect()
}

fn runbook_for(database: &Database, file: Option<&Path>) -> anyhow::Result<Runbook> {
    let Some(file) = file else { return restore_test::shipped_runbook(database) };
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read the runbook `{shown}`"))?;
    let runbook = Runbook::parse(&shown, &text)?;
    let problems = lint(&runbook, &crate::action::registry());
    if !problems.is_empty() {
        return Err(crate::config::ConfigError { file: shown, problems }.into());
    }
    let fits = runbook.inputs.iter().all(|input| input.engines.is_empty() || input.engines.contains(&database.kind));
    if !fits {
        let message = format!("runbook `{}` is not for `{}`, which is {}", runbook.name, database.id, database.kind);
        return Err(output::usage(message, "choose another target, or widen `engines` in the runbook"));
    }
    Ok(runbook)
}

async fn dry_run(
    app: &AppContext,
    plans: &[(Database, Runbook)],
    options: &Options,
    format: Format,
) -> anyhow::Result<Exit> {
    let mut exits = vec![Exit::Passed];
    let mut targets = Vec::new();
    for (database, runbook) in plans {
        let previewed = restore_test::dry_run(app, database, runbook, options).await;
        if let Err(failure) = &previewed {
            exits.push(Exit::of(failure.state));
        }
        match format {
            Format::Text | Format::Terraform => show_preview(database, runbook, &previewed),
            Format::Json => targets.push(preview_as_json(database, runbook, &previewed)),
        }
    }
    if format == Format::Json {
        output::json(&json!({ "schema": "drctl.dry-run/1", "targets": targets }))?;
    }
    output::status("dry run: nothing was changed");
    Ok(Exit::worst(exits))
}

/// What each step would do, or why one could not.
type Previewed = Result<Vec<(Step, Preview)>, Failure>;

fn show_preview(database: &Database, runbook: &Runbook, previewed: &Previewed) {
    output::print(&format!("{} by runbook `{}`:", database.id, runbook.name));
    let previews = match previewed {
        Ok(previews) => previews,
        Err(failure) => {
            output::status(&format!("error: {}: {}", database.id, failure.message()));
            if let Some(hint) = &failure.hint {
                output::status(&format!("hint: {hint}"));
            }
            return;
        }
    };
    for (step, preview) in previews {
        output::print(&format!("  step `{}` ({})", step.id, step.action));
        for note in &preview.notes {
            output::print(&format!("    {note}"));
        }
        for call in &preview.calls {
            output::print(&format!("    {}", call.to_string().replace('\n', "\n    ")));
        }
    }
}

fn preview_as_json(database: &Database, runbook: &Runbook, previewed: &Previewed) -> Value {
    let mut document = json!({ "target": database.id, "runbook": runbook.name });
    match previewed {
        Ok(previews) => {
            let steps = previews.iter().map(|(step, preview)| {
                let calls = preview.calls.iter().map(|call| {
                    let arguments: Map<String, Value> =
                        call.arguments.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                    json!({ "service": call.service, "operation": call.operation, "arguments": arguments })
                });
                let calls: Vec<_> = calls.collect();
                json!({ "id": step.id, "action": step.action, "notes": preview.notes, "calls": calls })
            });
            document["steps"] = steps.collect();
        }
        Err(failure) => {
            document["error"] = json!(failure.message());
            document["hint"] = json!(failure.hint);
        }
    }
    document
}

/// Tests several databases, a few at a time. What could not even be started has no report, but an exit.
pub(super) async fn test_all(
    app: &AppContext,
    plans: Vec<(Database, Runbook)>,
    options: &Options,
    parallel: usize,
) -> (Vec<TestReport>, Vec<Exit>) {
    let permits = Arc::new(Semaphore::new(parallel));
    let mut tasks = JoinSet::new();
    for (at, (database, runbook)) in plans.into_iter().enumerate() {
        let (app, options, permits) = (app.clone(), options.clone(), Arc::clone(&permits));
        tasks.spawn(async move {
            if permits.available_permits() == 0 {
                app.reporter.emit(&database.id, &RunEvent::Queued);
            }
            let _permit = permits.acquire_owned().await;
            (at, restore_test::test(&app, &database, &runbook, &options).await)
        });
    }
    let (mut reports, mut exits) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((at, Ok(report))) => reports.push((at, report)),
            Ok((_, Err(error))) => exits.push(output::fail(&error)),
            Err(error) => {
                output::status(&format!("error: a test ended unexpectedly: {error}"));
                exits.push(Exit::Unknown);
            }
        }
    }
    reports.sort_by_key(|(at, _)| *at);
    (reports.into_iter().map(|(_, report)| report).collect(), exits)
}

/// Prints reports: each in full and a table, or one JSON document.
pub(super) fn show(
    estate: &str,
    simulated: bool,
    reports: &[TestReport],
    detail: Detail,
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&RestoreTests::new(estate, simulated, reports.to_vec()));
    }
    for report in reports {
        show_one(report, detail);
        output::print("");
    }
    if reports.len() > 1 {
        output::print(&report::table(reports, output::stdout_width()));
    }
    if simulated {
        output::status("this was the sandbox, not AWS");
    }
    Ok(())
}

/// One report, with outcomes in their colours.
pub(super) fn show_one(report: &TestReport, detail: Detail) {
    for line in report::test_as_text(report, detail).lines() {
        let wrapped = output::stdout_width().map_or_else(|| line.to_owned(), |width| text::wrap(line, width, INDENT));
        let word = line.split_whitespace().next().unwrap_or_default();
        let is_outcome = OUTCOMES.iter().any(|outcome| outcome.eq_ignore_ascii_case(word));
        let style = output::style_of(word);
        let painted = if is_outcome { wrapped.replacen(word, &format!("{style}{word}{style:#}"), 1) } else { wrapped };
        output::print(&painted);
    }
}
