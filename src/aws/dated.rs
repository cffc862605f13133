//! AWS's clock: the `Date` of the answer that described something. What is measured by it does not depend on this host's.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use jiff::Timestamp;

use super::convert::time;
use super::sandbox_clock::{AskedThisMachine, SANDBOX_HEADER, SandboxNote};

/// The `Date` of the last answer to one call: an attempt that was throttled was answered before. In the sandbox its virtual
/// time, which the header of the sandbox tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Dated(Arc<Mutex<Option<Timestamp>>>);

impl Dated {
    pub(super) fn at(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Dated {
    fn name(&self) -> &'static str {
        "Dated"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // Whoever else sends the sandbox's header has no say in what time it is.
        let of_sandbox = headers.get(SANDBOX_HEADER).filter(|_| config.load::<AskedThisMachine>().is_some());
        let at = match of_sandbox {
            Some(note) => serde_json::from_str::<SandboxNote>(note).ok().and_then(|note| note.now),
            None => headers.get("date").and_then(|date| time(DateTime::from_str(date, Format::HttpDate).ok())),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
        Ok(())
    }
}
