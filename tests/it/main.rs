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

mod accounts_and_regions;
mod agent;
mod channels;
mod cli;
mod corruption;
mod crash;
mod crash_recovery;
mod daemon;
mod documentdb_checks;
mod documentdb_commands;
mod documents;
mod dry_run;
mod errors;
mod every_kind;
mod failover;
mod hardening;
mod harsh;
mod hostile;
mod hostile_documentdb;
mod hostile_mysql;
mod hostile_postgres;
mod hostile_postgres_content;
mod http_stub;
mod large_files;
mod least_privilege;
mod lifetime;
mod multi_agent;
mod postgres;
mod preflight;
mod restore_points;
mod rpo;
mod safety;
mod sandbox;
mod sandbox_faults;
mod schedule_soak;
mod snapshots;
mod status;
mod store;
mod store_versions;
mod support;
