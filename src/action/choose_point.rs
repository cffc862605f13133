//! `restore-point.choose`: which backup is restored. Reads only.

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom;
use serde_json::{Map, Value};

use super::point::{FIELDS, Point, PointType};
use super::source::Source;
use crate::aws::Snapshot;
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
            let point = choose(context, arguments).await?;
            serde_json::to_value(point).map_err(|error| Failure::from(anyhow::Error::new(error)))
        }))
    }

    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>> {
        Box::pin(async {
            let point = choose(context, arguments).await?;
            let age = duration::show_seconds(point.age_seconds);
            let mut notes = vec![format!("restore point `{}`, {age} old", point.id)];
            notes.extend(point.notes.clone());
            let outputs = serde_json::to_value(point).map_err(anyhow::Error::new)?;
            Ok(Preview { calls: Vec::new(), notes, outputs })
        })
    }
}

/// The database that an argument names.
pub(super) fn database<'c>(context: &'c Context<'_>, name: &str) -> Result<&'c Database, Failure> {
    context.environment.estate.database(name).ok_or_else(|| {
        let known: Vec<_> = context.environment.estate.databases.iter().map(|known| known.id.as_str()).collect();
        Failure::refused(format!("there is no target `{name}`"), format!("the estate has {}", known.join(", ")))
    })
}

async fn choose(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Point, Failure> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let database = database(context, text("target").unwrap_or_default())?;
    let choice = text("point").map_or_else(|| database.test.point.clone(), PointChoice::parse);
    let source = Source::read(&context.environment.aws, database, &database.id).await?;
    if let Some(source) = source.as_ref().filter(|source| !database.kind.matches_engine(&source.engine)) {
        let message = format!("`{}` is `{}`, not of kind `{}`", database.id, source.engine, database.kind);
        return Err(Failure::refused(message, format!("correct `kind` of `{}`", database.id)));
    }
    match &choice {
        PointChoice::Pitr => in_time(context, database, source, None),
        PointChoice::At(at) => in_time(context, database, source, Some(*at)),
        PointChoice::Snapshot(id) => {
            let snapshot = context.environment.aws.snapshot(database.kind, id).await?.ok_or_else(|| {
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
                let error = anyhow::anyhow!("{message}");
                return Err(Failure::new(
                    RunState::Unknown,
                    error,
                    "wait until it is, or choose another with `--point`",
                ));
            }
            from_snapshot(context, database, source, &snapshot, Vec::new())
        }
        PointChoice::Latest | PointChoice::LatestAutomated | PointChoice::Random => {
            let all = context.environment.aws.snapshots(database.kind, &database.id).await?;
            if all.is_empty() && source.is_none() {
                let region = &context.environment.aws.region;
                let message = format!("there is no database `{}` in {region}, and no snapshot of it", database.id);
                return Err(Failure::refused(message, "correct `id` or `region` in the configuration"));
            }
            let (snapshot, notes) = pick(context, database, &choice, &all)?;
            from_snapshot(context, database, source, snapshot, notes)
        }
    }
}

fn list_command(database: &Database) -> String {
    if database.kind.is_cluster() {
        format!("`aws rds describe-db-cluster-snapshots --db-cluster-identifier {}`", database.id)
    } else {
        format!("`aws rds describe-db-snapshots --db-instance-identifier {}`", database.id)
    }
}

fn pick<'s>(
    context: &Context<'_>,
    database: &Database,
    choice: &PointChoice,
    all: &'s [Snapshot],
) -> Result<(&'s Snapshot, Vec<String>), Failure> {
    let wanted =
        |snapshot: &&Snapshot| *choice != PointChoice::LatestAutomated || snapshot.snapshot_type == "automated";
    let mut usable: Vec<&Snapshot> = all.iter().filter(wanted).filter(|snapshot| snapshot.is_usable()).collect();
    usable.sort_by_key(|snapshot| snapshot.taken_at());
    let newest_of_all = all.iter().filter(wanted).max_by_key(|snapshot| snapshot.taken_at());
    let picked = if *choice == PointChoice::Random {
        let window = SignedDuration::try_from(database.test.random_window).unwrap_or(SignedDuration::MAX);
        let earliest = context.run.started_at.checked_sub(window).unwrap_or(Timestamp::MIN);
        usable.retain(|snapshot| snapshot.taken_at().is_some_and(|at| at >= earliest));
        usable.choose(&mut rand::rng()).copied()
    } else {
        usable.last().copied()
    };
    let Some(picked) = picked else { return Err(nothing_usable(database, choice, newest_of_all)) };
    let passed_over = newest_of_all
        .filter(|newest| *choice != PointChoice::Random && newest.id != picked.id)
        .map(|newest| format!("the newest snapshot `{}` is `{}` and was passed over", newest.id, newest.status));
    Ok((picked, passed_over.into_iter().collect()))
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

fn from_snapshot(
    context: &Context<'_>,
    database: &Database,
    source: Option<Source>,
    snapshot: &Snapshot,
    mut notes: Vec<String>,
) -> Result<Point, Failure> {
    if !database.kind.matches_engine(&snapshot.engine) {
        let message =
            format!("snapshot `{}` is of `{}`, not of kind `{}`", snapshot.id, snapshot.engine, database.kind);
        return Err(Failure::refused(message, "choose a snapshot of this database"));
    }
    let taken_at = snapshot
        .taken_at()
        .ok_or_else(|| Failure::from(anyhow::anyhow!("AWS does not say when snapshot `{}` was taken", snapshot.id)))?;
    let age_seconds = age(context, taken_at);
    let max_age_seconds = database.test.max_snapshot_age.as_secs_f64();
    let rpo_seconds = source.as_ref().and_then(|source| source.latest_restorable).map(|at| age(context, at));
    if max_age_seconds > database.objectives.rpo.as_secs_f64() {
        notes.push(format!(
            "snapshots alone cannot meet an RPO of {}: point-in-time recovery must",
            duration::show(database.objectives.rpo)
        ));
    }
    if source.is_none() {
        notes.push(format!("`{}` itself is gone: nothing to compare the copy with", database.id));
    }
    // A shared snapshot is named by its ARN.
    let snapshot_id = if snapshot.snapshot_type == "shared" { &snapshot.arn } else { &snapshot.id };
    Ok(Point {
        target: database.id.clone(),
        kind: PointType::Snapshot,
        id: snapshot.id.clone(),
        snapshot_id: Some(snapshot_id.clone()),
        taken_at,
        age_seconds,
        max_age_seconds: Some(max_age_seconds),
        age_outcome: if age_seconds <= max_age_seconds { Outcome::Passed } else { Outcome::Failed },
        engine: snapshot.engine.clone(),
        engine_version: Some(snapshot.engine_version.clone()).filter(|version| !version.is_empty()),
        kms_key: snapshot.kms_key.clone(),
        latest_restorable_time: source.and_then(|source| source.latest_restorable),
        rpo_seconds,
        notes,
    })
}

fn in_time(
    context: &Context<'_>,
    database: &Database,
    source: Option<Source>,
    at: Option<Timestamp>,
) -> Result<Point, Failure> {
    let Some(source) = source else {
        let message = format!("there is no database `{}` to recover in time", database.id);
        return Err(Failure::refused(message, "use a snapshot: `--point latest`"));
    };
    let Some(latest) = source.latest_restorable else {
        let message = format!("AWS does not say up to when `{}` can be restored", database.id);
        let hint = "is its backup retention 0, or is it itself being restored? use `--point latest`";
        return Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), hint));
    };
    // AWS takes moments before the latest restorable one, not that one itself.
    let newest = latest.checked_sub(SignedDuration::from_secs(1)).unwrap_or(latest);
    let taken_at = at.unwrap_or(newest);
    if taken_at > newest {
        let message = format!("`{}` can be restored up to {newest}, not to {taken_at}", database.id);
        return Err(Failure::refused(message, "choose an earlier time, or `--point pitr`"));
    }
    let age_seconds = age(context, taken_at);
    Ok(Point {
        target: database.id.clone(),
        kind: PointType::PointInTime,
        id: format!("pitr:{taken_at}"),
        snapshot_id: None,
        taken_at,
        age_seconds,
        max_age_seconds: None,
        age_outcome: Outcome::Passed,
        engine: source.engine,
        engine_version: Some(source.engine_version),
        kms_key: source.kms_key,
        latest_restorable_time: Some(latest),
        rpo_seconds: Some(if at.is_some() { age(context, latest) } else { age_seconds }),
        notes: Vec::new(),
    })
}

fn age(context: &Context<'_>, at: Timestamp) -> f64 {
    context.run.started_at.duration_since(at).as_secs_f64().max(0.0)
}
