//! `drctl runs`: what was run, in full where asked, and resumed where it was cut off.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress, restore_test as shown, run_journal};
use crate::config::Loaded;
use crate::report::{Detail, TestReport, columns};
use crate::store::{Entry, Run, RunState, Store};
use crate::{restore_test, text};

/// Runs that a list shows.
const LISTED: u32 = 50;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List runs, the newest first.
    List {
        /// Only those of this target.
        target: Option<String>,
        /// At most so many.
        #[arg(long, alias = "most", default_value_t = LISTED, value_name = "N")]
        limit: u32,
    },
    /// Show one run with its journal.
    Show {
        /// The run's id, or the end of it.
        id: String,
        /// Show every difference between the copy and its source.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Write a copy of the state file, also while a daemon is at work on it.
    Backup {
        /// The new file.
        file: PathBuf,
    },
    /// Resume a run whose process was killed.
    Resume {
        /// The run's id, or the end of it.
        id: String,
    },
}

pub(super) async fn run(config: &Path, verb: &Verb, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let zone = &loaded.estate.timezone;
    match verb {
        Verb::List { target, limit } => {
            let store = bootstrap::store_for_reading(&loaded).await?;
            let runs = store.runs(target.as_deref(), *limit).await?;
            if runs.is_empty()
                && let Some(target) = target
            {
                check_target(&loaded, target)?;
            }
            list(&store, &runs, zone, format).await?;
            Ok(Exit::Passed)
        }
        Verb::Show { id, verbose } => {
            let store = bootstrap::store_for_reading(&loaded).await?;
            let run = store.run(id).await?;
            let journal = store.journal(&run.new.id).await?;
            let detail = if *verbose { Detail::Full } else { Detail::Brief };
            show(&store, &run, &journal, zone, detail, format).await?;
            Ok(Exit::Passed)
        }
        Verb::Backup { file } => {
            bootstrap::store_for_reading(&loaded).await?.back_up(file).await?;
            output::status(&format!("written to `{}`", file.display()));
            Ok(Exit::Passed)
        }
        Verb::Resume { id } => resume(&loaded, id, format).await,
    }
}

async fn resume(loaded: &Loaded, id: &str, format: Format) -> anyhow::Result<Exit> {
    let cancel = bootstrap::cancel_on_signal();
    let (app, _) = bootstrap::app(loaded, cancel, progress::reporter()).await?;
    let run = app.store.run(id).await?;
    if run.state != RunState::Running {
        let message = format!("run `{}` has ended: it is {}", run.new.id, run.state);
        let hint = if run.state == RunState::Stuck { "use `drctl reap`" } else { "start a new test" };
        return Err(output::usage(message, hint));
    }
    let report = restore_test::resume(&app, &run).await?;
    let exit = Exit::of(report.outcome);
    shown::show(&app.estate.name, app.clock.is_simulated(), &[report], Detail::Brief, format)?;
    Ok(exit)
}

/// A target without runs is in the configuration, or is a mistake.
fn check_target(loaded: &Loaded, target: &str) -> anyhow::Result<()> {
    if loaded.estate.database(target).is_some() {
        return Ok(());
    }
    let names: Vec<_> = loaded.estate.databases.iter().map(|database| database.id.as_str()).collect();
    let known = || format!("the estate has: {}", names.join(", "));
    let hint = text::did_you_mean(target, names.iter().copied()).unwrap_or_else(known);
    Err(output::usage(format!("there is no target `{target}`, and no run of one"), hint))
}

/// What to do about a run whose process is gone.
pub(super) fn dead(id: &str) -> String {
    format!("dead: resume with `drctl runs resume {id}`, undo with `drctl reap`")
}

/// Says which runs of the estate are dead, before another one is started.
pub(super) async fn warn_of_dead(store: &Store, estate: &str) -> anyhow::Result<()> {
    for run in store.unfinished_runs(estate).await? {
        if run.state == RunState::Running && !store.is_at_work(&run.new.id).await? {
            output::status(&format!("warning: run {} of {} is {}", run.new.id, run.new.target, dead(&run.new.id)));
        }
    }
    Ok(())
}

/// How a run stands, in a few words.
async fn standing(store: &Store, run: &Run) -> anyhow::Result<String> {
    Ok(match &run.reason {
        Some(reason) => text::clean(reason),
        None if store.is_at_work(&run.new.id).await? => "in progress".to_owned(),
        None => dead(&run.new.id),
    })
}

async fn list(store: &Store, runs: &[Run], zone: &TimeZone, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let runs: Vec<_> = runs.iter().map(as_json).collect();
        return output::json(&json!({ "schema": "drctl.runs/1", "runs": runs }));
    }
    if runs.is_empty() {
        output::status("no runs yet: start one with `drctl restore-test TARGET`");
        return Ok(());
    }
    let mut rows = vec![["RUN", "STARTED", "TARGET", "RESULT", "REASON"].map(str::to_owned).to_vec()];
    for run in runs {
        let sandbox = if run.new.simulated { "[sandbox] " } else { "" };
        let reason = format!("{sandbox}{}", standing(store, run).await?);
        let started = minute(run.new.started_at, zone);
        rows.push(vec![run.new.id.clone(), started, run.new.target.clone(), run.state.name().to_owned(), reason]);
    }
    output::print_wrapped(&columns(&rows), 2);
    Ok(())
}

/// A time as people read it, in the estate's time zone.
pub(super) fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

fn as_json(run: &Run) -> serde_json::Value {
    json!({
        "run_id": run.new.id, "estate": run.new.estate, "target": run.new.target, "runbook": run.new.runbook,
        "outcome": run.state, "reason": run.reason, "started_at": run.new.started_at, "ended_at": run.ended_at,
        "simulated": run.new.simulated,
    })
}

async fn show(
    store: &Store,
    run: &Run,
    journal: &[(Timestamp, Entry)],
    zone: &TimeZone,
    detail: Detail,
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        let entries: Vec<_> = journal.iter().map(|(at, entry)| json!({ "at": at, "entry": entry })).collect();
        let mut document = as_json(run);
        document["schema"] = json!("drctl.run/1");
        document["report"] = run.report.clone().unwrap_or_default();
        document["journal"] = json!(entries);
        return output::json(&document);
    }
    if let Some(report) = &run.report {
        let report: TestReport = serde_json::from_value(report.clone())?;
        shown::show_one(&report, detail);
    } else {
        output::print_wrapped(&format!("{}  {}  {}", run.new.id, run.new.target, standing(store, run).await?), 2);
    }
    output::print(&format!("\njournal of run {}, started {}:", run.new.id, minute(run.new.started_at, zone)));
    output::print_wrapped(&run_journal::table(journal, zone), 18);
    Ok(())
}
