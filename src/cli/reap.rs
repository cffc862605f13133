//! `drctl reap`: removes what dead runs left, and copies that have expired, journal or no journal.

use std::path::Path;

use super::exit::Exit;
use super::output::{self, Format};
use super::{progress, setup};
use crate::reap::{DeadRuns, Reaped, reap};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(config: &Path, args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = setup::load(config)?;
    let cancel = setup::cancel_on_signal();
    let (environment, _) = setup::environment(&loaded, cancel, progress::silent()).await?;
    let reaped = reap(&environment, args.dry_run, DeadRuns::All).await?;
    if format == Format::Json {
        output::json(&reaped)?;
    } else {
        tell(&reaped, args.dry_run);
    }
    Ok(if reaped.remains.is_empty() { Exit::Passed } else { Exit::Remains })
}

fn tell(reaped: &Reaped, dry_run: bool) {
    let verb = if dry_run { "would remove" } else { "removed" };
    for id in &reaped.removed {
        output::data(&format!("{verb} {id}"));
    }
    for run in &reaped.at_work {
        output::talk(&format!("left alone: {run}"));
    }
    for remaining in &reaped.remains {
        let text = |key: &str| remaining[key].as_str().unwrap_or_default().to_owned();
        output::data(&format!("STUCK {}: {}", text("id"), text("reason")));
        output::talk(&format!("hint: by hand: `{}`", text("remove_with")));
    }
    if reaped.removed.is_empty() && reaped.remains.is_empty() {
        output::talk("nothing to remove");
    }
}
