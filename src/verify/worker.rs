//! One connection to any of the engines, and what can be asked over it.

use jiff::Timestamp;

use super::answer::{First, Scan};
use super::documentdb::{self, Fold};
use super::model::{ProbeError, SettledFacts};
use super::together::Collection;
use super::{mysql, postgres};
use crate::estate::Probe;

/// One connection to one of the engines.
pub(super) enum Worker {
    Postgres(postgres::Worker),
    Mysql(mysql::Worker),
    Mongo(documentdb::Worker),
}

impl Worker {
    pub(super) async fn scan(&mut self, relation: &str, part: usize, full: bool) -> Result<Scan, ProbeError> {
        match self {
            Self::Postgres(worker) => worker.scan(relation, part, full).await,
            Self::Mysql(worker) => worker.scan(relation, part, full).await,
            Self::Mongo(_) => Err(elsewhere()),
        }
    }

    pub(super) async fn structure(&mut self, relation: &str) -> Result<(), ProbeError> {
        match self {
            Self::Postgres(worker) => worker.structure(relation).await,
            Self::Mysql(worker) => worker.structure(relation).await,
            Self::Mongo(_) => Err(elsewhere()),
        }
    }

    pub(super) async fn newest(&mut self, relation: &str, column: &str) -> Result<Option<Timestamp>, ProbeError> {
        match self {
            Self::Postgres(worker) => worker.newest(relation, column).await,
            Self::Mysql(worker) => worker.newest(relation, column).await,
            Self::Mongo(_) => Err(elsewhere()),
        }
    }

    pub(super) async fn settled(
        &mut self,
        relation: &str,
        column: &str,
        before: Timestamp,
    ) -> Result<SettledFacts, ProbeError> {
        let scan = match self {
            Self::Postgres(worker) => worker.settled(relation, column, before).await,
            Self::Mysql(worker) => worker.settled(relation, column, before).await,
            Self::Mongo(_) => Err(elsewhere()),
        }?;
        let fingerprint = scan.digest.map(|digest| digest.to_string()).unwrap_or_default();
        Ok(SettledFacts { before, rows: scan.rows, fingerprint })
    }

    pub(super) async fn read(&self, collection: &Collection) -> Result<Fold, ProbeError> {
        match self {
            Self::Mongo(worker) => worker.read(&collection.name, &collection.wanted).await,
            Self::Postgres(_) | Self::Mysql(_) => Err(elsewhere()),
        }
    }

    pub(super) async fn examine(&self, collection: &Collection, rows: u64) -> Result<(), ProbeError> {
        match self {
            Self::Mongo(worker) => worker.examine(&collection.name, rows).await,
            Self::Postgres(_) | Self::Mysql(_) => Err(elsewhere()),
        }
    }

    pub(super) async fn first_value(&mut self, probe: &Probe) -> Result<First, ProbeError> {
        match (self, probe) {
            (Self::Postgres(worker), Probe::Sql { sql, .. }) => worker.first_value(sql).await,
            (Self::Mysql(worker), Probe::Sql { sql, .. }) => worker.first_value(sql).await,
            (Self::Mongo(worker), Probe::Aggregate { collection, pipeline, .. }) => {
                worker.first_value(collection, pipeline).await
            }
            _ => Err(ProbeError::Unable("this kind of check does not fit this kind of database".to_owned())),
        }
    }
}

/// Tables are asked one question at a time, collections everything at once.
fn elsewhere() -> ProbeError {
    ProbeError::Unable("this kind of question does not fit this kind of database".to_owned())
}
