//! What is due, and who does it: one agent for each estate, which starts what its jobs say, carries on what other
//! processes left, removes what has expired, and tells people.

mod account;
mod agent;
mod delivery;
mod due;
mod health;
mod heartbeat;
mod jobs;

pub use account::wait_for_account;
pub use agent::Agent;
pub use health::{Health, HealthStatus};
pub use jobs::{Plan, Planned, never, plan};
