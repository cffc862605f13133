//! Opens the store, in SQLite or PostgreSQL, and brings an older one up to date.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Transaction};

use crate::clock::Clock;
use crate::deadline::Deadline;

/// Only the owner reads and writes the state.
const FILE_MODE: u32 = 0o600;
pub(super) const DIRECTORY_MODE: u32 = 0o700;
/// The group's and everybody else's part of a mode.
const OTHERS: u32 = 0o077;
/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT_MILLIS: u32 = 15_000;
/// For how long a file is tried to open that somebody else holds, besides what SQLite itself waits.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
const OPEN_PAUSE: Duration = Duration::from_millis(300);
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT_MILLIS: u32 = 10_000;
/// The advisory lock under which PostgreSQL's schema is changed.
const MIGRATION_LOCK: i64 = 0x6472_6374_6c00;

/// One file for each version of the schema, in SQL that both databases take. Files are only ever added.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_runs.sql"),
    include_str!("migrations/0002_daemon.sql"),
    include_str!("migrations/0003_account_and_region.sql"),
    include_str!("migrations/0004_alerts.sql"),
];

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store is of a later drctl.
    #[error("the state in `{place}` is of a newer drctl (schema {found}, this one knows {known})")]
    Newer {
        /// The file, or the database.
        place: String,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// The database says no.
    #[error("failed to open the state in `{place}`")]
    Database {
        /// The file, or the database.
        place: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The file is damaged.
    #[error("the state file `{place}` is damaged: {finding}")]
    Damaged {
        /// The file.
        place: String,
        /// The first thing that SQLite found.
        finding: String,
    },
}

impl OpenError {
    /// Whether a server does not answer, or not yet, and may do so later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| code == CANNOT_CONNECT_NOW),
            _ => false,
        }
    }

    /// Whether another process holds the file.
    fn is_busy(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| is_sqlite_busy(&code))
    }
}

/// `SQLITE_BUSY` and what it is extended by, in the lowest byte (SQLite's result codes).
fn is_sqlite_busy(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| code & 0xff == 5)
}

/// PostgreSQL's code while it starts or ends (its documentation, appendix A).
const CANNOT_CONNECT_NOW: &str = "57P03";

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
        install_default_drivers();
        let absolute = std::path::absolute(path).map_err(|error| failed(error.into()))?;
        let escaped = absolute.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let url = format!("sqlite://{escaped}?mode=rwc");
        keep_private(&absolute).map_err(|error| failed(error.into()))?;
        // A pool would try again for a while what cannot go well, such as a file that is no database.
        let mut first = AnyConnection::connect(&url).await.map_err(failed)?;
        set_up_sqlite(&mut first).await.map_err(failed)?;
        first.close().await.map_err(failed)?;
        let options = AnyPoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS)
            .after_connect(|connection, _| Box::pin(set_up_sqlite(connection)));
        let pool = options.connect(&url).await.map_err(failed)?;
        let store = Self { pool, backend: Backend::Sqlite(path.to_owned()), place };
        store.check().await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that several agents share, making the tables where there are none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_postgres(url: &str, lease: Duration) -> Result<Self, OpenError> {
        let place = without_password(url);
        install_default_drivers();
        let failed = |source| OpenError::Database { place: place.clone(), source };
        AnyConnection::connect(url).await.map_err(failed)?.close().await.map_err(failed)?;
        let options = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(set_up_postgres(connection)));
        let pool = options.connect(url).await.map_err(failed)?;
        let store = Self { pool, backend: Backend::Postgres(lease), place };
        store.migrate().await?;
        Ok(store)
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
        let Backend::Sqlite(_) = self.backend else {
            anyhow::bail!("the state is in `{}`: back it up with `pg_dump`", self.place)
        };
        anyhow::ensure!(!to.exists(), "`{}` is there already", to.display());
        sqlx::query("vacuum into $1").bind(to.display().to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that writes. SQLite's takes the write lock first, so that it cannot fail half-way.
    pub(super) async fn writing(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self.backend {
            Backend::Sqlite(_) => self.pool.begin_with("begin immediate").await,
            Backend::Postgres(_) => self.pool.begin().await,
        }
    }

    /// The next number of a sequence of this store's own. Whoever asks next waits for this transaction's end, so that the order
    /// of numbers is that in which they can be seen.
    pub(super) async fn next(connection: &mut AnyConnection, counter: &str) -> Result<i64, sqlx::Error> {
        let sql = "update counters set value = value + 1 where name = $1 returning value";
        sqlx::query_scalar(sql).bind(counter).fetch_one(connection).await
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

    async fn check(&self) -> Result<(), OpenError> {
        let finding: Result<String, _> = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&self.pool).await;
        match finding {
            Ok(finding) if finding == "ok" => Ok(()),
            Ok(finding) => Err(OpenError::Damaged { place: self.place.clone(), finding }),
            Err(source) => Err(OpenError::Database { place: self.place.clone(), source }),
        }
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let failed = |source| OpenError::Database { place: self.place.clone(), source };
        let mut transaction = self.writing().await.map_err(failed)?;
        let found = self.version(&mut transaction).await.map_err(failed)?;
        let known = MIGRATIONS.len();
        let done = usize::try_from(found).unwrap_or(usize::MAX);
        if done > known {
            return Err(OpenError::Newer { place: self.place.clone(), found, known });
        }
        if done < known {
            for migration in &MIGRATIONS[done..] {
                sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
            }
            let set = match self.backend {
                Backend::Sqlite(_) => format!("pragma user_version = {known}"),
                Backend::Postgres(_) => format!("delete from drctl_schema; insert into drctl_schema values ({known})"),
            };
            sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The schema's version. Two processes never change the same schema at once.
    async fn version(&self, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
        let select = match self.backend {
            Backend::Sqlite(_) => "select cast(user_version as bigint) from pragma_user_version",
            Backend::Postgres(_) => {
                let lock = format!("select pg_advisory_xact_lock({MIGRATION_LOCK})");
                sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *connection).await?;
                let make = "create table if not exists drctl_schema (version bigint not null)";
                sqlx::raw_sql(make).execute(&mut *connection).await?;
                "select coalesce(max(version), 0) from drctl_schema"
            }
        };
        sqlx::query_scalar(select).fetch_one(&mut *connection).await
    }
}

/// The suffixes of the files that SQLite keeps beside its own.
const SQLITE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Takes from everybody else what an earlier version, or another umask, let them read. A file that belongs to somebody
/// else is theirs to see to.
fn keep_private(state: &Path) -> std::io::Result<()> {
    for suffix in SQLITE_FILES {
        let mut name = state.to_owned().into_os_string();
        name.push(suffix);
        private(Path::new(&name), FILE_MODE)?;
    }
    Ok(())
}

/// Sets a mode where somebody else could read or write.
pub(super) fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found & OTHERS == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "others may read this, and it belongs to somebody else");
            Ok(())
        }
        done => done,
    }
}

async fn set_up_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let pragmas = format!(
        "pragma busy_timeout = {BUSY_TIMEOUT_MILLIS}; pragma journal_mode = wal; pragma synchronous = full; \
         pragma foreign_keys = on"
    );
    sqlx::raw_sql(AssertSqlSafe(pragmas)).execute(connection).await.map(drop)
}

async fn set_up_postgres(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = format!(
        "set application_name = 'drctl'; set statement_timeout = {STATEMENT_TIMEOUT_MILLIS}; \
         set idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MILLIS}"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
}

/// `postgres://user:password@host/database` without the password, and without what follows `?`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "a database".to_owned() };
    // A password may hold a question mark, a host may not hold an at sign.
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let host = host.split('?').next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("postgres://a:b@c:5432/d?sslmode=require"), "postgres://a@c:5432/d");
        assert_eq!(without_password("postgres://a:b?c@d/e"), "postgres://a@d/e");
        assert_eq!(without_password("postgres://c/d?password=b"), "postgres://c/d");
    }

    #[test]
    fn a_busy_file_is_told_by_its_code_and_what_extends_it() {
        // SQLITE_BUSY, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT; SQLITE_LOCKED is of the same process.
        assert!(["5", "261", "517"].into_iter().all(is_sqlite_busy));
        assert!(!["6", "14", "57P03", ""].into_iter().any(is_sqlite_busy));
    }

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

    /// Every version of the schema that was ever released, brought up to date with what it held.
    #[tokio::test]
    async fn every_older_schema_is_brought_up_to_date() {
        install_default_drivers();
        for version in 1..MIGRATIONS.len() {
            let directory = std::env::temp_dir().join(format!("drctl-schema-{:x}", rand::random::<u64>()));
            std::fs::create_dir_all(&directory).unwrap();
            let path = directory.join("state.db");
            let url = format!("sqlite://{}?mode=rwc", path.display());
            let old = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
            for migration in &MIGRATIONS[..version] {
                sqlx::raw_sql(*migration).execute(&old).await.unwrap();
            }
            let rows = format!(
                "pragma user_version = {version};
                 insert into runs (id, estate, target, runbook, document, inputs, state, started_at, simulated, keep_for,
                                   accept, account, epoch)
                 values ('01A', 'shop', 'db', 'r', '', '{{}}', 'passed', '2026-11-20T00:00:00Z', 0, 0, 0, '1', 1)"
            );
            sqlx::raw_sql(AssertSqlSafe(rows)).execute(&old).await.unwrap();
            old.close().await;
            let store = Store::open(&path).await.unwrap();
            assert_eq!(store.runs(None, 10).await.unwrap().len(), 1);
            store.pool.close().await;
            let newer = format!("pragma user_version = {}", MIGRATIONS.len() + 1);
            let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(newer)).execute(&pool).await.unwrap();
            pool.close().await;
            assert!(matches!(Store::open(&path).await, Err(OpenError::Newer { .. })));
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
}
