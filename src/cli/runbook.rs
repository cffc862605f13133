//! `drctl runbook`: the shipped runbooks, and what is wrong with one's own.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::exit::Exit;
use super::output::{self, Format};
use crate::action;
use crate::config::ConfigError;
use crate::restore_test::{CLUSTER_RUNBOOK, INSTANCE_RUNBOOK};
use crate::runbook::{Runbook, lint};

const SHIPPED: [(&str, &str); 2] =
    [("restore-test-cluster", CLUSTER_RUNBOOK), ("restore-test-instance", INSTANCE_RUNBOOK)];

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List the shipped runbooks, and every action with its arguments.
    List,
    /// Print a shipped runbook, to follow by hand or to start one's own from.
    Show {
        /// Its name.
        name: String,
    },
    /// Check runbooks without running them.
    Lint {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(verb: &Verb, format: Format) -> anyhow::Result<Exit> {
    match verb {
        Verb::List => list(format),
        Verb::Show { name } => {
            let found = SHIPPED.iter().find(|(shipped, _)| shipped == name);
            let names: Vec<_> = SHIPPED.iter().map(|(shipped, _)| *shipped).collect();
            let hint = format!("the shipped ones are {}", names.join(", "));
            let (_, text) = found.ok_or_else(|| output::usage(format!("there is no runbook `{name}`"), hint))?;
            output::print(text);
            Ok(Exit::Passed)
        }
        Verb::Lint { files } => {
            let mut linted = Vec::new();
            for file in files {
                linted.push(lint_file(file)?);
            }
            show_lint(&linted, format)?;
            let sound = linted.iter().all(|invalid| invalid.problems.is_empty());
            Ok(if sound { Exit::Passed } else { Exit::Usage })
        }
    }
}

fn list(format: Format) -> anyhow::Result<Exit> {
    let mut runbooks = Vec::new();
    for (name, text) in SHIPPED {
        runbooks.push(Runbook::parse(name, text)?);
    }
    let specs: Vec<_> = action::registry().iter().map(|action| action.spec()).collect();
    if format == Format::Json {
        let runbooks: Vec<_> = runbooks.iter().map(|book| json!({ "name": book.name, "title": book.title })).collect();
        let actions: Vec<_> = specs
            .iter()
            .map(|spec| {
                let arguments = spec.arguments.iter().map(
                    |argument| json!({ "name": argument.name, "required": argument.required, "about": argument.about }),
                );
                json!({
                    "name": spec.name, "about": spec.about, "arguments": arguments.collect::<Vec<_>>(),
                    "fields": spec.fields,
                })
            })
            .collect();
        output::json(&json!({ "schema": "drctl.runbooks/1", "runbooks": runbooks, "actions": actions }))?;
        return Ok(Exit::Passed);
    }
    for book in runbooks {
        output::print(&format!("{:<24} {}", book.name, book.title));
    }
    output::print("\nactions:");
    for spec in specs {
        output::print(&format!("  {:<22} {}", spec.name, spec.about));
        for argument in spec.arguments {
            let need = if argument.required { "" } else { " (optional)" };
            output::print(&format!("    {:<20} {}{need}", argument.name, argument.about));
        }
        output::print(&format!("    yields               {}", spec.fields.join(", ")));
    }
    Ok(Exit::Passed)
}

/// What is wrong with a file; no problems where nothing is.
fn lint_file(file: &std::path::Path) -> anyhow::Result<ConfigError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read the runbook `{shown}`"))?;
    Ok(match Runbook::parse(&shown, &text) {
        Ok(runbook) => ConfigError { file: shown, problems: lint(&runbook, &action::registry()) },
        Err(invalid) => invalid,
    })
}

fn show_lint(linted: &[ConfigError], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let files: Vec<_> = linted.iter().map(|file| json!({ "file": file.file, "problems": file.problems })).collect();
        return output::json(&json!({ "schema": "drctl.lint/1", "files": files }));
    }
    for file in linted {
        if file.problems.is_empty() {
            output::status(&format!("{}: OK, no problems", file.file));
        } else {
            output::status(&format!("error: {file}"));
        }
    }
    Ok(())
}
