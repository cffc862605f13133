//! `/metrics`, `/healthz` and `/readyz`.

use std::collections::VecDeque;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::handle::EstateHandle;
use super::metrics;
use crate::text;

/// Connections at a time. One more ends the oldest: a request that is meant takes moments.
const MAX_CONNECTIONS: usize = 64;
/// Until a request's head is there.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Until the answer is taken. A connection serves one request.
const DONE_WITHIN: Duration = Duration::from_secs(30);
/// After a failure to take a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// How long answers that are under way may take once the daemon stops.
const GOODBYE: Duration = Duration::from_secs(2);

type All = Arc<RwLock<Vec<EstateHandle>>>;

/// Serves until `stop`. Whoever reaches the port can ask, but not keep others from asking.
pub async fn serve(listener: TcpListener, watched: All, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(watched);
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::with_capacity(MAX_CONNECTIONS);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        open.retain(|connection| !connection.is_finished());
        match accepted {
            Ok((stream, _)) => {
                if open.len() == MAX_CONNECTIONS {
                    open.pop_front();
                }
                open.push_back(AbortOnDropHandle::new(tokio::spawn(serve_one(stream, router.clone()))));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    let rest = async {
        for connection in open {
            let _ = connection.await;
        }
    };
    let _ = timeout(GOODBYE, rest).await;
}

async fn serve_one(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(DONE_WITHIN, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection broke off"),
        Err(_) => tracing::debug!("an answer was not taken in time"),
    }
}

fn all(watched: &All) -> Vec<EstateHandle> {
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
    answer(all(&watched).iter().map(|one| (one, one.health.status().alive)).collect())
}

/// Whether the agents can do their work: credentials, network, state.
async fn readyz(State(watched): State<All>) -> Response {
    answer(all(&watched).iter().map(|one| (one, one.health.status().trouble.is_empty())).collect())
}

fn answer(standings: Vec<(&EstateHandle, bool)>) -> Response {
    let well = !standings.is_empty() && standings.iter().all(|(_, well)| *well);
    let estates: serde_json::Map<String, serde_json::Value> =
        standings.iter().map(|(one, _)| (one.estate.name.clone(), json!(one.health.status()))).collect();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // What AWS said of a trouble is in it, and people look at it with curl.
    let body = text::plain_json(&json!({ "ok": well, "estates": estates }).to_string());
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
