//! A database as AWS has it, be it an instance or a cluster with its writer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::{Aws, Cluster, Instance, Result, Storage};
use crate::estate::{Database, HostPort, ServerlessV2Scaling};

/// A database as AWS has it.
#[derive(Debug)]
pub(super) struct DatabaseDescription {
    pub(super) engine: String,
    pub(super) engine_version: String,
    pub(super) status: String,
    pub(super) endpoint: Option<HostPort>,
    /// When AWS described it, by AWS's clock.
    pub(super) described_at: Option<Timestamp>,
    pub(super) kms_key: Option<String>,
    pub(super) latest_restorable: Option<Timestamp>,
    /// Clusters alone say it; of an instance its automated backups do.
    pub(super) earliest_restorable: Option<Timestamp>,
    pub(super) backup_retention_days: Option<i32>,
    pub(super) master_username: Option<String>,
    pub(super) parameter_group: Option<String>,
    pub(super) option_group: Option<String>,
    pub(super) storage: Storage,
    pub(super) lifecycle: Option<String>,
    pub(super) capacity: Option<ServerlessV2Scaling>,
    pub(super) engine_mode: Option<String>,
    /// Whether it is, or is part of, a Multi-AZ DB cluster, which is no Aurora cluster.
    pub(super) is_multi_az_cluster: bool,
    /// Whether it can be reached from the internet; `None` where AWS does not say.
    pub(super) publicly_accessible: Option<bool>,
    pub(super) storage_operation: Option<String>,
    /// What a recovery would miss besides the instance's class, by name.
    pub(super) settings: Vec<(&'static str, Option<String>)>,
    /// The instances of a cluster.
    pub(super) members: Vec<String>,
    class: Class,
}

/// Who knows the instance class.
#[derive(Debug)]
enum Class {
    Known(String),
    /// The writer of a cluster, where it has one.
    OfMember(Option<String>),
}

/// What clusters leave to their instances.
#[derive(Debug, Default)]
pub(super) struct OfInstance {
    pub(super) class: Option<String>,
    /// Only of a cluster's writer.
    pub(super) member_parameter_group: Option<String>,
}

/// What a copy takes over from its source. Kept by every test, for the day on which the source is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSettings {
    /// The instance class; of a cluster its writer's.
    pub class: Option<String>,
    /// The version that the parameter group is for.
    pub engine_version: String,
    /// The parameter group; of a cluster its cluster parameter group.
    pub parameter_group: Option<String>,
    /// The parameter group of a cluster's writer.
    #[serde(default)]
    pub member_parameter_group: Option<String>,
    /// The option group.
    pub option_group: Option<String>,
    /// Whether it is enrolled in Extended Support, as AWS words it.
    #[serde(default)]
    pub lifecycle: Option<String>,
    /// The storage.
    pub storage: Storage,
    /// How far Serverless v2 scales.
    pub capacity: Option<ServerlessV2Scaling>,
}

impl DatabaseDescription {
    /// Reads the database `id` of the kind of `database`; `None` where there is none.
    pub(super) async fn read(aws: &Aws, database: &Database, id: &str) -> Result<Option<Self>> {
        if database.kind.is_cluster() {
            Ok(aws.cluster(database.kind, id).await?.map(Self::from_cluster))
        } else {
            Ok(aws.instance(id).await?.map(Self::from_instance))
        }
    }

    /// What clusters leave to their instances: of a cluster that of its writer.
    pub(super) async fn of_instance(&self, aws: &Aws) -> Result<OfInstance> {
        let found = match &self.class {
            Class::Known(class) => OfInstance { class: Some(class.clone()), member_parameter_group: None },
            Class::OfMember(Some(member)) => match aws.instance(member).await? {
                Some(found) => OfInstance { class: Some(found.class), member_parameter_group: found.parameter_group },
                None => OfInstance::default(),
            },
            Class::OfMember(None) => OfInstance::default(),
        };
        Ok(OfInstance { class: found.class.filter(|class| !class.is_empty()), ..found })
    }

    /// What a copy takes over.
    pub(super) async fn to_copy(&self, aws: &Aws) -> Result<SourceSettings> {
        let OfInstance { class, member_parameter_group } = self.of_instance(aws).await?;
        Ok(SourceSettings {
            class,
            member_parameter_group,
            lifecycle: self.lifecycle.clone(),
            engine_version: self.engine_version.clone(),
            parameter_group: self.parameter_group.clone(),
            option_group: self.option_group.clone(),
            storage: self.storage.clone(),
            capacity: self.capacity,
        })
    }

    fn from_instance(found: Instance) -> Self {
        let settings = vec![
            ("engine version", Some(found.engine_version.clone())),
            ("parameter group", found.parameter_group.clone()),
            ("option group", found.option_groups.first().cloned()),
            ("storage type", found.storage.kind.clone()),
            ("IOPS", found.storage.iops.map(|iops| iops.to_string())),
            ("storage throughput", found.storage.throughput.map(|throughput| format!("{throughput} MiB/s"))),
            ("Multi-AZ", found.multi_az.map(on_or_off)),
            ("encryption", found.encrypted.map(on_or_off)),
            ("IAM authentication", found.iam_authentication.map(on_or_off)),
            ("log exports", Some(sorted(found.log_exports))),
            ("deletion protection", found.deletion_protection.map(on_or_off)),
            ("backup retention", found.backup_retention_days.map(|days| format!("{days} days"))),
        ];
        // An instance of Aurora is told by its engine; one of PostgreSQL or MySQL in a cluster is of a Multi-AZ one.
        let is_multi_az_cluster = found.cluster.is_some() && is_rds_engine(&found.engine);
        Self {
            engine: found.engine,
            engine_version: found.engine_version,
            status: found.status,
            endpoint: found.endpoint,
            described_at: found.described_at,
            kms_key: found.kms_key,
            latest_restorable: found.latest_restorable,
            earliest_restorable: None,
            backup_retention_days: found.backup_retention_days,
            master_username: found.master_username,
            parameter_group: found.parameter_group,
            option_group: found.option_groups.into_iter().next(),
            storage: found.storage,
            lifecycle: found.lifecycle,
            capacity: None,
            engine_mode: None,
            is_multi_az_cluster,
            publicly_accessible: found.publicly_accessible,
            storage_operation: found.storage_operation,
            settings,
            members: Vec::new(),
            class: Class::Known(found.class),
        }
    }

    fn from_cluster(found: Cluster) -> Self {
        let writer = found.members.iter().find(|member| member.is_writer).or_else(|| found.members.first());
        let class = Class::OfMember(writer.map(|writer| writer.id.clone()));
        let settings = vec![
            ("instances", Some(found.members.len().to_string())),
            ("engine version", Some(found.engine_version.clone())),
            ("cluster parameter group", found.parameter_group.clone()),
            ("storage type", found.storage.kind.clone()),
            ("Serverless v2 capacity", found.capacity.map(|units| format!("{}-{}", units.min, units.max))),
            ("Multi-AZ", found.multi_az.map(on_or_off)),
            ("encryption", found.encrypted.map(on_or_off)),
            ("IAM authentication", found.iam_authentication.map(on_or_off)),
            ("log exports", Some(sorted(found.log_exports))),
            ("deletion protection", found.deletion_protection.map(on_or_off)),
        ];
        let is_multi_az_cluster = found.instance_class.is_some() || is_rds_engine(&found.engine);
        Self {
            engine: found.engine,
            engine_version: found.engine_version,
            status: found.status,
            endpoint: found.endpoint,
            described_at: found.described_at,
            kms_key: found.kms_key,
            latest_restorable: found.latest_restorable,
            earliest_restorable: found.earliest_restorable,
            backup_retention_days: found.backup_retention_days,
            master_username: found.master_username,
            parameter_group: found.parameter_group,
            option_group: None,
            storage: found.storage,
            lifecycle: found.lifecycle,
            capacity: found.capacity,
            engine_mode: found.engine_mode,
            is_multi_az_cluster,
            publicly_accessible: found.publicly_accessible,
            storage_operation: None,
            settings,
            members: found.members.into_iter().map(|member| member.id).collect(),
            class,
        }
    }
}

/// The engines that RDS runs outside of Aurora.
fn is_rds_engine(engine: &str) -> bool {
    matches!(engine, "mysql" | "postgres" | "mariadb")
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
