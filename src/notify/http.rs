//! What every channel over HTTP shares: one client, and what an answer means for the next attempt.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use crate::estate::is_private_on_the_way;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest pause that the far end may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(6);
/// Of an answer's body so much is read.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Of an answer's body so much is repeated in an error.
const MAX_QUOTE_CHARS: usize = 120;

/// Why a message did not arrive.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct DeliveryError {
    /// What went wrong. Never holds a secret.
    pub text: String,
    /// Whether another attempt may go well.
    pub retryable: bool,
    /// How long the far end wants to be left alone.
    pub pause: Option<Duration>,
}

impl DeliveryError {
    /// Worth another attempt.
    pub(super) fn again(text: impl Into<String>) -> Self {
        Self { text: text.into(), retryable: true, pause: None }
    }

    /// Not worth another attempt: the message or the configuration is at fault.
    pub(super) fn never(text: impl Into<String>) -> Self {
        Self { text: text.into(), retryable: false, pause: None }
    }
}

/// The one client. It follows no redirects, since a message goes where the configuration says, and keeps no connection:
/// between two messages lie hours.
fn client() -> Result<&'static Client, DeliveryError> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let built = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("drctl/", env!("CARGO_PKG_VERSION")))
        .build();
    // Such as a host without certificates of authorities, which can be mended.
    let built = built.map_err(|error| DeliveryError::again(format!("{:#}", anyhow::Error::new(error))))?;
    Ok(CLIENT.get_or_init(|| built))
}

/// The beginning of a request. Without TLS it goes to this machine only: messages name what is wrong where, and addresses and
/// headers hold secrets.
pub(super) fn post(url: &str) -> Result<RequestBuilder, DeliveryError> {
    if !is_private_on_the_way(url) {
        return Err(DeliveryError::again(
            "not sent: the address is neither https nor http on this machine; correct it",
        ));
    }
    Ok(client()?.post(url))
}

/// Sends a request and reads the body of a 2xx answer.
pub(super) async fn send(request: RequestBuilder, now: Timestamp) -> Result<String, DeliveryError> {
    // The address of a webhook is a secret: errors must not repeat it.
    let answer = request
        .send()
        .await
        .map_err(|error| DeliveryError::again(format!("{:#}", anyhow::Error::new(error.without_url()))))?;
    let status = answer.status();
    let pause = pause(&answer, now);
    let body = body(answer).await;
    if status.is_success() {
        return Ok(body);
    }
    let quote = super::message::cut_to(body.trim(), MAX_QUOTE_CHARS);
    // Credentials can be mended while the message waits.
    let mendable = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let again = status.is_server_error() || mendable.contains(&status);
    Err(DeliveryError {
        text: format!("the far end answered {status}: {quote}"),
        retryable: again,
        pause: pause.filter(|_| again),
    })
}

async fn body(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BODY_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `Retry-After`, in seconds or as a date.
fn pause(answer: &Response, now: Timestamp) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(now).max(SignedDuration::ZERO)).ok()?
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}
