//! `drctl keep`: from now on a copy is people's, and drctl leaves it alone.

use anyhow::Context;
use jiff::Timestamp;

use super::regions;
use crate::aws::{Aws, Change, Resource, ResourceKind, Sighting};
use crate::context::AppContext;
use crate::estate::HostPort;
use crate::restore_test;
use crate::runbook::{EXPIRES_TAG, RUN_TAG};
use crate::store::{Entry, RunState};

/// A copy that was kept.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Kept {
    /// The version of this document's shape.
    pub schema: &'static str,
    /// The instance or cluster.
    pub resource: Resource,
    /// A cluster's members that were kept with it.
    pub members: Vec<String>,
    /// Where clients connect.
    pub endpoint: Option<HostPort>,
    /// The run that made it, where that is known.
    pub run_id: Option<String>,
    /// Whether its tags were gone already.
    pub was_kept: bool,
    /// Whether its run is still at work: it will find the tags gone, and leave the copy alone.
    pub run_at_work: bool,
    /// Whether deletion protection is on.
    pub deletion_protection: bool,
    /// Days that automated backups are kept.
    pub backup_retention_days: Option<i32>,
    /// Whether nobody knows the master password: drctl had set a random one.
    pub random_password: bool,
}

/// Takes drctl's tags off a copy and its members, and journals that it stays. `None` where there is no such thing.
///
/// # Errors
/// Where AWS or the store could not be asked, or it is nothing that drctl has made.
pub async fn keep(app: &AppContext, id: &str) -> anyhow::Result<Option<Kept>> {
    let Some((aws, resource, found)) = find(app, id).await? else { return Ok(None) };
    // The journal knows better than a tag that somebody may have written over.
    let of_journal = app.store.runs_that_made(&app.estate.name, &resource.id).await?.into_iter().next();
    let run_id = of_journal.or_else(|| found.tags.get(RUN_TAG).cloned());
    let run_id = run_id.with_context(|| format!("`{id}` carries no tag of drctl, and no run has made it"))?;
    let member = |id: &str| Resource { kind: ResourceKind::DbInstance, id: id.to_owned(), region: aws.region.clone() };
    let is_tagged = |tags: &crate::estate::Tags| tags.contains_key(RUN_TAG);
    let members: Vec<Resource> =
        found.members.iter().filter(|(_, tags)| is_tagged(tags)).map(|(id, _)| member(id)).collect();
    let was_kept = !is_tagged(&found.tags) && members.is_empty();
    // Members first: a cluster without its tag is left alone, whatever its members carry.
    for one in members.iter().chain([&resource]) {
        untag(&aws, one).await?;
    }
    let all: Vec<Resource> = found.members.iter().map(|(id, _)| member(id)).chain([resource.clone()]).collect();
    let (run_known, run_at_work) = note(app, &run_id, &all).await?;
    Ok(Some(Kept {
        schema: "drctl.keep/1",
        random_password: is_random(app, &found),
        endpoint: found.endpoint,
        members: members.into_iter().map(|member| member.id).collect(),
        run_id: run_known.then_some(run_id),
        was_kept,
        run_at_work,
        deletion_protection: found.deletion_protection,
        backup_retention_days: found.backup_retention_days,
        resource,
    }))
}

/// The instance or cluster of this name, in whichever Region; of a member, its cluster.
async fn find(app: &AppContext, id: &str) -> anyhow::Result<Option<(Aws, Resource, Sighting)>> {
    for region in regions(app).await? {
        let aws = app.aws.for_region(&region);
        let mut kind = ResourceKind::DbCluster;
        let mut name = id.to_owned();
        loop {
            let resource = Resource { kind, id: name.clone(), region: region.clone() };
            match (aws.inspect(&resource).await?, kind) {
                (Some(Sighting { cluster: Some(cluster), .. }), ResourceKind::DbInstance) => {
                    (kind, name) = (ResourceKind::DbCluster, cluster);
                }
                (Some(found), _) => return Ok(Some((aws, resource, found))),
                (None, ResourceKind::DbCluster) if name == id => kind = ResourceKind::DbInstance,
                (None, _) => break,
            }
        }
    }
    Ok(None)
}

async fn untag(aws: &Aws, resource: &Resource) -> anyhow::Result<()> {
    let Some(found) = aws.inspect(resource).await? else { return Ok(()) };
    if found.tags.contains_key(RUN_TAG) || found.tags.contains_key(EXPIRES_TAG) {
        aws.apply(&Change::untag(&found.arn, &[RUN_TAG, EXPIRES_TAG])).await?;
    }
    Ok(())
}

/// Journals it, and ends a run that was stuck because of it. Whether the run is known here, and whether it is at work.
async fn note(app: &AppContext, run_id: &str, all: &[Resource]) -> anyhow::Result<(bool, bool)> {
    let store = &app.store;
    let run = store.run(run_id).await.ok().filter(|run| run.new.id == run_id);
    let Some(run) = run else { return Ok((false, false)) };
    if store.is_at_work(run_id).await? {
        return Ok((true, true));
    }
    for resource in all {
        let entry = Entry::Kept { resource: resource.clone(), until: Timestamp::MAX };
        store.append_afterwards(run_id, app.clock.now(), &entry).await?;
    }
    if matches!(run.state, RunState::Stuck | RunState::Running) {
        restore_test::unwind_run(app, &run).await?;
    }
    Ok((true, false))
}

/// Whether the target's test sets a random password, as far as today's configuration tells.
fn is_random(app: &AppContext, found: &Sighting) -> bool {
    let target = found.tags.get(crate::runbook::TARGET_TAG);
    let database = target.and_then(|target| app.estate.database(target));
    database.is_some_and(|database| database.test.password.is_none())
}
