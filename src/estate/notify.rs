//! Whom to tell of what, and how they are reached.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::SecretRef;

/// What people can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A test passed.
    Passed,
    /// Something is not as promised.
    Failed,
    /// Nobody can say.
    Unknown,
    /// What had failed, or could not be told, is as promised again.
    Recovered,
    /// Something that drctl made is still there.
    Stuck,
}

impl Event {
    /// Every event with its fixed name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("passed", Self::Passed),
        ("failed", Self::Failed),
        ("unknown", Self::Unknown),
        ("recovered", Self::Recovered),
        ("stuck", Self::Stuck),
    ];

    /// The fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Recovered => "recovered",
            Self::Stuck => "stuck",
        }
    }
}

/// An address that may be a secret, as the address of a webhook often is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// Written in the configuration.
    Plain(String),
    /// Named there.
    Secret(SecretRef),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What follows the host may let in whoever knows it.
            Self::Plain(url) => {
                let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
                write!(f, "address at {}", host.rsplit('@').next().unwrap_or(""))
            }
            Self::Secret(reference) => write!(f, "{reference}"),
        }
    }
}

impl Address {
    /// Reads a name of a secret, or an address that begins with one of `schemes`.
    #[must_use]
    pub fn parse(text: &str, schemes: &[&str]) -> Option<Self> {
        let plain = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if plain { Some(Self::Plain(text.to_owned())) } else { SecretRef::parse(text).map(Self::Secret) }
    }
}

/// Whether what is sent to an address, and the address itself, can be read by nobody on the way: over TLS, or without it on
/// this machine. What is no address is not.
#[must_use]
pub fn is_private_on_the_way(address: &str) -> bool {
    // The same parser as the client's: two that differ would let through what they read differently.
    let Ok(url) = address.parse::<reqwest::Url>() else { return false };
    let is_local = || {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_local())
}

/// One way to reach people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name; of one of several recipients of a mail `NAME/ADDRESS`.
    pub name: String,
    /// What is told there.
    pub on: BTreeSet<Event>,
    /// How.
    pub way: Transport,
}

/// How people are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Slack's incoming webhook.
    SlackWebhook {
        /// Its address: whoever knows it can post.
        webhook: SecretRef,
    },
    /// Slack's API, which has threads and takes reports.
    SlackBot {
        /// The bot's token.
        token: SecretRef,
        /// The id of the Slack channel.
        channel: String,
        /// Where the API is.
        api: String,
    },
    /// An SNS topic.
    Sns {
        /// Its ARN.
        topic_arn: String,
    },
    /// Mail.
    Email(Email),
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// The integration's key.
        routing_key: SecretRef,
        /// Where the API is.
        api: String,
    },
    /// An address that takes JSON.
    Webhook {
        /// The address.
        url: Address,
        /// The key that requests are signed with.
        key: Option<SecretRef>,
    },
    /// A dead man's switch: somebody else who notices silence.
    Heartbeat {
        /// Its address: whoever knows it can keep it quiet.
        url: Address,
        /// How often.
        every: Duration,
    },
}

impl Transport {
    /// The secrets that it takes.
    #[must_use]
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let of_address = |address| match address {
            &Address::Plain(_) => None,
            Address::Secret(reference) => Some(reference),
        };
        match self {
            Self::SlackWebhook { webhook: secret }
            | Self::SlackBot { token: secret, .. }
            | Self::PagerDuty { routing_key: secret, .. } => vec![secret],
            Self::Sns { .. } => Vec::new(),
            Self::Email(email) => email.password.iter().collect(),
            Self::Webhook { url, key } => of_address(url).into_iter().chain(key).collect(),
            Self::Heartbeat { url, .. } => of_address(url).into_iter().collect(),
        }
    }

    /// What it is, in the configuration's word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SlackWebhook { .. } | Self::SlackBot { .. } => "slack",
            Self::Sns { .. } => "sns",
            Self::Email(_) => "email",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Webhook { .. } => "webhook",
            Self::Heartbeat { .. } => "heartbeat",
        }
    }
}

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Who sends.
    pub from: String,
    /// Who receives. Each recipient has a channel, so that one who is refused keeps nothing from the others.
    pub to: String,
    /// Who logs in.
    pub username: Option<String>,
    /// With which password.
    pub password: Option<SecretRef>,
    /// PEM file of the authorities to trust; the system's where absent.
    pub ca: Option<PathBuf>,
}

/// How mail is encrypted on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte (`smtps://`).
    Implicit,
    /// After `STARTTLS`, without which nothing is sent (`smtp://`).
    StartTls,
    /// Not at all (`smtp+plain://`).
    Off,
}

#[cfg(test)]
mod tests {
    use super::is_private_on_the_way;

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for address in [
            "https://example.com/x",
            "http://127.0.0.1:4318",
            "http://127.1.2.3",
            "http://[::1]:80/",
            "http://localhost/x",
        ] {
            assert!(is_private_on_the_way(address), "{address}");
        }
        for address in [
            "http://example.com",
            "http://localhost@example.com/",
            "http://example.com\\@localhost/",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "localhost",
            "",
        ] {
            assert!(!is_private_on_the_way(address), "{address}");
        }
    }
}
