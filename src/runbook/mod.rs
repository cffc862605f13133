//! Runbooks: Markdown that a person can follow and drctl can run, and the journalled engine that runs it.

mod action;
mod document;
mod engine;
mod failure;
#[cfg(debug_assertions)]
mod fault;
mod in_use;
mod journal;
mod lint;
mod outage;
mod preview;
mod removal;
mod session;
mod tags;
mod template;

pub use action::{Action, Argument, Context, Preview, Registry, RunInfo, Spec, ValueType};
pub use document::{Input, Runbook, RunbookKind, Step};
pub use engine::{Finished, Remaining, Run, Verdict, execute, unwind};
pub use failure::Failure;
pub use journal::{Journal, ResourceHistory, known, outstanding_resources};
pub use lint::{inputs_of, lint};
pub use preview::preview;
pub use removal::{REMOVAL_LIMIT, Removal, Remover};
pub use session::{outlast, outlasts as credentials_outlast};
pub use tags::{EXPIRES_TAG, KIND_TAG, NAME_PREFIX, RUN_TAG, TARGET_TAG};
