//! What is served about: estates and their agents.

use std::sync::Arc;

use crate::clock::Clock;
use crate::daemon::Health;
use crate::estate::Estate;
use crate::store::Store;

/// An estate and the health of its agent.
#[derive(Clone, Debug)]
pub struct EstateHandle {
    /// The estate.
    pub estate: Arc<Estate>,
    /// Where its runs are.
    pub store: Store,
    /// Its agent's clock.
    pub clock: Clock,
    /// How its agent stands.
    pub health: Health,
}
