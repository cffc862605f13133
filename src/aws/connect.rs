//! One place that makes AWS configuration: credentials, Region, role, timeouts and the one retry layer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::guard::{ATTEMPT_TIMEOUT, Guard};
use super::watch::Watch;
use crate::clock::Clock;
use crate::estate::Estate;

/// Attempts at one call, the first included.
const ATTEMPTS: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
const STS_SESSION: &str = "drctl";

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
    pub(super) guard: Option<Guard>,
    pub(super) watch: Watch,
    /// The Region that the clients talk to.
    pub region: String,
    sandbox: Arc<SandboxListener>,
}

/// What the sandbox says about itself with every answer.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct SandboxNote {
    /// Its virtual time.
    pub now: Option<jiff::Timestamp>,
    /// How fast that runs.
    pub scale: f64,
    /// The authority that signed its databases' certificates.
    pub ca: Option<PathBuf>,
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
        let sandbox = Arc::new(SandboxListener { clock: clock.clone(), ca: OnceLock::new() });
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
            .region(aws_config::Region::new(estate.region.clone()))
            .retry_config(retries)
            .timeout_config(timeouts);
        let loader = match destination {
            Destination::Environment => loader,
            Destination::Sandbox(address) => loader
                .endpoint_url(format!("http://{address}"))
                .credentials_provider(Credentials::new("sandbox", "sandbox", None, None, "sandbox")),
        };
        let mut config = loader.load().await;
        if let Some(role) = &estate.role_arn {
            let provider = aws_config::sts::AssumeRoleProvider::builder(role)
                .session_name(STS_SESSION)
                .configure(&config)
                .build()
                .await;
            let provider = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
            config = config.into_builder().credentials_provider(provider).build();
        }
        let listen = SharedListener(Arc::clone(&sandbox));
        let rds = aws_sdk_rds::Client::from_conf(
            aws_sdk_rds::config::Builder::from(&config).interceptor(listen.clone()).build(),
        );
        let docdb = aws_sdk_docdb::Client::from_conf(
            aws_sdk_docdb::config::Builder::from(&config).interceptor(listen.clone()).build(),
        );
        let sts = aws_sdk_sts::Client::from_conf(
            aws_sdk_sts::config::Builder::from(&config).interceptor(listen.clone()).build(),
        );
        let kms = aws_sdk_kms::Client::from_conf(
            aws_sdk_kms::config::Builder::from(&config).interceptor(listen.clone()).build(),
        );
        let secrets = aws_sdk_secretsmanager::Client::from_conf(
            aws_sdk_secretsmanager::config::Builder::from(&config).interceptor(listen.clone()).build(),
        );
        let sns =
            aws_sdk_sns::Client::from_conf(aws_sdk_sns::config::Builder::from(&config).interceptor(listen).build());
        let watch = Watch::new(rds.clone(), clock.clone());
        Self { rds, docdb, sts, kms, secrets, sns, guard: None, watch, region: estate.region.clone(), sandbox }
    }

    /// The same clients, for a run that `guard` watches over.
    #[must_use]
    pub fn guarded(&self, guard: Guard) -> Self {
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

    /// The authority to trust for the sandbox's databases; `None` against AWS.
    #[must_use]
    pub fn sandbox_ca(&self) -> Option<PathBuf> {
        self.sandbox.ca.get().cloned().flatten()
    }
}

#[derive(Debug)]
struct SandboxListener {
    clock: Clock,
    ca: OnceLock<Option<PathBuf>>,
}

#[derive(Clone, Debug)]
struct SharedListener(Arc<SandboxListener>);

#[dyn_dispatch_hint]
impl Intercept for SharedListener {
    fn name(&self) -> &'static str {
        "SandboxListener"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(header) = context.response().headers().get(SANDBOX_HEADER) else { return Ok(()) };
        let Ok(note) = serde_json::from_str::<SandboxNote>(header) else { return Ok(()) };
        if let Some(now) = note.now {
            self.0.clock.observe(now, note.scale);
        }
        let _ = self.0.ca.set(note.ca);
        Ok(())
    }
}
