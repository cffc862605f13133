//! RDS and DocumentDB, which share one API: `docdb` clients send the same requests.

mod change;
mod create;
mod delete;
mod describe;
mod describe_backups;
mod describe_groups;
mod describe_snapshots;
mod lifecycle;
mod name;
mod parameters;
mod placement;
mod render;
mod restore;
mod snapshot;
mod validate;

use jiff::Timestamp;

use super::protocol::{Answer, ApiError, Params};
use super::world::{Region, Scaling, World, after};

/// One request.
struct Request<'r> {
    action: &'r str,
    region: &'r str,
    params: &'r Params,
    /// The status that a restore ends in, where a fault rule says so.
    ending: Option<&'r str>,
    now: Timestamp,
    /// Describes tell what was so at that moment.
    shown_at: Timestamp,
}

pub(super) fn answer(
    world: &mut World,
    region: &str,
    action: &str,
    params: &Params,
    ending: Option<&str>,
) -> Result<Answer, ApiError> {
    parameters::check(action, params)?;
    let now = world.clock.now();
    let shown_at = after(now, -world.delay(world.behaviour.status_lag_seconds()));
    let request = Request { action, region, params, ending, now, shown_at };
    common(&request)?;
    match action {
        "DescribeDBInstances" => describe::instances(world, &request),
        "DescribeDBClusters" => describe::clusters(world, &request),
        "DescribeDBSnapshots" => describe_snapshots::instances(world, &request),
        "DescribeDBClusterSnapshots" => describe_snapshots::clusters(world, &request),
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
        "CreateDBSnapshot" => snapshot::create_of_instance(world, &request),
        "CreateDBClusterSnapshot" => snapshot::create_of_cluster(world, &request),
        "CreateDBSubnetGroup" => create::subnet_group(world, &request),
        "RestoreDBInstanceFromDBSnapshot" => restore::instance_from_snapshot(world, &request),
        "RestoreDBInstanceToPointInTime" => restore::instance_to_point_in_time(world, &request),
        "RestoreDBClusterFromSnapshot" => restore::cluster_from_snapshot(world, &request),
        "RestoreDBClusterToPointInTime" => restore::cluster_to_point_in_time(world, &request),
        "ModifyDBInstance" => change::modify_instance(world, &request),
        "ModifyDBCluster" => change::modify_cluster(world, &request),
        "FailoverDBCluster" => change::fail_over(world, &request),
        "RebootDBInstance" => change::reboot(world, &request),
        "CopyDBSnapshot" => snapshot::copy_of_instance(world, &request),
        "CopyDBClusterSnapshot" => snapshot::copy_of_cluster(world, &request),
        "DeleteDBInstance" => delete::instance(world, &request),
        "DeleteDBCluster" => delete::cluster(world, &request),
        "DeleteDBSnapshot" => snapshot::delete_of_instance(world, &request),
        "DeleteDBClusterSnapshot" => snapshot::delete_of_cluster(world, &request),
        _ => Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not know {action}"))),
    }
}

/// Whether one more instance may be made, of this name.
fn room_for_instance(region: &Region, id: &str, quota: usize) -> Result<(), ApiError> {
    if region.instances.contains_key(id) {
        return Err(ApiError::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
    }
    if region.instances.len() >= quota {
        return Err(ApiError::new(400, "InstanceQuotaExceeded", "DB Instance quota exceeded"));
    }
    Ok(())
}

/// Whether one more cluster may be made, of this name.
fn room_for_cluster(region: &Region, id: &str, quota: usize) -> Result<(), ApiError> {
    if region.clusters.contains_key(id) {
        return Err(ApiError::new(400, "DBClusterAlreadyExistsFault", "DB Cluster already exists"));
    }
    if region.clusters.len() >= quota {
        return Err(ApiError::new(403, "DBClusterQuotaExceededFault", "DB Cluster quota exceeded"));
    }
    Ok(())
}

fn no_instance(id: &str) -> ApiError {
    ApiError::new(404, "DBInstanceNotFound", format!("DBInstance {id} not found."))
}

fn no_cluster(id: &str) -> ApiError {
    ApiError::new(404, "DBClusterNotFoundFault", format!("DBCluster {id} not found."))
}

fn no_instance_snapshot(id: &str) -> ApiError {
    ApiError::new(404, "DBSnapshotNotFound", format!("DBSnapshot {id} not found."))
}

fn no_cluster_snapshot(id: &str) -> ApiError {
    ApiError::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {id} not found."))
}

fn no_subnet_group(name: &str) -> ApiError {
    ApiError::new(404, "DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist."))
}

fn no_option_group(name: &str) -> ApiError {
    ApiError::new(404, "OptionGroupNotFoundFault", format!("Specified OptionGroupName: {name} not found."))
}

/// What is the same for every operation: tags, ports, retentions and bounds of scaling are looked at wherever they are.
fn common(request: &Request<'_>) -> Result<(), ApiError> {
    let params = request.params;
    validate::tags(&params.tags(), params.tag_count())?;
    let port = params.number("Port").or_else(|| params.number("DBPortNumber"));
    port.map_or(Ok(()), validate::port)?;
    let is_cluster = request.action.contains("DBCluster");
    if let Some(days) = params.number("BackupRetentionPeriod") {
        validate::retention(days, is_cluster)?;
    }
    request.scaling().map(drop)
}

impl Request<'_> {
    /// How far a cluster shall scale.
    fn scaling(&self) -> Result<Option<Scaling>, ApiError> {
        let bound = |name: &str| {
            let text = self.params.text(&format!("ServerlessV2ScalingConfiguration.{name}"));
            text.map(|text| text.parse::<f64>().map_err(|_| ApiError::invalid(format!("{text} is not a number"))))
        };
        match (bound("MinCapacity").transpose()?, bound("MaxCapacity").transpose()?) {
            (Some(min), Some(max)) => validate::scaling(Scaling { min, max }).map(Some),
            (None, None) => Ok(None),
            _ => Err(ApiError::invalid("MinCapacity and MaxCapacity must be specified together.")),
        }
    }
}
