//! One place that makes AWS configuration: credentials, Region, role, timeouts and the one retry layer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use super::fence::{ATTEMPT_TIMEOUT, LeaseFence};
use super::sendings::Sendings;
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

/// The header with which the sandbox tells its clock. AWS never sends it.
pub(crate) const SANDBOX_HEADER: &str = "x-drctl-sandbox";

/// Clients for one account and Region.
#[derive(Clone, Debug)]
pub struct Aws {
    pub(super) rds: aws_sdk_rds::Client,
    pub(super) docdb: aws_sdk_docdb::Client,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) kms: aws_sdk_kms::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) sns: aws_sdk_sns::Client,
    pub(super) guard: Option<LeaseFence>,
    pub(super) watch: StatusPoller,
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
    regions: Mutex<BTreeMap<String, Clients>>,
}

/// Who the estate works as, and where.
#[derive(Clone, Debug)]
struct Identity {
    region: String,
    role_arn: Option<String>,
    external_id: Option<String>,
    session_name: String,
}

/// Clients of one Region.
#[derive(Clone, Debug)]
struct Clients {
    rds: aws_sdk_rds::Client,
    docdb: aws_sdk_docdb::Client,
    sts: aws_sdk_sts::Client,
    kms: aws_sdk_kms::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sns: aws_sdk_sns::Client,
    watch: StatusPoller,
}

impl Origin {
    /// What every client was made from.
    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }
}

impl Clients {
    fn new(config: &SdkConfig, clock: &Clock) -> Self {
        let listen = SandboxListener { clock: clock.clone() };
        let rds = aws_sdk_rds::config::Builder::from(config).interceptor(listen.clone()).interceptor(Sendings).build();
        let docdb = aws_sdk_docdb::config::Builder::from(config).interceptor(listen.clone()).interceptor(Sendings);
        let docdb = docdb.build();
        let sts = aws_sdk_sts::config::Builder::from(config).interceptor(listen.clone()).build();
        let kms = aws_sdk_kms::config::Builder::from(config).interceptor(listen.clone()).build();
        let secrets = aws_sdk_secretsmanager::config::Builder::from(config).interceptor(listen.clone()).build();
        let sns = aws_sdk_sns::config::Builder::from(config).interceptor(listen.clone()).build();
        let rds = aws_sdk_rds::Client::from_conf(rds);
        Self {
            watch: StatusPoller::new(rds.clone(), clock.clone()),
            rds,
            docdb: aws_sdk_docdb::Client::from_conf(docdb),
            sts: aws_sdk_sts::Client::from_conf(sts),
            kms: aws_sdk_kms::Client::from_conf(kms),
            secrets: aws_sdk_secretsmanager::Client::from_conf(secrets),
            sns: aws_sdk_sns::Client::from_conf(sns),
        }
    }
}

/// What the sandbox says about itself with every answer.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct SandboxNote {
    /// Its virtual time.
    pub now: Option<jiff::Timestamp>,
    /// How fast that runs.
    pub scale: f64,
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
        let clients = {
            let mut regions = origin.regions.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || {
                let config = origin.config.to_builder().region(aws_config::Region::new(region.to_owned())).build();
                Clients::new(&config, &origin.clock)
            };
            regions.entry(region.to_owned()).or_insert_with(make).clone()
        };
        let Clients { rds, docdb, sts, kms, secrets, sns, watch } = clients;
        Self { rds, docdb, sts, kms, secrets, sns, guard: None, watch, region: region.to_owned(), origin }
    }

    /// The same clients for another Region: what a run made is looked for where it was made, and nowhere else.
    #[must_use]
    pub fn for_region(&self, region: &str) -> Self {
        if region == self.region || region.is_empty() {
            return self.clone();
        }
        let there = Self::in_region(Arc::clone(&self.origin), region);
        match &self.guard {
            Some(guard) => there.guarded(guard.clone()),
            None => there,
        }
    }

    /// The same clients with credentials that are looked for anew: somebody may have logged in again, or a file may hold
    /// others by now.
    pub async fn renewed(&self) -> Self {
        let Origin { identity, clock, destination, .. } = &*self.origin;
        let made = Self::make(identity.clone(), clock, destination).await;
        let there = made.for_region(&self.region);
        match &self.guard {
            Some(guard) => there.guarded(guard.clone()),
            None => there,
        }
    }

    /// The same clients, for a run that `guard` watches over.
    #[must_use]
    pub fn guarded(&self, guard: LeaseFence) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(guard.attempt_timeout()))
            .operation_attempt_timeout(guard.attempt_timeout())
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let rds = self.rds.config().to_builder().timeout_config(timeouts.clone()).interceptor(guard.clone()).build();
        let docdb = self.docdb.config().to_builder().timeout_config(timeouts).interceptor(guard.clone()).build();
        Self {
            rds: aws_sdk_rds::Client::from_conf(rds),
            docdb: aws_sdk_docdb::Client::from_conf(docdb),
            guard: Some(guard),
            ..self.clone()
        }
    }

    /// The same with other clients for databases, which no lease guards.
    pub(super) fn with_clients(&self, rds: aws_sdk_rds::Client, docdb: aws_sdk_docdb::Client) -> Self {
        Self { rds, docdb, guard: None, ..self.clone() }
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

/// Whether a request went over plain http to this machine, as those to a sandbox do.
fn is_plain_loopback(uri: &str) -> bool {
    let rest = uri.strip_prefix("http://");
    rest.is_some_and(|rest| is_loopback(rest.split(['/', '?', '#']).next().unwrap_or_default()))
}

/// Whether `name`, `name:port`, `[::1]` or `[::1]:port` means this machine: an address of loopback, or `localhost`, which
/// RFC 6761 keeps for it.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_this_machine =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // What stands before an `@` is a user's name.
    is_this_machine && !authority.contains('@')
}

/// Remembered with a call that went over plain http to this machine.
#[derive(Debug)]
pub(super) struct AskedThisMachine;

impl Storable for AskedThisMachine {
    type Storer = StoreReplace<Self>;
}

/// Follows the sandbox's clock.
#[derive(Clone, Debug)]
struct SandboxListener {
    clock: Clock,
}

#[dyn_dispatch_hint]
impl Intercept for SandboxListener {
    fn name(&self) -> &'static str {
        "SandboxListener"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_plain_loopback(context.request().uri()) {
            config.interceptor_state().store_put(AskedThisMachine);
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Whoever else sends the header has no say in what time it is.
        if config.load::<AskedThisMachine>().is_none() {
            return Ok(());
        }
        let Some(header) = context.response().headers().get(SANDBOX_HEADER) else { return Ok(()) };
        let Ok(note) = serde_json::from_str::<SandboxNote>(header) else { return Ok(()) };
        if let Some(now) = note.now {
            self.clock.observe(now, note.scale);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_plain_loopback, session_name};

    #[test]
    fn a_session_is_named_for_its_estate() {
        assert_eq!(session_name("shop", "prod"), "drctl-shop-prod");
        assert_eq!(session_name("Läden & Co", "eu/1"), "drctl-L-den---Co-eu-1");
        assert_eq!(session_name(&"x".repeat(100), "prod").len(), 64);
    }

    #[test]
    fn the_virtual_clock_is_followed_only_over_plain_http_to_this_machine() {
        for uri in ["http://127.0.0.1:4566/", "http://localhost:1", "http://[::1]:9/?a", "http://127.9.9.9"] {
            assert!(is_plain_loopback(uri), "{uri}");
        }
        for uri in [
            "https://127.0.0.1:4566/",
            "https://rds.eu-west-1.amazonaws.com/",
            "http://10.0.0.7:5000/",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "http://127.0.0.1:4566@evil.example/",
            "http://user:pass@127.0.0.1/",
            "http:///127.0.0.1",
            "/",
        ] {
            assert!(!is_plain_loopback(uri), "{uri}");
        }
    }
}
