//! `drctl notify`: tests channels, and sends again what could not be delivered.

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
    /// Send a test notification to one channel.
    Test {
        /// The channel's name.
        channel: String,
        /// Print what would be sent, without secrets, and send nothing.
        #[arg(long)]
        preview: bool,
        /// Preview a message of this event, with example values, instead of the test notification.
        #[arg(long = "as", value_name = "EVENT", value_enum, requires = "preview")]
        example: Option<Example>,
    },
    /// List messages that could not be delivered.
    List,
    /// Send again the messages that could not be delivered.
    Retry,
}

/// What a preview can show.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Example {
    /// A check failed.
    Failed,
    /// The next test passed.
    Recovered,
    /// A copy could not be removed.
    Stuck,
}

pub(super) async fn run(config: &Path, verb: &Verb, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let app = async || bootstrap::app(&loaded, CancellationToken::new(), progress::silent()).await;
    match verb {
        Verb::Test { channel, preview: only, example } => {
            let channels = find(&loaded.estate, channel)?;
            if *only {
                let now = crate::clock::Clock::system().now();
                let test = || test_message(&loaded.estate, now);
                let message = example.map_or_else(test, |example| example_message(&loaded.estate, now, example));
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

/// A message as it would be if one of the estate's databases had failed.
fn example_message(estate: &Estate, at: Timestamp, example: Example) -> Message {
    let target = estate.databases.first().map_or("example-database", |database| database.id.as_str());
    let test = test_message(estate, at);
    let since = at.checked_sub(jiff::SignedDuration::from_hours(24)).unwrap_or(at);
    let failed = Message {
        because: ReasonName::First,
        target: target.to_owned(),
        check: "restore-test".to_owned(),
        run_id: "01EXAMPLE00000000000000000".to_owned(),
        incident: Some(format!("example-{}", at.as_millisecond())),
        since: Some(at),
        summary: format!("Restore test of {target}: 1 of 6 checks failed: `orders exist`"),
        next: "look for deletions and failed jobs before the restore point".to_owned(),
        ..test
    };
    match example {
        Example::Failed => failed,
        Example::Recovered => Message {
            event: Event::Recovered,
            because: ReasonName::Recovered,
            since: Some(since),
            summary: format!("Restore test of {target}: every check passed"),
            findings: Vec::new(),
            next: "no action needed".to_owned(),
            ..failed
        },
        Example::Stuck => Message {
            event: Event::Stuck,
            check: "cleanup".to_owned(),
            summary: format!("Restore test of {target}: `drctl-{target}-example` could not be removed"),
            findings: Vec::new(),
            measured: Vec::new(),
            next: "try `drctl reap`".to_owned(),
            ..failed
        },
    }
}

/// A message that nobody can take for a real one.
fn test_message(estate: &Estate, at: Timestamp) -> Message {
    Message {
        event: Event::Failed,
        because: ReasonName::Test,
        estate: estate.name.clone(),
        environment: estate.environment.clone(),
        target: "example-database".to_owned(),
        check: String::new(),
        run_id: "test".to_owned(),
        incident: None,
        since: None,
        at,
        summary: "This is a test of the channel: nothing has failed.".to_owned(),
        findings: vec![Finding {
            name: "orders exist".to_owned(),
            expected: ">= 1".to_owned(),
            actual: "0 (an example)".to_owned(),
        }],
        measured: vec!["RTO 8m of 15m (an example)".to_owned()],
        next: "no action needed".to_owned(),
        simulated: false,
        timezone: estate.timezone.iana_name().map(str::to_owned),
    }
}

fn preview(channel: &Channel, message: &Message) -> anyhow::Result<()> {
    match render(channel, Envelope { id: "test", message })? {
        serde_json::Value::String(text) => output::print(&text),
        other => output::json(&other)?,
    }
    for secret in channel.way.secrets() {
        match secret {
            SecretRef::SecretsManager { .. } => output::status(&format!("needs `{secret}`, which was not looked up")),
            local => match resolve_local_secret(local) {
                Ok(_) => output::status(&format!("needs `{secret}`, which is set")),
                Err(error) => output::status(&format!("warning: a secret is missing: {error:#}")),
            },
        }
    }
    output::status(&format!("preview: nothing was sent; it would be sent by {}", channel.way.name()));
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
        let id = format!("test-{}", now.as_millisecond());
        send(app, channel, Envelope { id: &id, message: &test_message(&app.estate, now) }).await
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
            let again = if error.retryable { "this may be temporary; try again; " } else { "" };
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
        output::status("every message was delivered, or is still being tried");
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
        output::print(&format!("{revived} tried again, {sent} sent, {dead} not delivered"));
    }
    Ok(if dead == 0 { Exit::Passed } else { Exit::Failed })
}
