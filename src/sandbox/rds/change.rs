//! Changes to what is there: settings, passwords, failover, restarts, tags.

use super::{
    Request, name, no_cluster, no_cluster_snapshot, no_instance, no_instance_snapshot, placement, render, validate,
};
use crate::estate::Tags;
use crate::sandbox::protocol::{Answer, ApiError, leaf, tag_list, xml_answer};
use crate::sandbox::world::{Cluster, Instance, PasswordPlan, Region, World, after};

/// An instance that can be seen.
pub(super) fn visible_instance<'r>(
    region: &'r mut Region,
    request: &Request<'_>,
    id: &str,
) -> Result<&'r mut Instance, ApiError> {
    let found = region.instances.get_mut(id).filter(|instance| instance.visible_at <= request.now);
    found.ok_or_else(|| no_instance(id))
}

/// A cluster that can be seen.
pub(super) fn visible_cluster<'r>(
    region: &'r mut Region,
    request: &Request<'_>,
    id: &str,
) -> Result<&'r mut Cluster, ApiError> {
    let found = region.clusters.get_mut(id).filter(|cluster| cluster.visible_at <= request.now);
    found.ok_or_else(|| no_cluster(id))
}

fn instance_is(id: &str, status: &str) -> ApiError {
    ApiError::new(400, "InvalidDBInstanceState", format!("Database instance {id} is not in available state: {status}."))
}

fn cluster_is(id: &str, status: &str) -> ApiError {
    ApiError::new(400, "InvalidDBClusterStateFault", format!("DB cluster {id} is not in available state: {status}."))
}

/// When a new password is what. "The change is asynchronously applied as soon as possible", whatever `ApplyImmediately`
/// says (botocore).
fn password_plan(world: &World, request: &Request<'_>) -> PasswordPlan {
    let notice = world.delay(world.behaviour.password_notice_seconds());
    let done_at = after(request.now, notice + world.times.set_password);
    let late = world.delay(world.behaviour.password_late_seconds());
    PasswordPlan { shown_from: after(request.now, notice), done_at, works_from: after(done_at, late) }
}

/// What only the cluster can change. The password's text is AWS's (assumption for the others).
const OF_THE_CLUSTER: [&str; 4] =
    ["MasterUserPassword", "BackupRetentionPeriod", "AllocatedStorage", "EnableIAMDatabaseAuthentication"];

pub(super) fn modify_instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = params.id("DBInstanceIdentifier")?;
    let (copies, plan) = (world.copies(), password_plan(world, request));
    let (interim, shows_interim) = (world.times.interim, world.behaviour.shows_interim_statuses());
    let region = world.region(request.region);
    let before = visible_instance(region, request, &id)?.clone();
    let status = before.status(request.now);
    if status != "available" && status != "storage-optimization" {
        return Err(instance_is(&id, status));
    }
    if let Some(given) = OF_THE_CLUSTER.iter().find(|given| before.cluster.is_some() && params.text(given).is_some()) {
        let message = format!("{given} of an instance of a DB cluster is the cluster's: modify the DB cluster.");
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let engine = before.settings.engine.clone();
    let password = params.text("MasterUserPassword");
    password.map_or(Ok(()), |password| validate::password(&engine, password))?;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    let groups = match groups.is_empty() {
        true => before.settings.security_groups.clone(),
        false => placement::security_groups(region, &before.settings.subnet_group, groups)?,
    };
    let changes = later_changes(request, region, &before)?;
    let immediately = params.boolean("ApplyImmediately") == Some(true);
    let instance = visible_instance(region, request, &id)?;
    instance.settings.security_groups = groups;
    if let Some(protected) = params.boolean("DeletionProtection") {
        instance.settings.deletion_protection = protected;
    }
    instance.public = params.boolean("PubliclyAccessible").unwrap_or(instance.public);
    for (name, value) in changes {
        instance.pending.insert(name, value);
    }
    if immediately && !instance.pending.is_empty() {
        apply_pending(instance);
        if shows_interim {
            instance.timeline.interrupt(request.now, "modifying", interim);
        }
    }
    if let Some(password) = password {
        copies.set_password(&instance.backend, password, plan);
    }
    let instance = instance.clone();
    if password.is_some() {
        region.tell(plan.done_at, "db-instance", &id, "Reset master credentials");
    }
    Ok(xml_answer(request.action, vec![render::instance(region, &instance, request.now)]))
}

/// What waits for the maintenance window unless it is applied immediately, by the names of `PendingModifiedValues`.
fn later_changes(
    request: &Request<'_>,
    region: &Region,
    instance: &Instance,
) -> Result<Vec<(&'static str, String)>, ApiError> {
    let (params, settings) = (request.params, &instance.settings);
    let version = placement::version(&settings.engine, &settings.engine_version)?;
    let mut changes = Vec::new();
    if let Some(class) = params.text("DBInstanceClass").filter(|class| *class != instance.class) {
        placement::class(region, class, version, &settings.subnet_group)?;
        changes.push(("DBInstanceClass", class.to_owned()));
    }
    if let Some(gib) = params.number("AllocatedStorage").filter(|gib| *gib != settings.storage.gib) {
        if gib < settings.storage.gib {
            let message = format!("Invalid storage size {gib}: storage cannot be reduced.");
            return Err(ApiError::new(400, "InvalidParameterCombination", message));
        }
        // "At least 10% greater"; less is rounded up.
        changes.push(("AllocatedStorage", gib.max(settings.storage.gib * 11 / 10).to_string()));
    }
    if let Some(days) = params.number("BackupRetentionPeriod").filter(|days| *days != settings.backup_retention_days) {
        changes.push(("BackupRetentionPeriod", days.to_string()));
    }
    if let Some(multi_az) = params.boolean("MultiAZ").filter(|multi_az| *multi_az != settings.multi_az) {
        changes.push(("MultiAZ", multi_az.to_string()));
    }
    if let Some(number) = params.text("EngineVersion").filter(|number| *number != settings.engine_version) {
        placement::version(&settings.engine, number)?;
        changes.push(("EngineVersion", number.to_owned()));
    }
    Ok(changes)
}

fn apply_pending(instance: &mut Instance) {
    for (name, value) in std::mem::take(&mut instance.pending) {
        let settings = &mut instance.settings;
        match name {
            "DBInstanceClass" => instance.class = value,
            "EngineVersion" => settings.engine_version = value,
            "MultiAZ" => settings.multi_az = value == "true",
            "AllocatedStorage" => settings.storage.gib = value.parse().unwrap_or(settings.storage.gib),
            _ => settings.backup_retention_days = value.parse().unwrap_or(settings.backup_retention_days),
        }
    }
}

pub(super) fn modify_cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = params.id("DBClusterIdentifier")?;
    let (copies, plan) = (world.copies(), password_plan(world, request));
    let region = world.region(request.region);
    let before = visible_cluster(region, request, &id)?.clone();
    let status = before.status(request.now);
    if status != "available" {
        return Err(cluster_is(&id, status));
    }
    let password = params.text("MasterUserPassword");
    password.map_or(Ok(()), |password| validate::password(&before.settings.engine, password))?;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    let groups = match groups.is_empty() {
        true => before.settings.security_groups,
        false => placement::security_groups(region, &before.settings.subnet_group, groups)?,
    };
    let scaling = request.scaling()?;
    let cluster = visible_cluster(region, request, &id)?;
    cluster.settings.security_groups = groups;
    cluster.settings.scaling = scaling.or(cluster.settings.scaling);
    if let Some(protected) = params.boolean("DeletionProtection") {
        cluster.settings.deletion_protection = protected;
    }
    if let Some(days) = params.number("BackupRetentionPeriod") {
        cluster.settings.backup_retention_days = days;
    }
    if let Some(password) = password {
        copies.set_password(&cluster.backend, password, plan);
    }
    let cluster = cluster.clone();
    if password.is_some() {
        region.tell(plan.done_at, "db-cluster", &id, "Reset master credentials");
    }
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

pub(super) fn fail_over(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBClusterIdentifier")?;
    let seconds = world.times.fail_over;
    let region = world.region(request.region);
    let cluster = visible_cluster(region, request, &id)?;
    if cluster.members.len() < 2 {
        let message = format!("Cluster {id} has no instance to fail over to.");
        return Err(ApiError::new(400, "InvalidDBClusterStateFault", message));
    }
    let wanted = request.params.text("TargetDBInstanceIdentifier").map(str::to_ascii_lowercase);
    let next = match &wanted {
        None => 1,
        Some(wanted) => {
            cluster.members.iter().position(|member| member == wanted).ok_or_else(|| no_instance(wanted))?
        }
    };
    let writer = cluster.members.remove(next);
    cluster.members.insert(0, writer);
    cluster.timeline.interrupt(request.now, "failing-over", seconds);
    let cluster = cluster.clone();
    region.tell(request.now, "db-cluster", &id, "Started cross AZ failover");
    Ok(xml_answer(request.action, vec![render::cluster(region, &cluster, request.now)]))
}

/// "The DB instance status is `rebooting`" meanwhile; connections are refused.
pub(super) fn reboot(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let id = request.params.id("DBInstanceIdentifier")?;
    let seconds = world.times.interim;
    let region = world.region(request.region);
    let instance = visible_instance(region, request, &id)?;
    let status = instance.status(request.now);
    if status != "available" {
        return Err(instance_is(&id, status));
    }
    instance.timeline.interrupt(request.now, "rebooting", seconds);
    instance.backend.gate.open_at(after(request.now, seconds));
    let instance = instance.clone();
    region.tell(after(request.now, seconds), "db-instance", &id, "DB instance restarted");
    Ok(xml_answer(request.action, vec![render::instance(region, &instance, request.now)]))
}

/// The tags of what an ARN names.
fn tags_of<'w>(region: &'w mut Region, request: &Request<'_>, arn: &str) -> Result<&'w mut Tags, ApiError> {
    let message = "The specified resource name does not match an RDS resource in this region.";
    let kind = name::parse_arn(arn).map_or("", |arn| arn.kind).to_owned();
    let name = name::own(region, &kind, arn).filter(|_| !kind.is_empty());
    let name = name.ok_or_else(|| ApiError::invalid(message))?;
    match kind.as_str() {
        "db" => visible_instance(region, request, &name).map(|found| &mut found.settings.tags),
        "cluster" => visible_cluster(region, request, &name).map(|found| &mut found.settings.tags),
        "snapshot" => region
            .instance_snapshots
            .get_mut(&name)
            .map(|found| &mut found.settings.tags)
            .ok_or_else(|| no_instance_snapshot(&name)),
        "cluster-snapshot" => region
            .cluster_snapshots
            .get_mut(&name)
            .map(|found| &mut found.settings.tags)
            .ok_or_else(|| no_cluster_snapshot(&name)),
        _ => Err(ApiError::invalid(message)),
    }
}

pub(super) fn list_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let arn = request.params.required("ResourceName")?;
    let tags = tags_of(world.region(request.region), request, arn)?;
    Ok(xml_answer(request.action, vec![tag_list(tags)]))
}

pub(super) fn add_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let arn = request.params.required("ResourceName")?;
    let tags = tags_of(world.region(request.region), request, arn)?;
    let mut all = tags.clone();
    all.extend(request.params.tags());
    validate::tags(&all, all.len())?;
    *tags = all;
    Ok(xml_answer(request.action, vec![leaf("Success", true)]))
}

pub(super) fn remove_tags(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let arn = request.params.required("ResourceName")?;
    let tags = tags_of(world.region(request.region), request, arn)?;
    for key in request.params.list("TagKeys.member") {
        tags.remove(&key);
    }
    Ok(xml_answer(request.action, vec![leaf("Success", true)]))
}
