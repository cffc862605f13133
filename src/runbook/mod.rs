//! Runbooks: Markdown that a person can follow and drctl can run, and the journalled engine that runs it.

mod action;
mod document;
mod engine;
mod failure;
#[cfg(debug_assertions)]
mod fault;
mod ledger;
mod lint;
mod preview;
mod removal;
mod tags;
mod template;

pub use action::{
    Action, Argument, Context, Environment, Happening, Preview, Registry, Reporter, RunInfo, Spec, ValueType,
};
pub use document::{Input, Runbook, RunbookKind, Step};
pub use engine::{Finished, Run, execute, unwind};
pub use failure::Failure;
pub use ledger::{Ledger, standing};
pub use lint::{inputs_of, lint};
pub use preview::preview;
pub use removal::Remover;
pub use tags::{EXPIRES_TAG, NAME_PREFIX, RUN_TAG, TARGET_TAG};
