//! The file as written becomes a valid [`crate::estate::Estate`], or a list of every problem in it.
//!
//! Each problem names the file, the line, the key, the value and what to write instead.

mod changes;
mod daemon;
mod database;
mod file;
mod notify;
mod problem;
mod reader;
mod region;
mod reserved;
#[cfg(test)]
mod tests;

pub use changes::changes;
pub use file::{Loaded, load, parse};
pub use problem::{ConfigError, Diagnostic};
pub use reader::{Section, Source};
