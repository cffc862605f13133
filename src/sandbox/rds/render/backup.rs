//! Automated backups, of what is there and of what is gone.

use super::{BACKUP_WINDOW, zones};
use crate::sandbox::protocol::{Node, element, leaf, moment, tag_list};
use crate::sandbox::world::{Region, RetainedBackup, Window, catalog};

/// The automated backups of an instance. `status` is `active`, `creating` or `retained`.
pub(in super::super) fn instance_backup(
    region: &Region,
    backup: &RetainedBackup,
    window: Option<Window>,
    status: &str,
) -> Node {
    let settings = &backup.settings;
    let mut nodes = common(region, backup, window, status);
    nodes.extend([
        leaf("DBInstanceArn", region.arn("db", &backup.id)),
        leaf("DbiResourceId", &backup.resource_id),
        leaf("DBInstanceIdentifier", &backup.id),
        moment("InstanceCreateTime", backup.created_at),
        leaf("OptionGroupName", &settings.option_group),
        leaf("Encrypted", settings.encrypted),
        leaf("DBInstanceAutomatedBackupsArn", instance_backup_arn(region, &backup.resource_id)),
        element("DBInstanceAutomatedBackupsReplications", Vec::new()),
        leaf("BackupTarget", "region"),
        leaf("MultiTenant", false),
        leaf("DedicatedLogVolume", false),
    ]);
    nodes.extend(settings.zones.first().map(|zone| leaf("AvailabilityZone", zone)));
    element("DBInstanceAutomatedBackup", nodes)
}

/// The automated backups of a cluster.
pub(in super::super) fn cluster_backup(
    region: &Region,
    backup: &RetainedBackup,
    window: Option<Window>,
    status: &str,
) -> Node {
    let mut nodes = common(region, backup, window, status);
    nodes.extend([
        leaf("DBClusterArn", region.arn("cluster", &backup.id)),
        leaf("DbClusterResourceId", &backup.resource_id),
        leaf("DBClusterIdentifier", &backup.id),
        moment("ClusterCreateTime", backup.created_at),
        leaf("StorageEncrypted", backup.settings.encrypted),
        leaf("EngineMode", "provisioned"),
        zones(&backup.settings.zones),
        leaf("DBClusterAutomatedBackupsArn", cluster_backup_arn(region, &backup.resource_id)),
    ]);
    element("DBClusterAutomatedBackup", nodes)
}

/// `arn:aws:rds:us-east-1:123456789012:auto-backup:ab-L2IJCEXJP7XQ7HOJ4SIEXAMPLE`, as in botocore's text.
pub(in super::super) fn instance_backup_arn(region: &Region, resource_id: &str) -> String {
    region.arn("auto-backup", &format!("ab-{}", resource_id.trim_start_matches("db-").to_ascii_lowercase()))
}

/// What such an ARN looks like is an assumption.
fn cluster_backup_arn(region: &Region, resource_id: &str) -> String {
    let name = resource_id.trim_start_matches("cluster-").to_ascii_lowercase();
    region.arn("cluster-auto-backup", &format!("ab-{name}"))
}

fn common(region: &Region, backup: &RetainedBackup, window: Option<Window>, status: &str) -> Vec<Node> {
    let settings = &backup.settings;
    let mut nodes = vec![
        leaf("Region", &region.name),
        leaf("Status", status),
        leaf("Engine", &settings.engine),
        leaf("EngineVersion", &settings.engine_version),
        leaf("LicenseModel", catalog::license(&settings.engine)),
        leaf("MasterUsername", &settings.username),
        leaf("Port", settings.port),
        leaf("VpcId", region.network.vpc_of(&settings.subnet_group)),
        leaf("AllocatedStorage", settings.storage.gib),
        leaf("StorageType", &settings.storage.kind),
        leaf("IAMDatabaseAuthenticationEnabled", settings.iam_authentication),
        leaf("BackupRetentionPeriod", settings.backup_retention_days),
        leaf("PreferredBackupWindow", BACKUP_WINDOW),
        tag_list(&settings.tags),
    ];
    nodes.extend(settings.kms_key.as_ref().map(|key| leaf("KmsKeyId", key)));
    let bounds = window.map_or_else(Vec::new, |window| {
        vec![moment("EarliestTime", window.earliest), moment("LatestTime", window.latest)]
    });
    nodes.push(element("RestoreWindow", bounds));
    nodes
}
