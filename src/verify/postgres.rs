//! PostgreSQL: one exported snapshot for all connections, hashing on the server, `amcheck` where it is installed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::answer::{Catalog, Digest, First, Refusal, Scan, from_epoch};
use super::model::{Login, Plan, RelationFacts, Trouble};
use crate::estate::TlsMode;

/// Everything but the system's own schemas.
const USER_SCHEMAS: &str = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'";
/// SQLSTATE classes and codes that tell of damaged data.
const DAMAGE: [&str; 4] = ["XX001", "XX002", "58030", "58P01"];
const UNDEFINED_FUNCTION: &str = "42883";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A connection inside a read-only transaction.
pub(super) struct Worker {
    connection: PgConnection,
    amcheck: bool,
    /// The server's major version: hashes are stable within one.
    major: String,
}

/// Connects `count` times, all to one snapshot, and reads the catalogue.
pub(super) async fn connect(login: &Login, plan: &Plan, count: usize) -> Result<(Vec<Worker>, Catalog), Refusal> {
    let options = options(login, plan);
    let mut leader = options.connect().await.map_err(refusal)?;
    execute(&mut leader, "begin isolation level repeatable read read only").await.map_err(refusal)?;
    let snapshot: String =
        sqlx::query_scalar("select pg_export_snapshot()").fetch_one(&mut leader).await.map_err(refusal)?;
    let amcheck: bool = sqlx::query_scalar("select exists (select 1 from pg_extension where extname = 'amcheck')")
        .fetch_one(&mut leader)
        .await
        .map_err(refusal)?;
    let catalog = catalog(&mut leader, amcheck).await.map_err(refusal)?;
    let major = catalog.version.split('.').next().unwrap_or_default().to_owned();
    let mut workers = vec![Worker { connection: leader, amcheck, major: major.clone() }];
    for _ in 1..count {
        let mut connection = options.connect().await.map_err(refusal)?;
        execute(&mut connection, "begin isolation level repeatable read read only").await.map_err(refusal)?;
        let set = format!("set transaction snapshot '{}'", snapshot.replace('\'', ""));
        execute(&mut connection, &set).await.map_err(refusal)?;
        workers.push(Worker { connection, amcheck, major: major.clone() });
    }
    Ok((workers, catalog))
}

fn options(login: &Login, plan: &Plan) -> PgConnectOptions {
    let mode = match (login.tls, login.tunnelled) {
        (TlsMode::VerifyFull, false) => PgSslMode::VerifyFull,
        (TlsMode::VerifyFull, true) => PgSslMode::VerifyCa,
        (TlsMode::Require, _) => PgSslMode::Require,
        (TlsMode::Off, _) => PgSslMode::Disable,
    };
    let timeout = plan.patience.as_millis().to_string();
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&login.address.host)
        .port(login.address.port)
        .username(&login.username)
        .password(login.password.expose_secret())
        .database(&login.database)
        .application_name("drctl")
        .ssl_mode(mode)
        .options([
            ("statement_timeout", timeout.as_str()),
            ("default_transaction_read_only", "on"),
            ("timezone", "UTC"),
            ("datestyle", "ISO"),
            ("intervalstyle", "iso_8601"),
            ("extra_float_digits", "1"),
            ("bytea_output", "hex"),
        ]);
    if let Some(ca) = &login.ca {
        options = options.ssl_root_cert(ca);
    }
    options.disable_statement_logging()
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn refusal(error: sqlx::Error) -> Refusal {
    match &error {
        sqlx::Error::Tls(_) => Refusal::Tls(error.to_string()),
        sqlx::Error::Io(cause) if cause.to_string().contains("certificate") => Refusal::Tls(error.to_string()),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Refusal::Unreachable(error.to_string()),
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            Some("28P01" | "28000") => Refusal::Credentials(answer.message().to_owned()),
            Some("3D000") => Refusal::NoDatabase(answer.message().to_owned()),
            Some("57P03" | "53300") => Refusal::Unreachable(answer.message().to_owned()),
            _ => Refusal::Other(answer.message().to_owned()),
        },
        _ => Refusal::Other(error.to_string()),
    }
}

fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(answer) if answer.code().is_some_and(|code| DAMAGE.contains(&code.as_ref())) => {
            Trouble::Damage(answer.message().to_owned())
        }
        sqlx::Error::Io(_) => Trouble::Lost,
        sqlx::Error::Database(answer) => Trouble::Unable(answer.message().to_owned()),
        other => Trouble::Unable(other.to_string()),
    }
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}

async fn catalog(connection: &mut PgConnection, amcheck: bool) -> Result<Catalog, sqlx::Error> {
    let version: String = sqlx::query_scalar("show server_version").fetch_one(&mut *connection).await?;
    let columns = format!(
        "select format('%I.%I', n.nspname, c.relname),
                array_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
              left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relkind in ('r', 'm') and {USER_SCHEMAS} group by 1"
    );
    let rows: Vec<(String, Vec<Option<String>>)> =
        sqlx::query_as(AssertSqlSafe(columns)).fetch_all(&mut *connection).await?;
    let mut relations: BTreeMap<String, RelationFacts> = rows
        .into_iter()
        .map(|(name, columns)| {
            (name, RelationFacts { columns: columns.into_iter().flatten().collect(), ..RelationFacts::default() })
        })
        .collect();
    let indexes = format!(
        "select format('%I.%I', n.nspname, c.relname), pg_get_indexdef(i.indexrelid), i.indisvalid and i.indisready
         from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
         where {USER_SCHEMAS} order by 2"
    );
    let mut defects = Vec::new();
    let rows: Vec<(String, String, bool)> = sqlx::query_as(AssertSqlSafe(indexes)).fetch_all(&mut *connection).await?;
    for (relation, index, valid) in rows {
        if !valid {
            defects.push(Trouble::Damage(format!("invalid index: {index}")));
        }
        if let Some(relation) = relations.get_mut(&relation) {
            relation.indexes.push(index);
        }
    }
    let unvalidated = sqlx::query_scalar(
        "select format('%s on %s', conname, conrelid::regclass) from pg_constraint where not convalidated order by 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    let structure_note = if amcheck {
        "every B-tree index agrees with its table (amcheck)".to_owned()
    } else {
        "no invalid index; `amcheck` is not installed, so indexes were not compared with their tables".to_owned()
    };
    Ok(Catalog { version, relations, unvalidated, defects, structure_note, ..Catalog::default() })
}

impl Worker {
    /// Runs `sql` under a savepoint, so that a failure leaves the transaction usable.
    async fn ask<T>(&mut self, sql: &str) -> Result<Option<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        execute(&mut self.connection, "savepoint drctl").await?;
        let answer =
            sqlx::query_as(AssertSqlSafe(sql.to_owned())).persistent(false).fetch_optional(&mut self.connection).await;
        let after = if answer.is_ok() { "release savepoint drctl" } else { "rollback to savepoint drctl" };
        // Where the connection is lost the first error tells more than this one.
        let _ = execute(&mut self.connection, after).await;
        answer
    }

    pub(super) async fn scan(&mut self, relation: &str, full: bool) -> Result<Scan, Trouble> {
        if full {
            return self.digest(&format!("only {relation}"), "").await;
        }
        let sql = format!("select count(*) from only {relation}");
        let row: Option<(i64,)> = self.ask(&sql).await.map_err(|error| trouble(&error))?;
        Ok(Scan { rows: row.map_or(0, |(rows,)| rows.unsigned_abs()), digest: None })
    }

    /// Counts and digests in one pass. The digest is a sum, so that neither order nor parallel workers matter.
    async fn digest(&mut self, relation: &str, condition: &str) -> Result<Scan, Trouble> {
        let sql =
            |digest: &str| format!("select count(*), coalesce(sum({digest}), 0)::text from {relation} t {condition}");
        let by_record = self.ask::<(i64, String)>(&sql("hash_record_extended(t, 0)")).await;
        // A column type without a hash function (json, point, ...), or a server before 14: hash the text instead.
        let (row, method) = match by_record {
            Err(error) if code_of(&error).as_deref() == Some(UNDEFINED_FUNCTION) => {
                (self.ask::<(i64, String)>(&sql("hashtextextended(t::text, 0)")).await, "text")
            }
            other => (other, "record"),
        };
        let row = row.map_err(|error| trouble(&error))?;
        let (rows, digest) = row.unwrap_or_default();
        let sum = digest.parse().unwrap_or_default();
        Ok(Scan { rows: rows.unsigned_abs(), digest: Some(Digest { method: format!("{}/{method}", self.major), sum }) })
    }

    pub(super) async fn structure(&mut self, relation: &str) -> Result<(), Trouble> {
        if !self.amcheck {
            return Ok(());
        }
        let sql = format!(
            "select bt_index_check(index => i.indexrelid, heapallindexed => true), c.relname
             from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
             where i.indrelid = '{}'::regclass and a.amname = 'btree' and i.indisvalid and c.relpersistence <> 't'",
            relation.replace('\'', "''")
        );
        execute(&mut self.connection, "savepoint drctl").await.map_err(|error| trouble(&error))?;
        let answer = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut self.connection).await;
        let _ = execute(&mut self.connection, "rollback to savepoint drctl").await;
        answer.map(drop).map_err(|error| {
            if code_of(&error).as_deref() == Some(INSUFFICIENT_PRIVILEGE) {
                return Trouble::Unable(format!("`amcheck` is installed, but may not be used: {error}"));
            }
            trouble(&error)
        })
    }

    pub(super) async fn newest(&mut self, relation: &str, column: &str) -> Result<Option<Timestamp>, Trouble> {
        let sql = format!(
            "select extract(epoch from max({})::timestamptz)::float8 from {}",
            quote(column),
            quote_path(relation)
        );
        let row: Option<(Option<f64>,)> = self.ask(&sql).await.map_err(|error| trouble(&error))?;
        Ok(row.and_then(|(seconds,)| from_epoch(seconds?)))
    }

    pub(super) async fn settled(&mut self, relation: &str, column: &str, before: Timestamp) -> Result<Scan, Trouble> {
        let condition = format!("where t.{} < timestamptz '{before}'", quote(column));
        self.digest(&quote_path(relation), &condition).await
    }

    pub(super) async fn first_value(&mut self, sql: &str) -> Result<First, Trouble> {
        let sql = sql.trim().trim_end_matches(';');
        let wrapped = format!("select row_to_json(drctl)::text from (\n{sql}\n) as drctl limit 1");
        execute(&mut self.connection, "savepoint drctl").await.map_err(|error| trouble(&error))?;
        let row = sqlx::query(AssertSqlSafe(wrapped)).persistent(false).fetch_optional(&mut self.connection).await;
        let _ = execute(&mut self.connection, "rollback to savepoint drctl").await;
        let Some(row) = row.map_err(|error| trouble(&error))? else { return Ok(First::NoRow) };
        let json: String = row.try_get(0).map_err(|error| trouble(&error))?;
        Ok(first_of_json(&json))
    }
}

/// The first member of a JSON object, as text.
fn first_of_json(json: &str) -> First {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    match object.into_iter().next() {
        Some((_, serde_json::Value::String(text))) => First::Value(text),
        Some((_, serde_json::Value::Null)) => First::Null,
        Some((_, value)) => First::Value(value.to_string()),
        None => First::Value(String::new()),
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table` or `table`, each part quoted.
fn quote_path(path: &str) -> String {
    path.split('.').map(quote).collect::<Vec<_>>().join(".")
}
