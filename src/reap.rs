//! Removes what dead runs left, and copies that have expired, journal or no journal.

use jiff::Timestamp;
use serde_json::json;

use crate::aws::{Resource, ResourceKind};
use crate::estate::{DatabaseKind, Tags};
use crate::restore_test;
use crate::runbook::{EXPIRES_TAG, Environment, NAME_PREFIX, RUN_TAG, Remover, TARGET_TAG, standing};
use crate::store::{Entry, RunState};

/// What reaping did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Reaped {
    /// The version of this document's shape.
    pub schema: &'static str,
    /// Runs that were unwound.
    pub unwound: Vec<serde_json::Value>,
    /// What was removed, by its identifier.
    pub removed: Vec<String>,
    /// What could not be removed, and why.
    pub remains: Vec<serde_json::Value>,
    /// Runs that somebody is at work on.
    pub at_work: Vec<String>,
}

/// Which dead runs are unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadRuns {
    /// All of them.
    All,
    /// Those that a person started: what a schedule started is carried on instead.
    OfPeople,
}

/// Removes what dead runs left, and copies that have expired or whose run has ended without them.
///
/// # Errors
/// Where the store or AWS could not be asked.
pub async fn reap(environment: &Environment, dry_run: bool, dead: DeadRuns) -> anyhow::Result<Reaped> {
    let mut reaped = Reaped { schema: "drctl.reap/1", ..Reaped::default() };
    unwind_runs(environment, dry_run, dead, &mut reaped).await?;
    remove_expired(environment, dry_run, &mut reaped).await?;
    Ok(reaped)
}

/// Runs whose process is gone, and runs that are stuck.
async fn unwind_runs(
    environment: &Environment,
    dry_run: bool,
    dead: DeadRuns,
    reaped: &mut Reaped,
) -> anyhow::Result<()> {
    for run in environment.store.unsettled(&environment.estate.name).await? {
        let id = &run.new.id;
        if dead == DeadRuns::OfPeople && run.state == RunState::Running && run.new.occurrence.is_some() {
            continue;
        }
        if environment.store.is_at_work(id).await? {
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
    let region = &environment.aws.region;
    let mut found: Vec<(Resource, DatabaseKind, String, String)> = Vec::new();
    for instance in environment.aws.all_instances().await? {
        let kind = kind_of(&instance.engine);
        let resource = Resource { kind: ResourceKind::DbInstance, id: instance.id, region: region.clone() };
        found.extend(expired(environment, resource, kind, &instance.tags).await);
    }
    for cluster in environment.aws.all_clusters().await? {
        let kind = kind_of(&cluster.engine);
        let resource = Resource { kind: ResourceKind::DbCluster, id: cluster.id, region: region.clone() };
        found.extend(expired(environment, resource, kind, &cluster.tags).await);
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

/// Name and tags must say that drctl made it, and time or its run's end that it may go.
async fn expired(
    environment: &Environment,
    resource: Resource,
    kind: DatabaseKind,
    tags: &Tags,
) -> Option<(Resource, DatabaseKind, String, String)> {
    let run_id = tags.get(RUN_TAG)?.clone();
    let expires_at: Timestamp = tags.get(EXPIRES_TAG)?.parse().ok()?;
    if !resource.id.starts_with(NAME_PREFIX) {
        return None;
    }
    if expires_at > environment.clock.now() && !is_orphan(environment, &run_id, &resource).await {
        return None;
    }
    let target = tags.get(TARGET_TAG).cloned().unwrap_or_default();
    Some((resource, kind, run_id, target))
}

/// Whether its run has ended and did not keep it: a call of an agent that was cut off may have arrived late.
async fn is_orphan(environment: &Environment, run_id: &str, resource: &Resource) -> bool {
    let Ok(run) = environment.store.run(run_id).await else { return false };
    if run.new.id != run_id || matches!(run.state, RunState::Running | RunState::Stuck) {
        return false;
    }
    let Ok(journal) = environment.store.journal(run_id).await else { return false };
    !journal.iter().any(|(_, entry)| matches!(entry, Entry::Kept { resource: kept, .. } if kept == resource))
}
