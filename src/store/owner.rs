//! Who may act on a run: the process that holds its lock. The lock is the kernel's and dies with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use anyhow::Context;

use super::schema::Store;

/// The right to act on a run. Dropping it gives the right back.
#[derive(Debug)]
pub struct Owner {
    /// The run.
    pub run_id: String,
    /// Raised each time that the run changes hands; journal writes check it.
    pub epoch: i64,
    lock: File,
    path: PathBuf,
}

impl Store {
    fn lock_path(&self, run_id: &str) -> PathBuf {
        let mut directory = self.path.clone().into_os_string();
        directory.push(".locks");
        PathBuf::from(directory).join(run_id)
    }

    /// Takes a run's lock; `None` where another process holds it.
    pub(super) fn lock(&self, run_id: &str) -> anyhow::Result<Option<(File, PathBuf)>> {
        let path = self.lock_path(run_id);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).with_context(|| format!("failed to make `{}`", directory.display()))?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("failed to open `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some((file, path))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("failed to lock `{}`", path.display()))
            }
        }
    }

    /// Whether a run's process is at work.
    ///
    /// # Errors
    /// Where its lock could not be looked at.
    pub fn is_at_work(&self, run_id: &str) -> anyhow::Result<bool> {
        Ok(self.lock(run_id)?.is_none())
    }

    /// Takes over a run whose process is gone; `None` where it still runs.
    ///
    /// # Errors
    /// Where there is no such run, or the store could not be written.
    pub async fn claim(&self, run_id: &str) -> anyhow::Result<Option<Owner>> {
        let Some((lock, path)) = self.lock(run_id)? else { return Ok(None) };
        let epoch: Option<i64> = sqlx::query_scalar(
            "update runs set epoch = epoch + 1 where id = $1 and state in ('running', 'stuck') returning epoch",
        )
        .bind(run_id)
        .fetch_optional(&self.pool)
        .await?;
        let epoch = epoch.with_context(|| format!("run `{run_id}` has ended meanwhile"))?;
        Ok(Some(Owner::new(run_id, epoch, lock, path)))
    }
}

impl Owner {
    pub(super) fn new(run_id: &str, epoch: i64, lock: File, path: PathBuf) -> Self {
        Self { run_id: run_id.to_owned(), epoch, lock, path }
    }

    /// Gives the run up for good, with its lock file.
    pub fn release(self) {
        // The file goes while the lock is still held: whoever opens it afterwards makes a new one.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.lock.unlock();
    }
}
