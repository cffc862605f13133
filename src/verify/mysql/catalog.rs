//! What the catalogue says, names and types in fields of their own.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Error;

use super::super::answer::{Catalog, Refusal};
use super::super::identifier;
use super::super::model::RelationFacts;
use super::digest::Column;
use super::session::{Session, field, refusal};

const USER_SCHEMAS: &str = "table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys')";
/// What is read of a catalogue at most: more would take more memory than drctl may.
const MAX_RELATIONS: u64 = 50_000;
const MAX_COLUMNS: u64 = 500_000;
/// Characters of a column's type that are kept; of a longer one a digest besides.
const TYPE_CHARS: u32 = 1000;
/// Engines whose rows are in the copy itself. Others (FEDERATED, CONNECT, SPIDER, S3, ...) would read elsewhere, as the backup
/// tells them to.
const OWN_ENGINES: [&str; 9] = ["innodb", "myisam", "aria", "memory", "archive", "csv", "rocksdb", "columnstore", ""];
/// Bytes of one part of a table.
const PART_BYTES: u64 = 64 << 20;
const MAX_PARTS: u64 = 64;
/// More names of others than this are not told apart.
const MAX_NAMES: usize = 10_000;

/// A table as its questions need it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) parts: u64,
    /// The first column of the primary key, where it is an integer, and its least and greatest value.
    pub(super) key: Option<(String, i128, i128)>,
    /// Why it is not read, if it is not.
    pub(super) elsewhere: Option<String>,
}

impl Table {
    /// How SQL names it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", identifier::mysql(&self.schema), identifier::mysql(&self.name))
    }

    /// The keys of one part; the last part has no end, and the first no beginning.
    pub(super) fn range(&self, part: usize) -> String {
        let Some((key, least, greatest)) = self.key.as_ref().filter(|_| self.parts > 1) else { return String::new() };
        let (part, parts, key) = (part as u64, self.parts, identifier::mysql(key));
        let bound = |part: u64| least + (greatest - least) * i128::from(part) / i128::from(parts);
        let from = (part > 0).then(|| format!("{key} >= {}", bound(part)));
        let to = (part + 1 < parts).then(|| format!("{key} < {}", bound(part + 1)));
        let both: Vec<String> = from.into_iter().chain(to).collect();
        format!("force index (primary) where {}", both.join(" and "))
    }
}

/// Everything that workers share.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) tables: BTreeMap<String, Table>,
    /// The database that unqualified names are of.
    pub(super) database: String,
    /// Functions and views that run or read with the rights of whoever asks, and why they are not to be met.
    pub(super) untrusted: Vec<(String, String)>,
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

    /// Why a statement of the user's is not asked, if it is not.
    pub(super) fn objection(&self, sql: &str) -> Option<String> {
        if self.untrusted.len() > MAX_NAMES {
            return Some(format!("the copy has more than {MAX_NAMES} functions and views of others"));
        }
        let lower = sql.to_lowercase();
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let words: BTreeSet<&str> = lower.split(|c| !is_of_word(c)).collect();
        let met = |name: &str| {
            let name = name.to_lowercase();
            if name.chars().all(is_of_word) { words.contains(name.as_str()) } else { lower.contains(&name) }
        };
        self.untrusted.iter().find(|(name, _)| met(name)).map(|(_, why)| why.clone())
    }
}

/// Reads the catalogue.
pub(super) async fn read(session: &mut Session, database: &str, split: bool) -> Result<(Known, Catalog), Refusal> {
    let failed = |error: Error| refusal(&error);
    refuse_too_many(session).await?;
    let version = session.version().await.map_err(failed)?;
    let server = identity(session).await.map_err(failed)?;
    let mut tables = tables(session).await.map_err(failed)?;
    let mut facts: BTreeMap<String, RelationFacts> = BTreeMap::new();
    columns(session, &mut tables, &mut facts).await.map_err(failed)?;
    indexes(session, &mut tables, &mut facts).await.map_err(failed)?;
    for table in tables.values_mut() {
        keys(session, table, split).await.map_err(failed)?;
    }
    let untrusted = untrusted(session, &tables).await.map_err(failed)?;
    let parts = tables.iter().filter(|(_, table)| table.parts > 1);
    let parts = parts.map(|(name, table)| (name.clone(), usize::try_from(table.parts).unwrap_or(1))).collect();
    let structure_note = "every table is sound (`CHECK TABLE`)".to_owned();
    let catalog = Catalog { version, relations: facts, parts, structure_note, server, ..Catalog::default() };
    Ok((Known { tables, database: database.to_owned(), untrusted }, catalog))
}

async fn refuse_too_many(session: &mut Session) -> Result<(), Refusal> {
    let mut counts = Vec::new();
    for what in ["tables", "columns"] {
        let sql = format!("select count(*) from information_schema.{what} where {USER_SCHEMAS}");
        let row = session.first(&sql, Vec::new()).await.map_err(|error| refusal(&error))?;
        counts.push(row.and_then(|row| field(&row, 0)?.parse::<u64>().ok()).unwrap_or(0));
    }
    if counts[0] > MAX_RELATIONS || counts[1] > MAX_COLUMNS {
        let most = format!("{MAX_RELATIONS} and {MAX_COLUMNS}");
        let (relations, columns) = (counts[0], counts[1]);
        return Err(Refusal::Other(format!(
            "the copy has {relations} relations with {columns} columns; at most {most} are looked at"
        )));
    }
    Ok(())
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

async fn tables(session: &mut Session) -> Result<BTreeMap<String, Table>, Error> {
    let sql = format!(
        "select table_schema, table_name, lower(coalesce(engine, '')), coalesce(data_length, 0)
         from information_schema.tables
         where {USER_SCHEMAS} and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')"
    );
    let mut tables = BTreeMap::new();
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let (schema, name, engine) = (text(0), text(1), text(2));
        let parts = (text(3).parse::<u64>().unwrap_or(0) / PART_BYTES).clamp(1, MAX_PARTS);
        let shown = shown(&schema, &name);
        let elsewhere = (!OWN_ENGINES.contains(&engine.as_str()))
            .then(|| format!("{shown} is of the engine {engine}, which reads what is not in the copy"));
        tables.insert(shown, Table { schema, name, parts, elsewhere, ..Table::default() });
    };
    session.each(&sql, each).await?;
    Ok(tables)
}

async fn columns(
    session: &mut Session,
    tables: &mut BTreeMap<String, Table>,
    facts: &mut BTreeMap<String, RelationFacts>,
) -> Result<(), Error> {
    let sql = format!(
        "select table_schema, table_name, column_name, lower(data_type), is_nullable,
                if(char_length(column_type) > {TYPE_CHARS},
                   concat(left(column_type, {TYPE_CHARS}), ' (', md5(column_type), ')'), column_type)
         from information_schema.columns where {USER_SCHEMAS} order by table_schema, table_name, ordinal_position"
    );
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let shown = shown(&text(0), &text(1));
        let Some(table) = tables.get_mut(&shown) else { return };
        let (name, kind) = (text(2), text(5));
        facts.entry(shown).or_default().columns.push(format!("{} {kind}", identifier::mysql(&name)));
        table.columns.push(Column { name, kind: text(3), nullable: text(4) != "NO" });
    };
    session.each(&sql, each).await
}

async fn indexes(
    session: &mut Session,
    tables: &mut BTreeMap<String, Table>,
    facts: &mut BTreeMap<String, RelationFacts>,
) -> Result<(), Error> {
    let sql = format!(
        "select table_schema, table_name, index_name, coalesce(column_name, '(expression)'), seq_in_index
         from information_schema.statistics where {USER_SCHEMAS}
         order by table_schema, table_name, index_name, seq_in_index"
    );
    let mut found: BTreeMap<(String, String), (String, Vec<String>)> = BTreeMap::new();
    let each = |row| {
        let text = |at| field(&row, at).unwrap_or_default();
        let shown = shown(&text(0), &text(1));
        let (table, index, column) = (text(1), text(2), text(3));
        if index == "PRIMARY" && text(4) == "1" {
            let integer = |table: &&mut Table| table.columns.iter().any(|c| c.name == column && c.is_integer());
            if let Some(table) = tables.get_mut(&shown).filter(integer) {
                table.key = Some((column.clone(), 0, 0));
            }
        }
        found.entry((shown, index)).or_insert((table, Vec::new())).1.push(column);
    };
    session.each(&sql, each).await?;
    for ((shown, index), (table, columns)) in found {
        if let Some(facts) = facts.get_mut(&shown) {
            facts.indexes.push(format!("{index} on {table} ({})", columns.join(",")));
        }
    }
    Ok(())
}

/// The bounds of a large table's key; without them it is read in one part.
async fn keys(session: &mut Session, table: &mut Table, split: bool) -> Result<(), Error> {
    let key = table.key.take().filter(|_| split && table.parts > 1 && table.elsewhere.is_none());
    let Some((key, ..)) = key else {
        table.parts = 1;
        return Ok(());
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
    Ok(())
}

/// What runs or reads with the rights of whoever asks and is somebody else's. What has its definer's rights reaches no further
/// than that one could anyway.
async fn untrusted(session: &mut Session, tables: &BTreeMap<String, Table>) -> Result<Vec<(String, String)>, Error> {
    let elsewhere = tables.values().filter_map(|table| Some((table.name.clone(), table.elsewhere.clone()?)));
    let mut untrusted: Vec<(String, String)> = elsewhere.collect();
    for (what, name, from) in [
        ("function", "routine_name", "routines where routine_type = 'FUNCTION' and routine_schema"),
        ("view", "table_name", "views where table_schema"),
    ] {
        let sql = format!(
            "select {name}, definer from information_schema.{from}
                 not in ('mysql', 'information_schema', 'performance_schema', 'sys')
             and security_type = 'INVOKER' and definer <> current_user() limit {}",
            MAX_NAMES + 1
        );
        let each = |row| {
            let text = |at| field(&row, at).unwrap_or_default();
            let why = format!("the {what} `{}` of `{}` takes the rights of whoever asks", text(0), text(1));
            untrusted.push((text(0), why));
        };
        session.each(&sql, each).await?;
    }
    Ok(untrusted)
}
