//! `drctl daemon`: an agent for each estate, until it is told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{self, Format};
use super::{bootstrap, progress};
use crate::aws::{Aws, Destination};
use crate::clock::Clock;
use crate::config::{Loaded, changes};
use crate::context::AppContext;
use crate::daemon::{Agent, Health, Plan, never, plan, wait_for_account};
use crate::duration;
use crate::estate::{Estate, State, StateLocation};
use crate::store::{DaemonLock, Store};
use crate::web::{self, EstateHandle};

/// After a stop so long is waited for agents beyond their own bound.
const STOP_MARGIN: Duration = Duration::from_mins(2);
/// How often the supervisor is told that all is well, where it did not say.
const BEAT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what will run in this time, such as `30d`, and end.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    plan: Option<Duration>,
    /// How to log on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write a duration such as 30d".to_owned())
}

pub(super) async fn run(configs: &[PathBuf], args: &Args, format: Format) -> anyhow::Result<Exit> {
    let loaded = load(configs)?;
    if let Some(within) = args.plan {
        return show_plan(&loaded, within, format);
    }
    every_schedule_fires(&loaded)?;
    let stop = bootstrap::on_signal(
        || tracing::info!("stopping; interrupt again to leave at once"),
        || bootstrap::leave(Exit::Interrupted),
    );
    let hangup = signal(SignalKind::hangup())?;
    let listener = listen(&loaded).await?;
    let mut service = Service::default();
    service.apply_config(loaded).await?;
    announce(&listener)?;
    let stopped = CancellationToken::new();
    let web = tokio::spawn(web::serve(listener, Arc::clone(&service.watched), stopped.clone()));
    let beat = tokio::spawn(keep_beating(Arc::clone(&service.watched), stopped.clone()));
    tell_supervisor(&[NotifyState::Ready]);
    service.until_stopped(configs, hangup, &stop).await;
    tell_supervisor(&[NotifyState::Stopping]);
    service.stop().await;
    stopped.cancel();
    let _ = tokio::join!(web, beat);
    tracing::info!("stopped");
    Ok(Exit::Passed)
}

/// Files, and the `.toml` files of folders.
fn load(configs: &[PathBuf]) -> anyhow::Result<Vec<Loaded>> {
    let mut files = Vec::new();
    for config in configs {
        if !config.is_dir() {
            files.push(config.clone());
            continue;
        }
        let shown = config.display();
        let entries = std::fs::read_dir(config).with_context(|| format!("failed to read the folder `{shown}`"))?;
        let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        if found.is_empty() {
            return Err(output::usage(
                format!("the folder `{shown}` holds no `.toml` file"),
                "put an estate file there",
            ));
        }
        found.sort();
        files.extend(found);
    }
    let loaded: Vec<Loaded> = files.iter().map(|file| bootstrap::load(file)).collect::<anyhow::Result<_>>()?;
    let mut names = BTreeMap::new();
    for one in &loaded {
        if let Some(other) = names.insert(one.estate.name.clone(), &one.path) {
            let (name, file, other) = (&one.estate.name, one.path.display(), other.display());
            let message = format!("`{file}` and `{other}` are both the estate `{name}`");
            return Err(output::usage(message, "give each estate a name of its own"));
        }
    }
    Ok(loaded)
}

/// A job that never comes is a mistake, and would never be noticed.
fn every_schedule_fires(loaded: &[Loaded]) -> anyhow::Result<()> {
    let estates: Vec<&Estate> = loaded.iter().map(|one| &one.estate).collect();
    let never = never(&estates, Clock::system().now());
    let Some(first) = never.first() else { return Ok(()) };
    let message = format!("`{}` of estate `{}` would never run: `{}`", first.job, first.estate, first.timetable);
    Err(output::usage(message, "correct its schedule; `drctl schedule EXPRESSION` shows when one fires"))
}

fn show_plan(loaded: &[Loaded], within: Duration, format: Format) -> anyhow::Result<Exit> {
    let estates: Vec<&Estate> = loaded.iter().map(|one| &one.estate).collect();
    let now = Clock::system().now();
    let (Plan { planned, is_cut }, never) = (plan(&estates, now, within), never(&estates, now));
    if format == Format::Json {
        output::json(&json!({ "schema": "drctl.plan/1", "planned": planned, "never": never, "cut": is_cut }))?;
    } else {
        let (tests, chores): (Vec<_>, Vec<_>) = planned.iter().partition(|one| one.is_test());
        for one in tests {
            let at = one.at.strftime("%a %Y-%m-%d %H:%M:%SZ");
            output::print(&format!("{at}  {:<16} {:<36} {}", one.estate, one.job, one.timetable));
        }
        let mut named = BTreeSet::new();
        for one in chores.into_iter().filter(|one| named.insert((&one.estate, &one.job))) {
            let at = one.at.strftime("%a %Y-%m-%d %H:%M:%SZ");
            output::print(&format!("{at}  {:<16} {:<36} {}, and so on", one.estate, one.job, one.timetable));
        }
        if planned.iter().any(|one| one.timetable.starts_with("rate(")) {
            output::status("note: rates are counted from now here; the daemon counts from when it first read them");
        }
    }
    if is_cut {
        output::status(&format!("note: only the first {} are shown; ask for a shorter time", planned.len()));
    }
    for one in &never {
        output::status(&format!("warning: `{}` of `{}` never runs: `{}`", one.job, one.estate, one.timetable));
    }
    let untested =
        estates.iter().flat_map(|estate| &estate.databases).filter(|database| database.test.timetable.is_none());
    for database in untested {
        output::status(&format!("note: `{}` has no `schedule`: the daemon does not test it", database.id));
    }
    Ok(if never.is_empty() { Exit::Passed } else { Exit::Failed })
}

/// An estate with its agent.
struct ManagedEstate {
    /// The configuration's text, to see what a reload changes.
    text: String,
    estate: Arc<Estate>,
    /// Whether AWS has let it in.
    at_work: Arc<AtomicBool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The agents, and the stores that they share.
#[derive(Default)]
struct Service {
    managed: BTreeMap<String, ManagedEstate>,
    retired: Vec<JoinHandle<()>>,
    stores: Vec<(State, Store, DaemonLock)>,
    watched: Arc<RwLock<Vec<EstateHandle>>>,
}

impl Service {
    /// Makes the agents those of these configurations. Where one cannot be, nothing changes.
    async fn apply_config(&mut self, loaded: Vec<Loaded>) -> anyhow::Result<()> {
        let mut fresh = Vec::new();
        for one in &loaded {
            let known = self.managed.get(&one.estate.name);
            if known.is_some_and(|known| known.text == one.text) {
                continue;
            }
            if known.is_some_and(|known| known.estate.state != one.estate.state) {
                let message = format!("`[state]` of estate `{}` cannot change while the daemon runs", one.estate.name);
                return Err(output::usage(message, "stop the daemon, move the state, and start it again"));
            }
            if known.is_some_and(|known| known.at_work.load(Ordering::Relaxed)) {
                // What works is not given up for something that AWS does not let in.
                let aws = Aws::connect(&one.estate, &Clock::system(), &Destination::Environment).await;
                aws.account_of(one.estate.account.as_deref()).await?;
            }
            fresh.push((one, self.store(one).await?));
        }
        let gone: Vec<String> =
            self.managed.keys().filter(|name| loaded.iter().all(|one| one.estate.name != **name)).cloned().collect();
        for name in gone {
            tracing::info!(estate = name, "the estate is no longer configured");
            self.retire(&name);
        }
        for (one, store) in fresh {
            let (name, estate) = (one.estate.name.clone(), Arc::new(one.estate.clone()));
            if !self.managed.contains_key(&name) {
                tracing::info!(estate = name, databases = estate.databases.len(), "taking up an estate");
            }
            if let Some(old) = self.managed.get(&name) {
                if old.estate.daemon.listen != estate.daemon.listen {
                    tracing::warn!(estate = name, "`[daemon] listen` needs a restart");
                }
                for line in changes(&old.text, &one.text) {
                    tracing::info!(estate = name, change = line, "reloaded");
                }
            }
            self.retire(&name);
            let watched = EstateHandle { estate, store, clock: Clock::system(), health: Health::default() };
            let (at_work, stop) = (Arc::default(), CancellationToken::new());
            let task = tokio::spawn(supervise(watched.clone(), Arc::clone(&at_work), stop.clone()));
            let estate = Arc::clone(&watched.estate);
            self.managed.insert(name, ManagedEstate { text: one.text.clone(), estate, at_work, stop, task });
            if let Ok(mut all) = self.watched.write() {
                all.push(watched);
            }
        }
        Ok(())
    }

    /// Stops an agent's intake. What it carries goes on, and is waited for at the end.
    fn retire(&mut self, name: &str) {
        if let Some(old) = self.managed.remove(name) {
            old.stop.cancel();
            self.retired.push(old.task);
        }
        if let Ok(mut watched) = self.watched.write() {
            watched.retain(|one| one.estate.name != name);
        }
    }

    /// Estates that name the same state share one connection to it, and one right to be its daemon.
    async fn store(&mut self, loaded: &Loaded) -> anyhow::Result<Store> {
        let state = &loaded.estate.state;
        let is_same = |known: &State| match &state.location {
            StateLocation::Sqlite(_) => known.location == state.location,
            StateLocation::Postgres(_) => known == state,
        };
        if let Some((_, store, _)) = self.stores.iter().find(|(known, ..)| is_same(known)) {
            return Ok(store.clone());
        }
        let store = bootstrap::store(loaded).await?;
        store.check_integrity().await?;
        let lock = store.lock_for_daemon().map_err(|error| {
            output::usage(format!("{error:#}"), "stop it, or share the work through PostgreSQL: `[state] url`")
        })?;
        store.forget_claims().await?;
        self.stores.push((state.clone(), store.clone(), lock));
        Ok(store)
    }

    async fn until_stopped(&mut self, configs: &[PathBuf], mut hangup: Signal, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => {
                    let since = NotifyState::monotonic_usec_now().ok();
                    tell_supervisor(&[NotifyState::Reloading].into_iter().chain(since).collect::<Vec<_>>());
                    self.reload(configs).await;
                    tell_supervisor(&[NotifyState::Ready]);
                }
            }
        }
    }

    /// A configuration that is not valid changes nothing.
    async fn reload(&mut self, configs: &[PathBuf]) {
        let loaded = load(configs).and_then(|loaded| every_schedule_fires(&loaded).map(|()| loaded));
        let taken = match loaded {
            Ok(loaded) => self.apply_config(loaded).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => tracing::info!(estates = self.managed.len(), "the configuration was read again"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the new configuration was not taken; the old one stays");
            }
        }
    }

    async fn stop(self) {
        let bound =
            self.managed.values().map(|tended| tended.estate.daemon.drain).max().unwrap_or_default() + STOP_MARGIN;
        for tended in self.managed.values() {
            tended.stop.cancel();
        }
        let tasks = self.managed.into_values().map(|tended| tended.task).chain(self.retired);
        let all = futures_util::future::join_all(tasks);
        if tokio::time::timeout(bound, all).await.is_err() {
            tracing::error!("not everything ended in time; what was under way is carried on after the next start");
        }
    }
}

/// An estate's agent, from the moment at which AWS says who it is. What keeps AWS from answering keeps no other estate
/// waiting, and can be mended meanwhile.
async fn supervise(watched: EstateHandle, at_work: Arc<AtomicBool>, stop: CancellationToken) {
    let EstateHandle { estate, store, clock, health } = watched;
    let let_in = stop.run_until_cancelled(Box::pin(wait_for_account(&estate, &clock, &health))).await;
    let Some((aws, account)) = let_in else { return };
    at_work.store(true, Ordering::Relaxed);
    let app = AppContext {
        estate,
        aws,
        account: account.id,
        clock,
        store,
        cancel: CancellationToken::new(),
        leave: CancellationToken::new(),
        notify: true,
        reporter: progress::logged(),
    };
    Agent::new(app, health).run(stop).await;
}

/// Takes the port before anything is begun.
async fn listen(loaded: &[Loaded]) -> anyhow::Result<TcpListener> {
    let first = loaded.first().context("there is no estate")?;
    let address = first.estate.daemon.listen;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "`[daemon] listen` is not on loopback: whoever reaches it reads metrics and health");
    }
    for other in loaded.iter().filter(|one| one.estate.daemon.listen != address) {
        tracing::warn!(estate = other.estate.name, %address, "one daemon listens in one place: the first estate's");
    }
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("failed to listen on {address}: {error}");
        output::usage(message, "choose another `[daemon] listen`, or stop the process using that port")
    })
}

fn announce(listener: &TcpListener) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    output::print(&format!("listening on http://{address}"));
    tracing::info!(%address, "serving /metrics, /healthz and /readyz");
    Ok(())
}

fn tell_supervisor(states: &[NotifyState<'_>]) {
    // Without a supervisor this does nothing.
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor could not be told");
    }
}

/// Tells the supervisor that all agents go round. Where one hangs it is not told, and restarts us.
async fn keep_beating(watched: Arc<RwLock<Vec<EstateHandle>>>, stop: CancellationToken) {
    let every = sd_notify::watchdog_enabled().map_or(BEAT, |bound| bound / 2);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let alive = watched.read().is_ok_and(|watched| watched.iter().all(|one| one.health.status().alive));
        if alive {
            tell_supervisor(&[NotifyState::Watchdog]);
        }
    }
}
