//! Subnet groups, parameter groups, option groups, and what can be ordered.

use crate::sandbox::protocol::{Node, element, leaf, list};
use crate::sandbox::world::catalog::{self, Version};
use crate::sandbox::world::network::{OptionGroup, ParameterGroup};
use crate::sandbox::world::{Region, SubnetGroup};

pub(super) fn subnet_group_nodes(name: &str, region: &Region) -> Vec<Node> {
    let group = region.network.subnet_groups.get(name);
    let subnet = |(id, zone): &(String, String)| {
        let zone = element("SubnetAvailabilityZone", vec![leaf("Name", zone)]);
        element("Subnet", vec![leaf("SubnetIdentifier", id), zone, leaf("SubnetStatus", "Active")])
    };
    let subnets = group.map(|group| group.subnets.iter().map(subnet).collect()).unwrap_or_default();
    vec![
        leaf("DBSubnetGroupName", name),
        leaf("DBSubnetGroupDescription", group.map_or("", |group| group.description.as_str())),
        leaf("VpcId", region.network.vpc_of(name)),
        leaf("SubnetGroupStatus", "Complete"),
        leaf("DBSubnetGroupArn", region.arn("subgrp", name)),
        element("SupportedNetworkTypes", vec![leaf("member", "IPV4")]),
        element("Subnets", subnets),
    ]
}

pub(in super::super) fn subnet_group(region: &Region, group: &SubnetGroup) -> Node {
    element("DBSubnetGroup", subnet_group_nodes(&group.name, region))
}

pub(in super::super) fn parameter_group(region: &Region, group: &ParameterGroup) -> Node {
    let nodes = vec![
        leaf("DBParameterGroupName", &group.name),
        leaf("DBParameterGroupFamily", &group.family),
        leaf("Description", format!("parameters for {}", group.family)),
        leaf("DBParameterGroupArn", region.arn("pg", &group.name)),
    ];
    element("DBParameterGroup", nodes)
}

pub(in super::super) fn cluster_parameter_group(region: &Region, group: &ParameterGroup) -> Node {
    let nodes = vec![
        leaf("DBClusterParameterGroupName", &group.name),
        leaf("DBParameterGroupFamily", &group.family),
        leaf("Description", format!("cluster parameters for {}", group.family)),
        leaf("DBClusterParameterGroupArn", region.arn("cluster-pg", &group.name)),
    ];
    element("DBClusterParameterGroup", nodes)
}

/// `AllowsVpcAndNonVpcInstanceMemberships` true and no VPC: it can be applied anywhere. With a VPC: only there.
pub(in super::super) fn option_group(region: &Region, group: &OptionGroup) -> Node {
    let option = |name: &String| {
        let permanent = leaf("Permanent", false);
        element("Option", vec![leaf("OptionName", name), leaf("Persistent", true), permanent])
    };
    let mut nodes = vec![
        leaf("OptionGroupName", &group.name),
        leaf("OptionGroupDescription", format!("options for {} {}", group.engine, group.major)),
        leaf("EngineName", &group.engine),
        leaf("MajorEngineVersion", &group.major),
        leaf("AllowsVpcAndNonVpcInstanceMemberships", group.vpc.is_none()),
        leaf("OptionGroupArn", region.arn("og", &group.name)),
        element("Options", group.options.iter().map(option).collect()),
    ];
    nodes.extend(group.vpc.as_ref().map(|vpc| leaf("VpcId", vpc)));
    element("OptionGroup", nodes)
}

/// One class of one version. Bounds of storage are those of `gp3` in the RDS user guide.
pub(in super::super) fn orderable(region: &Region, version: &Version, class: &str) -> Node {
    let zones = region.network.zones_of_class(class, &region.name);
    let zone = |name: &String| element("AvailabilityZone", vec![leaf("Name", name)]);
    let cluster = catalog::is_cluster_engine(version.engine);
    let mut nodes = vec![
        leaf("Engine", version.engine),
        leaf("EngineVersion", version.number),
        leaf("DBInstanceClass", class),
        leaf("LicenseModel", catalog::license(version.engine)),
        element("AvailabilityZones", zones.iter().map(zone).collect()),
        leaf("MultiAZCapable", !cluster),
        leaf("ReadReplicaCapable", !cluster),
        leaf("Vpc", true),
        leaf("SupportsStorageEncryption", true),
        leaf("StorageType", if cluster { "aurora" } else { "gp3" }),
        leaf("SupportsIops", !cluster),
        leaf("SupportsStorageThroughput", !cluster),
        leaf("SupportsEnhancedMonitoring", true),
        leaf("SupportsIAMDatabaseAuthentication", version.engine != "docdb"),
        leaf("SupportsPerformanceInsights", true),
        element("AvailableProcessorFeatures", Vec::new()),
        list("SupportedEngineModes", "member", [&"provisioned".to_owned()].into_iter().filter(|_| cluster)),
        leaf("SupportsStorageAutoscaling", !cluster),
        leaf("SupportsKerberosAuthentication", false),
        leaf("OutpostCapable", false),
        element("SupportedActivityStreamModes", Vec::new()),
        leaf("SupportsGlobalDatabases", cluster),
        element("SupportedNetworkTypes", vec![leaf("member", "IPV4")]),
        leaf("SupportsClusters", cluster),
        leaf("SupportsDedicatedLogVolume", false),
    ];
    if !cluster {
        nodes.extend([
            leaf("MinStorageSize", 20),
            leaf("MaxStorageSize", 65_536),
            leaf("MinIopsPerDbInstance", 3000),
            leaf("MaxIopsPerDbInstance", 64_000),
            leaf("MinStorageThroughputPerDbInstance", 125),
            leaf("MaxStorageThroughputPerDbInstance", 4000),
        ]);
    }
    element("OrderableDBInstanceOption", nodes)
}
