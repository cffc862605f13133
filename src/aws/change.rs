//! Calls that change something, as data: shown by a dry run, applied by a run.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;

use super::model::{Capacity, Resource, ResourceKind};
use crate::estate::{DatabaseKind, Tags};

/// What a copy is made from.
#[derive(Clone, Debug)]
pub enum RestoreSource {
    /// A snapshot, by id or ARN.
    Snapshot(String),
    /// The backups of `source`, at a moment; the newest restorable one where absent.
    PointInTime {
        /// The instance or cluster.
        source: String,
        /// The moment.
        at: Option<Timestamp>,
    },
}

/// A restore, with every setting that AWS would otherwise default.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The copy's identifier.
    pub id: String,
    /// What it is made from.
    pub source: RestoreSource,
    /// The engine, as AWS names it.
    pub engine: String,
    /// The snapshot's own version; the Region's default would be taken otherwise.
    pub engine_version: Option<String>,
    /// The class of an instance; a cluster has none.
    pub class: Option<String>,
    /// The quarantine's subnet group.
    pub subnet_group: Option<String>,
    /// The quarantine's security groups.
    pub security_groups: Vec<String>,
    /// The source's parameter group.
    pub parameter_group: Option<String>,
    /// How far the source's Serverless v2 scales.
    pub capacity: Option<Capacity>,
    /// Tags; without any, AWS copies the source's.
    pub tags: Tags,
}

/// One call that changes something.
#[derive(Clone, Debug)]
pub enum Change {
    /// Restore an instance or a cluster.
    Restore {
        /// The target's kind: decides the service and the operation.
        kind: DatabaseKind,
        /// The details.
        restore: Restore,
    },
    /// Give a restored cluster an instance, without which nobody can connect.
    AddMember {
        /// The target's kind.
        kind: DatabaseKind,
        /// The instance's identifier.
        id: String,
        /// The cluster.
        cluster: String,
        /// The instance class.
        class: String,
        /// The engine, as AWS names it.
        engine: String,
        /// Tags.
        tags: Tags,
    },
    /// Set the master password.
    SetPassword {
        /// The target's kind.
        kind: DatabaseKind,
        /// The instance or cluster.
        id: String,
        /// The new password.
        password: SecretString,
    },
    /// Remove something that drctl made.
    Delete {
        /// The target's kind.
        kind: DatabaseKind,
        /// What to remove.
        resource: Resource,
    },
}

/// A call as it is shown: service, operation and arguments.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Call {
    /// `rds`.
    pub service: &'static str,
    /// Such as `RestoreDBClusterFromSnapshot`.
    pub operation: &'static str,
    /// Names and values, as the API names them.
    pub arguments: Vec<(&'static str, String)>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)?;
        for (name, value) in &self.arguments {
            write!(f, "\n  {name} = {value}")?;
        }
        Ok(())
    }
}

impl Change {
    /// The call that [`super::Aws::apply`] would make.
    #[must_use]
    pub fn call(&self) -> Call {
        match self {
            Self::Restore { kind, restore } => restore_call(*kind, restore),
            Self::AddMember { id, cluster, class, engine, tags, .. } => Call {
                service: "rds",
                operation: "CreateDBInstance",
                arguments: vec![
                    ("DBInstanceIdentifier", id.clone()),
                    ("DBClusterIdentifier", cluster.clone()),
                    ("DBInstanceClass", class.clone()),
                    ("Engine", engine.clone()),
                    ("PubliclyAccessible", "false".to_owned()),
                    ("Tags", show_tags(tags)),
                ],
            },
            Self::SetPassword { kind, id, .. } => {
                let (operation, name) = if kind.is_cluster() {
                    ("ModifyDBCluster", "DBClusterIdentifier")
                } else {
                    ("ModifyDBInstance", "DBInstanceIdentifier")
                };
                let arguments = vec![
                    (name, id.clone()),
                    ("MasterUserPassword", "(random, kept in memory only)".to_owned()),
                    ("ApplyImmediately", "true".to_owned()),
                ];
                Call { service: "rds", operation, arguments }
            }
            Self::Delete { resource, .. } => {
                let (operation, name) = match resource.kind {
                    ResourceKind::DbInstance => ("DeleteDBInstance", "DBInstanceIdentifier"),
                    ResourceKind::DbCluster => ("DeleteDBCluster", "DBClusterIdentifier"),
                };
                let mut arguments = vec![(name, resource.id.clone()), ("SkipFinalSnapshot", "true".to_owned())];
                if !kind_deletes_backups_with_cluster(resource.kind) {
                    arguments.push(("DeleteAutomatedBackups", "true".to_owned()));
                }
                Call { service: "rds", operation, arguments }
            }
        }
    }
}

fn kind_deletes_backups_with_cluster(kind: ResourceKind) -> bool {
    kind == ResourceKind::DbCluster
}

fn restore_call(kind: DatabaseKind, restore: &Restore) -> Call {
    let cluster = kind.is_cluster();
    let (operation, target) = match (&restore.source, cluster) {
        (RestoreSource::Snapshot(_), true) => ("RestoreDBClusterFromSnapshot", "DBClusterIdentifier"),
        (RestoreSource::Snapshot(_), false) => ("RestoreDBInstanceFromDBSnapshot", "DBInstanceIdentifier"),
        (RestoreSource::PointInTime { .. }, true) => ("RestoreDBClusterToPointInTime", "DBClusterIdentifier"),
        (RestoreSource::PointInTime { .. }, false) => ("RestoreDBInstanceToPointInTime", "TargetDBInstanceIdentifier"),
    };
    let mut arguments = vec![(target, restore.id.clone())];
    match &restore.source {
        RestoreSource::Snapshot(id) => {
            arguments.push((if cluster { "SnapshotIdentifier" } else { "DBSnapshotIdentifier" }, id.clone()));
            arguments.push(("Engine", restore.engine.clone()));
        }
        RestoreSource::PointInTime { source, at } => {
            let name = if cluster { "SourceDBClusterIdentifier" } else { "SourceDBInstanceIdentifier" };
            arguments.push((name, source.clone()));
            match at {
                Some(at) => {
                    arguments.push((if cluster { "RestoreToTime" } else { "RestoreTime" }, at.to_string()));
                }
                None => arguments.push(("UseLatestRestorableTime", "true".to_owned())),
            }
        }
    }
    let optional = [
        ("EngineVersion", restore.engine_version.clone().filter(|_| cluster)),
        ("DBInstanceClass", restore.class.clone()),
        ("DBSubnetGroupName", restore.subnet_group.clone()),
        (if cluster { "DBClusterParameterGroupName" } else { "DBParameterGroupName" }, restore.parameter_group.clone()),
    ];
    arguments.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if !restore.security_groups.is_empty() {
        arguments.push(("VpcSecurityGroupIds", restore.security_groups.join(",")));
    }
    if let Some(Capacity { least, most }) = restore.capacity {
        let scaling = format!("MinCapacity={least},MaxCapacity={most}");
        arguments.push(("ServerlessV2ScalingConfiguration", scaling));
    }
    if !cluster {
        arguments.push(("MultiAZ", "false".to_owned()));
        arguments.push(("PubliclyAccessible", "false".to_owned()));
        arguments.push(("BackupRetentionPeriod", "0".to_owned()));
    }
    arguments.push(("DeletionProtection", "false".to_owned()));
    arguments.push(("Tags", show_tags(&restore.tags)));
    Call { service: "rds", operation, arguments }
}

fn show_tags(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_serverless_cluster_scales_as_its_source() {
        let restore = Restore {
            id: "drctl-x".to_owned(),
            source: RestoreSource::Snapshot("rds:x".to_owned()),
            engine: "aurora-postgresql".to_owned(),
            engine_version: None,
            class: None,
            subnet_group: None,
            security_groups: Vec::new(),
            parameter_group: None,
            capacity: Some(Capacity { least: 0.5, most: 8.0 }),
            tags: Tags::new(),
        };
        let call = Change::Restore { kind: DatabaseKind::AuroraPostgresql, restore }.call();
        let scaling = ("ServerlessV2ScalingConfiguration", "MinCapacity=0.5,MaxCapacity=8".to_owned());
        assert!(call.arguments.contains(&scaling), "{call}");
    }
}
