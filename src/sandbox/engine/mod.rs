//! Real databases behind the sandbox's endpoints, started from really copied backups.

mod certificates;
mod documentdb;
mod door;
mod mariadb;
mod postgres;
mod process;
mod seed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use jiff::Timestamp;

pub(super) use certificates::Certificates;
pub(super) use process::free_port;

use door::Door;

use crate::clock::VirtualClock;
use crate::estate::Protocol;

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
    sources: tokio::sync::Mutex<BTreeMap<(u8, Seed), PathBuf>>,
    counter: AtomicU64,
}

impl Engines {
    /// Uses `root` for everything; it must exist.
    pub(super) fn new(root: &Path) -> anyhow::Result<Arc<Self>> {
        let certificates = Certificates::make(&root.join("tls"))?;
        let (sources, counter) = Default::default();
        Ok(Arc::new(Self { root: root.to_owned(), certificates, sources, counter }))
    }

    /// The authority that signs the databases' certificates.
    pub(super) fn ca(&self) -> &Path {
        &self.certificates.ca
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
        process::copy_directory(&backup, &directory).await?;
        let tls = &self.certificates;
        let process = match content.protocol {
            Protocol::Postgres => postgres::restore(&directory, port, seed, content, tls).await,
            Protocol::Mysql => mariadb::restore(&directory, port, seed, content, tls).await,
            Protocol::Mongo => documentdb::restore(&directory, port, seed, content, tls).await,
        }?;
        let username = seed.username.clone();
        Ok(Running { protocol: content.protocol, username, port, directory, process, door: None })
    }

    fn new_directory(&self, kind: &str) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::SeqCst);
        self.root.join(format!("{kind}-{number}"))
    }

    /// The physical backup of a source: a data directory that was shut down cleanly. Made once.
    async fn backup(&self, protocol: Protocol, seed: &Seed) -> anyhow::Result<PathBuf> {
        let mut sources = self.sources.lock().await;
        let key = (protocol as u8, Seed { source: String::new(), ..seed.clone() });
        if let Some(directory) = sources.get(&key) {
            return Ok(directory.clone());
        }
        let directory = self.new_directory("backup");
        match protocol {
            Protocol::Postgres => postgres::make_source(&directory, seed).await,
            Protocol::Mysql => mariadb::make_source(&directory, seed).await,
            Protocol::Mongo => documentdb::make_source(&directory, seed).await,
        }
        .with_context(|| format!("failed to make the source database `{}`", seed.source))?;
        sources.insert(key, directory.clone());
        Ok(directory)
    }
}

impl Running {
    /// Lets clients in on `outside` too, on whose behalf the clock is held.
    pub(super) fn behind_door(mut self, outside: std::net::TcpListener, clock: VirtualClock) -> anyhow::Result<Self> {
        self.door = Some(Door::open(outside, self.port, clock)?);
        Ok(self)
    }

    /// Sets the master user's password.
    pub(super) async fn set_password(&self, password: &str) -> anyhow::Result<()> {
        match self.protocol {
            Protocol::Postgres => postgres::set_password(&self.directory, self.port, &self.username, password).await,
            Protocol::Mysql => mariadb::set_password(&self.directory, &self.username, password).await,
            Protocol::Mongo => documentdb::set_password(&self.directory, self.port, &self.username, password).await,
        }
    }

    /// Stops the database and removes its files.
    pub(super) async fn stop(self) {
        drop(self.door);
        self.process.stop().await;
        let _ = tokio::fs::remove_dir_all(&self.directory).await;
    }
}

/// What cannot be started here, and why.
pub(super) fn missing() -> Vec<String> {
    let needed = [
        ("PostgreSQL", postgres::is_installed(), "`apt-get install postgresql`"),
        ("MariaDB", mariadb::is_installed(), "`apt-get install mariadb-server`"),
        ("SecantusDB", documentdb::is_installed(), "`pip install secantusdb==0.7.0b3`"),
    ];
    let absent = needed.into_iter().filter(|(_, installed, _)| !installed);
    absent
        .map(|(name, _, how)| format!("{name} is not installed, so its checks will read unknown; to install it: {how}"))
        .collect()
}
