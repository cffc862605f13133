//! MySQL and MariaDB: one consistent snapshot on all connections, hashing on the server, `CHECK TABLE`.
//!
//! Base tables are inert here: neither generated columns, nor checks, nor index expressions can call a stored function, and
//! nothing runs when a row is read. What takes the rights of whoever asks (functions and views with `SQL SECURITY INVOKER`) is
//! kept out of the user's own SQL, see `trust`.

mod catalog;
mod digest;
mod session;
mod table;
mod trust;

use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use mysql_async::{Error, Value};

use super::answer::{Catalog, ConnectError, Digest, First, Scan};
use super::identifier;
use super::model::{ConnectionSettings, Plan, ProbeError};
use catalog::Known;
use session::{BEGIN, Session, field, refusal};
use table::Table;

/// How often the connections try to see one and the same state.
const SNAPSHOT_TRIES: u32 = 3;
/// Characters of a value that the server sends: a little more than is compared or shown.
const VALUE_CHARS: u32 = 4000;

/// A connection inside a read-only transaction.
pub(super) struct Worker {
    session: Session,
    known: Arc<Known>,
    /// Whether the user's own SQL ran over the connection since it was opened or renewed.
    is_used: bool,
}

/// Connects `count` times and reads the catalogue.
pub(super) async fn connect(
    login: &ConnectionSettings,
    plan: &Plan,
    count: usize,
) -> Result<(Vec<Worker>, Catalog), ConnectError> {
    let mut sessions = try_join_all((0..count).map(|_| Session::open(login, plan))).await?;
    let reading = async {
        let one_snapshot = begin(&mut sessions).await.map_err(|error| refusal(&error))?;
        let Some(leader) = sessions.first_mut() else {
            return Err(ConnectError::Other("no connection was asked for".to_owned()));
        };
        catalog::read(leader, login, plan, one_snapshot).await
    };
    let too_long = |_| Err(ConnectError::Other("the catalogue could not be read in time".to_owned()));
    let (known, catalog) = tokio::time::timeout(plan.deadline, reading).await.unwrap_or_else(too_long)?;
    let known = Arc::new(known);
    let worker = |session| Worker { session, known: Arc::clone(&known), is_used: false };
    Ok((sessions.into_iter().map(worker).collect(), catalog))
}

/// Begins everywhere. The servers know no exported snapshot: where nothing was written between the first and the last, all
/// see the same. Where something always is, no table may be read over several of them.
async fn begin(sessions: &mut [Session]) -> Result<bool, Error> {
    for _ in 0..SNAPSHOT_TRIES {
        let [leader, ..] = sessions else { return Ok(false) };
        let before = written(leader).await?;
        for session in &mut *sessions {
            session.execute(BEGIN).await?;
        }
        if written(&mut sessions[0]).await? == before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Counters that move with every row that anybody writes. MariaDB leaves temporary tables out of its handler's, MySQL does
/// not and has InnoDB's.
async fn written(session: &mut Session) -> Result<Vec<(String, Option<String>)>, Error> {
    let rows = session
        .said(
            "show global status where variable_name in ('Innodb_rows_inserted', 'Innodb_rows_updated', \
             'Innodb_rows_deleted', 'Handler_write', 'Handler_update', 'Handler_delete')",
        )
        .await?;
    let pairs = rows.iter().map(|row| (field(row, 0).unwrap_or_default(), field(row, 1)));
    let (of_innodb, of_handler): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name.starts_with("Innodb"));
    Ok(if of_innodb.is_empty() { of_handler } else { of_innodb })
}

impl Worker {
    fn trouble(&self, error: &Error) -> ProbeError {
        self.session.trouble(error)
    }

    /// The connection as drctl set it up. The copy does not change, so that another snapshot is as good.
    async fn session(&mut self) -> Result<&mut Session, ProbeError> {
        if self.is_used {
            self.session.renew().await.map_err(|error| self.trouble(&error))?;
            self.is_used = false;
        }
        Ok(&mut self.session)
    }

    /// Reads a part of a table.
    pub(super) async fn scan(&mut self, relation: &str, part: usize, full: bool) -> Result<Scan, ProbeError> {
        let known = Arc::clone(&self.known);
        let Some(table) = known.tables.get(relation) else { return Err(no_relation(relation)) };
        let from = format!("{} {}", table.quoted(), table.range(part));
        self.read(table, &from, full, Vec::new()).await
    }

    /// Counts and, where it is wanted in full, digests.
    async fn read(&mut self, table: &Table, from: &str, full: bool, values: Vec<Value>) -> Result<Scan, ProbeError> {
        if let Some(elsewhere) = &table.elsewhere {
            return Err(ProbeError::Unable(elsewhere.clone()));
        }
        // Without its columns a table has no digest, but reading it may tell why.
        let digested = full && !table.columns.is_empty();
        // Where no row came to a number there is no sum: that is not the digest of nothing.
        let sum = match digested {
            true => format!("if(count(*) = 0, 0, sum({}))", digest::of(&table.columns, self.known.salt)),
            false => "0".to_owned(),
        };
        let sql = format!("select count(*), {sum} from {from}");
        let row = self.session().await?.first(&sql, values).await.map_err(|error| self.trouble(&error))?;
        let number = |at| row.as_ref().and_then(|row| field(row, at)?.parse::<i128>().ok());
        let (Some(rows), Some(sum)) = (number(0), number(1)) else {
            return Err(ProbeError::Unable("the server counted no number".to_owned()));
        };
        if full && !digested {
            return Err(ProbeError::Unable(format!("the columns of {} could not be read", table.quoted())));
        }
        let digest = full.then(|| Digest { method: digest::method(self.known.salt), sum });
        Ok(Scan { rows: u64::try_from(rows).unwrap_or_default(), digest })
    }

    /// Has the server check a table and its indexes.
    pub(super) async fn structure(&mut self, relation: &str) -> Result<(), ProbeError> {
        let known = Arc::clone(&self.known);
        let Some(table) = known.tables.get(relation) else { return Err(no_relation(relation)) };
        if let Some(elsewhere) = &table.elsewhere {
            return Err(ProbeError::Unable(elsewhere.clone()));
        }
        let rows = self.session().await?.said(&format!("check table {}", table.quoted())).await;
        let rows = rows.map_err(|error| self.trouble(&error))?;
        // `CHECK TABLE` ends the transaction; the next question wants one again.
        self.session.execute(BEGIN).await.map_err(|error| self.trouble(&error))?;
        let said = rows.iter().map(|row| (field(row, 2).unwrap_or_default(), field(row, 3).unwrap_or_default()));
        said.into_iter().try_for_each(|(kind, message)| judge(relation, &kind, &message))
    }

    /// A column that tells a time, and its table.
    fn timed(&self, relation: &str, column: &str) -> Result<(&Table, String), ProbeError> {
        let table = self.known.find(relation).ok_or_else(|| no_relation(relation))?;
        if let Some(elsewhere) = &table.elsewhere {
            return Err(ProbeError::Unable(elsewhere.clone()));
        }
        if !table.columns.iter().any(|known| known.name == column && known.is_time()) {
            return Err(ProbeError::Unable(format!(
                "`{relation}` has no column `{column}` of type date, datetime or timestamp"
            )));
        }
        Ok((table, identifier::mysql(column)))
    }

    /// The newest value of a column.
    pub(super) async fn newest(&mut self, relation: &str, column: &str) -> Result<Option<Timestamp>, ProbeError> {
        let (table, time) = self.timed(relation, column)?;
        // `unix_timestamp` ends with 2038.
        let sql = format!(
            "select max({time}) is null, timestampdiff(microsecond, '1970-01-01', max({time})) from {}",
            table.quoted()
        );
        let row = self.session().await?.first(&sql, Vec::new()).await.map_err(|error| self.trouble(&error))?;
        let Some(row) = row.filter(|row| field(row, 0).as_deref() == Some("0")) else { return Ok(None) };
        let at = field(&row, 1).and_then(|text| Timestamp::from_microsecond(text.parse().ok()?).ok());
        at.map(Some).ok_or_else(|| ProbeError::Unable(format!("the newest `{column}` is beyond all calendars")))
    }

    /// Rows older than `before`.
    pub(super) async fn settled(
        &mut self,
        relation: &str,
        column: &str,
        before: Timestamp,
    ) -> Result<Scan, ProbeError> {
        let known = Arc::clone(&self.known);
        let (_, time) = self.timed(relation, column)?;
        let table = known.find(relation).ok_or_else(|| no_relation(relation))?;
        let from = format!("{} where {time} < ?", table.quoted());
        let before = before.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
        self.read(table, &from, true, vec![before.into()]).await
    }

    /// The user's own question, asked in the server's own mode. Whatever it did to the session is gone before the next one.
    pub(super) async fn first_value(&mut self, sql: &str) -> Result<First, ProbeError> {
        if let Some(why) = self.known.untrusted.objection(sql) {
            return Err(ProbeError::Unable(format!(
                "not asked, because somebody else's code would run as ours: {why}"
            )));
        }
        self.session().await?;
        self.is_used = true;
        self.wrapped(sql).await.map_err(|error| self.trouble(&error))
    }

    async fn wrapped(&mut self, sql: &str) -> Result<First, Error> {
        self.session.execute("set session sql_mode = @@global.sql_mode").await?;
        let from = format!("from (\n{}\n) as drctl limit 1", sql.trim().trim_end_matches(';'));
        let name = self.session.first_column(&format!("select * {from}")).await?.unwrap_or_default();
        // Cut at the server: a value may have a gigabyte.
        let cut = format!("select left({}, {VALUE_CHARS}) {from}", identifier::mysql(&name));
        let Some(row) = self.session.first(&cut, Vec::new()).await? else { return Ok(First::NoRow) };
        Ok(field(&row, 0).map_or(First::Null, First::Value))
    }
}

/// What a line of `CHECK TABLE` means.
fn judge(relation: &str, kind: &str, message: &str) -> Result<(), ProbeError> {
    let said = format!("{relation}: {message}");
    let is = |word: &str| kind.eq_ignore_ascii_case(word);
    if message.contains("command denied to user") {
        return Err(ProbeError::Unable(said));
    }
    let bad = is("error")
        || (is("status") && !["OK", "Table is already up to date"].contains(&message))
        || (is("warning") && message.contains("corrupt"));
    if bad { Err(ProbeError::Damage(said)) } else { Ok(()) }
}

fn no_relation(name: &str) -> ProbeError {
    ProbeError::Unable(format!("there is no table `{name}` in the copy: check how it is written"))
}
