//! The file as written becomes a valid [`crate::estate::Estate`], or a list of every problem in it.
//!
//! Each problem names the file, the line, the key, the value and what to write instead.

mod changes;
mod daemon;
mod database;
mod file;
mod notify;
mod outline;
mod problem;
mod reader;

pub use changes::changes;
pub use file::{Loaded, load, parse};
pub use problem::{Invalid, Problem};
pub use reader::{Section, Source};
