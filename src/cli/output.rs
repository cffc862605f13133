//! Printing: data to standard output, messages to standard error. Colours are left out by `anstream` where nobody sees
//! them: no terminal, `NO_COLOR`, `TERM=dumb`.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::exit::Exit;
use crate::aws;
use crate::config::ConfigError;
use crate::store::{NotWritten, OpenError, RunState, STATE_IS_AWAY, is_away};
use crate::text;

const LOG_VARIABLE: &str = "DRCTL_LOG";
/// Whoever would log requests, and with them passwords, below the level INFO, whatever the user asks for.
const QUIET: [&str; 7] = ["aws_", "hyper", "h2", "reqwest", "sqlx", "mongodb", "lettre"];

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For humans.
    Text,
    /// For scripts.
    Json,
    /// Terraform; `iam-policy` only.
    Terraform,
}

/// Logs go to standard error.
pub(super) fn start_logging(default: &str, json: bool) {
    let wanted = std::env::var(LOG_VARIABLE).ok().filter(|wanted| !wanted.trim().is_empty());
    let wanted = wanted.and_then(|wanted| EnvFilter::try_new(wanted).ok()).unwrap_or_else(|| EnvFilter::new(default));
    // Directives are of many kinds, and one for a span lets everything inside it through: this filter stands apart.
    let filter = wanted.and(filter_fn(may_be_logged));
    let log = tracing_subscriber::fmt::layer();
    let log = match json {
        true => log.json().flatten_event(true).with_span_list(false).with_writer(|| PlainJson(io::stderr())).boxed(),
        false => log.with_ansi(stderr_has_colours()).with_writer(io::stderr).boxed(),
    };
    // Whoever has started it already keeps it.
    let _ = tracing_subscriber::registry().with(log.with_filter(filter)).try_init();
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !QUIET.iter().any(|name| metadata.target().starts_with(name))
}

/// Standard error as a log in JSON has it: each line is written at once.
struct PlainJson(io::Stderr);

impl Write for PlainJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(crate::text::plain_json(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Data. A reader that has gone away is no error.
pub(super) fn print(text: &str) {
    let mut out = AutoStream::auto(io::stdout()).lock();
    let _ = writeln!(out, "{}", text.trim_end());
}

/// Data that is read by people: wrapped between words where standard output is a terminal. Lines that follow from one that
/// was too long are set in by `indent`.
pub(super) fn print_wrapped(text: &str, indent: usize) {
    let Some(width) = stdout_width() else { return print(text) };
    let lines = text.lines().map(|line| text::wrap(line, width, indent));
    print(&lines.collect::<Vec<_>>().join("\n"));
}

/// The columns of standard output, where it is a terminal.
pub(super) fn stdout_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
}

/// The columns of standard error, where it is a terminal.
pub(super) fn stderr_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0.into())
}

/// Data for scripts.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&crate::text::plain_json(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// A message. What it begins with is coloured: `error:`, `warning:` or `hint:`.
pub(super) fn status(text: &str) {
    let mut err = AutoStream::auto(io::stderr()).lock();
    let text = text::printable(text);
    let level = text.split_once(": ").and_then(|(level, rest)| Some((level, style_of_level(level)?, rest)));
    let _ = match level {
        Some((level, style, rest)) => writeln!(err, "{style}{level}:{style:#} {rest}"),
        None => writeln!(err, "{text}"),
    };
}

fn style_of_level(level: &str) -> Option<Style> {
    let colour = match level {
        "error" => AnsiColor::Red,
        "warning" => AnsiColor::Yellow,
        "hint" => AnsiColor::Cyan,
        _ => return None,
    };
    Some(colour.on_default().bold())
}

/// Whether standard error shows colours.
pub(super) fn stderr_has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// The colour of an outcome; `stuck` and what is not known at all included.
pub(super) fn style_of(outcome: &str) -> Style {
    let is = |state: RunState| outcome.eq_ignore_ascii_case(state.name());
    let colour = match outcome {
        _ if is(RunState::Passed) => AnsiColor::Green,
        _ if is(RunState::Failed) || is(RunState::Stuck) => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    colour.on_default().bold()
}

/// An outcome in its colour.
pub(super) fn paint(text: &str, state: RunState) -> String {
    let style = style_of(state.name());
    format!("{style}{text}{style:#}")
}

/// One error chain, a hint where there is one, and the exit code that fits.
pub(super) fn fail(error: &anyhow::Error) -> Exit {
    status(&format!("error: {error:#}"));
    let (exit, hint) = advice(error);
    if let Some(hint) = hint {
        status(&format!("hint: {hint}"));
    }
    exit
}

fn advice(error: &anyhow::Error) -> (Exit, Option<String>) {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return (hinted.exit, Some(hinted.hint.clone()));
    }
    if error.downcast_ref::<ConfigError>().is_some() {
        return (Exit::Usage, None);
    }
    if let Some(error) = error.downcast_ref::<aws::Error>() {
        let is_refusal =
            matches!(error.kind, aws::ErrorKind::Denied | aws::ErrorKind::Credentials | aws::ErrorKind::WrongAccount);
        let exit = if is_refusal { Exit::Usage } else { Exit::Unknown };
        return (exit, Some(error.hint()));
    }
    if let Some(error) = error.downcast_ref::<NotWritten>() {
        return (Exit::Usage, Some(error.hint().to_owned()));
    }
    match error.downcast_ref::<OpenError>() {
        Some(error) => {
            let exit = if error.is_away() { Exit::Unknown } else { Exit::Usage };
            (exit, Some(error.hint().to_owned()))
        }
        None if is_away(error) => (Exit::Unknown, Some(STATE_IS_AWAY.to_owned())),
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
