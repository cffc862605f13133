//! `drctl demo`: the main job against the sandbox, with nothing to prepare.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress, restore_test as shown};
use crate::aws::Destination;
use crate::config::{self, Loaded};
use crate::context::AppContext;
use crate::estate::{Database, StateLocation};
use crate::report::{self, Detail, TestReport};
use crate::restore_test::{self, Options};
use crate::sandbox::{self, Sandbox, SourceOptions};
use crate::store::RunState;

/// The estates of the demo, as shipped under examples/.
const ESTATES: [(&str, &str); 4] = [
    ("bookstore.toml", include_str!("../../examples/bookstore.toml")),
    ("revcart.toml", include_str!("../../examples/revcart.toml")),
    ("wallet.toml", include_str!("../../examples/wallet.toml")),
    ("ecap.toml", include_str!("../../examples/ecap.toml")),
];
/// The database whose backup turns out to be damaged, once all have passed.
const CORRUPTED_TARGET: &str = "bookstore-postgres";
const CORRUPTION: &str = "rows";
const PARALLEL: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many times faster than real time AWS's lifecycles run.
    #[arg(long, default_value_t = 60.0)]
    time_scale: f64,
}

pub(super) async fn run(args: &Args, format: Format) -> anyhow::Result<Exit> {
    let directory = std::env::temp_dir().join(format!("drctl-demo-{:016x}", rand::random::<u64>()));
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.with_context(|| format!("failed to make `{}`", directory.display()))?;
    let result = perform(args, format, &directory).await;
    let _ = std::fs::remove_dir_all(&directory);
    result
}

async fn perform(args: &Args, format: Format, directory: &std::path::Path) -> anyhow::Result<Exit> {
    let mut estates: Vec<Loaded> = Vec::new();
    for (name, text) in ESTATES {
        let mut estate = config::parse(name, text)?;
        estate.state.location = StateLocation::Sqlite(directory.join("drctl.db"));
        estates.push(Loaded { path: PathBuf::from(name), text: String::new(), estate, warnings: Vec::new() });
    }
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = sandbox::Options {
        listen,
        time_scale: args.time_scale,
        corrupt: Vec::new(),
        start: None,
        aws: sandbox::AwsBehaviour::default(),
        ca_file: None,
        sources: SourceOptions::default(),
        policies: Vec::new(),
        record: None,
    };
    let all: Vec<_> = estates.iter().map(|loaded| loaded.estate.clone()).collect();
    let sandbox = Sandbox::start(&all, &options).await?;
    for missing in &sandbox.missing {
        output::status(&format!("warning: {missing}"));
    }
    output::status(&format!(
        "a sandbox serves on http://{}: an AWS of our own with real databases, {} times real speed",
        sandbox.address, args.time_scale
    ));
    for database in estates.iter_mut().flat_map(|loaded| &mut loaded.estate.databases) {
        database.test.ca = Some(sandbox.ca.clone());
    }
    let cancel = bootstrap::cancel_on_signal();
    let result = run_scenario(&sandbox, &estates, &cancel, format).await;
    sandbox.stop().await;
    result
}

async fn run_scenario(
    sandbox: &Sandbox,
    estates: &[Loaded],
    cancel: &CancellationToken,
    format: Format,
) -> anyhow::Result<Exit> {
    output::status("restoring one database of each kind from its backup, and proving the data:\n");
    let reporter = progress::reporter();
    let mut environments: Vec<AppContext> = Vec::new();
    for loaded in estates {
        let destination = Destination::Sandbox(sandbox.address);
        let connected = bootstrap::app_at(&destination, loaded, cancel.clone(), reporter.clone()).await?;
        environments.push(connected.0);
    }
    let first = futures_util::future::join_all(environments.iter().map(|app| {
        let databases = app.estate.databases.clone();
        test(app, databases)
    }));
    let reports: Vec<TestReport> = first.await.into_iter().flatten().collect();
    if cancel.is_cancelled() {
        return Ok(Exit::Interrupted);
    }
    output::status(&format!("\nnow the backups of {CORRUPTED_TARGET} lose some rows, and nobody is told:\n"));
    sandbox.damage(CORRUPTED_TARGET, CORRUPTION)?;
    let mut damaged = Vec::new();
    for app in &environments {
        let databases: Vec<_> =
            app.estate.databases.iter().filter(|database| database.id == CORRUPTED_TARGET).cloned().collect();
        let app = AppContext { reporter: progress::reporter(), ..app.clone() };
        damaged.extend(test(&app, databases).await);
    }
    output::status("");
    let caught = damaged.iter().any(|report| report.outcome == RunState::Failed);
    let proved = reports.len();
    let wanted: usize = estates.iter().map(|loaded| loaded.estate.databases.len()).sum();
    let exit = Exit::worst(reports.iter().map(|report| Exit::of(report.outcome)));
    if format == Format::Text {
        // The one that failed is worth reading in full; the others are in the table.
        for report in &damaged {
            shown::show_one(report, Detail::Brief);
            output::print("");
        }
    }
    let all: Vec<TestReport> = reports.into_iter().chain(damaged).collect();
    match format {
        Format::Json => shown::show("demo", true, &all, Detail::Brief, format)?,
        _ => output::print(&report::table(&all, output::stdout_width())),
    }
    if exit == Exit::Passed && proved == wanted && caught {
        output::status("\nfive databases were restored and verified; one bad backup was detected.");
        output::status("next: `drctl doctor --config examples/bookstore.toml`, and your own estate file");
        return Ok(Exit::Passed);
    }
    Ok(if exit == Exit::Passed { Exit::Failed } else { exit })
}

async fn test(app: &AppContext, databases: Vec<Database>) -> Vec<TestReport> {
    let plans = databases.into_iter().filter_map(|database| {
        let runbook = restore_test::shipped_runbook(&database).ok()?;
        Some((database, runbook))
    });
    shown::test_all(app, plans.collect(), &Options::default(), PARALLEL).await.0
}
