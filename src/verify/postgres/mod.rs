//! PostgreSQL: one exported snapshot for all connections, hashing on the server, `amcheck` where it is installed.
//!
//! What comes back is hostile: see `trust` for whose code could run, `guard` for how much may come in, and `session` for
//! which names mean what.

mod catalog;
mod guard;
mod hash;
mod session;
mod trust;

use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::answer::{Catalog, ConnectError, Digest, First, Scan, from_epoch};
use super::identifier;
use super::model::{ConnectionSettings, Plan, ProbeError};
use super::salt::Salt;
use catalog::{Amcheck, Kind, Known, Table};
use session::{Error, Session, code_of};

const BEGIN: &str = "begin isolation level repeatable read read only";
const UNDEFINED_FUNCTION: &str = "42883";
/// Characters of a value that the server sends: a little more than is compared or shown.
const VALUE_CHARS: u32 = 4000;

/// Whether a column tells a time: `date`, `timestamp` and `timestamptz`, also as a domain.
const IS_TIME: &str = "select 1 from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_type t on t.oid = a.atttypid
    where n.nspname::text = $1 and c.relname::text = $2 and a.attname::text = $3 and a.attnum > 0 and not a.attisdropped
      and case t.typtype when 'd' then t.typbasetype else t.oid end in (1082, 1114, 1184)";

/// A connection inside a read-only transaction.
pub(super) struct Worker {
    session: Session,
    known: Arc<Known>,
    salt: Salt,
}

/// Connects `count` times, all to one snapshot, and reads the catalogue.
pub(super) async fn connect(
    login: &ConnectionSettings,
    plan: &Plan,
    count: usize,
) -> Result<(Vec<Worker>, Catalog), ConnectError> {
    let (leader, path) = Session::open(login, plan).await?;
    leader.execute(BEGIN).await?;
    let snapshot = leader.one("select pg_catalog.pg_export_snapshot()").await?;
    let snapshot: String = snapshot.try_get(0)?;
    let reading = tokio::time::timeout(plan.deadline, catalog::read(&leader, path));
    let following = try_join_all((1..count).map(|_| follow(login, plan, &snapshot)));
    let (read, followers) = tokio::join!(reading, following);
    let too_long = |_| Err(ConnectError::Other("the catalogue could not be read in time".to_owned()));
    let (known, catalog) = read.unwrap_or_else(too_long)?;
    let (known, salt) = (Arc::new(known), Salt::of_run(plan.baseline.as_ref()));
    let sessions = std::iter::once(leader).chain(followers?);
    Ok((sessions.map(|session| Worker { session, known: Arc::clone(&known), salt }).collect(), catalog))
}

/// One more connection to the leader's snapshot.
async fn follow(login: &ConnectionSettings, plan: &Plan, snapshot: &str) -> Result<Session, ConnectError> {
    let (session, _) = Session::open(login, plan).await?;
    let set = format!("{BEGIN}; set transaction snapshot '{}'", snapshot.replace('\'', ""));
    session.execute(&set).await?;
    Ok(session)
}

impl Worker {
    fn trouble(&self, error: &Error) -> ProbeError {
        self.session.trouble(error)
    }

    /// Reads a part of a relation.
    pub(super) async fn scan(&mut self, relation: &str, part: usize, full: bool) -> Result<Scan, ProbeError> {
        let known = Arc::clone(&self.known);
        let Some(table) = known.tables.get(relation) else { return Err(no_relation(relation)) };
        if table.runs.is_some() {
            return self.copied(table, full).await;
        }
        let from = format!("only {}", table.quoted());
        let condition = range(table, i64::try_from(part).unwrap_or(i64::MAX));
        if full {
            return self.digest(table, &from, &condition, None).await;
        }
        let sql = format!("select pg_catalog.count(*) from {from} t {condition}");
        let row = self.session.first(&sql, &[], None).await.map_err(|error| self.trouble(&error))?;
        let rows: i64 = row.map_or(Ok(0), |row| row.try_get(0)).map_err(|error| self.trouble(&error))?;
        Ok(Scan { rows: rows.unsigned_abs(), digest: None })
    }

    /// Reads a table for which no plan may be made. Its rows are hashed here.
    async fn copied(&mut self, table: &Table, full: bool) -> Result<Scan, ProbeError> {
        let (mut rows, mut sum) = (0, 0_i128);
        let salt = self.salt;
        let each = |row: &[u8]| {
            rows += 1;
            if full {
                let hash = Sha256::new_with_prefix(salt.0).chain_update(row).finalize();
                let head = hash.first_chunk().copied().unwrap_or_default();
                sum = sum.wrapping_add(i128::from(i64::from_be_bytes(head)));
            }
        };
        self.session.copy(&table.quoted(), each).await.map_err(|error| self.trouble(&error))?;
        Ok(Scan { rows, digest: full.then(|| Digest { method: self.method("copy"), sum }) })
    }

    /// What stands before the sum in a fingerprint.
    fn method(&self, way: &str) -> String {
        format!("{}/{way}/{}", self.known.major, self.salt)
    }

    /// Counts and digests in one pass. The digest is a sum, so that neither order nor parallel workers matter.
    async fn digest(
        &self,
        table: &Table,
        from: &str,
        condition: &str,
        before: Option<&str>,
    ) -> Result<Scan, ProbeError> {
        let quick = table.quick.as_ref().map(|row| hash::quickly(row, self.salt));
        let (mut way, mut hash) = quick.unwrap_or_else(|| hash::as_sent(self.salt));
        let mut answer = self.sum(&hash, from, condition, before).await;
        if let Err(error) = &answer
            && code_of(error) == Some(UNDEFINED_FUNCTION)
        {
            (way, hash) = hash::as_text(self.salt);
            answer = self.sum(&hash, from, condition, before).await;
        }
        let (rows, sum) = answer.map_err(|error| self.trouble(&error))?;
        let sum = sum.parse().map_err(|_| ProbeError::Unable("the server added up to no number".to_owned()))?;
        Ok(Scan { rows: rows.unsigned_abs(), digest: Some(Digest { method: self.method(way), sum }) })
    }

    async fn sum(&self, hash: &str, from: &str, condition: &str, before: Option<&str>) -> Result<(i64, String), Error> {
        let sql = format!(
            "select pg_catalog.count(*), coalesce(pg_catalog.sum({hash}), 0::pg_catalog.numeric)::pg_catalog.text
             from {from} t {condition}"
        );
        let row = match &before {
            Some(before) => self.session.first(&sql, &[before], None).await?,
            None => self.session.first(&sql, &[], None).await?,
        };
        let both = |row: Row| Ok((row.try_get(0)?, row.try_get(1)?));
        row.map_or_else(|| Ok((0, "0".to_owned())), both)
    }

    /// Compares every B-tree index of a relation with its table.
    pub(super) async fn structure(&mut self, relation: &str) -> Result<(), ProbeError> {
        let known = Arc::clone(&self.known);
        let Some(table) = known.tables.get(relation) else { return Err(no_relation(relation)) };
        let (function, restricted) = match &known.amcheck {
            Amcheck::Absent => return Ok(()),
            Amcheck::Present { function, restricted } => (function, *restricted),
            Amcheck::Shadowed(function) => {
                return Err(ProbeError::Unable(format!("{function} is not only `amcheck`'s: not called")));
            }
        };
        // An older server evaluates index expressions with our rights.
        if let Some(runs) = table.runs.as_ref().filter(|_| !restricted) {
            return Err(ProbeError::Unable(format!("{runs}: its indexes were not compared with it")));
        }
        let sql = format!("select {function}($1::pg_catalog.oid::pg_catalog.regclass, true)");
        for index in &table.indexes {
            if let Err(error) = self.session.first(&sql, &[index], None).await {
                return Err(match self.trouble(&error) {
                    ProbeError::Unable(message) => ProbeError::Unable(format!("`amcheck` on `{relation}`: {message}")),
                    other => other,
                });
            }
        }
        Ok(())
    }

    /// The relation and column that a check names, where a plan may be made for it.
    async fn timed(&self, relation: &str, column: &str) -> Result<(&Table, String), ProbeError> {
        let table = self.known.find(relation).ok_or_else(|| no_relation(relation))?;
        if let Some(runs) = &table.runs {
            return Err(ProbeError::Unable(format!("{runs}; connect as that role, or ask something else")));
        }
        if !matches!(table.kind, Kind::Rows | Kind::Partitioned) {
            return Err(ProbeError::Unable(format!("`{relation}` is no table; ask it with `sql`")));
        }
        let parameters: [&(dyn ToSql + Sync); 3] = [&table.schema, &table.name, &column];
        let there = self.session.first(IS_TIME, &parameters, None).await.map_err(|error| self.trouble(&error))?;
        if there.is_none() {
            return Err(ProbeError::Unable(format!(
                "`{relation}` has no column `{column}` of type date, timestamp or timestamptz"
            )));
        }
        Ok((table, identifier::postgres(column)))
    }

    /// The newest value of a column.
    pub(super) async fn newest(&mut self, relation: &str, column: &str) -> Result<Option<Timestamp>, ProbeError> {
        let (table, time) = self.timed(relation, column).await?;
        let sql = format!(
            "select pg_catalog.date_part('epoch', pg_catalog.max(t.{time})::pg_catalog.timestamptz) from {} t",
            table.quoted()
        );
        let row = self.session.first(&sql, &[], None).await.map_err(|error| self.trouble(&error))?;
        let seconds: Option<f64> = row.map_or(Ok(None), |row| row.try_get(0)).map_err(|error| self.trouble(&error))?;
        let Some(seconds) = seconds else { return Ok(None) };
        let out_of_range = || ProbeError::Unable(format!("the newest `{column}` is beyond all calendars: {seconds}"));
        from_epoch(seconds).map(Some).ok_or_else(out_of_range)
    }

    /// Rows older than `before`.
    pub(super) async fn settled(
        &mut self,
        relation: &str,
        column: &str,
        before: Timestamp,
    ) -> Result<Scan, ProbeError> {
        let (table, time) = self.timed(relation, column).await?;
        let condition = format!("where t.{time} operator(pg_catalog.<) ($1::pg_catalog.text)::pg_catalog.timestamptz");
        let from = table.quoted();
        self.digest(table, &from, &condition, Some(&before.to_string())).await
    }

    /// The user's own question, which finds names as that user would.
    pub(super) async fn first_value(&mut self, sql: &str) -> Result<First, ProbeError> {
        if let Some(why) = self.known.untrusted.objection(sql) {
            let trouble = format!("not asked, because the code of another role would run as ours: {why}");
            return Err(ProbeError::Unable(trouble));
        }
        let sql = sql.trim().trim_end_matches(';');
        // Cut at the server: a value may have a gigabyte.
        let wrapped = format!(
            "select pg_catalog.left(drctl.drctl::pg_catalog.text, {VALUE_CHARS}) from (\n{sql}\n) as drctl(drctl) limit 1"
        );
        let row =
            self.session.first(&wrapped, &[], Some(&self.known.path)).await.map_err(|error| self.trouble(&error))?;
        let Some(row) = row else { return Ok(First::NoRow) };
        let value: Option<String> = row.try_get(0).map_err(|error| self.trouble(&error))?;
        Ok(value.map_or(First::Null, First::Value))
    }
}

/// The blocks of one part of a table; the last part has no end, and the first no beginning.
fn range(table: &Table, part: i64) -> String {
    let tid = |block: i64| format!("'({block},0)'::pg_catalog.tid");
    let from = (part > 0).then(|| format!("t.ctid operator(pg_catalog.>=) {}", tid(part * table.part_blocks)));
    let to = (part + 1 < table.parts)
        .then(|| format!("t.ctid operator(pg_catalog.<) {}", tid((part + 1) * table.part_blocks)));
    match (from, to) {
        (Some(from), Some(to)) => format!("where {from} and {to}"),
        (Some(one), None) | (None, Some(one)) => format!("where {one}"),
        (None, None) => String::new(),
    }
}

fn no_relation(name: &str) -> ProbeError {
    ProbeError::Unable(format!("there is no table `{name}` in the copy: check how it is written"))
}
