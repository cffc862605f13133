//! Snapshots of instances and of clusters.

use jiff::Timestamp;

use super::zones;
use crate::sandbox::protocol::{Node, element, leaf, moment, tag_list};
use crate::sandbox::world::{Region, Snapshot, after, catalog};

/// The newest transaction in a snapshot is a little older than the snapshot (assumption: two seconds).
const DATABASE_LAG_SECONDS: i64 = 2;

pub(in super::super) fn instance_snapshot(region: &Region, snapshot: &Snapshot, now: Timestamp) -> Node {
    let settings = &snapshot.settings;
    let mut nodes = common(region, snapshot, now);
    nodes.extend([
        leaf("DBSnapshotIdentifier", snapshot.name(region)),
        leaf("DBSnapshotArn", snapshot.arn(region)),
        leaf("DBInstanceIdentifier", &snapshot.source),
        leaf("DbiResourceId", &snapshot.resource_id),
        leaf("Encrypted", settings.encrypted),
        leaf("OptionGroupName", &settings.option_group),
        leaf("SnapshotTarget", "region"),
        leaf("DedicatedLogVolume", false),
        leaf("MultiTenant", false),
        moment("InstanceCreateTime", snapshot.source_created_at),
    ]);
    nodes.extend(settings.zones.first().map(|zone| leaf("AvailabilityZone", zone)));
    nodes.extend(settings.storage.iops.map(|iops| leaf("Iops", iops)));
    nodes.extend(settings.storage.throughput.map(|throughput| leaf("StorageThroughput", throughput)));
    nodes.extend(snapshot.copied_from.as_ref().map(|arn| leaf("SourceDBSnapshotIdentifier", arn)));
    if snapshot.has_times(now) {
        // "Doesn't change when the snapshot is copied" (botocore, OriginalSnapshotCreateTime).
        nodes.push(moment("OriginalSnapshotCreateTime", snapshot.original_at));
        nodes.push(moment("SnapshotDatabaseTime", after(snapshot.original_at, -DATABASE_LAG_SECONDS)));
    }
    element("DBSnapshot", nodes)
}

pub(in super::super) fn cluster_snapshot(region: &Region, snapshot: &Snapshot, now: Timestamp) -> Node {
    let settings = &snapshot.settings;
    let mut nodes = common(region, snapshot, now);
    nodes.extend([
        leaf("DBClusterSnapshotIdentifier", snapshot.name(region)),
        leaf("DBClusterSnapshotArn", snapshot.arn(region)),
        leaf("DBClusterIdentifier", &snapshot.source),
        leaf("DbClusterResourceId", &snapshot.resource_id),
        leaf("StorageEncrypted", settings.encrypted),
        leaf("EngineMode", "provisioned"),
        moment("ClusterCreateTime", snapshot.source_created_at),
        zones(&settings.zones),
    ]);
    nodes.extend(snapshot.copied_from.as_ref().map(|arn| leaf("SourceDBClusterSnapshotArn", arn)));
    element("DBClusterSnapshot", nodes)
}

fn common(region: &Region, snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
    let (status, settings) = (snapshot.timeline.status(now), &snapshot.settings);
    let mut nodes = vec![
        leaf("Status", status),
        leaf("SnapshotType", snapshot.shown_type()),
        leaf("Engine", &settings.engine),
        leaf("EngineVersion", &settings.engine_version),
        leaf("LicenseModel", catalog::license(&settings.engine)),
        leaf("MasterUsername", &settings.username),
        leaf("Port", settings.port),
        leaf("VpcId", region.network.vpc_of(&settings.subnet_group)),
        leaf("IAMDatabaseAuthenticationEnabled", settings.iam_authentication),
        leaf("StorageType", &settings.storage.kind),
        leaf("AllocatedStorage", settings.storage.gib),
        leaf("PercentProgress", if status == "available" { 100 } else { 43 }),
        tag_list(&settings.tags),
    ];
    // "SnapshotCreateTime: when the snapshot was taken"; one in `creating` has none (boto3 952,
    // terraform-provider-aws 2178).
    if snapshot.has_times(now) {
        nodes.push(moment("SnapshotCreateTime", snapshot.created_at));
    }
    nodes.extend(settings.kms_key.as_ref().map(|key| leaf("KmsKeyId", key)));
    nodes
}
