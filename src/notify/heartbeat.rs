//! A dead man's switch: somebody else who notices that nothing was heard. Follows the protocol of healthchecks.io: the
//! address itself means success, `/start` a beginning, `/fail` a failure whose body says why.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::http::{self, DeliveryError};

/// What is pinged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartbeatState {
    /// A pass begins.
    Start,
    /// All is well.
    Success,
    /// Something is not well.
    Fail(String),
}

/// Pings.
///
/// # Errors
/// Where nobody answered well.
pub async fn send_heartbeat(url: &SecretString, pulse: &HeartbeatState, now: Timestamp) -> Result<(), DeliveryError> {
    let url = url.expose_secret().trim_end_matches('/');
    let request = match pulse {
        HeartbeatState::Start => http::post(&format!("{url}/start"))?,
        HeartbeatState::Success => http::post(url)?,
        HeartbeatState::Fail(reason) => http::post(&format!("{url}/fail"))?.body(reason.clone()),
    };
    http::send(request, now).await.map(drop)
}
