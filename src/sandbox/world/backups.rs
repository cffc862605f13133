//! How far back and how far forward a database can be restored in time, and backups that outlive their source.

use jiff::{SignedDuration, Timestamp};

use super::model::{Cluster, Instance, Settings};
use super::seed_world::BACKUP_SECOND;
use super::{Region, after};
use crate::sandbox::engine::Content;

const DAY_SECONDS: i64 = 86_400;
/// "RDS uploads transaction logs for DB instances to Amazon S3 every five minutes" (RDS user guide, point-in-time
/// recovery). That they take a minute to arrive is an assumption.
const LOG_SECONDS: i64 = 300;
const LOG_DELAY_SECONDS: i64 = 60;
/// Aurora's backup is continuous; its newest restorable time is "typically within the last 5 minutes" (Aurora user
/// guide). DocumentDB says the same. That it trails by two minutes is an assumption.
const CLUSTER_DELAY_SECONDS: i64 = 120;

/// Between which moments a database can be restored in time, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Window {
    pub(in crate::sandbox) earliest: Timestamp,
    pub(in crate::sandbox) latest: Timestamp,
}

/// Automated backups that were kept when their source was deleted.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct RetainedBackup {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) resource_id: String,
    pub(in crate::sandbox) is_cluster: bool,
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) class: String,
    pub(in crate::sandbox) content: Content,
    pub(in crate::sandbox) created_at: Timestamp,
    /// The newest moment at its source's deletion.
    pub(in crate::sandbox) latest: Timestamp,
}

impl RetainedBackup {
    /// "Retained automated backups ... are removed when their retention period expires" (RDS user guide).
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.expires_at() <= now
    }

    fn expires_at(&self) -> Timestamp {
        after(self.latest, self.settings.backup_retention_days * DAY_SECONDS)
    }

    /// What can still be restored.
    pub(in crate::sandbox) fn window(&self, now: Timestamp) -> Window {
        let days = self.settings.backup_retention_days;
        let earliest = earliest(self.created_at, days, now, self.is_cluster).min(self.latest);
        Window { earliest, latest: self.latest }
    }
}

/// Backups reach back by the retention, and not beyond the making of the database. An instance's begin with a daily
/// backup; a cluster's are continuous, and old ones are dropped every five minutes (assumption).
fn earliest(created_at: Timestamp, retention_days: i64, now: Timestamp, is_cluster: bool) -> Timestamp {
    let (step, offset) = if is_cluster { (LOG_SECONDS, 0) } else { (DAY_SECONDS, BACKUP_SECOND) };
    let since = now.as_second() - retention_days * DAY_SECONDS - offset;
    let first = since.div_euclid(step) * step + if since.rem_euclid(step) == 0 { 0 } else { step };
    Timestamp::from_second(first + offset).unwrap_or(now).max(created_at)
}

/// The window, where it is not empty.
fn window(earliest: Timestamp, latest: Timestamp) -> Option<Window> {
    (latest >= earliest).then_some(Window { earliest, latest })
}

impl Instance {
    /// Between which moments it can be restored in time: not at all without backups, as a member (the cluster is), as
    /// a replica, or before its first log was shipped.
    pub(in crate::sandbox) fn window(&self, now: Timestamp) -> Option<Window> {
        let days = self.settings.backup_retention_days;
        if days == 0 || self.replica_of.is_some() || self.cluster.is_some() || self.is_being_made(now) {
            return None;
        }
        let until = self.stalled_at.unwrap_or(now).min(now);
        let shipped = (until.as_second() - LOG_DELAY_SECONDS).div_euclid(LOG_SECONDS) * LOG_SECONDS;
        window(earliest(self.created_at, days, now, false), Timestamp::from_second(shipped).ok()?)
    }
}

impl Cluster {
    /// Between which moments it can be restored in time; not at all while it is itself being restored.
    pub(in crate::sandbox) fn window(&self, now: Timestamp) -> Option<Window> {
        if self.is_being_made(now) {
            return None;
        }
        let until = self.stalled_at.unwrap_or(now).min(now);
        let latest = until.checked_sub(SignedDuration::from_secs(CLUSTER_DELAY_SECONDS)).ok()?;
        window(earliest(self.created_at, self.settings.backup_retention_days, now, true), latest)
    }
}

impl Region {
    /// Keeps the automated backups of an instance that is deleted.
    pub(in crate::sandbox) fn retain_instance(&mut self, instance: &Instance, now: Timestamp) {
        let Some(window) = instance.window(now) else { return };
        self.retained.push(RetainedBackup {
            id: instance.id.clone(),
            resource_id: instance.resource_id.clone(),
            is_cluster: false,
            settings: instance.settings.clone(),
            class: instance.class.clone(),
            content: instance.content.clone(),
            created_at: instance.created_at,
            latest: window.latest,
        });
    }

    /// Keeps the automated backups of a cluster that is deleted.
    pub(in crate::sandbox) fn retain_cluster(&mut self, cluster: &Cluster, now: Timestamp) {
        let Some(window) = cluster.window(now) else { return };
        self.retained.push(RetainedBackup {
            id: cluster.id.clone(),
            resource_id: cluster.resource_id.clone(),
            is_cluster: true,
            settings: cluster.settings.clone(),
            class: String::new(),
            content: cluster.content.clone(),
            created_at: cluster.created_at,
            latest: window.latest,
        });
    }

    /// Removes the automated snapshots of a database whose automated backups are not kept.
    pub(in crate::sandbox) fn drop_automated(&mut self, resource_id: &str) {
        let kept = |snapshot: &super::Snapshot| snapshot.origin != "automated" || snapshot.resource_id != resource_id;
        self.instance_snapshots.retain(|_, snapshot| kept(snapshot));
        self.cluster_snapshots.retain(|_, snapshot| kept(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reaches_back_by_the_retention_and_not_beyond_the_beginning() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-20T12:00:00Z");
        let old = at("2026-01-01T00:00:00Z");
        assert_eq!(earliest(old, 7, at("2026-11-20T12:01:30Z"), true), at("2026-11-13T12:05:00Z"));
        assert_eq!(earliest(old, 7, now, false), at("2026-11-14T03:05:00Z"), "the first daily backup that is kept");
        assert_eq!(earliest(at("2026-11-19T00:00:00Z"), 7, now, true), at("2026-11-19T00:00:00Z"));
        assert_eq!(window(now, at("2026-11-20T11:59:00Z")), None);
    }
}
