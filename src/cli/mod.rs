//! The command line: one file per verb, the only place that prints, and where the parts are wired together.

mod bootstrap;
mod completions;
mod daemon;
mod demo;
mod doctor;
mod exit;
mod iam_policy;
mod keep;
mod notify;
mod output;
mod progress;
mod reap;
mod restore_test;
mod run_journal;
mod runbook;
mod runs;
mod sandbox;
mod schedule;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Exit;
use output::Format;

/// Proves that RDS, Aurora and DocumentDB backups can be restored, and says so before the disaster does.
#[derive(Debug, Parser)]
#[command(name = "drctl", version, max_term_width = 100, after_help = exit::HELP)]
pub struct Cli {
    /// The estate file. For `daemon` it can be given again, and name folders.
    #[arg(long, global = true, env = "DRCTL_CONFIG", default_value = "drctl.toml", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// What to print on standard output; talk goes to standard error.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch databases come back from backup and be proved, against the sandbox.
    Demo(demo::Args),
    /// Serve an AWS on loopback, with real databases behind it.
    Sandbox(sandbox::Args),
    /// Show how each database stands: last result, last proof, next test, and what is left to do.
    Status,
    /// Restore a database from its backup, verify the data, measure RTO and RPO, and clean up.
    RestoreTest(restore_test::Args),
    /// List, show and check runbooks.
    #[command(subcommand)]
    Runbook(runbook::Verb),
    /// List, show and resume runs.
    #[command(subcommand)]
    Runs(runs::Verb),
    /// Run tests on their schedules, carry on what was cut off, remove what has expired, and tell people.
    Daemon(daemon::Args),
    /// Try the channels that people are told by, and send again what was given up.
    #[command(subcommand)]
    Notify(notify::Verb),
    /// Say what a schedule means, and when it fires next.
    Schedule(schedule::Args),
    /// Remove what dead runs left, and copies that have expired.
    Reap(reap::Args),
    /// Keep a copy that people have taken into use: drctl never removes it.
    Keep(keep::Args),
    /// Check credentials, Region, quarantine, secrets and databases. Changes nothing.
    Doctor,
    /// Print the least IAM policy for the estate, as JSON or with `--output terraform`.
    IamPolicy(iam_policy::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Runs the program with the arguments that it was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // What drctl writes holds what a backup holds. The sandbox's servers run as somebody else, and see to their own files.
    if !matches!(cli.verb, Verb::Sandbox(_) | Verb::Demo(_)) {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    }
    match &cli.verb {
        Verb::Daemon(args) => output::start_logging("info", args.log_format == daemon::LogFormat::Json),
        _ => output::start_logging("warn", false),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&anyhow::Error::new(error)).into(),
    };
    let result = runtime.block_on(dispatch(cli));
    // Whatever still hangs in a background task must not keep the program from ending.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => output::fail(&error).into(),
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    if cli.output == Format::Terraform && !matches!(cli.verb, Verb::IamPolicy(_)) {
        return Err(output::usage("only `drctl iam-policy` is printed for Terraform", "write `--output json`"));
    }
    match cli.verb {
        Verb::Demo(args) => demo::run(&args, cli.output).await,
        Verb::Sandbox(args) => sandbox::run(&cli.config, &args).await,
        Verb::Status => status::run(bootstrap::only(&cli.config)?, cli.output).await,
        Verb::RestoreTest(args) => restore_test::run(bootstrap::only(&cli.config)?, &args, cli.output).await,
        Verb::Runbook(verb) => runbook::run(&verb, cli.output),
        Verb::Runs(verb) => runs::run(bootstrap::only(&cli.config)?, &verb, cli.output).await,
        Verb::Daemon(args) => daemon::run(&cli.config, &args, cli.output).await,
        Verb::Notify(verb) => notify::run(bootstrap::only(&cli.config)?, &verb, cli.output).await,
        Verb::Schedule(args) => schedule::run(&args, cli.output),
        Verb::Reap(args) => reap::run(bootstrap::only(&cli.config)?, &args, cli.output).await,
        Verb::Keep(args) => keep::run(bootstrap::only(&cli.config)?, &args, cli.output).await,
        Verb::Doctor => doctor::run(bootstrap::only(&cli.config)?, cli.output).await,
        Verb::IamPolicy(args) => iam_policy::run(bootstrap::only(&cli.config)?, &args, cli.output),
        Verb::Completions(args) => completions::run(&args),
    }
}
