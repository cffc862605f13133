//! What a change would send. A dry run takes the same way down to the SDK as the change itself, and stops where the
//! request has been written and nothing of it has left: what is shown cannot drift from what is sent.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::change::Change;
use super::connect::Aws;
use super::error::{Error, ErrorKind, Result};

/// Shown instead of a password.
const MASK: &str = "(random, kept in memory only)";

/// A call as it is shown: service, operation and arguments.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Call {
    /// `rds`, which is DocumentDB's name on the wire, too.
    pub service: &'static str,
    /// Such as `RestoreDBClusterFromSnapshot`.
    pub operation: String,
    /// Names and values as they go over the wire, such as `Tags.Tag.1.Key`.
    pub arguments: Vec<(String, String)>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)?;
        for (name, value) in &self.arguments {
            write!(f, "\n  {name} = {value}")?;
        }
        Ok(())
    }
}

impl Call {
    /// Reads a request of the Query protocol, which RDS and DocumentDB speak.
    fn parse(body: &[u8]) -> Self {
        let mut call = Self { service: "rds", operation: String::new(), arguments: Vec::new() };
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "Action" => call.operation = value.into_owned(),
                "Version" => {}
                "MasterUserPassword" => call.arguments.push((name.into_owned(), MASK.to_owned())),
                _ => call.arguments.push((name.into_owned(), value.into_owned())),
            }
        }
        call
    }
}

/// Keeps the request of one call, and keeps it from being sent.
#[derive(Clone, Debug, Default)]
struct Capture(Arc<Mutex<Option<Call>>>);

#[dyn_dispatch_hint]
impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "Capture"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let body = context.request().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Call::parse(body));
        Err("a dry run sends nothing".into())
    }
}

impl Aws {
    /// What [`Aws::apply`] would send for a change. Nothing is sent, not even for credentials.
    ///
    /// # Errors
    /// Where the SDK would not even write the request.
    pub async fn preview(&self, change: &Change) -> Result<Call> {
        let capture = Capture::default();
        let clients = self.intercepted(capture.clone());
        let answer = clients.apply_once(change).await;
        let captured = capture.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        captured.ok_or_else(|| {
            answer.err().unwrap_or_else(|| Error::new("the call", ErrorKind::Invalid, "was not written"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_as_it_is_written_but_for_its_password() {
        let call = Call::parse(
            b"Action=ModifyDBCluster&Version=2014-10-31&DBClusterIdentifier=drctl-x&MasterUserPassword=hunter2",
        );
        assert_eq!(call.operation, "ModifyDBCluster");
        assert_eq!(call.arguments[0], ("DBClusterIdentifier".to_owned(), "drctl-x".to_owned()));
        assert!(!call.to_string().contains("hunter2"), "{call}");
    }
}
