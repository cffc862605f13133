//! Connects to the store, in SQLite or PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryFutureExt;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Transaction};

use super::open_error::OpenError;
use super::postgres_url::{self, without_password};
use super::private_file::keep_private;
use super::time_limit::{PING_LIMIT, TimeLimit};
use crate::clock::Clock;
use crate::deadline::Deadline;

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT_MILLIS: u32 = 15_000;
/// For how long a file is tried to open that somebody else holds, besides what SQLite itself waits.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
const OPEN_PAUSE: Duration = Duration::from_millis(300);
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT_MILLIS: u32 = 10_000;
/// After how long a silent client is looked for by the server, so that it drops the locks of one that has vanished.
const KEEPALIVE_SECONDS: u32 = 15;

/// Which database it is, and so how a run is known to be somebody's.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    /// Runs belong to whoever holds a lock beside the file.
    Sqlite(PathBuf),
    /// Runs belong to whoever holds an unexpired lease of this length.
    Postgres(Duration),
}

/// Where runs are kept. Clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    pub(super) backend: Backend,
    /// The file, or the database without its password.
    pub(super) place: String,
}

impl Store {
    /// Opens a file, making it where there is none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let clock = Clock::system();
        let mut deadline = Deadline::new(&clock, OPEN_LIMIT);
        loop {
            match Self::open_once(path).await {
                // SQLite waits for most of what somebody does who holds the file, and says so at once of the rest.
                Err(error) if error.is_busy() && deadline.allows_retry() => clock.sleep(OPEN_PAUSE).await,
                opened => return opened,
            }
        }
    }

    async fn open_once(path: &Path) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        let failed = |source| OpenError::Database { place: place.clone(), source };
        let url = sqlite_url(path, "rwc").map_err(failed)?;
        keep_private(path).map_err(|error| failed(error.into()))?;
        install_default_drivers();
        // A pool would try again for a while what cannot go well, such as a file that is no database.
        let mut first = AnyConnection::connect(&url).await.map_err(failed)?;
        set_up_sqlite(&mut first).await.map_err(failed)?;
        first.close().await.map_err(failed)?;
        let options = AnyPoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS)
            .after_connect(|connection, _| Box::pin(set_up_sqlite(connection)));
        let pool = options.connect(&url).await.map_err(failed)?;
        let store = Self { pool, backend: Backend::Sqlite(path.to_owned()), place };
        store.bring_forward().await?;
        Ok(store)
    }

    /// Opens a file to read it: nothing is changed, brought forward or locked. Where nobody has written yet, it reads as
    /// empty.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_for_reading(path: &Path) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        let failed = |source| OpenError::Database { place: place.clone(), source };
        install_default_drivers();
        if !path.exists() {
            return Self::empty(place).await;
        }
        let url = sqlite_url(path, "ro").map_err(failed)?;
        AnyConnection::connect(&url).await.map_err(failed)?.close().await.map_err(failed)?;
        let options = AnyPoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS)
            .after_connect(|connection, _| Box::pin(set_up_sqlite_reader(connection)));
        let pool = options.connect(&url).await.map_err(failed)?;
        let store = Self { pool, backend: Backend::Sqlite(path.to_owned()), place };
        if store.check_schema().await? { Ok(store) } else { Self::empty(store.place).await }
    }

    /// Opens a database that several agents share, making the tables where there are none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_postgres(url: &str, lease: Duration) -> Result<Self, OpenError> {
        let store = Self::connect_postgres(url, lease, "").await?;
        store.bring_forward().await?;
        Ok(store)
    }

    /// Opens a shared database to read it: nothing is changed, brought forward or locked. Where nobody has written yet, it
    /// reads as empty.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_postgres_for_reading(url: &str, lease: Duration) -> Result<Self, OpenError> {
        let store = Self::connect_postgres(url, lease, "; set default_transaction_read_only = on").await?;
        if store.check_schema().await? { Ok(store) } else { Self::empty(store.place).await }
    }

    async fn connect_postgres(url: &str, lease: Duration, settings: &'static str) -> Result<Self, OpenError> {
        let place = without_password(url);
        install_default_drivers();
        let failed = |source| OpenError::Database { place: place.clone(), source };
        // A pool would try again for a while what cannot go well, such as a wrong password.
        let server = postgres_url::options(url).map_err(failed)?;
        let first = AnyConnection::connect_with(&server).within(ACQUIRE_TIMEOUT).await.map_err(failed)?;
        first.close().within(ACQUIRE_TIMEOUT).await.map_err(failed)?;
        let options = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(set_up_postgres(connection, settings)))
            // Without this a connection to a server that has vanished holds its place until TCP gives it up.
            .after_release(|connection, _| Box::pin(connection.ping().within(PING_LIMIT).map_ok(|()| true)));
        let pool = options.connect_with(server).await.map_err(failed)?;
        Ok(Self { pool, backend: Backend::Postgres(lease), place })
    }

    /// A store in which nothing is: it lives and dies with its one connection.
    async fn empty(place: String) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { place: place.clone(), source };
        let options = AnyPoolOptions::new().min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = options.connect("sqlite::memory:").await.map_err(failed)?;
        let store = Self { pool, backend: Backend::Sqlite(PathBuf::from(&place)), place };
        store.bring_forward().await?;
        Ok(store)
    }

    /// Reads a whole file to see whether it is sound, which takes as long as it is large.
    ///
    /// # Errors
    /// Where it is damaged. What a database server keeps is its own to look after.
    pub async fn check_integrity(&self) -> Result<(), OpenError> {
        let Backend::Sqlite(_) = self.backend else { return Ok(()) };
        let finding: Result<String, _> = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&self.pool).await;
        match finding {
            Ok(finding) if finding == "ok" => Ok(()),
            Ok(finding) => Err(OpenError::Damaged { place: self.place.clone(), finding }),
            Err(source) => Err(self.failed(source)),
        }
    }

    pub(super) fn failed(&self, source: sqlx::Error) -> OpenError {
        OpenError::Database { place: self.place.clone(), source }
    }

    /// The file, or the database without its password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Writes a copy of the state to a new file.
    ///
    /// # Errors
    /// Where the file is there already, or the store is not a file.
    pub async fn back_up(&self, to: &Path) -> anyhow::Result<()> {
        let Backend::Sqlite(path) = &self.backend else {
            anyhow::bail!("the state is in `{}`: back it up with `pg_dump`", self.place)
        };
        anyhow::ensure!(path.exists(), "there is no state in `{}` yet: nothing was written", path.display());
        anyhow::ensure!(!to.exists(), "`{}` is there already", to.display());
        sqlx::query("vacuum into $1").bind(to.display().to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that writes. SQLite's takes the write lock first, so that it cannot fail half-way.
    pub(super) async fn writing(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self.backend {
            Backend::Sqlite(_) => self.pool.begin_with("begin immediate").limited().await,
            Backend::Postgres(_) => self.pool.begin().limited().await,
        }
    }

    /// The next number of a sequence of this store's own. Whoever asks next waits for this transaction's end, so that the order
    /// of numbers is that in which they can be seen.
    pub(super) async fn next(connection: &mut AnyConnection, counter: &str) -> Result<i64, sqlx::Error> {
        let sql = "update counters set value = value + 1 where name = $1 returning value";
        sqlx::query_scalar(sql).bind(counter).fetch_one(connection).limited().await
    }

    /// The end of a `select` of rows that the transaction is about to change, and that others may be at.
    pub(super) fn skip_locked(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => "",
            Backend::Postgres(_) => " for update skip locked",
        }
    }

    /// The end of a `select` of a row that must stay as it is until the statement has been committed.
    pub(super) fn for_share(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => "",
            Backend::Postgres(_) => " for share",
        }
    }

    /// The database's own clock, in milliseconds since 1970: leases are compared by nobody else's.
    pub(super) fn now(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite(_) => "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
            Backend::Postgres(_) => "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
        }
    }
}

async fn set_up_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let pragmas = format!(
        "pragma busy_timeout = {BUSY_TIMEOUT_MILLIS}; pragma journal_mode = wal; pragma synchronous = full; \
         pragma foreign_keys = on"
    );
    sqlx::raw_sql(AssertSqlSafe(pragmas)).execute(connection).await.map(drop)
}

/// A reader waits for nothing but a checkpoint that is being written.
async fn set_up_sqlite_reader(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let pragma = format!("pragma busy_timeout = {BUSY_TIMEOUT_MILLIS}");
    sqlx::raw_sql(AssertSqlSafe(pragma)).execute(connection).await.map(drop)
}

async fn set_up_postgres(connection: &mut AnyConnection, more: &str) -> Result<(), sqlx::Error> {
    let settings = format!(
        "set application_name = 'drctl'; set tcp_keepalives_idle = {KEEPALIVE_SECONDS}; \
         set tcp_keepalives_interval = {KEEPALIVE_SECONDS}; set statement_timeout = {STATEMENT_TIMEOUT_MILLIS}; \
         set idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MILLIS}{more}"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
}

/// The address of a file, whatever signs its name has.
fn sqlite_url(path: &Path, mode: &str) -> Result<String, sqlx::Error> {
    let absolute = std::path::absolute(path)?.display().to_string();
    let escaped = absolute.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    Ok(format!("sqlite://{escaped}?mode={mode}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two that start at once both find a file without a write-ahead log.
    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_opens_waits_for_another_who_does() {
        install_default_drivers();
        let directory = std::env::temp_dir().join(format!("drctl-open-{:x}", rand::random::<u64>()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("state.db");
        let mut other = AnyConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
        let held = "pragma journal_mode = delete; create table other (a bigint); begin; select count(*) from other";
        sqlx::raw_sql(held).execute(&mut other).await.unwrap();
        let opened = path.clone();
        let opening = tokio::spawn(async move { Store::open(&opened).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!opening.is_finished(), "it did not wait");
        sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
        opening.await.unwrap().unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
