//! RDS and DocumentDB, which share one API: `docdb` clients send the same requests.

mod change;
mod create;
mod describe;
mod describe_backups;
mod describe_groups;
mod render;
mod restore;

use jiff::Timestamp;

use super::protocol::{Answer, Fault, Params};
use super::world::{Region, World};

/// One request.
struct Request<'r> {
    action: &'r str,
    region: &'r str,
    params: &'r Params,
    /// The status that a restore ends in, where a fault rule says so.
    ending: Option<&'r str>,
    now: Timestamp,
}

pub(super) fn answer(
    world: &mut World,
    region: &str,
    action: &str,
    params: &Params,
    ending: Option<&str>,
) -> Result<Answer, Fault> {
    let request = Request { action, region, params, ending, now: world.clock.now() };
    match action {
        "DescribeDBInstances" => describe::instances(world, &request),
        "DescribeDBClusters" => describe::clusters(world, &request),
        "DescribeDBSnapshots" => describe::instance_snapshots(world, &request),
        "DescribeDBClusterSnapshots" => describe::cluster_snapshots(world, &request),
        "DescribeDBSubnetGroups" => describe_groups::subnet_groups(world, &request),
        "DescribeDBParameterGroups" => describe_groups::parameter_groups(world, &request),
        "DescribeDBClusterParameterGroups" => describe_groups::cluster_parameter_groups(world, &request),
        "DescribeOptionGroups" => describe_groups::option_groups(world, &request),
        "DescribeOrderableDBInstanceOptions" => describe_groups::orderable(world, &request),
        "DescribeDBInstanceAutomatedBackups" => describe_backups::instances(world, &request),
        "DescribeDBClusterAutomatedBackups" => describe_backups::clusters(world, &request),
        "DescribeEvents" => describe::events(world, &request),
        "DescribeAccountAttributes" => Ok(describe::quotas(world, &request)),
        "ListTagsForResource" => change::list_tags(world, &request),
        "AddTagsToResource" => change::add_tags(world, &request),
        "RemoveTagsFromResource" => change::remove_tags(world, &request),
        "CreateDBInstance" => create::instance(world, &request),
        "CreateDBCluster" => create::cluster(world, &request),
        "CreateDBSnapshot" => create::instance_snapshot(world, &request),
        "CreateDBClusterSnapshot" => create::cluster_snapshot(world, &request),
        "CreateDBSubnetGroup" => create::subnet_group(world, &request),
        "RestoreDBInstanceFromDBSnapshot" => restore::instance_from_snapshot(world, &request),
        "RestoreDBInstanceToPointInTime" => restore::instance_to_point_in_time(world, &request),
        "RestoreDBClusterFromSnapshot" => restore::cluster_from_snapshot(world, &request),
        "RestoreDBClusterToPointInTime" => restore::cluster_to_point_in_time(world, &request),
        "ModifyDBInstance" => change::modify_instance(world, &request),
        "ModifyDBCluster" => change::modify_cluster(world, &request),
        "FailoverDBCluster" => change::fail_over(world, &request),
        "DeleteDBInstance" => change::delete_instance(world, &request),
        "DeleteDBCluster" => change::delete_cluster(world, &request),
        "DeleteDBSnapshot" => change::delete_instance_snapshot(world, &request),
        "DeleteDBClusterSnapshot" => change::delete_cluster_snapshot(world, &request),
        _ => Err(Fault::new(400, "InvalidAction", format!("the sandbox does not know {action}"))),
    }
}

/// Whether one more instance may be made, of this name.
fn room_for_instance(region: &Region, id: &str, quota: usize) -> Result<(), Fault> {
    if region.instances.contains_key(id) {
        return Err(Fault::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
    }
    if region.instances.len() >= quota {
        return Err(Fault::new(400, "InstanceQuotaExceeded", "DB Instance quota exceeded"));
    }
    Ok(())
}

/// Whether one more cluster may be made, of this name.
fn room_for_cluster(region: &Region, id: &str, quota: usize) -> Result<(), Fault> {
    if region.clusters.contains_key(id) {
        return Err(Fault::new(400, "DBClusterAlreadyExistsFault", "DB Cluster already exists"));
    }
    if region.clusters.len() >= quota {
        return Err(Fault::new(403, "DBClusterQuotaExceededFault", "DB Cluster quota exceeded"));
    }
    Ok(())
}

fn no_instance(id: &str) -> Fault {
    Fault::new(404, "DBInstanceNotFound", format!("DBInstance {id} not found."))
}

fn no_cluster(id: &str) -> Fault {
    Fault::new(404, "DBClusterNotFoundFault", format!("DBCluster {id} not found."))
}

fn no_instance_snapshot(id: &str) -> Fault {
    Fault::new(404, "DBSnapshotNotFound", format!("DBSnapshot {id} not found."))
}

fn no_cluster_snapshot(id: &str) -> Fault {
    Fault::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {id} not found."))
}

fn no_subnet_group(name: &str) -> Fault {
    Fault::new(404, "DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist."))
}

fn no_option_group(name: &str) -> Fault {
    Fault::new(404, "OptionGroupNotFoundFault", format!("Specified OptionGroupName: {name} not found."))
}

/// A name, or the name at the end of an ARN. Automated snapshots have a colon in theirs.
fn name_of(id: &str) -> &str {
    if !id.starts_with("arn:") {
        return id;
    }
    id.splitn(7, ':').nth(6).unwrap_or(id)
}
