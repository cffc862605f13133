//! IAM policies: what one says, and whether it lets a call through. Pure.
//!
//! Follows AWS's "Policy evaluation logic" and "IAM JSON policy elements" for identity-based policies alone: there are no
//! resource policies, boundaries or organizations here. What is not known is refused when the policy is read, so that a
//! condition is never passed over.

mod condition;
mod context;
mod decide;
mod document;
mod pattern;

pub(super) use context::Context;
pub(super) use decide::{Call, Decision, decide};
pub(super) use document::Policy;
