//! Restores: from snapshots and to points in time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Request, name_of, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, no_subnet_group, render,
    room_for_cluster, room_for_instance,
};
use crate::sandbox::engine::{Content, free_port};
use crate::sandbox::protocol::{Answer, Fault, xml_answer};
use crate::sandbox::world::catalog;
use crate::sandbox::world::network::DEFAULT_SECURITY_GROUP;
use crate::sandbox::world::{
    Backend, Cluster, Instance, Region, RetainedBackup, Settings, Timeline, Window, World, resource_id,
};

pub(super) fn instance_from_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = name_of(request.params.required("DBSnapshotIdentifier")?).to_ascii_lowercase();
    let region = world.region(request.region);
    let snapshot = region.instance_snapshots.get(&id).cloned().ok_or_else(|| no_instance_snapshot(&id))?;
    let status = snapshot.timeline.status(request.now);
    if status != "available" {
        let message = format!("Snapshot {id} is in {status} state, must be available.");
        return Err(Fault::new(400, "InvalidDBSnapshotState", message));
    }
    let target = request.params.id("DBInstanceIdentifier")?;
    restore_instance(world, request, target, snapshot.settings, snapshot.class, snapshot.content)
}

pub(super) fn instance_to_point_in_time(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let source = instance_backup(world.region(request.region), request)?;
    let Some(window) = source.window else {
        let message = format!("Point In Time Restore is not enabled for instance {}.", source.id);
        return Err(Fault::new(400, "PointInTimeRestoreNotEnabled", message));
    };
    let as_of = restore_time(request, "RestoreTime", window)?;
    let target = request.params.id("TargetDBInstanceIdentifier")?;
    let content = Content { as_of, ..source.content };
    restore_instance(world, request, target, source.settings, source.class, content)
}

/// Something that can be restored in time: it lives, or its automated backups were kept.
struct Restorable {
    id: String,
    settings: Settings,
    class: String,
    content: Content,
    window: Option<Window>,
}

impl Restorable {
    fn retained(backup: &RetainedBackup, now: Timestamp) -> Self {
        let RetainedBackup { id, settings, class, content, .. } = backup.clone();
        Self { id, settings, class, content, window: Some(backup.window(now)) }
    }
}

/// Exactly one of the three ways to name a source.
fn instance_backup(region: &Region, request: &Request<'_>) -> Result<Restorable, Fault> {
    let text = |name: &str| request.params.text(name);
    let (id, resource, arn) =
        (text("SourceDBInstanceIdentifier"), text("SourceDbiResourceId"), text("SourceDBInstanceAutomatedBackupsArn"));
    let named = [id, resource, arn].into_iter().flatten().count();
    if named != 1 {
        let message = "Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and \
                       SourceDBInstanceAutomatedBackupsArn must be specified.";
        return Err(Fault::new(400, "InvalidParameterCombination", message));
    }
    let living = |instance: &Instance| Restorable {
        id: instance.id.clone(),
        settings: instance.settings.clone(),
        class: instance.class.clone(),
        content: instance.content.clone(),
        window: instance.window(request.now),
    };
    if let Some(id) = id {
        let id = name_of(id).to_ascii_lowercase();
        return region.instances.get(&id).map(living).ok_or_else(|| no_instance(&id));
    }
    let is_meant = |resource_id: &str| {
        resource.is_some_and(|wanted| wanted.eq_ignore_ascii_case(resource_id))
            || arn.is_some_and(|wanted| wanted == render::instance_backup_arn(region, resource_id))
    };
    let kept = region.retained.iter().find(|kept| !kept.is_cluster && is_meant(&kept.resource_id));
    let found = match kept {
        Some(kept) => Some(Restorable::retained(kept, request.now)),
        None => region.instances.values().find(|instance| is_meant(&instance.resource_id)).map(living),
    };
    found.ok_or_else(|| {
        let name = resource.or(arn).unwrap_or_default();
        let message = format!("DBInstanceAutomatedBackup {name} not found.");
        Fault::new(404, "DBInstanceAutomatedBackupNotFound", message)
    })
}

fn cluster_backup(region: &Region, request: &Request<'_>) -> Result<Restorable, Fault> {
    let (id, resource) =
        (request.params.text("SourceDBClusterIdentifier"), request.params.text("SourceDbClusterResourceId"));
    let living = |cluster: &Cluster| Restorable {
        id: cluster.id.clone(),
        settings: cluster.settings.clone(),
        class: String::new(),
        content: cluster.content.clone(),
        window: cluster.window(request.now),
    };
    match (id, resource) {
        (Some(id), None) => {
            let id = name_of(id).to_ascii_lowercase();
            region.clusters.get(&id).map(living).ok_or_else(|| no_cluster(&id))
        }
        (None, Some(resource)) => {
            let is_meant = |resource_id: &str| resource.eq_ignore_ascii_case(resource_id);
            let kept = region.retained.iter().find(|kept| kept.is_cluster && is_meant(&kept.resource_id));
            let kept = kept.map(|kept| Restorable::retained(kept, request.now));
            let living = || region.clusters.values().find(|cluster| is_meant(&cluster.resource_id)).map(living);
            kept.or_else(living).ok_or_else(|| {
                let message = format!("DBClusterAutomatedBackup {resource} not found.");
                Fault::new(404, "DBClusterAutomatedBackupNotFoundFault", message)
            })
        }
        _ => {
            let message = "Exactly one of SourceDBClusterIdentifier and SourceDbClusterResourceId must be specified.";
            Err(Fault::new(400, "InvalidParameterCombination", message))
        }
    }
}

/// The moment that is asked for; it must lie in the past that is kept: after the earliest restorable time, and "before
/// the latest restorable time" (botocore). The codes are an assumption.
fn restore_time(request: &Request<'_>, name: &str, window: Window) -> Result<Timestamp, Fault> {
    let latest = request.params.boolean("UseLatestRestorableTime") == Some(true);
    match (request.params.text(name), latest) {
        (None, true) => Ok(window.latest),
        (None, false) => {
            let message = format!("{name} or UseLatestRestorableTime must be specified.");
            Err(Fault::new(400, "InvalidParameterCombination", message))
        }
        (Some(_), true) => {
            let message = format!("{name} can't be specified if UseLatestRestorableTime is true.");
            Err(Fault::new(400, "InvalidParameterCombination", message))
        }
        (Some(text), false) => {
            let at: Timestamp = text.parse().map_err(|_| Fault::invalid(format!("{text} is not a time")))?;
            if at < window.earliest {
                let message =
                    format!("The specified instance cannot be restored to a time earlier than {}.", window.earliest);
                return Err(Fault::invalid(message));
            }
            if at >= window.latest {
                let message =
                    format!("The specified time {at} is not before the latest restorable time {}.", window.latest);
                return Err(Fault::new(400, "InvalidRestoreFault", message));
            }
            Ok(at)
        }
    }
}

/// What a restore takes from the request, and what AWS defaults, whatever the source has.
fn restored_settings(request: &Request<'_>, source: Settings, parameter_group: &str) -> Result<Settings, Fault> {
    let params = request.params;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    let tags = params.tags();
    let family = catalog::find(&source.engine, &source.engine_version).map_or("unknown", |version| version.family);
    let default_group = format!("default.{family}");
    Ok(Settings {
        port: free_port().map_err(|error| Fault::new(500, "InternalFailure", error.to_string()))?,
        subnet_group: params.text("DBSubnetGroupName").unwrap_or("default").to_owned(),
        security_groups: if groups.is_empty() { vec![DEFAULT_SECURITY_GROUP.to_owned()] } else { groups },
        parameter_group: params.text(parameter_group).unwrap_or(&default_group).to_owned(),
        multi_az: params.boolean("MultiAZ").unwrap_or(false),
        iam_authentication: params.boolean("EnableIAMDatabaseAuthentication").unwrap_or(false),
        log_exports: params.list("EnableCloudwatchLogsExports.member"),
        deletion_protection: params.boolean("DeletionProtection").unwrap_or(false),
        backup_retention_days: params.number("BackupRetentionPeriod").unwrap_or(source.backup_retention_days),
        tags: if tags.is_empty() { source.tags.clone() } else { tags },
        ..source
    })
}

fn check_subnet_group(region: &Region, settings: &Settings) -> Result<(), Fault> {
    let name = &settings.subnet_group;
    if region.network.subnet_groups.contains_key(name) {
        return Ok(());
    }
    Err(no_subnet_group(name))
}

fn check_key(world: &World, settings: &Settings) -> Result<(), Fault> {
    if world.key_state == "Enabled" || settings.kms_key.is_none() {
        return Ok(());
    }
    let message = "The specified KMS key does not exist, is not enabled or you do not have permissions to access it.";
    Err(Fault::new(400, "KMSKeyNotAccessibleFault", message))
}

fn restore_instance(
    world: &mut World,
    request: &Request<'_>,
    id: String,
    source: Settings,
    class: String,
    content: Content,
) -> Result<Answer, Fault> {
    check_key(world, &source)?;
    let settings = restored_settings(request, source, "DBParameterGroupName")?;
    let (copies, times, quota) = (world.copies(), world.times, world.instance_quota);
    let region = world.region(request.region);
    check_subnet_group(region, &settings)?;
    room_for_instance(region, &id, quota)?;
    let instance = Instance {
        id: id.clone(),
        class: request.params.text("DBInstanceClass").map_or(class, str::to_owned),
        cluster: None,
        replica_of: None,
        public: request.params.boolean("PubliclyAccessible").unwrap_or(false),
        pending: BTreeMap::new(),
        resource_id: resource_id("db"),
        stalled_at: None,
        created_at: request.now,
        timeline: timeline(request, times.restore_instance),
        settings,
        content,
        backend: Backend::default(),
    };
    if request.ending.is_none() {
        copies.start(&instance.backend, &instance.content, instance.settings.port, &id);
    }
    let body = render::instance(region, &instance, request.now);
    region.instances.insert(id.clone(), instance);
    tell(region, request, "db-instance", &id);
    Ok(xml_answer(request.action, vec![body]))
}

fn timeline(request: &Request<'_>, seconds: i64) -> Timeline {
    match request.ending {
        Some(status) => Timeline::ending_as(request.now, "creating", seconds, status),
        None => Timeline::after(request.now, "creating", seconds),
    }
}

fn tell(region: &mut Region, request: &Request<'_>, kind: &'static str, id: &str) {
    region.tell(request.now, kind, id, "Restore in progress");
    if let Some(status) = request.ending {
        let message = format!("The restore could not be completed: the sandbox was told to end it as {status}");
        region.tell(request.now, kind, id, &message);
    }
}

pub(super) fn cluster_from_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = name_of(request.params.required("SnapshotIdentifier")?).to_ascii_lowercase();
    let region = world.region(request.region);
    let snapshot = region.cluster_snapshots.get(&id).cloned().ok_or_else(|| no_cluster_snapshot(&id))?;
    let status = snapshot.timeline.status(request.now);
    if status != "available" {
        let message = format!("Snapshot {id} is in {status} state, must be available.");
        return Err(Fault::new(400, "InvalidDBClusterSnapshotStateFault", message));
    }
    let engine = request.params.required("Engine")?;
    if engine != snapshot.settings.engine {
        return Err(Fault::invalid(format!("snapshot {id} is of {}, not {engine}", snapshot.settings.engine)));
    }
    restore_cluster(world, request, snapshot.settings, snapshot.content)
}

pub(super) fn cluster_to_point_in_time(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let source = cluster_backup(world.region(request.region), request)?;
    let Some(window) = source.window else {
        let message = format!("Cluster {} is being restored.", source.id);
        return Err(Fault::new(400, "InvalidDBClusterStateFault", message));
    };
    let as_of = restore_time(request, "RestoreToTime", window)?;
    restore_cluster(world, request, source.settings, Content { as_of, ..source.content })
}

fn restore_cluster(
    world: &mut World,
    request: &Request<'_>,
    source: Settings,
    content: Content,
) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterIdentifier")?;
    check_key(world, &source)?;
    let mut settings = restored_settings(request, source, "DBClusterParameterGroupName")?;
    // A cluster's backups cannot be switched off.
    settings.backup_retention_days = settings.backup_retention_days.max(1);
    if let Some(version) = request.params.text("EngineVersion") {
        version.clone_into(&mut settings.engine_version);
    }
    let (times, quota) = (world.times, world.cluster_quota);
    let region = world.region(request.region);
    check_subnet_group(region, &settings)?;
    room_for_cluster(region, &id, quota)?;
    let cluster = Cluster {
        id: id.clone(),
        members: Vec::new(),
        resource_id: resource_id("cluster"),
        stalled_at: None,
        created_at: request.now,
        timeline: timeline(request, times.restore_cluster),
        settings,
        content,
        backend: Backend::default(),
    };
    let body = render::cluster(region, &cluster, request.now);
    region.clusters.insert(id.clone(), cluster);
    tell(region, request, "db-cluster", &id);
    Ok(xml_answer(request.action, vec![body]))
}
