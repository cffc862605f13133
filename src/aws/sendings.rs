//! Whether an attempt at a call may have done its work without anybody hearing of it. The SDK tries again by itself, and what
//! the last attempt was answered says nothing about the one before: a copy whose answer was lost takes the last slot of
//! the quota, and the next attempt is refused for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    /// Attempts that went out and were not refused, so far.
    static UNREFUSED: Arc<AtomicU32>;
}

/// Performs a call; whether any attempt at it went out and was not answered by a refusal.
pub(super) async fn watched<T>(call: impl Future<Output = T>) -> (T, bool) {
    let unrefused = Arc::new(AtomicU32::new(0));
    let answer = UNREFUSED.scope(Arc::clone(&unrefused), call).await;
    (answer, unrefused.load(Ordering::SeqCst) > 0)
}

/// Counts for [`watched`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sendings;

#[dyn_dispatch_hint]
impl Intercept for Sendings {
    fn name(&self) -> &'static str {
        "Sendings"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let _ = UNREFUSED.try_with(|unrefused| unrefused.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer of 4xx says that nothing was done; one of 5xx, or none, does not.
        if context.response().is_some_and(|response| response.status().is_client_error()) {
            let _ = UNREFUSED.try_with(|unrefused| unrefused.fetch_sub(1, Ordering::SeqCst));
        }
        Ok(())
    }
}
