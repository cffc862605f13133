//! Automated backups, which may outlive what they are of.

use aws_sdk_rds::types as sdk;

use super::super::connect::Aws;
use super::super::convert::time;
use super::super::error::{Error, ErrorKind, Result};
use super::super::model::{AutomatedBackup, Storage};
use super::Rds;
use super::listing::{all, filter};
use crate::estate::DatabaseKind;

impl Aws {
    /// The automated backups of a database, whether it still exists or not. DocumentDB's go with their cluster.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn automated_backups(&self, kind: DatabaseKind, id: &str) -> Result<Vec<AutomatedBackup>> {
        match kind {
            DatabaseKind::Documentdb => Ok(Vec::new()),
            kind if kind.is_cluster() => self.cluster_backups(id).await,
            _ => self.instance_backups(id).await,
        }
    }

    /// The filter, not the parameter of the same name: that one "must match the identifier of an existing DB instance".
    async fn instance_backups(&self, id: &str) -> Result<Vec<AutomatedBackup>> {
        let by_name = filter("db-instance-id", &[id.to_owned()]);
        let items = self
            .client::<Rds>()
            .describe_db_instance_automated_backups()
            .filters(by_name)
            .into_paginator()
            .items()
            .send();
        let found = absent_is_none(all("DescribeDBInstanceAutomatedBackups", items).await)?;
        Ok(found.into_iter().map(of_instance).filter(|backup| backup.source.eq_ignore_ascii_case(id)).collect())
    }

    async fn cluster_backups(&self, id: &str) -> Result<Vec<AutomatedBackup>> {
        let by_name = filter("db-cluster-id", &[id.to_owned()]);
        let request = self.client::<Rds>().describe_db_cluster_automated_backups().filters(by_name);
        let found = all("DescribeDBClusterAutomatedBackups", request.into_paginator().items().send()).await;
        let found = absent_is_none(found)?.into_iter();
        Ok(found.map(of_cluster).filter(|backup| backup.source.eq_ignore_ascii_case(id)).collect())
    }
}

fn absent_is_none<T>(found: Result<Vec<T>>) -> Result<Vec<T>> {
    match found {
        Err(Error { kind: ErrorKind::NotFound, .. }) => Ok(Vec::new()),
        other => other,
    }
}

fn of_instance(from: sdk::DbInstanceAutomatedBackup) -> AutomatedBackup {
    AutomatedBackup {
        source: from.db_instance_identifier.unwrap_or_default(),
        resource_id: from.dbi_resource_id.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        earliest: time(from.restore_window.as_ref().and_then(|window| window.earliest_time)),
        latest: time(from.restore_window.and_then(|window| window.latest_time)),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        kms_key: from.kms_key_id,
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

fn of_cluster(from: sdk::DbClusterAutomatedBackup) -> AutomatedBackup {
    AutomatedBackup {
        source: from.db_cluster_identifier.unwrap_or_default(),
        resource_id: from.db_cluster_resource_id.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        earliest: time(from.restore_window.as_ref().and_then(|window| window.earliest_time)),
        latest: time(from.restore_window.and_then(|window| window.latest_time)),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        kms_key: from.kms_key_id,
        master_username: from.master_username.filter(|name| !name.is_empty()),
        option_group: None,
        storage: Storage {
            kind: from.storage_type,
            iops: from.iops,
            throughput: from.storage_throughput,
            allocated_gib: from.allocated_storage,
        },
        engine_mode: from.engine_mode,
    }
}
