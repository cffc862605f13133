//! From a report to what each channel is told of it.

use super::decide::{Because, Decision, decide};
use super::message::{Finding, Message, Reason, cut};
use crate::duration::show_seconds;
use crate::estate::{Estate, Way};
use crate::report::TestReport;
use crate::store::{Before, Outgoing, RunState, Told};
use crate::verify::Outcome;

/// What people are told of a test, given what was wrong before.
///
/// # Errors
/// Where a message could not be put in writing.
pub fn compose(
    estate: &Estate,
    report: &TestReport,
    at: jiff::Timestamp,
    simulated: bool,
    before: &Before,
) -> anyhow::Result<Told> {
    let Before { incident, standing, epoch } = before;
    let mut decision = decide(incident.as_ref(), &report.run_id, *standing, at);
    let of_another_run = *standing != report.outcome;
    if of_another_run && (*standing != RunState::Passed || incident.is_none()) {
        // What is wrong, or in order, is another run's finding, and was told then.
        decision.tell = None;
    }
    let mut messages = Vec::new();
    if let Some((event, _)) = decision.tell {
        let message = serde_json::to_string(&message(estate, report, at, simulated, &decision)?)?;
        let listening = estate.channels.iter().filter(|channel| channel.on.contains(&event));
        for channel in listening.filter(|channel| !matches!(channel.way, Way::Ping { .. })) {
            let id = format!("{}-{}-{}-{epoch}", report.run_id, event.name(), channel.name);
            messages.push(Outgoing { id, channel: channel.name.clone(), message: message.clone() });
        }
    }
    Ok(Told { incident: decision.incident, messages })
}

fn message(
    estate: &Estate,
    report: &TestReport,
    at: jiff::Timestamp,
    simulated: bool,
    decision: &Decision,
) -> anyhow::Result<Message> {
    let (event, because) = decision.tell.ok_or_else(|| anyhow::anyhow!("there is nothing to tell"))?;
    let bad = report.checks.iter().filter(|check| check.outcome != Outcome::Passed);
    let findings =
        bad.map(|check| Finding { name: cut(&check.name), expected: cut(&check.expected), actual: cut(&check.actual) });
    Ok(Message {
        event,
        because: match because {
            Because::IsNew => Reason::First,
            Because::IsStillSo => Reason::Still,
            Because::HasChanged(_) => Reason::Changed,
            Because::HasRecovered(_) => Reason::Recovered,
            Because::IsInOrder => Reason::Passed,
        },
        estate: estate.name.clone(),
        environment: estate.environment.clone(),
        target: report.target.clone(),
        run_id: report.run_id.clone(),
        incident: decision.about.as_ref().map(|incident| incident.run_id.clone()),
        since: decision.about.as_ref().map(|incident| incident.since),
        at,
        summary: cut(&format!("Restore test of {}: {}", report.target, report.reason)),
        findings: findings.collect(),
        measured: measured(report),
        next: cut(&report
            .hint
            .clone()
            .unwrap_or_else(|| format!("`drctl runs show {}` has the whole report", report.run_id))),
        simulated,
    })
}

fn measured(report: &TestReport) -> Vec<String> {
    let line = |name: &str, measured: Option<f64>, objective: f64| match measured {
        Some(measured) => format!("{name} {} of {}", show_seconds(measured), show_seconds(objective)),
        None => format!("{name} not measured; {} is promised", show_seconds(objective)),
    };
    vec![
        line("RTO", report.rto.measured_seconds, report.rto.objective_seconds),
        line("RPO", report.rpo.measured_seconds, report.rpo.objective_seconds),
    ]
}
