//! What is served: metrics and health.

mod metrics;
mod serve;

pub use serve::{Watched, serve};
