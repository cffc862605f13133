//! `drctl reap`: removes what dead runs left, and copies that have expired, journal or no journal.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::exit::Exit;
use super::output::{self, Format};
use super::{progress, setup};
use crate::aws::{Resource, ResourceKind};
use crate::estate::{DatabaseKind, Tags};
use crate::restore_test;
use crate::runbook::{EXPIRES_TAG, Environment, NAME_PREFIX, RUN_TAG, Remover, TARGET_TAG, standing};
use crate::store::RunState;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What reaping did.
#[derive(Debug, Default, serde::Serialize)]
struct Reaped {
    schema: &'static str,
    unwound: Vec<serde_json::Value>,
    removed: Vec<String>,
    remains: Vec<serde_json::Value>,
    at_work: Vec<String>,
}

pub(super) async fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = setup::load(config)?;
    let cancel = setup::cancel_on_signal();
    let (environment, _) = setup::environment(&loaded, cancel, progress::silent()).await?;
    let mut reaped = Reaped { schema: "drctl.reap/1", ..Reaped::default() };
    unwind_runs(&environment, args.dry_run, &mut reaped).await?;
    remove_expired(&environment, args.dry_run, &mut reaped).await?;
    if format == Format::Json {
        output::json(&reaped)?;
    } else {
        tell(&reaped, args.dry_run);
    }
    Ok(if reaped.remains.is_empty() { Exit::Passed } else { Exit::Remains })
}

/// Runs whose process is gone, and runs that are stuck.
async fn unwind_runs(environment: &Environment, dry_run: bool, reaped: &mut Reaped) -> anyhow::Result<()> {
    for run in environment.store.unsettled(&environment.estate.name).await? {
        let id = &run.new.id;
        if environment.store.is_at_work(id)? {
            reaped.at_work.push(format!("{id}: still at work in another process"));
            continue;
        }
        if dry_run {
            for resource in standing(&environment.store.journal(id).await?) {
                reaped.removed.push(format!("{} (of run {id})", resource.id));
            }
            continue;
        }
        match restore_test::settle(environment, &run).await {
            Ok(report) if report.outcome == RunState::Stuck => {
                let stuck = report.resources.iter().filter(|resource| resource.state == "stuck");
                for resource in stuck {
                    let resource =
                        Resource { kind: resource.kind, id: resource.id.clone(), region: resource.region.clone() };
                    reaped.remains.push(remaining(&resource, &report.reason));
                }
            }
            Ok(report) => {
                let gone = report.resources.iter().filter(|resource| resource.state == "deleted");
                reaped.removed.extend(gone.map(|resource| resource.id.clone()));
                reaped.unwound.push(json!({ "run_id": id, "target": report.target, "outcome": report.outcome }));
            }
            Err(error) => {
                for resource in standing(&environment.store.journal(id).await?) {
                    reaped.remains.push(remaining(&resource, &format!("{error:#}")));
                }
            }
        }
    }
    Ok(())
}

/// Something that is still there, as it is told.
fn remaining(resource: &Resource, reason: &str) -> serde_json::Value {
    json!({ "id": resource.id, "reason": reason, "remove_with": resource.removal_command() })
}

/// Whatever carries our tags and has expired.
async fn remove_expired(environment: &Environment, dry_run: bool, reaped: &mut Reaped) -> anyhow::Result<()> {
    let now = environment.clock.now();
    let region = &environment.aws.region;
    let mut found: Vec<(Resource, DatabaseKind, String, String)> = Vec::new();
    for instance in environment.aws.all_instances().await? {
        let kind = kind_of(&instance.engine);
        let resource = Resource { kind: ResourceKind::DbInstance, id: instance.id, region: region.clone() };
        found.extend(expired(resource, kind, &instance.tags, now));
    }
    for cluster in environment.aws.all_clusters().await? {
        let kind = kind_of(&cluster.engine);
        let resource = Resource { kind: ResourceKind::DbCluster, id: cluster.id, region: region.clone() };
        found.extend(expired(resource, kind, &cluster.tags, now));
    }
    for (resource, kind, run_id, target) in found {
        if dry_run {
            reaped.removed.push(resource.id);
            continue;
        }
        let remover = Remover { environment, run_id: &run_id, kind, target: &target };
        match remover.remove(&resource).await {
            Ok(()) => reaped.removed.push(resource.id),
            Err(error) => reaped.remains.push(remaining(&resource, &format!("{error:#}"))),
        }
    }
    Ok(())
}

fn kind_of(engine: &str) -> DatabaseKind {
    let known = DatabaseKind::ALL.into_iter().find(|(_, kind)| kind.matches_engine(engine));
    known.map_or(DatabaseKind::RdsPostgresql, |(_, kind)| kind)
}

/// Name, tags and time must all say that drctl made it and that it may go.
fn expired(
    resource: Resource,
    kind: DatabaseKind,
    tags: &Tags,
    now: Timestamp,
) -> Option<(Resource, DatabaseKind, String, String)> {
    let run_id = tags.get(RUN_TAG)?.clone();
    let expires_at: Timestamp = tags.get(EXPIRES_TAG)?.parse().ok()?;
    let target = tags.get(TARGET_TAG).cloned().unwrap_or_default();
    (resource.id.starts_with(NAME_PREFIX) && expires_at <= now).then_some((resource, kind, run_id, target))
}

fn tell(reaped: &Reaped, dry_run: bool) {
    let verb = if dry_run { "would remove" } else { "removed" };
    for id in &reaped.removed {
        output::data(&format!("{verb} {id}"));
    }
    for run in &reaped.at_work {
        output::talk(&format!("left alone: {run}"));
    }
    for remaining in &reaped.remains {
        let text = |key: &str| remaining[key].as_str().unwrap_or_default().to_owned();
        output::data(&format!("STUCK {}: {}", text("id"), text("reason")));
        output::talk(&format!("hint: by hand: `{}`", text("remove_with")));
    }
    if reaped.removed.is_empty() && reaped.remains.is_empty() {
        output::talk("nothing to remove");
    }
}
