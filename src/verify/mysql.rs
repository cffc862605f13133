//! MySQL and MariaDB: a consistent snapshot for each connection, hashing on the server, `CHECK TABLE`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row, SqlSafeStr};

use super::answer::{Catalog, Digest, First, Refusal, Scan, from_epoch};
use super::model::{Login, Plan, RelationFacts, Trouble};
use crate::estate::TlsMode;

const BEGIN: &str = "start transaction with consistent snapshot, read only";
const USER_SCHEMAS: &str = "table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys')";
/// Server errors that tell of damaged data: crashed and corrupt tables, indexes and tablespaces, failed reads.
const DAMAGE: [u16; 13] = [126, 127, 1030, 1032, 1034, 1035, 1105, 1194, 1195, 1712, 1812, 1877, 1932];

/// A connection inside a read-only transaction.
pub(super) struct Worker {
    connection: MySqlConnection,
}

/// Connects `count` times and reads the catalogue.
pub(super) async fn connect(login: &Login, plan: &Plan, count: usize) -> Result<(Vec<Worker>, Catalog), Refusal> {
    let options = options(login);
    let mut workers = Vec::new();
    for _ in 0..count {
        let mut connection = options.connect().await.map_err(refusal)?;
        prepare(&mut connection, plan).await.map_err(refusal)?;
        workers.push(Worker { connection });
    }
    let catalog = catalog(&mut workers[0].connection).await.map_err(refusal)?;
    Ok((workers, catalog))
}

fn options(login: &Login) -> MySqlConnectOptions {
    let mode = match (login.tls, login.tunnelled) {
        (TlsMode::VerifyFull, false) => MySqlSslMode::VerifyIdentity,
        (TlsMode::VerifyFull, true) => MySqlSslMode::VerifyCa,
        (TlsMode::Require, _) => MySqlSslMode::Required,
        (TlsMode::Off, _) => MySqlSslMode::Disabled,
    };
    let mut options = MySqlConnectOptions::new()
        .host(&login.address.host)
        .port(login.address.port)
        .username(&login.username)
        .password(login.password.expose_secret())
        .database(&login.database)
        .ssl_mode(mode);
    if let Some(ca) = &login.ca {
        options = options.ssl_ca(ca);
    }
    options.disable_statement_logging()
}

async fn prepare(connection: &mut MySqlConnection, plan: &Plan) -> Result<(), sqlx::Error> {
    let version: String = sqlx::query_scalar("select version()").fetch_one(&mut *connection).await?;
    let limit = if version.contains("MariaDB") {
        format!("set session max_statement_time = {}", plan.patience.as_secs().max(1))
    } else {
        format!("set session max_execution_time = {}", plan.patience.as_millis().max(1))
    };
    for sql in ["set session transaction read only", "set session time_zone = '+00:00'", limit.as_str(), BEGIN] {
        execute(connection, sql).await?;
    }
    Ok(())
}

async fn execute(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

fn refusal(error: sqlx::Error) -> Refusal {
    match &error {
        sqlx::Error::Tls(_) => Refusal::Tls(error.to_string()),
        sqlx::Error::Io(cause) if cause.to_string().contains("certificate") => Refusal::Tls(error.to_string()),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Refusal::Unreachable(error.to_string()),
        sqlx::Error::Database(answer) => match number_of(&error) {
            Some(1045 | 1698 | 1251) => Refusal::Credentials(answer.message().to_owned()),
            Some(1049) => Refusal::NoDatabase(answer.message().to_owned()),
            Some(1040 | 1203) => Refusal::Unreachable(answer.message().to_owned()),
            _ => Refusal::Other(answer.message().to_owned()),
        },
        _ => Refusal::Other(error.to_string()),
    }
}

fn number_of(error: &sqlx::Error) -> Option<u16> {
    let answer = error.as_database_error()?;
    answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(sqlx::mysql::MySqlDatabaseError::number)
}

fn trouble(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(answer) if number_of(error).is_some_and(|number| DAMAGE.contains(&number)) => {
            Trouble::Damage(answer.message().to_owned())
        }
        sqlx::Error::Io(_) => Trouble::Lost,
        sqlx::Error::Database(answer) => Trouble::Unable(answer.message().to_owned()),
        other => Trouble::Unable(other.to_string()),
    }
}

async fn catalog(connection: &mut MySqlConnection) -> Result<Catalog, sqlx::Error> {
    let version: String = sqlx::query_scalar("select version()").fetch_one(&mut *connection).await?;
    let tables = format!(
        "select concat('`', table_schema, '`.`', table_name, '`'), concat('`', column_name, '` ', column_type)
         from information_schema.columns join information_schema.tables using (table_schema, table_name)
         where {USER_SCHEMAS} and table_type = 'BASE TABLE' order by 1, ordinal_position"
    );
    let mut relations: BTreeMap<String, RelationFacts> = BTreeMap::new();
    for row in sqlx::query(AssertSqlSafe(tables)).fetch_all(&mut *connection).await? {
        let (table, column): (String, String) = (text(&row, 0)?, text(&row, 1)?);
        relations.entry(table).or_default().columns.push(column);
    }
    let indexes = format!(
        "select concat('`', table_schema, '`.`', table_name, '`'),
                concat(index_name, ' on ', table_name, ' (', group_concat(coalesce(column_name, '(expression)') order by seq_in_index), ')')
         from information_schema.statistics where {USER_SCHEMAS}
         group by table_schema, table_name, index_name order by 1, 2"
    );
    for row in sqlx::query(AssertSqlSafe(indexes)).fetch_all(&mut *connection).await? {
        let (table, index): (String, String) = (text(&row, 0)?, text(&row, 1)?);
        if let Some(relation) = relations.get_mut(&table) {
            relation.indexes.push(index);
        }
    }
    let structure_note = "every table is sound (`CHECK TABLE`)".to_owned();
    Ok(Catalog { version, relations, structure_note, ..Catalog::default() })
}

/// A text column; the information schema has some of them as `VARBINARY`.
fn text(row: &MySqlRow, at: usize) -> Result<String, sqlx::Error> {
    row.try_get_unchecked::<String, _>(at)
}

impl Worker {
    async fn first_row(&mut self, sql: String) -> Result<Option<MySqlRow>, sqlx::Error> {
        // The text protocol gives every type as text.
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_optional(&mut self.connection).await
    }

    pub(super) async fn scan(&mut self, relation: &str, columns: &[String], full: bool) -> Result<Scan, Trouble> {
        let digest = full.then(|| digest_of(columns));
        self.count(relation, digest, "").await
    }

    async fn count(&mut self, relation: &str, digest: Option<String>, condition: &str) -> Result<Scan, Trouble> {
        let column = digest.as_ref().map_or_else(|| "0".to_owned(), |digest| format!("coalesce(sum({digest}), 0)"));
        let sql = format!("select count(*), {column} from {relation} {condition}");
        let row = self.first_row(sql).await.map_err(|error| trouble(&error))?;
        let Some(row) = row else { return Err(Trouble::Unable("the count yielded nothing".to_owned())) };
        let rows = text(&row, 0).map_err(|error| trouble(&error))?.parse().unwrap_or(0);
        let sum = text(&row, 1).map_err(|error| trouble(&error))?;
        let sum = sum.parse().unwrap_or_default();
        Ok(Scan { rows, digest: digest.map(|_| Digest { method: "md5".to_owned(), sum }) })
    }

    pub(super) async fn structure(&mut self, relation: &str) -> Result<(), Trouble> {
        let sql = format!("check table {relation}");
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| trouble(&error))?;
        // `CHECK TABLE` ends the transaction; the next question wants one again.
        execute(&mut self.connection, BEGIN).await.map_err(|error| trouble(&error))?;
        for row in rows {
            let said = |at| text(&row, at).unwrap_or_default();
            let (kind, message) = (said(2), said(3));
            if kind.eq_ignore_ascii_case("error") || (kind.eq_ignore_ascii_case("status") && message != "OK") {
                return Err(Trouble::Damage(format!("{relation}: {message}")));
            }
            if kind.eq_ignore_ascii_case("warning") && message.contains("corrupt") {
                return Err(Trouble::Damage(format!("{relation}: {message}")));
            }
        }
        Ok(())
    }

    pub(super) async fn newest(&mut self, relation: &str, column: &str) -> Result<Option<Timestamp>, Trouble> {
        let sql = format!("select unix_timestamp(max({})) from {}", quote(column), quote_path(relation));
        let row = self.first_row(sql).await.map_err(|error| trouble(&error))?;
        let seconds: Option<String> =
            row.map(|row| row.try_get_unchecked(0)).transpose().map_err(|error| trouble(&error))?.flatten();
        Ok(seconds.and_then(|seconds| from_epoch(seconds.parse().ok()?)))
    }

    pub(super) async fn settled(&mut self, relation: &str, column: &str, before: Timestamp) -> Result<Scan, Trouble> {
        let (schema, table) =
            relation.rsplit_once('.').map_or((None, relation), |(schema, table)| (Some(schema), table));
        let columns = sqlx::query(
            "select concat('`', column_name, '` ', column_type) from information_schema.columns
             where table_schema = coalesce(?, database()) and table_name = ? order by ordinal_position",
        )
        .bind(schema)
        .bind(table)
        .fetch_all(&mut self.connection)
        .await
        .map_err(|error| trouble(&error))?;
        let columns: Result<Vec<String>, _> = columns.iter().map(|row| text(row, 0)).collect();
        let columns = columns.map_err(|error| trouble(&error))?;
        if columns.is_empty() {
            return Err(Trouble::Unable(format!("there is no table `{relation}`")));
        }
        let condition = format!("where {} < '{}'", quote(column), before.strftime("%Y-%m-%d %H:%M:%S%.6f"));
        self.count(&quote_path(relation), Some(digest_of(&columns)), &condition).await
    }

    pub(super) async fn first_value(&mut self, sql: &str) -> Result<First, Trouble> {
        let sql = sql.trim().trim_end_matches(';');
        let wrapped = format!("select * from (\n{sql}\n) as drctl limit 1");
        // The server prepares one statement only: whatever would follow it is a mistake, and not let through.
        let prepared = self.connection.prepare(AssertSqlSafe(wrapped.clone()).into_sql_str()).await;
        prepared.map_err(|error| trouble(&error))?;
        let row = self.first_row(wrapped).await.map_err(|error| trouble(&error))?;
        let Some(row) = row else { return Ok(First::NoRow) };
        let value: Option<String> = row.try_get_unchecked(0).map_err(|error| trouble(&error))?;
        Ok(value.map_or(First::Null, First::Value))
    }
}

/// A number for each row that depends on every column; 60 bits of an MD5.
fn digest_of(columns: &[String]) -> String {
    let parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = column.rsplit_once("` ").map_or(column.as_str(), |(name, _)| name);
            format!("ifnull({name}`, '\\0')")
        })
        .collect();
    format!("cast(conv(left(md5(concat_ws('\\x1f', {})), 15), 16, 10) as unsigned)", parts.join(", "))
}

fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `schema.table` or `table`, each part quoted.
fn quote_path(path: &str) -> String {
    path.split('.').map(quote).collect::<Vec<_>>().join(".")
}
