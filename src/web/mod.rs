//! What is served: metrics and health.

mod handle;
mod metrics;
mod serve;

pub use handle::EstateHandle;
pub use serve::serve;
