//! Resources as the API writes them, with the members that AWS always returns.
//!
//! Names and types are those of botocore's models of `rds` (2014-10-31); which members are always there is from what
//! people print of real answers (assumption where a comment says so).

mod backup;
mod cluster;
mod group;
mod instance;
mod snapshot;

pub(super) use backup::{cluster_backup, instance_backup, instance_backup_arn};
pub(super) use cluster::cluster;
pub(super) use group::{cluster_parameter_group, option_group, orderable, parameter_group, subnet_group};
pub(super) use instance::instance;
pub(super) use snapshot::{cluster_snapshot, instance_snapshot};

use crate::sandbox::protocol::{Node, element, leaf, list, moment, tag_list};
use crate::sandbox::world::{Event, Region, Settings};

/// Where every database of the sandbox is.
const HOST: &str = "localhost";
/// The zone of the hosts' names in Route 53; any of AWS's does.
const HOSTED_ZONE: &str = "Z29XKXDKYMONMX";
pub(super) const BACKUP_WINDOW: &str = "03:00-04:00";
const MAINTENANCE_WINDOW: &str = "sun:05:00-sun:06:00";
/// The default authority of a new instance.
const CERTIFICATE_AUTHORITY: &str = "rds-ca-rsa2048-g1";

/// What instances and clusters have in common.
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
        leaf("PreferredBackupWindow", BACKUP_WINDOW),
        leaf("PreferredMaintenanceWindow", MAINTENANCE_WINDOW),
        leaf("CopyTagsToSnapshot", settings.copy_tags),
        leaf("AutoMinorVersionUpgrade", true),
        leaf("NetworkType", "IPV4"),
        leaf("EngineLifecycleSupport", "open-source-rds-extended-support"),
        leaf("StorageType", &settings.storage.kind),
        leaf("AllocatedStorage", settings.storage.gib),
        element("VpcSecurityGroups", settings.security_groups.iter().map(group).collect()),
        element("AssociatedRoles", Vec::new()),
        element("DomainMemberships", Vec::new()),
        list("EnabledCloudwatchLogsExports", "member", &settings.log_exports),
        tag_list(&settings.tags),
    ];
    nodes.extend(settings.storage.iops.map(|iops| leaf("Iops", iops)));
    nodes.extend(settings.storage.throughput.map(|throughput| leaf("StorageThroughput", throughput)));
    nodes.extend(settings.kms_key.as_ref().map(|key| leaf("KmsKeyId", key)));
    nodes
}

fn zones(names: &[String]) -> Node {
    list("AvailabilityZones", "AvailabilityZone", names)
}

/// An event's category: those of the events' tables in the RDS user guide, by what the message says.
pub(super) fn category(event: &Event) -> &'static str {
    let message = event.message.to_ascii_lowercase();
    let words = [
        ("failover", "failover"),
        ("deleted", "deletion"),
        ("created", "creation"),
        ("credentials", "configuration change"),
        ("backing up", "backup"),
        ("restore", "restoration"),
        ("restarted", "availability"),
    ];
    words.iter().find(|(word, _)| message.contains(word)).map_or("notification", |(_, name)| *name)
}

/// An event.
pub(super) fn event(region: &Region, event: &Event) -> Node {
    let kind = match event.source_type {
        "db-instance" => "db",
        "db-cluster" => "cluster",
        "db-snapshot" => "snapshot",
        _ => "cluster-snapshot",
    };
    element(
        "Event",
        vec![
            leaf("SourceIdentifier", &event.source),
            leaf("SourceType", event.source_type),
            leaf("Message", &event.message),
            element("EventCategories", vec![leaf("EventCategory", category(event))]),
            moment("Date", event.at),
            leaf("SourceArn", region.arn(kind, &event.source)),
        ],
    )
}
