//! What is served about: estates and their agents.

use crate::daemon::Health;
use crate::runbook::Environment;

/// An estate and the health of its agent.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The estate.
    pub environment: Environment,
    /// How its agent stands.
    pub health: Health,
}
