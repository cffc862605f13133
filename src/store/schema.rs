//! Opens the store and brings an older one up to date.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECTIONS: u32 = 4;

/// One entry for each version of the schema. Entries are only ever added.
const MIGRATIONS: [&str; 1] = ["
    create table runs (
        id          text primary key,
        estate      text not null,
        target      text not null,
        runbook     text not null,
        document    text not null,
        inputs      text not null,
        state       text not null,
        reason      text,
        started_at  text not null,
        expires_at  text,
        ended_at    text,
        simulated   integer not null,
        keep_for    integer not null,
        accept      integer not null,
        account     text not null,
        epoch       integer not null,
        report      text
    );
    create index runs_by_target on runs (estate, target, started_at);
    create table journal (
        run_id  text not null references runs (id),
        seq     integer not null,
        at      text not null,
        epoch   integer not null,
        entry   text not null,
        primary key (run_id, seq)
    );
    create table baselines (
        estate  text not null,
        target  text not null,
        simulated integer not null,
        run_id  text not null,
        at      text not null,
        facts   text not null,
        primary key (estate, target, simulated)
    );
"];

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is of a later drctl.
    #[error("the state file `{}` is of a newer drctl (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// SQLite says no.
    #[error("failed to open the state file `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: sqlx::Error,
    },
    /// The file is damaged.
    #[error("the state file `{}` is damaged: {finding}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that SQLite found.
        finding: String,
    },
}

/// Where runs are kept. Clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: SqlitePool,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens the store, making it where there is none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await.map_err(failed)?;
        let store = Self { pool, path: path.to_owned() };
        store.check().await?;
        store.migrate().await?;
        Ok(store)
    }

    async fn check(&self) -> Result<(), OpenError> {
        let finding: Result<String, _> = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&self.pool).await;
        match finding {
            Ok(finding) if finding == "ok" => Ok(()),
            Ok(finding) => Err(OpenError::Damaged { path: self.path.clone(), finding }),
            Err(source) => Err(OpenError::Sqlite { path: self.path.clone(), source }),
        }
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let failed = |source| OpenError::Sqlite { path: self.path.clone(), source };
        // Taking the write lock first keeps two processes from migrating the same file.
        let mut transaction = self.pool.begin_with("begin immediate").await.map_err(failed)?;
        let found: i64 =
            sqlx::query_scalar("pragma user_version").fetch_one(&mut *transaction).await.map_err(failed)?;
        let known = MIGRATIONS.len();
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        if done > known {
            return Err(OpenError::Newer { path: self.path.clone(), found, known });
        }
        for migration in &MIGRATIONS[done..] {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
        }
        let version = sqlx::AssertSqlSafe(format!("pragma user_version = {known}"));
        sqlx::raw_sql(version).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}
