//! STS: who is calling, and whom they may become. An assumption: every role lets itself be assumed.

use super::identity::{Caller, assume};
use super::protocol::{Answer, ApiError, Params, element, leaf, moment, xml_answer};
use super::world::{World, after};

const SHORTEST_SECONDS: i64 = 900;
const LONGEST_SECONDS: i64 = 43_200;
const USUAL_SECONDS: i64 = 3600;

pub(super) fn answer(world: &mut World, caller: &Caller, action: &str, params: &Params) -> Result<Answer, ApiError> {
    match action {
        "GetCallerIdentity" => Ok(xml_answer(
            action,
            vec![leaf("Arn", &caller.arn), leaf("UserId", &caller.user_id), leaf("Account", &caller.account)],
        )),
        "AssumeRole" => {
            let (role, name) = (params.required("RoleArn")?, session_name(params)?);
            let seconds = params.number("DurationSeconds").unwrap_or(USUAL_SECONDS);
            if !(SHORTEST_SECONDS..=LONGEST_SECONDS).contains(&seconds) {
                let message = format!("DurationSeconds must be between {SHORTEST_SECONDS} and {LONGEST_SECONDS}");
                return Err(ApiError::new(400, "ValidationError", message));
            }
            let (access_key, session) = assume(role, name, after(world.clock.now(), seconds))?;
            let credentials = vec![
                leaf("AccessKeyId", &access_key),
                leaf("SecretAccessKey", &session.secret),
                leaf("SessionToken", &session.token),
                moment("Expiration", session.expires_at),
            ];
            let user = vec![leaf("AssumedRoleId", &session.caller.user_id), leaf("Arn", &session.caller.arn)];
            world.sessions.insert(access_key, session);
            Ok(xml_answer(action, vec![element("Credentials", credentials), element("AssumedRoleUser", user)]))
        }
        _ => Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not know {action}"))),
    }
}

/// 2 to 64 of the characters that STS takes.
fn session_name(params: &Params) -> Result<&str, ApiError> {
    let name = params.required("RoleSessionName")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(name);
    }
    let message = format!("Value '{name}' at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]{{2,64}}");
    Err(ApiError::new(400, "ValidationError", message))
}
