//! What has to be known of something just before it is removed: whose it is, and whether people use it.

use aws_sdk_rds::types as sdk;

use super::super::change::Change;
use super::super::connect::Aws;
use super::super::error::{Error, ErrorKind, Result};
use super::super::model::{Resource, ResourceKind};
use super::{RDS, Rds};
use crate::estate::{HostPort, Tags};

/// What AWS says of an instance or a cluster just before it is touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// ARN.
    pub arn: String,
    /// Status.
    pub status: String,
    /// Tags.
    pub tags: Tags,
    /// Whether deletion protection is on.
    pub deletion_protection: bool,
    /// Days that automated backups are kept.
    pub backup_retention_days: Option<i32>,
    /// Whether a standby exists.
    pub multi_az: bool,
    /// Whether it can be reached from the internet.
    pub publicly_accessible: bool,
    /// What replicates from it.
    pub replicas: Vec<String>,
    /// The cluster that it is a member of.
    pub cluster: Option<String>,
    /// A cluster's members, each with its tags.
    pub members: Vec<(String, Tags)>,
    /// Where clients connect.
    pub endpoint: Option<HostPort>,
}

impl Aws {
    /// Looks at something; `None` where it is not there. The RDS API answers for DocumentDB as well.
    ///
    /// # Errors
    /// Where a call failed.
    pub async fn inspect(&self, resource: &Resource) -> Result<Option<Sighting>> {
        match resource.kind {
            ResourceKind::DbInstance => Box::pin(self.inspect_instance(&resource.id)).await,
            ResourceKind::DbCluster => Box::pin(self.inspect_cluster(&resource.id)).await,
        }
    }

    async fn inspect_instance(&self, id: &str) -> Result<Option<Sighting>> {
        let answer = self.client::<Rds>().describe_db_instances().db_instance_identifier(id).send().await;
        let found = match answer.map_err(|error| RDS.error("DescribeDBInstances", error)) {
            Ok(answer) => answer.db_instances.unwrap_or_default().into_iter().next(),
            Err(Error { kind: ErrorKind::NotFound, .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(mut sighting) = found.map(of_instance) else { return Ok(None) };
        self.complete_tags(&mut sighting).await?;
        Ok(Some(sighting))
    }

    async fn inspect_cluster(&self, id: &str) -> Result<Option<Sighting>> {
        let answer = self.client::<Rds>().describe_db_clusters().db_cluster_identifier(id).send().await;
        let found = match answer.map_err(|error| RDS.error("DescribeDBClusters", error)) {
            Ok(answer) => answer.db_clusters.unwrap_or_default().into_iter().next(),
            Err(Error { kind: ErrorKind::NotFound, .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(mut sighting) = found.map(of_cluster) else { return Ok(None) };
        self.complete_tags(&mut sighting).await?;
        for (member, tags) in &mut sighting.members {
            *tags = self.inspect_instance(member).await?.map(|found| found.tags).unwrap_or_default();
        }
        Ok(Some(sighting))
    }

    /// A describe may leave tags out: DocumentDB's API does.
    async fn complete_tags(&self, sighting: &mut Sighting) -> Result<()> {
        if !sighting.tags.is_empty() || sighting.arn.is_empty() {
            return Ok(());
        }
        let answer = self.client::<Rds>().list_tags_for_resource().resource_name(&sighting.arn).send().await;
        match answer.map_err(|error| RDS.error("ListTagsForResource", error)) {
            Ok(answer) => sighting.tags = tags_from(answer.tag_list),
            // It went away between the two calls.
            Err(Error { kind: ErrorKind::NotFound, .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes tags away, so that drctl no longer takes something for its own.
    ///
    /// # Errors
    /// Where the call failed.
    pub(in crate::aws) async fn untag(&self, arn: &str, keys: &[String]) -> Result<()> {
        let request =
            self.client::<Rds>().remove_tags_from_resource().resource_name(arn).set_tag_keys(Some(keys.to_vec()));
        request.send().await.map(drop).map_err(|error| RDS.error("RemoveTagsFromResource", error))
    }
}

impl Change {
    /// The change that takes tags away.
    #[must_use]
    pub fn untag(arn: &str, keys: &[&str]) -> Self {
        Self::Untag { arn: arn.to_owned(), keys: keys.iter().map(|key| (*key).to_owned()).collect() }
    }
}

fn of_instance(from: sdk::DbInstance) -> Sighting {
    let replicas =
        from.read_replica_db_instance_identifiers.into_iter().chain(from.read_replica_db_cluster_identifiers);
    let endpoint = from.endpoint.and_then(|endpoint| super::super::convert::endpoint(endpoint.address, endpoint.port));
    Sighting {
        arn: from.db_instance_arn.unwrap_or_default(),
        status: from.db_instance_status.unwrap_or_default(),
        tags: tags_from(from.tag_list),
        deletion_protection: from.deletion_protection.unwrap_or(false),
        backup_retention_days: from.backup_retention_period,
        multi_az: from.multi_az.unwrap_or(false),
        publicly_accessible: from.publicly_accessible.unwrap_or(false),
        replicas: replicas.flatten().collect(),
        cluster: from.db_cluster_identifier.filter(|id| !id.is_empty()),
        members: Vec::new(),
        endpoint,
    }
}

fn of_cluster(from: sdk::DbCluster) -> Sighting {
    let members = from.db_cluster_members.unwrap_or_default().into_iter();
    let members = members.filter_map(|member| member.db_instance_identifier).map(|id| (id, Tags::new()));
    Sighting {
        arn: from.db_cluster_arn.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        tags: tags_from(from.tag_list),
        deletion_protection: from.deletion_protection.unwrap_or(false),
        backup_retention_days: from.backup_retention_period,
        multi_az: false,
        publicly_accessible: from.publicly_accessible.unwrap_or(false),
        replicas: from.read_replica_identifiers.unwrap_or_default(),
        cluster: None,
        members: members.collect(),
        endpoint: super::super::convert::endpoint(from.endpoint, from.port),
    }
}

fn tags_from(tags: Option<Vec<sdk::Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}
