//! Resources as the API writes them.

use jiff::Timestamp;

use crate::sandbox::protocol::{Node, element, leaf, list, moment, tag_list};
use crate::sandbox::world::{Cluster, Event, Instance, Region, Settings, Snapshot, SubnetGroup};

/// Where every database of the sandbox is.
const HOST: &str = "localhost";
/// RDS ships logs every five minutes, and they take a moment to arrive.
const LOG_SECONDS: i64 = 300;
const LOG_DELAY_SECONDS: i64 = 60;
/// Aurora's backup is continuous, and trails by less.
const AURORA_DELAY_SECONDS: i64 = 120;

fn common(settings: &Settings) -> Vec<Node> {
    let group = |id: &String| {
        element("VpcSecurityGroupMembership", vec![leaf("VpcSecurityGroupId", id), leaf("Status", "active")])
    };
    let mut nodes = vec![
        leaf("Engine", &settings.engine),
        leaf("EngineVersion", &settings.engine_version),
        leaf("MasterUsername", &settings.username),
        leaf("MultiAZ", settings.multi_az),
        leaf("StorageEncrypted", settings.encrypted),
        leaf("IAMDatabaseAuthenticationEnabled", settings.iam_authentication),
        leaf("DeletionProtection", settings.deletion_protection),
        leaf("BackupRetentionPeriod", settings.backup_retention_days),
        leaf("PreferredBackupWindow", "03:00-04:00"),
        element("VpcSecurityGroups", settings.security_groups.iter().map(group).collect()),
        list("EnabledCloudwatchLogsExports", "member", &settings.log_exports),
        tag_list(&settings.tags),
    ];
    nodes.extend(settings.kms_key.as_ref().map(|key| leaf("KmsKeyId", key)));
    nodes
}

/// The newest moment that an instance can be restored to.
pub(super) fn instance_restorable(instance: &Instance, now: Timestamp) -> Option<Timestamp> {
    let kept = instance.settings.backup_retention_days > 0 && instance.replica_of.is_none();
    let shipped = (now.as_second() - LOG_DELAY_SECONDS).div_euclid(LOG_SECONDS) * LOG_SECONDS;
    let at = Timestamp::from_second(shipped).ok()?;
    (kept && instance.cluster.is_none() && instance.status(now) == "available").then_some(at)
}

/// The newest moment that a cluster can be restored to; none while it is itself being restored.
pub(super) fn cluster_restorable(cluster: &Cluster, now: Timestamp) -> Option<Timestamp> {
    let at = Timestamp::from_second(now.as_second() - AURORA_DELAY_SECONDS).ok()?;
    (cluster.timeline.status(now) != "creating").then_some(at)
}

pub(super) fn instance(region: &Region, instance: &Instance, now: Timestamp) -> Node {
    let status = instance.status(now);
    let settings = &instance.settings;
    let mut nodes = common(settings);
    nodes.extend([
        leaf("DBInstanceIdentifier", &instance.id),
        leaf("DBInstanceArn", region.arn("db", &instance.id)),
        leaf("DbiResourceId", format!("db-{}", instance.id.to_uppercase())),
        leaf("DBInstanceClass", &instance.class),
        leaf("DBInstanceStatus", status),
        leaf("PubliclyAccessible", instance.public),
        leaf("AllocatedStorage", 100),
        moment("InstanceCreateTime", instance.created_at),
        element("DBSubnetGroup", subnet_group_nodes(&settings.subnet_group, region)),
        element("PendingModifiedValues", Vec::new()),
        element(
            "DBParameterGroups",
            vec![element(
                "DBParameterGroup",
                vec![leaf("DBParameterGroupName", &settings.parameter_group), leaf("ParameterApplyStatus", "in-sync")],
            )],
        ),
        list(
            "ReadReplicaDBInstanceIdentifiers",
            "ReadReplicaDBInstanceIdentifier",
            region
                .instances
                .values()
                .filter(|other| other.replica_of.as_ref() == Some(&instance.id))
                .map(|other| &other.id),
        ),
    ]);
    nodes.extend(instance.cluster.as_ref().map(|cluster| leaf("DBClusterIdentifier", cluster)));
    nodes.extend(instance.replica_of.as_ref().map(|source| leaf("ReadReplicaSourceDBInstanceIdentifier", source)));
    nodes.extend(instance_restorable(instance, now).map(|at| moment("LatestRestorableTime", at)));
    if status != "creating" {
        nodes.push(element("Endpoint", vec![leaf("Address", HOST), leaf("Port", settings.port)]));
    }
    element("DBInstance", nodes)
}

pub(super) fn cluster(region: &Region, cluster: &Cluster, now: Timestamp) -> Node {
    let settings = &cluster.settings;
    let member = |(at, id): (usize, &String)| {
        element(
            "DBClusterMember",
            vec![
                leaf("DBInstanceIdentifier", id),
                leaf("IsClusterWriter", at == 0),
                leaf("DBClusterParameterGroupStatus", "in-sync"),
                leaf("PromotionTier", 1),
            ],
        )
    };
    let mut nodes = common(settings);
    nodes.extend([
        leaf("DBClusterIdentifier", &cluster.id),
        leaf("DBClusterArn", region.arn("cluster", &cluster.id)),
        leaf("DbClusterResourceId", format!("cluster-{}", cluster.id.to_uppercase())),
        leaf("Status", cluster.status(now)),
        leaf("Endpoint", HOST),
        leaf("ReaderEndpoint", HOST),
        leaf("Port", settings.port),
        leaf("DBClusterParameterGroup", &settings.parameter_group),
        leaf("DBSubnetGroup", &settings.subnet_group),
        moment("ClusterCreateTime", cluster.created_at),
        element("DBClusterMembers", cluster.members.iter().enumerate().map(member).collect()),
    ]);
    nodes.extend(cluster_restorable(cluster, now).map(|at| moment("LatestRestorableTime", at)));
    element("DBCluster", nodes)
}

pub(super) fn instance_snapshot(region: &Region, snapshot: &Snapshot, now: Timestamp) -> Node {
    let mut nodes = snapshot_nodes(snapshot, now);
    nodes.extend([
        leaf("DBSnapshotIdentifier", &snapshot.id),
        leaf("DBSnapshotArn", region.arn("snapshot", &snapshot.id)),
        leaf("DBInstanceIdentifier", &snapshot.source),
        leaf("Encrypted", snapshot.settings.encrypted),
        leaf("AllocatedStorage", 100),
        moment("OriginalSnapshotCreateTime", snapshot.created_at),
        moment("SnapshotDatabaseTime", snapshot.created_at),
    ]);
    element("DBSnapshot", nodes)
}

pub(super) fn cluster_snapshot(region: &Region, snapshot: &Snapshot, now: Timestamp) -> Node {
    let mut nodes = snapshot_nodes(snapshot, now);
    nodes.extend([
        leaf("DBClusterSnapshotIdentifier", &snapshot.id),
        leaf("DBClusterSnapshotArn", region.arn("cluster-snapshot", &snapshot.id)),
        leaf("DBClusterIdentifier", &snapshot.source),
        leaf("StorageEncrypted", snapshot.settings.encrypted),
    ]);
    element("DBClusterSnapshot", nodes)
}

fn snapshot_nodes(snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
    let status = snapshot.timeline.status(now);
    let mut nodes = vec![
        leaf("Status", status),
        leaf("SnapshotType", &snapshot.origin),
        leaf("Engine", &snapshot.settings.engine),
        leaf("EngineVersion", &snapshot.settings.engine_version),
        leaf("MasterUsername", &snapshot.settings.username),
        leaf("PercentProgress", if status == "available" { 100 } else { 43 }),
        moment("SnapshotCreateTime", snapshot.created_at),
        tag_list(&snapshot.settings.tags),
    ];
    nodes.extend(snapshot.settings.kms_key.as_ref().map(|key| leaf("KmsKeyId", key)));
    nodes
}

fn subnet_group_nodes(name: &str, region: &Region) -> Vec<Node> {
    let group = region.subnet_groups.get(name);
    let subnet = |id: &String| element("Subnet", vec![leaf("SubnetIdentifier", id), leaf("SubnetStatus", "Active")]);
    let subnets = group.map(|group| group.subnets.iter().map(subnet).collect()).unwrap_or_default();
    vec![
        leaf("DBSubnetGroupName", name),
        leaf("DBSubnetGroupDescription", group.map_or("", |group| group.description.as_str())),
        leaf("VpcId", "vpc-0sandbox"),
        leaf("SubnetGroupStatus", "Complete"),
        leaf("DBSubnetGroupArn", region.arn("subgrp", name)),
        element("Subnets", subnets),
    ]
}

pub(super) fn subnet_group(region: &Region, group: &SubnetGroup) -> Node {
    element("DBSubnetGroup", subnet_group_nodes(&group.name, region))
}

pub(super) fn event(event: &Event) -> Node {
    element(
        "Event",
        vec![
            leaf("SourceIdentifier", &event.source),
            leaf("SourceType", event.source_type),
            leaf("Message", &event.message),
            moment("Date", event.at),
        ],
    )
}
