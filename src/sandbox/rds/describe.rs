//! Describes: by name, by filter, in pages.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::snapshot::SNAPSHOT_QUOTA;
use super::{Request, name, no_cluster, no_instance, render};
use crate::sandbox::protocol::{Answer, ApiError, Node, element, leaf, xml_answer};
use crate::sandbox::world::{Region, Snapshot, World, after};

pub(super) type Filters = BTreeMap<String, Vec<String>>;

/// Whether a filter lets a value through; one that is not set lets everything through.
pub(super) fn lets(filters: &Filters, name: &str, value: &str) -> bool {
    filters.get(name).is_none_or(|values| values.iter().any(|wanted| wanted == value))
}

/// As [`lets`], for what may also be named by its ARN.
fn lets_named(filters: &Filters, filter: &str, region: &Region, kind: &str, value: &str) -> bool {
    let is_meant = |wanted: &String| name::own(region, kind, wanted).as_deref() == Some(value);
    filters.get(filter).is_none_or(|values| values.iter().any(is_meant))
}

/// Nothing in the sandbox has what such a filter asks for.
fn lets_none(filters: &Filters, name: &str) -> bool {
    !filters.contains_key(name)
}

/// Refuses filters that the operation does not have.
pub(super) fn known(filters: &Filters, names: &[&str]) -> Result<(), ApiError> {
    match filters.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(ApiError::invalid(format!("Unrecognized filter name: {name}"))),
        None => Ok(()),
    }
}

/// "This parameter isn't currently supported": filters of such an operation are refused, as any unknown one.
pub(super) fn no_filters(request: &Request<'_>) -> Result<(), ApiError> {
    known(&request.params.filters()?, &[])
}

pub(super) fn paged(request: &Request<'_>, name: &str, nodes: Vec<Node>) -> Result<Answer, ApiError> {
    let (page, marker) = request.params.page(nodes)?;
    let mut result = vec![element(name, page)];
    result.extend(marker.map(|marker| leaf("Marker", marker)));
    Ok(xml_answer(request.action, result))
}

pub(super) fn instances(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["db-instance-id", "db-cluster-id", "engine", "dbi-resource-id", "domain"])?;
    let named = request.params.text("DBInstanceIdentifier");
    let region = world.region(request.region);
    let wanted = named.map(|named| name::own(region, "db", named));
    let found: Vec<_> = region
        .instances
        .values()
        .filter(|instance| instance.visible_at <= request.now)
        .filter(|instance| wanted.as_ref().is_none_or(|id| id.as_ref() == Some(&instance.id)))
        .filter(|instance| lets_named(&filters, "db-instance-id", region, "db", &instance.id))
        .filter(|instance| lets(&filters, "engine", &instance.settings.engine))
        .filter(|instance| lets(&filters, "dbi-resource-id", &instance.resource_id))
        .filter(|_| lets_none(&filters, "domain"))
        .filter(|instance| {
            let cluster = instance.cluster.as_deref().unwrap_or_default();
            lets_named(&filters, "db-cluster-id", region, "cluster", cluster)
        })
        .map(|instance| render::instance(region, instance, request.shown_at.max(instance.created_at)))
        .collect();
    match named {
        Some(id) if found.is_empty() => Err(no_instance(id)),
        _ => paged(request, "DBInstances", found),
    }
}

pub(super) fn clusters(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["db-cluster-id", "engine", "clone-group-id", "db-cluster-resource-id", "domain"])?;
    let named = request.params.text("DBClusterIdentifier");
    let region = world.region(request.region);
    let wanted = named.map(|named| name::own(region, "cluster", named));
    let found: Vec<_> = region
        .clusters
        .values()
        .filter(|cluster| cluster.visible_at <= request.now)
        .filter(|cluster| wanted.as_ref().is_none_or(|id| id.as_ref() == Some(&cluster.id)))
        .filter(|cluster| lets_named(&filters, "db-cluster-id", region, "cluster", &cluster.id))
        .filter(|cluster| lets(&filters, "engine", &cluster.settings.engine))
        .filter(|cluster| lets(&filters, "db-cluster-resource-id", &cluster.resource_id))
        .filter(|_| lets_none(&filters, "domain") && lets_none(&filters, "clone-group-id"))
        .map(|cluster| render::cluster(region, cluster, request.shown_at.max(cluster.created_at)))
        .collect();
    match named {
        Some(id) if found.is_empty() => Err(no_cluster(id)),
        _ => paged(request, "DBClusters", found),
    }
}

pub(super) fn events(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let params = request.params;
    let moment = |name: &str| params.text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let minutes = params.number("Duration");
    if params.text("SourceIdentifier").is_some() && params.text("SourceType").is_none() {
        let message = "SourceType must be provided if SourceIdentifier is supplied.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let since = moment("StartTime").unwrap_or_else(|| after(request.now, -minutes.unwrap_or(60) * 60));
    let until = moment("EndTime").unwrap_or(request.now).min(request.now);
    // "Events ... for the past 14 days".
    if since < after(request.now, -14 * 86_400) || since > until {
        return Err(ApiError::invalid("The events that are asked for must be of the past 14 days."));
    }
    let categories = params.list("EventCategories.EventCategory");
    let region = world.region(request.region);
    let events = region.events.iter().filter(|event| {
        (since..=until).contains(&event.at)
            && params.text("SourceIdentifier").is_none_or(|source| source == event.source)
            && params.text("SourceType").is_none_or(|kind| kind == event.source_type)
            && (categories.is_empty() || categories.iter().any(|wanted| wanted == render::category(event)))
    });
    let found = events.map(|event| render::event(region, event)).collect();
    paged(request, "Events", found)
}

pub(super) fn quotas(world: &mut World, request: &Request<'_>) -> Answer {
    let (instances, clusters, storage) = (world.instance_quota, world.cluster_quota, world.storage_quota_gib);
    let region = world.region(request.region);
    let quota = |name: &str, used: usize, max: usize| {
        element("AccountQuota", vec![leaf("AccountQuotaName", name), leaf("Used", used), leaf("Max", max)])
    };
    let used_gib: i64 = region.instances.values().map(|instance| instance.settings.storage.gib).sum();
    let gib = |number: i64| usize::try_from(number).unwrap_or_default();
    let manual = |snapshot: &&Snapshot| snapshot.origin == "manual";
    let quotas = vec![
        quota("DBInstances", region.instances.len(), instances),
        quota("DBClusters", region.clusters.len(), clusters),
        quota("AllocatedStorage", gib(used_gib), gib(storage)),
        quota("ManualSnapshots", region.instance_snapshots.values().filter(manual).count(), SNAPSHOT_QUOTA),
        quota("ManualClusterSnapshots", region.cluster_snapshots.values().filter(manual).count(), SNAPSHOT_QUOTA),
        quota("DBSubnetGroups", region.network.subnet_groups.len(), 50),
        quota("DBParameterGroups", region.network.parameter_groups.len(), 50),
        quota("DBClusterParameterGroups", region.network.cluster_parameter_groups.len(), 50),
        quota("OptionGroups", region.network.option_groups.len(), 20),
    ];
    xml_answer(request.action, vec![element("AccountQuotas", quotas)])
}
