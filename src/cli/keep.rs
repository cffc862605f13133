//! `drctl keep`: a copy that people have taken into use stays, and drctl never touches it again.

use std::path::Path;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress};
use crate::reap::{Kept, keep};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The copy's identifier, as in reports: `drctl-...`.
    id: String,
}

pub(super) async fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let cancel = bootstrap::cancel_on_signal();
    let (environment, _) = bootstrap::app(&loaded, cancel, progress::silent()).await?;
    let Some(kept) = keep(&environment, &args.id).await? else {
        let message = format!("there is no `{}` in any Region that this estate has worked in", args.id);
        return Err(output::usage(message, "`drctl runs list` and `drctl reap --dry-run` name what there is"));
    };
    if format == Format::Json {
        output::json(&kept)?;
    } else {
        tell(&kept);
    }
    Ok(Exit::Passed)
}

fn tell(kept: &Kept) {
    let resource = &kept.resource;
    let place = kept.endpoint.as_ref().map_or_else(|| "no endpoint yet".to_owned(), ToString::to_string);
    output::print(&format!("kept {} in {}: {place}", resource.id, resource.region));
    for member in &kept.members {
        output::print(&format!("kept {member}"));
    }
    if kept.run_at_work {
        output::status(
            "its run is still at work: it will leave the copy alone, and end as stuck; then keep it once more",
        );
    } else if kept.run_id.is_none() {
        output::status("no run in this state has made it: its tags are gone, and nothing is journalled");
    }
    output::status("drctl will not remove or watch it any more. Before you rely on it, it needs:");
    for line in next_steps(kept) {
        output::status(&format!("- {line}"));
    }
}

/// A copy is made to be thrown away: what a production database has besides its data.
fn next_steps(kept: &Kept) -> Vec<String> {
    let modify = |options: &str| kept.resource.modify_command(options);
    let mut lines = Vec::new();
    if !kept.deletion_protection {
        lines.push(format!("protection against deletion: `{}`", modify("--deletion-protection")));
    }
    if kept.backup_retention_days.is_none_or(|days| days < 2) {
        lines.push(format!("backups of its own: `{}`", modify("--backup-retention-period 7")));
    }
    if kept.random_password {
        let command = modify("--manage-master-user-password");
        lines.push(format!("a password: nobody knows the random one that drctl set; `{command}`"));
    }
    let command = modify("--vpc-security-group-ids sg-...");
    lines.push(format!("the network: it stands in the quarantine; `{command}`"));
    lines.push(
        "a standby or readers, log exports, alarms: the run's report lists how it differs from its source".to_owned(),
    );
    lines
}
