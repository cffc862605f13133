//! One classifier for everything that AWS, or the way to it, can answer.

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What a failed call means to its caller. Derived from the code on the wire, never from message text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The thing asked for is not there.
    NotFound,
    /// A thing of that name is there already.
    AlreadyExists,
    /// Too many calls.
    Throttled,
    /// An account quota is reached.
    Quota,
    /// AWS has no capacity of the asked-for class in these zones now.
    Capacity,
    /// The network does not allow it: VPC, subnets, free addresses.
    Network,
    /// A parameter group or an option group is not there.
    MissingGroup,
    /// The caller may not, or is not known.
    Denied,
    /// The credentials have expired, or could not be had.
    Credentials,
    /// The credentials are of another account than the estate's.
    WrongAccount,
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
    /// The prefix of the service's IAM actions, such as `rds`; empty where no service was asked.
    pub service: &'static str,
    /// The operation, such as `DescribeDBClusters`.
    pub operation: &'static str,
    /// The code on the wire, such as `DBClusterNotFoundFault`.
    pub code: Option<String>,
    /// What AWS said, or what went wrong on the way.
    pub message: String,
    /// What it means.
    pub kind: ErrorKind,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            None if self.kind == ErrorKind::WrongAccount => f.write_str(&self.message),
            Some(code) => write!(f, "`{}` answered `{code}`: {}", self.operation, self.message),
            None => write!(f, "`{}` got no answer: {}", self.operation, self.message),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What went wrong before, or without, an answer.
    #[must_use]
    pub fn new(operation: &'static str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { service: "", operation, code: None, message: message.into(), kind }
    }

    /// Whether another try may go well: the far end is busy or away, and nothing is wrong with the call.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Throttled | ErrorKind::Unavailable)
    }

    /// Whether nobody knows what became of the call: it may have done its work.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// The operation and the code alone: AWS's text names accounts, roles and resources, which not everybody shall read.
    #[must_use]
    pub fn brief(&self) -> String {
        match &self.code {
            Some(code) => format!("`{}` answered `{code}`", self.operation),
            None if self.kind == ErrorKind::WrongAccount => "the credentials are of another account".to_owned(),
            None => format!("`{}` got no answer", self.operation),
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        if self.kind == ErrorKind::Denied {
            return self.denial_hint();
        }
        match (self.code.as_deref(), self.kind) {
            (Some("StorageQuotaExceeded"), _) => {
                "the account's RDS storage quota is reached: raise it in Service Quotas, or remove what is not used"
            }
            (Some("PointInTimeRestoreNotEnabled"), _) => {
                "automated backups are off: set a backup retention of at least 1 day on the source"
            }
            (Some(code), ErrorKind::NotFound) if code.contains("Snapshot") => {
                "the snapshot is gone, or of another account or Region: choose another point with `--point`"
            }
            (Some(code), ErrorKind::NotFound) if code.contains("SubnetGroup") => {
                "make the subnet group in this Region, or correct `subnet_group` under `[quarantine]`"
            }
            (Some("DBSubnetGroupDoesNotCoverEnoughAZs"), _) => {
                "give the quarantine's subnet group subnets in at least two zones"
            }
            (Some("InsufficientAvailableIPsInSubnetFault"), _) => {
                "the quarantine's subnets have no free address: remove what is not used, or add a subnet"
            }
            (_, kind) => kind_hint(kind),
        }
        .to_owned()
    }

    fn denial_hint(&self) -> String {
        const CREDENTIALS: &str = "check the credentials with `aws sts get-caller-identity`";
        if !self.code.as_deref().is_some_and(|code| MISSING_PERMISSION.contains(&code)) {
            return CREDENTIALS.to_owned();
        }
        let action = self.denied_action();
        if self.message.contains("explicit deny") {
            return format!(
                "an explicit deny forbids `{action}`: look at service control policies, permission boundaries and the \
                 role's policies; allowing it elsewhere is not enough"
            );
        }
        format!("allow `{action}`: `drctl iam-policy` prints the whole policy; {CREDENTIALS}")
    }

    /// The action that was denied. The message is the only place that names it; where it does not, the call does.
    #[must_use]
    pub fn denied_action(&self) -> String {
        if self.message.contains("Access to KMS is not allowed") {
            // Secrets Manager's words where the secret can be read and its key cannot be used.
            return "kms:Decrypt".to_owned();
        }
        let named = self.message.split("to perform").nth(1).map(|rest| rest.trim_start_matches([':', ' ']));
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == ':' || char == '-';
        let named = named.map(|rest| rest.split(|char: char| !is_part(char)).next().unwrap_or_default());
        match named.filter(|action| {
            action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
        }) {
            Some(action) => action.to_owned(),
            None => format!("{}:{}", self.service, self.operation),
        }
    }
}

fn kind_hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Denied => "check the credentials with `aws sts get-caller-identity`",
        ErrorKind::Credentials => {
            "renew the credentials (`aws sso login`, or whatever issues them) and check them with `aws sts \
             get-caller-identity`"
        }
        ErrorKind::WrongAccount => {
            "use the estate's own credentials (`AWS_PROFILE`), or correct `account` under `[estate]`; nothing was done"
        }
        ErrorKind::Throttled => "another client is using up the account's API rate; try again, or later",
        ErrorKind::Unavailable => "check the network and `AWS_ENDPOINT_URL`, then run `drctl doctor`",
        ErrorKind::Quota => "remove unused resources, or raise the quota in Service Quotas",
        ErrorKind::Capacity => {
            "AWS has none of this class free in the quarantine's zones: choose another `instance_class`, add zones to \
             the subnet group, or try again later (a real recovery would meet the same)"
        }
        ErrorKind::Network => {
            "check the quarantine: its subnets, their zones and free addresses, and that the security groups are of \
             the same VPC as `subnet_group`"
        }
        ErrorKind::MissingGroup => {
            "the source's parameter group or option group is not in this account and Region: make it again, since a \
             recovery needs it too"
        }
        ErrorKind::Key => {
            "enable the KMS key, or allow `kms:CreateGrant`, `kms:DescribeKey`, `kms:Decrypt` and `kms:GenerateDataKey` on \
             it, in its own policy too: `drctl iam-policy` prints with which conditions"
        }
        ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::State | ErrorKind::Invalid => {
            "run `drctl doctor` to see what differs from the configuration"
        }
    }
}

/// One of AWS's services: what has to be known of it to understand what it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// The prefix of its IAM actions.
    pub(super) prefix: &'static str,
    /// What its own codes mean, where their names do not say it by the patterns that all services share.
    pub(super) codes: &'static [(&'static str, ErrorKind)],
}

impl Service {
    /// Turns an SDK's error into ours.
    pub(super) fn error<E, R>(&self, operation: &'static str, error: SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug + 'static,
    {
        let failure = |kind, message: String| Error { service: self.prefix, ..Error::new(operation, kind, message) };
        match error {
            SdkError::ServiceError(context) => {
                let error = context.into_err();
                let message = error.message().unwrap_or("no message").to_owned();
                self.error_of_code(operation, error.code().map(str::to_owned), message)
            }
            other if lacks_credentials(&other) => failure(ErrorKind::Credentials, chain(&other)),
            SdkError::ConstructionFailure(cause) => failure(ErrorKind::Invalid, format!("{cause:?}")),
            other => failure(ErrorKind::Unavailable, chain(&other)),
        }
    }

    /// An error by its code; without one nothing answered as AWS does.
    pub(super) fn error_of_code(&self, operation: &'static str, code: Option<String>, message: String) -> Error {
        let kind = code.as_deref().map_or(ErrorKind::Unavailable, |code| self.kind_of(code));
        Error { service: self.prefix, operation, code, message, kind }
    }

    fn kind_of(&self, code: &str) -> ErrorKind {
        let own = self.codes.iter().find(|(of, _)| *of == code).map(|(_, kind)| *kind);
        own.or_else(|| COMMON.iter().find(|(of, _)| of.contains(&code)).map(|(_, kind)| *kind))
            .unwrap_or_else(|| by_pattern(code))
    }
}

/// Whether the call was never sent because no credentials could be had.
fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<CredentialsError>)
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

/// Codes that every service may answer with, beside those that the SDK's own retries know: "Common Errors" of the services'
/// API references.
const COMMON: [(&[&str], ErrorKind); 6] = [
    (THROTTLING_ERRORS, ErrorKind::Throttled),
    (TRANSIENT_ERRORS, ErrorKind::Unavailable),
    // Credentials whose time is over: renewed ones would do.
    (&["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"], ErrorKind::Credentials),
    // The caller is not known.
    (
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "MissingAuthenticationToken",
            "IncompleteSignature",
            "OptInRequired",
        ],
        ErrorKind::Denied,
    ),
    (&MISSING_PERMISSION, ErrorKind::Denied),
    (&["ServiceUnavailable", "ServiceFailure"], ErrorKind::Unavailable),
];

/// The caller is known, and may not do this.
const MISSING_PERMISSION: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "NotAuthorized",
    "AuthorizationError",
    "IamRoleMissingPermissions",
];

/// What names of codes have in common, whatever the service.
fn by_pattern(code: &str) -> ErrorKind {
    let has = |part: &str| code.contains(part);
    if has("NotFound") {
        ErrorKind::NotFound
    } else if has("AlreadyExists") {
        ErrorKind::AlreadyExists
    } else if has("Throttl") || has("TooManyRequests") {
        ErrorKind::Throttled
    } else if has("QuotaExceeded") || has("LimitExceeded") {
        ErrorKind::Quota
    } else if has("Internal") || has("DependencyTimeout") || has("ServiceUnavailable") {
        ErrorKind::Unavailable
    } else if has("Invalid") && has("State") {
        ErrorKind::State
    } else {
        ErrorKind::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of a code of RDS.
    fn kind_of(code: &str) -> ErrorKind {
        super::super::rds::RDS.kind_of(code)
    }

    #[test]
    fn codes_on_the_wire_mean_what_the_api_says() {
        for (code, kind) in [
            ("DBInstanceNotFound", ErrorKind::NotFound),
            ("DBClusterNotFoundFault", ErrorKind::NotFound),
            ("DBParameterGroupNotFound", ErrorKind::MissingGroup),
            ("DBClusterParameterGroupNotFound", ErrorKind::MissingGroup),
            ("OptionGroupNotFoundFault", ErrorKind::MissingGroup),
            ("DBClusterAlreadyExistsFault", ErrorKind::AlreadyExists),
            ("InstanceQuotaExceeded", ErrorKind::Quota),
            ("DBClusterQuotaExceededFault", ErrorKind::Quota),
            ("StorageQuotaExceeded", ErrorKind::Quota),
            ("InsufficientDBInstanceCapacity", ErrorKind::Capacity),
            ("InsufficientDBClusterCapacityFault", ErrorKind::Capacity),
            ("InsufficientStorageClusterCapacity", ErrorKind::Capacity),
            ("InvalidVPCNetworkStateFault", ErrorKind::Network),
            ("InvalidSubnet", ErrorKind::Network),
            ("Throttling", ErrorKind::Throttled),
            ("RequestLimitExceeded", ErrorKind::Throttled),
            ("KMSKeyNotAccessibleFault", ErrorKind::Key),
            ("InvalidDBInstanceState", ErrorKind::State),
            ("InvalidDBClusterStateFault", ErrorKind::State),
            ("StateMachineDoesNotExist", ErrorKind::Invalid),
            ("AccessDenied", ErrorKind::Denied),
            ("UnauthorizedOperation", ErrorKind::Denied),
            ("AuthFailure", ErrorKind::Denied),
            ("InvalidGroup.NotFound", ErrorKind::NotFound),
            ("InvalidGroupId.Malformed", ErrorKind::Invalid),
            ("ExpiredToken", ErrorKind::Credentials),
            ("ExpiredTokenException", ErrorKind::Credentials),
            ("InternalFailure", ErrorKind::Unavailable),
            ("KMSInternalException", ErrorKind::Unavailable),
            ("DependencyTimeoutException", ErrorKind::Unavailable),
            ("InternalServiceError", ErrorKind::Unavailable),
            ("InvalidParameterValue", ErrorKind::Invalid),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }

    fn denied(message: &str) -> Error {
        super::super::rds::RDS.error_of_code("DeleteDBCluster", Some("AccessDenied".to_owned()), message.to_owned())
    }

    #[test]
    fn a_denial_names_the_missing_action() {
        let error = denied(
            "User: arn:aws:sts::123456789012:assumed-role/drctl/x is not authorized to perform: rds:DeleteDBInstance on \
             resource: arn:aws:rds:eu-west-1:123456789012:db:y because no identity-based policy allows it",
        );
        assert_eq!(error.denied_action(), "rds:DeleteDBInstance");
        assert!(error.hint().starts_with("allow `rds:DeleteDBInstance`"), "{}", error.hint());
        // Where AWS names none, the call does.
        assert_eq!(denied("Access denied").denied_action(), "rds:DeleteDBCluster");
        let forbidden =
            denied("not authorized to perform: kms:CreateGrant with an explicit deny in a service control policy");
        assert!(forbidden.hint().starts_with("an explicit deny forbids `kms:CreateGrant`"), "{}", forbidden.hint());
    }

    #[test]
    fn a_short_class_a_wrong_network_and_a_missing_group_say_what_to_do() {
        let error =
            |code: &str| super::super::rds::RDS.error_of_code("CreateDBInstance", Some(code.to_owned()), String::new());
        for (code, part) in [
            ("InsufficientDBInstanceCapacity", "another `instance_class`"),
            ("InvalidVPCNetworkStateFault", "same VPC"),
            ("OptionGroupNotFoundFault", "option group"),
            ("StorageQuotaExceeded", "storage quota"),
            ("KMSKeyNotAccessibleFault", "enable the KMS key"),
            ("ExpiredToken", "renew the credentials"),
            ("DBSnapshotNotFound", "choose another point"),
        ] {
            assert!(error(code).hint().contains(part), "{code}: {}", error(code).hint());
        }
    }
}
