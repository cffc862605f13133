//! Traces to a collector, by OTLP over HTTP with JSON. A trace that is not taken is not sent again: the run is in the
//! store.

use secrecy::{ExposeSecret, SecretString};

use super::http::{self, DeliveryError};
use crate::context::AppContext;
use crate::report::{TestReport, trace};

/// Sends a run to a collector such as `http://127.0.0.1:4318`.
///
/// # Errors
/// Where the collector did not take it.
pub async fn export(app: &AppContext, collector: &SecretString, report: &TestReport) -> Result<(), DeliveryError> {
    let estate = &app.estate;
    let url = format!("{}/v1/traces", collector.expose_secret().trim_end_matches('/'));
    let request = http::post(&url)?.json(&trace(report, &estate.name, &estate.environment));
    http::send(request, app.clock.now()).await.map(drop)
}
