//! One place that makes AWS configuration: credentials, Region, role, timeouts and the one retry layer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::interceptors::Intercept;

use super::client::{Clients, Connect};
use super::fence::{ATTEMPT_TIMEOUT, LeaseFence};
use super::watch::StatusPoller;
use crate::clock::Clock;
use crate::estate::Estate;

/// Attempts at one call, the first included.
const ATTEMPTS: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// What the names of sessions begin with, so that CloudTrail tells drctl's calls from others'.
const SESSION_PREFIX: &str = "drctl";
/// The longest name that STS takes for a session.
const MAX_SESSION_CHARS: usize = 64;

/// Clients for one account and Region.
#[derive(Clone, Debug)]
pub struct Aws {
    clients: Clients,
    pub(super) fence: Option<LeaseFence>,
    pub(super) poller: StatusPoller,
    /// The Region that the clients talk to.
    pub region: String,
    pub(super) origin: Arc<Origin>,
}

/// What clients are made from, and those that were made for other Regions.
#[derive(Debug)]
pub(super) struct Origin {
    identity: Identity,
    pub(super) clock: Clock,
    destination: Destination,
    config: SdkConfig,
    /// Whose credentials they are before any role is assumed.
    pub(super) base: Option<SharedCredentialsProvider>,
    regions: Mutex<BTreeMap<String, (Clients, StatusPoller)>>,
}

/// Who the estate works as, and where.
#[derive(Clone, Debug)]
struct Identity {
    region: String,
    role_arn: Option<String>,
    external_id: Option<String>,
    session_name: String,
}

impl Origin {
    /// What every client was made from.
    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// Which AWS to talk to.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Whatever AWS's own environment variables and files say.
    Environment,
    /// A sandbox at this address.
    Sandbox(SocketAddr),
}

impl Aws {
    /// Makes clients for the estate. Talks to nobody yet, unless credentials come from a service.
    pub async fn connect(estate: &Estate, clock: &Clock, destination: &Destination) -> Self {
        let identity = Identity {
            region: estate.region.clone(),
            role_arn: estate.role_arn.clone(),
            external_id: estate.external_id.clone(),
            session_name: session_name(&estate.name, &estate.environment),
        };
        Self::make(identity, clock, destination).await
    }

    async fn make(identity: Identity, clock: &Clock, destination: &Destination) -> Self {
        let (config, base) = configure(&identity, destination).await;
        let region = identity.region.clone();
        let (clock, destination) = (clock.clone(), destination.clone());
        let origin = Origin { identity, clock, destination, config, base, regions: Mutex::default() };
        Self::in_region(Arc::new(origin), &region)
    }

    /// Clients that share a poller with everybody else who works in the same Region.
    fn in_region(origin: Arc<Origin>, region: &str) -> Self {
        let (clients, poller) = {
            let mut regions = origin.regions.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || {
                let config = origin.config.to_builder().region(aws_config::Region::new(region.to_owned())).build();
                let clients = Clients::new(config, &origin.clock);
                let poller = StatusPoller::new(clients.clone(), origin.clock.clone());
                (clients, poller)
            };
            regions.entry(region.to_owned()).or_insert_with(make).clone()
        };
        Self { clients, fence: None, poller, region: region.to_owned(), origin }
    }

    /// A service's client, made when it is first asked for.
    pub(super) fn client<S: Connect>(&self) -> S {
        self.clients.get()
    }

    /// The same clients for another Region: what a run made is looked for where it was made, and nowhere else.
    #[must_use]
    pub fn for_region(&self, region: &str) -> Self {
        if region == self.region || region.is_empty() {
            return self.clone();
        }
        let there = Self::in_region(Arc::clone(&self.origin), region);
        match &self.fence {
            Some(fence) => there.guarded(fence.clone()),
            None => there,
        }
    }

    /// The same clients with credentials that are looked for anew: somebody may have logged in again, or a file may hold
    /// others by now.
    pub async fn renewed(&self) -> Self {
        let Origin { identity, clock, destination, .. } = &*self.origin;
        let made = Self::make(identity.clone(), clock, destination).await;
        let there = made.for_region(&self.region);
        match &self.fence {
            Some(fence) => there.guarded(fence.clone()),
            None => there,
        }
    }

    /// The same clients, for a run whose lease `fence` watches over.
    #[must_use]
    pub fn guarded(&self, fence: LeaseFence) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(fence.attempt_timeout()))
            .operation_attempt_timeout(fence.attempt_timeout())
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let clients = self.clients.with(|connection| connection.fenced(timeouts, fence.clone()));
        Self { clients, fence: Some(fence), ..self.clone() }
    }

    /// The same clients, whose every call `interceptor` sees, and which no lease fences.
    pub(super) fn intercepted(&self, interceptor: impl Intercept + 'static) -> Self {
        Self {
            clients: self.clients.with(|connection| connection.intercepted(interceptor)),
            fence: None,
            ..self.clone()
        }
    }
}

/// The configuration of every client, and the credentials before any role is assumed.
async fn configure(identity: &Identity, destination: &Destination) -> (SdkConfig, Option<SharedCredentialsProvider>) {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(identity.region.clone()))
        .retry_config(retries)
        .timeout_config(timeouts);
    let loader = match destination {
        Destination::Environment => loader,
        Destination::Sandbox(address) => loader
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(Credentials::new("sandbox", "sandbox", None, None, "sandbox")),
    };
    let config = loader.load().await;
    let base = config.credentials_provider();
    let Some(role) = &identity.role_arn else { return (config, base) };
    let mut role = aws_config::sts::AssumeRoleProvider::builder(role).session_name(&identity.session_name);
    if let Some(id) = &identity.external_id {
        role = role.external_id(id);
    }
    let provider = SharedCredentialsProvider::new(role.configure(&config).build().await);
    (config.into_builder().credentials_provider(provider).build(), base)
}

/// `drctl-shop-prod`: whose calls these are. STS takes letters, digits and a few signs.
fn session_name(estate: &str, environment: &str) -> String {
    let environment = if environment.is_empty() { String::new() } else { format!("-{environment}") };
    let name = format!("{SESSION_PREFIX}-{estate}{environment}");
    let allowed = |char: char| char.is_ascii_alphanumeric() || "+=,.@_-".contains(char);
    name.chars().map(|char| if allowed(char) { char } else { '-' }).take(MAX_SESSION_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::session_name;

    #[test]
    fn a_session_is_named_for_its_estate() {
        assert_eq!(session_name("shop", "prod"), "drctl-shop-prod");
        assert_eq!(session_name("Läden & Co", "eu/1"), "drctl-L-den---Co-eu-1");
        assert_eq!(session_name(&"x".repeat(100), "prod").len(), 64);
    }
}
