//! Runbooks: Markdown that a person can follow and drctl can run, and the journalled engine that runs it.

mod action;
mod document;
mod engine;
mod failure;
#[cfg(debug_assertions)]
mod fault;
mod in_use;
mod ledger;
mod lint;
mod outage;
mod preview;
mod removal;
mod session;
mod tags;
mod template;

pub use action::{
    Action, Argument, Context, Environment, Happening, Preview, Registry, Reporter, RunInfo, Spec, ValueType,
};
pub use document::{Input, Runbook, RunbookKind, Step};
pub use engine::{Finished, Remaining, Run, Verdict, execute, unwind};
pub use failure::Failure;
pub use ledger::{Known, Ledger, known, standing};
pub use lint::{inputs_of, lint};
pub use preview::preview;
pub use removal::{PATIENCE, Removal, Remover};
pub use session::{outlast, outlasts as credentials_outlast};
pub use tags::{EXPIRES_TAG, KIND_TAG, NAME_PREFIX, RUN_TAG, TARGET_TAG};
