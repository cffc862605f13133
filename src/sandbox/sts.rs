//! STS: who is calling.

use super::protocol::{Answer, Fault, Params, element, leaf, moment, xml_answer};
use super::world::{ACCOUNT, World, after};

/// Who calls, whatever the access key.
pub(super) const CALLER: &str = "arn:aws:iam::123456789012:user/sandbox";

pub(super) fn answer(world: &World, action: &str, params: &Params) -> Result<Answer, Fault> {
    match action {
        "GetCallerIdentity" => {
            Ok(xml_answer(action, vec![leaf("Arn", CALLER), leaf("UserId", "AIDASANDBOX"), leaf("Account", ACCOUNT)]))
        }
        "AssumeRole" => {
            let role = params.required("RoleArn")?;
            let expires_at = after(world.clock.now(), 3600);
            let credentials = vec![
                leaf("AccessKeyId", "ASIASANDBOX"),
                leaf("SecretAccessKey", "sandbox"),
                leaf("SessionToken", "sandbox"),
                moment("Expiration", expires_at),
            ];
            let user = vec![leaf("AssumedRoleId", "AROASANDBOX:drctl"), leaf("Arn", role)];
            Ok(xml_answer(action, vec![element("Credentials", credentials), element("AssumedRoleUser", user)]))
        }
        _ => Err(Fault::new(400, "InvalidAction", format!("the sandbox does not know {action}"))),
    }
}
