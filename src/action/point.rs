//! A restore point that was chosen, as later steps refer to it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::Storage;
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
    /// The moment that its data is of; of a copied cluster snapshot the moment of the copy, which is later.
    pub taken_at: Timestamp,
    /// How old that is, from the moment at which AWS described the source; absent where nobody can say.
    pub age_seconds: Option<f64>,
    /// How old it may be; absent for points in time, whose age is judged against the RPO.
    pub max_age_seconds: Option<f64>,
    /// The age of the newest usable snapshot, where that is judged instead of this one's.
    #[serde(default)]
    pub newest_age_seconds: Option<f64>,
    /// Whether it is too old.
    pub age_outcome: Outcome,
    /// The engine, as AWS names it.
    pub engine: String,
    /// The engine's version.
    pub engine_version: Option<String>,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
    /// The master user of its time.
    #[serde(default)]
    pub master_username: Option<String>,
    /// The option group of its time.
    #[serde(default)]
    pub option_group: Option<String>,
    /// The storage of its time.
    #[serde(default)]
    pub storage: Storage,
    /// The source's lasting identifier, where the source is gone and its automated backups are restored.
    #[serde(default)]
    pub retained_resource_id: Option<String>,
    /// The newest moment that PITR reached when the point was chosen; absent where AWS did not say.
    pub latest_restorable_time: Option<Timestamp>,
    /// How long before AWS's description of the source that moment was; absent where nobody can say.
    pub rpo_seconds: Option<f64>,
    /// Why nobody can say, or why there is nothing to measure.
    #[serde(default)]
    pub rpo_reason: Option<String>,
    /// Whether automated backups are switched off: no RPO can be met.
    #[serde(default)]
    pub backups_are_off: bool,
    /// Whose clock measured ages: `aws`, or `host` where AWS gave no date.
    #[serde(default)]
    pub clock: String,
    /// Promises about backups, judged: how long they are kept.
    #[serde(default)]
    pub promises: Vec<Promise>,
    /// Anything else worth saying.
    pub notes: Vec<String>,
}

/// A promise about backups, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The key that makes it, such as `retention`.
    pub name: String,
    /// Whether it is kept.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
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
    "master_username",
    "option_group",
];
