//! Secrets Manager: the passwords of the estate's databases. A secret is of one account and Region.

use serde_json::{Value, json};

use super::protocol::{Answer, ApiError, json_answer};
use super::world::{Secret, World};

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
