//! Which snapshots an answer holds.

use std::collections::BTreeMap;

use super::describe::{Filters, known, lets, paged};
use super::{Request, name, no_cluster_snapshot, no_instance_snapshot, render};
use crate::sandbox::protocol::{Answer, ApiError};
use crate::sandbox::world::{Region, Snapshot, World};

/// What a request for snapshots asks for.
struct Asked<'a> {
    region: &'a Region,
    /// `snapshot` or `cluster-snapshot`.
    kind: &'static str,
    id: Option<&'a str>,
    source: Option<&'a str>,
    resource_id: Option<&'a str>,
    snapshot_type: Option<&'a str>,
    shared: bool,
    public: bool,
    filters: &'a Filters,
    filter_names: [&'static str; 2],
}

impl Asked<'_> {
    /// Which types are looked at. Without one "both automated and manual" are; others' have to be asked for; and "if this
    /// identifier is for an automated snapshot, the SnapshotType parameter must also be specified" (botocore, of RDS as of
    /// DocumentDB). AWS Backup's are named like automated ones, and are treated like them (assumption).
    fn sees(&self, snapshot: &Snapshot) -> bool {
        match (self.snapshot_type, snapshot.origin.as_str()) {
            (Some(wanted), origin) => {
                wanted == origin || (wanted == "awsbackup" && snapshot.id.starts_with("awsbackup:"))
            }
            (None, "shared") => self.shared,
            (None, "public") => self.public,
            (None, "manual") => true,
            (None, _) => self.id.is_none(),
        }
    }

    fn is_named(&self, snapshot: &Snapshot) -> bool {
        let Some(id) = self.id else { return true };
        if snapshot.is_foreign() {
            return snapshot.arn(self.region) == id;
        }
        name::own(self.region, self.kind, id).as_deref() == Some(snapshot.id.as_str())
    }

    fn lets(&self, snapshot: &Snapshot) -> bool {
        let source_kind = if self.kind == "snapshot" { "db" } else { "cluster" };
        let is_source = |text: &str| name::own(self.region, source_kind, text).as_deref() == Some(&snapshot.source);
        let [id_filter, source_filter] = self.filter_names;
        self.source.is_none_or(is_source)
            && self.resource_id.is_none_or(|id| id.eq_ignore_ascii_case(&snapshot.resource_id))
            && self.filters.get(source_filter).is_none_or(|values| values.iter().any(|value| is_source(value)))
            && lets(self.filters, id_filter, &snapshot.id)
            && lets(self.filters, "dbi-resource-id", &snapshot.resource_id)
            && lets(self.filters, "snapshot-type", &snapshot.origin)
            && lets(self.filters, "engine", &snapshot.settings.engine)
    }

    /// Those that fit; `None` where the one that is named is not there at all.
    fn find<'s>(&self, snapshots: &'s BTreeMap<String, Snapshot>) -> Option<Vec<&'s Snapshot>> {
        let seen: Vec<&Snapshot> =
            snapshots.values().filter(|snapshot| self.is_named(snapshot) && self.sees(snapshot)).collect();
        if seen.is_empty() && self.id.is_some() {
            return None;
        }
        Some(seen.into_iter().filter(|snapshot| self.lets(snapshot)).collect())
    }
}

pub(super) fn instances(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["db-snapshot-id", "db-instance-id", "dbi-resource-id", "snapshot-type", "engine"])?;
    let region = world.region(request.region);
    let text = |name: &str| request.params.text(name);
    let asked = Asked {
        region,
        kind: "snapshot",
        id: text("DBSnapshotIdentifier"),
        source: text("DBInstanceIdentifier"),
        resource_id: text("DbiResourceId"),
        snapshot_type: text("SnapshotType"),
        shared: request.params.boolean("IncludeShared") == Some(true),
        public: request.params.boolean("IncludePublic") == Some(true),
        filters: &filters,
        filter_names: ["db-snapshot-id", "db-instance-id"],
    };
    let found = asked.find(&region.instance_snapshots);
    let found = found.ok_or_else(|| no_instance_snapshot(asked.id.unwrap_or_default()))?;
    let nodes = found.iter().map(|found| render::instance_snapshot(region, found, request.now)).collect();
    paged(request, "DBSnapshots", nodes)
}

pub(super) fn clusters(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["db-cluster-snapshot-id", "db-cluster-id", "snapshot-type", "engine"])?;
    let region = world.region(request.region);
    let text = |name: &str| request.params.text(name);
    let asked = Asked {
        region,
        kind: "cluster-snapshot",
        id: text("DBClusterSnapshotIdentifier"),
        source: text("DBClusterIdentifier"),
        resource_id: text("DbClusterResourceId"),
        snapshot_type: text("SnapshotType"),
        shared: request.params.boolean("IncludeShared") == Some(true),
        public: request.params.boolean("IncludePublic") == Some(true),
        filters: &filters,
        filter_names: ["db-cluster-snapshot-id", "db-cluster-id"],
    };
    if asked.id.is_some() && asked.source.is_some() {
        // "This parameter can't be used in conjunction with the DBClusterIdentifier parameter."
        let message = "DBClusterIdentifier and DBClusterSnapshotIdentifier can't be used together.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let found = asked.find(&region.cluster_snapshots);
    let found = found.ok_or_else(|| no_cluster_snapshot(asked.id.unwrap_or_default()))?;
    let nodes = found.iter().map(|found| render::cluster_snapshot(region, found, request.now)).collect();
    paged(request, "DBClusterSnapshots", nodes)
}
