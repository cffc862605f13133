//! Deletions, with what protects against them and what is left of what is deleted.

use super::change::{visible_cluster, visible_instance};
use super::{Request, no_cluster, render, snapshot, validate};
use crate::estate::Tags;
use crate::sandbox::protocol::{Answer, ApiError, xml_answer};
use crate::sandbox::world::{Cluster, Copies, Instance, Region, World};

const PROTECTED: &str = "Cannot delete protected";
/// In these an instance or a cluster cannot be deleted.
const BUSY: [&str; 9] = [
    "creating",
    "deleting",
    "modifying",
    "rebooting",
    "backing-up",
    "migrating",
    "configuring-enhanced-monitoring",
    "configuring-log-exports",
    "resetting-master-credentials",
];

fn combination(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameterCombination", message)
}

/// The name of the final snapshot; none where it is skipped. One of both must be said, and not both.
fn final_snapshot(request: &Request<'_>) -> Result<Option<String>, ApiError> {
    let skipped = request.params.boolean("SkipFinalSnapshot") == Some(true);
    match (skipped, request.params.text("FinalDBSnapshotIdentifier")) {
        (true, None) => Ok(None),
        (false, Some(id)) => validate::snapshot_identifier("FinalDBSnapshotIdentifier", id).map(Some),
        (true, Some(_)) => {
            Err(combination("FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot."))
        }
        (false, None) => {
            Err(combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."))
        }
    }
}

pub(super) fn instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBInstanceIdentifier")?;
    let (seconds, snapshot_seconds) = (world.times.delete_instance, world.times.snapshot);
    let region = world.region(request.region);
    let before = visible_instance(region, request, &id)?.clone();
    let status = before.status(request.now);
    if BUSY.contains(&status) {
        let message = format!("Instance {id} is currently {status} and cannot be deleted.");
        return Err(ApiError::new(400, "InvalidDBInstanceState", message));
    }
    if before.settings.deletion_protection && before.cluster.is_none() {
        let message = format!("{PROTECTED} DB Instance, please disable deletion protection and try again.");
        return Err(combination(&message));
    }
    if before.cluster.is_some() {
        of_member(region, request, &before)?;
    } else {
        alone(region, request, &before, snapshot_seconds)?;
    }
    let instance = visible_instance(region, request, &id)?;
    instance.timeline.delete(request.now, seconds);
    let instance = instance.clone();
    region.tell(request.now, "db-instance", &id, "DB instance deleted");
    Ok(xml_answer(request.action, vec![render::instance(region, &instance, request.now)]))
}

/// A member has no final snapshot: its data is the cluster's, whose database goes with its last member.
fn of_member(region: &Region, request: &Request<'_>, member: &Instance) -> Result<(), ApiError> {
    if request.params.text("FinalDBSnapshotIdentifier").is_some() {
        return Err(combination("FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance."));
    }
    let Some(cluster) = member.cluster.as_ref().and_then(|name| region.clusters.get(name)) else { return Ok(()) };
    let others = cluster.members.iter().filter(|other| **other != member.id);
    let mut others = others.filter_map(|other| region.instances.get(other));
    if others.all(|other| other.status(request.now) == "deleting") {
        Copies::stop(&cluster.backend);
    }
    Ok(())
}

fn alone(
    region: &mut Region,
    request: &Request<'_>,
    instance: &Instance,
    snapshot_seconds: i64,
) -> Result<(), ApiError> {
    let named = final_snapshot(request)?;
    if instance.replica_of.is_some() && named.is_some() {
        return Err(combination("FinalDBSnapshotIdentifier can not be specified when deleting a replica instance."));
    }
    if let Some(name) = named {
        if region.instance_snapshots.contains_key(&name) {
            return Err(ApiError::new(400, "DBSnapshotAlreadyExists", format!("Snapshot {name} already exists.")));
        }
        let taken = snapshot::of_instance(instance, &name, Tags::new(), request.now, snapshot_seconds);
        region.instance_snapshots.insert(name, taken);
    }
    // "The default is to remove automated backups immediately".
    if request.params.boolean("DeleteAutomatedBackups") == Some(false) {
        region.retain_instance(instance, request.now);
    } else {
        region.drop_automated(&instance.resource_id);
    }
    Copies::stop(&instance.backend);
    Ok(())
}

pub(super) fn cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBClusterIdentifier")?;
    let (seconds, snapshot_seconds) = (world.times.delete_cluster, world.times.snapshot);
    let region = world.region(request.region);
    let before = visible_cluster(region, request, &id)?.clone();
    let status = before.status(request.now);
    let fault = |message: String| ApiError::new(400, "InvalidDBClusterStateFault", message);
    if BUSY.contains(&status) {
        return Err(fault(format!("Cluster {id} is currently {status} and cannot be deleted.")));
    }
    if before.settings.deletion_protection {
        let message = format!("{PROTECTED} Cluster, please disable deletion protection and try again.");
        return Err(combination(&message));
    }
    let named = final_snapshot(request)?;
    let mut members = before.members.iter().filter_map(|member| region.instances.get(member));
    if members.any(|member| member.status(request.now) != "deleting") {
        let message = "Cluster cannot be deleted, it still contains DB instances in non-deleting state.";
        return Err(fault(message.to_owned()));
    }
    if let Some(name) = named {
        leave_snapshot(region, request, &before, name, snapshot_seconds)?;
    }
    // DocumentDB keeps no automated backups of a deleted cluster (assumption: its API has no such parameter).
    if request.params.boolean("DeleteAutomatedBackups") == Some(false) && before.settings.engine != "docdb" {
        region.retain_cluster(&before, request.now);
    } else {
        region.drop_automated(&before.resource_id);
    }
    let cluster = region.clusters.get_mut(&id).ok_or_else(|| no_cluster(&id))?;
    cluster.timeline.delete(request.now, seconds);
    Copies::stop(&cluster.backend);
    let cluster = cluster.clone();
    region.tell(request.now, "db-cluster", &id, "DB cluster deleted");
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

fn leave_snapshot(
    region: &mut Region,
    request: &Request<'_>,
    cluster: &Cluster,
    name: String,
    seconds: i64,
) -> Result<(), ApiError> {
    if region.cluster_snapshots.contains_key(&name) {
        let message = format!("Cluster snapshot {name} already exists.");
        return Err(ApiError::new(400, "DBClusterSnapshotAlreadyExistsFault", message));
    }
    let taken = snapshot::of_cluster(cluster, &name, Tags::new(), request.now, seconds);
    region.cluster_snapshots.insert(name, taken);
    Ok(())
}
