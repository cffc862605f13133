//! Clusters.

use jiff::Timestamp;

use super::{HOST, HOSTED_ZONE, common, zones};
use crate::sandbox::protocol::{Node, element, leaf, moment};
use crate::sandbox::world::{Cluster, Region};

pub(in super::super) fn cluster(region: &Region, cluster: &Cluster, now: Timestamp) -> Node {
    let settings = &cluster.settings;
    let mut nodes = common(settings);
    nodes.extend([
        leaf("DBClusterIdentifier", &cluster.id),
        leaf("DBClusterArn", region.arn("cluster", &cluster.id)),
        leaf("DbClusterResourceId", &cluster.resource_id),
        leaf("Status", cluster.status(now)),
        leaf("Endpoint", HOST),
        leaf("ReaderEndpoint", HOST),
        leaf("Port", settings.port),
        leaf("HostedZoneId", HOSTED_ZONE),
        leaf("DBClusterParameterGroup", &settings.parameter_group),
        leaf("DBSubnetGroup", &settings.subnet_group),
        leaf("EngineMode", "provisioned"),
        leaf("HttpEndpointEnabled", false),
        leaf("CrossAccountClone", false),
        moment("ClusterCreateTime", cluster.created_at),
        zones(&settings.zones),
        element("ReadReplicaIdentifiers", Vec::new()),
        element("DBClusterMembers", cluster.members.iter().enumerate().map(member).collect()),
    ]);
    nodes.extend(settings.database.as_ref().map(|name| leaf("DatabaseName", name)));
    if let Some(window) = cluster.window(now) {
        nodes.push(moment("EarliestRestorableTime", window.earliest));
        nodes.push(moment("LatestRestorableTime", window.latest));
    }
    if let Some(scaling) = settings.scaling {
        let bounds = vec![leaf("MinCapacity", scaling.min), leaf("MaxCapacity", scaling.max)];
        nodes.push(element("ServerlessV2ScalingConfiguration", bounds));
    }
    if cluster.backend.has_pending_password() {
        nodes.push(element("PendingModifiedValues", vec![leaf("MasterUserPassword", "****")]));
    }
    element("DBCluster", nodes)
}

fn member((at, id): (usize, &String)) -> Node {
    element(
        "DBClusterMember",
        vec![
            leaf("DBInstanceIdentifier", id),
            leaf("IsClusterWriter", at == 0),
            leaf("DBClusterParameterGroupStatus", "in-sync"),
            leaf("PromotionTier", 1),
        ],
    )
}
