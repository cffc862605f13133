//! Describes: by name, by filter, in pages.

use std::collections::BTreeMap;

use super::{Request, name_of, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, render};
use crate::sandbox::protocol::{Answer, Fault, Node, element, leaf, xml_answer};
use crate::sandbox::world::{Snapshot, World, after};

pub(super) type Filters = BTreeMap<String, Vec<String>>;

/// Whether a filter lets a value through; one that is not set lets everything through.
pub(super) fn lets(filters: &Filters, name: &str, value: &str) -> bool {
    filters.get(name).is_none_or(|values| values.iter().any(|wanted| name_of(wanted) == value))
}

/// Refuses filters that the operation does not have.
pub(super) fn known(filters: &Filters, names: &[&str]) -> Result<(), Fault> {
    match filters.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(Fault::invalid(format!("Unrecognized filter name: {name}"))),
        None => Ok(()),
    }
}

/// "This parameter isn't currently supported": filters of such an operation are refused, as any unknown one.
pub(super) fn no_filters(request: &Request<'_>) -> Result<(), Fault> {
    known(&request.params.filters()?, &[])
}

pub(super) fn paged(request: &Request<'_>, name: &str, nodes: Vec<Node>) -> Result<Answer, Fault> {
    let (page, marker) = request.params.page(nodes)?;
    let mut result = vec![element(name, page)];
    result.extend(marker.map(|marker| leaf("Marker", marker)));
    Ok(xml_answer(request.action, result))
}

pub(super) fn instances(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let filters = request.params.filters()?;
    known(&filters, &["db-instance-id", "db-cluster-id", "engine", "dbi-resource-id", "domain"])?;
    let wanted = request.params.text("DBInstanceIdentifier").map(|id| name_of(id).to_ascii_lowercase());
    let region = world.region(request.region);
    let found: Vec<_> = region
        .instances
        .values()
        .filter(|instance| wanted.as_ref().is_none_or(|id| *id == instance.id))
        .filter(|instance| lets(&filters, "db-instance-id", &instance.id))
        .filter(|instance| lets(&filters, "engine", &instance.settings.engine))
        .filter(|instance| lets(&filters, "db-cluster-id", instance.cluster.as_deref().unwrap_or_default()))
        .map(|instance| render::instance(region, instance, request.now))
        .collect();
    match wanted {
        Some(id) if found.is_empty() => Err(no_instance(&id)),
        _ => paged(request, "DBInstances", found),
    }
}

pub(super) fn clusters(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let filters = request.params.filters()?;
    known(&filters, &["db-cluster-id", "engine", "clone-group-id", "db-cluster-resource-id", "domain"])?;
    let wanted = request.params.text("DBClusterIdentifier").map(|id| name_of(id).to_ascii_lowercase());
    let region = world.region(request.region);
    let found: Vec<_> = region
        .clusters
        .values()
        .filter(|cluster| wanted.as_ref().is_none_or(|id| *id == cluster.id))
        .filter(|cluster| lets(&filters, "db-cluster-id", &cluster.id))
        .filter(|cluster| lets(&filters, "engine", &cluster.settings.engine))
        .map(|cluster| render::cluster(region, cluster, request.now))
        .collect();
    match wanted {
        Some(id) if found.is_empty() => Err(no_cluster(&id)),
        _ => paged(request, "DBClusters", found),
    }
}

/// What a request for snapshots asks for.
struct Asked {
    id: Option<String>,
    source: Option<String>,
    snapshot_type: Option<String>,
    filters: Filters,
    source_filter: &'static str,
    id_filter: &'static str,
}

impl Asked {
    fn lets(&self, snapshot: &Snapshot) -> bool {
        self.id.as_ref().is_none_or(|id| *id == snapshot.id)
            && self.source.as_ref().is_none_or(|source| *source == snapshot.source)
            && self.snapshot_type.as_ref().is_none_or(|wanted| *wanted == snapshot.origin)
            && lets(&self.filters, self.source_filter, &snapshot.source)
            && lets(&self.filters, self.id_filter, &snapshot.id)
            && lets(&self.filters, "snapshot-type", &snapshot.origin)
            && lets(&self.filters, "engine", &snapshot.settings.engine)
    }
}

fn asked(
    request: &Request<'_>,
    [id, source]: [&str; 2],
    [id_filter, source_filter]: [&'static str; 2],
) -> Result<Asked, Fault> {
    let filters = request.params.filters()?;
    known(&filters, &[id_filter, source_filter, "snapshot-type", "engine"])?;
    let text = |name| request.params.text(name).map(|id| name_of(id).to_ascii_lowercase());
    let snapshot_type = request.params.text("SnapshotType").map(str::to_owned);
    Ok(Asked { id: text(id), source: text(source), snapshot_type, filters, source_filter, id_filter })
}

pub(super) fn instance_snapshots(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let names = ["DBSnapshotIdentifier", "DBInstanceIdentifier"];
    let asked = asked(request, names, ["db-snapshot-id", "db-instance-id"])?;
    let region = world.region(request.region);
    let found: Vec<_> = region.instance_snapshots.values().filter(|snapshot| asked.lets(snapshot)).collect();
    let found: Vec<_> = found.iter().map(|found| render::instance_snapshot(region, found, request.now)).collect();
    match asked.id {
        Some(id) if found.is_empty() => Err(no_instance_snapshot(&id)),
        _ => paged(request, "DBSnapshots", found),
    }
}

pub(super) fn cluster_snapshots(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let names = ["DBClusterSnapshotIdentifier", "DBClusterIdentifier"];
    let asked = asked(request, names, ["db-cluster-snapshot-id", "db-cluster-id"])?;
    let region = world.region(request.region);
    let found: Vec<_> = region.cluster_snapshots.values().filter(|snapshot| asked.lets(snapshot)).collect();
    let found: Vec<_> = found.iter().map(|found| render::cluster_snapshot(region, found, request.now)).collect();
    match asked.id {
        Some(id) if found.is_empty() => Err(no_cluster_snapshot(&id)),
        _ => paged(request, "DBClusterSnapshots", found),
    }
}

pub(super) fn events(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let minutes = request.params.number("Duration").unwrap_or(60);
    let since = after(request.now, -minutes * 60);
    let params = request.params;
    let region = world.region(request.region);
    let events = region.events.iter().filter(|event| {
        event.at >= since
            && params.text("SourceIdentifier").is_none_or(|source| source == event.source)
            && params.text("SourceType").is_none_or(|kind| kind == event.source_type)
    });
    let found = events.map(|event| render::event(region, event)).collect();
    paged(request, "Events", found)
}

pub(super) fn quotas(world: &mut World, request: &Request<'_>) -> Answer {
    let (instances, clusters) = (world.instance_quota, world.cluster_quota);
    let region = world.region(request.region);
    let quota = |name: &str, used: usize, max: usize| {
        element("AccountQuota", vec![leaf("AccountQuotaName", name), leaf("Used", used), leaf("Max", max)])
    };
    let manual = |snapshot: &&Snapshot| snapshot.origin == "manual";
    let quotas = vec![
        quota("DBInstances", region.instances.len(), instances),
        quota("DBClusters", region.clusters.len(), clusters),
        quota("ManualSnapshots", region.instance_snapshots.values().filter(manual).count(), 100),
        quota("ManualClusterSnapshots", region.cluster_snapshots.values().filter(manual).count(), 100),
    ];
    xml_answer(request.action, vec![element("AccountQuotas", quotas)])
}
