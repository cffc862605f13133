//! The RDS API, read: instances of all kinds, Aurora clusters, snapshots, events, quotas.

use aws_sdk_rds::types as sdk;

use super::super::connect::Aws;
use super::super::convert::time;
use super::super::dated::Dated;
use super::super::error::{Error, ErrorKind, Result};
use super::super::model::{Cluster, Event, Instance, Quota, ResourceKind, Snapshot, Storage};
use super::listing::{SnapshotName, all, cluster_from, instance_from};
use super::{RDS, Rds};

/// How far back events are asked for, in minutes.
const EVENT_MINUTES: i32 = 180;

/// One instance, or `None` where there is none of that name.
pub(in crate::aws) async fn instance(aws: &Aws, id: &str) -> Result<Option<Instance>> {
    let dated = Dated::default();
    let request = aws.client::<Rds>().describe_db_instances().db_instance_identifier(id);
    let answer = request.customize().interceptor(dated.clone()).send().await;
    match answer.map_err(|error| RDS.error("DescribeDBInstances", error)) {
        Ok(answer) => {
            let found = answer.db_instances.unwrap_or_default().into_iter().next().map(instance_from);
            Ok(found.map(|instance| Instance { described_at: dated.at(), ..instance }))
        }
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One Aurora cluster.
pub(in crate::aws) async fn cluster(aws: &Aws, id: &str) -> Result<Option<Cluster>> {
    let dated = Dated::default();
    let request = aws.client::<Rds>().describe_db_clusters().db_cluster_identifier(id);
    let answer = request.customize().interceptor(dated.clone()).send().await;
    match answer.map_err(|error| RDS.error("DescribeDBClusters", error)) {
        Ok(answer) => {
            let found = answer.db_clusters.unwrap_or_default().into_iter().next().map(cluster_from);
            Ok(found.map(|cluster| Cluster { described_at: dated.at(), ..cluster }))
        }
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every snapshot of an instance.
pub(in crate::aws) async fn instance_snapshots(aws: &Aws, source: &str) -> Result<Vec<Snapshot>> {
    let items =
        aws.client::<Rds>().describe_db_snapshots().db_instance_identifier(source).into_paginator().items().send();
    Ok(all("DescribeDBSnapshots", items).await?.into_iter().map(instance_snapshot_from).collect())
}

/// One snapshot of an instance, by id or ARN.
pub(in crate::aws) async fn instance_snapshot(aws: &Aws, id: &str) -> Result<Option<Snapshot>> {
    let asked = SnapshotName::of(id);
    let answer = aws
        .client::<Rds>()
        .describe_db_snapshots()
        .db_snapshot_identifier(id)
        .set_snapshot_type(asked.snapshot_type)
        .set_include_shared(asked.include_shared)
        .send()
        .await;
    match answer.map_err(|error| RDS.error("DescribeDBSnapshots", error)) {
        Ok(answer) => Ok(answer.db_snapshots.unwrap_or_default().into_iter().next().map(instance_snapshot_from)),
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every snapshot of an Aurora cluster.
pub(in crate::aws) async fn cluster_snapshots(aws: &Aws, source: &str) -> Result<Vec<Snapshot>> {
    let items = aws
        .client::<Rds>()
        .describe_db_cluster_snapshots()
        .db_cluster_identifier(source)
        .into_paginator()
        .items()
        .send();
    Ok(all("DescribeDBClusterSnapshots", items).await?.into_iter().map(cluster_snapshot_from).collect())
}

/// One snapshot of an Aurora cluster, by id or ARN.
pub(in crate::aws) async fn cluster_snapshot(aws: &Aws, id: &str) -> Result<Option<Snapshot>> {
    let asked = SnapshotName::of(id);
    let answer = aws
        .client::<Rds>()
        .describe_db_cluster_snapshots()
        .db_cluster_snapshot_identifier(id)
        .set_snapshot_type(asked.snapshot_type)
        .set_include_shared(asked.include_shared)
        .send()
        .await;
    match answer.map_err(|error| RDS.error("DescribeDBClusterSnapshots", error)) {
        Ok(answer) => Ok(answer.db_cluster_snapshots.unwrap_or_default().into_iter().next().map(cluster_snapshot_from)),
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(None),
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
        let request =
            self.client::<Rds>().describe_events().source_type(source).source_identifier(id).duration(EVENT_MINUTES);
        let answer = request.send().await.map_err(|error| RDS.error("DescribeEvents", error))?;
        let events = answer.events.unwrap_or_default().into_iter();
        Ok(events.map(|event| Event { at: time(event.date), message: event.message.unwrap_or_default() }).collect())
    }

    /// The account's quotas and their use.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn quotas(&self) -> Result<Vec<Quota>> {
        let answer = self.client::<Rds>().describe_account_attributes().send().await;
        let answer = answer.map_err(|error| RDS.error("DescribeAccountAttributes", error))?;
        let quotas = answer.account_quotas.unwrap_or_default().into_iter();
        Ok(quotas
            .filter_map(|quota| Some(Quota { name: quota.account_quota_name?, used: quota.used?, max: quota.max? }))
            .collect())
    }
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
        copied_from: None,
        master_username: from.master_username.filter(|name| !name.is_empty()),
        option_group: from.option_group_name.filter(|name| !name.is_empty()),
        storage: Storage {
            kind: from.storage_type,
            iops: from.iops,
            throughput: from.storage_throughput,
            allocated_gib: from.allocated_storage,
        },
        engine_mode: None,
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
        copied_from: from.source_db_cluster_snapshot_arn.filter(|arn| !arn.is_empty()),
        master_username: from.master_username.filter(|name| !name.is_empty()),
        option_group: None,
        storage: Storage {
            kind: from.storage_type,
            iops: None,
            throughput: from.storage_throughput,
            allocated_gib: from.allocated_storage,
        },
        engine_mode: from.engine_mode,
    }
}
