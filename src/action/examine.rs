//! Everything that a restore test of one database needs, looked at without a run: what `drctl doctor` shows.

use super::choose_point::{choose, list_command};
use super::finding::Finding;
use super::plan::settings_of;
use super::point::Point;
use super::preflight;
use super::recoverable::{Since, backups_on};
use super::source::DatabaseDescription;
use super::wanted::Wanted;
use crate::context::AppContext;
use crate::duration;
use crate::estate::{Database, HostPort, PointChoice};
use crate::verify::Outcome;

/// The database as AWS has it, its backups, and everything that a run's preflight asks.
pub(crate) async fn examine(app: &AppContext, database: &Database) -> Vec<Finding> {
    let now = app.clock.now();
    let source = DatabaseDescription::read(&app.aws, database, &database.id).await;
    let mut findings = vec![source_finding(app, database, source.as_ref().map(Option::as_ref))];
    let source = source.ok().flatten();
    let since = Since::of(source.as_ref(), now);
    findings.push(snapshots(app, database, &since).await);
    let point = Box::pin(choose(app, database, &database.test.point)).await;
    match point {
        Ok(point) => {
            findings.push(point_finding(database, &point));
            findings.push(rpo_finding(database, &point));
            findings.extend(promises(database, &point));
            findings.extend(of_copy(app, database, &point, source.as_ref()).await);
        }
        Err(failure) => findings.push(Finding::of(format!("{} restore point", database.id), &failure)),
    }
    findings.extend(pitr(app, database).await);
    findings
}

/// Where a client reaches the source: as far as can be told, that is where copies can be reached from.
pub(crate) async fn source_endpoint(app: &AppContext, database: &Database) -> crate::aws::Result<Option<HostPort>> {
    Ok(DatabaseDescription::read(&app.aws, database, &database.id).await?.and_then(|source| source.endpoint))
}

async fn of_copy(
    app: &AppContext,
    database: &Database,
    point: &Point,
    source: Option<&DatabaseDescription>,
) -> Vec<Finding> {
    match settings_of(app, database, source).await {
        Ok((settings, _)) => {
            let mut wanted = Wanted::decide(database, point, settings.as_ref(), None);
            preflight::of_copy(app, database, point, &mut wanted).await
        }
        Err(failure) => vec![Finding::of(format!("{} settings", database.id), &failure)],
    }
}

fn source_finding(
    app: &AppContext,
    database: &Database,
    source: Result<Option<&DatabaseDescription>, &crate::aws::Error>,
) -> Finding {
    let subject = format!("{} source", database.id);
    match source {
        Ok(Some(source)) => {
            Finding::pass(subject, format!("{} {}, {}", source.engine, source.engine_version, source.status))
        }
        Ok(None) => {
            let found = format!("not in {}", app.aws.region);
            Finding::fail(
                subject,
                Outcome::Failed,
                found,
                "correct `id` or `region`; what is left of it is tested below",
            )
        }
        Err(error) => Finding::not_asked(subject, error),
    }
}

/// The newest usable snapshot, and whether it is young enough.
async fn snapshots(app: &AppContext, database: &Database, since: &Since) -> Finding {
    let subject = format!("{} snapshots", database.id);
    let all = match app.aws.snapshots(database.kind, &database.id).await {
        Ok(all) => all,
        Err(error) => return Finding::not_asked(subject, &error),
    };
    let usable: Vec<_> = all.iter().filter(|snapshot| snapshot.is_usable()).collect();
    let Some(newest) = usable.iter().filter_map(|snapshot| snapshot.taken_at()).max() else {
        return Finding::fail(subject, Outcome::Failed, "none is usable", "turn on automated backups");
    };
    let most = database.test.max_snapshot_age;
    let Some(age) = since.age(newest) else {
        let found = format!("the newest is of {newest}, and it is {} now", since.at);
        return Finding::fail(subject, Outcome::Unknown, found, "check this host's clock");
    };
    let found = format!("{} usable, the newest {} old", usable.len(), duration::show_seconds(age));
    if age <= most.as_secs_f64() {
        return Finding::pass(subject, found);
    }
    let found = format!("{found}, the limit is {}", duration::show(most));
    Finding::fail(
        subject,
        Outcome::Failed,
        found,
        format!("look at {} and the instance's events", list_command(database)),
    )
}

fn point_finding(database: &Database, point: &Point) -> Finding {
    let subject = format!("{} restore point", database.id);
    let age = duration::show_seconds(point.age_seconds.unwrap_or_default());
    match point.age_outcome {
        Outcome::Passed => Finding::pass(subject, format!("`{}`, {age} old", point.id)),
        Outcome::Unknown => {
            let found = format!("`{}`, of unknown age", point.id);
            Finding::fail(subject, Outcome::Unknown, found, "choose one that is no copy with `point`")
        }
        Outcome::Failed => {
            let most = duration::show_seconds(point.max_age_seconds.unwrap_or_default());
            let found = format!("`{}` is {age} old, the limit is {most}", point.id);
            Finding::fail(subject, Outcome::Failed, found, format!("look at {}", list_command(database)))
        }
    }
}

fn rpo_finding(database: &Database, point: &Point) -> Finding {
    let subject = format!("{} RPO", database.id);
    let promised = duration::show(database.objectives.rpo);
    if point.backups_are_off {
        let found = format!("automated backups are switched off: an RPO of {promised} cannot be met");
        return Finding::fail(subject, Outcome::Failed, found, backups_on(database));
    }
    let Some(measured) = point.rpo_seconds else {
        let why = point.rpo_reason.as_deref().unwrap_or("AWS does not say up to when it can be restored");
        let found = format!("unknown, the objective is {promised}: {why}");
        return Finding::fail(subject, Outcome::Unknown, found, "look at the source's status and its events");
    };
    let found = format!("{} now, the objective is {promised}", duration::show_seconds(measured));
    if measured <= database.objectives.rpo.as_secs_f64() {
        return Finding::pass(subject, found);
    }
    let fix = "look for failing log uploads in the source's events; or correct `rpo`";
    Finding::fail(subject, Outcome::Failed, found, fix)
}

fn promises(database: &Database, point: &Point) -> Vec<Finding> {
    let of_promise = |promise: &super::point::Promise| {
        let subject = format!("{} {}", database.id, promise.name);
        match (promise.outcome, &promise.fix) {
            (Outcome::Passed, _) => Finding::pass(subject, promise.found.clone()),
            (outcome, fix) => Finding::fail(subject, outcome, promise.found.clone(), fix.clone().unwrap_or_default()),
        }
    };
    point.promises.iter().map(of_promise).collect()
}

/// Whether point-in-time recovery is there, for a test that usually restores a snapshot.
async fn pitr(app: &AppContext, database: &Database) -> Option<Finding> {
    if matches!(database.test.point, PointChoice::Pitr | PointChoice::At(_)) {
        return None;
    }
    let subject = format!("{} PITR", database.id);
    let point = Box::pin(choose(app, database, &PointChoice::Pitr)).await;
    Some(match point {
        Ok(point) => Finding::pass(subject, format!("up to {}", point.taken_at)),
        Err(failure) => Finding::of(subject, &failure),
    })
}
