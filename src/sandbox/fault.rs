//! Faults on request: (service, action, nth call) -> what goes wrong.

use serde::{Deserialize, Serialize};

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What is restored ends in this status.
    Status(String),
    /// This error code.
    Code(String),
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
    /// The first call that it hits, from 1, among those that match.
    #[serde(default = "first")]
    pub(super) nth: u64,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub(super) times: u64,
    /// What goes wrong.
    pub(super) effect: Effect,
    /// Calls that matched so far.
    #[serde(default)]
    pub(super) seen: u64,
}

fn first() -> u64 {
    1
}

fn once() -> u64 {
    1
}

/// What goes wrong with this call, if anything. Each rule counts the calls that it matches.
pub(super) fn strike(rules: &mut [Rule], service: &str, action: &str) -> Option<Effect> {
    let mut effect = None;
    for rule in rules {
        let matches = rule.service.as_deref().is_none_or(|wanted| wanted == service)
            && rule.action.as_deref().is_none_or(|wanted| wanted == action);
        if !matches {
            continue;
        }
        rule.seen += 1;
        if rule.seen >= rule.nth && rule.seen - rule.nth < rule.times && effect.is_none() {
            effect = Some(rule.effect.clone());
        }
    }
    effect
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hits_the_calls_that_it_names() {
        let rule = r#"{ "action": "A", "nth": 2, "times": 2, "effect": "throttle" }"#;
        let mut rules = vec![serde_json::from_str::<Rule>(rule).unwrap()];
        let hits: Vec<bool> =
            ["A", "B", "A", "A", "A"].iter().map(|action| strike(&mut rules, "rds", action).is_some()).collect();
        assert_eq!(hits, [false, false, true, true, false]);
    }
}
