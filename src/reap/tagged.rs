//! Whatever carries drctl's tags and has expired, or outlived its run: journal or no journal.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Reaped, Unseen, regions};
use crate::aws::{Resource, ResourceKind};
use crate::context::AppContext;
use crate::estate::{DatabaseKind, Tags};
use crate::restore_test::REAPING_LIMIT;
use crate::runbook::{
    EXPIRES_TAG, NAME_PREFIX, RUN_TAG, Remaining, Removal, Remover, ResourceHistory, TARGET_TAG, known,
};
use crate::store::{Entry, RunState};

/// Something that may go.
struct Expired {
    resource: Resource,
    kind: DatabaseKind,
    run_id: String,
    target: String,
    known: ResourceHistory,
    /// Why it stays all the same.
    left_alone: Option<String>,
}

/// Removes it, everywhere.
///
/// # Errors
/// Where the store could not be asked.
pub(super) async fn remove(app: &AppContext, dry_run: bool) -> anyhow::Result<Reaped> {
    let regions = regions(app).await?;
    Ok(Reaped::gather(regions.iter().map(|region| in_region(app, region, dry_run)).collect()).await)
}

async fn in_region(app: &AppContext, region: &str, dry_run: bool) -> Reaped {
    let groups = match find(app, region).await {
        Ok(groups) => groups,
        Err(error) => {
            let unseen = Unseen { region: region.to_owned(), reason: error.to_string(), hint: error.hint() };
            return Reaped { unseen: vec![unseen], ..Reaped::default() };
        }
    };
    Reaped::gather(groups.into_values().map(|group| remove_group(app, group, dry_run)).collect()).await
}

/// What may go, a cluster's members before it.
async fn find(app: &AppContext, region: &str) -> crate::aws::Result<BTreeMap<String, Vec<Expired>>> {
    let aws = app.aws.for_region(region);
    let mut groups: BTreeMap<String, Vec<Expired>> = BTreeMap::new();
    let resource = |kind, id| Resource { kind, id, region: region.to_owned() };
    for instance in aws.all_instances().await? {
        let group = instance.cluster.clone().unwrap_or_else(|| instance.id.clone());
        let found = resource(ResourceKind::DbInstance, instance.id);
        if let Some(found) = expired(app, found, kind_of(&instance.engine), &instance.tags).await {
            groups.entry(group).or_default().push(found);
        }
    }
    for cluster in aws.all_clusters().await? {
        let found = resource(ResourceKind::DbCluster, cluster.id.clone());
        if let Some(found) = expired(app, found, kind_of(&cluster.engine), &cluster.tags).await {
            groups.entry(cluster.id).or_default().push(found);
        }
    }
    Ok(groups)
}

fn kind_of(engine: &str) -> DatabaseKind {
    let known = DatabaseKind::ALL.into_iter().find(|(_, kind)| kind.matches_engine(engine));
    known.map_or(DatabaseKind::RdsPostgresql, |(_, kind)| kind)
}

/// Its tags must say that drctl made it, and time or its run's end that it may go.
async fn expired(app: &AppContext, resource: Resource, kind: DatabaseKind, tags: &Tags) -> Option<Expired> {
    let run_id = tags.get(RUN_TAG)?.clone();
    let expires_at: Timestamp = tags.get(EXPIRES_TAG)?.parse().ok()?;
    let run = app.store.run(&run_id).await.ok().filter(|run| run.new.id == run_id);
    let journal = match &run {
        Some(_) => app.store.journal(&run_id).await.ok(),
        None => None,
    };
    let state = run.map(|run| run.state);
    // A call of an agent that was cut off may have arrived late.
    let is_orphan = || {
        let has_ended = state.is_some_and(|state| !matches!(state, RunState::Running | RunState::Stuck));
        let is_kept =
            |(_, entry): &(Timestamp, Entry)| matches!(entry, Entry::Kept { resource: kept, .. } if *kept == resource);
        has_ended && journal.as_ref().is_some_and(|journal| !journal.iter().any(is_kept))
    };
    if expires_at > app.clock.now() && !is_orphan() {
        return None;
    }
    let of_journal = journal.as_ref().map(|journal| known(journal, &resource));
    let left_alone = if !resource.id.starts_with(NAME_PREFIX) {
        Some(format!("it is not named `{NAME_PREFIX}...`: it was renamed, or made from a copy's snapshot"))
    } else if of_journal.as_ref().is_some_and(|known| known.intended_at.is_none()) {
        Some(format!("it carries the tags of run {run_id}, which did not make it"))
    } else {
        None
    };
    // Whoever sees it now need not be told that it is there.
    let known = ResourceHistory { made: true, seen: true, ..of_journal.unwrap_or_default() };
    let target = tags.get(TARGET_TAG).cloned().unwrap_or_default();
    Some(Expired { resource, kind, run_id, target, known, left_alone })
}

/// One after the other: a cluster cannot go before its members.
async fn remove_group(app: &AppContext, group: Vec<Expired>, dry_run: bool) -> Reaped {
    let mut reaped = Reaped::default();
    let mut in_the_way: Option<Remaining> = None;
    for one in group {
        let resource = one.resource.clone();
        let removal = match (&one.left_alone, &in_the_way) {
            (Some(reason), _) => Ok(Removal::LeftAlone(reason.clone())),
            (None, Some(other)) if other.left_alone => {
                Ok(Removal::LeftAlone(format!("its `{}` is left alone", other.resource.id)))
            }
            (None, Some(other)) => Err(anyhow::anyhow!("not tried: `{}` of it is still there", other.resource.id)),
            (None, None) => Box::pin(remove_one(app, &one, dry_run)).await,
        };
        let (reason, left_alone, advice) = match removal {
            Ok(Removal::Gone) => {
                reaped.removed.push(resource.id);
                continue;
            }
            Ok(Removal::LeftAlone(reason) | Removal::NotOurs(reason)) => (reason, true, None),
            Err(error) => {
                let advice = error.downcast_ref::<crate::aws::Error>().map(crate::aws::Error::hint);
                (format!("{error:#}"), false, advice)
            }
        };
        let remaining = Remaining { resource, reason, left_alone, advice };
        in_the_way = Some(remaining.clone());
        reaped.keep_in_sight(remaining);
    }
    reaped
}

async fn remove_one(app: &AppContext, one: &Expired, dry_run: bool) -> anyhow::Result<Removal> {
    let Expired { run_id, target, kind, .. } = one;
    let remover = Remover { app, run_id, kind: *kind, target, removal_limit: REAPING_LIMIT, journal: None };
    if dry_run {
        return Ok(remover.verdict(&one.resource, &one.known).await?.unwrap_or(Removal::Gone));
    }
    let removal = Box::pin(remover.remove(&one.resource, &one.known));
    let stopped = || anyhow::anyhow!("interrupted before it was gone");
    app.leave.run_until_cancelled(removal).await.unwrap_or_else(|| Err(stopped()))
}
