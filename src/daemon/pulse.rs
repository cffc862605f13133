//! Keeps the dead man's switches quiet for as long as all is well: silence is what they are there to notice.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::health::Health;
use crate::estate::Way;
use crate::notify::{Pulse, address, ping};
use crate::runbook::Environment;

/// Until it is known how the agent stands, nothing is said.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Pings each switch at its interval until `stop`.
pub(super) async fn keep(environment: Environment, health: Health, stop: CancellationToken) {
    let switches = environment.estate.channels.iter().filter_map(|channel| match &channel.way {
        Way::Ping { url, every } => Some((channel.name.clone(), url.clone(), *every)),
        _ => None,
    });
    let pulses = switches.map(|(name, url, every)| {
        let (environment, health) = (environment.clone(), health.clone());
        async move {
            while !health.is_settled() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            loop {
                if let Err(error) = beat(&environment, &health, &url).await {
                    tracing::warn!(channel = name, %error, "the dead man's switch was not reached");
                }
                tokio::time::sleep(every).await;
            }
        }
    });
    let all = futures_util::future::join_all(pulses);
    if environment.estate.channels.iter().any(|channel| matches!(channel.way, Way::Ping { .. })) {
        stop.run_until_cancelled(all).await;
    }
}

/// One pass: begin, look, and say how it is.
async fn beat(
    environment: &Environment,
    health: &Health,
    url: &crate::estate::Address,
) -> Result<(), crate::notify::NotSent> {
    let url = address(environment, url).await?;
    ping(&url, &Pulse::Start, environment.clock.now()).await?;
    let mut trouble = health.standing().trouble;
    match tokio::time::timeout(LOOK_TIMEOUT, environment.store.stuck_runs(&environment.estate.name)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(stuck)) => trouble.push(format!("{stuck} run(s) stuck: `drctl reap`")),
        Ok(Err(error)) => trouble.push(format!("state: {error:#}")),
        Err(_) => trouble.push("state: no answer".to_owned()),
    }
    let pulse = if trouble.is_empty() { Pulse::Success } else { Pulse::Fail(trouble.join("\n")) };
    ping(&url, &pulse, environment.clock.now()).await
}
