//! What was asked and answered: the log of calls, and a file of whole requests and answers for others to judge.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use serde_json::{Map, Value, json};

/// Members whose values are secret, whatever the protocol calls them.
const SECRETS: [&str; 4] = ["MasterUserPassword", "SecretString", "SecretAccessKey", "SessionToken"];

/// A file that every request and answer goes to, one JSON document a line.
#[derive(Debug)]
pub(super) struct Recorder(Mutex<File>);

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Exchange<'e> {
    pub(super) service: &'e str,
    pub(super) action: &'e str,
    pub(super) region: &'e str,
    pub(super) caller: &'e str,
    pub(super) request: &'e str,
    pub(super) status: u16,
    pub(super) answer: &'e str,
    /// Whether a fault rule, not the service, gave the answer.
    pub(super) scripted: bool,
}

impl Recorder {
    /// Records into a new file in `directory`.
    pub(super) fn create(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("failed to make `{}`", directory.display()))?;
        let file = directory.join(format!("calls-{:016x}.jsonl", rand::random::<u64>()));
        let file = File::create_new(&file).with_context(|| format!("failed to create `{}`", file.display()))?;
        Ok(Self(Mutex::new(file)))
    }

    pub(super) fn write(&self, exchange: &Exchange<'_>) {
        let line = json!({
            "service": exchange.service,
            "action": exchange.action,
            "region": exchange.region,
            "caller": exchange.caller,
            "request": mask(exchange.request),
            "status": exchange.status,
            "answer": mask(exchange.answer),
            "scripted": exchange.scripted,
        });
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::warn!(%error, "a call was not recorded");
        }
    }
}

/// A request's arguments by name, as the client sent them, without secrets.
pub(super) fn arguments(body: &str) -> Value {
    let masked = mask(body);
    if masked.starts_with('{') {
        return serde_json::from_str(&masked).unwrap_or_default();
    }
    let pairs = form_urlencoded::parse(masked.as_bytes()).into_owned();
    let named: Map<String, Value> = pairs.map(|(name, value)| (name, Value::String(value))).collect();
    Value::Object(named)
}

/// The text with an `x` in place of each character of a secret, so that its length can still be judged.
fn mask(text: &str) -> String {
    if text.starts_with('{') {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
        mask_json(&mut value);
        return value.to_string();
    }
    if text.starts_with('<') {
        return SECRETS.iter().fold(text.to_owned(), |text, name| mask_element(&text, name));
    }
    let pairs = text.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if SECRETS.contains(&name) => {
            let length = form_urlencoded::parse(value.as_bytes()).next().map_or(0, |(plain, _)| plain.chars().count());
            format!("{name}={}", "x".repeat(length))
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn mask_json(value: &mut Value) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        match member {
            Value::String(secret) if SECRETS.contains(&name.as_str()) => *secret = "x".repeat(secret.chars().count()),
            inner => mask_json(inner),
        }
    }
}

fn mask_element(text: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let Some((before, rest)) = text.split_once(&open) else { return text.to_owned() };
    let Some((secret, after)) = rest.split_once(&close) else { return text.to_owned() };
    format!("{before}{open}{}{close}{}", "x".repeat(secret.chars().count()), mask_element(after, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_keep_their_length() {
        assert_eq!(mask("Action=A&MasterUserPassword=p%40ss&X=1"), "Action=A&MasterUserPassword=xxxx&X=1");
        assert_eq!(mask(r#"{"Name":"a","SecretString":"geheim"}"#), r#"{"Name":"a","SecretString":"xxxxxx"}"#);
        let xml = "<A><SecretAccessKey>abc</SecretAccessKey><SessionToken>d</SessionToken></A>";
        assert_eq!(mask(xml), "<A><SecretAccessKey>xxx</SecretAccessKey><SessionToken>x</SessionToken></A>");
    }

    #[test]
    fn arguments_are_those_of_the_request() {
        assert_eq!(arguments("Action=A&Tags.Tag.1.Key=a%20b"), json!({ "Action": "A", "Tags.Tag.1.Key": "a b" }));
        assert_eq!(arguments(r#"{"KeyId":"k"}"#), json!({ "KeyId": "k" }));
    }
}
