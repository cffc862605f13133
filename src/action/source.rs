//! A database as AWS has it, be it an instance or a cluster with its writer.

use jiff::Timestamp;

use crate::aws::{Aws, Capacity, Cluster, Instance, Result};
use crate::estate::Database;

/// A database as AWS has it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) engine: String,
    pub(super) engine_version: String,
    pub(super) kms_key: Option<String>,
    pub(super) latest_restorable: Option<Timestamp>,
    pub(super) parameter_group: Option<String>,
    pub(super) capacity: Option<Capacity>,
    /// What a recovery would miss besides the instance's class, by name.
    pub(super) settings: Vec<(&'static str, Option<String>)>,
    class: Class,
}

/// Who knows the instance class.
#[derive(Debug)]
enum Class {
    Known(String),
    /// The writer of a cluster, where it has one.
    OfMember(Option<String>),
}

impl Source {
    /// Reads the database `id` of the kind of `database`; `None` where there is none.
    pub(super) async fn read(aws: &Aws, database: &Database, id: &str) -> Result<Option<Self>> {
        if database.kind.is_cluster() {
            Ok(aws.cluster(database.kind, id).await?.map(Self::from_cluster))
        } else {
            Ok(aws.instance(id).await?.map(Self::from_instance))
        }
    }

    /// The instance class: of a cluster that of its writer.
    pub(super) async fn class(&self, aws: &Aws) -> Result<Option<String>> {
        let class = match &self.class {
            Class::Known(class) => Some(class.clone()),
            Class::OfMember(Some(member)) => aws.instance(member).await?.map(|found| found.class),
            Class::OfMember(None) => None,
        };
        Ok(class.filter(|class| !class.is_empty()))
    }

    fn from_instance(found: Instance) -> Self {
        let settings = vec![
            ("parameter group", found.parameter_group.clone()),
            ("Multi-AZ", found.multi_az.map(on_or_off)),
            ("encryption", found.encrypted.map(on_or_off)),
            ("IAM authentication", found.iam_authentication.map(on_or_off)),
            ("log exports", Some(sorted(found.log_exports))),
            ("deletion protection", found.deletion_protection.map(on_or_off)),
            ("backup retention", found.backup_retention_days.map(|days| format!("{days} days"))),
        ];
        Self {
            engine: found.engine,
            engine_version: found.engine_version,
            kms_key: found.kms_key,
            latest_restorable: found.latest_restorable,
            parameter_group: found.parameter_group,
            capacity: None,
            settings,
            class: Class::Known(found.class),
        }
    }

    fn from_cluster(found: Cluster) -> Self {
        let writer = found.members.iter().find(|member| member.is_writer).or_else(|| found.members.first());
        let class = Class::OfMember(writer.map(|writer| writer.id.clone()));
        let settings = vec![
            ("instances", Some(found.members.len().to_string())),
            ("cluster parameter group", found.parameter_group.clone()),
            ("Multi-AZ", found.multi_az.map(on_or_off)),
            ("encryption", found.encrypted.map(on_or_off)),
            ("IAM authentication", found.iam_authentication.map(on_or_off)),
            ("log exports", Some(sorted(found.log_exports))),
            ("deletion protection", found.deletion_protection.map(on_or_off)),
        ];
        Self {
            engine: found.engine,
            engine_version: found.engine_version,
            kms_key: found.kms_key,
            latest_restorable: found.latest_restorable,
            parameter_group: found.parameter_group,
            capacity: found.capacity,
            settings,
            class,
        }
    }
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
