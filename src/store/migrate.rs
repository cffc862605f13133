//! Brings a store's schema to what this drctl needs, whatever older drctl made it.
//!
//! What is done is written down in a table of sqlx's migrator. Before there was one, a number was kept: SQLite's `user_version`,
//! or the table `drctl_schema`. It goes on being set, so that a drctl of that time leaves a newer store alone.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, SqlStr};

use super::connection::{Backend, Store};
use super::open_error::OpenError;

/// The migrator's table. Not sqlx's own name for it: the database may be another application's as well.
const TABLE: &str = "drctl_migrations";
/// The advisory lock under which PostgreSQL's schema is changed.
const LOCK: i64 = 0x6472_6374_6c00;
/// A counter that never counts: tells this store from every other, and goes with it to its standbys.
pub(super) const IDENTITY: &str = "identity";
/// How long one statement of a migration may take, and wait for another agent's.
const TIMEOUT: &str = "10min";
/// The last version that had a number and no table.
const LAST_NUMBERED: i64 = 4;

/// One file for each version of the schema, in SQL that both databases take. Files are only ever added, never changed. They
/// are listed here, and not found by `sqlx::migrate!`, which would build SQLite and PostgreSQL a second time for the compiler.
const MIGRATIONS: [(&str, &str); 5] = [
    ("runs", include_str!("migrations/0001_runs.sql")),
    ("daemon", include_str!("migrations/0002_daemon.sql")),
    ("account and region", include_str!("migrations/0003_account_and_region.sql")),
    ("alerts", include_str!("migrations/0004_alerts.sql")),
    ("owner tokens", include_str!("migrations/0005_owner_tokens.sql")),
];

/// While drctl was young the same number stood for more than one schema: a column that tells them apart, and what makes the
/// older one the newer.
const ADOPTIONS: [(&str, &str, &str); 2] = [
    ("runs", "account", include_str!("migrations/adopt/runs_without_account.sql")),
    ("jobs", "simulated", include_str!("migrations/adopt/jobs_without_simulated.sql")),
];

/// Where a schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    /// Nobody has written here yet.
    Empty,
    /// Made before migrations were files.
    Numbered(i64),
    /// Made by migrations up to this one.
    Migrated(i64),
}

impl Schema {
    fn version(self) -> i64 {
        match self {
            Self::Empty => 0,
            Self::Numbered(version) | Self::Migrated(version) => version,
        }
    }
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn migrator() -> Migrator {
    let migrations = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
        Migration::new(version, description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(TABLE);
    // One lock from the first look to the commit: sqlx's own ends before that, and beside a file it is none.
    migrator.set_locking(false);
    migrator
}

/// What the database said, where it was the database.
fn cause(error: MigrateError) -> sqlx::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        error => error.into(),
    }
}

impl Store {
    /// Whether anybody has written here yet. Changes nothing, and waits for nobody.
    ///
    /// # Errors
    /// Where the schema is older or newer than what this drctl knows, or could not be read.
    pub(super) async fn check_schema(&self) -> Result<bool, OpenError> {
        let mut connection = self.pool.acquire().await.map_err(|source| self.failed(source))?;
        let schema = self.schema(&mut connection).await.map_err(|source| self.failed(source))?;
        self.refuse_newer(schema)?;
        match schema {
            Schema::Empty => Ok(false),
            Schema::Migrated(version) if version == newest() => Ok(true),
            older => Err(OpenError::Older { place: self.place().to_owned(), found: older.version(), known: newest() }),
        }
    }

    /// Brings the schema forward where it is behind; where it is not, nothing is written and nothing locked.
    ///
    /// # Errors
    /// Where it is newer than what this drctl knows, or could not be changed.
    pub(super) async fn bring_forward(&self) -> Result<(), OpenError> {
        match self.check_schema().await {
            Ok(true) => Ok(()),
            Ok(false) | Err(OpenError::Older { .. }) => self.migrate().await,
            Err(error) => Err(error),
        }
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let failed = |source| self.failed(source);
        // SQLite's transaction locks the file from its beginning.
        let mut transaction = self.writing().await.map_err(failed)?;
        if let Backend::Postgres(_) = self.backend {
            let lock = format!("set local statement_timeout = '{TIMEOUT}'; select pg_advisory_xact_lock({LOCK})");
            sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.map_err(failed)?;
        }
        // Somebody else may have done it meanwhile.
        let schema = self.schema(&mut transaction).await.map_err(failed)?;
        self.refuse_newer(schema)?;
        let migrator = migrator();
        if let Schema::Numbered(version) = schema {
            self.adopt_numbered(&mut transaction).await.map_err(failed)?;
            let done = migrator.run_direct(Some(version), &mut *transaction, true).await;
            done.map_err(|error| failed(cause(error)))?;
        }
        migrator.run_direct(None, &mut *transaction, false).await.map_err(|error| failed(cause(error)))?;
        let identity = "insert into counters (name, value) values ($1, $2) on conflict do nothing";
        let identity = sqlx::query(identity).bind(IDENTITY).bind(rand::random::<i64>());
        identity.execute(&mut *transaction).await.map_err(failed)?;
        let number = match self.backend {
            Backend::Sqlite(_) => format!("pragma user_version = {}", newest()),
            Backend::Postgres(_) => format!(
                "create table if not exists drctl_schema (version bigint not null);
                 delete from drctl_schema; insert into drctl_schema values ({})",
                newest()
            ),
        };
        sqlx::raw_sql(AssertSqlSafe(number)).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    fn refuse_newer(&self, schema: Schema) -> Result<(), OpenError> {
        let known = if matches!(schema, Schema::Numbered(_)) { LAST_NUMBERED } else { newest() };
        if schema.version() <= known {
            return Ok(());
        }
        Err(OpenError::Newer { place: self.place().to_owned(), found: schema.version(), known: newest() })
    }

    async fn schema(&self, connection: &mut AnyConnection) -> Result<Schema, sqlx::Error> {
        if self.has_column(&mut *connection, TABLE, "version").await? {
            let newest = "select coalesce(max(version), 0) from drctl_migrations";
            return Ok(Schema::Migrated(sqlx::query_scalar(newest).fetch_one(connection).await?));
        }
        let numbered = match self.backend {
            Backend::Sqlite(_) => "select cast(user_version as bigint) from pragma_user_version",
            Backend::Postgres(_) if self.has_column(&mut *connection, "drctl_schema", "version").await? => {
                "select coalesce(max(version), 0) from drctl_schema"
            }
            Backend::Postgres(_) => return Ok(Schema::Empty),
        };
        match sqlx::query_scalar(numbered).fetch_one(connection).await? {
            0 => Ok(Schema::Empty),
            version => Ok(Schema::Numbered(version)),
        }
    }

    async fn adopt_numbered(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        for (table, column, sql) in ADOPTIONS {
            // Every table of that time had an estate.
            if self.has_column(connection, table, "estate").await?
                && !self.has_column(connection, table, column).await?
            {
                sqlx::raw_sql(sql).execute(&mut *connection).await?;
            }
        }
        Ok(())
    }

    /// Whether there is a table with such a column, where this role looks first.
    async fn has_column(&self, connection: &mut AnyConnection, table: &str, column: &str) -> Result<bool, sqlx::Error> {
        let sql = match self.backend {
            Backend::Sqlite(_) => "select count(*) from pragma_table_info($1) where name = $2",
            Backend::Postgres(_) => {
                "select count(*) from pg_attribute where attrelid = to_regclass($1) and attname = $2 and not attisdropped"
            }
        };
        let found: i64 = sqlx::query_scalar(sql).bind(table).bind(column).fetch_one(connection).await?;
        Ok(found > 0)
    }
}
