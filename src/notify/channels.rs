//! One message to one channel, by whatever way it has.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{self, DeliveryError};
use super::message::Message;
use super::slack::Bot;
use super::{email, pagerduty, slack, sns, webhook};
use crate::aws::{ErrorKind, resolve_secret};
use crate::context::AppContext;
use crate::estate::{Address, Channel, SecretRef, Transport};

/// A message and the id that its repeats share.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'p> {
    /// The id.
    pub id: &'p str,
    /// The message.
    pub message: &'p Message,
}

/// Sends a message.
///
/// # Errors
/// Where it did not arrive, with whether another attempt may go well.
pub async fn send(app: &AppContext, channel: &Channel, parcel: Envelope<'_>) -> Result<(), DeliveryError> {
    let Envelope { id, message } = parcel;
    let now = app.clock.now();
    match &channel.way {
        Transport::SlackWebhook { webhook } => slack::post(&secret(app, webhook).await?, message, now).await,
        Transport::SlackBot { token, channel: place, api } => {
            let token = secret(app, token).await?;
            let bot = Bot { api, token, channel: place, now };
            post_in_thread(app, channel, &bot, message).await
        }
        Transport::Sns { topic_arn } => {
            let published = app.aws.publish(&sns::publish(topic_arn, id, message)).await;
            published.map_err(|error| match error.kind {
                ErrorKind::Throttled
                | ErrorKind::Unavailable
                | ErrorKind::Denied
                | ErrorKind::Credentials
                | ErrorKind::Key => DeliveryError::again(error.to_string()),
                _ => DeliveryError::never(error.to_string()),
            })
        }
        Transport::Email(settings) => {
            let mail =
                email::mail(settings, id, message).map_err(|error| DeliveryError::never(format!("{error:#}")))?;
            let password = match &settings.password {
                Some(password) => Some(secret(app, password).await?),
                None => None,
            };
            email::send(settings, password, mail).await
        }
        Transport::PagerDuty { routing_key, api } => {
            let key = secret(app, routing_key).await?;
            let payload = pagerduty::payload(message, key.expose_secret());
            let Some(payload) = payload else { return Ok(()) };
            http::send(http::post(&format!("{api}/v2/enqueue"))?.json(&payload), now).await.map(drop)
        }
        Transport::Webhook { url, key } => {
            let url = address(app, url).await?;
            let payload = webhook::payload(id, message).map_err(|error| DeliveryError::never(error.to_string()))?;
            let body = payload.to_string();
            let mut request = http::post(url.expose_secret())?
                .header("content-type", "application/json")
                .header("idempotency-key", id);
            if let Some(key) = key {
                let key = secret(app, key).await?;
                let signature = webhook::signature(&key, now, &body);
                let signature = signature.map_err(|error| DeliveryError::never(error.to_string()))?;
                request = request.header("x-drctl-signature", signature);
            }
            http::send(request.body(body), now).await.map(drop)
        }
        Transport::Heartbeat { .. } => {
            Err(DeliveryError::never("a ping carries no message; the daemon sends it by itself"))
        }
    }
}

/// The first message of an incident opens its thread; the report is attached there.
async fn post_in_thread(
    app: &AppContext,
    channel: &Channel,
    bot: &Bot<'_>,
    message: &Message,
) -> Result<(), DeliveryError> {
    let key = format!("{}/{}", message.estate, channel.name);
    let stored = |error: anyhow::Error| DeliveryError::again(format!("{error:#}"));
    let thread = match &message.incident {
        Some(incident) => app.store.thread(&key, incident).await.map_err(stored)?,
        None => None,
    };
    let posted = bot.post(message, thread.as_deref()).await?;
    if let (Some(incident), None) = (&message.incident, &thread) {
        app.store.remember_thread(&key, incident, &posted).await.map_err(stored)?;
    }
    let report = app.store.run(&message.run_id).await.ok().and_then(|run| run.report);
    if let Some(report) = report
        && let Err(error) = bot.attach(thread.as_deref().unwrap_or(&posted), &format!("{report:#}")).await
    {
        // The message is there; without its attachment it is still true, and sending it again would double it.
        tracing::warn!(channel = channel.name, %error, "the report could not be attached");
    }
    Ok(())
}

async fn secret(app: &AppContext, reference: &SecretRef) -> Result<SecretString, DeliveryError> {
    // A secret that is not there now may be there after somebody has mended it.
    resolve_secret(&app.aws, reference).await.map_err(|error| DeliveryError::again(format!("{error:#}")))
}

/// The address behind a name.
pub(crate) async fn address(app: &AppContext, address: &Address) -> Result<SecretString, DeliveryError> {
    match address {
        Address::Plain(url) => Ok(url.clone().into()),
        Address::Secret(reference) => secret(app, reference).await,
    }
}

/// What would be sent, without secrets and without sending it.
///
/// # Errors
/// Where the message could not be put in writing.
pub fn render(channel: &Channel, parcel: Envelope<'_>) -> anyhow::Result<Value> {
    let Envelope { id, message } = parcel;
    Ok(match &channel.way {
        Transport::SlackWebhook { .. } => slack::payload(message),
        Transport::SlackBot { channel: place, .. } => {
            let mut payload = slack::payload(message);
            payload["channel"] = json!(place);
            payload
        }
        Transport::Sns { topic_arn } => serde_json::to_value(sns::publish(topic_arn, id, message))?,
        Transport::Email(settings) => json!(String::from_utf8_lossy(&email::mail(settings, id, message)?.formatted())),
        Transport::PagerDuty { routing_key, .. } => json!(pagerduty::payload(message, &routing_key.to_string())),
        Transport::Webhook { .. } => webhook::payload(id, message)?,
        Transport::Heartbeat { .. } => json!({ "success": "POST the address", "start": "/start", "failure": "/fail" }),
    })
}
