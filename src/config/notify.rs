//! `[[notify]]`: whom to tell. `[[heartbeat]]`: who notices when drctl is silent.

use std::collections::BTreeSet;
use std::time::Duration;

use super::problem::shown;
use super::reader::{Section, unknown_word_hint};
use crate::estate::{Address, Channel, Email, Encryption, Event, SecretRef, Transport, is_private_on_the_way};

const SLACK_API: &str = "https://slack.com/api";
const PAGERDUTY_API: &str = "https://events.pagerduty.com";
const MAX_NAME_CHARS: usize = 64;
const EXAMPLE: &str = "add `slack = { webhook = \"env:SLACK_WEBHOOK_URL\" }`, or another";
const DEFAULT_HEARTBEAT: Duration = Duration::from_mins(5);
/// Variables that hold what drctl itself logs in with, or is steered by.
const OWN: [&str; 2] = ["AWS_", "DRCTL_STATE"];
const HTTP: [&str; 2] = ["https://", "http://"];
const WAYS: [&str; 5] = ["slack", "sns", "email", "pagerduty", "webhook"];
/// What `[[heartbeat]]` was written as before.
const PING: &str = "ping";
const SMTP: [(&str, Encryption, u16); 3] = [
    ("smtps://", Encryption::Implicit, 465),
    ("smtp://", Encryption::StartTls, 587),
    ("smtp+plain://", Encryption::Off, 25),
];

/// Reads one `[[notify]]`, which is a channel, or one for each recipient of a mail; `None` where something was wrong, which
/// is then reported.
pub(super) fn read(section: &Section<'_, '_>) -> Option<Vec<Channel>> {
    let name = name(section);
    let on = events(section);
    let mut given: Vec<_> = WAYS.into_iter().filter(|way| section.has(way)).collect();
    if section.table().contains_key(PING) && section.has(PING) {
        section.warn(
            PING,
            "is now a section of its own; the old form will go",
            "write `[[heartbeat]]` with `name`, `url` and `every`",
        );
        given.push(PING);
    }
    let ways = match given.as_slice() {
        [key] => section.section(key).and_then(|way| {
            let read = if *key == "email" { mails(&way) } else { read_way(key, &way).map(|way| vec![way]) };
            way.finish();
            read
        }),
        [first, second, ..] => {
            let message = format!("names two channels: `{first}` and `{second}`");
            section.report("", message, "give each a `[[notify]]` of its own");
            None
        }
        [] => {
            let names: Vec<_> = WAYS.iter().map(|way| format!("`{way}`")).collect();
            section.report("", format!("needs exactly one of {}", names.join(", ")), EXAMPLE);
            None
        }
    };
    section.finish();
    let (name, ways) = (name?, ways?);
    let is_one = ways.len() == 1;
    let channel = |way: Transport| {
        let name = match &way {
            Transport::Email(email) if !is_one => format!("{name}/{}", bare(&email.to)),
            _ => name.clone(),
        };
        Channel { name, on: on.clone(), way }
    };
    Some(ways.into_iter().map(channel).collect())
}

/// Reads one `[[heartbeat]]`: a dead man's switch that is not told of events, but hears from drctl as long as all is well.
pub(super) fn read_heartbeat(section: &Section<'_, '_>) -> Option<Channel> {
    let name = name(section);
    let way = heartbeat(section);
    section.finish();
    Some(Channel { name: name?, on: BTreeSet::new(), way: way? })
}

fn name(section: &Section<'_, '_>) -> Option<String> {
    if !section.has("name") {
        section.report("name", "is missing", "add `name = \"ops\"`");
    }
    section.parsed("name", "letters, digits, `-` and `_`, 64 at most", |text| {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        (plain && text.len() <= MAX_NAME_CHARS).then(|| text.to_owned())
    })
}

fn events(section: &Section<'_, '_>) -> BTreeSet<Event> {
    if !section.has("on") {
        return BTreeSet::from([Event::Failed, Event::Unknown, Event::Recovered, Event::Stuck]);
    }
    let mut events = BTreeSet::new();
    for text in section.texts("on") {
        match Event::ALL.iter().find(|(name, _)| *name == text) {
            Some((_, event)) => drop(events.insert(*event)),
            None => {
                let names = Event::ALL.map(|(name, _)| name);
                section.report("on", format!("{} is not known", shown(&text)), unknown_word_hint(&text, &names));
            }
        }
    }
    events
}

fn read_way(key: &str, way: &Section<'_, '_>) -> Option<Transport> {
    match key {
        "slack" if way.has("token") => {
            let channel = way.required_text("channel");
            refuse_plain_http(way, "api");
            let api = way.text("api").unwrap_or_else(|| SLACK_API.to_owned());
            Some(Transport::SlackBot { token: secret(way, "token")?, channel: channel?, api })
        }
        "slack" => {
            required(way, "webhook", "add `webhook = \"env:SLACK_WEBHOOK_URL\"`, or `token` and `channel`");
            Some(Transport::SlackWebhook { webhook: secret(way, "webhook")? })
        }
        "sns" => {
            required(way, "topic_arn", "add `topic_arn = \"arn:aws:sns:...\"`");
            let expected = "an ARN such as `\"arn:aws:sns:eu-west-1:123456789012:alerts\"`";
            let topic_arn = way.parsed("topic_arn", expected, |text| {
                (text.starts_with("arn:") && text.split(':').count() == 6).then(|| text.to_owned())
            });
            Some(Transport::Sns { topic_arn: topic_arn? })
        }
        "pagerduty" => {
            required(way, "routing_key", "add `routing_key = \"env:PAGERDUTY_ROUTING_KEY\"`");
            refuse_plain_http(way, "api");
            let api = way.text("api").unwrap_or_else(|| PAGERDUTY_API.to_owned());
            Some(Transport::PagerDuty { routing_key: secret(way, "routing_key")?, api })
        }
        "webhook" => {
            required(way, "url", "add `url = \"https://...\"` or `url = \"env:NAME\"`");
            let key = if way.has("key") { Some(secret(way, "key")?) } else { None };
            Some(Transport::Webhook { url: address(way)?, key })
        }
        _ => heartbeat(way),
    }
}

fn heartbeat(section: &Section<'_, '_>) -> Option<Transport> {
    required(section, "url", "add `url = \"env:HEALTHCHECKS_URL\"`");
    let every = section.duration("every").unwrap_or(DEFAULT_HEARTBEAT);
    if every.is_zero() {
        section.report("every", "must be longer than nothing", "write `every = \"5m\"`");
    }
    Some(Transport::Heartbeat { url: address(section)?, every })
}

fn required(way: &Section<'_, '_>, key: &'static str, hint: &str) {
    if !way.has(key) {
        way.report(key, "is missing", hint);
    }
}

fn address(way: &Section<'_, '_>) -> Option<Address> {
    let expected = "`\"https://...\"`, or name a secret: `\"env:NAME\"`, `\"file:PATH\"`";
    let address = way.parsed("url", expected, |text| Address::parse(text, &HTTP));
    refuse_plain_http(way, "url");
    address
}

/// Without TLS nothing leaves this machine.
pub(super) fn refuse_plain_http(section: &Section<'_, '_>, key: &'static str) {
    let Some(text) = section.raw(key).and_then(|value| value.as_str()) else { return };
    if text.starts_with("http") && !is_private_on_the_way(text) {
        let hint = "write `https://`; `http://` is for this machine alone: localhost, 127.0.0.1";
        section.report(key, format!("{} would be reached without TLS", shown(text)), hint);
    }
}

/// A secret is only ever named; one in plain text is refused and not repeated.
pub(super) fn secret(section: &Section<'_, '_>, key: &'static str) -> Option<SecretRef> {
    let text = section.text(key)?;
    let reference = SecretRef::parse(&text);
    if reference.is_none() {
        section.report(
            key,
            "holds a secret in plain text (not shown here)",
            "write `\"env:NAME\"`, `\"file:PATH\"` or `\"secretsmanager:ID\"`, and rotate that secret",
        );
    }
    if let Some(SecretRef::Env(name)) = &reference
        && OWN.iter().any(|prefix| name.starts_with(prefix))
    {
        section.report(
            key,
            format!("`env:{name}` is drctl's own, and is sent to nobody"),
            "give the secret a variable of its own",
        );
    }
    reference
}

/// A mail to each recipient.
fn mails(way: &Section<'_, '_>) -> Option<Vec<Transport>> {
    for (key, hint) in [
        ("smtp", "add `smtp = \"smtps://mail.example.com\"`"),
        ("from", "add `from = \"drctl@example.com\"`"),
        ("to", "add `to = [\"dba@example.com\"]`"),
    ] {
        required(way, key, hint);
    }
    let expected = "`\"smtps://host\"`, or `\"smtp://host\"` for STARTTLS, with `:port` where it is another";
    let server = way.parsed("smtp", expected, server);
    let from = way.parsed("from", "an address such as `\"drctl@example.com\"`", mailbox);
    let to: BTreeSet<String> = way.texts("to").into_iter().collect();
    if to.is_empty() && way.has("to") {
        way.report("to", "names nobody", "write `to = [\"dba@example.com\"]`");
    }
    for address in to.iter().filter(|address| mailbox(address).is_none()) {
        way.report("to", format!("`{address}` is not an address"), "write it as `\"dba@example.com\"`");
    }
    let username = way.text("username");
    let password = if way.has("password") { Some(secret(way, "password")?) } else { None };
    if username.is_some() != password.is_some() {
        way.report("username", "and `password` go together", "give both or neither");
    }
    let ca = way.text("ca").map(Into::into);
    let (host, port, encryption) = server?;
    if encryption == Encryption::Off && username.is_some() {
        way.report("smtp", "would send the password in the clear", "write `smtps://` or `smtp://`");
    }
    let from = from?;
    let mail = |to| Email {
        host: host.clone(),
        port,
        encryption,
        from: from.clone(),
        to,
        username: username.clone(),
        password: password.clone(),
        ca: ca.clone(),
    };
    Some(to.into_iter().map(|to| Transport::Email(mail(to))).collect())
}

fn server(text: &str) -> Option<(String, u16, Encryption)> {
    let (scheme, encryption, port) = SMTP.into_iter().find(|(scheme, _, _)| text.starts_with(scheme))?;
    let rest = text.strip_prefix(scheme)?.trim_end_matches('/');
    if rest.contains('@') || rest.contains('/') {
        return None;
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (rest, port),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port, encryption))
}

/// The address alone, without the name of whom it belongs to.
fn bare(text: &str) -> String {
    text.parse::<lettre::message::Mailbox>().map_or_else(|_| text.to_owned(), |mailbox| mailbox.email.to_string())
}

fn mailbox(text: &str) -> Option<String> {
    text.parse::<lettre::message::Mailbox>().ok().map(|_| text.to_owned())
}
