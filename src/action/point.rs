//! A restore point that was chosen, as later steps refer to it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::verify::Outcome;

/// How a point is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointType {
    /// From a snapshot.
    Snapshot,
    /// From automated backups and logs.
    PointInTime,
}

/// A restore point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// The target that it is of.
    pub target: String,
    /// How it is restored.
    #[serde(rename = "type")]
    pub kind: PointType,
    /// What identifies it: the snapshot's id, or `pitr:TIME`.
    pub id: String,
    /// The snapshot, as a restore takes it.
    pub snapshot_id: Option<String>,
    /// The moment that its data is of.
    pub taken_at: Timestamp,
    /// How old that is, from the start of the run.
    pub age_seconds: f64,
    /// How old it may be; absent for points in time, whose age is judged against the RPO.
    pub max_age_seconds: Option<f64>,
    /// Whether it is too old.
    pub age_outcome: Outcome,
    /// The engine, as AWS names it.
    pub engine: String,
    /// The engine's version.
    pub engine_version: Option<String>,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// The newest moment that PITR reached when the point was chosen; absent where AWS did not say.
    pub latest_restorable_time: Option<Timestamp>,
    /// The age of the newest restorable moment, from the start of the run.
    pub rpo_seconds: Option<f64>,
    /// Anything else worth saying.
    pub notes: Vec<String>,
}

/// The fields that a runbook can refer to.
pub(super) const FIELDS: &[&str] = &[
    "target",
    "type",
    "id",
    "snapshot_id",
    "taken_at",
    "age_seconds",
    "engine",
    "engine_version",
    "kms_key",
    "latest_restorable_time",
];
