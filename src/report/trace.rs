//! A run as a trace: the run is the root, its phases are the children. OTLP's JSON form.
//!
//! Source: the OpenTelemetry protocol's specification, "JSON Protobuf Encoding": ids in hexadecimal, times as decimal
//! texts of nanoseconds, enums as numbers.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::TestReport;
use crate::store::RunState;

const SPAN_KIND_INTERNAL: u8 = 1;
const STATUS_OK: u8 = 1;
const STATUS_ERROR: u8 = 2;

/// What `POST /v1/traces` takes.
#[must_use]
pub fn trace(report: &TestReport, estate: &str, environment: &str) -> Value {
    // A run's id is a ULID: 128 bits, as many as a trace's.
    let id = ulid::Ulid::from_string(&report.run_id).map_or(0, |id| id.0);
    let root = format!("{:016x}", low_bits(id) | 1);
    let ends = report.phases.iter().map(|phase| after(phase.started_at, phase.seconds));
    let ended_at = ends.max().unwrap_or(report.started_at);
    let mut attributes = vec![
        text("drctl.run_id", &report.run_id),
        text("drctl.target", &report.target),
        text("drctl.kind", &report.kind),
        text("drctl.outcome", report.outcome.name()),
        text("drctl.reason", &report.reason),
        number("drctl.rto.objective_seconds", report.rto.objective_seconds),
        number("drctl.rpo.objective_seconds", report.rpo.objective_seconds),
    ];
    attributes.extend(report.rto.measured_seconds.map(|seconds| number("drctl.rto.measured_seconds", seconds)));
    attributes.extend(report.rpo.measured_seconds.map(|seconds| number("drctl.rpo.measured_seconds", seconds)));
    let passed = report.outcome == RunState::Passed;
    let mut spans = vec![span(id, &root, None, "restore-test", (report.started_at, ended_at), passed, attributes)];
    for (at, phase) in report.phases.iter().enumerate() {
        let own = format!("{:016x}", low_bits(id).wrapping_add(2 + 2 * at as u64));
        let times = (phase.started_at, after(phase.started_at, phase.seconds));
        let attributes = vec![number("drctl.worked_seconds", phase.worked_seconds)];
        spans.push(span(id, &own, Some(&root), &phase.name, times, phase.outcome == "passed", attributes));
    }
    let mut resource = vec![
        text("service.name", "drctl"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("drctl.estate", estate),
    ];
    resource.extend((!environment.is_empty()).then(|| text("deployment.environment.name", environment)));
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "drctl" }, "spans": spans }],
    }] })
}

#[expect(clippy::cast_possible_truncation, reason = "half of the bits name a span")]
fn low_bits(id: u128) -> u64 {
    id as u64
}

fn span(
    trace: u128,
    id: &str,
    parent: Option<&str>,
    name: &str,
    (from, until): (Timestamp, Timestamp),
    passed: bool,
    attributes: Vec<Value>,
) -> Value {
    json!({
        "traceId": format!("{trace:032x}"), "spanId": id, "parentSpanId": parent.unwrap_or_default(), "name": name,
        "kind": SPAN_KIND_INTERNAL, "startTimeUnixNano": from.as_nanosecond().to_string(),
        "endTimeUnixNano": until.as_nanosecond().to_string(), "attributes": attributes,
        "status": { "code": if passed { STATUS_OK } else { STATUS_ERROR } },
    })
}

fn after(at: Timestamp, seconds: f64) -> Timestamp {
    SignedDuration::try_from_secs_f64(seconds).ok().and_then(|gone| at.checked_add(gone).ok()).unwrap_or(at)
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: f64) -> Value {
    json!({ "key": key, "value": { "doubleValue": value } })
}
