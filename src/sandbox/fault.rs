//! Faults on request: (service, action, Region, resource, nth call) -> what goes wrong.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rate::is_unlucky;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    /// `Throttling`.
    Throttle,
    /// `InternalFailure`.
    Error,
    /// An HTML page with status 503.
    Html,
    /// `AccessDenied`.
    Denied,
    /// No answer at all: the connection stays silent.
    Silence,
    /// The call does what it should, but the answer is lost.
    LostAnswer,
    /// The connection is reset before anything is done.
    Reset,
    /// The call does what it should, and the connection is reset instead of an answer.
    LostReset,
    /// The right answer, so many real seconds later.
    Slow(f64),
    /// The call does what it should, and the connection ends in the middle of the answer.
    Truncated,
    /// The call does what it should, and the answer's body ends in the middle.
    Malformed,
    /// What is restored ends in this status.
    Status(String),
    /// What is deleted stays `deleting` for so many virtual seconds.
    Stuck(i64),
    /// This error code.
    Code(String),
    /// This error code with an HTTP status of its own.
    Answer {
        /// Such as 503.
        status: u16,
        /// Such as `ServiceUnavailable`.
        code: String,
    },
}

/// When something goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// Such as `rds`; any where absent.
    #[serde(default)]
    pub(super) service: Option<String>,
    /// Such as `DescribeDBClusters`; any where absent.
    #[serde(default)]
    pub(super) action: Option<String>,
    /// Such as `eu-west-1`; any where absent.
    #[serde(default)]
    pub(super) region: Option<String>,
    /// The name of what the call is about, or of something that it mentions; any where absent.
    #[serde(default)]
    pub(super) resource: Option<String>,
    /// The first call that it hits, from 1, among those that match.
    #[serde(default = "first")]
    pub(super) nth: u64,
    /// How many calls it hits at most; one where absent, and any number where chance decides.
    #[serde(default)]
    pub(super) times: Option<u64>,
    /// How likely it hits each of them; always where absent.
    #[serde(default)]
    pub(super) probability: Option<f64>,
    /// Which of chance's ways; the same seed hits the same calls.
    #[serde(default)]
    pub(super) seed: u64,
    /// What goes wrong.
    pub(super) effect: Effect,
    /// Calls that matched so far.
    #[serde(default)]
    pub(super) seen: u64,
}

/// A call, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    pub(super) service: &'c str,
    pub(super) action: &'c str,
    pub(super) region: &'c str,
    pub(super) arguments: &'c Value,
}

fn first() -> u64 {
    1
}

impl Rule {
    fn matches(&self, call: &Call<'_>) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        is(&self.service, call.service)
            && is(&self.action, call.action)
            && is(&self.region, call.region)
            && self.resource.as_deref().is_none_or(|id| mentions(call.arguments, id))
    }

    fn hits_next(&mut self) -> bool {
        self.seen += 1;
        let times = self.times.unwrap_or(if self.probability.is_some() { u64::MAX } else { 1 });
        self.seen >= self.nth
            && self.seen - self.nth < times
            && self.probability.is_none_or(|share| is_unlucky(self.seed.wrapping_mul(1_000_003) ^ self.seen, share))
    }
}

/// Whether a name is among the arguments, alone or at the end of an ARN.
fn mentions(arguments: &Value, id: &str) -> bool {
    match arguments {
        Value::String(text) => text == id || text.strip_suffix(id).is_some_and(|rest| rest.ends_with([':', '/'])),
        Value::Array(values) => values.iter().any(|value| mentions(value, id)),
        Value::Object(members) => members.values().any(|value| mentions(value, id)),
        _ => false,
    }
}

/// What goes wrong with this call, if anything. Each rule counts the calls that it matches.
pub(super) fn match_fault(rules: &mut [Rule], call: &Call<'_>) -> Option<Effect> {
    let mut effect = None;
    for rule in rules {
        if rule.matches(call) && rule.hits_next() && effect.is_none() {
            effect = Some(rule.effect.clone());
        }
    }
    effect
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hits(rule: Value, calls: &[(&str, &str, Value)]) -> Vec<bool> {
        let mut rules = vec![serde_json::from_value::<Rule>(rule).unwrap()];
        let call = |(action, region, arguments): &(&str, &str, Value)| {
            match_fault(&mut rules, &Call { service: "rds", action, region, arguments }).is_some()
        };
        calls.iter().map(call).collect()
    }

    #[test]
    fn a_rule_hits_the_calls_that_it_names() {
        let rule = json!({ "action": "A", "nth": 2, "times": 2, "effect": "throttle" });
        let calls = ["A", "B", "A", "A", "A"].map(|action| (action, "eu-west-1", Value::Null));
        assert_eq!(hits(rule, &calls), [false, false, true, true, false]);
    }

    #[test]
    fn a_rule_can_name_a_region_and_a_resource() {
        let rule = json!({ "region": "eu-west-1", "resource": "shop", "times": 9, "effect": { "code": "X" } });
        let calls = [
            ("A", "eu-west-1", json!({ "DBInstanceIdentifier": "shop" })),
            ("A", "eu-west-2", json!({ "DBInstanceIdentifier": "shop" })),
            ("A", "eu-west-1", json!({ "ResourceName": "arn:aws:rds:eu-west-1:123456789012:db:shop" })),
            ("A", "eu-west-1", json!({ "DBInstanceIdentifier": "workshop" })),
        ];
        assert_eq!(hits(rule, &calls), [true, false, true, false]);
    }

    #[test]
    fn chance_decides_the_same_way_for_the_same_seed() {
        let calls: Vec<_> = (0..1000).map(|_| ("A", "r", Value::Null)).collect();
        let rule = |seed: u64| json!({ "probability": 0.3, "seed": seed, "effect": "reset" });
        let first = hits(rule(7), &calls);
        assert_eq!(first, hits(rule(7), &calls));
        assert_ne!(first, hits(rule(8), &calls));
        assert!((200..400).contains(&first.iter().filter(|hit| **hit).count()));
    }
}
