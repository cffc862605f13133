//! The RDS API: instances of all kinds, Aurora clusters, snapshots, events, quotas.

use aws_sdk_rds::types as sdk;

use super::connect::Aws;
use super::convert::{date_time, time};
use super::error::{Error, Kind, Result, classify};
use super::listing::{all, cluster_from, instance_from};
use super::model::{Capacity, Cluster, Event, Instance, Quota, ResourceKind, Snapshot};
use super::{Restore, RestoreSource};
use crate::estate::Tags;

/// How far back events are asked for, in minutes.
const EVENT_MINUTES: i32 = 180;

/// One instance, or `None` where there is none of that name.
pub(super) async fn instance(aws: &Aws, id: &str) -> Result<Option<Instance>> {
    let answer = aws.rds.describe_db_instances().db_instance_identifier(id).send().await;
    match answer.map_err(|error| classify("DescribeDBInstances", error)) {
        Ok(answer) => Ok(answer.db_instances.unwrap_or_default().into_iter().next().map(instance_from)),
        Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One Aurora cluster.
pub(super) async fn cluster(aws: &Aws, id: &str) -> Result<Option<Cluster>> {
    let answer = aws.rds.describe_db_clusters().db_cluster_identifier(id).send().await;
    match answer.map_err(|error| classify("DescribeDBClusters", error)) {
        Ok(answer) => Ok(answer.db_clusters.unwrap_or_default().into_iter().next().map(cluster_from)),
        Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every snapshot of an instance.
pub(super) async fn instance_snapshots(aws: &Aws, source: &str) -> Result<Vec<Snapshot>> {
    let items = aws.rds.describe_db_snapshots().db_instance_identifier(source).into_paginator().items().send();
    Ok(all("DescribeDBSnapshots", items).await?.into_iter().map(instance_snapshot_from).collect())
}

/// One snapshot of an instance, by id or ARN.
pub(super) async fn instance_snapshot(aws: &Aws, id: &str) -> Result<Option<Snapshot>> {
    let answer = aws
        .rds
        .describe_db_snapshots()
        .db_snapshot_identifier(id)
        .set_snapshot_type(type_of(id))
        .set_include_shared(is_arn(id))
        .send()
        .await;
    match answer.map_err(|error| classify("DescribeDBSnapshots", error)) {
        Ok(answer) => Ok(answer.db_snapshots.unwrap_or_default().into_iter().next().map(instance_snapshot_from)),
        Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The type that has to be asked for by name: AWS finds automated snapshots only so.
fn type_of(id: &str) -> Option<String> {
    let types = [("rds:", "automated"), ("awsbackup:", "awsbackup")];
    types.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, name)| (*name).to_owned())
}

/// A snapshot that is named by its ARN may be another account's.
fn is_arn(id: &str) -> Option<bool> {
    id.starts_with("arn:").then_some(true)
}

/// Every snapshot of an Aurora cluster.
pub(super) async fn cluster_snapshots(aws: &Aws, source: &str) -> Result<Vec<Snapshot>> {
    let items = aws.rds.describe_db_cluster_snapshots().db_cluster_identifier(source).into_paginator().items().send();
    Ok(all("DescribeDBClusterSnapshots", items).await?.into_iter().map(cluster_snapshot_from).collect())
}

/// One snapshot of an Aurora cluster, by id or ARN.
pub(super) async fn cluster_snapshot(aws: &Aws, id: &str) -> Result<Option<Snapshot>> {
    let answer = aws
        .rds
        .describe_db_cluster_snapshots()
        .db_cluster_snapshot_identifier(id)
        .set_snapshot_type(type_of(id))
        .set_include_shared(is_arn(id))
        .send()
        .await;
    match answer.map_err(|error| classify("DescribeDBClusterSnapshots", error)) {
        Ok(answer) => Ok(answer.db_cluster_snapshots.unwrap_or_default().into_iter().next().map(cluster_snapshot_from)),
        Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Aws {
    /// What happened lately to a resource, oldest first.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn events(&self, kind: ResourceKind, id: &str) -> Result<Vec<Event>> {
        let source = match kind {
            ResourceKind::DbInstance => sdk::SourceType::DbInstance,
            ResourceKind::DbCluster => sdk::SourceType::DbCluster,
        };
        let request = self.rds.describe_events().source_type(source).source_identifier(id).duration(EVENT_MINUTES);
        let answer = request.send().await.map_err(|error| classify("DescribeEvents", error))?;
        let events = answer.events.unwrap_or_default().into_iter();
        Ok(events.map(|event| Event { at: time(event.date), message: event.message.unwrap_or_default() }).collect())
    }

    /// The account's quotas and their use.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn quotas(&self) -> Result<Vec<Quota>> {
        let answer = self.rds.describe_account_attributes().send().await;
        let answer = answer.map_err(|error| classify("DescribeAccountAttributes", error))?;
        let quotas = answer.account_quotas.unwrap_or_default().into_iter();
        Ok(quotas
            .filter_map(|quota| Some(Quota { name: quota.account_quota_name?, used: quota.used?, max: quota.max? }))
            .collect())
    }

    /// The status of a DB subnet group; `None` where there is none of that name.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn subnet_group(&self, name: &str) -> Result<Option<String>> {
        let answer = self.rds.describe_db_subnet_groups().db_subnet_group_name(name).send().await;
        match answer.map_err(|error| classify("DescribeDBSubnetGroups", error)) {
            Ok(answer) => {
                let group = answer.db_subnet_groups.unwrap_or_default().into_iter().next();
                Ok(group.map(|group| group.subnet_group_status.unwrap_or_default()))
            }
            Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Restores an instance.
pub(super) async fn restore_instance(aws: &Aws, restore: &Restore) -> Result<()> {
    let groups = Some(restore.security_groups.clone()).filter(|groups| !groups.is_empty());
    match &restore.source {
        RestoreSource::Snapshot(snapshot) => {
            let request = aws
                .rds
                .restore_db_instance_from_db_snapshot()
                .db_instance_identifier(&restore.id)
                .db_snapshot_identifier(snapshot)
                .engine(&restore.engine)
                .set_db_instance_class(restore.class.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_parameter_group_name(restore.parameter_group.clone())
                .multi_az(false)
                .publicly_accessible(false)
                .backup_retention_period(0)
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| classify("RestoreDBInstanceFromDBSnapshot", error))
        }
        RestoreSource::PointInTime { source, at } => {
            let request = aws
                .rds
                .restore_db_instance_to_point_in_time()
                .target_db_instance_identifier(&restore.id)
                .source_db_instance_identifier(source)
                .set_restore_time(at.map(date_time))
                .set_use_latest_restorable_time(at.is_none().then_some(true))
                .set_db_instance_class(restore.class.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_parameter_group_name(restore.parameter_group.clone())
                .multi_az(false)
                .publicly_accessible(false)
                .backup_retention_period(0)
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| classify("RestoreDBInstanceToPointInTime", error))
        }
    }
}

/// Restores an Aurora cluster, without instances.
pub(super) async fn restore_cluster(aws: &Aws, restore: &Restore) -> Result<()> {
    let groups = Some(restore.security_groups.clone()).filter(|groups| !groups.is_empty());
    match &restore.source {
        RestoreSource::Snapshot(snapshot) => {
            let request = aws
                .rds
                .restore_db_cluster_from_snapshot()
                .db_cluster_identifier(&restore.id)
                .snapshot_identifier(snapshot)
                .engine(&restore.engine)
                .set_engine_version(restore.engine_version.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_cluster_parameter_group_name(restore.parameter_group.clone())
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| classify("RestoreDBClusterFromSnapshot", error))
        }
        RestoreSource::PointInTime { source, at } => {
            let request = aws
                .rds
                .restore_db_cluster_to_point_in_time()
                .db_cluster_identifier(&restore.id)
                .source_db_cluster_identifier(source)
                .set_restore_to_time(at.map(date_time))
                .set_use_latest_restorable_time(at.is_none().then_some(true))
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_db_cluster_parameter_group_name(restore.parameter_group.clone())
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| classify("RestoreDBClusterToPointInTime", error))
        }
    }
}

fn scaling(capacity: Capacity) -> sdk::ServerlessV2ScalingConfiguration {
    let scaling = sdk::ServerlessV2ScalingConfiguration::builder();
    scaling.min_capacity(capacity.least).max_capacity(capacity.most).build()
}

pub(super) fn tags_of(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

fn instance_snapshot_from(from: sdk::DbSnapshot) -> Snapshot {
    Snapshot {
        id: from.db_snapshot_identifier.unwrap_or_default(),
        arn: from.db_snapshot_arn.unwrap_or_default(),
        source: from.db_instance_identifier.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        snapshot_type: from.snapshot_type.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        created_at: time(from.snapshot_create_time),
        original_created_at: time(from.original_snapshot_create_time),
        database_time: time(from.snapshot_database_time),
        encrypted: from.encrypted,
        kms_key: from.kms_key_id,
        percent: from.percent_progress,
    }
}

fn cluster_snapshot_from(from: sdk::DbClusterSnapshot) -> Snapshot {
    Snapshot {
        id: from.db_cluster_snapshot_identifier.unwrap_or_default(),
        arn: from.db_cluster_snapshot_arn.unwrap_or_default(),
        source: from.db_cluster_identifier.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        snapshot_type: from.snapshot_type.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        created_at: time(from.snapshot_create_time),
        original_created_at: None,
        database_time: None,
        encrypted: from.storage_encrypted,
        kms_key: from.kms_key_id,
        percent: from.percent_progress,
    }
}
