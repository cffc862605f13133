//! Real databases behind the sandbox's endpoints, started from really copied backups.

mod certificates;
mod documentdb;
mod mariadb;
mod postgres;
mod process;
mod seed;
mod tcp_proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use jiff::Timestamp;
use rand::Rng;
use rand::distr::Alphanumeric;

pub(super) use certificates::Certificates;
pub(super) use process::free_port;

pub(super) use tcp_proxy::Gate;

use tcp_proxy::Door;

use crate::clock::VirtualClock;
use crate::estate::{Database, Protocol};

const PASSWORD_CHARS: usize = 32;

/// What the sources hold in place of the shop, and what they lack.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// SQL in place of the shop: of one database, or of all that speak SQL.
    pub schemas: Vec<(Option<String>, Arc<str>)>,
    /// Whether PostgreSQL goes without amcheck, as it does on RDS until somebody installs it.
    pub without_amcheck: bool,
}

impl SourceOptions {
    /// The SQL for one database: its own before what is for all.
    pub(super) fn schema(&self, database: &Database) -> Option<Arc<str>> {
        let of = |wanted: Option<&str>| self.schemas.iter().find(|(target, _)| target.as_deref() == wanted);
        let found = of(Some(&database.id)).or_else(|| of(None));
        found.filter(|_| database.kind.protocol() != Protocol::Mongo).map(|(_, sql)| Arc::clone(sql))
    }
}

/// What a source database holds, and who may enter it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seed {
    /// The source's name: one directory each.
    pub(super) source: String,
    /// The database inside the server.
    pub(super) database: String,
    /// The master user.
    pub(super) username: String,
    /// Its password when the sandbox began.
    pub(super) password: String,
    /// SQL that makes its tables; absent: the shop.
    pub(super) schema: Option<Arc<str>>,
    /// Whether PostgreSQL's amcheck is installed in it.
    pub(super) amcheck: bool,
}

/// How a backup is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Rows are missing.
    Rows,
    /// A page of a table is overwritten.
    Page,
    /// An index lacks entries.
    Index,
}

impl Damage {
    /// Reads `rows`, `page` or `index`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "rows" => Some(Self::Rows),
            "page" => Some(Self::Page),
            "index" => Some(Self::Index),
            _ => None,
        }
    }
}

/// What a backup, or a copy restored from it, holds.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// Whose it is; an instance that was made empty has none.
    pub(super) seed: Option<Seed>,
    /// The moment that it is of.
    pub(super) as_of: Timestamp,
    /// What is wrong with it.
    pub(super) damage: Option<Damage>,
}

/// A database that runs.
#[derive(Debug)]
pub(super) struct Running {
    protocol: Protocol,
    username: String,
    /// The password of the sandbox's own user in it.
    superuser_password: String,
    port: u16,
    directory: PathBuf,
    process: process::Process,
    door: Option<Door>,
}

/// Starts databases in directories of its own.
#[derive(Debug)]
pub(super) struct Engines {
    root: PathBuf,
    certificates: Certificates,
    /// Sources with the same users hold the same, and share a backup.
    sources: tokio::sync::Mutex<BTreeMap<(u8, Seed), Backup>>,
    /// The password of the sandbox's own user in every database.
    superuser_password: String,
    counter: AtomicU64,
}

/// The physical backup of a source.
#[derive(Clone, Debug)]
struct Backup {
    /// A data directory that was shut down cleanly.
    directory: PathBuf,
    /// What tables it holds.
    tables: Vec<String>,
}

impl Engines {
    /// Uses `root` for everything; it must exist. The authority's certificate goes to `ca`.
    pub(super) fn new(root: &Path, ca: &Path) -> anyhow::Result<Arc<Self>> {
        let certificates = Certificates::make(&root.join("tls"), ca)?;
        let (sources, counter) = Default::default();
        let superuser_password = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS).map(char::from).collect();
        Ok(Arc::new(Self { root: root.to_owned(), certificates, sources, superuser_password, counter }))
    }

    /// Makes a source's backup now rather than at its first restore, and tells its tables.
    pub(super) async fn prepare(&self, protocol: Protocol, seed: &Seed) -> anyhow::Result<Vec<String>> {
        Ok(self.backup(protocol, seed).await?.tables)
    }

    /// From now on databases present a certificate that nobody trusts.
    pub(super) fn distrust(&self) -> anyhow::Result<()> {
        self.certificates.replace_by_untrusted()
    }

    /// Restores `content` and starts it on `port`.
    pub(super) async fn start(&self, content: &Content, port: u16) -> anyhow::Result<Running> {
        let seed =
            content.seed.as_ref().context("it was made empty, and the sandbox starts only restored databases")?;
        let backup = self.backup(content.protocol, seed).await?;
        let directory = self.new_directory("copy");
        process::copy_directory(&backup.directory, &directory).await?;
        let (tls, own) = (&self.certificates, self.superuser_password.as_str());
        let process = match content.protocol {
            Protocol::Postgres => postgres::restore(&directory, port, seed, content, tls).await,
            Protocol::Mysql => mariadb::restore(&directory, port, seed, content, tls, own).await,
            Protocol::Mongo => documentdb::restore(&directory, port, seed, content, tls, own).await,
        }?;
        let (username, superuser_password) = (seed.username.clone(), own.to_owned());
        Ok(Running { protocol: content.protocol, username, superuser_password, port, directory, process, door: None })
    }

    fn new_directory(&self, kind: &str) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::SeqCst);
        self.root.join(format!("{kind}-{number}"))
    }

    /// The physical backup of a source. Made once.
    async fn backup(&self, protocol: Protocol, seed: &Seed) -> anyhow::Result<Backup> {
        let mut sources = self.sources.lock().await;
        let key = (protocol as u8, Seed { source: String::new(), ..seed.clone() });
        if let Some(backup) = sources.get(&key) {
            return Ok(backup.clone());
        }
        let (directory, own) = (self.new_directory("backup"), self.superuser_password.as_str());
        let tables = match protocol {
            Protocol::Postgres => postgres::make_source(&directory, seed).await,
            Protocol::Mysql => mariadb::make_source(&directory, seed, own).await,
            Protocol::Mongo => documentdb::make_source(&directory, seed, own).await,
        }
        .with_context(|| format!("failed to make the source database `{}`", seed.source))?;
        let backup = Backup { directory, tables };
        sources.insert(key, backup.clone());
        Ok(backup)
    }
}

impl Running {
    /// Lets clients in on `outside` too, on whose behalf the clock is held.
    pub(super) fn behind_door(
        mut self,
        outside: std::net::TcpListener,
        clock: VirtualClock,
        gate: Gate,
    ) -> anyhow::Result<Self> {
        self.door = Some(Door::open(outside, self.port, clock, gate)?);
        Ok(self)
    }

    /// Sets the master user's password.
    pub(super) async fn set_password(&self, password: &str) -> anyhow::Result<()> {
        let (directory, own) = (&self.directory, self.superuser_password.as_str());
        match self.protocol {
            Protocol::Postgres => postgres::set_password(directory, self.port, &self.username, password).await,
            Protocol::Mysql => mariadb::set_password(directory, own, &self.username, password).await,
            Protocol::Mongo => documentdb::set_password(self.port, own, &self.username, password).await,
        }
    }

    /// Stops the database and removes its files.
    pub(super) async fn stop(self) {
        drop(self.door);
        self.process.stop().await;
        let _ = tokio::fs::remove_dir_all(&self.directory).await;
    }
}

/// A directory for everything that a sandbox writes: of a name that nobody can guess, and closed to everybody else.
pub(super) fn private_root() -> anyhow::Result<PathBuf> {
    let root = std::env::temp_dir().join(format!("drctl-sandbox-{:016x}", rand::random::<u64>()));
    process::private_directory(&root, process::User::unprivileged())?;
    Ok(root)
}

/// What the sources hold unless they were given a schema, in words.
pub(super) fn shop_in_words() -> String {
    format!(
        "the databases hold a shop: tables {}; in DocumentDB collections {}",
        seed::TABLES.join(", "),
        seed::COLLECTIONS.join(", ")
    )
}

/// The servers that stand behind RDS's engines here, in words: what they are, not what RDS would call them.
pub(super) async fn versions() -> Vec<String> {
    let (postgres, mariadb) = (postgres::version().await, mariadb::version().await);
    let said = [("PostgreSQL", postgres), ("MySQL", mariadb), ("DocumentDB", documentdb::version())];
    said.into_iter().filter_map(|(engine, real)| Some(format!("behind {engine} stands {}", real?))).collect()
}

/// What cannot be started here, and why.
pub(super) fn missing() -> Vec<String> {
    let needed = [
        ("PostgreSQL", postgres::is_installed(), "`apt-get install postgresql`"),
        ("MariaDB", mariadb::is_installed(), "`apt-get install mariadb-server`"),
        (
            "SecantusDB",
            documentdb::is_installed(),
            "`pip install secantusdb==0.7.0b3`, and have its `secantusd-py` in PATH",
        ),
    ];
    let absent = needed.into_iter().filter(|(_, installed, _)| !installed);
    absent
        .map(|(name, _, how)| format!("{name} is not installed, so its checks will read unknown; to install it: {how}"))
        .collect()
}
