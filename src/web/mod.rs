//! What is served: metrics and health.

mod metrics;
mod serve;
mod watched;

pub use serve::serve;
pub use watched::Watched;
