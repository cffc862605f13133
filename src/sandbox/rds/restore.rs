//! Restores: from snapshots and to points in time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::validate::{self, Given};
use super::{
    Request, lifecycle, name, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, placement, render,
    room_for_cluster, room_for_instance,
};
use crate::sandbox::engine::{Content, free_port};
use crate::sandbox::protocol::{Answer, ApiError, xml_answer};
use crate::sandbox::world::catalog::{self, Version};
use crate::sandbox::world::{
    Backend, Cluster, Instance, Region, RetainedBackup, Settings, Snapshot, Storage, Window, World, after, resource_id,
};

pub(super) fn instance_from_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let named = params.text("DBSnapshotIdentifier").ok_or_else(|| {
        let message = "DBSnapshotIdentifier or DBClusterSnapshotIdentifier must be specified.";
        ApiError::new(400, "InvalidParameterCombination", message)
    })?;
    let target = validate::identifier("DBInstanceIdentifier", params.required("DBInstanceIdentifier")?)?;
    let region = world.region(request.region);
    let snapshot = find_snapshot(region, &region.instance_snapshots, "snapshot", named);
    let snapshot = snapshot.cloned().ok_or_else(|| no_instance_snapshot(named))?;
    let status = snapshot.timeline.status(request.now);
    if status != "available" {
        let message = format!("Snapshot {named} is in {status} state, must be available.");
        return Err(ApiError::new(400, "InvalidDBSnapshotState", message));
    }
    shared_needs_a_copy(&snapshot)?;
    let settings = Settings { tags: snapshot.source_tags, ..snapshot.settings };
    let source = Taken { settings, class: snapshot.class, content: snapshot.content };
    restore_instance(world, request, target, source)
}

/// A snapshot by its id, or by its ARN: another account's is "named by its ARN" (botocore).
fn find_snapshot<'r>(
    region: &Region,
    snapshots: &'r BTreeMap<String, Snapshot>,
    kind: &str,
    named: &str,
) -> Option<&'r Snapshot> {
    if let Some(own) = name::own(region, kind, named) {
        return snapshots.get(&own).filter(|snapshot| !snapshot.is_foreign());
    }
    snapshots.values().find(|snapshot| snapshot.is_foreign() && snapshot.arn(region) == named)
}

/// "You can't restore a DB instance from a DB snapshot that is both shared and encrypted" (RDS user guide); the code is
/// an assumption.
fn shared_needs_a_copy(snapshot: &Snapshot) -> Result<(), ApiError> {
    if snapshot.is_foreign() && snapshot.settings.encrypted {
        let message = "Restoring from a shared snapshot that is encrypted is not supported: copy the snapshot first.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    Ok(())
}

/// What a restore takes from its backup.
struct Taken {
    settings: Settings,
    class: String,
    content: Content,
}

pub(super) fn instance_to_point_in_time(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let source = instance_backup(world.region(request.region), request)?;
    let Some(window) = source.window else {
        let message = format!("Point In Time Restore is not enabled for instance {}.", source.id);
        return Err(ApiError::new(400, "PointInTimeRestoreNotEnabled", message));
    };
    let as_of = restore_time(request, "RestoreTime", window)?;
    let target = request.params.required("TargetDBInstanceIdentifier")?;
    let target = validate::identifier("TargetDBInstanceIdentifier", target)?;
    let content = Content { as_of, ..source.content };
    restore_instance(world, request, target, Taken { settings: source.settings, class: source.class, content })
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
fn instance_backup(region: &Region, request: &Request<'_>) -> Result<Restorable, ApiError> {
    let text = |name: &str| request.params.text(name);
    let (id, resource, arn) =
        (text("SourceDBInstanceIdentifier"), text("SourceDbiResourceId"), text("SourceDBInstanceAutomatedBackupsArn"));
    let named = [id, resource, arn].into_iter().flatten().count();
    if named != 1 {
        let message = "Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and \
                       SourceDBInstanceAutomatedBackupsArn must be specified.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let living = |instance: &Instance| Restorable {
        id: instance.id.clone(),
        settings: instance.settings.clone(),
        class: instance.class.clone(),
        content: instance.content.clone(),
        window: instance.window(request.now),
    };
    if let Some(id) = id {
        let found = name::own(region, "db", id).and_then(|id| region.instances.get(&id)).map(living);
        return found.ok_or_else(|| no_instance(id));
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
        ApiError::new(404, "DBInstanceAutomatedBackupNotFound", message)
    })
}

fn cluster_backup(region: &Region, request: &Request<'_>) -> Result<Restorable, ApiError> {
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
            let found = name::own(region, "cluster", id).and_then(|id| region.clusters.get(&id)).map(living);
            found.ok_or_else(|| no_cluster(id))
        }
        (None, Some(resource)) => {
            let is_meant = |resource_id: &str| resource.eq_ignore_ascii_case(resource_id);
            let kept = region.retained.iter().find(|kept| kept.is_cluster && is_meant(&kept.resource_id));
            let kept = kept.map(|kept| Restorable::retained(kept, request.now));
            let living = || region.clusters.values().find(|cluster| is_meant(&cluster.resource_id)).map(living);
            kept.or_else(living).ok_or_else(|| {
                let message = format!("DBClusterAutomatedBackup {resource} not found.");
                ApiError::new(404, "DBClusterAutomatedBackupNotFoundFault", message)
            })
        }
        _ => {
            let message = "Exactly one of SourceDBClusterIdentifier and SourceDbClusterResourceId must be specified.";
            Err(ApiError::new(400, "InvalidParameterCombination", message))
        }
    }
}

/// The moment that is asked for; it must lie in the past that is kept: after the earliest restorable time, and "before
/// the latest restorable time" (botocore). The codes are an assumption.
fn restore_time(request: &Request<'_>, name: &str, window: Window) -> Result<Timestamp, ApiError> {
    let latest = request.params.boolean("UseLatestRestorableTime") == Some(true);
    match (request.params.text(name), latest) {
        (None, true) => Ok(window.latest),
        (None, false) => {
            let message = format!("{name} or UseLatestRestorableTime must be specified.");
            Err(ApiError::new(400, "InvalidParameterCombination", message))
        }
        (Some(_), true) => {
            let message = format!("{name} can't be specified if UseLatestRestorableTime is true.");
            Err(ApiError::new(400, "InvalidParameterCombination", message))
        }
        (Some(text), false) => {
            let at: Timestamp = text.parse().map_err(|_| ApiError::invalid(format!("{text} is not a time")))?;
            if at < window.earliest {
                let message =
                    format!("The specified instance cannot be restored to a time earlier than {}.", window.earliest);
                return Err(ApiError::invalid(message));
            }
            if at >= window.latest {
                let message =
                    format!("The specified time {at} is not before the latest restorable time {}.", window.latest);
                return Err(ApiError::new(400, "InvalidRestoreFault", message));
            }
            Ok(at)
        }
    }
}

fn check_key(world: &World, key: Option<&String>) -> Result<(), ApiError> {
    if world.key_state == "Enabled" || key.is_none() {
        return Ok(());
    }
    let message = "The specified KMS key does not exist, is not enabled or you do not have permissions to access it.";
    Err(ApiError::new(400, "KMSKeyNotAccessibleFault", message))
}

/// What instances and clusters take from the request, and what AWS defaults, whatever the source has.
fn restored_settings(request: &Request<'_>, region: &Region, source: Settings) -> Result<Settings, ApiError> {
    let params = request.params;
    let tags = params.tags();
    let subnet_group = params.text("DBSubnetGroupName").unwrap_or("default").to_ascii_lowercase();
    placement::subnet_group(region, &subnet_group)?;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    Ok(Settings {
        port: free_port().map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))?,
        security_groups: placement::security_groups(region, &subnet_group, groups)?,
        subnet_group,
        multi_az: params.boolean("MultiAZ").unwrap_or(false),
        iam_authentication: params.boolean("EnableIAMDatabaseAuthentication").unwrap_or(false),
        log_exports: params.list("EnableCloudwatchLogsExports.member"),
        deletion_protection: params.boolean("DeletionProtection").unwrap_or(false),
        backup_retention_days: params.number("BackupRetentionPeriod").unwrap_or(source.backup_retention_days),
        copy_tags: params.boolean("CopyTagsToSnapshot").unwrap_or(false),
        // "If there are no new tags, RDS adds the tags from the source DB instance for the DB snapshot" (user guide).
        tags: if tags.is_empty() { source.tags.clone() } else { tags },
        ..source
    })
}

/// The storage of a restored instance: `gp3` by default, `io1` where IOPS are asked for, and never smaller than the
/// backup (botocore, `RestoreDBInstanceFromDBSnapshot`).
fn restored_storage(request: &Request<'_>, source: &Storage, engine: &str) -> Result<Storage, ApiError> {
    let params = request.params;
    let (iops, throughput) = (params.number("Iops"), params.number("StorageThroughput"));
    let gib = params.number("AllocatedStorage").unwrap_or(source.gib);
    let default = if iops.is_some_and(|iops| iops > 0) { "io1" } else { "gp3" };
    let kind = params.text("StorageType").unwrap_or(default).to_owned();
    let kept = |value: Option<i64>| value.filter(|_| kind == source.kind);
    let storage =
        Storage { iops: iops.or(kept(source.iops)), throughput: throughput.or(kept(source.throughput)), gib, kind };
    if gib < source.gib {
        let message = format!("The allocated storage {gib} is less than the backup's {}.", source.gib);
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    validate::storage(engine, &storage, Given { iops: iops.is_some(), throughput: throughput.is_some() })?;
    Ok(storage)
}

fn restore_instance(world: &mut World, request: &Request<'_>, id: String, source: Taken) -> Result<Answer, ApiError> {
    let Taken { settings: source, class, content } = source;
    check_key(world, source.kms_key.as_ref())?;
    let params = request.params;
    let (copies, times, quota, storage_quota) =
        (world.copies(), world.times, world.instance_quota, world.storage_quota_gib);
    let (visible_at, refusal) = (world.visible_at(), world.delay(world.behaviour.refusal_seconds()));
    let behaviour = world.behaviour;
    let region = world.region(request.region);
    room_for_instance(region, &id, quota)?;
    let engine = params.text("Engine").unwrap_or(&source.engine).to_owned();
    if engine != source.engine {
        let message = format!("The backup is of {}, which cannot be restored as {engine}.", source.engine);
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let version = placement::version(&engine, &source.engine_version)?;
    let (of_backup, storage) = (source.option_group.clone(), restored_storage(request, &source.storage, &engine)?);
    let mut settings = restored_settings(request, region, source)?;
    let class = params.text("DBInstanceClass").map_or(class, str::to_owned);
    placement::class(region, &class, version, &settings.subnet_group)?;
    placement::storage_quota(region, &storage, storage_quota)?;
    settings.parameter_group = placement::parameter_group(region, params.text("DBParameterGroupName"), version, false)?;
    let of_backup = region.network.option_groups.get(&of_backup);
    let wanted = params.text("OptionGroupName");
    settings.option_group = placement::option_group(region, wanted, version, &settings.subnet_group, of_backup)?;
    settings.storage = storage;
    as_supported(request, version).number.clone_into(&mut settings.engine_version);
    settings.zones = vec![placement::zone(request, region, &settings)?];
    let is_customized = params.text("DBParameterGroupName").is_some();
    let instance = Instance {
        id: id.clone(),
        class,
        cluster: None,
        replica_of: None,
        public: is_public(request),
        pending: BTreeMap::new(),
        visible_at,
        resource_id: resource_id("db"),
        stalled_at: None,
        created_at: request.now,
        timeline: lifecycle::of_restored(request, &times, behaviour, &settings, is_customized),
        settings,
        content,
        backend: Backend::default(),
    };
    instance.backend.gate.open_at(after(instance.timeline.ends_at(), refusal));
    if request.ending.is_none() {
        copies.start(&instance.backend, &instance.content, instance.settings.port, &id);
    }
    let body = render::instance(region, &instance, request.now);
    region.instances.insert(id.clone(), instance);
    tell(region, request, "db-instance", &id);
    Ok(xml_answer(request.action, vec![body]))
}

/// "If no DB subnet group is named and the default VPC has an internet gateway, the instance is public" (botocore): the
/// sandbox's default VPC has one, the quarantine's subnets have none.
pub(super) fn is_public(request: &Request<'_>) -> bool {
    let default = request.params.text("DBSubnetGroupName").is_none_or(|name| name == "default");
    request.params.boolean("PubliclyAccessible").unwrap_or(default)
}

fn tell(region: &mut Region, request: &Request<'_>, kind: &'static str, id: &str) {
    region.tell(request.now, kind, id, "Restore in progress");
    if let Some(status) = request.ending {
        let message = format!("The restore could not be completed: the sandbox was told to end it as {status}");
        region.tell(request.now, kind, id, &message);
    }
}

pub(super) fn cluster_from_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let named = request.params.required("SnapshotIdentifier")?;
    let region = world.region(request.region);
    let snapshot = find_snapshot(region, &region.cluster_snapshots, "cluster-snapshot", named);
    let snapshot = snapshot.cloned().ok_or_else(|| no_cluster_snapshot(named))?;
    let status = snapshot.timeline.status(request.now);
    if status != "available" {
        let message = format!("Snapshot {named} is in {status} state, must be available.");
        return Err(ApiError::new(400, "InvalidDBClusterSnapshotStateFault", message));
    }
    shared_needs_a_copy(&snapshot)?;
    let engine = request.params.required("Engine")?;
    // "If you don't specify an engine version, the default version ... in the Region is used".
    let version = placement::version_or_default(engine, request.params.text("EngineVersion"))?;
    let of_snapshot = placement::version(&snapshot.settings.engine, &snapshot.settings.engine_version)?;
    if engine != snapshot.settings.engine {
        return Err(ApiError::invalid(format!("snapshot {named} is of {}, not {engine}", snapshot.settings.engine)));
    }
    if !catalog::is_same_or_later(version, of_snapshot) {
        let message =
            format!("Cannot restore a snapshot of version {} as version {}.", of_snapshot.number, version.number);
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let settings = Settings { tags: snapshot.source_tags, ..snapshot.settings };
    restore_cluster(world, request, settings, snapshot.content, version)
}

pub(super) fn cluster_to_point_in_time(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let source = cluster_backup(world.region(request.region), request)?;
    let Some(window) = source.window else {
        let message = format!("Cluster {} is being restored.", source.id);
        return Err(ApiError::new(400, "InvalidDBClusterStateFault", message));
    };
    let as_of = restore_time(request, "RestoreToTime", window)?;
    let version = placement::version(&source.settings.engine, &source.settings.engine_version)?;
    restore_cluster(world, request, source.settings, Content { as_of, ..source.content }, version)
}

fn restore_cluster(
    world: &mut World,
    request: &Request<'_>,
    source: Settings,
    content: Content,
    version: Version,
) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = validate::identifier("DBClusterIdentifier", params.required("DBClusterIdentifier")?)?;
    let key = params.text("KmsKeyId").map(str::to_owned).or_else(|| source.kms_key.clone());
    check_key(world, key.as_ref())?;
    not_for_aurora(request)?;
    let (times, quota, visible_at, behaviour) = (world.times, world.cluster_quota, world.visible_at(), world.behaviour);
    let region = world.region(request.region);
    room_for_cluster(region, &id, quota)?;
    let mut settings = restored_settings(request, region, source)?;
    settings.kms_key = key;
    // A cluster's backups cannot be switched off.
    settings.backup_retention_days = settings.backup_retention_days.max(1);
    as_supported(request, version).number.clone_into(&mut settings.engine_version);
    let wanted = params.text("DBClusterParameterGroupName");
    settings.parameter_group = placement::parameter_group(region, wanted, version, true)?;
    settings.scaling = request.scaling()?;
    let zones = region.network.subnet_groups.get(&settings.subnet_group).map(|group| group.zones());
    settings.zones = zones.unwrap_or_default().into_iter().map(str::to_owned).collect();
    let cluster = Cluster {
        id: id.clone(),
        members: Vec::new(),
        visible_at,
        resource_id: resource_id("cluster"),
        stalled_at: None,
        created_at: request.now,
        timeline: lifecycle::of_restored_cluster(request, &times, behaviour, version),
        settings,
        content,
        backend: Backend::default(),
    };
    let body = render::cluster(region, &cluster, request.now);
    region.clusters.insert(id.clone(), cluster);
    tell(region, request, "db-cluster", &id);
    Ok(xml_answer(request.action, vec![body]))
}

/// "RDS automatically upgrades your restored DB instance to a higher engine version, if the major engine version is past its
/// end of standard support date" where Extended Support is declined (botocore, `EngineLifecycleSupport`).
fn as_supported(request: &Request<'_>, version: Version) -> Version {
    let declined = request.params.text("EngineLifecycleSupport") == Some("open-source-rds-extended-support-disabled");
    if declined { catalog::supported(version) } else { version }
}

/// "Valid for: Multi-AZ DB clusters only", of which the sandbox has none.
fn not_for_aurora(request: &Request<'_>) -> Result<(), ApiError> {
    // A restore from a snapshot takes it for Aurora too, one in time does not.
    let in_time = (request.action == "RestoreDBClusterToPointInTime").then_some("PubliclyAccessible");
    match ["DBClusterInstanceClass", "Iops"].into_iter().chain(in_time).find(|name| request.params.text(name).is_some())
    {
        Some(name) => {
            let message = format!("{name} isn't supported for Aurora DB clusters.");
            Err(ApiError::new(400, "InvalidParameterCombination", message))
        }
        None => Ok(()),
    }
}
