//! PagerDuty's Events API v2: one alert for each incident of a target, which it opens, adds to, and resolves.

use serde_json::{Value, json};

use super::message::{Message, ReasonName, cut_to};
use crate::estate::Event;

const SUMMARY_CHARS: usize = 1024;
const DEDUP_KEY_CHARS: usize = 255;
/// Stands in keys where the estate names no environment.
const UNNAMED_ENVIRONMENT: &str = "prod";

/// What PagerDuty is sent; `None` for what is no alert's business.
pub(super) fn payload(message: &Message, routing_key: &str) -> Option<Value> {
    // The incident, not the message: what is sent twice is one alert, and an end that comes late ends no other.
    let incident = message.incident.as_deref().unwrap_or(&message.run_id);
    // Alerts that an earlier version has opened are ended by the key that they were opened with.
    let environment = if message.environment.is_empty() { UNNAMED_ENVIRONMENT } else { &message.environment };
    let key = format!("drctl/{}/{environment}/{}/{incident}", message.estate, message.target);
    let key = cut_to(&key, DEDUP_KEY_CHARS);
    let action = match (message.event, message.because) {
        (_, ReasonName::Test) => "trigger",
        (Event::Recovered, _) => "resolve",
        (Event::Passed, _) => return None,
        _ => "trigger",
    };
    let severity = match (message.event, message.because) {
        (_, ReasonName::Test) => "info",
        (Event::Failed, _) => "critical",
        (Event::Stuck, _) => "error",
        _ => "warning",
    };
    let findings: Vec<Value> = message
        .findings
        .iter()
        .map(|finding| json!({ "name": finding.name, "expected": finding.expected, "found": finding.actual }))
        .collect();
    Some(json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": key,
        "client": "drctl",
        "payload": {
            "summary": cut_to(&format!("{}: {}", message.title(), message.summary), SUMMARY_CHARS),
            "source": message.target,
            "severity": severity,
            "timestamp": message.at.to_string(),
            "component": message.target,
            "group": message.estate,
            "class": "restore-test",
            "custom_details": {
                "context": message.context(), "findings": findings, "measured": message.measured,
                "next": message.next, "run_id": message.run_id,
            },
        },
    }))
}
