//! How a database is reached and entered: secrets, TLS, addresses.

use std::fmt;
use std::path::PathBuf;

/// Where a secret is kept. The secret itself never enters the estate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a trailing newline is not part of the secret.
    File(PathBuf),
    /// AWS Secrets Manager, by name or ARN, with an optional JSON key after `#`.
    SecretsManager {
        /// Name or ARN.
        id: String,
        /// The key inside a JSON secret; `password` where absent.
        key: Option<String>,
    },
}

impl SecretRef {
    /// Reads `env:NAME`, `file:PATH` or `secretsmanager:ID[#KEY]`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if rest.is_empty() {
            return None;
        }
        match scheme {
            "env" => Some(Self::Env(rest.to_owned())),
            "file" => Some(Self::File(rest.into())),
            "secretsmanager" => {
                let (id, key) = rest.split_once('#').map_or((rest, None), |(id, key)| (id, Some(key.to_owned())));
                Some(Self::SecretsManager { id: id.to_owned(), key })
            }
            _ => None,
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::SecretsManager { id, key: None } => write!(f, "secretsmanager:{id}"),
            Self::SecretsManager { id, key: Some(key) } => write!(f, "secretsmanager:{id}#{key}"),
        }
    }
}

/// How a connection is encrypted and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Encrypted; chain and name verified.
    VerifyFull,
    /// Encrypted; nothing verified.
    Require,
    /// In the clear.
    Off,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(())?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl HostPort {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_never_given() {
        assert!(SecretRef::parse("hunter2").is_none() && SecretRef::parse("env:").is_none());
        let reference = SecretRef::parse("secretsmanager:a/b#password").unwrap();
        assert_eq!(reference.to_string(), "secretsmanager:a/b#password");
    }

    #[test]
    fn a_host_and_port() {
        assert_eq!(HostPort::parse("[::1]:5432").unwrap().host, "::1");
        assert!(HostPort::parse("localhost").is_none() && HostPort::parse(":1").is_none());
    }
}
