//! Runs steps in order, journals before and after each, and undoes a drill whatever happened.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::action::{Action, Context, Environment, Happening, Registry, RunInfo};
use super::document::{Runbook, RunbookKind, Step};
use super::failure::Failure;
use super::ledger::Ledger;
use super::removal::Remover;
use super::template::{self, Scope};
use crate::aws::{Resource, ResourceKind};
use crate::estate::DatabaseKind;
use crate::store::{Entry, RunState};

/// Between two tries of a step.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Why a run passed.
const PASSED: &str = "every check passed";

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How.
    pub state: RunState,
    /// Why.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What each step yielded.
    pub outputs: Map<String, Value>,
    /// What drctl made and could not remove, with the reason.
    pub remains: Vec<(Resource, String)>,
    /// Until when the copy stays, where it does.
    pub kept_until: Option<Timestamp>,
    /// How long this process took before it began to undo, in this machine's seconds.
    pub worked_seconds: f64,
}

/// A judgement on the steps: how the run stands before anything is undone.
struct Verdict {
    state: RunState,
    reason: String,
    hint: Option<String>,
}

/// Everything about a run that does not change while it is at work.
#[derive(Debug)]
pub struct Run<'r> {
    /// The estate and the way to it.
    pub environment: &'r Environment,
    /// Which run this is.
    pub info: &'r RunInfo,
    /// What the run restores.
    pub kind: DatabaseKind,
    /// How long a proved copy stays.
    pub keep_for: Duration,
    /// The journal.
    pub ledger: &'r Ledger,
}

/// Runs a runbook, from where its journal stands to a verdict, and undoes a drill.
///
/// # Errors
/// None: whatever happens is a way to end. What could not be journalled is part of the reason.
pub async fn execute(run: &Run<'_>, runbook: &Runbook, registry: &Registry, inputs: &Map<String, Value>) -> Finished {
    let watch = run.environment.clock.stopwatch();
    let mut scope = Scope::new();
    scope.insert("inputs".to_owned(), Value::Object(inputs.clone()));
    let verdict = match earlier_failure(&run.ledger.entries()) {
        Some(verdict) => verdict,
        None => go_forward(run, runbook, registry, &mut scope).await,
    };
    let worked_seconds = watch.worked_seconds();
    scope.remove("inputs");
    // A recovery keeps what stands, whatever the verdict: half a recovery is more than none.
    let product_stays = match (runbook.kind, verdict.state) {
        (RunbookKind::Recovery, _) => Some(Timestamp::MAX),
        (RunbookKind::Drill, RunState::Passed) if !run.keep_for.is_zero() => run.info.expires_at,
        _ => None,
    };
    let finished = Finished {
        state: verdict.state,
        reason: verdict.reason,
        hint: verdict.hint,
        outputs: scope,
        remains: Vec::new(),
        kept_until: product_stays,
        worked_seconds,
    };
    match product_stays {
        Some(until) => keep(run, finished, until).await,
        None => undo(run, finished).await,
    }
}

/// Ends a run whose process is gone, without going on with its steps: a drill is undone, a recovery keeps what stands.
///
/// What the run had found before its process died stands: a copy that was seen to be damaged stays damaged.
pub async fn unwind(run: &Run<'_>, runbook: &Runbook, reason: &str) -> Finished {
    let history = run.ledger.entries();
    let mut outputs = Map::new();
    let mut verdict = earlier_failure(&history);
    let mut open_steps = false;
    for step in &runbook.steps {
        match outputs_of(&history, &step.id) {
            Earlier::Done(found) => {
                verdict = verdict.or_else(|| judged(&found));
                outputs.insert(step.id.clone(), found);
            }
            Earlier::Skipped => {}
            Earlier::Open => open_steps = true,
        }
    }
    let verdict = verdict.unwrap_or_else(|| match open_steps {
        true => Verdict { state: RunState::Interrupted, reason: reason.to_owned(), hint: None },
        false => Verdict { state: RunState::Passed, reason: PASSED.to_owned(), hint: None },
    });
    let kept_until = (runbook.kind == RunbookKind::Recovery).then_some(Timestamp::MAX);
    let finished = Finished {
        state: verdict.state,
        reason: verdict.reason,
        hint: verdict.hint,
        outputs,
        remains: Vec::new(),
        kept_until,
        worked_seconds: 0.0,
    };
    match kept_until {
        Some(until) => keep(run, finished, until).await,
        None => undo(run, finished).await,
    }
}

/// A run that has failed before goes on with undoing, not with its steps.
fn earlier_failure(history: &[(Timestamp, Entry)]) -> Option<Verdict> {
    history.iter().find_map(|(_, entry)| match entry {
        Entry::StepFailed { outcome, error, hint, .. } => {
            let state = RunState::parse(outcome).unwrap_or(RunState::Unknown);
            Some(Verdict { state, reason: error.clone(), hint: hint.clone() })
        }
        _ => None,
    })
}

async fn go_forward(run: &Run<'_>, runbook: &Runbook, registry: &Registry, scope: &mut Scope) -> Verdict {
    let history = run.ledger.entries();
    for step in &runbook.steps {
        let outputs = match outputs_of(&history, &step.id) {
            Earlier::Done(outputs) => outputs,
            Earlier::Skipped => continue,
            Earlier::Open => match take(run, step, registry, scope).await {
                Ok(Some(outputs)) => outputs,
                Ok(None) => continue,
                Err(failure) => return give_up(run, step, failure).await,
            },
        };
        let verdict = judged(&outputs);
        scope.insert(step.id.clone(), outputs);
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
    Verdict { state: RunState::Passed, reason: PASSED.to_owned(), hint: None }
}

enum Earlier {
    Done(Value),
    Skipped,
    Open,
}

fn outputs_of(history: &[(Timestamp, Entry)], id: &str) -> Earlier {
    for (_, entry) in history {
        match entry {
            Entry::StepDone { step, outputs } if step == id => return Earlier::Done(outputs.clone()),
            Entry::StepSkipped { step } if step == id => return Earlier::Skipped,
            _ => {}
        }
    }
    Earlier::Open
}

/// A step that yields an outcome other than passed ends the way forward: nobody builds on an unproved copy.
fn judged(outputs: &Value) -> Option<Verdict> {
    let outcome = outputs.get("outcome")?.as_str()?;
    if outcome == RunState::Passed.name() {
        return None;
    }
    let text = |key: &str| outputs.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Verdict {
        state: RunState::parse(outcome).unwrap_or(RunState::Unknown),
        reason: text("reason").unwrap_or_else(|| outcome.to_owned()),
        hint: text("hint"),
    })
}

/// Performs a step; `None` where its `when` does not hold.
async fn take(run: &Run<'_>, step: &Step, registry: &Registry, scope: &Scope) -> Result<Option<Value>, Failure> {
    if let Some(when) = &step.when
        && !template::holds(when, scope)?
    {
        run.ledger.record(&Entry::StepSkipped { step: step.id.clone() }).await?;
        return Ok(None);
    }
    let action = registry.iter().find(|action| action.spec().name == step.action);
    let action =
        action.ok_or_else(|| Failure::refused(format!("`{}` is not known", step.action), "lint the runbook"))?;
    let arguments = template::resolve(&Value::Object(step.arguments.clone()), scope)?;
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    run.ledger.record(&Entry::StepStarted { step: step.id.clone(), action: step.action.clone() }).await?;
    let outputs = perform(run, step, action.as_ref(), &arguments).await?;
    run.ledger.record(&Entry::StepDone { step: step.id.clone(), outputs: outputs.clone() }).await?;
    Ok(Some(outputs))
}

async fn perform(
    run: &Run<'_>,
    step: &Step,
    action: &dyn Action,
    arguments: &Map<String, Value>,
) -> Result<Value, Failure> {
    let context = Context { environment: run.environment, run: run.info, step: &step.id, ledger: run.ledger };
    let clock = &run.environment.clock;
    let own = step.deadline.and_then(|deadline| clock.now().checked_add(SignedDuration::try_from(deadline).ok()?).ok());
    let deadline_at = own.map_or(run.info.deadline_at, |own| own.min(run.info.deadline_at));
    if clock.now() >= deadline_at {
        let message = format!("the deadline had passed before step `{}` could begin", step.id);
        return Err(Failure::new(RunState::Unknown, anyhow::anyhow!("{message}"), "start a new test"));
    }
    let mut tries_left = step.retries;
    loop {
        let result = tokio::select! {
            biased;
            () = run.environment.cancel.cancelled() => return Err(interrupted()),
            () = clock.sleep_until(deadline_at) => return Err(too_late(step, run, deadline_at)),
            result = action.perform(&context, arguments) => result,
        };
        match result {
            #[cfg(debug_assertions)]
            Ok(_) if super::fault::repeat_steps() => return action.perform(&context, arguments).await,
            Err(failure) if failure.transient && tries_left > 0 => {
                tries_left -= 1;
                tracing::warn!(run.id = %run.info.id, step = %step.id, error = %failure.message(), "trying again");
                clock.sleep(RETRY_PAUSE).await;
            }
            other => return other,
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(RunState::Interrupted, anyhow::anyhow!("interrupted"), "run it again when you are ready")
}

fn too_late(step: &Step, run: &Run<'_>, deadline_at: Timestamp) -> Failure {
    let took = deadline_at.duration_since(run.info.started_at).as_secs_f64();
    let message = format!("step `{}` was not done within {}", step.id, crate::duration::show_seconds(took));
    Failure::failed(
        message,
        "look at the status and events above; if AWS was only slow, raise `deadline` (the target's, or the step's)",
    )
}

async fn give_up(run: &Run<'_>, step: &Step, failure: Failure) -> Verdict {
    // "Refused" says that nothing was done.
    let made_something = run.ledger.entries().iter().any(|(_, entry)| matches!(entry, Entry::Intended { .. }));
    let state = match failure.state {
        RunState::Refused if made_something => RunState::Unknown,
        state => state,
    };
    let verdict = Verdict { state, reason: failure.message(), hint: failure.hint.clone() };
    let entry = Entry::StepFailed {
        step: step.id.clone(),
        outcome: state.name().to_owned(),
        error: verdict.reason.clone(),
        hint: failure.hint,
    };
    record_anyway(run, &entry).await;
    verdict
}

/// While undoing, a journal that cannot be written must not keep anything from being removed.
async fn record_anyway(run: &Run<'_>, entry: &Entry) {
    if let Err(failure) = run.ledger.record(entry).await {
        tracing::error!(run.id = %run.info.id, error = failure.message(), "failed to write to the journal");
    }
}

async fn keep(run: &Run<'_>, finished: Finished, until: Timestamp) -> Finished {
    for resource in run.ledger.standing() {
        record_anyway(run, &Entry::Kept { resource, until }).await;
    }
    record_anyway(run, &Entry::Ended { state: finished.state.name().to_owned() }).await;
    finished
}

/// A cluster cannot go before its instances: what could not be removed of it stands in the way.
fn in_the_way<'r>(resource: &Resource, remains: &'r [(Resource, String)]) -> Option<&'r str> {
    let member = remains.iter().find(|(other, _)| other.kind == ResourceKind::DbInstance);
    member.filter(|_| resource.kind == ResourceKind::DbCluster).map(|(other, _)| other.id.as_str())
}

async fn undo(run: &Run<'_>, mut finished: Finished) -> Finished {
    run.ledger.settle().await;
    let standing = run.ledger.standing();
    if !standing.is_empty() {
        run.environment.reporter.tell(&run.info.target, &Happening::Phase("remove".to_owned()));
    }
    let target = run.info.target.as_str();
    let remover = Remover { environment: run.environment, run_id: &run.info.id, kind: run.kind, target };
    for resource in standing {
        let removed = match in_the_way(&resource, &finished.remains) {
            Some(member) => Err(anyhow::anyhow!("not tried: `{member}` of it is still there")),
            None => {
                record_anyway(run, &Entry::Removing { resource: resource.clone() }).await;
                remover.remove(&resource).await
            }
        };
        match removed {
            Ok(()) => record_anyway(run, &Entry::Removed { resource }).await,
            Err(error) => {
                let error = format!("{error:#}");
                let entry = Entry::RemovalFailed { resource: resource.clone(), error: error.clone() };
                record_anyway(run, &entry).await;
                finished.remains.push((resource, error));
            }
        }
    }
    if let Some((resource, error)) = finished.remains.first() {
        finished.state = RunState::Stuck;
        finished.reason = format!("`{}` is still there: {error} (before that: {})", resource.id, finished.reason);
        finished.hint = Some(format!("try `drctl reap`, or by hand: `{}`", resource.removal_command()));
    }
    record_anyway(run, &Entry::Ended { state: finished.state.name().to_owned() }).await;
    finished
}
