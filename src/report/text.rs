//! Reports for a terminal. Plain text: whoever prints it adds colour and wraps it.

use std::fmt::Write;

use super::model::{Cleanup, KeptReport, TestReport};
use crate::duration::show_seconds;
use crate::text::{clean, clean_to};
use crate::verify::Outcome;

/// Characters of one line: a check's text with its name, or a list of names.
const LINE_CHARS: usize = 2000;
/// Settings that every copy has otherwise than its source: it is made to be thrown away.
const ALWAYS_DIFFERENT: [&str; 4] = ["Multi-AZ", "log exports", "deletion protection", "backup retention"];

/// How much a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What every copy has otherwise than its source is one line.
    Brief,
    /// Everything.
    Full,
}

/// One test in full.
#[must_use]
pub fn test(report: &TestReport, detail: Detail) -> String {
    let mut text = format!("{}  {}  {}\n", report.outcome.name().to_uppercase(), report.target, clean(&report.reason));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<8} {}", clean_to(&value, LINE_CHARS));
    };
    if let Some(point) = &report.point {
        let limit = point.max_age_seconds.map_or_else(String::new, |limit| format!(", limit {}", limit_of(limit)));
        let age = point.age_seconds.map_or_else(|| "of unknown age".to_owned(), |age| show_seconds(age) + " old");
        line("point", format!("{}, {age}{limit}", point.id));
    }
    measured(report, &mut line);
    for check in &report.checks {
        line(check.outcome.name(), format!("{}: {}", check.name, check.actual));
        if check.outcome != Outcome::Passed {
            line("", format!("expected {}", check.expected));
        }
    }
    differences(report, detail, &mut line);
    for promise in &report.promises {
        line(promise.outcome.name(), format!("{}: {}", promise.name, promise.found));
    }
    for note in &report.notes {
        line("note", note.clone());
    }
    match report.cleanup {
        Cleanup::Complete => {}
        Cleanup::Kept => kept(report, &mut line),
        Cleanup::Stuck => line("STUCK", names(report, "stuck")),
    }
    if let Some(hint) = &report.hint {
        line("hint", hint.clone());
    }
    text
}

/// Hours, as `max_snapshot_age = "26h"` is usually written.
fn limit_of(seconds: f64) -> String {
    let hours = seconds / 3600.0;
    if hours.fract() == 0.0 && (24.0..72.0).contains(&hours) { format!("{hours}h") } else { show_seconds(seconds) }
}

fn measured(report: &TestReport, line: &mut impl FnMut(&str, String)) {
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
        None => line("RTO", format!("not measured; the objective is {objective}")),
    }
    let objective = show_seconds(report.rpo.objective_seconds);
    match report.rpo.measured_seconds {
        Some(measured) => line("RPO", format!("{} of {objective} ({})", show_seconds(measured), basis(report))),
        None => {
            let why = report.rpo.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            line("RPO", format!("unknown; the objective is {objective}{why}"));
        }
    }
}

/// What was measured, and what that says.
fn basis(report: &TestReport) -> String {
    let restored = report.rpo.basis == "point-in-time";
    let what = if restored { "point-in-time, restored" } else { "by LatestRestorableTime; PITR was not restored" };
    let clock = if report.rpo.clock == "host" { ", by this host's clock" } else { "" };
    format!("{what}{clock}")
}

/// A recovery by hand would differ in the same settings.
fn differences(report: &TestReport, detail: Detail, line: &mut impl FnMut(&str, String)) {
    let is_usual = |setting: &str| detail == Detail::Brief && ALWAYS_DIFFERENT.contains(&setting);
    let (usual, others): (Vec<_>, Vec<_>) =
        report.differences.iter().partition(|difference| is_usual(&difference.setting));
    for difference in others {
        line("differs", format!("{}: {} (source: {})", difference.setting, difference.copy, difference.source));
    }
    if !usual.is_empty() {
        let names: Vec<_> = usual.iter().map(|difference| difference.setting.as_str()).collect();
        line("differs", format!("as every copy does: {} (`--verbose` shows how)", names.join(", ")));
    }
}

/// How long a copy stays, how to reach it, and how to remove it.
fn kept(report: &TestReport, line: &mut impl FnMut(&str, String)) {
    let resources = report.resources.iter().filter(|resource| resource.state == "kept");
    let resources: Vec<_> = resources.map(super::model::ResourceReport::resource).collect();
    let ids: Vec<_> = resources.iter().map(|resource| resource.id.as_str()).collect();
    let Some(KeptReport { until, endpoint, username, random_password }) = &report.kept else {
        return line("kept", ids.join(", "));
    };
    let until = until.as_ref().map_or_else(String::new, |until| format!("until {until}: "));
    line("kept", format!("{until}{}", ids.join(", ")));
    if let Some(endpoint) = endpoint {
        let user = username.as_ref().map_or_else(String::new, |user| format!(" as `{user}`"));
        line("", format!("endpoint {endpoint}{user}"));
    }
    // The cluster, where there is one, has the password; its instances go first.
    let (mut in_order, cluster) = (resources.clone(), resources.iter().max_by_key(|resource| resource.kind));
    in_order.sort_by_key(|resource| resource.kind);
    if let Some(owner) = cluster.filter(|_| *random_password) {
        line("", format!("nobody knows its password; set one: `{}`", owner.set_password_command()));
    }
    let commands: Vec<_> = in_order.iter().map(crate::aws::Resource::removal_command).collect();
    line("", format!("remove it now: `{}`", commands.join(" && ")));
}

fn names(report: &TestReport, state: &str) -> String {
    let of_state = report.resources.iter().filter(|resource| resource.state == state);
    of_state.map(|resource| resource.id.clone()).collect::<Vec<_>>().join(", ")
}

/// A line for each test, in columns. Where that is wider than `width`, the kinds go first; then each test has a line of
/// its own for what was measured.
#[must_use]
pub fn table(reports: &[TestReport], width: Option<usize>) -> String {
    let rows: Vec<[String; 9]> = reports.iter().map(row).collect();
    let head = ["TARGET", "KIND", "OUTCOME", "RTO", "OBJECTIVE", "RPO", "OBJECTIVE", "CHECKS", "POINT AGE"];
    let all: Vec<Vec<String>> =
        std::iter::once(head.map(str::to_owned)).chain(rows.iter().cloned()).map(Vec::from).collect();
    let fits = |text: &str| width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width));
    let wide = columns(&all);
    if fits(&wide) {
        return wide;
    }
    let without_kind = all.into_iter().map(|mut row| {
        row.remove(1);
        row
    });
    let narrow = columns(&without_kind.collect::<Vec<_>>());
    if fits(&narrow) {
        return narrow;
    }
    let stacked = rows.iter().map(|[target, _, outcome, rto, rto_objective, rpo, rpo_objective, checks, age]| {
        format!("{target}  {outcome}\n  RTO {rto} of {rto_objective}, RPO {rpo} of {rpo_objective}, checks {checks}, point {age} old\n")
    });
    stacked.collect()
}

fn row(report: &TestReport) -> [String; 9] {
    let passed = report.checks.iter().filter(|check| check.outcome == Outcome::Passed).count();
    let shown = |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), show_seconds);
    [
        report.target.clone(),
        report.kind.clone(),
        report.outcome.name().to_owned(),
        shown(report.rto.measured_seconds),
        show_seconds(report.rto.objective_seconds),
        shown(report.rpo.measured_seconds),
        show_seconds(report.rpo.objective_seconds),
        format!("{passed}/{}", report.checks.len()),
        shown(report.point.as_ref().and_then(|point| point.age_seconds)),
    ]
}

/// Rows in aligned columns.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(target: &str) -> TestReport {
        serde_json::from_value(serde_json::json!({
            "run_id": "01KAR", "target": target, "kind": "aurora-postgresql", "outcome": "passed", "reason": "every check passed",
            "started_at": "2026-11-20T00:00:00Z",
            "point": { "type": "snapshot", "id": "rds:shop", "taken_at": "2026-11-19T00:00:00Z", "age_seconds": 24780.0,
                       "max_age_seconds": 93600.0, "outcome": "passed" },
            "rto": { "objective_seconds": 900.0, "measured_seconds": 479.0, "met": true, "aws_seconds": 400.0,
                     "verify_seconds": 70.0, "drctl_seconds": 9.0 },
            "rpo": { "objective_seconds": 300.0, "measured_seconds": 223.0, "met": true, "basis": "" },
            "differences": [{ "setting": "Multi-AZ", "source": "on", "copy": "off" },
                            { "setting": "log exports", "source": "postgresql", "copy": "none" },
                            { "setting": "instance class", "source": "db.r6g.large", "copy": "db.t4g.medium" }],
            "phases": [], "checks": [], "cleanup": "kept",
            "resources": [{ "type": "db-instance", "id": "drctl-shop-1", "region": "eu-west-1", "state": "kept" },
                          { "type": "db-cluster", "id": "drctl-shop", "region": "eu-west-1", "state": "kept" }],
            "kept": { "until": "2026-11-20 14:05 GMT", "endpoint": "drctl-shop.rds.amazonaws.com:5432",
                      "username": "shop_admin", "random_password": true },
        }))
        .unwrap()
    }

    #[test]
    fn a_kept_copy_can_be_reached_and_removed() {
        let text = test(&report("shop"), Detail::Brief);
        for part in [
            "until 2026-11-20 14:05 GMT: drctl-shop-1, drctl-shop",
            "endpoint drctl-shop.rds.amazonaws.com:5432 as `shop_admin`",
            "set one: `aws rds modify-db-cluster --db-cluster-identifier drctl-shop --master-user-password",
            "`aws rds delete-db-instance --db-instance-identifier drctl-shop-1",
            "&& aws rds delete-db-cluster --db-cluster-identifier drctl-shop ",
            "limit 26h",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_every_copy_has_otherwise_is_one_line_unless_everything_is_asked_for() {
        let brief = test(&report("shop"), Detail::Brief);
        assert!(brief.contains("differs  instance class: db.t4g.medium (source: db.r6g.large)"), "{brief}");
        assert!(brief.contains("differs  as every copy does: Multi-AZ, log exports ("), "{brief}");
        let full = test(&report("shop"), Detail::Full);
        assert!(full.contains("differs  Multi-AZ: off (source: on)") && !full.contains("as every copy"), "{full}");
    }

    #[test]
    fn the_table_fits_whatever_the_width() {
        for (target, width) in
            [("bookstore-postgres", 120), ("bookstore-postgres", 90), ("bookstore-postgres-production", 80)]
        {
            let text = table(&[report(target), report("x")], Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert!(text.contains("7m 59s") && text.contains("15m") && text.contains("3m 43s"), "{text}");
        }
        assert!(table(&[report("x")], None).starts_with("TARGET  KIND"));
    }
}
