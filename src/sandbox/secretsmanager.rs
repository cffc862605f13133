//! Secrets Manager: the passwords of the estate's databases.

use serde_json::{Value, json};

use super::protocol::{Answer, Fault, json_answer};
use super::world::World;

pub(super) fn answer(world: &mut World, action: &str, body: &Value) -> Result<Answer, Fault> {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match action {
        "GetSecretValue" => {
            let id = text("SecretId");
            let missing =
                || Fault::new(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
            let secret = world.secrets.get(&id).ok_or_else(missing)?;
            Ok(json_answer(&json!({
                "Name": id, "ARN": id, "SecretString": secret, "VersionId": "1", "VersionStages": ["AWSCURRENT"],
            })))
        }
        "CreateSecret" => {
            let name = text("Name");
            if world.secrets.contains_key(&name) {
                return Err(Fault::new(400, "ResourceExistsException", format!("The secret {name} already exists.")));
            }
            world.secrets.insert(name.clone(), text("SecretString"));
            Ok(json_answer(&json!({ "Name": name, "ARN": name, "VersionId": "1" })))
        }
        _ => Err(Fault::new(400, "InvalidRequestException", format!("the sandbox does not know {action}"))),
    }
}
