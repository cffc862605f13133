//! `drctl reap`: removes what dead runs left, and copies that have expired, journal or no journal.

use std::path::Path;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress};
use crate::reap::{DeadRuns, Reaped, reap};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = bootstrap::load(config)?;
    let cancel = bootstrap::cancel_on_signal();
    let (environment, _) = bootstrap::app(&loaded, cancel.clone(), progress::silent()).await?;
    // The first signal ends the waiting at once: what was told to go goes, and the next reaping sees to the rest.
    let leave = environment.leave.clone();
    let stopped = cancel.clone();
    tokio::spawn(async move {
        stopped.cancelled().await;
        leave.cancel();
    });
    let reaped = reap(&environment, args.dry_run, DeadRuns::All).await?;
    if format == Format::Json {
        output::json(&reaped)?;
    } else {
        tell(&reaped, args.dry_run);
    }
    let remains = !reaped.remains.is_empty() || !reaped.left_alone.is_empty();
    Ok(Exit::worst([
        if remains { Exit::Remains } else { Exit::Passed },
        if reaped.unseen.is_empty() { Exit::Passed } else { Exit::Unknown },
        if cancel.is_cancelled() { Exit::Interrupted } else { Exit::Passed },
    ]))
}

fn tell(reaped: &Reaped, dry_run: bool) {
    let verb = if dry_run { "would remove" } else { "removed" };
    for id in &reaped.removed {
        output::print(&format!("{verb} {id}"));
    }
    for run in &reaped.at_work {
        output::status(&format!("left alone: {run}"));
    }
    for remains in &reaped.left_alone {
        output::print(&format!("LEFT ALONE {} in {}: {}", remains.id, remains.region, remains.reason));
        output::status(&format!("hint: {}", remains.hint));
    }
    for remains in &reaped.remains {
        output::print(&format!("STUCK {} in {}: {}", remains.id, remains.region, remains.reason));
        output::status(&format!("hint: {}", remains.hint));
    }
    for unseen in &reaped.unseen {
        output::print(&format!("UNKNOWN {}: {}", unseen.region, unseen.reason));
        output::status(&format!("hint: {}", unseen.hint));
    }
    let nothing = reaped.removed.is_empty() && reaped.remains.is_empty();
    if nothing && reaped.left_alone.is_empty() && reaped.unseen.is_empty() {
        output::status("nothing to remove");
    }
}
