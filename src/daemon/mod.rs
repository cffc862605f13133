//! What is due, and who does it: one agent for each estate, which starts what its jobs say, carries on what other
//! processes left, removes what has expired, and tells people.

mod account;
mod agent;
mod choose;
mod delivery;
mod health;
mod jobs;
mod pulse;

pub use account::wait_for_account;
pub use agent::Agent;
pub use health::{Health, Standing};
pub use jobs::{Plan, Planned, never, plan};
