//! Restores through the RDS API: every setting that AWS would otherwise default is sent.

use aws_sdk_rds::types as sdk;

use super::super::connect::Aws;
use super::super::convert::date_time;
use super::super::error::Result;
use super::super::{BackupSource, Restore, RestoreSource};
use super::{RDS, Rds};
use crate::estate::{ServerlessV2Scaling, Tags};

/// From this size on AWS lets a `gp3` volume of MySQL, MariaDB or PostgreSQL have I/O and throughput of its own; below
/// it both are fixed, and naming them is refused.
const GP3_CHOICE_GIB: i32 = 400;

/// Restores an instance.
pub(in crate::aws) async fn restore_instance(aws: &Aws, restore: &Restore) -> Result<()> {
    let groups = Some(restore.security_groups.clone()).filter(|groups| !groups.is_empty());
    let (iops, throughput) = provisioned(restore);
    match &restore.source {
        RestoreSource::Snapshot(snapshot) => {
            let request = aws
                .client::<Rds>()
                .restore_db_instance_from_db_snapshot()
                .db_instance_identifier(&restore.id)
                .db_snapshot_identifier(snapshot)
                .engine(&restore.engine)
                .set_db_instance_class(restore.class.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_parameter_group_name(restore.parameter_group.clone())
                .set_option_group_name(restore.option_group.clone())
                .set_storage_type(restore.storage.kind.clone())
                .set_iops(iops)
                .set_storage_throughput(throughput)
                .multi_az(false)
                .publicly_accessible(false)
                .backup_retention_period(0)
                .auto_minor_version_upgrade(false)
                .set_engine_lifecycle_support(restore.lifecycle.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBInstanceFromDBSnapshot", error))
        }
        RestoreSource::PointInTime { source, at } => {
            let (name, resource_id) = source.name_and_resource_id();
            let request = aws
                .client::<Rds>()
                .restore_db_instance_to_point_in_time()
                .target_db_instance_identifier(&restore.id)
                .set_source_db_instance_identifier(name)
                .set_source_dbi_resource_id(resource_id)
                .set_restore_time(at.map(date_time))
                .set_use_latest_restorable_time(at.is_none().then_some(true))
                .set_db_instance_class(restore.class.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_parameter_group_name(restore.parameter_group.clone())
                .set_option_group_name(restore.option_group.clone())
                .set_storage_type(restore.storage.kind.clone())
                .set_iops(iops)
                .set_storage_throughput(throughput)
                .multi_az(false)
                .publicly_accessible(false)
                .backup_retention_period(0)
                .auto_minor_version_upgrade(false)
                .set_engine_lifecycle_support(restore.lifecycle.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBInstanceToPointInTime", error))
        }
    }
}

/// Restores an Aurora cluster, without instances: these are what could be reached from the internet, and say so when they are
/// made. Of a cluster that is not Multi-AZ, AWS takes no `PubliclyAccessible` at a restore in time.
pub(in crate::aws) async fn restore_cluster(aws: &Aws, restore: &Restore) -> Result<()> {
    let groups = Some(restore.security_groups.clone()).filter(|groups| !groups.is_empty());
    match &restore.source {
        RestoreSource::Snapshot(snapshot) => {
            let request = aws
                .client::<Rds>()
                .restore_db_cluster_from_snapshot()
                .db_cluster_identifier(&restore.id)
                .snapshot_identifier(snapshot)
                .engine(&restore.engine)
                .set_engine_version(restore.engine_version.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_cluster_parameter_group_name(restore.parameter_group.clone())
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .set_storage_type(restore.storage.kind.clone())
                .set_engine_lifecycle_support(restore.lifecycle.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBClusterFromSnapshot", error))
        }
        RestoreSource::PointInTime { source, at } => {
            let (name, resource_id) = source.name_and_resource_id();
            let request = aws
                .client::<Rds>()
                .restore_db_cluster_to_point_in_time()
                .db_cluster_identifier(&restore.id)
                .set_source_db_cluster_identifier(name)
                .set_source_db_cluster_resource_id(resource_id)
                .set_restore_to_time(at.map(date_time))
                .set_use_latest_restorable_time(at.is_none().then_some(true))
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_cluster_parameter_group_name(restore.parameter_group.clone())
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .set_storage_type(restore.storage.kind.clone())
                .set_engine_lifecycle_support(restore.lifecycle.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBClusterToPointInTime", error))
        }
    }
}

impl BackupSource {
    /// The argument that names the source while it exists, or the one that names what is left of it.
    fn name_and_resource_id(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Existing(name) => (Some(name.clone()), None),
            Self::Retained { resource_id } => (None, Some(resource_id.clone())),
        }
    }
}

/// The I/O and throughput to ask for: only where the storage type has a choice.
fn provisioned(restore: &Restore) -> (Option<i32>, Option<i32>) {
    let storage = &restore.storage;
    let iops = storage.iops.filter(|iops| *iops > 0);
    let throughput = storage.throughput.filter(|throughput| *throughput > 0);
    match storage.kind.as_deref() {
        Some("io1" | "io2") => (iops, None),
        Some("gp3") if storage.allocated_gib.is_some_and(|gib| gib >= GP3_CHOICE_GIB) => (iops, throughput),
        _ => (None, None),
    }
}

fn scaling(capacity: ServerlessV2Scaling) -> sdk::ServerlessV2ScalingConfiguration {
    let scaling = sdk::ServerlessV2ScalingConfiguration::builder();
    scaling.min_capacity(capacity.min).max_capacity(capacity.max).build()
}

pub(in crate::aws) fn tags_of(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Storage;

    fn with_storage(kind: &str, allocated_gib: i32) -> Restore {
        let storage = Storage {
            kind: Some(kind.to_owned()),
            iops: Some(3000),
            throughput: Some(125),
            allocated_gib: Some(allocated_gib),
        };
        Restore { storage, ..Restore::default() }
    }

    #[test]
    fn only_storage_that_has_a_choice_is_asked_for_io_and_throughput() {
        // A small gp3 volume is described with 3000 and 125, and AWS refuses a request that names them.
        assert_eq!(provisioned(&with_storage("gp3", 100)), (None, None));
        assert_eq!(provisioned(&with_storage("gp3", 400)), (Some(3000), Some(125)));
        assert_eq!(provisioned(&with_storage("io2", 100)), (Some(3000), None));
        assert_eq!(provisioned(&with_storage("gp2", 100)), (None, None));
    }
}
