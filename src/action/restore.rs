//! `database.restore`: a copy in the quarantine, with an instance where it is a cluster, until it can be connected to.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::choose_point::database;
use super::copy::{self, Copy};
use super::plan::{Planned, plan};
use super::point::{Point, Promise};
use super::recoverable::{Rpo, Since, rpo};
use super::source::DatabaseDescription;
use super::wanted::family;
use super::{cost, exposure, wait};
use crate::aws::{Change, ErrorKind, Resource};
use crate::estate::{Database, HostPort};
use crate::runbook::{Action, Argument, Context, Failure, Preview, Spec, ValueType};
use crate::store::Spent;
use crate::verify::Outcome;

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
                    about: "another class than the configuration's first, of those that it has",
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
            let planned = context.phase("preflight", Spent::Drctl, Box::pin(plan_for(context, arguments))).await?;
            let copy = Box::pin(restore(context, &planned)).await?;
            serde_json::to_value(copy).map_err(|error| Failure::from(anyhow::Error::new(error)))
        })
    }

    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>> {
        Box::pin(async {
            let planned = plan_for(context, arguments).await?;
            let first = planned.restores.first().into_iter();
            let changes = first.chain(planned.member.as_ref().and_then(|(_, changes)| changes.first()));
            let mut calls = Vec::new();
            for change in changes {
                calls.push(context.app.aws.preview(change).await?);
            }
            let mut notes = planned.notes.clone();
            if let [_, fallbacks @ ..] = planned.wanted.classes.as_slice()
                && !fallbacks.is_empty()
            {
                notes.push(format!("where AWS has no capacity of the class: {}", fallbacks.join(", ")));
            }
            notes.extend(cost::notes(planned.database, &planned.wanted));
            let endpoint = HostPort { host: "(known once restored)".to_owned(), port: 0 };
            let copy = Copy { endpoint, ..described(&planned) };
            let outputs = serde_json::to_value(copy).map_err(anyhow::Error::new)?;
            Ok(Preview { calls, notes, outputs })
        })
    }
}

async fn plan_for<'c>(context: &'c Context<'_>, arguments: &Map<String, Value>) -> Result<Planned<'c>, Failure> {
    let point = arguments.get("point").cloned().unwrap_or_default();
    let point: Point = serde_json::from_value(point).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    let database: &Database = database(context, &point.target)?;
    let given = arguments.get("instance_class").and_then(Value::as_str).map(str::to_owned);
    Box::pin(plan(context.app, context.run, database, point, given)).await
}

/// What is known of a copy before it is there.
fn described(planned: &Planned<'_>) -> Copy {
    Copy {
        target: planned.database.id.clone(),
        id: planned.resource.id.clone(),
        member: planned.member.as_ref().map(|(resource, _)| resource.id.clone()),
        endpoint: HostPort { host: String::new(), port: 0 },
        point: planned.point.clone(),
        master_username: planned.point.master_username.clone(),
        source: planned.source.clone(),
        differences: Vec::new(),
        rpo_seconds: None,
        rpo_reason: None,
        backups_are_off: false,
        promises: Vec::new(),
        storage_initializing: false,
    }
}

/// Makes something and waits until it can be used. Where AWS has no room for a class, the next one is tried.
fn made_ready<'a>(
    context: &'a Context<'a>,
    resource: &'a Resource,
    changes: &'a [Change],
) -> BoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        for (at, change) in changes.iter().enumerate() {
            match context.make(resource.clone(), change.clone()).await {
                Err(failure) if at + 1 < changes.len() && is_short_of_capacity(&failure) => {
                    tracing::warn!(run.id = %context.run.id, error = failure.message(), "trying the next class");
                }
                made => {
                    made?;
                    break;
                }
            }
        }
        wait::until_ready(context, resource).await
    })
}

fn is_short_of_capacity(failure: &Failure) -> bool {
    let error = failure.error.downcast_ref::<crate::aws::Error>();
    error.is_some_and(|error| error.kind == ErrorKind::Capacity)
}

async fn restore(context: &Context<'_>, planned: &Planned<'_>) -> Result<Copy, Failure> {
    context.phase("restore", Spent::Aws, made_ready(context, &planned.resource, &planned.restores)).await?;
    if let Some((resource, changes)) = &planned.member {
        context.phase("instance", Spent::Aws, made_ready(context, resource, changes)).await?;
    }
    let aws = &context.app.aws;
    let copy = DatabaseDescription::read(aws, planned.database, &planned.resource.id).await?;
    let copy = copy.ok_or_else(|| Failure::from(anyhow::anyhow!("AWS does not show `{}`", planned.resource.id)))?;
    let untold = exposure::check(context.app, planned.database, &planned.resource.id, &copy).await?;
    // A tunnel needs no endpoint.
    let endpoint = copy.endpoint.clone().or_else(|| planned.database.test.connect.clone());
    let endpoint = endpoint
        .ok_or_else(|| Failure::from(anyhow::anyhow!("AWS gives no endpoint for `{}`", planned.resource.id)))?;
    let source = DatabaseDescription::read(aws, planned.database, &planned.database.id).await?;
    let differences = match &source {
        Some(source) => copy::compare(aws, source, &copy).await?,
        None => Vec::new(),
    };
    let loads =
        |status: &str| matches!(status.to_ascii_lowercase().as_str(), "initializing" | "storage-initialization");
    let storage_initializing = copy.storage_operation.as_deref().is_some_and(loads) || loads(&copy.status);
    let since = Since::of(source.as_ref(), context.app.clock.now());
    let again = rpo(source.as_ref(), &since);
    Ok(Copy {
        endpoint,
        master_username: copy.master_username.clone().or_else(|| planned.point.master_username.clone()),
        differences,
        rpo_seconds: if let Rpo::Measured { seconds, .. } = &again { Some(*seconds) } else { None },
        backups_are_off: again == Rpo::BackupsAreOff,
        rpo_reason: if let Rpo::Unknown(reason) = again { Some(reason) } else { None },
        promises: same_engine(&planned.point, &copy).into_iter().chain(untold).collect(),
        storage_initializing,
        ..described(planned)
    })
}

fn is_of_family(engine: &str, of_backup: &str, of_copy: &str) -> bool {
    family(engine, of_backup) == family(engine, of_copy)
}

/// Whether AWS restored what was backed up: it may restore a major version that is past its support as a newer one.
fn same_engine(point: &Point, copy: &DatabaseDescription) -> Option<Promise> {
    let version = point.engine_version.as_deref()?;
    if is_of_family(&point.engine, version, &copy.engine_version) {
        return None;
    }
    Some(Promise {
        name: "engine version".to_owned(),
        outcome: Outcome::Failed,
        found: format!("the backup is of {version}, and AWS restored it as {}", copy.engine_version),
        fix: Some("upgrade the source before AWS does so in the middle of a recovery".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_another_major_version_proves_another_engine() {
        let judged = |engine: &str, of_backup: &str, of_copy: &str| is_of_family(engine, of_backup, of_copy);
        assert!(judged("postgres", "15.3", "15.12") && judged("mysql", "8.0.35", "8.0.41"));
        assert!(!judged("postgres", "13.20", "14.17") && !judged("mysql", "8.0.41", "8.4.4"));
        assert!(!judged("aurora-mysql", "5.7.mysql_aurora.2.11.5", "8.0.mysql_aurora.3.04.0"));
    }
}
