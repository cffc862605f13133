//! Wires the parts together: configuration, clients, clock, store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output;
use crate::aws::{self, Account, Aws, Destination};
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::context::{AppContext, Reporter};
use crate::estate::{Address, StateLocation};
use crate::store::Store;

/// The one configuration file of a verb that takes only one.
pub(super) fn only(files: &[PathBuf]) -> anyhow::Result<&Path> {
    match files {
        [file] => Ok(file),
        _ => Err(output::usage("this command takes one `--config` only", "give the file of the estate that you mean")),
    }
}

/// Reads a configuration file.
pub(super) fn load(file: &Path) -> anyhow::Result<Loaded> {
    if !file.exists() {
        let message = format!("there is no configuration `{}`", file.display());
        let hint = "write one with `drctl init`, or name another with `--config FILE`; `drctl demo` needs none";
        return Err(output::usage(message, hint));
    }
    let loaded = config::load(file)?;
    for warning in &loaded.warnings {
        output::status(&format!("warning: {}", warning.display(&file.display().to_string())));
    }
    Ok(loaded)
}

/// Connects to AWS (or the sandbox, which makes itself known by its first answer) and opens the store.
pub(super) async fn app(
    loaded: &Loaded,
    cancel: CancellationToken,
    reporter: Reporter,
) -> anyhow::Result<(AppContext, Account)> {
    app_at(&Destination::Environment, loaded, cancel, reporter).await
}

/// The same at a chosen destination.
pub(super) async fn app_at(
    destination: &Destination,
    loaded: &Loaded,
    cancel: CancellationToken,
    reporter: Reporter,
) -> anyhow::Result<(AppContext, Account)> {
    let clock = Clock::system();
    let aws = Aws::connect(&loaded.estate, &clock, destination).await;
    let account = aws.account_of(loaded.estate.account.as_deref()).await?;
    let app = AppContext {
        store: store(loaded).await?,
        estate: Arc::new(loaded.estate.clone()),
        aws,
        account: account.id.clone(),
        clock,
        cancel,
        leave: CancellationToken::new(),
        notify: false,
        reporter,
    };
    Ok((app, account))
}

/// Opens the store alone.
pub(super) async fn store(loaded: &Loaded) -> anyhow::Result<Store> {
    let state = &loaded.estate.state;
    match &state.location {
        StateLocation::Sqlite(path) => Ok(Store::open(path).await?),
        StateLocation::Postgres(address) => Ok(Store::open_postgres(&database_url(address)?, state.lease).await?),
    }
}

/// Opens the store for a verb that only reads.
pub(super) async fn store_for_reading(loaded: &Loaded) -> anyhow::Result<Store> {
    let state = &loaded.estate.state;
    match &state.location {
        StateLocation::Sqlite(path) => Ok(Store::open_for_reading(path).await?),
        StateLocation::Postgres(address) => {
            Ok(Store::open_postgres_for_reading(&database_url(address)?, state.lease).await?)
        }
    }
}

fn database_url(address: &Address) -> anyhow::Result<String> {
    match address {
        Address::Plain(url) => Ok(url.clone()),
        Address::Secret(reference) => Ok(aws::resolve_local_secret(reference)?.expose_secret().to_owned()),
    }
}

/// A token that the first Ctrl-C or SIGTERM cancels. The second one ends the program at once.
pub(super) fn cancel_on_signal() -> CancellationToken {
    on_signal(
        || output::status("interrupted: removing what was created; interrupt again to quit at once"),
        || {
            output::status("quit at once: run `drctl reap` to remove what was created");
            leave(Exit::Remains);
        },
    )
}

/// A token that the first Ctrl-C or SIGTERM cancels, with what is done then, and what is done at the second.
pub(super) fn on_signal(
    first: impl FnOnce() + Send + 'static,
    second: impl FnOnce() + Send + 'static,
) -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    // Listening begins now, not when the task is first run.
    let signals = Signals::listen();
    tokio::spawn(async move {
        let Ok(mut signals) = signals else { return };
        signals.next().await;
        first();
        cancelled.cancel();
        signals.next().await;
        second();
    });
    token
}

#[expect(clippy::exit, reason = "a second interrupt leaves at once, whatever is under way")]
pub(super) fn leave(exit: Exit) {
    std::process::exit(i32::from(exit.code()));
}

/// Resolves at Ctrl-C or SIGTERM.
pub(super) async fn wait_for_signal() {
    if let Ok(mut signals) = Signals::listen() {
        signals.next().await;
    }
}

/// What asks us to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
