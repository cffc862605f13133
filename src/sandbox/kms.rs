//! KMS: whether the keys can be used. A key is of one account and Region; an AWS-managed key is there under its alias.

use serde_json::{Value, json};

use super::protocol::{Answer, ApiError, json_answer};
use super::world::World;

/// What AWS calls the key that RDS makes by itself.
const MANAGED_ALIAS: &str = "alias/aws/rds";

pub(super) fn answer(world: &mut World, region: &str, action: &str, body: &Value) -> Result<Answer, ApiError> {
    if action != "DescribeKey" {
        return Err(ApiError::new(400, "UnknownOperationException", format!("the sandbox does not know {action}")));
    }
    let Some(wanted) = body["KeyId"].as_str().filter(|id| !id.is_empty()) else {
        return Err(ApiError::new(400, "ValidationException", "KeyId must not be empty"));
    };
    let arn = find(world, region, wanted)?;
    let id = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let state = world.key_state.clone();
    let mut metadata = json!({
        "AWSAccountId": world.account, "KeyId": id, "Arn": arn, "CreationDate": 1_700_000_000, "Description": "",
        "Enabled": state == "Enabled", "KeyState": state, "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS",
        "KeyManager": if wanted.ends_with(MANAGED_ALIAS) { "AWS" } else { "CUSTOMER" },
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false,
    });
    if state == "PendingDeletion" {
        metadata["DeletionDate"] = json!(world.clock.now().as_second() + 7 * 86_400);
    }
    Ok(json_answer(&json!({ "KeyMetadata": metadata })))
}

/// The ARN of the key that is meant: by its own ARN, its id, or the alias of the AWS-managed one.
fn find(world: &mut World, region: &str, wanted: &str) -> Result<String, ApiError> {
    let missing = |message: String| ApiError::new(400, "NotFoundException", message);
    let account = world.account.clone();
    let resource = match wanted.strip_prefix("arn:") {
        None => wanted,
        Some(rest) => {
            let parts: Vec<&str> = rest.splitn(5, ':').collect();
            let [_, "kms", its_region, its_account, resource] = parts[..] else {
                return Err(ApiError::new(400, "InvalidArnException", format!("Invalid arn {wanted}")));
            };
            if its_region != region {
                return Err(missing(format!("Invalid arn {its_region}")));
            }
            if its_account != account {
                let message = format!("The key {wanted} does not exist, or its policy does not let you look at it");
                return Err(ApiError::new(400, "AccessDeniedException", message));
            }
            resource
        }
    };
    let known = world.region(region).keys();
    let id = resource.strip_prefix("key/").unwrap_or(resource);
    let found = match resource {
        MANAGED_ALIAS => known.first().cloned(),
        _ => known.into_iter().find(|arn| arn.rsplit('/').next() == Some(id)),
    };
    found.ok_or_else(|| missing(format!("Key 'arn:aws:kms:{region}:{account}:key/{id}' does not exist")))
}
