//! Runs whose process is gone, and runs that are stuck.

use serde_json::json;

use super::{DeadRuns, Reaped};
use crate::context::AppContext;
use crate::restore_test;
use crate::runbook::{Remaining, outstanding_resources};
use crate::store::{Entry, Run, RunState};

/// Unwinds them.
///
/// # Errors
/// Where the store could not be asked.
pub(super) async fn unwind(app: &AppContext, dry_run: bool, dead: DeadRuns) -> anyhow::Result<Reaped> {
    let mut reaped = Reaped::default();
    let mut parts = Vec::new();
    for run in app.store.unfinished_runs(&app.estate.name).await? {
        let id = &run.new.id;
        if dead == DeadRuns::OfPeople && run.state == RunState::Running && run.new.occurrence.is_some() {
            continue;
        }
        if app.store.is_at_work(id).await? {
            reaped.at_work.push(format!("{id}: still at work in another process"));
            continue;
        }
        if dry_run {
            for resource in outstanding_resources(&app.store.journal(id).await?) {
                reaped.removed.push(format!("{} (of run {id})", resource.id));
            }
            continue;
        }
        parts.push(one(app, run));
    }
    reaped.merge(Reaped::gather(parts).await);
    Ok(reaped)
}

async fn one(app: &AppContext, run: Run) -> Reaped {
    let mut reaped = Reaped::default();
    let id = &run.new.id;
    match restore_test::unwind_run(app, &run).await {
        Ok(report) => {
            let gone = report.resources.iter().filter(|resource| resource.state == "deleted");
            reaped.removed.extend(gone.map(|resource| resource.id.clone()));
            if report.outcome == RunState::Stuck {
                for remaining in remaining(app, id, &report.reason).await {
                    reaped.keep_in_sight(remaining);
                }
            } else {
                reaped.unwound.push(json!({ "run_id": id, "target": report.target, "outcome": report.outcome }));
            }
        }
        Err(error) => {
            for remaining in remaining(app, id, &format!("{error:#}")).await {
                reaped.keep_in_sight(Remaining { left_alone: false, reason: format!("{error:#}"), ..remaining });
            }
        }
    }
    reaped
}

/// What of a run is still there, each with what was journalled of it last.
async fn remaining(app: &AppContext, run_id: &str, reason: &str) -> Vec<Remaining> {
    let journal = match app.store.journal(run_id).await {
        Ok(journal) => journal,
        Err(error) => {
            tracing::error!(run.id = run_id, error = format!("{error:#}"), "a journal cannot be read");
            return Vec::new();
        }
    };
    let last = |wanted: &crate::aws::Resource| {
        journal.iter().rev().find_map(|(_, entry)| match entry {
            Entry::LeftAlone { resource, reason } if resource == wanted => Some((reason.clone(), true)),
            Entry::RemovalFailed { resource, error } if resource == wanted => Some((error.clone(), false)),
            _ => None,
        })
    };
    let told = outstanding_resources(&journal).into_iter().map(|resource| {
        let (reason, left_alone) = last(&resource).unwrap_or_else(|| (reason.to_owned(), false));
        Remaining { resource, reason, left_alone, advice: None }
    });
    told.collect()
}
