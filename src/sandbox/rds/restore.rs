//! Restores: from snapshots and to points in time.

use jiff::Timestamp;

use super::{
    Request, name_of, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, render, room_for_cluster,
    room_for_instance,
};
use crate::sandbox::engine::{Content, free_port};
use crate::sandbox::protocol::{Answer, Fault, xml_answer};
use crate::sandbox::world::{Backend, Cluster, Instance, Region, Settings, Timeline, World};

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
    let id = name_of(request.params.required("SourceDBInstanceIdentifier")?).to_ascii_lowercase();
    let region = world.region(request.region);
    let source = region.instances.get(&id).cloned().ok_or_else(|| no_instance(&id))?;
    let Some(latest) = render::instance_restorable(&source, request.now) else {
        let message = format!("Point In Time Restore is not enabled for instance {id}.");
        return Err(Fault::new(400, "PointInTimeRestoreNotEnabled", message));
    };
    let as_of = restore_time(request, "RestoreTime", latest)?;
    let target = request.params.id("TargetDBInstanceIdentifier")?;
    let content = Content { as_of, ..source.content };
    restore_instance(world, request, target, source.settings, source.class, content)
}

/// The moment that is asked for; it must lie in the past that is kept.
fn restore_time(request: &Request<'_>, name: &str, latest: Timestamp) -> Result<Timestamp, Fault> {
    if request.params.boolean("UseLatestRestorableTime") == Some(true) {
        return Ok(latest);
    }
    let text = request.params.text(name);
    let text = text.ok_or_else(|| Fault::invalid(format!("{name} or UseLatestRestorableTime must be given")))?;
    let at: Timestamp = text.parse().map_err(|_| Fault::invalid(format!("{text} is not a time")))?;
    if at >= latest {
        let message = format!("The specified time {at} is not before the latest restorable time {latest}.");
        return Err(Fault::new(400, "InvalidRestoreFault", message));
    }
    Ok(at)
}

/// What a restore takes from the request, and what AWS defaults, whatever the source has.
fn restored_settings(request: &Request<'_>, source: Settings, parameter_group: &str) -> Result<Settings, Fault> {
    let params = request.params;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    let tags = params.tags();
    let default_group = format!("default.{}", source.engine);
    Ok(Settings {
        port: free_port().map_err(|error| Fault::new(500, "InternalFailure", error.to_string()))?,
        subnet_group: params.text("DBSubnetGroupName").unwrap_or("default").to_owned(),
        security_groups: if groups.is_empty() { vec!["sg-0default".to_owned()] } else { groups },
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
    if region.subnet_groups.contains_key(name) {
        return Ok(());
    }
    Err(Fault::new(404, "DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist.")))
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
    let id = name_of(request.params.required("SourceDBClusterIdentifier")?).to_ascii_lowercase();
    let region = world.region(request.region);
    let source = region.clusters.get(&id).cloned().ok_or_else(|| no_cluster(&id))?;
    let Some(latest) = render::cluster_restorable(&source, request.now) else {
        return Err(Fault::new(400, "InvalidDBClusterStateFault", format!("Cluster {id} is being restored.")));
    };
    let as_of = restore_time(request, "RestoreToTime", latest)?;
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
