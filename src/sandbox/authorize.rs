//! What a call needs to be allowed, where the sandbox was given policies.
//!
//! Actions, their resources and their condition keys are those of AWS's service authorization reference. Where it leaves
//! room, this is the strict reading, and so an assumption: a resource that it marks as required is looked at with the
//! service's default where the request names none; actions that it lists as dependent are needed; volumes, secrets and
//! topics are encrypted with a key of the customer's, so that the key has to be allowed too.

mod rds;

use serde_json::Value;

use super::policy::{Call, Context, Decision, Policy, decide};
use super::protocol::{ApiError, Params};
use super::world::World;
use crate::estate::{Partition, Tags};

/// Who calls what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) caller: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) action: &'a str,
    pub(super) body: &'a str,
}

impl Asked<'_> {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", Partition::of(self.region).id, self.region, self.account)
    }

    /// Such as `rds.eu-west-1.amazonaws.com`.
    fn via(&self, service: &str) -> String {
        format!("{service}.{}.{}", self.region, Partition::of(self.region).dns_suffix)
    }
}

/// One thing that has to be allowed.
#[derive(Clone, Debug)]
struct Need {
    action: String,
    resource: String,
    context: Context,
    /// What is answered where it is not.
    refusal: Refusal,
}

/// How a service words that something is not allowed.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The call itself, in the Query protocol.
    Query,
    /// The call itself, in JSON.
    Json,
    /// SNS has a code of its own, and writes its own name in capitals.
    Sns,
    /// A key, behind RDS, which does not say what was missing.
    KeyBehindRds,
    /// A key, behind Secrets Manager, which does not say either.
    KeyBehindSecrets,
    /// A key, behind SNS.
    KeyBehindSns,
}

/// Whether policies let a call through; all do where there are none.
///
/// # Errors
/// As AWS would answer.
pub(super) fn authorize(policies: &[Policy], world: &mut World, asked: Asked<'_>) -> Result<(), ApiError> {
    if policies.is_empty() {
        return Ok(());
    }
    for need in needs(world, asked) {
        let call = Call { action: &need.action, resource: &need.resource, context: &need.context };
        match decide(policies, call) {
            Decision::Allowed => {}
            decision => return Err(refuse(asked.caller, &need, decision)),
        }
    }
    Ok(())
}

/// The wording is AWS's ("Troubleshoot access denied error messages" in IAM's user guide).
fn refuse(caller: &str, need: &Need, decision: Decision) -> ApiError {
    let action = match need.refusal {
        Refusal::Sns => need.action.replacen("sns:", "SNS:", 1),
        _ => need.action.clone(),
    };
    let resource = if need.resource == "*" { String::new() } else { format!(" on resource: {}", need.resource) };
    let reason = match decision {
        Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
        _ => format!("because no identity-based policy allows the {action} action"),
    };
    let message = format!("User: {caller} is not authorized to perform: {action}{resource} {reason}");
    match need.refusal {
        Refusal::Query => ApiError::new(403, "AccessDenied", message),
        Refusal::Json => ApiError::new(400, "AccessDeniedException", message),
        Refusal::Sns => ApiError::new(403, "AuthorizationError", message),
        Refusal::KeyBehindRds => {
            let key = &need.resource;
            let text = "does not exist, is not enabled or you do not have permissions to access it.";
            ApiError::new(400, "KMSKeyNotAccessibleFault", format!("The specified KMS key [{key}] {text}"))
        }
        Refusal::KeyBehindSecrets => ApiError::new(400, "AccessDeniedException", "Access to KMS is not allowed"),
        Refusal::KeyBehindSns => ApiError::new(400, "KMSAccessDenied", message),
    }
}

/// What every call has.
fn common(world: &World, asked: Asked<'_>) -> Context {
    Context::default()
        .with("aws:RequestedRegion", asked.region)
        .with("aws:CurrentTime", world.clock.now().to_string())
        .with("aws:SecureTransport", "false")
        .with("aws:PrincipalArn", asked.caller)
        .with("aws:PrincipalAccount", asked.account)
}

fn needs(world: &mut World, asked: Asked<'_>) -> Vec<Need> {
    let context = common(world, asked);
    let json = || serde_json::from_str::<Value>(asked.body).unwrap_or_default();
    let text = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let action = format!("{}:{}", asked.service, asked.action);
    let one = |resource: String, context: Context, refusal: Refusal| {
        vec![Need { action: action.clone(), resource, context, refusal }]
    };
    let key = asked.arn("kms", "key/customer");
    match (asked.service, asked.action) {
        ("rds", _) => rds::needs(world, asked, &context),
        // Nobody can be kept from asking who they are.
        ("sts", "GetCallerIdentity") => Vec::new(),
        ("sts", _) => {
            let params = Params::parse(asked.body);
            let mut context = context;
            for (key, name) in [("sts:ExternalId", "ExternalId"), ("sts:RoleSessionName", "RoleSessionName")] {
                if let Some(value) = params.text(name) {
                    context.add(key, value);
                }
            }
            one(params.text("RoleArn").unwrap_or("*").to_owned(), context, Refusal::Query)
        }
        ("kms", _) => {
            let id = text(&json(), "KeyId");
            let arn = if id.starts_with("arn:") { id } else { asked.arn("kms", &format!("key/{id}")) };
            one(arn, context, Refusal::Json)
        }
        ("secretsmanager", "GetSecretValue") => {
            let id = text(&json(), "SecretId");
            // AWS appends six characters of its own to a secret's name.
            let arn =
                if id.starts_with("arn:") { id } else { asked.arn("secretsmanager", &format!("secret:{id}-a1B2c3")) };
            let through = context
                .clone()
                .with("kms:ViaService", asked.via("secretsmanager"))
                .with("kms:EncryptionContext:SecretARN", &*arn);
            let mut needs = one(arn, context, Refusal::Json);
            needs.push(on_key("kms:Decrypt", &key, &through, Refusal::KeyBehindSecrets));
            needs
        }
        ("sns", "Publish") => {
            let topic = Params::parse(asked.body).text("TopicArn").unwrap_or("*").to_owned();
            let through = context
                .clone()
                .with("kms:ViaService", asked.via("sns"))
                .with("kms:EncryptionContext:aws:sns:topicArn", &*topic);
            let mut needs = one(topic, context, Refusal::Sns);
            for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
                needs.push(on_key(action, &key, &through, Refusal::KeyBehindSns));
            }
            needs
        }
        (_, _) if asked.body.starts_with('{') => one("*".to_owned(), context, Refusal::Json),
        (_, _) => one("*".to_owned(), context, Refusal::Query),
    }
}

fn on_key(action: &str, key: &str, context: &Context, refusal: Refusal) -> Need {
    Need { action: action.to_owned(), resource: key.to_owned(), context: context.clone(), refusal }
}

fn add_tags(context: &mut Context, prefix: &str, tags: &Tags) {
    for (key, value) in tags {
        context.add(&format!("{prefix}/{key}"), value);
    }
}
