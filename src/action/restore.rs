//! `database.restore`: a copy in the quarantine, with an instance where it is a cluster, until it can be connected to.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::choose_point::database;
use super::copy::{self, Copy};
use super::point::{Point, PointType};
use super::source::Source;
use super::{preflight, wait};
use crate::aws::{Change, Resource, ResourceKind, RestoreSource};
use crate::estate::{Database, DatabaseKind, HostPort, Tags};
use crate::runbook::{
    Action, Argument, Context, EXPIRES_TAG, Failure, NAME_PREFIX, Preview, RUN_TAG, Spec, TARGET_TAG, ValueType,
};
use crate::store::Spent;

/// The longest identifier that RDS takes, less the member's suffix.
const MAX_ID_CHARS: usize = 60;
/// How much of the run's id is part of the copy's name.
const SUFFIX_CHARS: usize = 6;

/// See the module.
pub(super) struct Restore;

impl Action for Restore {
    fn spec(&self) -> Spec {
        Spec {
            name: "database.restore",
            about: "restores a copy into the quarantine and waits until it can be connected to",
            arguments: &[
                Argument { name: "point", kind: ValueType::Point, required: true, about: "what to restore" },
                Argument {
                    name: "instance_class",
                    kind: ValueType::Text,
                    required: false,
                    about: "another class than the configuration's",
                },
            ],
            output: ValueType::Copy,
            fields: copy::FIELDS,
        }
    }

    fn perform<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async {
            let planned = context.phase("preflight", Spent::Drctl, Box::pin(plan(context, arguments))).await?;
            let copy = restore(context, &planned).await?;
            serde_json::to_value(copy).map_err(|error| Failure::from(anyhow::Error::new(error)))
        })
    }

    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>> {
        Box::pin(async {
            let planned = plan(context, arguments).await?;
            let calls = std::iter::once(&planned.restore).chain(planned.member.as_ref().map(|(_, change)| change));
            let copy = Copy {
                target: planned.database.id.clone(),
                id: planned.resource.id.clone(),
                member: planned.member.as_ref().map(|(resource, _)| resource.id.clone()),
                endpoint: HostPort { host: "(known once restored)".to_owned(), port: 0 },
                point: planned.point.clone(),
                differences: Vec::new(),
                storage_initializing: false,
            };
            let outputs = serde_json::to_value(copy).map_err(anyhow::Error::new)?;
            Ok(Preview { calls: calls.map(Change::call).collect(), notes: Vec::new(), outputs })
        })
    }
}

/// Everything that is decided before anything is made.
struct Planned<'e> {
    database: &'e Database,
    point: Point,
    resource: Resource,
    restore: Change,
    member: Option<(Resource, Change)>,
}

async fn plan<'c>(context: &'c Context<'_>, arguments: &Map<String, Value>) -> Result<Planned<'c>, Failure> {
    let point = arguments.get("point").cloned().unwrap_or_default();
    let point: Point = serde_json::from_value(point).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    let database = database(context, &point.target)?;
    let given = arguments.get("instance_class").and_then(Value::as_str).map(str::to_owned);
    // What the copy takes over from its source, since AWS would default it.
    let aws = &context.environment.aws;
    let source = Source::read(aws, database, &database.id).await?;
    let of_source = match &source {
        Some(source) => source.class(aws).await?,
        None => None,
    };
    let class = given.or_else(|| database.test.instance_class.clone()).or(of_source);
    let estate = &context.environment.estate;
    let region = context.environment.aws.region.clone();
    let id = copy_id(&database.id, &context.run.id);
    let kind = if database.kind.is_cluster() { ResourceKind::DbCluster } else { ResourceKind::DbInstance };
    let resource = Resource { kind, id: id.clone(), region: region.clone() };
    // Done again after a crash, the copy may be there already: it must not stand in its own way.
    let is_there = context.environment.aws.look(database.kind, &resource).await?.is_some();
    preflight::check(context, database, &point, is_there).await?;
    let mut tags =
        Tags::from([(RUN_TAG.to_owned(), context.run.id.clone()), (TARGET_TAG.to_owned(), database.id.clone())]);
    tags.extend(context.run.expires_at.map(|at| (EXPIRES_TAG.to_owned(), at.to_string())));
    let member = if database.kind.is_cluster() {
        let class = class.clone().ok_or_else(|| {
            let message = format!("nobody says which instance class the copy of `{}` shall have", database.id);
            Failure::refused(message, "add `instance_class = \"db.r6g.large\"` under `[database.restore_test]`")
        })?;
        let resource = Resource { kind: ResourceKind::DbInstance, id: format!("{id}-1"), region };
        let change = Change::AddMember {
            kind: database.kind,
            id: resource.id.clone(),
            cluster: id.clone(),
            class,
            engine: point.engine.clone(),
            tags: tags.clone(),
        };
        Some((resource, change))
    } else {
        None
    };
    let backup = match (point.kind, &point.snapshot_id) {
        (PointType::Snapshot, Some(snapshot)) => RestoreSource::Snapshot(snapshot.clone()),
        _ => RestoreSource::PointInTime { source: database.id.clone(), at: Some(point.taken_at) },
    };
    let restore = crate::aws::Restore {
        id,
        source: backup,
        engine: point.engine.clone(),
        engine_version: point.engine_version.clone(),
        class: if database.kind.is_cluster() { None } else { class },
        subnet_group: estate.quarantine.subnet_group.clone(),
        security_groups: estate.quarantine.security_groups.clone(),
        // A group fits one major version: an older snapshot's copy gets that version's default.
        parameter_group: source.as_ref().and_then(|source| {
            let of_point = point.engine_version.as_deref().map(major_version);
            let fits = of_point.is_none_or(|of_point| major_version(&source.engine_version) == of_point);
            source.parameter_group.clone().filter(|_| fits)
        }),
        capacity: source.and_then(|source| source.capacity),
        tags,
    };
    let restore = Change::Restore { kind: database.kind, restore };
    Ok(Planned { database, point, resource, restore, member })
}

/// `drctl-bookstore-postgres-8x0y1a`: the target's name and the end of the run's id.
fn copy_id(target: &str, run_id: &str) -> String {
    let suffix = run_id[run_id.len().saturating_sub(SUFFIX_CHARS)..].to_ascii_lowercase();
    let room = MAX_ID_CHARS - NAME_PREFIX.len() - SUFFIX_CHARS - 1;
    let target: String = target.to_ascii_lowercase().chars().take(room).collect();
    format!("{NAME_PREFIX}{}-{suffix}", target.trim_end_matches('-'))
}

/// The part of a version that a parameter group's family names: `15` of PostgreSQL's 15.3, `8.0` of MySQL's 8.0.35.
fn major_version(version: &str) -> String {
    let mut parts = version.split('.');
    let first = parts.next().unwrap_or_default();
    match (first.parse::<u32>(), parts.next()) {
        (Ok(number), Some(second)) if number < 10 => format!("{first}.{second}"),
        _ => first.to_owned(),
    }
}

/// Makes something and waits until it can be used.
fn made_ready<'a>(
    context: &'a Context<'a>,
    kind: DatabaseKind,
    resource: &'a Resource,
    change: &'a Change,
) -> BoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        context.make(kind, resource.clone(), change.clone()).await?;
        wait::until_ready(context, resource).await
    })
}

async fn restore(context: &Context<'_>, planned: &Planned<'_>) -> Result<Copy, Failure> {
    let kind = planned.database.kind;
    context.phase("restore", Spent::Aws, made_ready(context, kind, &planned.resource, &planned.restore)).await?;
    if let Some((resource, change)) = &planned.member {
        context.phase("instance", Spent::Aws, made_ready(context, kind, resource, change)).await?;
    }
    let (endpoint, initializing) = endpoint(context, planned).await?;
    let differences = copy::compare(&context.environment.aws, planned.database, &planned.resource.id).await?;
    Ok(Copy {
        target: planned.database.id.clone(),
        id: planned.resource.id.clone(),
        member: planned.member.as_ref().map(|(resource, _)| resource.id.clone()),
        endpoint,
        point: planned.point.clone(),
        differences: differences.unwrap_or_default(),
        storage_initializing: initializing,
    })
}

async fn endpoint(context: &Context<'_>, planned: &Planned<'_>) -> Result<(HostPort, bool), Failure> {
    let aws = &context.environment.aws;
    let (endpoint, operation) = if planned.database.kind.is_cluster() {
        let found = aws.cluster(planned.database.kind, &planned.resource.id).await?;
        (found.and_then(|cluster| cluster.endpoint), None)
    } else {
        let found = aws.instance(&planned.resource.id).await?;
        let operation = found.as_ref().and_then(|instance| instance.storage_operation.clone());
        (found.and_then(|instance| instance.endpoint), operation)
    };
    // A tunnel needs no endpoint.
    let endpoint = endpoint.or_else(|| planned.database.test.connect.clone());
    let endpoint = endpoint
        .ok_or_else(|| Failure::from(anyhow::anyhow!("AWS gives no endpoint for `{}`", planned.resource.id)))?;
    Ok((endpoint, operation.is_some_and(|operation| operation.eq_ignore_ascii_case("initializing"))))
}

#[cfg(test)]
mod tests {
    use super::copy_id;

    #[test]
    fn a_copy_is_named_for_its_target_and_run() {
        let id = copy_id("bookstore-postgres", "01KACY7Q5N3W8Z2R4T6V8X0Y1A");
        assert_eq!(id, "drctl-bookstore-postgres-8x0y1a");
        let long = copy_id(&"a".repeat(63), "01KACY7Q5N3W8Z2R4T6V8X0Y1A");
        assert!(long.len() <= 60 && long.ends_with("-8x0y1a"));
    }
}
