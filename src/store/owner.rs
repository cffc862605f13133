//! Who may act on a run.
//!
//! Beside a SQLite file it is the process that holds the run's lock file: the lock is the kernel's and dies with the
//! process. In PostgreSQL it is the agent whose lease has not run out: see [`super::lease`].

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sqlx::AssertSqlSafe;

use super::connection::{Backend, Store};
use super::lease::{Claimed, Lease};
use super::private_file::{DIRECTORY_MODE, private};
use super::time_limit::TimeLimit;

/// Between two attempts to write.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The right to act on a run. Dropping it gives the right back, a lease's when it has run out.
#[derive(Debug)]
pub struct Owner {
    /// The run.
    pub run_id: String,
    /// Raised each time that the run changes hands; journal writes check it.
    pub fencing_token: i64,
    /// Random, and checked beside the number: a database that has lost its last commits gives a number twice.
    pub(super) token: String,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Lock { file: File, path: PathBuf },
    Lease(Lease),
}

/// What keeps others off a run that is about to begin.
pub(super) enum Reserved {
    Lock(File, PathBuf),
    Lease,
}

/// What nobody else writes beside a fencing token.
pub(super) fn new_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Takes a lock file; `None` where another process holds it.
fn lock(path: &Path) -> anyhow::Result<Option<File>> {
    if let Some(directory) = path.parent() {
        let failed = || format!("failed to make `{}`", directory.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        // Whoever can open a lock file can hold it, and keep the daemon from starting.
        private(directory, DIRECTORY_MODE).with_context(failed)?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.with_context(|| format!("failed to open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("failed to lock `{}`", path.display())),
    }
}

fn lock_path(state: &Path, name: &str) -> PathBuf {
    let mut directory = state.to_owned().into_os_string();
    directory.push(".locks");
    PathBuf::from(directory).join(name)
}

/// Keeps other daemons off a state file. The lock is the kernel's and dies with the process.
#[derive(Debug)]
pub struct DaemonLock {
    _file: Option<File>,
}

impl Store {
    /// The right to be the daemon of this state: one for a file, any number for a database.
    ///
    /// # Errors
    /// Where another daemon has it.
    pub fn lock_for_daemon(&self) -> anyhow::Result<DaemonLock> {
        let Backend::Sqlite(state) = &self.backend else { return Ok(DaemonLock { _file: None }) };
        let file = lock(&lock_path(state, "daemon"))?;
        let file = file.with_context(|| format!("another daemon is at work on the state file `{}`", self.place))?;
        Ok(DaemonLock { _file: Some(file) })
    }

    /// Keeps others off a run that is about to be written.
    pub(super) fn reserve(&self, run_id: &str) -> anyhow::Result<Reserved> {
        match &self.backend {
            Backend::Sqlite(state) => {
                let path = lock_path(state, run_id);
                let file = lock(&path)?.with_context(|| format!("run `{run_id}` is locked"))?;
                Ok(Reserved::Lock(file, path))
            }
            Backend::Postgres(_) => Ok(Reserved::Lease),
        }
    }

    /// Whether somebody is at work on a run.
    ///
    /// # Errors
    /// Where that could not be looked at.
    pub async fn is_at_work(&self, run_id: &str) -> anyhow::Result<bool> {
        match &self.backend {
            Backend::Sqlite(state) => Ok(lock(&lock_path(state, run_id))?.is_none()),
            Backend::Postgres(_) => {
                let sql = format!("select count(*) from runs where id = $1 and lease_until >= {}", self.now());
                let held: i64 =
                    sqlx::query_scalar(AssertSqlSafe(sql)).bind(run_id).fetch_one(&self.pool).limited().await?;
                Ok(held > 0)
            }
        }
    }

    /// Takes over a run that nobody is at work on; `None` where somebody is.
    ///
    /// # Errors
    /// Where there is no such run, or the store could not be written.
    pub async fn claim(&self, run_id: &str) -> anyhow::Result<Option<Owner>> {
        let reserved = match &self.backend {
            Backend::Sqlite(state) => {
                let path = lock_path(state, run_id);
                let Some(file) = lock(&path)? else { return Ok(None) };
                Reserved::Lock(file, path)
            }
            Backend::Postgres(_) => Reserved::Lease,
        };
        let lease = self.lease_millis();
        let sql = format!(
            "update runs set epoch = epoch + 1, owner = $3, lease_until = {now} + $2
             where id = $1 and state in ('running', 'stuck') and (lease_until is null or lease_until < {now})
             returning cast(epoch as bigint)",
            now = self.now()
        );
        let watch = super::lease::watch();
        let token = new_token();
        let epoch = sqlx::query_scalar(AssertSqlSafe(sql)).bind(run_id).bind(lease).bind(&token);
        match epoch.fetch_optional(&self.pool).limited().await? {
            Some(epoch) => Ok(Some(self.own(run_id, epoch, token, reserved, watch))),
            None if self.is_open(run_id).await? => Ok(None),
            None => anyhow::bail!("run `{run_id}` has ended meanwhile"),
        }
    }

    async fn is_open(&self, run_id: &str) -> anyhow::Result<bool> {
        let sql = "select count(*) from runs where id = $1 and state in ('running', 'stuck')";
        let open: i64 = sqlx::query_scalar(sql).bind(run_id).fetch_one(&self.pool).limited().await?;
        Ok(open > 0)
    }

    /// The length of a lease in milliseconds; beside a file there are none.
    pub(super) fn lease_millis(&self) -> Option<i64> {
        match self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(lease) => Some(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    pub(super) fn own(
        &self,
        run_id: &str,
        fencing_token: i64,
        token: String,
        reserved: Reserved,
        watch: crate::clock::Stopwatch,
    ) -> Owner {
        let hold = match (reserved, &self.backend) {
            (Reserved::Lock(file, path), _) => Hold::Lock { file, path },
            (Reserved::Lease, Backend::Postgres(length)) => {
                let claimed = Claimed { run_id: run_id.to_owned(), fencing_token, token: token.clone() };
                Hold::Lease(Lease::hold(self.clone(), claimed, *length, watch))
            }
            (Reserved::Lease, Backend::Sqlite(_)) => unreachable!("a file's runs are locked"),
        };
        Owner { run_id: run_id.to_owned(), fencing_token, token, hold }
    }
}

impl Owner {
    /// Gives the run up for good.
    pub fn release(self) {
        if let Hold::Lock { file, path } = self.hold {
            // The file goes while the lock is still held: whoever opens it afterwards makes a new one.
            let _ = std::fs::remove_file(&path);
            let _ = file.unlock();
        }
    }

    /// Gives the run up unfinished, so that somebody else can carry it on at once.
    pub async fn abandon(self) {
        if let Hold::Lease(lease) = self.hold {
            lease.give_back().await;
        }
    }

    /// The lease, where it is one that holds the run.
    #[must_use]
    pub fn lease(&self) -> Option<Lease> {
        match &self.hold {
            Hold::Lock { .. } => None,
            Hold::Lease(lease) => Some(lease.clone()),
        }
    }

    /// Makes a change that only the owner may make; `attempt` says whether the run is still the owner's.
    ///
    /// In PostgreSQL a database that does not answer within `deadline` is asked again for as long as the lease lasts. A
    /// file is asked once: SQLite itself waits for it.
    pub(super) async fn write_fenced<F>(
        &self,
        what: &str,
        deadline: Duration,
        attempt: impl Fn() -> F + Send,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<bool>> + Send,
    {
        let id = &self.run_id;
        let lease = self.lease();
        let deadline = if lease.is_some() { deadline } else { Duration::MAX };
        let has_run_out = || lease.as_ref().is_some_and(|lease| lease.left().is_zero());
        loop {
            anyhow::ensure!(!has_run_out(), "the lease on run `{id}` has run out");
            let error = match tokio::time::timeout(deadline, attempt()).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => anyhow::bail!("run `{id}` was taken over by another process"),
                Ok(Err(error)) => error,
                Err(_) => anyhow::anyhow!("the database did not answer"),
            };
            if lease.is_none() || has_run_out() {
                return Err(error.context(format!("failed to write {what} of run `{id}`")));
            }
            tracing::warn!(run.id = %id, error = format!("{error:#}"), "{what} cannot be written; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
