//! Keeps the dead man's switches quiet for as long as all is well: silence is what they are there to notice.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::health::Health;
use crate::context::AppContext;
use crate::estate::Transport;
use crate::notify::{HeartbeatState, address, send_heartbeat};

/// Until it is known how the agent stands, nothing is said.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Pings each switch at its interval until `stop`.
pub(super) async fn run(app: AppContext, health: Health, stop: CancellationToken) {
    let switches = app.estate.channels.iter().filter_map(|channel| match &channel.way {
        Transport::Heartbeat { url, every } => Some((channel.name.clone(), url.clone(), *every)),
        _ => None,
    });
    let pulses = switches.map(|(name, url, every)| {
        let (app, health) = (app.clone(), health.clone());
        async move {
            while !health.is_settled() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            loop {
                if let Err(error) = send(&app, &health, &url).await {
                    tracing::warn!(channel = name, %error, "the dead man's switch was not reached");
                }
                tokio::time::sleep(every).await;
            }
        }
    });
    let all = futures_util::future::join_all(pulses);
    if app.estate.channels.iter().any(|channel| matches!(channel.way, Transport::Heartbeat { .. })) {
        stop.run_until_cancelled(all).await;
    }
}

/// One pass: begin, look, and say how it is.
async fn send(
    app: &AppContext,
    health: &Health,
    url: &crate::estate::Address,
) -> Result<(), crate::notify::DeliveryError> {
    let url = address(app, url).await?;
    send_heartbeat(&url, &HeartbeatState::Start, app.clock.now()).await?;
    let mut trouble = health.status().trouble;
    match tokio::time::timeout(LOOK_TIMEOUT, app.store.stuck_runs(&app.estate.name)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(stuck)) => trouble.push(format!("{stuck} run(s) stuck: `drctl reap`")),
        Ok(Err(error)) => trouble.push(format!("state: {error:#}")),
        Err(_) => trouble.push("state: no answer".to_owned()),
    }
    let pulse = if trouble.is_empty() { HeartbeatState::Success } else { HeartbeatState::Fail(trouble.join("\n")) };
    send_heartbeat(&url, &pulse, app.clock.now()).await
}
