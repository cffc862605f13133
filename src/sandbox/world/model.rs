//! Resources and their lifecycles, which are computed when somebody looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::{FOREIGN_ACCOUNT, Region, after};
use crate::estate::{Partition, Tags};
use crate::sandbox::engine::{Content, Gate, Running};

/// What a resource's status is, was, and will be.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Timeline {
    /// From when on, which status; in order.
    steps: Vec<(Timestamp, String)>,
    gone_at: Option<Timestamp>,
}

impl Timeline {
    /// `available` all along.
    pub(in crate::sandbox) fn available() -> Self {
        Self { steps: vec![(Timestamp::MIN, "available".to_owned())], gone_at: None }
    }

    /// `status` for some seconds, then `available`.
    pub(in crate::sandbox) fn after(now: Timestamp, status: &str, seconds: i64) -> Self {
        Self::ending_as(now, status, seconds, "available")
    }

    /// `status` for some seconds, then `last`.
    pub(in crate::sandbox) fn ending_as(now: Timestamp, status: &str, seconds: i64, last: &str) -> Self {
        let steps = vec![(now, status.to_owned()), (after(now, seconds), last.to_owned())];
        Self { steps, gone_at: None }
    }

    /// From `start` on one status after the other, each for some seconds, then `last`.
    pub(in crate::sandbox) fn through(start: Timestamp, steps: &[(&str, i64)], last: &str) -> Self {
        let mut at = start;
        let mut all = Vec::new();
        for (status, seconds) in steps {
            all.push((at, (*status).to_owned()));
            at = after(at, *seconds);
        }
        all.push((at, last.to_owned()));
        Self { steps: all, gone_at: None }
    }

    /// From `at` on `status` for some seconds, then what it is now.
    pub(in crate::sandbox) fn interrupt(&mut self, at: Timestamp, status: &str, seconds: i64) {
        let current = self.status(at).to_owned();
        self.replace_from(at, status);
        self.steps.push((after(at, seconds), current));
    }

    /// From now on `status`, for good.
    pub(in crate::sandbox) fn replace_from(&mut self, now: Timestamp, status: &str) {
        // What has been stays: a describe that lags tells it.
        self.steps.retain(|(from, _)| *from < now);
        self.steps.push((now, status.to_owned()));
    }

    /// `deleting` for some seconds, then gone.
    pub(in crate::sandbox) fn delete(&mut self, now: Timestamp, seconds: i64) {
        self.replace_from(now, "deleting");
        self.gone_at = Some(after(now, seconds));
    }

    /// When the last status begins.
    pub(in crate::sandbox) fn ends_at(&self) -> Timestamp {
        self.steps.last().map_or(Timestamp::MIN, |(from, _)| *from)
    }

    /// What is being deleted stays so until `at`.
    pub(in crate::sandbox) fn is_stuck_until(&mut self, at: Timestamp) {
        self.gone_at = self.gone_at.map(|_| at);
    }

    /// The status at a moment.
    pub(in crate::sandbox) fn status(&self, now: Timestamp) -> &str {
        let passed = self.steps.iter().rev().find(|(from, _)| *from <= now);
        passed.or_else(|| self.steps.first()).map_or("unknown", |(_, status)| status.as_str())
    }

    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_at.is_some_and(|at| at <= now)
    }
}

/// Settings that instances and clusters share.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct Settings {
    pub(in crate::sandbox) engine: String,
    pub(in crate::sandbox) engine_version: String,
    pub(in crate::sandbox) username: String,
    pub(in crate::sandbox) port: u16,
    pub(in crate::sandbox) subnet_group: String,
    pub(in crate::sandbox) security_groups: Vec<String>,
    pub(in crate::sandbox) parameter_group: String,
    pub(in crate::sandbox) multi_az: bool,
    pub(in crate::sandbox) encrypted: bool,
    pub(in crate::sandbox) kms_key: Option<String>,
    pub(in crate::sandbox) iam_authentication: bool,
    pub(in crate::sandbox) log_exports: Vec<String>,
    pub(in crate::sandbox) deletion_protection: bool,
    pub(in crate::sandbox) backup_retention_days: i64,
    pub(in crate::sandbox) tags: Tags,
    /// Empty for clusters.
    pub(in crate::sandbox) option_group: String,
    pub(in crate::sandbox) storage: Storage,
    /// Of an instance the one that it is in.
    pub(in crate::sandbox) zones: Vec<String>,
    /// The database that was made with it.
    pub(in crate::sandbox) database: Option<String>,
    pub(in crate::sandbox) copy_tags: bool,
    /// How far a cluster scales, as the API writes it.
    pub(in crate::sandbox) scaling: Option<Scaling>,
}

/// What an instance is stored on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Storage {
    /// `gp2`, `gp3`, `io1`, `io2`, `standard` or `aurora`.
    pub(in crate::sandbox) kind: String,
    pub(in crate::sandbox) gib: i64,
    pub(in crate::sandbox) iops: Option<i64>,
    pub(in crate::sandbox) throughput: Option<i64>,
}

/// Aurora Serverless v2's bounds, in ACUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sandbox) struct Scaling {
    pub(in crate::sandbox) min: f64,
    pub(in crate::sandbox) max: f64,
}

/// An identifier that no other resource has had, as AWS makes them: `prefix-` and 26 letters and digits.
pub(in crate::sandbox) fn resource_id(prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bits: u128 = rand::random();
    let mut name = String::new();
    for _ in 0..26 {
        name.push(char::from(LETTERS[(bits & 31) as usize]));
        bits = bits.rotate_right(5);
    }
    format!("{prefix}-{name}")
}

/// The database behind an endpoint.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct Backend {
    state: Arc<Mutex<State>>,
    /// Since when AWS shows a pending change as a status of its own.
    changes: Arc<Mutex<Option<Timestamp>>>,
    /// From when on clients are let in.
    pub(in crate::sandbox) gate: Gate,
}

#[derive(Debug, Default)]
enum State {
    /// There is none.
    #[default]
    None,
    /// It is being restored.
    Starting,
    /// It takes connections.
    Running(Arc<tokio::sync::Mutex<Option<Running>>>),
}

impl Backend {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_starting(&self) {
        *self.state() = State::Starting;
    }

    pub(super) fn set(&self, running: Option<Running>) {
        *self.state() = match running {
            Some(running) => State::Running(Arc::new(tokio::sync::Mutex::new(Some(running)))),
            None => State::None,
        };
    }

    /// Whether a new master password has been asked for and is not yet called done.
    pub(in crate::sandbox) fn has_pending_password(&self) -> bool {
        self.changes().is_some()
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change is pending until what this yields is dropped, and is shown as a status from `shown_at` on.
    pub(super) fn begin_change(&self, shown_at: Timestamp) -> PendingChange {
        *self.changes() = Some(shown_at);
        PendingChange(self.clone())
    }

    /// What AWS would say of a resource that is otherwise `status`: nothing is available before its database is.
    fn show<'s>(&self, status: &'s str, now: Timestamp) -> &'s str {
        let is_changing = || self.changes().is_some_and(|shown_at| shown_at <= now);
        match &*self.state() {
            State::Starting if status == "available" => "creating",
            _ if status == "available" && is_changing() => "resetting-master-credentials",
            _ => status,
        }
    }

    pub(in crate::sandbox) fn is_idle(&self) -> bool {
        matches!(*self.state(), State::None)
    }

    pub(super) fn running(&self) -> Option<Arc<tokio::sync::Mutex<Option<Running>>>> {
        match &*self.state() {
            State::Running(running) => Some(Arc::clone(running)),
            _ => None,
        }
    }
}

/// A change of a database that AWS has not called done.
#[derive(Debug)]
pub(super) struct PendingChange(Backend);

impl Drop for PendingChange {
    fn drop(&mut self) {
        *self.0.changes() = None;
    }
}

/// An instance, alone or in a cluster.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Instance {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) class: String,
    pub(in crate::sandbox) cluster: Option<String>,
    pub(in crate::sandbox) replica_of: Option<String>,
    pub(in crate::sandbox) public: bool,
    /// Changes that wait for the maintenance window, by the names of `PendingModifiedValues`.
    pub(in crate::sandbox) pending: BTreeMap<&'static str, String>,
    /// Before that only its name is taken.
    pub(in crate::sandbox) visible_at: Timestamp,
    /// Its `DbiResourceId`.
    pub(in crate::sandbox) resource_id: String,
    pub(in crate::sandbox) created_at: Timestamp,
    /// Since when its logs are no longer shipped.
    pub(in crate::sandbox) stalled_at: Option<Timestamp>,
    pub(in crate::sandbox) timeline: Timeline,
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) content: Content,
    pub(in crate::sandbox) backend: Backend,
}

impl Instance {
    /// Whether it has not been available yet.
    pub(super) fn is_being_made(&self, now: Timestamp) -> bool {
        ["creating", "backing-up"].contains(&self.status(now)) && now < self.timeline.ends_at()
    }

    /// What AWS would say.
    pub(in crate::sandbox) fn status(&self, now: Timestamp) -> &str {
        self.backend.show(self.timeline.status(now), now)
    }
}

/// A cluster.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Cluster {
    pub(in crate::sandbox) id: String,
    /// The writer first.
    pub(in crate::sandbox) members: Vec<String>,
    /// Before that only its name is taken.
    pub(in crate::sandbox) visible_at: Timestamp,
    /// Its `DbClusterResourceId`.
    pub(in crate::sandbox) resource_id: String,
    pub(in crate::sandbox) created_at: Timestamp,
    /// Since when its backup no longer follows.
    pub(in crate::sandbox) stalled_at: Option<Timestamp>,
    pub(in crate::sandbox) timeline: Timeline,
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) content: Content,
    pub(in crate::sandbox) backend: Backend,
}

impl Cluster {
    /// Whether it has not been available yet.
    pub(super) fn is_being_made(&self, now: Timestamp) -> bool {
        matches!(self.timeline.status(now), "creating" | "migrating")
    }

    /// What AWS would say. A cluster without instances is available, whatever its members wait for.
    pub(in crate::sandbox) fn status(&self, now: Timestamp) -> &str {
        let status = self.timeline.status(now);
        match self.backend.show(status, now) {
            "creating" => status,
            shown => shown,
        }
    }
}

/// A snapshot of either.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Snapshot {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) source: String,
    /// The source's resource id.
    pub(in crate::sandbox) resource_id: String,
    /// `automated`, `manual`, `shared`, `public` or `awsbackup`.
    pub(in crate::sandbox) origin: String,
    /// When this snapshot was made; a copy is made later than its original.
    pub(in crate::sandbox) created_at: Timestamp,
    /// When its original was made.
    pub(in crate::sandbox) original_at: Timestamp,
    pub(in crate::sandbox) source_created_at: Timestamp,
    /// The source's tags at that time.
    pub(in crate::sandbox) source_tags: Tags,
    /// What it was copied from.
    pub(in crate::sandbox) copied_from: Option<String>,
    pub(in crate::sandbox) timeline: Timeline,
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) class: String,
    pub(in crate::sandbox) content: Content,
}

impl Snapshot {
    /// Whether it is far enough to have times.
    pub(in crate::sandbox) fn has_times(&self, now: Timestamp) -> bool {
        self.timeline.status(now) != "creating"
    }

    /// Whether it belongs to another account.
    pub(in crate::sandbox) fn is_foreign(&self) -> bool {
        matches!(self.origin.as_str(), "shared" | "public")
    }

    /// Shared snapshots are others' manual ones; which type an answer gives them is an assumption.
    pub(in crate::sandbox) fn shown_type(&self) -> &str {
        &self.origin
    }

    /// Its ARN, with the account that it belongs to.
    pub(in crate::sandbox) fn arn(&self, region: &Region) -> String {
        let kind =
            if super::catalog::is_cluster_engine(&self.settings.engine) { "cluster-snapshot" } else { "snapshot" };
        let account = if self.is_foreign() { FOREIGN_ACCOUNT } else { &region.account };
        format!("arn:{}:rds:{}:{account}:{kind}:{}", Partition::of(&region.name).id, region.name, self.id)
    }

    /// What a describe calls it: another account's by its ARN.
    pub(in crate::sandbox) fn name(&self, region: &Region) -> String {
        if self.is_foreign() { self.arn(region) } else { self.id.clone() }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Event {
    pub(in crate::sandbox) at: Timestamp,
    pub(in crate::sandbox) source_type: &'static str,
    pub(in crate::sandbox) source: String,
    pub(in crate::sandbox) message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifecycle_is_computed_when_somebody_looks() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut timeline = Timeline::after(at(100), "creating", 50);
        assert_eq!(timeline.status(at(100)), "creating");
        assert_eq!(timeline.status(at(150)), "available");
        timeline.delete(at(200), 10);
        assert_eq!(timeline.status(at(205)), "deleting");
        assert!(!timeline.is_gone(at(209)) && timeline.is_gone(at(210)));
    }
}
