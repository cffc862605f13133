//! Databases of every kind behind one set of functions: the kind decides which service answers.

use aws_sdk_docdb::Client as DocDb;
use aws_sdk_rds::Client as Rds;
use secrecy::ExposeSecret;

use super::change::Change;
use super::connect::Aws;
use super::error::Result;
use super::model::{Cluster, Instance, Resource, ResourceKind, Snapshot};
use super::rds::RDS;
use super::watch::Watcher;
use super::{docdb, rds, sendings};
use crate::estate::{DatabaseKind, Tags};

impl Aws {
    /// The instance of this name.
    ///
    /// # Errors
    /// Where the call failed; absence is `None`.
    pub async fn instance(&self, id: &str) -> Result<Option<Instance>> {
        rds::instance(self, id).await
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// Where the call failed; absence is `None`.
    pub async fn cluster(&self, kind: DatabaseKind, id: &str) -> Result<Option<Cluster>> {
        match kind {
            DatabaseKind::Documentdb => docdb::cluster(self, id).await,
            _ => rds::cluster(self, id).await,
        }
    }

    /// Every instance of the Region.
    ///
    /// # Errors
    /// Where a call failed.
    pub async fn all_instances(&self) -> Result<Vec<Instance>> {
        rds::instances(&self.client(), None).await
    }

    /// Every cluster of the Region, DocumentDB's included.
    ///
    /// # Errors
    /// Where a call failed.
    pub async fn all_clusters(&self) -> Result<Vec<Cluster>> {
        rds::clusters(&self.client(), None).await
    }

    /// Every snapshot of a database.
    ///
    /// # Errors
    /// Where a call failed.
    pub async fn snapshots(&self, kind: DatabaseKind, source: &str) -> Result<Vec<Snapshot>> {
        match kind {
            DatabaseKind::RdsMysql | DatabaseKind::RdsPostgresql => rds::instance_snapshots(self, source).await,
            DatabaseKind::Documentdb => docdb::snapshots(self, source).await,
            _ => rds::cluster_snapshots(self, source).await,
        }
    }

    /// One snapshot by id or ARN.
    ///
    /// # Errors
    /// Where the call failed; absence is `None`.
    pub async fn snapshot(&self, kind: DatabaseKind, id: &str) -> Result<Option<Snapshot>> {
        match kind {
            DatabaseKind::RdsMysql | DatabaseKind::RdsPostgresql => rds::instance_snapshot(self, id).await,
            DatabaseKind::Documentdb => docdb::snapshot(self, id).await,
            _ => rds::cluster_snapshot(self, id).await,
        }
    }

    /// The tags and status of something, read back just before it is touched. `None` where it is gone.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn describe(&self, kind: DatabaseKind, resource: &Resource) -> Result<Option<(Tags, String)>> {
        Ok(match resource.kind {
            ResourceKind::DbInstance => self.instance(&resource.id).await?.map(|found| (found.tags, found.status)),
            ResourceKind::DbCluster => self.cluster(kind, &resource.id).await?.map(|found| (found.tags, found.status)),
        })
    }

    /// Watches a resource's status, together with everybody else who watches one.
    #[must_use]
    pub fn watch(&self, resource: &Resource) -> Watcher {
        self.poller.subscribe(resource)
    }

    /// Makes a change.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn apply(&self, change: &Change) -> Result<()> {
        let Some(fence) = &self.fence else { return Box::pin(self.apply_once(change)).await };
        loop {
            fence.wait().await?;
            match Box::pin(self.apply_once(change)).await {
                Err(_) if fence.is_short() => {}
                answer => return answer,
            }
        }
    }

    /// Makes a change; the other half says whether it may have been made all the same where the answer is an error.
    pub async fn apply_watched(&self, change: &Change) -> (Result<()>, bool) {
        sendings::watched(self.apply(change)).await
    }

    pub(super) async fn apply_once(&self, change: &Change) -> Result<()> {
        match change {
            Change::Restore { kind: DatabaseKind::Documentdb, restore: wanted } => docdb::restore(self, wanted).await,
            Change::Restore { kind, restore: wanted } if kind.is_cluster() => rds::restore_cluster(self, wanted).await,
            Change::Restore { restore: wanted, .. } => rds::restore_instance(self, wanted).await,
            Change::AddMember { kind: DatabaseKind::Documentdb, id, cluster, class, engine, tags, .. } => {
                let request = self
                    .client::<DocDb>()
                    .create_db_instance()
                    .db_instance_identifier(id)
                    .db_cluster_identifier(cluster)
                    .db_instance_class(class)
                    .engine(engine)
                    .auto_minor_version_upgrade(false)
                    .set_tags(Some(docdb::tags_of(tags)));
                request.send().await.map(drop).map_err(|error| RDS.error("CreateDBInstance", error))
            }
            Change::AddMember { id, cluster, class, engine, parameter_group, tags, .. } => {
                let request = self
                    .client::<Rds>()
                    .create_db_instance()
                    .db_instance_identifier(id)
                    .db_cluster_identifier(cluster)
                    .db_instance_class(class)
                    .engine(engine)
                    .set_db_parameter_group_name(parameter_group.clone())
                    .publicly_accessible(false)
                    .auto_minor_version_upgrade(false)
                    .set_tags(Some(rds::tags_of(tags)));
                request.send().await.map(drop).map_err(|error| RDS.error("CreateDBInstance", error))
            }
            Change::SetPassword { kind, id, password } => self.set_password(*kind, id, password.expose_secret()).await,
            Change::Untag { arn, keys } => self.untag(arn, keys).await,
            Change::Delete { kind, resource } => self.delete(*kind, resource).await,
        }
    }

    async fn set_password(&self, kind: DatabaseKind, id: &str, password: &str) -> Result<()> {
        match kind {
            DatabaseKind::Documentdb => {
                let request = self.client::<DocDb>().modify_db_cluster().db_cluster_identifier(id);
                let request = request.master_user_password(password).apply_immediately(true);
                request.send().await.map(drop).map_err(|error| RDS.error("ModifyDBCluster", error))
            }
            kind if kind.is_cluster() => {
                let request = self.client::<Rds>().modify_db_cluster().db_cluster_identifier(id);
                let request = request.master_user_password(password).apply_immediately(true);
                request.send().await.map(drop).map_err(|error| RDS.error("ModifyDBCluster", error))
            }
            _ => {
                let request = self.client::<Rds>().modify_db_instance().db_instance_identifier(id);
                let request = request.master_user_password(password).apply_immediately(true);
                request.send().await.map(drop).map_err(|error| RDS.error("ModifyDBInstance", error))
            }
        }
    }

    async fn delete(&self, kind: DatabaseKind, resource: &Resource) -> Result<()> {
        let id = &resource.id;
        match (resource.kind, kind) {
            (ResourceKind::DbInstance, DatabaseKind::Documentdb) => {
                let request = self.client::<DocDb>().delete_db_instance().db_instance_identifier(id);
                request.send().await.map(drop).map_err(|error| RDS.error("DeleteDBInstance", error))
            }
            (ResourceKind::DbInstance, kind) => {
                // A member of a cluster takes neither argument.
                let alone = (!kind.is_cluster()).then_some(true);
                let request = self.client::<Rds>().delete_db_instance().db_instance_identifier(id);
                let request = request.set_skip_final_snapshot(alone).set_delete_automated_backups(alone);
                request.send().await.map(drop).map_err(|error| RDS.error("DeleteDBInstance", error))
            }
            (ResourceKind::DbCluster, DatabaseKind::Documentdb) => {
                let request =
                    self.client::<DocDb>().delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(true);
                request.send().await.map(drop).map_err(|error| RDS.error("DeleteDBCluster", error))
            }
            (ResourceKind::DbCluster, _) => {
                let request =
                    self.client::<Rds>().delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(true);
                let request = request.delete_automated_backups(true);
                request.send().await.map(drop).map_err(|error| RDS.error("DeleteDBCluster", error))
            }
        }
    }
}
