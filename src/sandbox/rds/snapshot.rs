//! Snapshots that somebody makes, copies or removes.

use jiff::Timestamp;

use super::{Request, name, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, render, validate};
use crate::estate::Tags;
use crate::sandbox::engine::Content;
use crate::sandbox::protocol::{Answer, ApiError, xml_answer};
use crate::sandbox::world::{Cluster, Instance, Region, Settings, Snapshot, Timeline, World};

/// Manual snapshots that an account may have in a Region: "100" (RDS quotas).
pub(super) const SNAPSHOT_QUOTA: usize = 100;

fn quota(snapshots: &std::collections::BTreeMap<String, Snapshot>) -> Result<(), ApiError> {
    if snapshots.values().filter(|snapshot| snapshot.origin == "manual").count() < SNAPSHOT_QUOTA {
        return Ok(());
    }
    let message = format!("Cannot create more than {SNAPSHOT_QUOTA} manual snapshots");
    Err(ApiError::new(400, "SnapshotQuotaExceeded", message))
}

/// A manual snapshot of an instance, from its beginning on.
pub(super) fn of_instance(instance: &Instance, id: &str, tags: Tags, now: Timestamp, seconds: i64) -> Snapshot {
    let Instance { settings, content, .. } = instance;
    let tags = if tags.is_empty() && settings.copy_tags { settings.tags.clone() } else { tags };
    Snapshot {
        id: id.to_owned(),
        source: instance.id.clone(),
        resource_id: instance.resource_id.clone(),
        origin: "manual".to_owned(),
        created_at: now,
        original_at: now,
        source_created_at: instance.created_at,
        source_tags: settings.tags.clone(),
        copied_from: None,
        timeline: Timeline::after(now, "creating", seconds),
        settings: Settings { tags, ..settings.clone() },
        class: instance.class.clone(),
        content: Content { as_of: now, ..content.clone() },
    }
}

/// A manual snapshot of a cluster, from its beginning on.
pub(super) fn of_cluster(cluster: &Cluster, id: &str, tags: Tags, now: Timestamp, seconds: i64) -> Snapshot {
    let Cluster { settings, content, .. } = cluster;
    let tags = if tags.is_empty() && settings.copy_tags { settings.tags.clone() } else { tags };
    Snapshot {
        id: id.to_owned(),
        source: cluster.id.clone(),
        resource_id: cluster.resource_id.clone(),
        origin: "manual".to_owned(),
        created_at: now,
        original_at: now,
        source_created_at: cluster.created_at,
        source_tags: settings.tags.clone(),
        copied_from: None,
        timeline: Timeline::after(now, "creating", seconds),
        settings: Settings { tags, ..settings.clone() },
        class: String::new(),
        content: Content { as_of: now, ..content.clone() },
    }
}

fn instance_snapshot_exists(region: &Region, id: &str) -> Result<(), ApiError> {
    if region.instance_snapshots.contains_key(id) {
        return Err(ApiError::new(400, "DBSnapshotAlreadyExists", format!("Snapshot {id} already exists.")));
    }
    Ok(())
}

fn cluster_snapshot_exists(region: &Region, id: &str) -> Result<(), ApiError> {
    if region.cluster_snapshots.contains_key(id) {
        let message = format!("Cluster snapshot {id} already exists.");
        return Err(ApiError::new(400, "DBClusterSnapshotAlreadyExistsFault", message));
    }
    Ok(())
}

pub(super) fn create_of_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = validate::snapshot_identifier("DBSnapshotIdentifier", params.required("DBSnapshotIdentifier")?)?;
    let source = params.id("DBInstanceIdentifier")?;
    let (seconds, interim) = (world.times.snapshot, world.behaviour.shows_interim_statuses());
    let region = world.region(request.region);
    instance_snapshot_exists(region, &id)?;
    let instance = region.instances.get(&source).ok_or_else(|| no_instance(&source))?;
    if instance.cluster.is_some() {
        let message = format!(
            "The specified instance {source} is a member of a cluster and a snapshot cannot be created directly. Please use the CreateDBClusterSnapshot API instead."
        );
        return Err(ApiError::invalid(message));
    }
    let status = instance.status(request.now);
    if status != "available" {
        return Err(ApiError::new(400, "InvalidDBInstanceState", format!("Instance {source} is {status}.")));
    }
    quota(&region.instance_snapshots)?;
    let snapshot = of_instance(instance, &id, params.tags(), request.now, seconds);
    let body = render::instance_snapshot(region, &snapshot, request.now);
    region.instance_snapshots.insert(id, snapshot);
    // A Single-AZ instance is backed up while its snapshot is made.
    if let Some(instance) = region.instances.get_mut(&source).filter(|_| interim) {
        instance.timeline.interrupt(request.now, "backing-up", seconds / 2);
    }
    region.tell(request.now, "db-instance", &source, "Backing up DB instance");
    Ok(xml_answer(request.action, vec![body]))
}

pub(super) fn create_of_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = params.required("DBClusterSnapshotIdentifier")?;
    let id = validate::snapshot_identifier("DBClusterSnapshotIdentifier", id)?;
    let source = params.id("DBClusterIdentifier")?;
    let seconds = world.times.snapshot;
    let region = world.region(request.region);
    cluster_snapshot_exists(region, &id)?;
    let cluster = region.clusters.get(&source).ok_or_else(|| no_cluster(&source))?;
    let status = cluster.status(request.now);
    if status != "available" {
        return Err(ApiError::new(400, "InvalidDBClusterStateFault", format!("Cluster {source} is {status}.")));
    }
    quota(&region.cluster_snapshots)?;
    let snapshot = of_cluster(cluster, &id, params.tags(), request.now, seconds);
    let body = render::cluster_snapshot(region, &snapshot, request.now);
    region.cluster_snapshots.insert(id, snapshot);
    Ok(xml_answer(request.action, vec![body]))
}

/// A copy has a time of its own, and remembers where it is from.
fn copy(of: &Snapshot, id: String, arn: String, tags: Tags, now: Timestamp, seconds: i64) -> Snapshot {
    Snapshot {
        id,
        origin: "manual".to_owned(),
        created_at: now,
        copied_from: Some(arn),
        timeline: Timeline::after(now, "creating", seconds),
        settings: Settings { tags, ..of.settings.clone() },
        ..of.clone()
    }
}

pub(super) fn copy_of_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = params.required("TargetDBSnapshotIdentifier")?;
    let id = validate::snapshot_identifier("TargetDBSnapshotIdentifier", id)?;
    let source = params.required("SourceDBSnapshotIdentifier")?;
    let seconds = world.times.snapshot;
    let region = world.region(request.region);
    instance_snapshot_exists(region, &id)?;
    let found = name::own(region, "snapshot", source).and_then(|name| region.instance_snapshots.get(&name));
    let found = found.ok_or_else(|| no_instance_snapshot(source))?;
    if found.timeline.status(request.now) != "available" {
        return Err(ApiError::new(400, "InvalidDBSnapshotState", format!("Snapshot {source} is not available.")));
    }
    quota(&region.instance_snapshots)?;
    let tags = copied_tags(request, found);
    let snapshot = copy(found, id.clone(), found.arn(region), tags, request.now, seconds);
    let body = render::instance_snapshot(region, &snapshot, request.now);
    region.instance_snapshots.insert(id, snapshot);
    Ok(xml_answer(request.action, vec![body]))
}

pub(super) fn copy_of_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = params.required("TargetDBClusterSnapshotIdentifier")?;
    let id = validate::snapshot_identifier("TargetDBClusterSnapshotIdentifier", id)?;
    let source = params.required("SourceDBClusterSnapshotIdentifier")?;
    let seconds = world.times.snapshot;
    let region = world.region(request.region);
    cluster_snapshot_exists(region, &id)?;
    let found = name::own(region, "cluster-snapshot", source).and_then(|name| region.cluster_snapshots.get(&name));
    let found = found.ok_or_else(|| no_cluster_snapshot(source))?;
    if found.timeline.status(request.now) != "available" {
        let message = format!("Snapshot {source} is not available.");
        return Err(ApiError::new(400, "InvalidDBClusterSnapshotStateFault", message));
    }
    quota(&region.cluster_snapshots)?;
    let tags = copied_tags(request, found);
    let snapshot = copy(found, id.clone(), found.arn(region), tags, request.now, seconds);
    let body = render::cluster_snapshot(region, &snapshot, request.now);
    region.cluster_snapshots.insert(id, snapshot);
    Ok(xml_answer(request.action, vec![body]))
}

fn copied_tags(request: &Request<'_>, of: &Snapshot) -> Tags {
    let tags = request.params.tags();
    let copies = request.params.boolean("CopyTags") == Some(true) && tags.is_empty();
    if copies { of.settings.tags.clone() } else { tags }
}

pub(super) fn delete_of_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBSnapshotIdentifier")?;
    let region = world.region(request.region);
    let found = region.instance_snapshots.get(&id).filter(|snapshot| !snapshot.is_foreign());
    let snapshot = found.cloned().ok_or_else(|| no_instance_snapshot(&id))?;
    if snapshot.origin != "manual" {
        let message = format!("Only manual snapshots may be deleted: {id} is {}.", snapshot.origin);
        return Err(ApiError::new(400, "InvalidDBSnapshotState", message));
    }
    region.instance_snapshots.remove(&id);
    Ok(xml_answer(request.action, vec![render::instance_snapshot(region, &snapshot, request.now)]))
}

pub(super) fn delete_of_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBClusterSnapshotIdentifier")?;
    let region = world.region(request.region);
    let found = region.cluster_snapshots.get(&id).filter(|snapshot| !snapshot.is_foreign());
    let snapshot = found.cloned().ok_or_else(|| no_cluster_snapshot(&id))?;
    if snapshot.origin != "manual" {
        let message = format!("Only manual snapshots may be deleted: {id} is {}.", snapshot.origin);
        return Err(ApiError::new(400, "InvalidDBClusterSnapshotStateFault", message));
    }
    region.cluster_snapshots.remove(&id);
    Ok(xml_answer(request.action, vec![render::cluster_snapshot(region, &snapshot, request.now)]))
}
