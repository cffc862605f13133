//! One message to one channel, by whatever way it has.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{self, NotSent};
use super::message::Message;
use super::slack::Bot;
use super::{email, pagerduty, slack, sns, webhook};
use crate::aws::{Kind, resolve_secret};
use crate::estate::{Address, Channel, SecretRef, Way};
use crate::runbook::Environment;

/// A message and the id that its repeats share.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'p> {
    /// The id.
    pub id: &'p str,
    /// The message.
    pub message: &'p Message,
}

/// Sends a message.
///
/// # Errors
/// Where it did not arrive, with whether another attempt may go well.
pub async fn send(environment: &Environment, channel: &Channel, parcel: Parcel<'_>) -> Result<(), NotSent> {
    let Parcel { id, message } = parcel;
    let now = environment.clock.now();
    match &channel.way {
        Way::SlackWebhook { webhook } => slack::post(&secret(environment, webhook).await?, message, now).await,
        Way::SlackBot { token, channel: place, api } => {
            let token = secret(environment, token).await?;
            let bot = Bot { api, token, channel: place, now };
            post_in_thread(environment, channel, &bot, message).await
        }
        Way::Sns { topic_arn } => {
            let published = environment.aws.publish(&sns::publish(topic_arn, id, message)).await;
            published.map_err(|error| match error.kind {
                Kind::Throttled | Kind::Unavailable | Kind::Denied | Kind::Credentials | Kind::Key => {
                    NotSent::again(error.to_string())
                }
                _ => NotSent::never(error.to_string()),
            })
        }
        Way::Email(settings) => {
            let mail = email::mail(settings, id, message).map_err(|error| NotSent::never(format!("{error:#}")))?;
            let password = match &settings.password {
                Some(password) => Some(secret(environment, password).await?),
                None => None,
            };
            email::send(settings, password, mail).await
        }
        Way::PagerDuty { routing_key, api } => {
            let key = secret(environment, routing_key).await?;
            let payload = pagerduty::payload(message, key.expose_secret());
            let Some(payload) = payload else { return Ok(()) };
            http::send(http::post(&format!("{api}/v2/enqueue"))?.json(&payload), now).await.map(drop)
        }
        Way::Webhook { url, key } => {
            let url = address(environment, url).await?;
            let payload = webhook::payload(id, message).map_err(|error| NotSent::never(error.to_string()))?;
            let body = payload.to_string();
            let mut request = http::post(url.expose_secret())?
                .header("content-type", "application/json")
                .header("idempotency-key", id);
            if let Some(key) = key {
                let key = secret(environment, key).await?;
                let signature = webhook::signature(&key, now, &body);
                let signature = signature.map_err(|error| NotSent::never(error.to_string()))?;
                request = request.header("x-drctl-signature", signature);
            }
            http::send(request.body(body), now).await.map(drop)
        }
        Way::Ping { .. } => Err(NotSent::never("a ping carries no message; the daemon sends it by itself")),
    }
}

/// The first message of an incident opens its thread; the report is attached there.
async fn post_in_thread(
    environment: &Environment,
    channel: &Channel,
    bot: &Bot<'_>,
    message: &Message,
) -> Result<(), NotSent> {
    let key = format!("{}/{}", message.estate, channel.name);
    let stored = |error: anyhow::Error| NotSent::again(format!("{error:#}"));
    let thread = match &message.incident {
        Some(incident) => environment.store.thread(&key, incident).await.map_err(stored)?,
        None => None,
    };
    let posted = bot.post(message, thread.as_deref()).await?;
    if let (Some(incident), None) = (&message.incident, &thread) {
        environment.store.remember_thread(&key, incident, &posted).await.map_err(stored)?;
    }
    let report = environment.store.run(&message.run_id).await.ok().and_then(|run| run.report);
    if let Some(report) = report
        && let Err(error) = bot.attach(thread.as_deref().unwrap_or(&posted), &format!("{report:#}")).await
    {
        // The message is there; without its attachment it is still true, and sending it again would double it.
        tracing::warn!(channel = channel.name, %error, "the report could not be attached");
    }
    Ok(())
}

async fn secret(environment: &Environment, reference: &SecretRef) -> Result<SecretString, NotSent> {
    // A secret that is not there now may be there after somebody has mended it.
    resolve_secret(&environment.aws, reference).await.map_err(|error| NotSent::again(format!("{error:#}")))
}

/// The address behind a name.
pub(crate) async fn address(environment: &Environment, address: &Address) -> Result<SecretString, NotSent> {
    match address {
        Address::Plain(url) => Ok(url.clone().into()),
        Address::Secret(reference) => secret(environment, reference).await,
    }
}

/// What would be sent, without secrets and without sending it.
///
/// # Errors
/// Where the message could not be put in writing.
pub fn render(channel: &Channel, parcel: Parcel<'_>) -> anyhow::Result<Value> {
    let Parcel { id, message } = parcel;
    Ok(match &channel.way {
        Way::SlackWebhook { .. } => slack::payload(message),
        Way::SlackBot { channel: place, .. } => {
            let mut payload = slack::payload(message);
            payload["channel"] = json!(place);
            payload
        }
        Way::Sns { topic_arn } => serde_json::to_value(sns::publish(topic_arn, id, message))?,
        Way::Email(settings) => json!(String::from_utf8_lossy(&email::mail(settings, id, message)?.formatted())),
        Way::PagerDuty { routing_key, .. } => json!(pagerduty::payload(message, &routing_key.to_string())),
        Way::Webhook { .. } => webhook::payload(id, message)?,
        Way::Ping { .. } => json!({ "success": "POST the address", "start": "/start", "failure": "/fail" }),
    })
}
