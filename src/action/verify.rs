//! `database.verify`: credentials, connection, and every check. Reads only, but for the copy's password.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::choose_point::database;
use super::copy::Copy;
use super::exposure;
use super::point::Point;
use super::source::DatabaseDescription;
use crate::aws::{Aws, Change, Error, ErrorKind, Status, judge_status, resolve_previous_secret, resolve_secret};
use crate::context::RunEvent;
use crate::deadline::Deadline;
use crate::estate::Database;
use crate::runbook::{Action, Argument, Context, Failure, Preview, Spec, ValueType};
use crate::store::{RunState, Spent};
use crate::verify::{Baseline, Check, CheckKind, ConnectionSettings, Outcome, Plan, Verification, verify};

const PASSWORD_CHARS: usize = 32;
/// Between two looks at a password change.
const PASSWORD_PAUSE: Duration = Duration::from_secs(3);
/// How long a password change may take.
const PASSWORD_LIMIT: Duration = Duration::from_mins(10);

/// See the module.
pub(super) struct Verify;

/// What the step yields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyOutput {
    /// How the checks ended, taken together.
    pub outcome: Outcome,
    /// That in words.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Every check.
    pub checks: Vec<Check>,
    /// What the next run is compared with; absent where an older point was proved than the last time.
    pub facts: Option<Baseline>,
    /// The point that was proved.
    pub point: Point,
}

impl Action for Verify {
    fn spec(&self) -> Spec {
        Spec {
            name: "database.verify",
            about: "connects to a copy and checks its data",
            arguments: &[Argument { name: "copy", kind: ValueType::Copy, required: true, about: "what to check" }],
            output: ValueType::Proof,
            fields: &["outcome", "reason", "checks"],
        }
    }

    fn perform<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async {
            let (copy, database) = parse(context, arguments)?;
            private(context, database, &copy).await?;
            let password =
                context.phase("credentials", Spent::Aws, Box::pin(credentials(context, database, &copy))).await?;
            let proof =
                context.phase("verify", Spent::Verify, Box::pin(prove(context, database, &copy, password))).await?;
            let proved = sum_up(proof, copy.point);
            serde_json::to_value(proved).map_err(|error| Failure::from(anyhow::Error::new(error)))
        })
    }

    fn preview<'a>(
        &'a self,
        context: &'a Context<'a>,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<Preview, Failure>> {
        Box::pin(async {
            let (copy, database) = parse(context, arguments)?;
            let mut preview = Preview { outputs: Value::Object(Map::new()), ..Preview::default() };
            if database.test.password.is_none() {
                let password = SecretString::from(String::new());
                let change = Change::SetPassword { kind: database.kind, id: copy.id.clone(), password };
                preview.calls.push(context.app.aws.preview(&change).await?);
            }
            let names: Vec<_> = database.test.checks.iter().map(|check| format!("`{}`", check.name)).collect();
            let own = if names.is_empty() { String::new() } else { format!(", and {}", names.join(", ")) };
            let user = username(database, &copy).unwrap_or_else(|| "the master user".to_owned());
            preview.notes.push(format!("connect as `{user}` and check catalog, rows, structure, content{own}"));
            preview.notes.push(format!("remove `{}` and everything that belongs to it", copy.id));
            Ok(preview)
        })
    }
}

fn parse<'c>(context: &'c Context<'_>, arguments: &Map<String, Value>) -> Result<(Copy, &'c Database), Failure> {
    let copy = arguments.get("copy").cloned().unwrap_or_default();
    let copy: Copy = serde_json::from_value(copy).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    let database = database(context, &copy.target)?;
    Ok((copy, database))
}

/// Who connects: whom the configuration names, else the master user.
fn username(database: &Database, copy: &Copy) -> Option<String> {
    database.test.username.clone().or_else(|| copy.master_username.clone())
}

/// A copy that can be reached from the internet is not connected to. Looked at again: it may have been changed.
async fn private(context: &Context<'_>, database: &Database, copy: &Copy) -> Result<(), Failure> {
    match DatabaseDescription::read(&context.app.aws, database, &copy.id).await? {
        Some(found) => exposure::check(context.app, database, &copy.id, &found).await.map(drop),
        None => {
            let message = format!("`{}` is gone", copy.id);
            Err(Failure::failed(message, "somebody deleted the copy: look at CloudTrail"))
        }
    }
}

/// The password of the snapshot's time, or a new one that only this process ever knows.
async fn credentials(context: &Context<'_>, database: &Database, copy: &Copy) -> Result<SecretString, Failure> {
    let aws = &context.app.aws;
    if let Some(reference) = &database.test.password {
        return resolve_secret(aws, reference)
            .await
            .map_err(|error| Failure::new(RunState::Refused, error, "correct `password` in the configuration"));
    }
    let password: String = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS).map(char::from).collect();
    let password = SecretString::from(password);
    let change = Change::SetPassword { kind: database.kind, id: copy.id.clone(), password: password.clone() };
    let mut deadline = Deadline::new(&context.app.clock, PASSWORD_LIMIT);
    while deadline.allows_retry() {
        match context.apply(change.clone()).await {
            Ok(()) => {
                wait_for_password(context, database, copy).await?;
                return Ok(password);
            }
            Err(error) if error.kind == ErrorKind::State || error.is_transient() => {
                context.app.clock.sleep(PASSWORD_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let message = format!("`{}` does not take a new password", copy.id);
    Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), "give `password` in the configuration instead"))
}

async fn wait_for_password(context: &Context<'_>, database: &Database, copy: &Copy) -> Result<(), Failure> {
    let (aws, clock) = (&context.app.aws, &context.app.clock);
    let mut deadline = Deadline::new(clock, PASSWORD_LIMIT);
    let mut seen = String::new();
    while deadline.allows_retry() {
        seen = match password_of(aws, database, copy).await {
            Ok(Some((status, false))) if judge_status(&status) == Status::Ready => return Ok(()),
            Ok(Some((status, _))) if judge_status(&status) == Status::Failed => {
                let message = format!("`{}` became `{status}` while its password was set", copy.id);
                return Err(Failure::failed(message, "look at its events, then run the test again"));
            }
            Ok(Some((status, _))) => format!("it does not take effect; the copy is `{status}`"),
            // AWS need not show at every look what is there.
            Ok(None) => "AWS does not show the copy any more: look at CloudTrail".to_owned(),
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        clock.sleep(PASSWORD_PAUSE).await;
    }
    let message = format!("`{}` was given a new password: {seen}", copy.id);
    Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), "give `password` in the configuration instead"))
}

/// The copy's status, and whether its new password is pending.
async fn password_of(aws: &Aws, database: &Database, copy: &Copy) -> Result<Option<(String, bool)>, Error> {
    Ok(if database.kind.is_cluster() {
        aws.cluster(database.kind, &copy.id).await?.map(|found| (found.status, found.password_pending))
    } else {
        aws.instance(&copy.id).await?.map(|found| (found.status, found.password_pending))
    })
}

/// Proves the copy. A secret that was rotated since the backup was made has its password as the version before.
async fn prove(
    context: &Context<'_>,
    database: &Database,
    copy: &Copy,
    password: SecretString,
) -> Result<Verification, Failure> {
    let proof = prove_with(context, database, copy, password).await?;
    let Some(reference) = database.test.password.as_ref().filter(|_| proof.credentials_refused) else {
        return Ok(proof);
    };
    match resolve_previous_secret(&context.app.aws, reference).await {
        Ok(Some(previous)) => {
            tracing::info!(run.id = %context.run.id, "the secret was rotated since: trying its previous version");
            let mut proof = prove_with(context, database, copy, previous).await?;
            if let Some(connect) = proof.checks.first_mut().filter(|check| check.outcome == Outcome::Passed) {
                connect.actual.push_str("; with the secret's previous version, since it was rotated after the backup");
            }
            Ok(proof)
        }
        Ok(None) => Ok(proof),
        Err(error) => {
            tracing::warn!(run.id = %context.run.id, error = format!("{error:#}"), "no previous version of the secret");
            Ok(proof)
        }
    }
}

async fn prove_with(
    context: &Context<'_>,
    database: &Database,
    copy: &Copy,
    password: SecretString,
) -> Result<Verification, Failure> {
    let test = &database.test;
    let app = context.app;
    let baseline = app.store.baseline(app.scope(), &database.id).await?;
    let baseline: Option<Baseline> = baseline.and_then(|(_, facts)| serde_json::from_value(facts).ok());
    let baseline = baseline.filter(|_| !context.run.update_baseline);
    let username = username(database, copy).ok_or_else(|| {
        let message = format!("AWS does not say who the master user of `{}` is", copy.id);
        Failure::refused(message, "add `username` under `[database.restore_test]`")
    })?;
    let login = ConnectionSettings {
        protocol: database.kind.protocol(),
        address: test.connect.clone().unwrap_or_else(|| copy.endpoint.clone()),
        tls: test.tls,
        tunnelled: test.connect.is_some(),
        certificate_name: copy.endpoint.host.clone(),
        ca: app.ca(database),
        username,
        password,
        database: test.database.clone(),
        fresh_password: test.password.is_none(),
        on_command: None,
    };
    let left = context.run.deadline_at.duration_since(app.clock.now());
    let plan = Plan {
        point: copy.point.taken_at,
        baseline,
        point_id: copy.point.id.clone(),
        row_tolerance: test.row_tolerance,
        content: test.content,
        checks: test.checks.clone(),
        large_rows: Plan::LARGE_ROWS,
        connections: Plan::CONNECTIONS,
        // A little earlier than the deadline, so that what was found by then is told.
        deadline: Duration::try_from(left).unwrap_or_default().mul_f64(0.9).max(Duration::from_secs(1)),
    };
    let tell = |check: &Check| context.emit(&RunEvent::Checked(check.clone()));
    Ok(verify(&login, &Arc::new(plan), &app.clock, &tell).await)
}

fn sum_up(proof: Verification, point: Point) -> VerifyOutput {
    let total = proof.checks.len();
    let outcome = proof.checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Unknown);
    let worst: Vec<&Check> = proof.checks.iter().filter(|check| check.outcome == outcome).collect();
    let names: Vec<_> = worst.iter().map(|check| format!("`{}`", check.name)).collect();
    let reason = match outcome {
        Outcome::Passed => format!("all {total} checks passed"),
        Outcome::Failed => format!("{} of {total} checks failed: {}", worst.len(), names.join(", ")),
        Outcome::Unknown => format!("{} of {total} checks could not run: {}", worst.len(), names.join(", ")),
    };
    let hint = match outcome {
        Outcome::Passed => None,
        // Where the stored data is damaged, that explains whatever else failed.
        _ => {
            let structure = worst.iter().filter(|check| check.kind == CheckKind::Structure);
            structure.chain(&worst).find_map(|check| check.fix.clone())
        }
    };
    VerifyOutput { outcome, reason, hint, checks: proof.checks, facts: proof.facts, point }
}
