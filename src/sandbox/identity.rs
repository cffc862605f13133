//! Who calls: what the signature of a request says, and whether it is right.
//!
//! Signatures are those of AWS Signature Version 4 in the `Authorization` header. An assumption: the codes and words of
//! what is refused, which AWS does not document for each service.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, Uri};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use super::account::ACCOUNT;
use super::protocol::ApiError;
use crate::estate::Partition;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's date may be from the time that it is.
const DATE_TOLERANCE: SignedDuration = SignedDuration::from_mins(15);
/// Keys that need no role: users of the sandbox's own account. Each one's secret is its name.
const USERS: [&str; 2] = ["sandbox", "test"];
/// What a key of twelve digits, which belongs to a user of that account, has for a secret.
const FOREIGN_SECRET: &str = "sandbox";

/// Regions that there are, as botocore 1.44 lists them.
const REGIONS: [&str; 38] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Twelve digits.
    pub(super) account: String,
    /// `arn:aws:iam::ACCOUNT:user/NAME` or `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    pub(super) arn: String,
    /// What IAM calls the caller.
    pub(super) user_id: String,
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) secret: String,
    pub(super) token: String,
    pub(super) expires_at: Timestamp,
    pub(super) caller: Caller,
}

/// Temporary credentials by their access key.
pub(super) type Sessions = BTreeMap<String, Session>;

/// What the `Authorization` header says.
struct Signed<'h> {
    access_key: &'h str,
    day: &'h str,
    region: &'h str,
    service: &'h str,
    headers: Vec<&'h str>,
    signature: &'h str,
}

/// One request as it came.
pub(super) struct Request<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r [u8],
}

/// The service and the Region that a request is signed for, whether or not the signature is right.
pub(super) fn scope(headers: &HeaderMap) -> Option<(String, String)> {
    let signed = parse(text(headers, "authorization"))?;
    Some((signed.service.to_owned(), signed.region.to_owned()))
}

/// Who calls.
///
/// # Errors
/// As AWS refuses what is not signed, or not rightly.
pub(super) fn authenticate(
    request: &Request<'_>,
    sessions: &Sessions,
    machine: Timestamp,
    shown: Timestamp,
) -> Result<Caller, ApiError> {
    let header = text(request.headers, "authorization");
    if header.is_empty() {
        return Err(ApiError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"));
    }
    let incomplete = || ApiError::new(400, "IncompleteSignature", "Authorization header is not a complete signature.");
    let signed = parse(header).ok_or_else(incomplete)?;
    let date = text(request.headers, "x-amz-date");
    let at =
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC));
    let at = at.map_err(|_| incomplete())?.timestamp();
    if !date.starts_with(signed.day) || !signed.headers.contains(&"host") || !signed.headers.contains(&"x-amz-date") {
        return Err(incomplete());
    }
    // Clients that correct their clock by the answers' `Date` sign by the sandbox's clock, others by the machine's.
    let (early, late) = (machine.min(shown), machine.max(shown));
    if early.duration_since(at) > DATE_TOLERANCE || at.duration_since(late) > DATE_TOLERANCE {
        let message = format!("Signature expired: {date} is more than 15 minutes from now");
        return Err(ApiError::new(403, "SignatureDoesNotMatch", message));
    }
    if REGIONS.binary_search(&signed.region).is_err() {
        let message = format!("Credential should be scoped to a valid Region, not '{}'.", signed.region);
        return Err(ApiError::new(403, "SignatureDoesNotMatch", message));
    }
    let (secret, caller) = holder(&signed, request.headers, sessions, machine.min(shown))?;
    if signature(request, &signed, date, &secret) != signed.signature {
        let message = "The request signature we calculated does not match the signature you provided. Check your AWS \
                       Secret Access Key and signing method.";
        return Err(ApiError::new(403, "SignatureDoesNotMatch", message));
    }
    Ok(caller)
}

/// Whose access key it is, and its secret. Temporary ones end once both this machine's clock and the sandbox's have
/// passed their end: the one that signs follows the first, and what it was told is of the second.
fn holder(
    signed: &Signed<'_>,
    headers: &HeaderMap,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<(String, Caller), ApiError> {
    let unknown =
        || ApiError::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    if let Some(session) = sessions.get(signed.access_key) {
        if text(headers, "x-amz-security-token") != session.token {
            return Err(unknown());
        }
        if session.expires_at <= now {
            return Err(ApiError::new(403, "ExpiredToken", "The security token included in the request is expired"));
        }
        return Ok((session.secret.clone(), session.caller.clone()));
    }
    let key = signed.access_key;
    let user = |account: &str, secret: &str| {
        let arn = format!("arn:{}:iam::{account}:user/{secret}", Partition::of(signed.region).id);
        (secret.to_owned(), Caller { account: account.to_owned(), arn, user_id: "AIDASANDBOXSANDBOX00".to_owned() })
    };
    if USERS.contains(&key) {
        return Ok(user(ACCOUNT, key));
    }
    if is_account(key) { Ok(user(key, FOREIGN_SECRET)) } else { Err(unknown()) }
}

/// Whether it is an account's number.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account in an ARN, such as a role's.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(3).filter(|account| is_account(account))
}

/// New credentials for a role.
///
/// # Errors
/// Where the ARN is no role's.
pub(super) fn assume(role: &str, session: &str, expires_at: Timestamp) -> Result<(String, Session), ApiError> {
    let invalid = || ApiError::new(400, "ValidationError", format!("{role} is invalid"));
    let account = account_of(role).ok_or_else(invalid)?;
    let path = role.split_once(":role/").filter(|(before, _)| before.contains(":iam:")).ok_or_else(invalid)?.1;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    let partition = role.split(':').nth(1).unwrap_or("aws");
    let caller = Caller {
        account: account.to_owned(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
        user_id: format!("AROASANDBOXSANDBOX00:{session}"),
    };
    let random = |length: usize| rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect::<String>();
    let access_key = format!("ASIA{}", random(16).to_ascii_uppercase());
    Ok((access_key, Session { secret: random(40), token: random(100), expires_at, caller }))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `AWS4-HMAC-SHA256 Credential=KEY/20261120/eu-west-1/rds/aws4_request, SignedHeaders=host;x-amz-date, Signature=...`
fn parse(header: &str) -> Option<Signed<'_>> {
    let fields = header.strip_prefix(ALGORITHM)?;
    let field = |name: &str| {
        let mut all = fields.split(',').map(str::trim);
        all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let scope: Vec<&str> = field("Credential")?.split('/').collect();
    let [access_key, day, region, service, "aws4_request"] = scope[..] else { return None };
    let headers = field("SignedHeaders")?.split(';').collect();
    Some(Signed { access_key, day, region, service, headers, signature: field("Signature")? })
}

/// The signature that the request should have.
fn signature(request: &Request<'_>, signed: &Signed<'_>, date: &str, secret: &str) -> String {
    let mut query: Vec<&str> =
        request.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let values = |name: &&str| {
        let all: Vec<String> = request.headers.get_all(*name).iter().map(|value| one_line(value.as_bytes())).collect();
        format!("{name}:{}\n", all.join(","))
    };
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{}\n{}",
        request.method,
        request.uri.path(),
        query.join("&"),
        signed.headers.iter().map(values).collect::<String>(),
        signed.headers.join(";"),
        hex(&Sha256::digest(request.body)),
    );
    let scope = format!("{}/{}/{}/aws4_request", signed.day, signed.region, signed.service);
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [signed.day, signed.region, signed.service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    hex(&hmac(&key, to_sign.as_bytes()))
}

/// A header's value without spaces around it, and single ones within.
fn one_line(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // Every length of key is good for an HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed by botocore 1.44 with the key and the secret `sandbox`.
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=sandbox/20261127/eu-west-1/sts/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=a21bf3f54053ce0ac67a1d787b464e20cb2d21218ae78b8863f99742ea57c5f7";
    const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

    fn headers(authorization: &str) -> HeaderMap {
        let pairs = [
            ("authorization", authorization),
            ("x-amz-date", "20261127T010203Z"),
            ("host", "127.0.0.1:4566"),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ];
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
    }

    fn asked(authorization: &str, body: &str, at: &str) -> Result<Caller, String> {
        let headers = headers(authorization);
        let uri = "/".parse().unwrap();
        let request = Request { method: &Method::POST, uri: &uri, headers: &headers, body: body.as_bytes() };
        let at = at.parse().unwrap();
        authenticate(&request, &Sessions::new(), at, at).map_err(|fault| fault.code)
    }

    #[test]
    fn a_signature_that_somebody_else_made_is_understood_and_a_false_one_refused() {
        let now = "2026-11-27T01:05:00Z";
        assert_eq!(asked(AUTHORIZATION, BODY, now).unwrap().arn, "arn:aws:iam::123456789012:user/sandbox");
        let code = |authorization: &str, body, at| asked(authorization, body, at).unwrap_err();
        assert_eq!(code(AUTHORIZATION, "Action=Other", now), "SignatureDoesNotMatch");
        assert_eq!(code(AUTHORIZATION, BODY, "2026-11-27T02:05:00Z"), "SignatureDoesNotMatch");
        assert_eq!(code(&AUTHORIZATION.replace("sandbox/", "AKIANOBODY/"), BODY, now), "InvalidClientTokenId");
        assert_eq!(code(&AUTHORIZATION.replace("eu-west-1", "mars-north-1"), BODY, now), "SignatureDoesNotMatch");
        assert_eq!(code(&AUTHORIZATION.replace("Signature=", "Seal="), BODY, now), "IncompleteSignature");
        assert_eq!(code("", BODY, now), "MissingAuthenticationToken");
    }

    #[test]
    fn a_client_may_follow_the_machines_clock_or_the_sandboxs() {
        let headers = headers(AUTHORIZATION);
        let uri = "/".parse().unwrap();
        let request = Request { method: &Method::POST, uri: &uri, headers: &headers, body: BODY.as_bytes() };
        let asked = |machine: &str, shown: &str| {
            authenticate(&request, &Sessions::new(), machine.parse().unwrap(), shown.parse().unwrap()).is_ok()
        };
        assert!(asked("2026-11-27T01:00:00Z", "2026-12-27T01:00:00Z"));
        assert!(asked("2026-10-27T01:00:00Z", "2026-11-27T01:00:00Z"));
        assert!(!asked("2026-11-28T01:00:00Z", "2026-12-27T01:00:00Z"));
        assert!(!asked("2026-11-25T01:00:00Z", "2026-11-26T01:00:00Z"));
    }

    #[test]
    fn a_role_is_of_the_account_in_its_name() {
        let (key, session) = assume("arn:aws:iam::999999999999:role/ops/drctl", "drctl-shop", Timestamp::MAX).unwrap();
        assert!(key.starts_with("ASIA"));
        assert_eq!(session.caller.account, "999999999999");
        assert_eq!(session.caller.arn, "arn:aws:sts::999999999999:assumed-role/drctl/drctl-shop");
        assert!(assume("arn:aws:iam::999999999999:user/drctl", "s", Timestamp::MAX).is_err());
        assert!(assume("drctl", "s", Timestamp::MAX).is_err());
    }

    #[test]
    fn regions_can_be_searched() {
        assert!(REGIONS.is_sorted());
    }
}
