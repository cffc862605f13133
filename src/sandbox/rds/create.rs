//! What is made new: members of clusters, empty databases, subnet groups.

use std::collections::BTreeMap;

use super::restore::is_public;
use super::validate::{self, Given};
use super::{Request, lifecycle, no_cluster, placement, render, room_for_cluster, room_for_instance};
use crate::estate::{DatabaseKind, Protocol};
use crate::sandbox::engine::{Content, free_port};
use crate::sandbox::protocol::{Answer, ApiError, xml_answer};
use crate::sandbox::world::catalog::{self, SERVERLESS, Version};
use crate::sandbox::world::network::{VPC, zones};
use crate::sandbox::world::{
    Backend, Cluster, Instance, Region, Settings, Storage, SubnetGroup, Timeline, World, after, resource_id,
};

/// What belongs to the cluster, so that its members may not have it. The texts are from memory.
const OF_THE_CLUSTER: [&str; 12] = [
    "MasterUsername",
    "MasterUserPassword",
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "DBName",
    "DBSubnetGroupName",
    "EnableIAMDatabaseAuthentication",
    "Iops",
    "KmsKeyId",
    "MultiAZ",
    "StorageEncrypted",
    "VpcSecurityGroupIds",
];

pub(super) fn instance(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = validate::identifier("DBInstanceIdentifier", params.required("DBInstanceIdentifier")?)?;
    let quota = world.instance_quota;
    room_for_instance(world.region(request.region), &id, quota)?;
    match params.text("DBClusterIdentifier") {
        Some(cluster) => member(world, request, id, &cluster.to_ascii_lowercase()),
        None => alone(world, request, id),
    }
}

/// An instance of a cluster.
fn member(world: &mut World, request: &Request<'_>, id: String, name: &str) -> Result<Answer, ApiError> {
    let params = request.params;
    let (times, behaviour, visible_at, copies) = (world.times, world.behaviour, world.visible_at(), world.copies());
    let refusal = world.delay(behaviour.refusal_seconds());
    let region = world.region(request.region);
    let is_given = |name: &str| params.all().any(|(given, _)| given.split('.').next() == Some(name));
    if let Some(given) = OF_THE_CLUSTER.iter().find(|given| is_given(given)) {
        let message =
            format!("The requested DB Instance will be a member of a DB Cluster. Set {given} for the DB Cluster.");
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let cluster = region.clusters.get(name).filter(|cluster| cluster.visible_at <= request.now);
    let cluster = cluster.ok_or_else(|| no_cluster(name))?;
    let (engine, class) = (params.required("Engine")?, params.required("DBInstanceClass")?);
    if cluster.settings.engine != engine {
        let message = format!(
            "The engine name requested for your DB instance ({engine}) doesn't match the engine name of \
                               your DB cluster ({}).",
            cluster.settings.engine
        );
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    if cluster.timeline.status(request.now) != "available" {
        let message = format!("DB cluster {name} is not currently in the available state.");
        return Err(ApiError::new(400, "InvalidDBClusterStateFault", message));
    }
    let version = placement::version(engine, &cluster.settings.engine_version)?;
    placement::class(region, class, version, &cluster.settings.subnet_group)?;
    if class == SERVERLESS && cluster.settings.scaling.is_none() {
        let message = "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless \
                       v2 DB instance.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let parameter_group = placement::parameter_group(region, params.text("DBParameterGroupName"), version, false)?;
    let tags = params.tags();
    let mut settings = Settings { parameter_group, tags, deletion_protection: false, ..cluster.settings.clone() };
    settings.zones = vec![placement::zone(request, region, &Settings { multi_az: false, ..settings.clone() })?];
    let instance = Instance {
        id,
        class: class.to_owned(),
        cluster: Some(name.to_owned()),
        replica_of: None,
        public: params.boolean("PubliclyAccessible").unwrap_or(settings.subnet_group == "default"),
        pending: BTreeMap::new(),
        visible_at,
        resource_id: resource_id("db"),
        stalled_at: None,
        created_at: request.now,
        timeline: lifecycle::of_new_instance(request, &times, behaviour, &settings),
        settings,
        content: cluster.content.clone(),
        backend: cluster.backend.clone(),
    };
    let (content, port) = (cluster.content.clone(), cluster.settings.port);
    if instance.backend.is_idle() && request.ending.is_none() {
        instance.backend.gate.open_at(after(instance.timeline.ends_at(), refusal));
        copies.start(&instance.backend, &content, port, name);
    }
    if let Some(cluster) = region.clusters.get_mut(name) {
        cluster.members.push(instance.id.clone());
    }
    Ok(made(region, request, instance))
}

/// An instance of its own. It is empty, and no database is started for it.
fn alone(world: &mut World, request: &Request<'_>, id: String) -> Result<Answer, ApiError> {
    let params = request.params;
    let (times, behaviour, visible_at, storage_quota) =
        (world.times, world.behaviour, world.visible_at(), world.storage_quota_gib);
    let region = world.region(request.region);
    let (engine, class) = (params.required("Engine")?, params.required("DBInstanceClass")?);
    let version = placement::version_or_default(engine, params.text("EngineVersion"))?;
    if catalog::is_cluster_engine(engine) {
        return Err(ApiError::new(400, "InvalidParameterCombination", format!("{engine} needs a DB cluster.")));
    }
    let storage = new_storage(request, engine)?;
    let mut settings = new_settings(request, region, version)?;
    placement::class(region, class, version, &settings.subnet_group)?;
    placement::storage_quota(region, &storage, storage_quota)?;
    settings.parameter_group = placement::parameter_group(region, params.text("DBParameterGroupName"), version, false)?;
    let wanted = params.text("OptionGroupName");
    settings.option_group = placement::option_group(region, wanted, version, &settings.subnet_group, None)?;
    settings.storage = storage;
    settings.zones = vec![placement::zone(request, region, &settings)?];
    let instance = Instance {
        id,
        class: class.to_owned(),
        cluster: None,
        replica_of: None,
        public: is_public(request),
        pending: BTreeMap::new(),
        visible_at,
        resource_id: resource_id("db"),
        stalled_at: None,
        created_at: request.now,
        timeline: lifecycle::of_new_instance(request, &times, behaviour, &settings),
        settings,
        content: empty(engine, request)?,
        backend: Backend::default(),
    };
    Ok(made(region, request, instance))
}

fn made(region: &mut Region, request: &Request<'_>, instance: Instance) -> Answer {
    let body = render::instance(region, &instance, request.now);
    let id = instance.id.clone();
    region.instances.insert(id.clone(), instance);
    region.tell(request.now, "db-instance", &id, "DB instance created");
    xml_answer(request.action, vec![body])
}

/// `gp3` by default, `io1` where IOPS are asked for.
fn new_storage(request: &Request<'_>, engine: &str) -> Result<Storage, ApiError> {
    let params = request.params;
    let (iops, throughput) = (params.number("Iops"), params.number("StorageThroughput"));
    let default = if iops.is_some() { "io1" } else { "gp3" };
    let storage = Storage {
        kind: params.text("StorageType").unwrap_or(default).to_owned(),
        gib: params.number("AllocatedStorage").unwrap_or(0),
        iops,
        throughput,
    };
    validate::storage(engine, &storage, Given { iops: iops.is_some(), throughput: throughput.is_some() })?;
    Ok(storage)
}

pub(super) fn cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let params = request.params;
    let id = validate::identifier("DBClusterIdentifier", params.required("DBClusterIdentifier")?)?;
    let engine = params.required("Engine")?;
    let version = placement::version_or_default(engine, params.text("EngineVersion"))?;
    if !catalog::is_cluster_engine(engine) {
        let message = format!("The sandbox has no Multi-AZ DB clusters of {engine}.");
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let (times, quota, visible_at) = (world.times, world.cluster_quota, world.visible_at());
    let region = world.region(request.region);
    room_for_cluster(region, &id, quota)?;
    let mut settings = new_settings(request, region, version)?;
    let wanted = params.text("DBClusterParameterGroupName");
    settings.parameter_group = placement::parameter_group(region, wanted, version, true)?;
    settings.scaling = request.scaling()?;
    settings.storage = Storage { kind: "aurora".to_owned(), gib: 1, iops: None, throughput: None };
    let cluster = Cluster {
        id: id.clone(),
        members: Vec::new(),
        visible_at,
        resource_id: resource_id("cluster"),
        stalled_at: None,
        created_at: request.now,
        timeline: Timeline::after(request.now, "creating", times.restore_cluster),
        settings,
        content: empty(engine, request)?,
        backend: Backend::default(),
    };
    let body = render::cluster(region, &cluster, request.now);
    region.clusters.insert(id.clone(), cluster);
    region.tell(request.now, "db-cluster", &id, "DB cluster created");
    Ok(xml_answer(request.action, vec![body]))
}

fn new_settings(request: &Request<'_>, region: &Region, version: Version) -> Result<Settings, ApiError> {
    let params = request.params;
    let subnet_group = params.text("DBSubnetGroupName").unwrap_or("default").to_ascii_lowercase();
    placement::subnet_group(region, &subnet_group)?;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    let username = params.required("MasterUsername")?;
    validate::username(version.engine, username)?;
    if params.boolean("ManageMasterUserPassword") != Some(true) {
        validate::password(version.engine, params.required("MasterUserPassword")?)?;
    }
    Ok(Settings {
        engine: version.engine.to_owned(),
        engine_version: version.number.to_owned(),
        username: username.to_owned(),
        port: free_port().map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))?,
        security_groups: placement::security_groups(region, &subnet_group, groups)?,
        subnet_group,
        parameter_group: String::new(),
        multi_az: params.boolean("MultiAZ").unwrap_or(false),
        encrypted: params.boolean("StorageEncrypted").unwrap_or(false),
        kms_key: params.text("KmsKeyId").map(str::to_owned),
        iam_authentication: params.boolean("EnableIAMDatabaseAuthentication").unwrap_or(false),
        log_exports: params.list("EnableCloudwatchLogsExports.member"),
        deletion_protection: params.boolean("DeletionProtection").unwrap_or(false),
        backup_retention_days: params.number("BackupRetentionPeriod").unwrap_or(1),
        tags: params.tags(),
        option_group: String::new(),
        storage: Storage::default(),
        zones: zones(request.region),
        database: params.text("DBName").or_else(|| params.text("DatabaseName")).map(str::to_owned),
        copy_tags: params.boolean("CopyTagsToSnapshot").unwrap_or(false),
        scaling: None,
    })
}

/// The content of something that was made new: nothing, and no database is started for it.
fn empty(engine: &str, request: &Request<'_>) -> Result<Content, ApiError> {
    let kind = DatabaseKind::ALL.into_iter().find(|(_, kind)| kind.matches_engine(engine));
    let protocol: Protocol = kind
        .map(|(_, kind)| kind.protocol())
        .ok_or_else(|| ApiError::invalid(format!("Invalid DB engine: {engine}")))?;
    Ok(Content { protocol, seed: None, as_of: request.now, damage: None })
}

/// Nobody makes subnets here: any well-formed one exists, each in the next zone.
pub(super) fn subnet_group(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    let name = request.params.required("DBSubnetGroupName")?.to_ascii_lowercase();
    if name == "default" || name.len() > 255 {
        return Err(ApiError::invalid(format!("{name} is not a valid name for a DB subnet group.")));
    }
    let description = request.params.required("DBSubnetGroupDescription")?.to_owned();
    let subnets = request.params.list("SubnetIds.SubnetIdentifier");
    let is_subnet = |id: &String| {
        let digits = id.strip_prefix("subnet-").unwrap_or_default();
        matches!(digits.len(), 8 | 17) && digits.chars().all(|c| c.is_ascii_hexdigit())
    };
    if let Some(wrong) = subnets.iter().find(|id| !is_subnet(id)) {
        return Err(ApiError::new(400, "InvalidSubnet", format!("The subnet ID '{wrong}' does not exist")));
    }
    let region = world.region(request.region);
    if region.network.subnet_groups.contains_key(&name) {
        let message = format!("DB subnet group {name} already exists.");
        return Err(ApiError::new(400, "DBSubnetGroupAlreadyExists", message));
    }
    let subnets: Vec<(String, String)> = subnets.into_iter().zip(zones(request.region).into_iter().cycle()).collect();
    let group = SubnetGroup { name: name.clone(), description, vpc: VPC.to_owned(), subnets };
    let covered: Vec<&str> = group.zones().into_iter().collect();
    if covered.len() < placement::MIN_ZONES {
        return Err(placement::too_few_zones(&covered));
    }
    let body = render::subnet_group(region, &group);
    region.network.subnet_groups.insert(name, group);
    Ok(xml_answer(request.action, vec![body]))
}
