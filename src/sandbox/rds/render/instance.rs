//! Instances.

use jiff::Timestamp;

use super::group::subnet_group_nodes;
use super::{CERTIFICATE_AUTHORITY, HOST, HOSTED_ZONE, common};
use crate::sandbox::protocol::{Node, element, leaf, list, moment};
use crate::sandbox::world::{Instance, Region, catalog};

pub(in super::super) fn instance(region: &Region, instance: &Instance, now: Timestamp) -> Node {
    let status = instance.status(now);
    let settings = &instance.settings;
    let mut nodes = common(settings);
    nodes.extend([
        leaf("DBInstanceIdentifier", &instance.id),
        leaf("DBInstanceArn", region.arn("db", &instance.id)),
        leaf("DbiResourceId", &instance.resource_id),
        leaf("DBInstanceClass", &instance.class),
        leaf("DBInstanceStatus", status),
        leaf("DbInstancePort", 0),
        leaf("PubliclyAccessible", instance.public),
        leaf("LicenseModel", catalog::license(&settings.engine)),
        leaf("CACertificateIdentifier", CERTIFICATE_AUTHORITY),
        leaf("MonitoringInterval", 0),
        leaf("PerformanceInsightsEnabled", false),
        leaf("BackupTarget", "region"),
        leaf("CustomerOwnedIpEnabled", false),
        leaf("ActivityStreamStatus", "stopped"),
        leaf("DedicatedLogVolume", false),
        leaf("IsStorageConfigUpgradeAvailable", false),
        element("DBSecurityGroups", Vec::new()),
        element("DBSubnetGroup", subnet_group_nodes(&settings.subnet_group, region)),
        element("PendingModifiedValues", pending(instance)),
        element("DBParameterGroups", vec![parameter_group(&settings.parameter_group)]),
        element("OptionGroupMemberships", option_groups(&settings.option_group)),
        list("ReadReplicaDBInstanceIdentifiers", "ReadReplicaDBInstanceIdentifier", replicas(region, instance)),
    ]);
    nodes.extend(settings.database.as_ref().map(|name| leaf("DBName", name)));
    nodes.extend(instance.cluster.as_ref().map(|cluster| leaf("DBClusterIdentifier", cluster)));
    nodes.extend(instance.cluster.as_ref().map(|_| leaf("PromotionTier", 1)));
    nodes.extend(instance.replica_of.as_ref().map(|source| leaf("ReadReplicaSourceDBInstanceIdentifier", source)));
    nodes.extend(instance.window(now).map(|window| moment("LatestRestorableTime", window.latest)));
    // What is not there yet has neither a zone, nor a time, nor an endpoint.
    if status != "creating" {
        let address = vec![leaf("Address", HOST), leaf("Port", settings.port), leaf("HostedZoneId", HOSTED_ZONE)];
        nodes.push(element("Endpoint", address));
        nodes.push(moment("InstanceCreateTime", instance.created_at));
        nodes.extend(settings.zones.first().map(|zone| leaf("AvailabilityZone", zone)));
        nodes.push(element("CertificateDetails", vec![leaf("CAIdentifier", CERTIFICATE_AUTHORITY)]));
    }
    element("DBInstance", nodes)
}

fn replicas<'r>(region: &'r Region, instance: &'r Instance) -> impl Iterator<Item = &'r String> {
    region.instances.values().filter(|other| other.replica_of.as_ref() == Some(&instance.id)).map(|other| &other.id)
}

/// What has been asked for and is not yet so. The password's value is never told.
fn pending(instance: &Instance) -> Vec<Node> {
    let changes = instance.pending.iter().map(|(name, value)| leaf(name, value));
    let password = instance.backend.has_pending_password().then(|| leaf("MasterUserPassword", "****"));
    changes.chain(password).collect()
}

fn parameter_group(name: &str) -> Node {
    let nodes = vec![leaf("DBParameterGroupName", name), leaf("ParameterApplyStatus", "in-sync")];
    element("DBParameterGroup", nodes)
}

fn option_groups(name: &str) -> Vec<Node> {
    if name.is_empty() {
        return Vec::new();
    }
    vec![element("OptionGroupMembership", vec![leaf("OptionGroupName", name), leaf("Status", "in-sync")])]
}
