//! `/metrics`, `/healthz` and `/readyz`.

use std::sync::{Arc, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics;
use super::watched::Watched;

type All = Arc<RwLock<Vec<Watched>>>;

/// Serves until `stop`.
///
/// # Errors
/// Where the listener breaks.
pub async fn serve(listener: TcpListener, watched: All, stop: CancellationToken) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(watched);
    Ok(axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await?)
}

fn all(watched: &All) -> Vec<Watched> {
    watched.read().map(|watched| watched.clone()).unwrap_or_default()
}

async fn show_metrics(State(watched): State<All>) -> Response {
    match metrics::render(&all(&watched)).await {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

/// Whether the agents go round: what a supervisor restarts by.
async fn healthz(State(watched): State<All>) -> Response {
    answer(all(&watched).iter().map(|one| (one, one.health.standing().alive)).collect())
}

/// Whether the agents can do their work: credentials, network, state.
async fn readyz(State(watched): State<All>) -> Response {
    answer(all(&watched).iter().map(|one| (one, one.health.standing().trouble.is_empty())).collect())
}

fn answer(standings: Vec<(&Watched, bool)>) -> Response {
    let well = !standings.is_empty() && standings.iter().all(|(_, well)| *well);
    let estates: serde_json::Map<String, serde_json::Value> =
        standings.iter().map(|(one, _)| (one.estate.name.clone(), json!(one.health.standing()))).collect();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ok": well, "estates": estates }))).into_response()
}
