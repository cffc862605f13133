//! Whether policies let a call through.

use super::context::Context;
use super::document::{Policy, Statement};
use super::pattern::fits_arn;

/// One action on one resource.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Call<'c> {
    /// Such as `rds:DescribeDBInstances`.
    pub(in crate::sandbox) action: &'c str,
    /// An ARN, or `*` for an action that has no resource.
    pub(in crate::sandbox) resource: &'c str,
    /// What else is known.
    pub(in crate::sandbox) context: &'c Context,
}

/// What policies say of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// A statement denies it, whatever others allow.
    Denied,
}

/// What all policies of an identity together say of a call.
pub(in crate::sandbox) fn decide(policies: &[Policy], call: Call<'_>) -> Decision {
    let applies = policies.iter().flat_map(|policy| &policy.statements).filter(|statement| statement.applies(call));
    let mut decision = Decision::NotAllowed;
    for statement in applies {
        if !statement.allows {
            return Decision::Denied;
        }
        decision = Decision::Allowed;
    }
    decision
}

impl Statement {
    fn applies(&self, call: Call<'_>) -> bool {
        let action = call.action.to_lowercase();
        // Variables have no meaning in an action; wildcards are compared without regard to case.
        let none = Context::default();
        self.actions.covers(|pattern| super::pattern::fits(&pattern.to_lowercase(), &action, &none))
            && self.resources.covers(|pattern| fits_arn(pattern, call.resource, call.context))
            && self.conditions.iter().all(|condition| condition.holds(call.context))
    }
}
