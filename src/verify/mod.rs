//! Proves restored data: connects, reads, compares with the last passed run, and asks the user's own questions.
//!
//! Everything is read-only, bounded in time and memory, and spread over a few connections that see one snapshot where
//! the engine has such a thing. A check that could not run is unknown, and unknown is never passed.

mod answer;
mod budget;
mod connect;
mod content;
mod documentdb;
mod expiring;
mod gather;
mod identifier;
mod identity;
mod judge;
mod model;
mod mysql;
mod postgres;
mod salt;
mod tls;
mod together;
mod worker;

pub use documentdb::documentdb_too_old;
pub use gather::verify;
pub use model::{
    Baseline, Check, CheckKind, CommandListener, ConnectionSettings, Outcome, Plan, ProbeError, RelationFacts,
    SettledFacts, Verification,
};
pub use tls::check_ca;
