//! What is made new: members of clusters, empty databases, snapshots, subnet groups.

use std::collections::BTreeMap;

use super::{Request, no_cluster, no_instance, render, room_for_cluster, room_for_instance};
use crate::estate::{DatabaseKind, Protocol};
use crate::sandbox::engine::{Content, free_port};
use crate::sandbox::protocol::{Answer, Fault, xml_answer};
use crate::sandbox::world::network::{DEFAULT_SECURITY_GROUP, VPC, zones};
use crate::sandbox::world::{
    Backend, Cluster, Instance, Settings, Snapshot, Storage, SubnetGroup, Timeline, World, resource_id,
};

pub(super) fn instance(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBInstanceIdentifier")?;
    let (times, quota) = (world.times, world.instance_quota);
    let copies = world.copies();
    let region = world.region(request.region);
    room_for_instance(region, &id, quota)?;
    let class = request.params.required("DBInstanceClass")?.to_owned();
    let engine = request.params.required("Engine")?;
    let cluster = request.params.text("DBClusterIdentifier").map(str::to_ascii_lowercase);
    let (mut settings, content, backend) = match &cluster {
        None => (new_settings(request, engine)?, empty(engine, request)?, Backend::default()),
        Some(name) => {
            let cluster = region.clusters.get_mut(name).ok_or_else(|| no_cluster(name))?;
            if cluster.timeline.status(request.now) != "available" {
                let message = format!("Cluster {name} is not currently in the available state.");
                return Err(Fault::new(400, "InvalidDBClusterStateFault", message));
            }
            if cluster.settings.engine != engine {
                return Err(Fault::invalid(format!("the cluster's engine is {}", cluster.settings.engine)));
            }
            cluster.members.push(id.clone());
            if cluster.backend.is_idle() && request.ending.is_none() {
                copies.start(&cluster.backend, &cluster.content, cluster.settings.port, name);
            }
            (cluster.settings.clone(), cluster.content.clone(), cluster.backend.clone())
        }
    };
    settings.tags = request.params.tags();
    let timeline = match request.ending {
        Some(status) => Timeline::ending_as(request.now, "creating", times.add_member, status),
        None => Timeline::after(request.now, "creating", times.add_member),
    };
    let instance = Instance {
        id: id.clone(),
        class,
        cluster,
        replica_of: None,
        public: request.params.boolean("PubliclyAccessible").unwrap_or(false),
        pending: BTreeMap::new(),
        resource_id: resource_id("db"),
        stalled_at: None,
        created_at: request.now,
        timeline,
        settings,
        content,
        backend,
    };
    let body = render::instance(region, &instance, request.now);
    region.instances.insert(id.clone(), instance);
    region.tell(request.now, "db-instance", &id, "DB instance created");
    Ok(xml_answer(request.action, vec![body]))
}

pub(super) fn cluster(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterIdentifier")?;
    let engine = request.params.required("Engine")?;
    let settings = new_settings(request, engine)?;
    let content = empty(engine, request)?;
    let (times, quota) = (world.times, world.cluster_quota);
    let region = world.region(request.region);
    room_for_cluster(region, &id, quota)?;
    let cluster = Cluster {
        id: id.clone(),
        members: Vec::new(),
        resource_id: resource_id("cluster"),
        stalled_at: None,
        created_at: request.now,
        timeline: Timeline::after(request.now, "creating", times.restore_cluster),
        settings,
        content,
        backend: Backend::default(),
    };
    let body = render::cluster(region, &cluster, request.now);
    region.clusters.insert(id, cluster);
    Ok(xml_answer(request.action, vec![body]))
}

fn new_settings(request: &Request<'_>, engine: &str) -> Result<Settings, Fault> {
    let params = request.params;
    let groups = params.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    Ok(Settings {
        engine: engine.to_owned(),
        engine_version: params.text("EngineVersion").unwrap_or("15.3").to_owned(),
        username: params.required("MasterUsername")?.to_owned(),
        port: free_port().map_err(|error| Fault::new(500, "InternalFailure", error.to_string()))?,
        subnet_group: params.text("DBSubnetGroupName").unwrap_or("default").to_owned(),
        security_groups: if groups.is_empty() { vec![DEFAULT_SECURITY_GROUP.to_owned()] } else { groups },
        parameter_group: params.text("DBParameterGroupName").unwrap_or("default").to_owned(),
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
fn empty(engine: &str, request: &Request<'_>) -> Result<Content, Fault> {
    let kind = DatabaseKind::ALL.into_iter().find(|(_, kind)| kind.matches_engine(engine));
    let protocol: Protocol =
        kind.map(|(_, kind)| kind.protocol()).ok_or_else(|| Fault::invalid(format!("Invalid DB engine: {engine}")))?;
    Ok(Content { protocol, seed: None, as_of: request.now, damage: None })
}

pub(super) fn instance_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBSnapshotIdentifier")?;
    let source = request.params.id("DBInstanceIdentifier")?;
    let seconds = world.times.snapshot;
    let region = world.region(request.region);
    if region.instance_snapshots.contains_key(&id) {
        return Err(Fault::new(400, "DBSnapshotAlreadyExists", format!("Snapshot {id} already exists.")));
    }
    let instance = region.instances.get_mut(&source).ok_or_else(|| no_instance(&source))?;
    let status = instance.status(request.now);
    if status != "available" {
        return Err(Fault::new(400, "InvalidDBInstanceState", format!("Instance {source} is {status}.")));
    }
    let (settings, class) = (instance.settings.clone(), instance.class.clone());
    let snapshot = snapshot(request, seconds, [id.clone(), source, class], settings, instance.content.clone());
    let snapshot =
        Snapshot { resource_id: instance.resource_id.clone(), source_created_at: instance.created_at, ..snapshot };
    let body = render::instance_snapshot(region, &snapshot, request.now);
    region.instance_snapshots.insert(id, snapshot);
    Ok(xml_answer(request.action, vec![body]))
}

pub(super) fn cluster_snapshot(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let id = request.params.id("DBClusterSnapshotIdentifier")?;
    let source = request.params.id("DBClusterIdentifier")?;
    let seconds = world.times.snapshot;
    let region = world.region(request.region);
    if region.cluster_snapshots.contains_key(&id) {
        let message = format!("Cluster snapshot {id} already exists.");
        return Err(Fault::new(400, "DBClusterSnapshotAlreadyExistsFault", message));
    }
    let cluster = region.clusters.get(&source).ok_or_else(|| no_cluster(&source))?;
    let status = cluster.status(request.now);
    if status != "available" {
        return Err(Fault::new(400, "InvalidDBClusterStateFault", format!("Cluster {source} is {status}.")));
    }
    let (settings, content) = (cluster.settings.clone(), cluster.content.clone());
    let snapshot = snapshot(request, seconds, [id.clone(), source, String::new()], settings, content);
    let snapshot =
        Snapshot { resource_id: cluster.resource_id.clone(), source_created_at: cluster.created_at, ..snapshot };
    let body = render::cluster_snapshot(region, &snapshot, request.now);
    region.cluster_snapshots.insert(id, snapshot);
    Ok(xml_answer(request.action, vec![body]))
}

fn snapshot(
    request: &Request<'_>,
    seconds: i64,
    [id, source, class]: [String; 3],
    settings: Settings,
    content: Content,
) -> Snapshot {
    Snapshot {
        id,
        source,
        resource_id: String::new(),
        origin: "manual".to_owned(),
        created_at: request.now,
        original_at: request.now,
        source_created_at: request.now,
        copied_from: None,
        timeline: Timeline::after(request.now, "creating", seconds),
        settings: Settings { tags: request.params.tags(), ..settings },
        class,
        content: Content { as_of: request.now, ..content },
    }
}

pub(super) fn subnet_group(world: &mut World, request: &Request<'_>) -> Result<Answer, Fault> {
    let name = request.params.id("DBSubnetGroupName")?;
    let description = request.params.text("DBSubnetGroupDescription").unwrap_or_default().to_owned();
    let subnets = request.params.list("SubnetIds.SubnetIdentifier");
    let region = world.region(request.region);
    if region.network.subnet_groups.contains_key(&name) {
        let message = format!("DB subnet group {name} already exists.");
        return Err(Fault::new(400, "DBSubnetGroupAlreadyExists", message));
    }
    let subnets = subnets.into_iter().zip(zones(request.region).into_iter().cycle()).collect();
    let group = SubnetGroup { name: name.clone(), description, vpc: VPC.to_owned(), subnets };
    let body = render::subnet_group(region, &group);
    region.network.subnet_groups.insert(name, group);
    Ok(xml_answer(request.action, vec![body]))
}
