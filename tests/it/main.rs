//! Drives the real binary against the sandbox with real databases.
//!
//! What needs a database that is not installed is left out, and says so; `make test` installs everything, and then
//! nothing may be left out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]
#![expect(clippy::disallowed_methods, reason = "tests compare with the real clock")]

mod bad_input;
mod corruption;
mod crash;
mod documentdb_commands;
mod every_kind;
mod restore_points;
mod safety;
mod snapshots;
mod support;
mod verbs;
