//! An AWS of our own on loopback, with real databases behind it, to rehearse and to test against.
//!
//! It is a rehearsal, never a claim about AWS. What it assumes: lifecycles take the times in `world/times.rs`; a restore
//! copies the source's data directory and takes its rows back to the restore point; a source is started when the
//! first client connects to it.
//! A service is one file that answers requests from the [`world::World`]; `server.rs` lists them.

mod account;
mod authorize;
mod behaviour;
mod control;
mod control_world;
mod ec2;
mod engine;
mod fault;
mod gate;
mod iam;
mod identity;
mod kms;
mod policy;
mod protocol;
mod rate;
mod rds;
mod record;
mod secretsmanager;
mod server;
mod shared;
mod sns;
mod socket;
mod sts;
mod world;

pub use behaviour::AwsBehaviour;
pub use engine::SourceOptions;
pub use server::{Options, Sandbox};
