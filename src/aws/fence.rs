//! Keeps an agent that has lost a run, or is about to, from changing anything for it.
//!
//! A call that changes something is made only while more time is left than one attempt at it may take. It is looked at
//! twice: before the call, where a short wait may help, and right before each attempt goes out, in case that the process
//! was stopped between the two.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::error::{Error, ErrorKind, Result};

/// How long one attempt at a call may take.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A lease of a usual length covers several attempts; that of a test does not, and its attempts are shorter.
const ATTEMPTS_IN_A_LEASE: u32 = 3;

/// Says how much time is left.
type Left = dyn Fn() -> Duration + Send + Sync;

/// Says how much time is left, and how much a change needs.
#[derive(Clone)]
pub struct LeaseFence {
    left: Arc<Left>,
    needed: Duration,
}

impl fmt::Debug for LeaseFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseFence").field("needed", &self.needed).finish_non_exhaustive()
    }
}

impl LeaseFence {
    /// A guard over a lease that is `length` long when it is new.
    pub fn new(length: Duration, left: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { left: Arc::new(left), needed: ATTEMPT_TIMEOUT.min(length / ATTEMPTS_IN_A_LEASE) }
    }

    /// How long one attempt at a change may take, so that it ends within the lease.
    pub(super) fn attempt_timeout(&self) -> Duration {
        self.needed
    }

    /// Whether a change may not begin now.
    pub(super) fn is_short(&self) -> bool {
        (self.left)() <= self.needed
    }

    /// Waits until a change may begin.
    pub(super) async fn wait(&self) -> Result<()> {
        while self.is_short() {
            if (self.left)().is_zero() {
                return Err(Error::new("the call", ErrorKind::Invalid, "not made: the run is no longer this agent's"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

#[dyn_dispatch_hint]
impl Intercept for LeaseFence {
    fn name(&self) -> &'static str {
        "LeaseFence"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let name = config.load::<Metadata>().map(|call| call.name().to_owned()).unwrap_or_default();
        let only_looks = name.starts_with("Describe") || name.starts_with("List");
        if only_looks || !self.is_short() {
            return Ok(());
        }
        Err(format!("`{name}` was not sent: too little is left of the lease").into())
    }
}
