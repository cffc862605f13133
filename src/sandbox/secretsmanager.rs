//! Secrets Manager: the passwords of the estate's databases. A secret is of one account and Region.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::protocol::{Answer, ApiError, json_answer};
use super::world::World;
use crate::estate::Partition;

/// What AWS puts behind a secret's name in its ARN: six characters of chance.
const SUFFIX_CHARS: usize = 6;

/// A secret with its versions.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    created_at: Timestamp,
    /// The newest last: AWSCURRENT, and AWSPREVIOUS before it.
    versions: Vec<(String, String)>,
}

impl Secret {
    /// `id` is a name, or the ARN that somebody wrote down.
    pub(super) fn new(account: &str, region: &str, id: &str, value: &str, now: Timestamp) -> Self {
        let name = name_of(id);
        let arn = if id.starts_with("arn:") {
            id.to_owned()
        } else {
            let partition = Partition::of(region).id;
            format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-Sbox01")
        };
        let mut secret = Self { name: name.to_owned(), arn, created_at: now, versions: Vec::new() };
        secret.put(value);
        secret
    }

    /// A new current version.
    pub(super) fn put(&mut self, value: &str) {
        let id = format!("{:08x}-0000-4000-8000-{:012x}", rand::random::<u32>(), self.versions.len() + 1);
        self.versions.push((id, value.to_owned()));
    }

    fn version(&self, stage: &str) -> Option<&(String, String)> {
        let back = match stage {
            "AWSCURRENT" => 1,
            "AWSPREVIOUS" => 2,
            _ => return None,
        };
        self.versions.len().checked_sub(back).and_then(|at| self.versions.get(at))
    }
}

/// The name in a secret's ARN, or what is a name already.
fn name_of(id: &str) -> &str {
    let Some((_, name)) = id.split_once(":secret:") else { return id };
    match name.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() == SUFFIX_CHARS => name,
        _ => name,
    }
}

/// The Region and the account of an ARN.
pub(super) fn home_of(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.strip_prefix("arn:")?.split(':').skip(2);
    Some((parts.next()?, parts.next()?))
}

pub(super) fn answer(world: &mut World, region: &str, action: &str, body: &Value) -> Result<Answer, ApiError> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (account, now) = (world.account.clone(), world.clock.now());
    let missing =
        || ApiError::new(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    match action {
        "GetSecretValue" => {
            let (id, stage) = (text("SecretId"), body["VersionStage"].as_str().unwrap_or("AWSCURRENT"));
            if id.is_empty() {
                return Err(ApiError::new(400, "InvalidParameterException", "You must provide a secret id."));
            }
            let secret = world.secret(region, &id).ok_or_else(missing)?;
            let absent = || {
                let message =
                    format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
                ApiError::new(400, "ResourceNotFoundException", message)
            };
            let (version, value) = secret.version(stage).ok_or_else(absent)?;
            Ok(json_answer(&json!({
                "Name": secret.name, "ARN": secret.arn, "SecretString": value, "VersionId": version,
                "VersionStages": [stage], "CreatedDate": secret.created_at.as_second(),
            })))
        }
        "CreateSecret" => {
            let name = text("Name");
            if name.is_empty() {
                return Err(ApiError::new(400, "InvalidParameterException", "You must provide a name."));
            }
            if world.secret(region, &name).is_some() {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(ApiError::new(400, "ResourceExistsException", message));
            }
            let secret = Secret::new(&account, region, &name, &text("SecretString"), now);
            let answer = version_of(&secret);
            world.secrets.insert((account, region.to_owned(), name), secret);
            Ok(answer)
        }
        "PutSecretValue" => {
            let secret = world.secret(region, &text("SecretId")).ok_or_else(missing)?;
            secret.put(&text("SecretString"));
            Ok(version_of(secret))
        }
        _ => Err(ApiError::new(400, "UnknownOperationException", format!("the sandbox does not know {action}"))),
    }
}

fn version_of(secret: &Secret) -> Answer {
    let version = secret.version("AWSCURRENT").map(|(id, _)| id.clone());
    json_answer(&json!({ "Name": secret.name, "ARN": secret.arn, "VersionId": version }))
}

/// Whether `id` means this secret: its name, its ARN, or its ARN without what chance put at its end.
pub(super) fn is_meant(secret: &Secret, id: &str) -> bool {
    secret.name == id
        || secret.arn == id
        || secret.arn.strip_prefix(id).is_some_and(|rest| rest.len() == SUFFIX_CHARS + 1)
}
