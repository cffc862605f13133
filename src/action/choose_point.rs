//! `restore-point.choose`: which backup is restored. Reads only.

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use serde_json::{Map, Value};

use super::point::{FIELDS, Point, PointType};
use super::recoverable::{self, Rpo, Since};
use super::source::DatabaseDescription;
use super::{promises, unsupported};
use crate::aws::Snapshot;
use crate::context::AppContext;
use crate::duration;
use crate::estate::{Database, PointChoice};
use crate::runbook::{Action, Argument, Context, Failure, Preview, Spec, ValueType};
use crate::store::{RunState, Spent};
use crate::verify::Outcome;

/// See the module.
pub(super) struct ChoosePoint;

impl Action for ChoosePoint {
    fn spec(&self) -> Spec {
        Spec {
            name: "restore-point.choose",
            about: "chooses a snapshot or a point in time to restore",
            arguments: &[
                Argument { name: "target", kind: ValueType::Database, required: true, about: "the database" },
                Argument {
                    name: "point",
                    kind: ValueType::PointChoice,
                    required: false,
                    about: "`latest`, `latest-automated`, `random`, `pitr`, an RFC 3339 time, or a snapshot's id",
                },
            ],
            output: ValueType::Point,
            fields: FIELDS,
        }
    }

    fn perform<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(context.phase("choose", Spent::Drctl, async {
            let point = choose_for(context, arguments).await?;
            serde_json::to_value(point).map_err(|error| Failure::from(anyhow::Error::new(error)))
        }))
    }

    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>> {
        Box::pin(async {
            let point = choose_for(context, arguments).await?;
            let age = point.age_seconds.map(duration::show_seconds);
            let age = age.map_or_else(|| "of unknown age".to_owned(), |age| age + " old");
            let mut notes = vec![format!("restore point `{}`, {age}", point.id)];
            notes.extend(point.notes.clone());
            let outputs = serde_json::to_value(point).map_err(anyhow::Error::new)?;
            Ok(Preview { calls: Vec::new(), notes, outputs })
        })
    }
}

async fn choose_for(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Point, Failure> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let database = database(context, text("target").unwrap_or_default())?;
    let choice = text("point").map_or_else(|| database.test.point.clone(), PointChoice::parse);
    Box::pin(choose(context.app, database, &choice)).await
}

/// The database that an argument names.
pub(super) fn database<'c>(context: &'c Context<'_>, name: &str) -> Result<&'c Database, Failure> {
    context.app.estate.database(name).ok_or_else(|| {
        let known: Vec<_> = context.app.estate.databases.iter().map(|known| known.id.as_str()).collect();
        Failure::refused(format!("there is no target `{name}`"), format!("the estate has {}", known.join(", ")))
    })
}

/// Chooses a restore point. Ages are measured by AWS's clock where it tells it, else by this host's.
pub(super) async fn choose(app: &AppContext, database: &Database, choice: &PointChoice) -> Result<Point, Failure> {
    // Before the clock is read: a snapshot that is taken in between would seem to be of the future.
    let listed = match choice {
        PointChoice::Latest | PointChoice::LatestAutomated | PointChoice::Random => {
            app.aws.snapshots(database.kind, &database.id).await?
        }
        _ => Vec::new(),
    };
    let source = DatabaseDescription::read(&app.aws, database, &database.id).await?;
    unsupported::check(app, database, source.as_ref()).await?;
    let since = Since::of(source.as_ref(), app.clock.now());
    let mut point = match choice {
        PointChoice::Pitr => recoverable::in_time(app, database, source.as_ref(), None, &since).await?,
        PointChoice::At(at) => recoverable::in_time(app, database, source.as_ref(), Some(*at), &since).await?,
        PointChoice::Snapshot(id) => {
            let snapshot = named(app, database, id).await?;
            from_snapshot(app, database, &snapshot, &since).await?
        }
        PointChoice::Latest | PointChoice::LatestAutomated | PointChoice::Random => {
            if listed.is_empty() && source.is_none() {
                return Err(nothing_at_all(app, database).await);
            }
            let picked = pick(database, choice, &listed, since.at)?;
            let mut point = from_snapshot(app, database, picked.snapshot, &since).await?;
            if *choice == PointChoice::Random {
                judge_newest(&mut point, database, picked.newest_usable_at, &since);
            }
            point.notes.extend(picked.passed_over);
            point
        }
    };
    measure(&mut point, database, source.as_ref(), &since);
    point.promises = promises::judge(app, database, source.as_ref(), &since).await;
    Ok(point)
}

async fn nothing_at_all(app: &AppContext, database: &Database) -> Failure {
    let region = &app.aws.region;
    let message = format!("there is no database `{}` in {region}, and no snapshot of it", database.id);
    let kept = match app.aws.automated_backups(database.kind, &database.id).await {
        Ok(kept) => kept,
        Err(error) => {
            let message = format!("{message}; whether its automated backups are kept is unknown: {error}");
            return Failure::new(RunState::Unknown, anyhow::anyhow!(message), error.hint());
        }
    };
    let hint = match kept.iter().filter_map(|backup| backup.latest).max() {
        Some(latest) => {
            format!("its automated backups are kept, up to {latest}: restore one with `--point pitr`, or a time")
        }
        None => "correct `id` or `region` in the configuration".to_owned(),
    };
    Failure::refused(message, hint)
}

/// Writes down what the RPO is by the source's newest restorable moment.
fn measure(point: &mut Point, database: &Database, source: Option<&DatabaseDescription>, since: &Since) {
    since.clock().clone_into(&mut point.clock);
    match recoverable::rpo(source, since) {
        Rpo::Measured { latest, seconds } => {
            point.latest_restorable_time = Some(latest);
            point.rpo_seconds.get_or_insert(seconds);
        }
        Rpo::BackupsAreOff => {
            point.backups_are_off = true;
            point.rpo_reason = Some("its automated backups are switched off (retention is 0 days)".to_owned());
        }
        // The age of what is left of a source that is gone is no bound on what is lost.
        Rpo::Unknown(reason) => point.rpo_reason = Some(reason),
    }
    if source.is_none() {
        point.notes.push(format!("`{}` itself is gone: nothing to compare the copy with", database.id));
    }
}

async fn named(app: &AppContext, database: &Database, id: &str) -> Result<Snapshot, Failure> {
    unsupported::check_snapshot_name(app, database, id)?;
    let snapshot = app.aws.snapshot(database.kind, id).await?.ok_or_else(|| {
        let hint = format!("list them: {}", list_command(database));
        Failure::refused(format!("there is no snapshot `{id}` of `{}`", database.id), hint)
    })?;
    if !snapshot.source.eq_ignore_ascii_case(&database.id) {
        let message = format!("snapshot `{id}` is of `{}`, not of `{}`", snapshot.source, database.id);
        return Err(Failure::refused(message, format!("choose one of {}", list_command(database))));
    }
    if !snapshot.is_usable() {
        let percent = snapshot.percent.map_or_else(String::new, |percent| format!(" ({percent}%)"));
        let message = format!("snapshot `{id}` is `{}`{percent}, not `available`", snapshot.status);
        let hint = "wait until it is, or choose another with `--point`";
        return Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), hint));
    }
    Ok(snapshot)
}

/// The command that lists a database's snapshots.
pub(super) fn list_command(database: &Database) -> String {
    if database.kind.is_cluster() {
        format!("`aws rds describe-db-cluster-snapshots --db-cluster-identifier {}`", database.id)
    } else {
        format!("`aws rds describe-db-snapshots --db-instance-identifier {}`", database.id)
    }
}

/// A snapshot that was chosen among all.
struct Picked<'s> {
    snapshot: &'s Snapshot,
    /// The time of the newest usable one.
    newest_usable_at: Option<Timestamp>,
    /// That a newer one cannot be used.
    passed_over: Option<String>,
}

/// Snapshots of unknown age (copies of cluster snapshots) come first, so that none of them counts as the newest.
fn pick<'s>(
    database: &Database,
    choice: &PointChoice,
    all: &'s [Snapshot],
    now: Timestamp,
) -> Result<Picked<'s>, Failure> {
    let wanted =
        |snapshot: &&Snapshot| *choice != PointChoice::LatestAutomated || snapshot.snapshot_type == "automated";
    let mut usable: Vec<&Snapshot> = all.iter().filter(wanted).filter(|snapshot| snapshot.is_usable()).collect();
    usable.sort_by_key(|snapshot| snapshot.taken_at());
    let newest_usable_at = usable.last().and_then(|snapshot| snapshot.taken_at());
    let newest_of_all = all.iter().filter(wanted).max_by_key(|snapshot| newness(snapshot));
    let picked = if *choice == PointChoice::Random {
        let window = SignedDuration::try_from(database.test.random_window).unwrap_or(SignedDuration::MAX);
        let earliest = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        usable.retain(|snapshot| snapshot.taken_at().is_some_and(|at| at >= earliest));
        usable.choose(&mut rand::rng()).copied()
    } else {
        usable.last().copied()
    };
    let Some(snapshot) = picked else { return Err(nothing_usable(database, choice, newest_of_all)) };
    let passed_over = newest_of_all
        .filter(|newest| *choice != PointChoice::Random && !newest.is_usable() && newest.id != snapshot.id)
        .map(|newest| format!("the newest snapshot `{}` is `{}` and was passed over", newest.id, newest.status));
    Ok(Picked { snapshot, newest_usable_at, passed_over })
}

/// AWS gives a snapshot no time while it is being made: it is newer than all that have one.
fn newness(snapshot: &Snapshot) -> Timestamp {
    let unknown = if snapshot.status == "creating" { Timestamp::MAX } else { Timestamp::MIN };
    snapshot.taken_at().unwrap_or(unknown)
}

fn nothing_usable(database: &Database, choice: &PointChoice, newest: Option<&Snapshot>) -> Failure {
    let found = match newest {
        Some(snapshot) => {
            let percent = snapshot.percent.map_or_else(String::new, |percent| format!(", {percent}%"));
            format!("the newest, `{}`, is `{}`{percent}", snapshot.id, snapshot.status)
        }
        None => "there is none at all".to_owned(),
    };
    let message = format!("`{}` has no usable snapshot for `{choice}`: {found}", database.id);
    Failure::failed(message, format!("look at {} and at the backup retention", list_command(database)))
}

/// The moment that a snapshot's data is of. A copied cluster snapshot has that of its original, while that is there.
async fn moment(app: &AppContext, database: &Database, snapshot: &Snapshot) -> Option<Timestamp> {
    if let Some(at) = snapshot.taken_at() {
        return Some(at);
    }
    let original = app.aws.snapshot(database.kind, snapshot.copied_from.as_deref()?).await;
    original.ok().flatten().and_then(|original| original.taken_at())
}

async fn from_snapshot(
    app: &AppContext,
    database: &Database,
    snapshot: &Snapshot,
    since: &Since,
) -> Result<Point, Failure> {
    if !database.kind.matches_engine(&snapshot.engine) {
        let message =
            format!("snapshot `{}` is of `{}`, not of kind `{}`", snapshot.id, snapshot.engine, database.kind);
        return Err(Failure::refused(message, "choose a snapshot of this database"));
    }
    unsupported::check_snapshot(&app.account, database, snapshot)?;
    let mut notes = Vec::new();
    let taken_at = moment(app, database, snapshot).await;
    let age = taken_at.and_then(|at| since.age(at));
    if age.is_none() {
        let why = match (&snapshot.copied_from, taken_at) {
            (Some(original), None) => format!("it is a copy of `{original}`, which cannot be looked at"),
            _ => "AWS gives it a time that is still to come".to_owned(),
        };
        notes.push(format!("the age of `{}` is unknown: {why}", snapshot.id));
    }
    let taken_at = taken_at.or(snapshot.created_at);
    let taken_at = taken_at
        .ok_or_else(|| Failure::from(anyhow::anyhow!("AWS does not say when snapshot `{}` was taken", snapshot.id)))?;
    let max_age_seconds = database.test.max_snapshot_age.as_secs_f64();
    // Another account's snapshot is named by its ARN.
    let is_foreign = snapshot.account().is_some_and(|account| account != app.account);
    let shared = snapshot.snapshot_type == "shared" || is_foreign;
    let snapshot_id = if shared { &snapshot.arn } else { &snapshot.id };
    Ok(Point {
        target: database.id.clone(),
        kind: PointType::Snapshot,
        id: snapshot.id.clone(),
        snapshot_id: Some(snapshot_id.clone()),
        taken_at,
        age_seconds: age,
        max_age_seconds: Some(max_age_seconds),
        newest_age_seconds: None,
        age_outcome: judge_age(age, max_age_seconds),
        engine: snapshot.engine.clone(),
        engine_version: Some(snapshot.engine_version.clone()).filter(|version| !version.is_empty()),
        kms_key: snapshot.kms_key.clone(),
        master_username: snapshot.master_username.clone(),
        option_group: snapshot.option_group.clone(),
        storage: snapshot.storage.clone(),
        retained_resource_id: None,
        latest_restorable_time: None,
        rpo_seconds: None,
        rpo_reason: None,
        backups_are_off: false,
        clock: String::new(),
        promises: Vec::new(),
        notes,
    })
}

fn judge_age(age_seconds: Option<f64>, max_age_seconds: f64) -> Outcome {
    match age_seconds {
        Some(age) if age <= max_age_seconds => Outcome::Passed,
        Some(_) => Outcome::Failed,
        None => Outcome::Unknown,
    }
}

/// A point that was drawn by lot is as old as it is: whether backups are made is told by the newest one.
fn judge_newest(point: &mut Point, database: &Database, newest: Option<Timestamp>, since: &Since) {
    let max_age_seconds = database.test.max_snapshot_age.as_secs_f64();
    let age = newest.and_then(|at| since.age(at));
    point.newest_age_seconds = age;
    point.age_outcome = judge_age(age, max_age_seconds);
    if let Some(age) = age {
        let age = duration::show_seconds(age);
        point.notes.push(format!("drawn by lot; the newest usable snapshot is {age} old, and that is judged"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn database() -> Database {
        crate::action::unsupported::tests::database("aurora-mysql")
    }

    fn snapshot(id: &str, status: &str, at: Option<i64>) -> Snapshot {
        Snapshot {
            id: id.to_owned(),
            status: status.to_owned(),
            created_at: at.map(|at| Timestamp::from_second(at).expect("it is in range")),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_newer_snapshot_that_is_still_being_made_is_told() {
        let all = [snapshot("old", "available", Some(100)), snapshot("new", "creating", None)];
        let picked = pick(&database(), &PointChoice::Latest, &all, Timestamp::UNIX_EPOCH).expect("there is one");
        assert_eq!(picked.snapshot.id, "old");
        assert!(picked.passed_over.expect("it is told").contains("`new` is `creating`"));
    }

    #[test]
    fn a_copy_of_unknown_age_is_not_the_newest() {
        let copy = Snapshot { copied_from: Some("arn:...".to_owned()), ..snapshot("copy", "available", Some(900)) };
        let all = [snapshot("own", "available", Some(100)), copy];
        let picked = pick(&database(), &PointChoice::Latest, &all, Timestamp::UNIX_EPOCH).expect("there is one");
        assert_eq!(picked.snapshot.id, "own");
    }

    #[test]
    fn an_age_that_nobody_knows_is_not_young_enough() {
        let day = Duration::from_hours(24).as_secs_f64();
        assert_eq!(judge_age(Some(day), day), Outcome::Passed);
        assert_eq!(judge_age(Some(day + 1.0), day), Outcome::Failed);
        assert_eq!(judge_age(None, day), Outcome::Unknown);
    }
}
