//! Amazon DocumentDB: only commands that its 5.0 documents; each collection is read once, and hashed on our side.

mod catalog;
mod connect;
mod element;
mod fold;
mod ranges;
mod refusal;
mod relay;
mod value;
mod worker;

pub(super) use connect::connect;
pub(super) use fold::{Cut, Fold, Question, Wanted};
pub(super) use worker::Worker;

pub use connect::documentdb_too_old;
