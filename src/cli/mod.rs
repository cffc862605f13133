//! The command line: one file per verb, the only place that prints, and where the parts are wired together.

mod bootstrap;
mod completions;
mod daemon;
mod demo;
mod doctor;
mod exit;
mod iam_policy;
mod init;
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

/// Proves that RDS, Aurora and DocumentDB backups can be restored, before you need them.
#[derive(Debug, Parser)]
#[command(name = "drctl", version, max_term_width = 100, after_help = exit::HELP)]
pub struct Cli {
    /// The configuration file. For `daemon` it can be given again, and name folders.
    #[arg(long, global = true, env = "DRCTL_CONFIG", default_value = "drctl.toml", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// What to print on standard output; messages go to standard error.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a first configuration. Never overwrites one.
    #[command(after_help = "Example: drctl init --region eu-west-1 --database orders=rds-postgresql && drctl doctor")]
    Init(init::Args),
    /// Check credentials, Region, quarantine, secrets and databases. Changes nothing.
    #[command(after_help = "Example: drctl doctor")]
    Doctor,
    /// Restore a database from its backup, verify the data, measure RTO and RPO, and clean up.
    #[command(after_help = "Example: drctl restore-test orders --point pitr --keep-for 2h")]
    RestoreTest(restore_test::Args),
    /// Show each database: last result, last pass, next test, and what needs attention.
    #[command(after_help = "Example: drctl status")]
    Status,
    /// List, show, resume and back up runs.
    #[command(subcommand, after_help = "Example: drctl runs show 01K8")]
    Runs(runs::Verb),
    /// Run tests on their schedules, resume interrupted runs, remove what has expired, and send notifications.
    #[command(after_help = "Example: drctl daemon --plan 30d")]
    Daemon(daemon::Args),
    /// Explain a schedule, and show when it fires next.
    #[command(after_help = "Example: drctl schedule 'cron(0 6 ? * MON *)' --timezone Europe/Dublin")]
    Schedule(schedule::Args),
    /// Send a test notification, and retry messages that could not be delivered.
    #[command(subcommand, after_help = "Example: drctl notify test ops --preview --as failed")]
    Notify(notify::Verb),
    /// Remove what dead runs left, and copies that have expired.
    #[command(after_help = "Example: drctl reap --dry-run")]
    Reap(reap::Args),
    /// Keep a copy for good: drctl never removes it.
    #[command(after_help = "Example: drctl keep drctl-orders-01k8abcdefgh")]
    Keep(keep::Args),
    /// List, show and check runbooks.
    #[command(subcommand, after_help = "Example: drctl runbook show restore-test-instance > mine.md")]
    Runbook(runbook::Verb),
    /// Print the least IAM policy for the estate, as JSON or with `--output terraform`.
    #[command(after_help = "Example: drctl iam-policy > policy.json")]
    IamPolicy(iam_policy::Args),
    /// Serve an AWS on loopback, with real databases behind it, to try drctl without an account.
    #[command(after_help = "Example: drctl sandbox --corrupt orders=rows")]
    Sandbox(sandbox::Args),
    /// Test five databases against the sandbox, and detect a bad backup.
    #[command(after_help = "Example: drctl demo")]
    Demo(demo::Args),
    /// Print a completion script for a shell.
    #[command(after_help = "Example: drctl completions bash > /etc/bash_completion.d/drctl")]
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
        Verb::Init(args) => init::run(bootstrap::only(&cli.config)?, &args),
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
