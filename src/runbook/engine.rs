//! Runs steps in order, journals before and after each, and undoes a drill whatever happened.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::action::{Action, Context, Registry, RunInfo};
use super::document::{Runbook, RunbookKind, Step};
use super::failure::Failure;
use super::journal::Journal;
use super::removal::{Removal, Remover};
use super::template::{self, Scope};
use crate::aws::{Resource, ResourceKind};
use crate::context::{AppContext, RunEvent};
use crate::estate::DatabaseKind;
use crate::store::{Entry, RunState};

/// Between two tries of a step.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Why a run passed.
const PASSED: &str = "every check passed";

/// A judgement on the steps: how the run stands before anything is undone.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How.
    pub state: RunState,
    /// Why.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the steps have found, whatever became of the cleaning up.
    pub verdict: Verdict,
    /// What each step yielded.
    pub outputs: Map<String, Value>,
    /// What drctl made and could not remove.
    pub remains: Vec<Remaining>,
    /// Until when the copy stays, where it does.
    pub kept_until: Option<Timestamp>,
    /// How long this process took before it began to undo, in this machine's seconds.
    pub worked_seconds: f64,
}

/// Something that a run made and that is still there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remaining {
    /// What.
    pub resource: Resource,
    /// Why.
    pub reason: String,
    /// Whether it is in use, or looks so: then it stays until a person says otherwise.
    pub left_alone: bool,
    /// What AWS's answer asks for.
    pub advice: Option<String>,
}

impl Finished {
    /// How the run stands as a whole: what could not be removed outweighs everything.
    #[must_use]
    pub fn state(&self) -> RunState {
        if self.remains.is_empty() { self.verdict.state } else { RunState::Stuck }
    }

    /// What is still there, and why.
    #[must_use]
    pub fn leftover(&self) -> Option<Verdict> {
        let first = self.remains.first()?;
        let verb = if first.left_alone { "is left alone" } else { "is still there" };
        let reason = format!("`{}` {verb}: {}", first.resource.id, first.reason);
        Some(Verdict { state: RunState::Stuck, reason, hint: Some(first.hint()) })
    }
}

impl Remaining {
    /// What a person can do about it. Nobody is told to delete what people may be using.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { resource, .. } = self;
        match self.left_alone {
            true => format!(
                "if people use it, `drctl keep {id}`; if nobody does, undo that (deletion protection: `{unprotect}`), \
                 then `drctl reap`",
                id = resource.id,
                unprotect = resource.unprotect_command()
            ),
            false => {
                let first = self.advice.as_ref().map_or_else(String::new, |advice| format!("{advice}; then "));
                format!("{first}try `drctl reap`, or by hand: `{}`", resource.removal_command())
            }
        }
    }
}

/// Everything about a run that does not change while it is at work.
#[derive(Debug)]
pub struct Run<'r> {
    /// The estate and the way to it.
    pub app: &'r AppContext,
    /// Which run this is.
    pub info: &'r RunInfo,
    /// What the run restores.
    pub kind: DatabaseKind,
    /// How long a proved copy stays.
    pub keep_for: Duration,
    /// How long each part of a removal may take.
    pub removal_limit: Duration,
    /// The journal.
    pub journal: &'r Journal,
}

/// Runs a runbook, from where its journal stands to a verdict, and undoes a drill.
///
/// # Errors
/// None: whatever happens is a way to end. What could not be journalled is part of the reason.
pub async fn execute(run: &Run<'_>, runbook: &Runbook, registry: &Registry, inputs: &Map<String, Value>) -> Finished {
    let watch = run.app.clock.stopwatch();
    let mut scope = Scope::new();
    scope.insert("inputs".to_owned(), Value::Object(inputs.clone()));
    let verdict = match earlier_failure(&run.journal.entries()) {
        Some(verdict) => verdict,
        None => execute_steps(run, runbook, registry, &mut scope).await,
    };
    let worked_seconds = watch.worked_seconds();
    scope.remove("inputs");
    // A recovery keeps what stands, whatever the verdict: half a recovery is more than none.
    let product_stays = match (runbook.kind, verdict.state) {
        (RunbookKind::Recovery, _) => Some(Timestamp::MAX),
        (RunbookKind::Drill, state) if !run.keep_for.is_zero() && is_kept(run, state) => run.info.expires_at,
        _ => None,
    };
    let finished = Finished { verdict, outputs: scope, remains: Vec::new(), kept_until: product_stays, worked_seconds };
    match product_stays {
        Some(until) => keep(run, finished, until).await,
        None => undo(run, finished).await,
    }
}

/// Whether a drill's copy is worth keeping for a while.
fn is_kept(run: &Run<'_>, state: RunState) -> bool {
    let has_failed = matches!(state, RunState::Failed | RunState::Unknown);
    state == RunState::Passed || (has_failed && run.info.keep_failed)
}

/// Ends a run whose process is gone, without going on with its steps: a drill is undone, a recovery keeps what stands.
///
/// What the run had found before its process died stands: a copy that was seen to be damaged stays damaged.
pub async fn unwind(run: &Run<'_>, runbook: &Runbook, reason: &str) -> Finished {
    let history = run.journal.entries();
    let mut outputs = Map::new();
    let mut verdict = earlier_failure(&history);
    let mut open_steps = false;
    for step in &runbook.steps {
        match outputs_of(&history, &step.id) {
            StepStatus::Done(found) => {
                verdict = verdict.or_else(|| judged(&found));
                outputs.insert(step.id.clone(), found);
            }
            StepStatus::Skipped => {}
            StepStatus::Open => open_steps = true,
        }
    }
    let verdict = verdict.unwrap_or_else(|| match open_steps {
        true => Verdict { state: RunState::Interrupted, reason: reason.to_owned(), hint: None },
        false => passed(&outputs),
    });
    let kept_until = (runbook.kind == RunbookKind::Recovery).then_some(Timestamp::MAX);
    let finished = Finished { verdict, outputs, remains: Vec::new(), kept_until, worked_seconds: 0.0 };
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

async fn execute_steps(run: &Run<'_>, runbook: &Runbook, registry: &Registry, scope: &mut Scope) -> Verdict {
    let history = run.journal.entries();
    for (at, step) in runbook.steps.iter().enumerate() {
        let begun = RunEvent::Step { number: at + 1, total: runbook.steps.len(), id: step.id.clone() };
        run.app.reporter.emit(&run.info.target, &begun);
        let outputs = match outputs_of(&history, &step.id) {
            StepStatus::Done(outputs) => outputs,
            StepStatus::Skipped => continue,
            StepStatus::Open => match execute_step(run, step, registry, scope).await {
                Ok(Some(outputs)) => outputs,
                Ok(None) => continue,
                Err(failure) => return record_step_failure(run, step, failure).await,
            },
        };
        let verdict = judged(&outputs);
        scope.insert(step.id.clone(), outputs);
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
    passed(scope)
}

/// Every step is done. A run that has judged nothing has proved nothing.
fn passed(outputs: &Scope) -> Verdict {
    if outputs.iter().any(|(step, output)| step != "inputs" && output.get("outcome").is_some()) {
        return Verdict { state: RunState::Passed, reason: PASSED.to_owned(), hint: None };
    }
    let hint = "add a step with `action = \"database.verify\"` to the runbook, one that is not skipped".to_owned();
    Verdict { state: RunState::Unknown, reason: "no step has verified anything".to_owned(), hint: Some(hint) }
}

enum StepStatus {
    Done(Value),
    Skipped,
    Open,
}

fn outputs_of(history: &[(Timestamp, Entry)], id: &str) -> StepStatus {
    for (_, entry) in history {
        match entry {
            Entry::StepDone { step, outputs } if step == id => return StepStatus::Done(outputs.clone()),
            Entry::StepSkipped { step } if step == id => return StepStatus::Skipped,
            _ => {}
        }
    }
    StepStatus::Open
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
async fn execute_step(
    run: &Run<'_>,
    step: &Step,
    registry: &Registry,
    scope: &Scope,
) -> Result<Option<Value>, Failure> {
    if let Some(when) = &step.when
        && !template::holds(when, scope)?
    {
        run.journal.record(&Entry::StepSkipped { step: step.id.clone() }).await?;
        return Ok(None);
    }
    let action = registry.iter().find(|action| action.spec().name == step.action);
    let action =
        action.ok_or_else(|| Failure::refused(format!("`{}` is not known", step.action), "lint the runbook"))?;
    let arguments = template::resolve(&Value::Object(step.arguments.clone()), scope)?;
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    run.journal.record(&Entry::StepStarted { step: step.id.clone(), action: step.action.clone() }).await?;
    let outputs = perform(run, step, action.as_ref(), &arguments).await?;
    let done = Entry::StepDone { step: step.id.clone(), outputs };
    run.journal.record(&done).await?;
    let Entry::StepDone { outputs, .. } = done else { return Ok(None) };
    Ok(Some(outputs))
}

async fn perform(
    run: &Run<'_>,
    step: &Step,
    action: &dyn Action,
    arguments: &Map<String, Value>,
) -> Result<Value, Failure> {
    let context = Context { app: run.app, run: run.info, step: &step.id, journal: run.journal };
    let clock = &run.app.clock;
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
            () = run.app.cancel.cancelled() => return Err(interrupted()),
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

async fn record_step_failure(run: &Run<'_>, step: &Step, failure: Failure) -> Verdict {
    // "Refused" says that nothing was done.
    let made_something = run.journal.entries().iter().any(|(_, entry)| matches!(entry, Entry::Intended { .. }));
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
    run.journal.record_anyway(&run.info.id, &entry).await;
    verdict
}

async fn keep(run: &Run<'_>, finished: Finished, until: Timestamp) -> Finished {
    for resource in run.journal.outstanding_resources() {
        run.journal.record_anyway(&run.info.id, &Entry::Kept { resource, until }).await;
    }
    run.journal.record_anyway(&run.info.id, &Entry::Ended { state: finished.state().name().to_owned() }).await;
    finished
}

/// A cluster cannot go before its instances: what could not be removed of it stands in the way.
fn in_the_way<'r>(resource: &Resource, remains: &'r [Remaining]) -> Option<&'r Remaining> {
    let member = remains.iter().find(|other| other.resource.kind == ResourceKind::DbInstance);
    member.filter(|_| resource.kind == ResourceKind::DbCluster)
}

async fn undo(run: &Run<'_>, mut finished: Finished) -> Finished {
    run.journal.record_undecided(&run.info.id).await;
    let standing = run.journal.outstanding_resources();
    if !standing.is_empty() {
        run.app.reporter.emit(&run.info.target, &RunEvent::Phase("remove".to_owned()));
    }
    for resource in standing {
        let (entry, remaining) = undo_one(run, resource, &finished.remains).await;
        run.journal.record_anyway(&run.info.id, &entry).await;
        finished.remains.extend(remaining);
    }
    let ended = Entry::Ended { state: finished.state().name().to_owned() };
    run.journal.record_anyway(&run.info.id, &ended).await;
    finished
}

/// Removes one resource: what is journalled of that, and what of it remains.
async fn undo_one(run: &Run<'_>, resource: Resource, remains: &[Remaining]) -> (Entry, Option<Remaining>) {
    let remover = Remover {
        app: run.app,
        run_id: &run.info.id,
        kind: run.kind,
        target: &run.info.target,
        removal_limit: run.removal_limit,
        journal: Some(run.journal),
    };
    let removed = match in_the_way(&resource, remains) {
        Some(member) if member.left_alone => {
            Ok(Removal::LeftAlone(format!("its `{}` is left alone", member.resource.id)))
        }
        Some(member) => Err(anyhow::anyhow!("not tried: `{}` of it is still there", member.resource.id)),
        None => Box::pin(remover.remove(&resource, &run.journal.known(&resource))).await,
    };
    let remaining = |reason: &str, left_alone| {
        Some(Remaining { resource: resource.clone(), reason: reason.to_owned(), left_alone, advice: None })
    };
    match removed {
        Ok(Removal::Gone) => (Entry::Removed { resource }, None),
        Ok(Removal::NotOurs(reason)) => {
            tracing::warn!(run.id = %run.info.id, resource = %resource.id, reason, "not made by this run; not touched");
            (Entry::NotOurs { resource, reason }, None)
        }
        Ok(Removal::LeftAlone(reason)) => {
            let remaining = remaining(&reason, true);
            (Entry::LeftAlone { resource, reason }, remaining)
        }
        Err(error) => {
            let advice = error.downcast_ref::<crate::aws::Error>().map(crate::aws::Error::hint);
            let error = format!("{error:#}");
            let remaining = remaining(&error, false).map(|remaining| Remaining { advice, ..remaining });
            (Entry::RemovalFailed { resource, error }, remaining)
        }
    }
}
