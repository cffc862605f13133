//! Changes to what is there: passwords, failover, tags, deletion with its protections.

use super::{Request, name_of, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, render};
use crate::estate::Tags;
use crate::sandbox::protocol::{Answer, Fault, leaf, tag_list, xml_answer};
use crate::sandbox::world::{Copies, Region, World};

const PROTECTED: &str = "Cannot delete protected";

pub(super) fn modify_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBInstanceIdentifier")?;
    let (copies, seconds) = (world.copies(), world.times.set_password);
    let region = world.region(request.region);
    let instance = region.instances.get_mut(&id).ok_or_else(|| no_instance(&id))?;
    let status = instance.status(request.now);
    if status != "available" && status != "storage-optimization" {
        return Err(Fault::new(400, "InvalidDBInstanceState", format!("Instance {id} is {status}.")));
    }
    if let Some(password) = request.params.text("MasterUserPassword") {
        if instance.cluster.is_some() {
            let message = "The master password of a cluster's instance is the cluster's: modify the DB cluster.";
            return Err(Fault::new(400, "InvalidParameterCombination", message));
        }
        instance.timeline.interrupt(request.now, "resetting-master-credentials", seconds);
        copies.set_password(&instance.backend, password);
    }
    if let Some(protected) = request.params.boolean("DeletionProtection") {
        instance.settings.deletion_protection = protected;
    }
    if let Some(days) = request.params.number("BackupRetentionPeriod") {
        instance.settings.backup_retention_days = days;
    }
    let instance = instance.clone();
    Ok(xml_answer(request.action, vec![render::instance(region, &instance, request.now)]))
}

pub(super) fn modify_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterIdentifier")?;
    let (copies, seconds) = (world.copies(), world.times.set_password);
    let region = world.region(request.region);
    let cluster = region.clusters.get_mut(&id).ok_or_else(|| no_cluster(&id))?;
    let status = cluster.status(request.now);
    if status != "available" {
        return Err(Fault::new(400, "InvalidDBClusterStateFault", format!("Cluster {id} is {status}.")));
    }
    if let Some(password) = request.params.text("MasterUserPassword") {
        cluster.timeline.interrupt(request.now, "resetting-master-credentials", seconds);
        copies.set_password(&cluster.backend, password);
    }
    if let Some(protected) = request.params.boolean("DeletionProtection") {
        cluster.settings.deletion_protection = protected;
    }
    let cluster = cluster.clone();
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

pub(super) fn fail_over(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterIdentifier")?;
    let seconds = world.times.fail_over;
    let region = world.region(request.region);
    let cluster = region.clusters.get_mut(&id).ok_or_else(|| no_cluster(&id))?;
    if cluster.members.len() < 2 {
        let message = format!("Cluster {id} has no instance to fail over to.");
        return Err(Fault::new(400, "InvalidDBClusterStateFault", message));
    }
    let wanted = request.params.text("TargetDBInstanceIdentifier").map(str::to_ascii_lowercase);
    let next = match &wanted {
        None => 1,
        Some(wanted) => {
            cluster.members.iter().position(|member| member == wanted).ok_or_else(|| no_instance(wanted))?
        }
    };
    let writer = cluster.members.remove(next);
    cluster.members.insert(0, writer);
    cluster.timeline.interrupt(request.now, "failing-over", seconds);
    let cluster = cluster.clone();
    region.tell(request.now, "db-cluster", &id, "Started cross AZ failover");
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

fn final_snapshot_is_settled(request: &Request<'_>, name: &str) -> Result<(), Fault> {
    let skipped = request.params.boolean("SkipFinalSnapshot") == Some(true);
    if skipped || request.params.text(name).is_some() {
        return Ok(());
    }
    let message = format!("{name} is required unless SkipFinalSnapshot is specified.");
    Err(Fault::new(400, "InvalidParameterCombination", message))
}

pub(super) fn delete_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBInstanceIdentifier")?;
    let seconds = world.times.delete_instance;
    let region = world.region(request.region);
    let instance = region.instances.get_mut(&id).ok_or_else(|| no_instance(&id))?;
    let status = instance.status(request.now);
    if ["creating", "deleting", "modifying", "resetting-master-credentials"].contains(&status) {
        return Err(Fault::new(400, "InvalidDBInstanceState", format!("Instance {id} is {status}.")));
    }
    if instance.settings.deletion_protection && instance.cluster.is_none() {
        let message = format!("{PROTECTED} DB Instance, please disable deletion protection and try again.");
        return Err(Fault::new(400, "InvalidParameterCombination", message));
    }
    if instance.cluster.is_none() {
        final_snapshot_is_settled(request, "FinalDBSnapshotIdentifier")?;
        Copies::stop(&instance.backend);
    }
    let kept = request.params.boolean("DeleteAutomatedBackups") == Some(false);
    let instance = {
        let before = instance.clone();
        instance.timeline.delete(request.now, seconds);
        let instance = instance.clone();
        if kept {
            region.retain_instance(&before, request.now);
        } else {
            region.drop_automated(&before.resource_id);
        }
        instance
    };
    if let Some(cluster) = instance.cluster.as_ref().and_then(|name| region.clusters.get(name)) {
        let others = cluster.members.iter().filter(|member| **member != id);
        let others_live = others.filter_map(|member| region.instances.get(member));
        if others_live.into_iter().all(|other| other.status(request.now) == "deleting") {
            Copies::stop(&cluster.backend);
        }
    }
    region.tell(request.now, "db-instance", &id, "DB instance deleted");
    Ok(xml_answer(request.action, vec![render::instance(region, &instance, request.now)]))
}

pub(super) fn delete_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterIdentifier")?;
    let seconds = world.times.delete_cluster;
    let region = world.region(request.region);
    let cluster = region.clusters.get(&id).ok_or_else(|| no_cluster(&id))?;
    let status = cluster.status(request.now);
    let fault = |message: String| Fault::new(400, "InvalidDBClusterStateFault", message);
    if ["creating", "deleting", "resetting-master-credentials"].contains(&status) {
        return Err(fault(format!("Cluster {id} is {status}.")));
    }
    if cluster.settings.deletion_protection {
        let message = format!("{PROTECTED} Cluster, please disable deletion protection and try again.");
        return Err(Fault::new(400, "InvalidParameterCombination", message));
    }
    final_snapshot_is_settled(request, "FinalDBSnapshotIdentifier")?;
    let members = cluster.members.iter().filter_map(|member| region.instances.get(member));
    if members.into_iter().any(|member| member.status(request.now) != "deleting") {
        let message = "Cluster cannot be deleted, it still contains DB instances in non-deleting state.";
        return Err(fault(message.to_owned()));
    }
    let kept = request.params.boolean("DeleteAutomatedBackups") == Some(false);
    let cluster = region.clusters.get_mut(&id).ok_or_else(|| no_cluster(&id))?;
    let before = cluster.clone();
    cluster.timeline.delete(request.now, seconds);
    Copies::stop(&cluster.backend);
    let cluster = cluster.clone();
    // DocumentDB keeps no automated backups of a deleted cluster.
    if kept && cluster.settings.engine != "docdb" {
        region.retain_cluster(&before, request.now);
    } else {
        region.drop_automated(&before.resource_id);
    }
    region.tell(request.now, "db-cluster", &id, "DB cluster deleted");
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

pub(super) fn delete_instance_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBSnapshotIdentifier")?;
    let region = world.region(request.region);
    let snapshot = region.instance_snapshots.get(&id).cloned().ok_or_else(|| no_instance_snapshot(&id))?;
    if snapshot.origin == "automated" {
        let message = format!("Automated snapshot {id} cannot be deleted.");
        return Err(Fault::new(400, "InvalidDBSnapshotState", message));
    }
    region.instance_snapshots.remove(&id);
    Ok(xml_answer(request.action, vec![render::instance_snapshot(region, &snapshot, request.now)]))
}

pub(super) fn delete_cluster_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterSnapshotIdentifier")?;
    let region = world.region(request.region);
    let snapshot = region.cluster_snapshots.get(&id).cloned().ok_or_else(|| no_cluster_snapshot(&id))?;
    if snapshot.origin == "automated" {
        let message = format!("Automated snapshot {id} cannot be deleted.");
        return Err(Fault::new(400, "InvalidDBClusterSnapshotStateFault", message));
    }
    region.cluster_snapshots.remove(&id);
    Ok(xml_answer(request.action, vec![render::cluster_snapshot(region, &snapshot, request.now)]))
}

/// The tags of what an ARN names.
fn tags_of<'w>(region: &'w mut Region, arn: &str) -> Result<&'w mut Tags, Fault> {
    let name = name_of(arn).to_owned();
    match arn.split(':').nth(5) {
        Some("db") => {
            region.instances.get_mut(&name).map(|found| &mut found.settings.tags).ok_or_else(|| no_instance(&name))
        }
        Some("cluster") => {
            region.clusters.get_mut(&name).map(|found| &mut found.settings.tags).ok_or_else(|| no_cluster(&name))
        }
        Some("snapshot") => region
            .instance_snapshots
            .get_mut(&name)
            .map(|found| &mut found.settings.tags)
            .ok_or_else(|| no_instance_snapshot(&name)),
        Some("cluster-snapshot") => region
            .cluster_snapshots
            .get_mut(&name)
            .map(|found| &mut found.settings.tags)
            .ok_or_else(|| no_cluster_snapshot(&name)),
        _ => Err(Fault::invalid(format!("Invalid resource name: {arn}"))),
    }
}

pub(super) fn list_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let arn = request.params.required("ResourceName")?;
    let tags = tags_of(world.region(request.region), arn)?;
    Ok(xml_answer(request.action, vec![tag_list(tags)]))
}

pub(super) fn add_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let arn = request.params.required("ResourceName")?;
    tags_of(world.region(request.region), arn)?.extend(request.params.tags());
    Ok(xml_answer(request.action, vec![leaf("Success", true)]))
}

pub(super) fn remove_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let arn = request.params.required("ResourceName")?;
    let tags = tags_of(world.region(request.region), arn)?;
    for key in request.params.list("TagKeys.member") {
        tags.remove(&key);
    }
    Ok(xml_answer(request.action, vec![leaf("Success", true)]))
}
