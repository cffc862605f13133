//! The DocumentDB API: clusters, their snapshots, and what changes them. Instances and events are read through RDS.

use aws_sdk_docdb::{Client as DocDb, types as sdk};

use super::client::{Connect, Connection};
use super::connect::Aws;
use super::convert::{date_time, endpoint, time};
use super::dated::Dated;
use super::error::{Error, ErrorKind, Result};
use super::model::{Cluster, Member, Snapshot, Storage};
use super::rds::{RDS, SnapshotName, all};
use super::{BackupSource, Restore, RestoreSource};
use crate::estate::{ServerlessV2Scaling, Tags};

impl Connect for DocDb {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_docdb::config::Builder::from(&connection.config);
        let config = connection.interceptors_of_changes().fold(config, aws_sdk_docdb::config::Builder::interceptor);
        Self::from_conf(config.build())
    }
}

/// One cluster, with its tags, or `None` where there is none of that name.
pub(super) async fn cluster(aws: &Aws, id: &str) -> Result<Option<Cluster>> {
    let dated = Dated::default();
    let request = aws.client::<DocDb>().describe_db_clusters().db_cluster_identifier(id);
    let answer = request.customize().interceptor(dated.clone()).send().await;
    let found = match answer.map_err(|error| RDS.error("DescribeDBClusters", error)) {
        Ok(answer) => answer.db_clusters.unwrap_or_default().into_iter().next(),
        Err(Error { kind: ErrorKind::NotFound, .. }) => None,
        Err(error) => return Err(error),
    };
    let Some(mut cluster) = found.map(cluster_from) else { return Ok(None) };
    cluster.described_at = dated.at();
    let answer = aws.client::<DocDb>().list_tags_for_resource().resource_name(&cluster.arn).send().await;
    match answer.map_err(|error| RDS.error("ListTagsForResource", error)) {
        Ok(answer) => cluster.tags = tags_from(answer.tag_list),
        Err(Error { kind: ErrorKind::NotFound, .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(cluster))
}

/// Every snapshot of a cluster.
pub(super) async fn snapshots(aws: &Aws, source: &str) -> Result<Vec<Snapshot>> {
    let items = aws
        .client::<DocDb>()
        .describe_db_cluster_snapshots()
        .db_cluster_identifier(source)
        .into_paginator()
        .items()
        .send();
    Ok(all("DescribeDBClusterSnapshots", items).await?.into_iter().map(snapshot_from).collect())
}

/// One snapshot, by id or ARN.
pub(super) async fn snapshot(aws: &Aws, id: &str) -> Result<Option<Snapshot>> {
    let asked = SnapshotName::of(id);
    let answer = aws
        .client::<DocDb>()
        .describe_db_cluster_snapshots()
        .db_cluster_snapshot_identifier(id)
        .set_snapshot_type(asked.snapshot_type)
        .set_include_shared(asked.include_shared)
        .send()
        .await;
    match answer.map_err(|error| RDS.error("DescribeDBClusterSnapshots", error)) {
        Ok(answer) => Ok(answer.db_cluster_snapshots.unwrap_or_default().into_iter().next().map(snapshot_from)),
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Restores a cluster, without instances.
pub(super) async fn restore(aws: &Aws, restore: &Restore) -> Result<()> {
    let groups = Some(restore.security_groups.clone()).filter(|groups| !groups.is_empty());
    match &restore.source {
        RestoreSource::Snapshot(snapshot) => {
            let request = aws
                .client::<DocDb>()
                .restore_db_cluster_from_snapshot()
                .db_cluster_identifier(&restore.id)
                .snapshot_identifier(snapshot)
                .engine(&restore.engine)
                .set_engine_version(restore.engine_version.clone())
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .set_db_cluster_parameter_group_name(restore.parameter_group.clone())
                .set_storage_type(restore.storage.kind.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBClusterFromSnapshot", error))
        }
        RestoreSource::PointInTime { source: BackupSource::Retained { resource_id }, .. } => Err(Error::new(
            "RestoreDBClusterToPointInTime",
            ErrorKind::Invalid,
            format!("DocumentDB restores no cluster that is gone, such as `{resource_id}`, to a moment"),
        )),
        RestoreSource::PointInTime { source: BackupSource::Existing(source), at } => {
            let request = aws
                .client::<DocDb>()
                .restore_db_cluster_to_point_in_time()
                .db_cluster_identifier(&restore.id)
                .source_db_cluster_identifier(source)
                .set_restore_to_time(at.map(date_time))
                .set_use_latest_restorable_time(at.is_none().then_some(true))
                .set_db_subnet_group_name(restore.subnet_group.clone())
                .set_vpc_security_group_ids(groups)
                .set_serverless_v2_scaling_configuration(restore.capacity.map(scaling))
                .set_storage_type(restore.storage.kind.clone())
                .deletion_protection(false)
                .set_tags(Some(tags_of(&restore.tags)));
            request.send().await.map(drop).map_err(|error| RDS.error("RestoreDBClusterToPointInTime", error))
        }
    }
}

fn scaling(capacity: ServerlessV2Scaling) -> sdk::ServerlessV2ScalingConfiguration {
    let scaling = sdk::ServerlessV2ScalingConfiguration::builder();
    scaling.min_capacity(capacity.min).max_capacity(capacity.max).build()
}

pub(super) fn tags_of(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

fn tags_from(tags: Option<Vec<sdk::Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

fn cluster_from(from: sdk::DbCluster) -> Cluster {
    let members = from.db_cluster_members.unwrap_or_default().into_iter().filter_map(|member| {
        Some(Member { id: member.db_instance_identifier?, is_writer: member.is_cluster_writer.unwrap_or(false) })
    });
    Cluster {
        id: from.db_cluster_identifier.unwrap_or_default(),
        described_at: None,
        resource_id: from.db_cluster_resource_id,
        master_username: from.master_username.filter(|name| !name.is_empty()),
        storage: Storage { kind: from.storage_type, ..Storage::default() },
        instance_class: None,
        engine_mode: None,
        publicly_accessible: None,
        backup_retention_days: from.backup_retention_period,
        earliest_restorable: time(from.earliest_restorable_time),
        arn: from.db_cluster_arn.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        endpoint: endpoint(from.endpoint, from.port),
        members: members.collect(),
        parameter_group: from.db_cluster_parameter_group,
        lifecycle: None,
        multi_az: from.multi_az,
        encrypted: from.storage_encrypted,
        kms_key: from.kms_key_id,
        iam_authentication: None,
        log_exports: from.enabled_cloudwatch_logs_exports.unwrap_or_default(),
        deletion_protection: from.deletion_protection,
        latest_restorable: time(from.latest_restorable_time),
        capacity: from
            .serverless_v2_scaling_configuration
            .and_then(|scaling| Some(ServerlessV2Scaling { min: scaling.min_capacity?, max: scaling.max_capacity? })),
        password_pending: false,
        tags: Tags::new(),
    }
}

fn snapshot_from(from: sdk::DbClusterSnapshot) -> Snapshot {
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
        copied_from: from.source_db_cluster_snapshot_arn.filter(|arn| !arn.is_empty()),
        master_username: from.master_username.filter(|name| !name.is_empty()),
        option_group: None,
        storage: Storage { kind: from.storage_type, ..Storage::default() },
        engine_mode: None,
    }
}
