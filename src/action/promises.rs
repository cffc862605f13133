//! Promises about backups: how long they are kept, and that copies of them are in another Region.

use std::time::Duration;

use super::point::Promise;
use super::recoverable::{Since, earliest};
use super::source::DatabaseDescription;
use crate::aws::Snapshot;
use crate::context::AppContext;
use crate::duration;
use crate::estate::Database;
use crate::verify::Outcome;

/// Automated backups are made once a day: what they reach back falls short of their retention by as much.
const A_BACKUP: Duration = Duration::from_hours(25);

/// Judges every promise that is made.
pub(super) async fn judge(
    app: &AppContext,
    database: &Database,
    source: Option<&DatabaseDescription>,
    since: &Since,
) -> Vec<Promise> {
    let mut promises = Vec::new();
    if let (Some(promised), Some(source)) = (database.retention, source) {
        let reach = earliest(app, database, source).await.and_then(|at| since.age(at));
        let mut kept = Kept { days: source.backup_retention_days, reach, snapshots: Vec::new() };
        if !kept.reaches(promised) {
            match app.aws.snapshots(database.kind, &database.id).await {
                Ok(snapshots) => kept.snapshots = ages(&snapshots, since),
                Err(error) => tracing::warn!(target = %database.id, %error, "could not look for older snapshots"),
            }
        }
        promises.push(retention(database, &kept, promised));
    }
    if let Some(region) = &app.estate.backup_region {
        promises.push(in_region(app, database, region, since).await);
    }
    promises
}

/// The ages of the snapshots that can be restored and say how old they are, in seconds.
fn ages(snapshots: &[Snapshot], since: &Since) -> Vec<f64> {
    let usable = snapshots.iter().filter(|snapshot| snapshot.is_usable());
    usable.filter_map(Snapshot::taken_at).filter_map(|at| since.age(at)).collect()
}

/// What is kept of a database.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// For how long AWS is told to keep automated backups.
    days: Option<i32>,
    /// How far back these reach by now, in seconds; absent where AWS does not say.
    reach: Option<f64>,
    /// The ages of all snapshots, in seconds; none where automated backups reach far enough.
    snapshots: Vec<f64>,
}

impl Kept {
    /// Whether automated backups alone reach that far back.
    fn reaches(&self, promised: Duration) -> bool {
        self.reach.is_some_and(|reach| reach >= needed(promised))
    }
}

/// A backup that is a day short of what is promised is the next to be made.
fn needed(promised: Duration) -> f64 {
    promised.saturating_sub(A_BACKUP).as_secs_f64()
}

/// How far back the snapshots lead on from what automated backups reach, and the largest gap on the way, in seconds.
fn chain(kept: &Kept, promised: f64) -> (f64, f64) {
    let mut ages = kept.snapshots.clone();
    ages.sort_by(f64::total_cmp);
    let start = kept.reach.unwrap_or(0.0);
    ages.into_iter().filter(|age| *age > start).fold((start, 0.0), |(last, gap), age| {
        if last >= promised { (last, gap) } else { (age, f64::max(gap, age - last)) }
    })
}

/// A promise is kept where every state since then can be had again: by automated backups, and beyond them by snapshots that
/// are not further apart than snapshots may be old.
fn retention(database: &Database, kept: &Kept, promised: Duration) -> Promise {
    let wanted = duration::show(promised);
    let needed = needed(promised);
    let told = kept.days.map_or_else(|| "an unknown time".to_owned(), |days| format!("{days} days"));
    let is_told =
        kept.days.and_then(|days| u64::try_from(days).ok()).is_some_and(|days| days * 86_400 >= promised.as_secs());
    let reach = kept.reach.map(duration::show_seconds);
    let (back, gap) = chain(kept, needed);
    let allowed = database.test.max_snapshot_age;
    let (outcome, found) = match (&reach, kept.days) {
        (Some(reach), _) if kept.reaches(promised) => {
            (Outcome::Passed, format!("automated backups reach {reach} back"))
        }
        (None, _) if is_told => {
            (Outcome::Unknown, format!("automated backups are kept {told}; AWS does not say how far back they reach"))
        }
        _ if back >= needed && gap <= allowed.as_secs_f64() => {
            (Outcome::Passed, format!("automated backups are kept {told}, and snapshots reach {wanted} back"))
        }
        _ if back >= needed => {
            let (gap, allowed) = (duration::show_seconds(gap), duration::show(allowed));
            let found = format!(
                "automated backups are kept {told}; snapshots reach {wanted} back, but between two of them lie {gap}, in \
                 which no state can be recovered (`max_snapshot_age` is {allowed})"
            );
            (Outcome::Unknown, found)
        }
        (Some(reach), _) if is_told => {
            let found = format!(
                "automated backups are kept {told}, and reach {reach} back: not that long yet, or kept \
                                 longer only since lately"
            );
            (Outcome::Unknown, found)
        }
        (_, Some(_)) => (Outcome::Failed, format!("automated backups are kept {told}, the objective is {wanted}")),
        (_, None) => {
            (Outcome::Unknown, format!("AWS does not say how long backups are kept, the objective is {wanted}"))
        }
    };
    let (verb, option) = if database.kind.is_cluster() {
        ("modify-db-cluster", "--db-cluster-identifier")
    } else {
        ("modify-db-instance", "--db-instance-identifier")
    };
    let fix = (outcome != Outcome::Passed).then(|| {
        format!(
            "raise it (35 days at most): `aws rds {verb} {option} {} --backup-retention-period DAYS`; keep older ones \
             by AWS Backup or snapshots of your own; or correct `retention`",
            database.id
        )
    });
    Promise { name: "retention".to_owned(), outcome, found, fix }
}

/// Whether copies of the backups are in the Region where they were promised to be, and young enough. That they can be restored
/// there is not tested.
async fn in_region(app: &AppContext, database: &Database, region: &str, since: &Since) -> Promise {
    let there = app.aws.for_region(region);
    let asked = async {
        let mut snapshots = there.snapshots(database.kind, &database.id).await?;
        let backups = there.automated_backups(database.kind, &database.id).await?;
        if snapshots.iter().any(|snapshot| snapshot.taken_at().is_none()) {
            as_old_as_their_sources(&mut snapshots, &app.aws.snapshots(database.kind, &database.id).await?);
        }
        Ok((snapshots, backups))
    };
    let answer: crate::aws::Result<_> = asked.await;
    let (outcome, found, fix) = match answer {
        Err(error) => (Outcome::Unknown, error.to_string(), error.hint()),
        Ok((snapshots, backups)) => {
            let of_backups = backups.iter().filter_map(|backup| backup.latest).filter_map(|at| since.age(at));
            let known: Vec<f64> = ages(&snapshots, since).into_iter().chain(of_backups).collect();
            let has_any = snapshots.iter().any(Snapshot::is_usable) || !backups.is_empty();
            let (outcome, found) = young_enough(&known, has_any, database.test.max_snapshot_age);
            let fix =
                "copy backups there, each day (AWS Backup, or automated backup replication), or remove `backup_region`";
            (outcome, format!("in {region}: {found}"), fix.to_owned())
        }
    };
    Promise { name: "backup_region".to_owned(), outcome, found, fix: (outcome != Outcome::Passed).then_some(fix) }
}

/// A copied cluster snapshot only tells when it was copied. It is as old as the one that it was copied from, where that is
/// still there.
fn as_old_as_their_sources(copies: &mut [Snapshot], sources: &[Snapshot]) {
    for copy in copies.iter_mut().filter(|copy| copy.taken_at().is_none()) {
        let source = sources.iter().find(|source| Some(&source.arn) == copy.copied_from.as_ref());
        copy.original_created_at = source.and_then(Snapshot::taken_at);
    }
}

fn young_enough(ages: &[f64], has_any: bool, allowed: Duration) -> (Outcome, String) {
    let most = duration::show(allowed);
    match ages.iter().copied().min_by(f64::total_cmp) {
        Some(age) if age <= allowed.as_secs_f64() => {
            let age = duration::show_seconds(age);
            (Outcome::Passed, format!("the newest backup is {age} old; that it can be restored there is not tested"))
        }
        Some(age) => {
            let age = duration::show_seconds(age);
            (Outcome::Failed, format!("the newest backup is {age} old, the limit is {most}"))
        }
        None if has_any => (Outcome::Unknown, "AWS does not say of when the data in the backups is".to_owned()),
        None => (Outcome::Failed, "there is no backup".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn judged(kept: &Kept) -> Outcome {
        let mut database = crate::action::unsupported::tests::database("aurora-mysql");
        database.test.max_snapshot_age = Duration::from_hours(26);
        retention(&database, kept, Duration::from_hours(30 * 24)).outcome
    }

    #[test]
    fn a_retention_is_kept_by_what_reaches_that_far_back_and_not_by_what_is_configured() {
        let kept = |days, reach| Kept { days: Some(days), reach, snapshots: Vec::new() };
        assert_eq!(judged(&kept(30, Some(29.5 * DAY))), Outcome::Passed);
        // Raised from 1 to 35 today.
        assert_eq!(judged(&kept(35, Some(DAY))), Outcome::Unknown);
        assert_eq!(judged(&kept(35, None)), Outcome::Unknown);
        assert_eq!(judged(&kept(7, Some(7.0 * DAY))), Outcome::Failed);
        assert_eq!(judged(&Kept::default()), Outcome::Unknown);
    }

    #[test]
    fn one_old_snapshot_keeps_no_promise_and_one_a_day_does() {
        let kept = |snapshots| Kept { days: Some(7), reach: Some(7.0 * DAY), snapshots };
        assert_eq!(judged(&kept(vec![700.0 * DAY])), Outcome::Unknown);
        assert_eq!(judged(&kept((1..=30).map(|day| f64::from(day) * DAY).collect())), Outcome::Passed);
        assert_eq!(judged(&kept((1..=20).map(|day| f64::from(day) * DAY).collect())), Outcome::Failed);
        assert_eq!(judged(&kept(vec![8.0 * DAY, 9.0 * DAY, 30.0 * DAY])), Outcome::Unknown);
    }

    #[test]
    fn a_copy_is_as_old_as_what_it_was_copied_from() {
        let at = |second| jiff::Timestamp::from_second(second).ok();
        let source = Snapshot { arn: "arn:a".to_owned(), created_at: at(100), ..Snapshot::default() };
        let copy = |of: &str| Snapshot { copied_from: Some(of.to_owned()), created_at: at(900), ..Snapshot::default() };
        let mut copies = [copy("arn:a"), copy("arn:gone")];
        as_old_as_their_sources(&mut copies, &[source]);
        assert_eq!((copies[0].taken_at(), copies[1].taken_at()), (at(100), None));
    }

    #[test]
    fn backups_elsewhere_have_to_be_young_too() {
        let judged = |ages: &[f64], has_any| young_enough(ages, has_any, Duration::from_hours(26)).0;
        assert_eq!(judged(&[DAY, 400.0 * DAY], true), Outcome::Passed);
        assert_eq!(judged(&[400.0 * DAY], true), Outcome::Failed);
        assert_eq!(judged(&[], true), Outcome::Unknown);
        assert_eq!(judged(&[], false), Outcome::Failed);
    }
}
