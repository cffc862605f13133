//! Automated backups: what is there of databases that live, and what outlives those that are gone.

use jiff::Timestamp;

use super::describe::{Filters, known, lets, paged};
use super::{Request, render};
use crate::sandbox::protocol::{Answer, ApiError};
use crate::sandbox::world::{Cluster, Instance, Region, RetainedBackup, Window, World};

/// One row of an answer.
struct Row {
    backup: RetainedBackup,
    window: Option<Window>,
    status: &'static str,
}

impl Row {
    fn retained(backup: &RetainedBackup, now: Timestamp) -> Self {
        Self { backup: backup.clone(), window: Some(backup.window(now)), status: "retained" }
    }

    /// "creating: automated backups that are waiting for the first automated snapshot to be available".
    fn of_instance(instance: &Instance, now: Timestamp) -> Self {
        let window = instance.window(now);
        let backup = RetainedBackup {
            id: instance.id.clone(),
            resource_id: instance.resource_id.clone(),
            is_cluster: false,
            settings: instance.settings.clone(),
            class: instance.class.clone(),
            content: instance.content.clone(),
            created_at: instance.created_at,
            latest: now,
        };
        Self { backup, window, status: if window.is_some() { "active" } else { "creating" } }
    }

    /// botocore's text knows only `retained` for clusters; `active` as for instances is an assumption.
    fn of_cluster(cluster: &Cluster, now: Timestamp) -> Self {
        let window = cluster.window(now);
        let backup = RetainedBackup {
            id: cluster.id.clone(),
            resource_id: cluster.resource_id.clone(),
            is_cluster: true,
            settings: cluster.settings.clone(),
            class: String::new(),
            content: cluster.content.clone(),
            created_at: cluster.created_at,
            latest: now,
        };
        Self { backup, window, status: if window.is_some() { "active" } else { "creating" } }
    }

    fn is_let_by(&self, filters: &Filters, [id, resource_id]: [&str; 2]) -> bool {
        lets(filters, "status", self.status)
            && lets(filters, id, &self.backup.id)
            && lets(filters, resource_id, &self.backup.resource_id)
    }
}

fn retained(region: &Region, clusters: bool, now: Timestamp) -> impl Iterator<Item = Row> {
    region.retained.iter().filter(move |backup| backup.is_cluster == clusters).map(move |kept| Row::retained(kept, now))
}

pub(super) fn instances(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["status", "db-instance-id", "dbi-resource-id"])?;
    let region = world.region(request.region);
    let living = region.instances.values().filter(|instance| {
        let settings = &instance.settings;
        instance.cluster.is_none() && instance.replica_of.is_none() && settings.backup_retention_days > 0
    });
    let living = living.map(|instance| Row::of_instance(instance, request.now));
    let text = |name: &str| request.params.text(name);
    let (id, resource_id) = (text("DBInstanceIdentifier"), text("DbiResourceId"));
    let arn = text("DBInstanceAutomatedBackupsArn");
    let found: Vec<Row> = living
        .chain(retained(region, false, request.now))
        .filter(|row| row.is_let_by(&filters, ["db-instance-id", "dbi-resource-id"]))
        .filter(|row| id.is_none_or(|id| id.eq_ignore_ascii_case(&row.backup.id)))
        .filter(|row| resource_id.is_none_or(|id| id.eq_ignore_ascii_case(&row.backup.resource_id)))
        .filter(|row| arn.is_none_or(|arn| arn == render::instance_backup_arn(region, &row.backup.resource_id)))
        .collect();
    if found.is_empty() && (id.is_some() || resource_id.is_some() || arn.is_some()) {
        let message =
            format!("DBInstanceAutomatedBackup {} not found.", id.or(resource_id).or(arn).unwrap_or_default());
        return Err(ApiError::new(404, "DBInstanceAutomatedBackupNotFound", message));
    }
    let nodes = found.iter().map(|row| render::instance_backup(region, &row.backup, row.window, row.status)).collect();
    paged(request, "DBInstanceAutomatedBackups", nodes)
}

/// DocumentDB has no such operation, and its clusters are not among them (assumption).
pub(super) fn clusters(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let filters = request.params.filters()?;
    known(&filters, &["status", "db-cluster-id", "db-cluster-resource-id"])?;
    let region = world.region(request.region);
    let living = region.clusters.values().filter(|cluster| cluster.settings.engine != "docdb");
    let living = living.map(|cluster| Row::of_cluster(cluster, request.now));
    let text = |name: &str| request.params.text(name);
    let (id, resource_id) = (text("DBClusterIdentifier"), text("DbClusterResourceId"));
    let found: Vec<Row> = living
        .chain(retained(region, true, request.now))
        .filter(|row| row.is_let_by(&filters, ["db-cluster-id", "db-cluster-resource-id"]))
        .filter(|row| id.is_none_or(|id| id.eq_ignore_ascii_case(&row.backup.id)))
        .filter(|row| resource_id.is_none_or(|id| id.eq_ignore_ascii_case(&row.backup.resource_id)))
        .collect();
    if found.is_empty() && (id.is_some() || resource_id.is_some()) {
        let message = format!("DBClusterAutomatedBackup {} not found.", id.or(resource_id).unwrap_or_default());
        return Err(ApiError::new(404, "DBClusterAutomatedBackupNotFoundFault", message));
    }
    let nodes = found.iter().map(|row| render::cluster_backup(region, &row.backup, row.window, row.status)).collect();
    paged(request, "DBClusterAutomatedBackups", nodes)
}
