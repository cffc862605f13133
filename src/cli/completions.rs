//! `drctl completions`: scripts for the shells.

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::Exit;
use super::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "drctl", &mut script);
    output::print(&String::from_utf8(script)?);
    Ok(Exit::Passed)
}
