//! Progress on standard error: a live line for each target on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output;
use crate::context::{Reporter, RunEvent};
use crate::duration;
use crate::store::RunState;
use crate::verify::Outcome;

/// How often a live line is drawn anew.
const TICK: Duration = Duration::from_millis(120);

/// A reporter for standard error.
pub(super) fn reporter() -> Reporter {
    if output::colours(&std::io::stderr()) || std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        live()
    } else {
        plain()
    }
}

/// A reporter for verbs that show nothing on the way.
pub(super) fn silent() -> Reporter {
    Reporter::new(|_, _| {})
}

/// A reporter for a log: beginnings, ends, and checks that are not in order.
pub(super) fn logged() -> Reporter {
    Reporter::new(|database, event| match event {
        RunEvent::Began { run_id, .. } => tracing::info!(database, run.id = run_id, "a test is under way"),
        RunEvent::Checked(check) if check.outcome != Outcome::Passed => {
            tracing::warn!(
                database,
                check = check.name,
                expected = check.expected,
                actual = check.actual,
                "not in order"
            );
        }
        other => tracing::debug!(database, event = describe(other), "progress"),
    })
}

fn plain() -> Reporter {
    Reporter::new(|target, event| {
        output::status(&format!("{target}: {}", describe(event)));
    })
}

/// A line for a log.
fn describe(event: &RunEvent) -> String {
    match event {
        RunEvent::Began { run_id, objective } => {
            format!("run {run_id} began; the objective is {}", duration::show(*objective))
        }
        RunEvent::Phase(name) => format!("{name} ..."),
        RunEvent::Status { resource, status } => format!("{} is {status}", resource.id),
        RunEvent::Checked(check) => format!("{} {}: {}", mark(check.outcome), check.name, check.actual),
        RunEvent::Ended { state, reason } => format!("{}: {reason}", state.name().to_uppercase()),
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok     ",
        Outcome::Failed => "FAILED ",
        Outcome::Unknown => "unknown",
    }
}

/// What one target's line shows.
struct Line {
    bar: ProgressBar,
    phase: String,
    status: String,
    objective: Duration,
}

fn live() -> Reporter {
    let lines: Arc<Mutex<BTreeMap<String, Line>>> = Arc::default();
    let all = MultiProgress::new();
    Reporter::new(move |target, event| {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(target.to_owned()).or_insert_with(|| new_line(&all, target));
        match event {
            RunEvent::Began { objective, .. } => line.objective = *objective,
            RunEvent::Phase(name) => {
                line.phase.clone_from(name);
                line.status.clear();
            }
            RunEvent::Status { resource, status } => line.status = format!("{} is {status}", resource.id),
            RunEvent::Checked(check) => {
                line.status = format!("{}: {}", check.name, check.outcome.name());
                if check.outcome != Outcome::Passed {
                    let _ = all.println(format!("{target}: {} {}: {}", mark(check.outcome), check.name, check.actual));
                }
            }
            RunEvent::Ended { state, reason } => {
                let text = format!("{} {}", coloured(*state), crate::text::clean(reason));
                line.bar.finish_with_message(text);
                return;
            }
        }
        let text = format!("{:<12} {}  (objective {})", line.phase, line.status, duration::show(line.objective));
        line.bar.set_message(text);
    })
}

fn new_line(all: &MultiProgress, target: &str) -> Line {
    let bar = all.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<22} {elapsed:>5} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(target.to_owned());
    bar.enable_steady_tick(TICK);
    Line { bar, phase: String::new(), status: String::new(), objective: Duration::ZERO }
}

fn coloured(state: RunState) -> String {
    let name = state.name().to_uppercase();
    if output::colours(&std::io::stderr()) { output::paint(&name, state) } else { name }
}
