//! From a report to what each channel is told of it.

use jiff::Timestamp;

use super::decide::{Decision, NotifyReason, decide_cleanup, decide_verdict};
use super::message::{Finding, Message, ReasonName, cut};
use crate::duration::show_seconds;
use crate::estate::{Estate, Event, Transport};
use crate::report::TestReport;
use crate::store::{Alert, AlertCheck, AlertTransition, AlertsBefore, OutboxMessage, RunState};
use crate::verify::Outcome;

const NOTHING_TO_DO: &str = "no action needed";

/// What people are told of a test, given what was wrong before: of its verdict, and of what it left behind. Neither has a say
/// in the other.
///
/// # Errors
/// Where a message could not be put in writing.
pub fn compose(
    estate: &Estate,
    report: &TestReport,
    at: Timestamp,
    simulated: bool,
    before: &AlertsBefore,
) -> anyhow::Result<AlertTransition> {
    let mut told = AlertTransition::default();
    for (check, decision) in decisions(report, at, before) {
        if decision.tell.is_some() {
            let message = message(estate, report, at, simulated, check, &decision)?;
            told.messages.extend(outgoing(estate, report, &message, check, &decision, before.fencing_token)?);
        }
        told.alerts.extend(decision.alert);
    }
    Ok(told)
}

fn decisions(report: &TestReport, at: Timestamp, before: &AlertsBefore) -> [(AlertCheck, Decision); 2] {
    let was = |check: AlertCheck| before.alerts.iter().find(|alert| alert.check == check);
    let of_test = was(AlertCheck::RestoreTest);
    let verdict = match &report.verdict {
        // What an older run has found was told then, or says nothing about the newest backup.
        Some(verdict) if before.is_newest => verdict.outcome,
        _ => RunState::Interrupted,
    };
    [
        (AlertCheck::RestoreTest, decide_verdict(of_test, &report.run_id, verdict, at, !before.had_ended)),
        (
            AlertCheck::Cleanup,
            decide_cleanup(
                was(AlertCheck::Cleanup),
                &report.run_id,
                report.outcome == RunState::Stuck,
                before.others_are_stuck,
                at,
            ),
        ),
    ]
}

/// The message, to each channel that listens.
fn outgoing(
    estate: &Estate,
    report: &TestReport,
    message: &Message,
    check: AlertCheck,
    decision: &Decision,
    epoch: i64,
) -> anyhow::Result<Vec<OutboxMessage>> {
    let text = serde_json::to_string(message)?;
    let alert = decision.about.as_ref().map(Alert::key).unwrap_or_default();
    let prefix = match check {
        AlertCheck::RestoreTest => report.run_id.clone(),
        AlertCheck::Cleanup => format!("{}-{check}", report.run_id),
    };
    let listening = estate.channels.iter().filter(|channel| channel.on.contains(&message.event));
    let told = listening.filter(|channel| !matches!(channel.way, Transport::Heartbeat { .. }));
    let of_channel = |channel: &crate::estate::Channel| OutboxMessage {
        id: format!("{prefix}-{}-{}-{epoch}", message.event.name(), channel.name),
        channel: channel.name.clone(),
        alert: alert.clone(),
        message: text.clone(),
    };
    Ok(told.map(of_channel).collect())
}

fn message(
    estate: &Estate,
    report: &TestReport,
    at: Timestamp,
    simulated: bool,
    check: AlertCheck,
    decision: &Decision,
) -> anyhow::Result<Message> {
    let (event, because) = decision.tell.ok_or_else(|| anyhow::anyhow!("there is nothing to tell"))?;
    let bad = report.checks.iter().filter(|check| check.outcome != Outcome::Passed);
    let findings =
        bad.map(|check| Finding { name: cut(&check.name), expected: cut(&check.expected), actual: cut(&check.actual) });
    let is_good = matches!(event, Event::Passed | Event::Recovered);
    let otherwise = || if is_good { NOTHING_TO_DO } else { "read the full report" }.to_owned();
    let (summary, findings, measured, next) = match (check, &report.verdict) {
        (AlertCheck::Cleanup, _) if event == Event::Recovered => {
            let summary = format!("Everything that was created to test {} is deleted", report.target);
            (summary, Vec::new(), Vec::new(), NOTHING_TO_DO.to_owned())
        }
        (AlertCheck::RestoreTest, Some(verdict)) => (
            format!("Restore test of {}: {}", report.target, verdict.reason),
            findings.collect(),
            measured(report),
            verdict.hint.clone().unwrap_or_else(otherwise),
        ),
        _ => (
            format!("Restore test of {}: {}", report.target, report.reason),
            Vec::new(),
            Vec::new(),
            report.hint.clone().unwrap_or_else(otherwise),
        ),
    };
    Ok(Message {
        event,
        because: match because {
            NotifyReason::IsNew => ReasonName::First,
            NotifyReason::IsStillSo => ReasonName::Still,
            NotifyReason::HasChanged(_) => ReasonName::Changed,
            NotifyReason::HasRecovered(_) => ReasonName::Recovered,
            NotifyReason::IsInOrder => ReasonName::Passed,
        },
        estate: estate.name.clone(),
        environment: estate.environment.clone(),
        target: report.target.clone(),
        check: check.name().to_owned(),
        run_id: report.run_id.clone(),
        incident: decision.about.as_ref().map(Alert::key),
        since: decision.about.as_ref().map(|alert| alert.since),
        at,
        summary: cut(&summary),
        findings,
        measured,
        next: cut(&next),
        simulated,
        timezone: estate.timezone.iana_name().map(str::to_owned),
    })
}

fn measured(report: &TestReport) -> Vec<String> {
    let line = |name: &str, measured: Option<f64>, objective: f64| match measured {
        Some(measured) => format!("{name} {} of {}", show_seconds(measured), show_seconds(objective)),
        None => format!("{name} not measured; the objective is {}", show_seconds(objective)),
    };
    vec![
        line("RTO", report.rto.measured_seconds, report.rto.objective_seconds),
        line("RPO", report.rpo.measured_seconds, report.rpo.objective_seconds),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::VerdictReport;

    const VERDICTS: [RunState; 5] =
        [RunState::Passed, RunState::Failed, RunState::Unknown, RunState::Refused, RunState::Interrupted];

    /// A run of one target, in the order in which they were started.
    #[derive(Clone, Copy, Debug)]
    struct Story {
        verdict: RunState,
        is_stuck: bool,
        has_ended: bool,
    }

    fn report(number: usize, run: Story) -> TestReport {
        let verdict = VerdictReport { outcome: run.verdict, reason: "because".to_owned(), hint: None };
        let document = serde_json::json!({
            "run_id": format!("run{number}"), "target": "db", "kind": "rds-mysql",
            "outcome": if run.is_stuck { RunState::Stuck } else { run.verdict },
            "reason": "because", "verdict": verdict, "started_at": "2026-11-20T00:00:00Z", "point": null,
            "rto": { "objective_seconds": 1.0, "measured_seconds": null, "met": null, "aws_seconds": 0.0,
                     "verify_seconds": 0.0, "drctl_seconds": 0.0 },
            "rpo": { "objective_seconds": 1.0, "measured_seconds": null, "met": null, "basis": "" },
            "phases": [], "checks": [], "resources": [], "cleanup": "complete",
        });
        serde_json::from_value(document).unwrap()
    }

    /// What the store would hand over when run `number` ends.
    fn before(runs: &[Story], number: usize, alerts: &[Alert]) -> AlertsBefore {
        let others = || runs.iter().enumerate().filter(|(other, run)| *other != number && run.has_ended);
        AlertsBefore {
            alerts: alerts.to_vec(),
            is_newest: others().all(|(other, _)| other < number),
            had_ended: runs[number].has_ended,
            others_are_stuck: others().any(|(_, run)| run.is_stuck),
            fencing_token: 1,
        }
    }

    proptest::proptest! {
        /// Whatever order runs of a target end in, are stuck in, and are cleaned up in.
        #[test]
        fn neither_alert_mutes_or_ends_the_other_and_each_end_follows_its_beginning(
            stories in proptest::collection::vec((0..VERDICTS.len(), proptest::bool::ANY), 1..6),
            order in proptest::collection::vec(0..6_usize, 1..24),
        ) {
            let mut runs: Vec<Story> = stories
                .iter()
                .map(|(verdict, is_stuck)| Story { verdict: VERDICTS[*verdict], is_stuck: *is_stuck, has_ended: false })
                .collect();
            let mut alerts: Vec<Alert> = Vec::new();
            let mut told: BTreeMap<(AlertCheck, String), Vec<Event>> = BTreeMap::new();
            for (second, number) in (0..).zip(order) {
                let number = number % runs.len();
                if runs[number].has_ended {
                    // Reaping: the verdict stands, and what was left is gone.
                    if !runs[number].is_stuck {
                        continue;
                    }
                    runs[number].is_stuck = false;
                }
                let given = before(&runs, number, &alerts);
                let report = report(number, runs[number]);
                runs[number].has_ended = true;
                let mut left = Vec::new();
                for (check, decision) in decisions(&report, Timestamp::from_second(second).unwrap(), &given) {
                    if let (Some((event, _)), Some(about)) = (decision.tell, &decision.about) {
                        told.entry((check, about.key())).or_default().push(event);
                    }
                    left.extend(decision.alert);
                }
                alerts = left;
                // What is wrong is what the newest verdict and the leftovers say, each by itself.
                let is_firing = |check| alerts.iter().any(|alert| alert.check == check);
                let has_verdict = |run: &&Story| run.has_ended && run.verdict != RunState::Interrupted;
                if let Some(newest) = runs.iter().rev().find(|run| run.has_ended).filter(has_verdict) {
                    proptest::prop_assert_eq!(is_firing(AlertCheck::RestoreTest), newest.verdict != RunState::Passed);
                }
                let any_left = runs.iter().any(|run| run.has_ended && run.is_stuck);
                proptest::prop_assert_eq!(is_firing(AlertCheck::Cleanup), any_left);
            }
            for (key, events) in told {
                // Told once that it began, and nothing after the end; of one that goes on, no end.
                let ends = events.iter().filter(|event| **event == Event::Recovered).count();
                let goes_on = alerts.iter().any(|alert| (alert.check, alert.key()) == key);
                proptest::prop_assert_eq!(ends, usize::from(!goes_on), "{:?}: {:?}", key, events);
                proptest::prop_assert_eq!(events.iter().position(|event| *event == Event::Recovered).unwrap_or(events.len() - 1), events.len() - 1);
                proptest::prop_assert!(events.len() > ends, "an end without a beginning: {:?}", events);
                let repeats = events.windows(2).filter(|pair| pair[0] == pair[1]).count();
                proptest::prop_assert_eq!(repeats, 0, "{:?} was told twice: {:?}", key, events);
            }
        }
    }
}
