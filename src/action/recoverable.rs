//! How far back and how close to now a database can be recovered: the restore window, the RPO, and how long backups are
//! kept.

use jiff::{SignedDuration, Timestamp};

use super::point::{Point, PointType};
use super::source::DatabaseDescription;
use crate::aws::AutomatedBackup;
use crate::context::AppContext;
use crate::estate::Database;
use crate::runbook::Failure;
use crate::store::RunState;
use crate::verify::Outcome;

/// AWS's `Date` has whole seconds: a moment may seem to lie so much ahead of it.
const ROUNDING_SECONDS: f64 = 1.0;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The moment from which ages are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    pub(super) at: Timestamp,
    is_of_aws: bool,
}

impl Since {
    /// AWS's own clock at its description of the source, else this host's.
    pub(super) fn of(source: Option<&DatabaseDescription>, host: Timestamp) -> Self {
        match source.and_then(|source| source.described_at) {
            Some(at) => Self { at, is_of_aws: true },
            None => Self { at: host, is_of_aws: false },
        }
    }

    /// `aws` or `host`.
    pub(super) fn clock(self) -> &'static str {
        if self.is_of_aws { "aws" } else { "host" }
    }

    /// How old a moment is; `None` where it is still to come, so that one of the clocks is wrong.
    pub(super) fn age(&self, of: Timestamp) -> Option<f64> {
        let age = self.at.duration_since(of).as_secs_f64();
        (age >= -ROUNDING_SECONDS).then(|| age.max(0.0))
    }
}

/// What would be lost if the source were lost now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rpo {
    /// Everything younger than the newest restorable moment.
    Measured { latest: Timestamp, seconds: f64 },
    /// Everything since the last snapshot: there is no PITR.
    BackupsAreOff,
    /// Nobody can say, and why.
    Unknown(String),
}

pub(super) fn rpo(source: Option<&DatabaseDescription>, since: &Since) -> Rpo {
    let Some(source) = source else {
        return Rpo::Unknown("the source is gone, so that its newest restorable moment no longer moves".to_owned());
    };
    if source.backup_retention_days == Some(0) {
        return Rpo::BackupsAreOff;
    }
    let Some(latest) = source.latest_restorable else {
        return Rpo::Unknown("AWS gives no LatestRestorableTime".to_owned());
    };
    match since.age(latest) {
        Some(seconds) => Rpo::Measured { latest, seconds },
        None => Rpo::Unknown(format!("{latest} is said to be restorable, and it is {} now", since.at)),
    }
}

/// The moments between which a database can be restored, and what it is restored from.
struct Window {
    earliest: Option<Timestamp>,
    latest: Timestamp,
    backup: Option<AutomatedBackup>,
}

/// A point in time: checked against the window before anything is asked of AWS.
pub(super) async fn in_time(
    app: &AppContext,
    database: &Database,
    source: Option<&DatabaseDescription>,
    at: Option<Timestamp>,
    since: &Since,
) -> Result<Point, Failure> {
    let window = match source {
        Some(source) => of_source(app, database, source, since).await?,
        None => of_what_is_left(app, database).await?,
    };
    // AWS takes moments before the latest restorable one, not that one itself.
    let newest = window.latest.checked_sub(SignedDuration::from_secs(1)).unwrap_or(window.latest);
    let taken_at = at.unwrap_or(newest);
    if taken_at > newest {
        let message = format!("`{}` can be restored up to {newest}, not to {taken_at}", database.id);
        return Err(Failure::refused(message, "choose an earlier time, or `--point pitr`"));
    }
    if let Some(earliest) = window.earliest.filter(|earliest| taken_at < *earliest) {
        let message = format!("`{}` can be restored from {earliest} on, not to {taken_at}", database.id);
        return Err(Failure::refused(message, format!("choose a time from {earliest} to {newest}, or a snapshot")));
    }
    let mut notes = Vec::new();
    if window.earliest.is_none() {
        notes.push("AWS did not say from when on it can be restored: the lower end was not checked".to_owned());
    }
    let backup = window.backup.unwrap_or_default();
    let or_backup = |of_source: Option<&DatabaseDescription>,
                     of: fn(&DatabaseDescription) -> Option<String>,
                     left: Option<String>| { of_source.map_or(left, of) };
    let age_seconds = since.age(taken_at);
    if age_seconds.is_none() {
        notes.push(format!("the age of {taken_at} is unknown: it is {} now", since.at));
    }
    Ok(Point {
        target: database.id.clone(),
        kind: PointType::PointInTime,
        id: format!("pitr:{taken_at}"),
        snapshot_id: None,
        taken_at,
        age_seconds,
        max_age_seconds: None,
        newest_age_seconds: None,
        age_outcome: if age_seconds.is_some() { Outcome::Passed } else { Outcome::Unknown },
        engine: source.map_or(backup.engine, |source| source.engine.clone()),
        engine_version: or_backup(source, |source| Some(source.engine_version.clone()), Some(backup.engine_version)),
        kms_key: or_backup(source, |source| source.kms_key.clone(), backup.kms_key),
        master_username: or_backup(source, |source| source.master_username.clone(), backup.master_username),
        option_group: or_backup(source, |source| source.option_group.clone(), backup.option_group),
        storage: source.map_or(backup.storage, |source| source.storage.clone()),
        retained_resource_id: source.is_none().then_some(backup.resource_id),
        latest_restorable_time: Some(window.latest),
        // Where the newest moment was restored, the copy itself is what was measured.
        rpo_seconds: age_seconds.filter(|_| at.is_none() && source.is_some()),
        rpo_reason: None,
        backups_are_off: false,
        clock: String::new(),
        promises: Vec::new(),
        notes,
    })
}

async fn of_source(
    app: &AppContext,
    database: &Database,
    source: &DatabaseDescription,
    since: &Since,
) -> Result<Window, Failure> {
    let Some(latest) = source.latest_restorable else {
        if source.backup_retention_days == Some(0) {
            let message =
                format!("`{}` cannot be recovered in time: its automated backups are switched off", database.id);
            return Err(Failure::failed(message, backups_on(database)));
        }
        let message = format!("AWS does not say up to when `{}` can be restored", database.id);
        let hint = "is its backup retention 0, or is it itself being restored? use `--point latest`";
        return Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), hint));
    };
    let earliest = earliest(app, database, source).await;
    // At the very least nothing is kept longer than AWS was told to keep it.
    let by_retention = source.backup_retention_days.and_then(|days| since.at.checked_sub(DAY * (days + 1)).ok());
    Ok(Window { earliest: earliest.or(by_retention), latest, backup: None })
}

/// The oldest moment that automated backups reach, where AWS says so.
pub(super) async fn earliest(app: &AppContext, database: &Database, source: &DatabaseDescription) -> Option<Timestamp> {
    match source.earliest_restorable {
        Some(earliest) => Some(earliest),
        None => earliest_by_backups(app, database).await,
    }
}

/// Of an instance only its automated backups say how far back they reach.
async fn earliest_by_backups(app: &AppContext, database: &Database) -> Option<Timestamp> {
    match app.aws.automated_backups(database.kind, &database.id).await {
        Ok(backups) => {
            let active = backups.into_iter().filter(|backup| backup.status != "retained");
            active.filter_map(|backup| backup.earliest).min()
        }
        Err(error) => {
            tracing::warn!(target = %database.id, %error, "could not read the restore window; going by the retention");
            None
        }
    }
}

/// The command that turns automated backups on.
pub(super) fn backups_on(database: &Database) -> String {
    format!(
        "turn them on: `aws rds modify-db-instance --db-instance-identifier {} --backup-retention-period 7 \
         --apply-immediately`",
        database.id
    )
}

/// A source that is gone may have left its automated backups.
async fn of_what_is_left(app: &AppContext, database: &Database) -> Result<Window, Failure> {
    let message = format!("there is no database `{}` to recover in time", database.id);
    if database.kind == crate::estate::DatabaseKind::Documentdb {
        let hint = "DocumentDB's automated backups go with their cluster; use a manual snapshot: `--point latest`";
        return Err(Failure::refused(message, hint));
    }
    let backups = app.aws.automated_backups(database.kind, &database.id).await?;
    let newest = backups.into_iter().filter(|backup| !backup.resource_id.is_empty()).max_by_key(|backup| backup.latest);
    let found = newest.and_then(|backup| Some((backup.latest?, backup)));
    let Some((latest, backup)) = found else {
        let message = format!("{message}, and no automated backup of it was kept");
        return Err(Failure::refused(message, "use a snapshot: `--point latest`"));
    };
    Ok(Window { earliest: backup.earliest, latest, backup: Some(backup) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(second: i64) -> Since {
        Since { at: Timestamp::from_second(second).expect("it is in range"), is_of_aws: true }
    }

    #[test]
    fn a_moment_that_is_still_to_come_has_no_age() {
        let at = |second| Timestamp::from_second(second).expect("it is in range");
        assert_eq!(since(1000).age(at(700)), Some(300.0));
        assert_eq!(since(1000).age(at(1001)), Some(0.0));
        assert_eq!(since(1000).age(at(1002)), None);
    }

    #[test]
    fn what_is_gone_has_an_unknown_rpo() {
        assert!(matches!(rpo(None, &since(0)), Rpo::Unknown(_)));
    }
}
