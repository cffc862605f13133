//! IAM: what policies would say, by `SimulateCustomPolicy`.

use serde_json::Value;

use super::policy::{Call, Context, Decision, Policy, decide};
use super::protocol::{Answer, ApiError, Node, Params, element, leaf, xml_answer};

pub(super) fn answer(action: &str, params: &Params) -> Result<Answer, ApiError> {
    match action {
        "SimulateCustomPolicy" => simulate_custom_policy(action, params),
        _ => Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not know {action}"))),
    }
}

fn simulate_custom_policy(action: &str, params: &Params) -> Result<Answer, ApiError> {
    let policies = params.list("PolicyInputList.member");
    let policies = policies.iter().map(|text| Policy::parse(text)).collect::<Result<Vec<_>, _>>();
    let policies = policies.map_err(|error| ApiError::new(400, "MalformedPolicyDocument", format!("{error:#}")))?;
    let mut context = Context::default();
    for number in 1.. {
        let Some(key) = params.text(&format!("ContextEntries.member.{number}.ContextKeyName")) else { break };
        for value in params.list(&format!("ContextEntries.member.{number}.ContextKeyValues.member")) {
            context.add(key, value);
        }
    }
    let mut resources = params.list("ResourceArns.member");
    if resources.is_empty() {
        resources.push("*".to_owned());
    }
    let mut results = Vec::new();
    for action in params.list("ActionNames.member") {
        for resource in &resources {
            let decision = decide(&policies, Call { action: &action, resource, context: &context });
            results.push(result(&action, resource, decision));
        }
    }
    Ok(xml_answer(action, vec![element("EvaluationResults", results), leaf("IsTruncated", false)]))
}

/// The same by the sandbox's own door, without a signature: what one policy says of one call.
pub(super) fn simulate(body: &Value) -> Result<Value, String> {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let policy = Policy::parse(&body["policy"].to_string()).map_err(|error| format!("{error:#}"))?;
    let mut context = Context::default();
    for (key, value) in body["context"].as_object().into_iter().flatten() {
        context.add(key, value.as_str().unwrap_or_default());
    }
    let call = Call { action: text("action"), resource: text("resource"), context: &context };
    Ok(Value::from(name(decide(&[policy], call))))
}

fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Allowed => "allowed",
        Decision::NotAllowed => "implicitDeny",
        Decision::Denied => "explicitDeny",
    }
}

fn result(action: &str, resource: &str, decision: Decision) -> Node {
    let decision = leaf("EvalDecision", name(decision));
    let members = vec![leaf("EvalActionName", action), leaf("EvalResourceName", resource), decision];
    element("member", members)
}
