//! Instances and clusters as the RDS API lists them, DocumentDB's included.

use aws_sdk_rds::types as sdk;
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::super::convert::{endpoint, time};
use super::super::error::Result;
use super::super::model::{Cluster, Instance, Member, Storage};
use super::RDS;
use crate::estate::{ServerlessV2Scaling, Tags};

/// Items read of any one listing.
const MAX_ITEMS: usize = 20_000;

/// How a snapshot has to be asked for, by id or ARN: AWS finds automated ones only by their type, and another account's
/// only where shared ones are included.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::aws) struct SnapshotName {
    pub(in crate::aws) snapshot_type: Option<String>,
    pub(in crate::aws) include_shared: Option<bool>,
}

impl SnapshotName {
    pub(in crate::aws) fn of(id: &str) -> Self {
        let is_arn = id.starts_with("arn:");
        // `arn:aws:rds:REGION:ACCOUNT:snapshot:rds:shop-...`: an automated snapshot's name has a colon of its own.
        let name = if is_arn { id.splitn(7, ':').nth(6).unwrap_or_default() } else { id };
        let types = [("rds:", "automated"), ("awsbackup:", "awsbackup")];
        let found = types.iter().find(|(prefix, _)| name.starts_with(prefix));
        let snapshot_type = found.map(|(_, name)| (*name).to_owned());
        // Automated snapshots cannot be shared.
        let include_shared = (is_arn && snapshot_type.is_none()).then_some(true);
        Self { snapshot_type, include_shared }
    }
}

/// A filter as describes take it, such as `db-instance-id`.
pub(in crate::aws) fn filter(name: &str, values: &[String]) -> sdk::Filter {
    sdk::Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

/// Everything that a listing yields, page after page.
pub(in crate::aws) async fn all<T, E, R>(
    operation: &'static str,
    mut items: PaginationStream<std::result::Result<T, SdkError<E, R>>>,
) -> Result<Vec<T>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let mut found = Vec::new();
    while found.len() < MAX_ITEMS
        && let Some(item) = items.next().await
    {
        found.push(item.map_err(|error| RDS.error(operation, error))?);
    }
    Ok(found)
}

/// Instances that match the filters; all of them without.
pub(in crate::aws) async fn instances(
    client: &aws_sdk_rds::Client,
    filters: Option<Vec<sdk::Filter>>,
) -> Result<Vec<Instance>> {
    let items = client.describe_db_instances().set_filters(filters).into_paginator().items().send();
    Ok(all("DescribeDBInstances", items).await?.into_iter().map(instance_from).collect())
}

/// Clusters that match the filters; the RDS API answers with DocumentDB's and Neptune's, too.
pub(in crate::aws) async fn clusters(
    client: &aws_sdk_rds::Client,
    filters: Option<Vec<sdk::Filter>>,
) -> Result<Vec<Cluster>> {
    let items = client.describe_db_clusters().set_filters(filters).into_paginator().items().send();
    Ok(all("DescribeDBClusters", items).await?.into_iter().map(cluster_from).collect())
}

pub(in crate::aws) fn instance_from(from: sdk::DbInstance) -> Instance {
    let address = from.endpoint.clone().and_then(|endpoint| endpoint.address);
    let port = from.endpoint.and_then(|endpoint| endpoint.port);
    let groups = from.db_parameter_groups.unwrap_or_default();
    let option_groups = from.option_group_memberships.unwrap_or_default().into_iter();
    Instance {
        id: from.db_instance_identifier.unwrap_or_default(),
        described_at: None,
        resource_id: from.dbi_resource_id,
        master_username: from.master_username.filter(|name| !name.is_empty()),
        option_groups: option_groups.filter_map(|group| group.option_group_name).collect(),
        storage: Storage {
            kind: from.storage_type,
            iops: from.iops,
            throughput: from.storage_throughput,
            allocated_gib: from.allocated_storage,
        },
        arn: from.db_instance_arn.unwrap_or_default(),
        status: from.db_instance_status.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        class: from.db_instance_class.unwrap_or_default(),
        cluster: from.db_cluster_identifier.filter(|id| !id.is_empty()),
        endpoint: endpoint(address, port),
        parameter_group: groups.into_iter().next().and_then(|group| group.db_parameter_group_name),
        lifecycle: from.engine_lifecycle_support.filter(|support| !support.is_empty()),
        multi_az: from.multi_az,
        encrypted: from.storage_encrypted,
        kms_key: from.kms_key_id,
        iam_authentication: from.iam_database_authentication_enabled,
        log_exports: from.enabled_cloudwatch_logs_exports.unwrap_or_default(),
        deletion_protection: from.deletion_protection,
        publicly_accessible: from.publicly_accessible,
        backup_retention_days: from.backup_retention_period,
        latest_restorable: time(from.latest_restorable_time),
        password_pending: from.pending_modified_values.is_some_and(|pending| pending.master_user_password.is_some()),
        storage_operation: from.storage_operation_status,
        tags: tags_from(from.tag_list),
    }
}

pub(in crate::aws) fn cluster_from(from: sdk::DbCluster) -> Cluster {
    let members = from.db_cluster_members.unwrap_or_default().into_iter().filter_map(|member| {
        Some(Member { id: member.db_instance_identifier?, is_writer: member.is_cluster_writer.unwrap_or(false) })
    });
    Cluster {
        id: from.db_cluster_identifier.unwrap_or_default(),
        described_at: None,
        resource_id: from.db_cluster_resource_id,
        master_username: from.master_username.filter(|name| !name.is_empty()),
        storage: Storage {
            kind: from.storage_type,
            iops: from.iops,
            throughput: from.storage_throughput,
            allocated_gib: from.allocated_storage,
        },
        instance_class: from.db_cluster_instance_class.filter(|class| !class.is_empty()),
        engine_mode: from.engine_mode,
        publicly_accessible: from.publicly_accessible,
        backup_retention_days: from.backup_retention_period,
        earliest_restorable: time(from.earliest_restorable_time),
        arn: from.db_cluster_arn.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version.unwrap_or_default(),
        endpoint: endpoint(from.endpoint, from.port),
        members: members.collect(),
        parameter_group: from.db_cluster_parameter_group,
        lifecycle: from.engine_lifecycle_support.filter(|support| !support.is_empty()),
        multi_az: from.multi_az,
        encrypted: from.storage_encrypted,
        kms_key: from.kms_key_id,
        iam_authentication: from.iam_database_authentication_enabled,
        log_exports: from.enabled_cloudwatch_logs_exports.unwrap_or_default(),
        deletion_protection: from.deletion_protection,
        latest_restorable: time(from.latest_restorable_time),
        capacity: from
            .serverless_v2_scaling_configuration
            .and_then(|scaling| Some(ServerlessV2Scaling { min: scaling.min_capacity?, max: scaling.max_capacity? })),
        password_pending: from.pending_modified_values.is_some_and(|pending| pending.master_user_password.is_some()),
        tags: tags_from(from.tag_list),
    }
}

fn tags_from(tags: Option<Vec<sdk::Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::SnapshotName;

    #[test]
    fn automated_and_shared_snapshots_are_asked_for_as_aws_finds_them() {
        let asked = |id| {
            let asked = SnapshotName::of(id);
            (asked.snapshot_type, asked.include_shared)
        };
        let automated = Some("automated".to_owned());
        assert_eq!(asked("rds:shop-2026-11-20"), (automated.clone(), None));
        assert_eq!(asked("arn:aws:rds:eu-west-1:123456789012:snapshot:rds:shop-2026-11-20"), (automated.clone(), None));
        assert_eq!(asked("arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:rds:shop-1"), (automated, None));
        assert_eq!(asked("awsbackup:job-1"), (Some("awsbackup".to_owned()), None));
        assert_eq!(asked("arn:aws:rds:eu-west-1:999999999999:snapshot:theirs"), (None, Some(true)));
        assert_eq!(asked("by-hand"), (None, None));
    }
}
