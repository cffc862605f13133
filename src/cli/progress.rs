//! Progress on standard error: a live line for each target on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::output;
use crate::context::{Reporter, RunEvent};
use crate::store::RunState;
use crate::verify::{Check, Outcome};
use crate::{duration, text};

/// How often a live line is drawn anew.
const TICK: Duration = Duration::from_millis(120);
/// Columns of the spinner, and of the last column, which stays free: a terminal may break the line there.
const MARGIN: usize = 3;
/// The width where nobody can tell.
const DEFAULT_WIDTH: usize = 80;

/// A reporter for standard error.
pub(super) fn reporter() -> Reporter {
    if output::stderr_width().is_some() { live() } else { plain() }
}

/// A reporter for verbs that show nothing on the way.
pub(super) fn silent() -> Reporter {
    Reporter::new(|_, _| {})
}

/// A reporter for a log: starts, ends, and checks that did not pass.
pub(super) fn logged() -> Reporter {
    Reporter::new(|target, event| match event {
        RunEvent::Began { run_id, .. } => tracing::info!(target, run.id = run_id, "restore test started"),
        RunEvent::Checked(check) if check.outcome != Outcome::Passed => {
            tracing::warn!(
                target,
                check = check.name,
                expected = check.expected,
                actual = check.actual,
                "check did not pass"
            );
        }
        other => tracing::debug!(target, event = describe(other), "progress"),
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
            format!("run {run_id} started; the RTO objective is {}", duration::show(*objective))
        }
        RunEvent::Queued => "waiting for another test to end".to_owned(),
        RunEvent::Step { number, total, id } => format!("step {number} of {total}: {id}"),
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

/// Written by events, read by whoever draws.
type SharedLine = Arc<Mutex<Line>>;

/// What one target's line shows.
#[derive(Debug, Default)]
struct Line {
    target: String,
    objective: Duration,
    is_queued: bool,
    /// `2/3`.
    step: String,
    phase: String,
    /// What AWS says, with the resource and without it.
    status: [String; 2],
    ended: Option<(RunState, String)>,
}

impl Line {
    fn apply(&mut self, event: &RunEvent) {
        self.is_queued = matches!(event, RunEvent::Queued);
        match event {
            RunEvent::Began { objective, .. } => self.objective = *objective,
            RunEvent::Queued => {}
            RunEvent::Step { number, total, .. } => self.step = format!("{number}/{total}"),
            RunEvent::Phase(name) => {
                self.phase.clone_from(name);
                self.status = Default::default();
            }
            RunEvent::Status { resource, status } => {
                self.status = [format!("{} is {status}", resource.id), status.clone()];
            }
            RunEvent::Checked(check) => {
                let short = format!("{}: {}", check.name, check.outcome.name());
                self.status = [short.clone(), short];
            }
            RunEvent::Ended { state, reason } => self.ended = Some((*state, text::clean(reason))),
        }
    }

    /// As much as fits: what matters less is left out as a whole, never cut inside a word.
    fn show(&self, elapsed: Duration, width: usize) -> String {
        let target = text::clean_to(&self.target, width);
        if let Some((state, reason)) = &self.ended {
            let outcome = state.name().to_uppercase();
            let shown = fit(width, &target, &[&[&outcome]]);
            let left = width.saturating_sub(shown.chars().count() + 2);
            return format!("{shown}  {}", text::clip(reason, left)).trim_end().to_owned();
        }
        if self.is_queued {
            return fit(width, &target, &[&["waiting for another test to end", "queued"]]);
        }
        let whole_seconds = duration::show(Duration::from_secs(elapsed.as_secs()));
        let time = format!("{whole_seconds} of {}", duration::show(self.objective));
        let step = format!("{} {}", self.step, self.phase);
        let [status, short_status] = &self.status;
        fit(width, &target, &[&[step.trim(), &self.step], &[&time, &whole_seconds], &[status, short_status]])
    }
}

/// `start` and what fits of the parts behind it: of each the first of its forms that there is room for.
fn fit(width: usize, start: &str, parts: &[&[&str]]) -> String {
    let mut line = start.to_owned();
    for forms in parts {
        let left = width.saturating_sub(line.chars().count() + 2);
        if let Some(form) = forms.iter().find(|form| !form.is_empty() && form.chars().count() <= left) {
            line = format!("{line}  {form}");
        }
    }
    line
}

fn live() -> Reporter {
    let lines: Mutex<BTreeMap<String, (ProgressBar, SharedLine)>> = Mutex::default();
    let all = MultiProgress::new();
    Reporter::new(move |target, event| {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (bar, line) = lines.entry(target.to_owned()).or_insert_with(|| new_line(&all, target));
        line.lock().unwrap_or_else(PoisonError::into_inner).apply(event);
        match event {
            RunEvent::Began { .. } => bar.reset_elapsed(),
            RunEvent::Checked(check) if check.outcome != Outcome::Passed => {
                let _ = all.println(finding(target, check));
            }
            RunEvent::Ended { .. } => bar.finish(),
            _ => {}
        }
    })
}

/// A check that did not pass stays above the live lines.
fn finding(target: &str, check: &Check) -> String {
    let line = format!("{target}: {} {}: {}", mark(check.outcome).trim_end(), check.name, check.actual);
    text::wrap(&line, width(), 2)
}

fn width() -> usize {
    output::stderr_width().unwrap_or(DEFAULT_WIDTH)
}

fn new_line(all: &MultiProgress, target: &str) -> (ProgressBar, SharedLine) {
    let bar = all.add(ProgressBar::new_spinner());
    let line = Arc::new(Mutex::new(Line { target: target.to_owned(), ..Line::default() }));
    let shown = Arc::clone(&line);
    // The width is asked for each time: a window may change its size.
    let draw = move |state: &ProgressState, out: &mut dyn Write| {
        let line = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let text = line.show(state.elapsed(), width().saturating_sub(MARGIN));
        let _ = out.write_str(&coloured(&text, line.ended.as_ref().map(|(state, _)| *state)));
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {line}") {
        bar.set_style(style.with_key("line", draw));
    }
    bar.enable_steady_tick(TICK);
    (bar, line)
}

/// The outcome in its colour, where standard error shows any.
fn coloured(text: &str, state: Option<RunState>) -> String {
    match state {
        Some(state) if output::stderr_has_colours() => {
            let name = state.name().to_uppercase();
            text.replacen(&name, &output::paint(&name, state), 1)
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Resource, ResourceKind};

    fn line() -> Line {
        let mut line = Line { target: "bookstore-postgres".to_owned(), ..Line::default() };
        let resource = Resource {
            kind: ResourceKind::DbInstance,
            id: "drctl-bookstore-postgres-01k8abcdefgh".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        for event in [
            RunEvent::Began { run_id: "01K8".to_owned(), objective: Duration::from_mins(15) },
            RunEvent::Step { number: 2, total: 3, id: "copy".to_owned() },
            RunEvent::Phase("restore".to_owned()),
            RunEvent::Status { resource, status: "creating".to_owned() },
        ] {
            line.apply(&event);
        }
        line
    }

    #[test]
    fn what_fits_is_shown_and_no_word_is_cut() {
        let (line, elapsed) = (line(), Duration::from_millis(80_400));
        assert_eq!(
            line.show(elapsed, 117),
            "bookstore-postgres  2/3 restore  1m 20s of 15m  drctl-bookstore-postgres-01k8abcdefgh is creating"
        );
        assert_eq!(line.show(elapsed, 77), "bookstore-postgres  2/3 restore  1m 20s of 15m  creating");
        assert_eq!(line.show(elapsed, 40), "bookstore-postgres  2/3 restore  1m 20s");
        assert_eq!(line.show(elapsed, 24), "bookstore-postgres  2/3");
        assert_eq!(line.show(elapsed, 10), "bookstore…");
    }

    #[test]
    fn the_end_and_the_queue_are_shown_at_any_width() {
        let mut line = line();
        line.apply(&RunEvent::Queued);
        assert_eq!(line.show(Duration::ZERO, 77), "bookstore-postgres  waiting for another test to end");
        assert_eq!(line.show(Duration::ZERO, 30), "bookstore-postgres  queued");
        let reason = "3 of 6 checks failed: `rows`, `content`, `orders are fresh`".to_owned();
        line.apply(&RunEvent::Ended { state: RunState::Failed, reason });
        assert_eq!(line.show(Duration::ZERO, 60), "bookstore-postgres  FAILED  3 of 6 checks failed: `rows`, …");
        assert_eq!(line.show(Duration::ZERO, 26), "bookstore-postgres  FAILED");
        for width in 1..120 {
            assert!(line.show(Duration::ZERO, width).chars().count() <= width, "{width}");
        }
    }
}
