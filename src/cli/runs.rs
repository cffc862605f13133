//! `drctl runs`: what was run, in full where asked, and carried on where it was cut off.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress, restore_test as shown};
use crate::report::TestReport;
use crate::store::{Run, RunState};
use crate::{restore_test, text};

/// Runs that a list shows.
const LISTED: u32 = 50;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List runs, the newest first.
    List {
        /// Only those of this target.
        target: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = LISTED)]
        most: u32,
    },
    /// Show one run with its journal.
    Show {
        /// The run's id, or the end of it.
        id: String,
    },
    /// Write a copy of the state file, also while a daemon is at work on it.
    Backup {
        /// The new file.
        file: PathBuf,
    },
    /// Carry on a run whose process was killed.
    Resume {
        /// The run's id, or the end of it.
        id: String,
    },
}

pub(super) async fn run(config: &Path, verb: &Verb, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    match verb {
        Verb::List { target, most } => {
            let runs = bootstrap::store_for_reading(&loaded).await?.runs(target.as_deref(), *most).await?;
            list(&runs, format)?;
            Ok(Exit::Passed)
        }
        Verb::Show { id } => {
            let store = bootstrap::store_for_reading(&loaded).await?;
            let run = store.run(id).await?;
            let journal = store.journal(&run.new.id).await?;
            show(&run, &journal, format)?;
            Ok(Exit::Passed)
        }
        Verb::Backup { file } => {
            bootstrap::store_for_reading(&loaded).await?.back_up(file).await?;
            output::status(&format!("written to `{}`", file.display()));
            Ok(Exit::Passed)
        }
        Verb::Resume { id } => {
            let cancel = bootstrap::cancel_on_signal();
            let (app, _) = bootstrap::app(&loaded, cancel, progress::reporter()).await?;
            let run = app.store.run(id).await?;
            if run.state != RunState::Running {
                let message = format!("run `{}` has ended: it is {}", run.new.id, run.state);
                let hint = if run.state == RunState::Stuck { "use `drctl reap`" } else { "start a new test" };
                return Err(output::usage(message, hint));
            }
            let report = restore_test::resume(&app, &run).await?;
            let exit = Exit::of(report.outcome);
            shown::show(&app.estate.name, app.clock.is_simulated(), &[report], format)?;
            Ok(exit)
        }
    }
}

fn list(runs: &[Run], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let runs: Vec<_> = runs.iter().map(as_json).collect();
        return output::json(&json!({ "schema": "drctl.runs/1", "runs": runs }));
    }
    if runs.is_empty() {
        output::status("no runs yet: start one with `drctl restore-test TARGET`");
    }
    for run in runs {
        let (new, state) = (&run.new, run.state.name());
        let started = new.started_at.strftime("%Y-%m-%d %H:%M:%SZ");
        let reason = text::clean(run.reason.as_deref().unwrap_or("at work, or its process was killed"));
        let rehearsal = if new.simulated { "(rehearsal) " } else { "" };
        output::print(&format!("{}  {started}  {:<20}  {state:<11}  {rehearsal}{reason}", new.id, new.target));
    }
    Ok(())
}

fn as_json(run: &Run) -> serde_json::Value {
    json!({
        "run_id": run.new.id, "estate": run.new.estate, "target": run.new.target, "runbook": run.new.runbook,
        "outcome": run.state, "reason": run.reason, "started_at": run.new.started_at, "ended_at": run.ended_at,
        "simulated": run.new.simulated,
    })
}

fn show(run: &Run, journal: &[(jiff::Timestamp, crate::store::Entry)], format: Format) -> anyhow::Result<()> {
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
        output::print(&crate::report::test_as_text(&report));
    } else {
        output::print(&format!("{}  {}  not ended", run.new.id, run.new.target));
        output::status(&format!("hint: `drctl runs resume {}` carries it on, `drctl reap` undoes it", run.new.id));
    }
    for (at, entry) in journal {
        let mut entry = serde_json::to_value(entry)?;
        if let Some(fields) = entry.as_object_mut() {
            // Outputs are in the JSON form; here they would bury everything else.
            fields.remove("outputs");
        }
        let entry = text::plain_json(&entry.to_string());
        output::print(&format!("  {}  {entry}", at.strftime("%H:%M:%S%.3f")));
    }
    Ok(())
}
