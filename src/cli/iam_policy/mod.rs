//! `drctl iam-policy`: the least that the estate needs, as JSON or for Terraform.

mod terraform;

use std::path::Path;

use super::bootstrap;
use super::exit::Exit;
use super::output::{self, Format};
use crate::aws::{base_policy, policy};

/// "IAM and AWS STS quotas" in IAM's user guide.
const MAX_MANAGED_CHARS: usize = 6144;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what the identity needs that drctl is started with, where it then assumes `role_arn`.
    #[arg(long)]
    base: bool,
}

pub(super) fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let estate = bootstrap::load(config)?.estate;
    let base = base_policy(&estate);
    if format == Format::Terraform {
        output::print(&terraform::document(&estate.name, &policy(&estate), base.as_ref()));
        return Ok(Exit::Passed);
    }
    if !args.base {
        if base.is_some() {
            output::status(
                "this is for `role_arn`; `drctl iam-policy --base` prints what the identity needs that assumes it",
            );
        }
        let policy = policy(&estate);
        // IAM counts no white space.
        let length = policy.to_string().chars().filter(|c| !c.is_whitespace()).count();
        if length > MAX_MANAGED_CHARS {
            output::status(&format!(
                "warning: a managed policy has at most {MAX_MANAGED_CHARS} characters, and this one {length}\n\
                 hint: give it to the role inline, where there may be 10240, or divide the estate"
            ));
        }
        output::json(&policy)?;
        return Ok(Exit::Passed);
    }
    let Some(base) = base else {
        let hint = "`drctl iam-policy` alone prints what drctl's own identity needs";
        return Err(output::usage("the estate names no `role_arn`, so that nothing is assumed", hint));
    };
    output::json(&base)?;
    Ok(Exit::Passed)
}
