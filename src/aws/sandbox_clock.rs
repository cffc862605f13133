//! Follows the clock of a sandbox, which tells its virtual time with every answer.

use std::net::IpAddr;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::clock::Clock;

/// The header with which the sandbox tells its clock. AWS never sends it.
pub(crate) const SANDBOX_HEADER: &str = "x-drctl-sandbox";

/// What the sandbox says about itself with every answer.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct SandboxNote {
    /// Its virtual time.
    pub now: Option<jiff::Timestamp>,
    /// How fast that runs.
    pub scale: f64,
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
pub(super) struct SandboxListener {
    pub(super) clock: Clock,
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
    use super::is_plain_loopback;

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
