//! What the catalogue says, names and types in fields of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mysql_async::Error;

use super::super::answer::{Catalog, ConnectError};
use super::super::budget::Budget;
use super::super::identifier;
use super::super::model::{ConnectionSettings, Plan, RelationFacts};
use super::super::salt::Salt;
use super::digest::Column;
use super::session::{Session, field, refusal};
use super::table::{Table, kept};
use super::trust::{self, Untrusted};

const USER_SCHEMAS: &str = "table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys')";
/// Characters of a column's type that are kept; of a longer one a digest besides.
const TYPE_CHARS: u32 = 200;
/// Tables that one question is about. The server looks at every name for each, and opens only these.
const TABLES_A_QUESTION: usize = 1000;
/// Engines whose rows are in the copy itself. Others (FEDERATED, CONNECT, SPIDER, S3, ...) would read elsewhere, as the backup
/// tells them to.
const OWN_ENGINES: [&str; 9] = ["innodb", "myisam", "aria", "memory", "archive", "csv", "rocksdb", "columnstore", ""];
/// Bytes of one part of a table.
const PART_BYTES: u64 = 64 << 20;
const MAX_PARTS: u64 = 64;

/// Everything that workers share.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) tables: BTreeMap<String, Table>,
    /// The database that unqualified names are of.
    pub(super) database: String,
    pub(super) untrusted: Untrusted,
    /// What every row's digest begins with.
    pub(super) salt: Salt,
}

impl Known {
    /// The table that a check names.
    pub(super) fn find(&self, name: &str) -> Option<&Table> {
        let of = |schema: &str, name: &str| self.tables.values().find(|t| t.schema == schema && t.name == name);
        self.tables
            .get(name)
            .or_else(|| of(&self.database, name))
            .or_else(|| name.match_indices('.').find_map(|(at, _)| of(&name[..at], &name[at + 1..])))
    }
}

/// Reads the catalogue.
pub(super) async fn read(
    session: &mut Session,
    login: &ConnectionSettings,
    plan: &Plan,
    split: bool,
) -> Result<(Known, Catalog), ConnectError> {
    let failed = |error: Error| refusal(&error);
    let mut budget = Budget::default();
    let version = session.version().await.map_err(failed)?;
    let server = identity(session).await.map_err(failed)?;
    let mut tables = tables(session, &mut budget).await?;
    let mut facts: BTreeMap<String, RelationFacts> =
        tables.keys().map(|shown| (shown.clone(), RelationFacts::default())).collect();
    for which in own(&tables) {
        columns(session, &which, &mut tables, &mut facts, &mut budget).await?;
        indexes(session, &which, &mut tables, &mut facts, &mut budget).await?;
        sizes(session, &which, &mut tables).await?;
    }
    for table in tables.values_mut() {
        keys(session, table, split).await;
    }
    let untrusted = trust::read(session, tables.values(), &mut budget).await?;
    let parts = tables.iter().filter(|(_, table)| table.parts > 1);
    let parts = parts.map(|(name, table)| (name.clone(), usize::try_from(table.parts).unwrap_or(1))).collect();
    let structure_note = "every table is sound (`CHECK TABLE`)".to_owned();
    let catalog = Catalog { version, relations: facts, parts, structure_note, server, ..Catalog::default() };
    let salt = Salt::of_run(plan.baseline.as_ref());
    Ok((Known { tables, database: login.database.clone(), untrusted, salt }, catalog))
}

/// What the server calls itself: on RDS its host's name, `ip-10-0-0-7`.
async fn identity(session: &mut Session) -> Result<Option<String>, Error> {
    let row = session.first("select @@hostname", Vec::new()).await?;
    Ok(row.and_then(|row| field(&row, 0)))
}

/// How reports name a table.
fn shown(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier::mysql(schema), identifier::mysql(table))
}

/// Tables with their engines. Nothing else is asked of a table before its engine is known: for its size alone the server
/// would open it, and a table that reads elsewhere connects to wherever the backup says.
async fn tables(session: &mut Session, budget: &mut Budget) -> Result<BTreeMap<String, Table>, ConnectError> {
    let sql = format!(
        "select table_schema, table_name, lower(coalesce(engine, '')) from information_schema.tables
         where {USER_SCHEMAS} and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')"
    );
    let mut tables = BTreeMap::new();
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let (schema, name, engine) = (text(0), text(1), text(2));
        let shown = shown(&schema, &name);
        let elsewhere = (!OWN_ENGINES.contains(&engine.as_str()))
            .then(|| format!("{shown} is of the engine {engine}, which reads what is not in the copy"));
        kept(budget, size_of::<Table>() + 3 * shown.len() + elsewhere.as_ref().map_or(0, String::len))?;
        tables.insert(shown, Table { schema, name, parts: 1, elsewhere, ..Table::default() });
        Ok(())
    };
    session.each(&sql, each).await?;
    Ok(tables)
}

/// The tables whose rows are in the copy itself, as conditions on the information schema that name some of them each. Servers
/// look at names before they open a table. In hexadecimal digits names are told apart by their bytes.
fn own(tables: &BTreeMap<String, Table>) -> Vec<String> {
    let hex = |text: &str| {
        text.bytes().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02X}");
            digits
        })
    };
    let own = tables.values().filter(|table| table.elsewhere.is_none());
    let names: Vec<String> = own.map(|table| format!("'{}.{}'", hex(&table.schema), hex(&table.name))).collect();
    let condition = |names: &[String]| {
        format!("{USER_SCHEMAS} and concat(hex(table_schema), '.', hex(table_name)) in ({})", names.join(","))
    };
    names.chunks(TABLES_A_QUESTION).map(condition).collect()
}

async fn columns(
    session: &mut Session,
    which: &str,
    tables: &mut BTreeMap<String, Table>,
    facts: &mut BTreeMap<String, RelationFacts>,
    budget: &mut Budget,
) -> Result<(), ConnectError> {
    let sql = format!(
        "select table_schema, table_name, column_name, lower(data_type), is_nullable,
                if(char_length(column_type) > {TYPE_CHARS},
                   concat(left(column_type, {TYPE_CHARS}), ' (', sha2(column_type, 256), ')'), column_type)
         from information_schema.columns where {which} order by table_schema, table_name, ordinal_position"
    );
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let shown = shown(&text(0), &text(1));
        let (Some(table), Some(facts)) = (tables.get_mut(&shown), facts.get_mut(&shown)) else { return Ok(()) };
        let (name, kind) = (text(2), text(3));
        let described = format!("{} {}", identifier::mysql(&name), text(5));
        kept(budget, size_of::<Column>() + name.len() + kind.len() + described.len())?;
        facts.columns.push(described);
        table.columns.push(Column { name, kind, nullable: text(4) != "NO" });
        Ok(())
    };
    session.each(&sql, each).await
}

async fn indexes(
    session: &mut Session,
    which: &str,
    tables: &mut BTreeMap<String, Table>,
    facts: &mut BTreeMap<String, RelationFacts>,
    budget: &mut Budget,
) -> Result<(), ConnectError> {
    let sql = format!(
        "select table_schema, table_name, index_name, coalesce(column_name, '(expression)'), seq_in_index
         from information_schema.statistics where {which}
         order by table_schema, table_name, index_name, seq_in_index"
    );
    let mut whole: Option<(String, String)> = None;
    let mut finish = |index: Option<(String, String)>| -> Result<(), ConnectError> {
        let Some((shown, described)) = index else { return Ok(()) };
        kept(budget, described.len() + 1)?;
        if let Some(facts) = facts.get_mut(&shown) {
            facts.indexes.push(format!("{described})"));
        }
        Ok(())
    };
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let (shown, index, column) = (shown(&text(0), &text(1)), text(2), text(3));
        if text(4) != "1" {
            if let Some((_, described)) = &mut whole {
                described.extend([",", &column]);
            }
            return Ok(());
        }
        finish(whole.replace((shown.clone(), format!("{index} on {} ({column}", text(1)))))?;
        let integer = |table: &&mut Table| table.columns.iter().any(|c| c.name == column && c.is_integer());
        if index == "PRIMARY"
            && let Some(table) = tables.get_mut(&shown).filter(integer)
        {
            table.key = Some((column, 0, 0));
        }
        Ok(())
    };
    session.each(&sql, each).await?;
    finish(whole)?;
    for facts in facts.values_mut() {
        facts.indexes.sort();
    }
    Ok(())
}

/// In how many parts tables are read.
async fn sizes(session: &mut Session, which: &str, tables: &mut BTreeMap<String, Table>) -> Result<(), ConnectError> {
    let sql = format!(
        "select table_schema, table_name, coalesce(data_length, 0) from information_schema.tables where {which}"
    );
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        if let Some(table) = tables.get_mut(&shown(&text(0), &text(1))) {
            table.parts = (text(2).parse::<u64>().unwrap_or(0) / PART_BYTES).clamp(1, MAX_PARTS);
        }
        Ok(())
    };
    session.each(&sql, each).await
}

/// The bounds of a large table's key; without them it is read in one part.
async fn keys(session: &mut Session, table: &mut Table, split: bool) {
    let key = table.key.take().filter(|_| split && table.parts > 1 && table.elsewhere.is_none());
    let Some((key, ..)) = key else {
        table.parts = 1;
        return;
    };
    let quoted = identifier::mysql(&key);
    let sql = format!("select min({quoted}), max({quoted}) from {}", table.quoted());
    // A table that cannot be read is found out when it is.
    let row = session.first(&sql, Vec::new()).await.ok().flatten();
    let number = |at| row.as_ref().and_then(|row| field(row, at)?.parse::<i128>().ok());
    match (number(0), number(1)) {
        (Some(least), Some(greatest)) => table.key = Some((key, least, greatest)),
        _ => table.parts = 1,
    }
}
