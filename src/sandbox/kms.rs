//! KMS: whether the keys can be used.

use serde_json::{Value, json};

use super::protocol::{Answer, Fault, json_answer};
use super::world::{ACCOUNT, World};

pub(super) fn answer(world: &World, action: &str, body: &Value) -> Result<Answer, Fault> {
    if action != "DescribeKey" {
        return Err(Fault::new(400, "UnknownOperationException", format!("the sandbox does not know {action}")));
    }
    let arn = body["KeyId"].as_str().unwrap_or_default();
    let id = arn.rsplit('/').next().unwrap_or_default();
    let enabled = world.key_state == "Enabled";
    Ok(json_answer(&json!({ "KeyMetadata": {
        "AWSAccountId": ACCOUNT, "KeyId": id, "Arn": arn, "Enabled": enabled, "KeyState": world.key_state,
        "KeyUsage": "ENCRYPT_DECRYPT", "KeyManager": "CUSTOMER",
    } })))
}
