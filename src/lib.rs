//! drctl proves that an AWS estate can be recovered, and says so before the disaster does.
//!
//! Data flows one way: configuration -> estate -> runbook -> results -> store -> report -> people. A module imports only
//! what stands above it in this list or beside it:
//!
//! - [`clock`], [`deadline`], [`duration`] and [`schedule`]: time
//! - [`text`]: what others wrote, made safe to read
//! - [`estate`]: what drctl is told about, as plain data
//! - [`config`]: the file as written becomes a valid estate
//! - [`aws`]: the only importer of the AWS SDKs
//! - [`store`]: runs, journals, baselines
//! - [`verify`]: proves restored data
//! - [`context`]: what every capability is handed
//! - [`runbook`]: Markdown that a person can follow and drctl can run, and the journalled engine
//! - [`action`]: what a step does, one file each
//! - [`report`]: one model of what was found, and its renderings
//! - [`notify`]: tells people what was found
//! - [`restore_test`]: one test from its start to its report
//! - [`reap`]: removes what dead runs left
//! - [`daemon`]: what is due, and who does it
//! - [`web`]: metrics and health
//! - [`sandbox`]: an AWS of our own on loopback, with real databases behind it
//! - [`cli`]: one file per verb; the only place that prints

pub mod action;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod daemon;
pub mod deadline;
pub mod duration;
pub mod estate;
pub mod notify;
pub mod reap;
pub mod report;
pub mod restore_test;
pub mod runbook;
pub mod sandbox;
pub mod schedule;
pub mod store;
pub mod text;
pub mod verify;
pub mod web;
