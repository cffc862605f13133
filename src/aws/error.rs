//! One classifier for everything that AWS, or the way to it, can answer.

use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What a failed call means to its caller. Derived from the code on the wire, never from message text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The thing asked for is not there.
    NotFound,
    /// A thing of that name is there already.
    AlreadyExists,
    /// Too many calls.
    Throttled,
    /// An account quota is reached.
    Quota,
    /// The caller may not, or is not known.
    Denied,
    /// The encryption key cannot be used.
    Key,
    /// The thing is in a state that does not allow the call.
    State,
    /// The arguments are wrong.
    Invalid,
    /// A 5xx, a timeout, or no connection.
    Unavailable,
}

/// A failed call.
#[derive(Clone, Debug)]
pub struct Error {
    /// The operation, such as `DescribeDBClusters`.
    pub operation: &'static str,
    /// The code on the wire, such as `DBClusterNotFoundFault`.
    pub code: Option<String>,
    /// What AWS said, or what went wrong on the way.
    pub message: String,
    /// What it means.
    pub kind: Kind,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "`{}` answered `{code}`: {}", self.operation, self.message),
            None => write!(f, "`{}` got no answer: {}", self.operation, self.message),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether another try may go well: the far end is busy or away, and nothing is wrong with the call.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Throttled | Kind::Unavailable)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.kind {
            Kind::Denied => {
                "check the credentials with `aws sts get-caller-identity` and the policy with `drctl iam-policy`"
            }
            Kind::Throttled => "another client is using up the account's API rate; try again, or later",
            Kind::Unavailable => "check the network and `AWS_ENDPOINT_URL`, then run `drctl doctor`",
            Kind::Quota => "remove unused resources, or raise the quota in Service Quotas",
            Kind::Key => "enable the KMS key, or allow this role to use it",
            Kind::NotFound | Kind::AlreadyExists | Kind::State | Kind::Invalid => {
                "run `drctl doctor` to see what differs from the configuration"
            }
        }
    }
}

/// Turns an SDK's error into ours.
pub(super) fn classify<E, R>(operation: &'static str, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let error = context.into_err();
            let code = error.code().map(str::to_owned);
            let kind = kind_of(code.as_deref());
            let message = error.message().map_or_else(|| "no message".to_owned(), str::to_owned);
            Error { operation, code, message, kind }
        }
        SdkError::ConstructionFailure(cause) => failure(operation, Kind::Invalid, &format!("{cause:?}")),
        other => failure(operation, Kind::Unavailable, &chain(&other)),
    }
}

fn failure(operation: &'static str, kind: Kind, message: &str) -> Error {
    Error { operation, code: None, message: message.to_owned(), kind }
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

fn kind_of(code: Option<&str>) -> Kind {
    let Some(code) = code else { return Kind::Unavailable };
    let has = |part: &str| code.contains(part);
    if has("NotFound") {
        Kind::NotFound
    } else if has("AlreadyExists") {
        Kind::AlreadyExists
    } else if has("Throttl") || has("RequestLimitExceeded") || has("TooManyRequests") {
        Kind::Throttled
    } else if has("QuotaExceeded") || has("LimitExceeded") {
        Kind::Quota
    } else if has("KMSKey") || has("KMSInvalid") {
        Kind::Key
    } else if is_denial(code) {
        Kind::Denied
    } else if has("InternalFailure") || has("InternalError") || has("ServiceUnavailable") || has("ServiceFailure") {
        Kind::Unavailable
    } else if has("State") {
        Kind::State
    } else {
        Kind::Invalid
    }
}

fn is_denial(code: &str) -> bool {
    const CODES: [&str; 9] = [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "MissingAuthenticationToken",
    ];
    CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire_mean_what_the_api_says() {
        for (code, kind) in [
            ("DBInstanceNotFound", Kind::NotFound),
            ("DBClusterNotFoundFault", Kind::NotFound),
            ("DBClusterAlreadyExistsFault", Kind::AlreadyExists),
            ("InstanceQuotaExceeded", Kind::Quota),
            ("DBClusterQuotaExceededFault", Kind::Quota),
            ("Throttling", Kind::Throttled),
            ("RequestLimitExceeded", Kind::Throttled),
            ("KMSKeyNotAccessibleFault", Kind::Key),
            ("InvalidDBInstanceState", Kind::State),
            ("InvalidDBClusterStateFault", Kind::State),
            ("AccessDenied", Kind::Denied),
            ("InternalFailure", Kind::Unavailable),
            ("InvalidParameterValue", Kind::Invalid),
        ] {
            assert_eq!(kind_of(Some(code)), kind, "{code}");
        }
        assert_eq!(kind_of(None), Kind::Unavailable);
    }
}
