//! `drctl notify`: tries channels, and sends again what was given up.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress};
use crate::aws::resolve_local_secret;
use crate::context::AppContext;
use crate::estate::{Channel, Estate, Event, SecretRef, Transport};
use crate::notify::{
    Deliverer, Envelope, Finding, HeartbeatState, Message, ReasonName, address, render, send, send_heartbeat,
};
use crate::store::Store;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Send a trial message to one channel.
    Test {
        /// The channel's name.
        channel: String,
        /// Print what would be sent, without secrets, and send nothing.
        #[arg(long)]
        preview: bool,
    },
    /// List messages that were given up.
    List,
    /// Send again what was given up.
    Retry,
}

pub(super) async fn run(config: &Path, verb: &Verb, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let app = async || bootstrap::app(&loaded, CancellationToken::new(), progress::silent()).await;
    match verb {
        Verb::Test { channel, preview: only } => {
            let channels = find(&loaded.estate, channel)?;
            if *only {
                let message = trial(&loaded.estate, crate::clock::Clock::system().now());
                channels.into_iter().try_for_each(|channel| preview(channel, &message))?;
                return Ok(Exit::Passed);
            }
            let app = app().await?.0;
            let mut exits = Vec::new();
            for channel in channels {
                exits.push(test(&app, channel, format).await?);
            }
            Ok(Exit::worst(exits))
        }
        Verb::List => list(&bootstrap::store_for_reading(&loaded).await?, &loaded.estate, format).await,
        Verb::Retry => retry(&app().await?.0, format).await,
    }
}

fn find<'e>(estate: &'e Estate, name: &str) -> anyhow::Result<Vec<&'e Channel>> {
    let found = estate.channels_of(name);
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<_> = estate.channels.iter().map(|channel| channel.name.as_str()).collect();
    let hint = match names.as_slice() {
        [] => "add a `[[notify]]` to the configuration".to_owned(),
        names => format!("the estate has: {}", names.join(", ")),
    };
    Err(output::usage(format!("there is no channel `{name}`"), hint))
}

/// A message that nobody can take for a real one.
fn trial(estate: &Estate, at: Timestamp) -> Message {
    Message {
        event: Event::Failed,
        because: ReasonName::Trial,
        estate: estate.name.clone(),
        environment: estate.environment.clone(),
        target: "example-database".to_owned(),
        check: String::new(),
        run_id: "trial".to_owned(),
        incident: None,
        since: None,
        at,
        summary: "This is a trial of the channel: nothing has failed.".to_owned(),
        findings: vec![Finding {
            name: "orders exist".to_owned(),
            expected: ">= 1".to_owned(),
            actual: "0 (an example)".to_owned(),
        }],
        measured: vec!["RTO 8m of 15m (an example)".to_owned()],
        next: "nothing is to be done".to_owned(),
        simulated: false,
    }
}

fn preview(channel: &Channel, message: &Message) -> anyhow::Result<()> {
    match render(channel, Envelope { id: "trial", message })? {
        serde_json::Value::String(text) => output::print(&text),
        other => output::json(&other)?,
    }
    for secret in channel.way.secrets() {
        match secret {
            SecretRef::SecretsManager { .. } => output::status(&format!("it takes `{secret}`, not looked up here")),
            local => match resolve_local_secret(local) {
                Ok(_) => output::status(&format!("it takes `{secret}`, which is there")),
                Err(error) => output::status(&format!("warning: it takes a secret that is not there: {error:#}")),
            },
        }
    }
    output::status(&format!("preview: nothing was sent; it would go by {}", channel.way.name()));
    Ok(())
}

async fn test(app: &AppContext, channel: &Channel, format: Format) -> anyhow::Result<Exit> {
    let now = app.clock.now();
    let sent = if let Transport::Heartbeat { url, .. } = &channel.way {
        match address(app, url).await {
            Ok(url) => send_heartbeat(&url, &HeartbeatState::Success, now).await,
            Err(error) => Err(error),
        }
    } else {
        let id = format!("trial-{}", now.as_millisecond());
        send(app, channel, Envelope { id: &id, message: &trial(&app.estate, now) }).await
    };
    if format == Format::Json {
        let error = sent.as_ref().err().map(ToString::to_string);
        let document = json!({ "schema": "drctl.notify-test/1", "channel": channel.name, "by": channel.way.name(),
                               "sent": sent.is_ok(), "error": error });
        output::json(&document)?;
        return Ok(if sent.is_ok() { Exit::Passed } else { Exit::Failed });
    }
    match sent {
        Ok(()) => {
            output::print(&format!("{}: sent by {}", channel.name, channel.way.name()));
            Ok(Exit::Passed)
        }
        Err(error) => {
            output::status(&format!("error: {}: {error}", channel.name));
            let again = if error.retryable { "it may go well later; " } else { "" };
            output::status(&format!("hint: {again}`drctl notify test {} --preview` shows what is sent", channel.name));
            Ok(Exit::Failed)
        }
    }
}

async fn list(store: &Store, estate: &Estate, format: Format) -> anyhow::Result<Exit> {
    let dead = store.dead_messages(&estate.name).await?;
    if format == Format::Json {
        let dead: Vec<_> = dead
            .iter()
            .map(|dead| {
                json!({
                    "id": dead.outgoing.id, "channel": dead.outgoing.channel, "created_at": dead.created_at,
                    "attempts": dead.attempts, "error": dead.error,
                    "message": serde_json::from_str::<serde_json::Value>(&dead.outgoing.message).unwrap_or_default(),
                })
            })
            .collect();
        output::json(&json!({ "schema": "drctl.notifications/1", "dead": dead }))?;
        return Ok(Exit::Passed);
    }
    for dead in &dead {
        let error = dead.error.as_deref().unwrap_or_default();
        output::print(&format!("{}  {}  {}  {error}", dead.outgoing.id, dead.outgoing.channel, dead.created_at));
    }
    if dead.is_empty() {
        output::status("nothing was given up");
    } else {
        output::status("hint: `drctl notify retry` sends them again");
    }
    Ok(Exit::Passed)
}

async fn retry(app: &AppContext, format: Format) -> anyhow::Result<Exit> {
    let name = &app.estate.name;
    let revived = app.store.revive_messages(name, app.clock.now()).await?;
    let sent = Deliverer::new(app.clone()).deliver_due().await?;
    let dead = app.store.dead_messages(name).await?.len();
    if format == Format::Json {
        output::json(&json!({ "schema": "drctl.retry/1", "revived": revived, "sent": sent, "dead": dead }))?;
    } else {
        output::print(&format!("{revived} tried again, {sent} sent, {dead} given up again"));
    }
    Ok(if dead == 0 { Exit::Passed } else { Exit::Failed })
}
