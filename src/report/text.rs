//! Reports for a terminal. Plain text: whoever prints it adds colour.

use std::fmt::Write;

use super::model::{Cleanup, TestReport};
use crate::duration::show_seconds;
use crate::text::{clean, clean_to};

/// Characters of one line: a check's text with its name, or a list of names.
const LINE_CHARS: usize = 2000;

/// One test in full.
#[must_use]
pub fn test(report: &TestReport) -> String {
    let mut text = format!("{}  {}  {}\n", report.outcome.name().to_uppercase(), report.target, clean(&report.reason));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<8} {}", clean_to(&value, LINE_CHARS));
    };
    if let Some(point) = &report.point {
        let most = point.max_age_seconds.map_or_else(String::new, |most| format!(", at most {}", show_seconds(most)));
        let age = point.age_seconds.map_or_else(|| "of unknown age".to_owned(), |age| show_seconds(age) + " old");
        line("point", format!("{}, {age}{most}", point.id));
    }
    let objective = show_seconds(report.rto.objective_seconds);
    match report.rto.measured_seconds {
        Some(measured) => {
            let split = format!(
                "AWS {}, verification {}, drctl {}",
                show_seconds(report.rto.aws_seconds),
                show_seconds(report.rto.verify_seconds),
                show_seconds(report.rto.drctl_seconds)
            );
            line("RTO", format!("{} of {objective} ({split})", show_seconds(measured)));
            if !report.rto.omits.is_empty() {
                line("", format!("not measured: {}", report.rto.omits.join(", ")));
            }
        }
        None => line("RTO", format!("not measured, promised is {objective}")),
    }
    let objective = show_seconds(report.rpo.objective_seconds);
    match report.rpo.measured_seconds {
        Some(measured) => line("RPO", format!("{} of {objective} ({})", show_seconds(measured), basis(report))),
        None => {
            let why = report.rpo.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            line("RPO", format!("unknown, promised is {objective}{why}"));
        }
    }
    for check in &report.checks {
        line(check.outcome.name(), format!("{}: {}", check.name, check.actual));
        if check.outcome != crate::verify::Outcome::Passed {
            line("", format!("expected {}", check.expected));
        }
    }
    for difference in &report.differences {
        line("lacks", format!("{}: {} (source: {})", difference.setting, difference.copy, difference.source));
    }
    for promise in &report.promises {
        line(promise.outcome.name(), format!("{}: {}", promise.name, promise.found));
    }
    for note in &report.notes {
        line("note", note.clone());
    }
    match report.cleanup {
        Cleanup::Complete => {}
        Cleanup::Kept => line("kept", names(report, "kept")),
        Cleanup::Stuck => line("STUCK", names(report, "stuck")),
    }
    if let Some(hint) = &report.hint {
        line("hint", hint.clone());
    }
    text
}

/// What was measured, and what that says.
fn basis(report: &TestReport) -> String {
    let restored = report.rpo.basis == "point-in-time";
    let what = if restored { "point-in-time, restored" } else { "by LatestRestorableTime; PITR was not restored" };
    let clock = if report.rpo.clock == "host" { ", by this host's clock" } else { "" };
    format!("{what}{clock}")
}

fn names(report: &TestReport, state: &str) -> String {
    let of_state = report.resources.iter().filter(|resource| resource.state == state);
    of_state.map(|resource| resource.id.clone()).collect::<Vec<_>>().join(", ")
}

/// A line for each test, in columns.
#[must_use]
pub fn table(reports: &[TestReport]) -> String {
    let head = ["TARGET", "KIND", "OUTCOME", "RTO", "PROMISED", "RPO", "PROMISED", "CHECKS", "AGE OF POINT"];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|name| (*name).to_owned()).collect()];
    for report in reports {
        let passed = report.checks.iter().filter(|check| check.outcome == crate::verify::Outcome::Passed).count();
        let shown = |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), show_seconds);
        rows.push(vec![
            report.target.clone(),
            report.kind.clone(),
            report.outcome.name().to_owned(),
            shown(report.rto.measured_seconds),
            show_seconds(report.rto.objective_seconds),
            shown(report.rpo.measured_seconds),
            show_seconds(report.rpo.objective_seconds),
            format!("{passed}/{}", report.checks.len()),
            shown(report.point.as_ref().and_then(|point| point.age_seconds)),
        ]);
    }
    columns(&rows)
}

/// Rows in aligned columns.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
