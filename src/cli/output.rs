//! Printing: data to standard output, talk to standard error.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use super::exit::Exit;
use crate::aws;
use crate::config::Invalid;
use crate::store::{NotWritten, OpenError, RunState};

/// What to do where the state cannot be opened or written.
const CHECK_STATE: &str =
    "check that `[state] url` can be reached and written: the directory exists and is not full, the server answers";
const LOG_VARIABLE: &str = "DRCTL_LOG";
/// Whoever would log requests, and with them passwords, whatever the user asks for.
const QUIET: [&str; 7] = ["aws_", "hyper", "h2", "reqwest", "sqlx", "mongodb", "lettre"];

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// People.
    Text,
    /// Programs.
    Json,
    /// Terraform; `iam-policy` only.
    Terraform,
}

/// Logs go to standard error.
pub(super) fn start_logging(default: &str, json: bool) {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    // A directive for one of their modules would count for more than ours for the whole.
    let loud = |directive: &&str| !QUIET.iter().any(|name| directive.trim_start().starts_with(name));
    let wanted: Vec<&str> = wanted.split(',').filter(loud).collect();
    let filter = Some(wanted.join(",")).filter(|wanted| !wanted.trim().is_empty());
    let filter = filter.and_then(|wanted| EnvFilter::try_new(wanted).ok()).unwrap_or_else(|| EnvFilter::new(default));
    let quiet = QUIET.iter().filter_map(|name| format!("{name}=info").parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever has started it already keeps it.
    let _ = match json {
        true => log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        false => log.with_ansi(colours(&std::io::stderr())).try_init(),
    };
}

/// Data. A reader that has gone away is no error.
pub(super) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end());
}

/// Data for programs.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Talk.
pub(super) fn talk(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{}", crate::text::printable(text));
}

/// Whether a stream takes colour.
pub(super) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// An outcome in its colour, where standard output takes any.
pub(super) fn paint(text: &str, state: RunState) -> String {
    if !colours(&std::io::stdout()) {
        return text.to_owned();
    }
    let colour = match state {
        RunState::Passed => 32,
        RunState::Failed | RunState::Stuck => 31,
        _ => 33,
    };
    format!("\u{1b}[1;{colour}m{text}\u{1b}[0m")
}

/// One error chain, a hint where there is one, and the exit code that fits.
pub(super) fn fail(error: &anyhow::Error) -> Exit {
    talk(&format!("error: {error:#}"));
    let (exit, hint) = advice(error);
    if let Some(hint) = hint {
        talk(&format!("hint: {hint}"));
    }
    exit
}

fn advice(error: &anyhow::Error) -> (Exit, Option<String>) {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return (hinted.exit, Some(hinted.hint.clone()));
    }
    if error.downcast_ref::<Invalid>().is_some() {
        return (Exit::Usage, None);
    }
    if let Some(error) = error.downcast_ref::<aws::Error>() {
        let is_refusal = matches!(error.kind, aws::Kind::Denied | aws::Kind::Credentials | aws::Kind::WrongAccount);
        let exit = if is_refusal { Exit::Usage } else { Exit::Unknown };
        return (exit, Some(error.hint()));
    }
    if error.downcast_ref::<NotWritten>().is_some() {
        return (Exit::Usage, Some(CHECK_STATE.to_owned()));
    }
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::Newer { .. }) => {
            (Exit::Usage, Some("use the newer drctl, or another `[state] url`".to_owned()))
        }
        Some(OpenError::Damaged { .. }) => {
            (Exit::Usage, Some("restore it from a backup, or move it away and start with an empty one".to_owned()))
        }
        Some(away) if away.is_away() => {
            (Exit::Unknown, Some("see whether the database server of `[state] url` is up, and try again".to_owned()))
        }
        Some(OpenError::Database { .. }) => (Exit::Usage, Some(CHECK_STATE.to_owned())),
        None => (Exit::Usage, None),
    }
}

/// An error of the command line's own, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Hinted {
    message: String,
    hint: String,
    exit: Exit,
}

/// An error that ends the program with exit code 2.
pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into(), exit: Exit::Usage }.into()
}
