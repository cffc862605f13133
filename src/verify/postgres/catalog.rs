//! What PostgreSQL's catalogue says, names and types in fields of their own. All of this is asked with `search_path` set to
//! `pg_catalog` alone, so that every operator and function here is PostgreSQL's.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Row;

use super::super::answer::{Catalog, ConnectError};
use super::super::budget::{Budget, TOO_LARGE};
use super::super::identifier;
use super::super::model::{ProbeError, RelationFacts};
use super::hash;
use super::session::{Error, Session};
use super::trust::{self, Untrusted};

/// Everything but the system's own schemas.
const USER_SCHEMAS: &str = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'";
/// What is read of a catalogue at most: more would take more memory than drctl may.
const MAX_RELATIONS: i64 = 50_000;
const MAX_COLUMNS: i64 = 500_000;
/// Characters of an index's definition that are kept; of a longer one a digest besides.
const DEFINITION_CHARS: u32 = 1000;
/// Blocks of one part of a table, of usually 8 kB: 64 MB.
const PART_BLOCKS: i64 = 8192;
const MAX_PARTS: i64 = 64;
/// How often a relation's name is kept.
const RELATION_NAMES: usize = 6;
/// The first version that reads a range of a table's blocks without reading the rest.
const RANGES_SINCE: i32 = 140_000;
/// From these versions on `amcheck` evaluates index expressions as the table's owner, and restricted (CVE-2022-1552).
const RESTRICTED_SINCE: [(i32, i32); 5] = [(14, 140_003), (13, 130_007), (12, 120_011), (11, 110_016), (10, 100_021)];

/// A relation as its questions need it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// In how many parts it is read, and how many blocks each has.
    pub(super) parts: i64,
    pub(super) part_blocks: i64,
    /// Oids of the B-tree indexes.
    pub(super) indexes: Vec<u32>,
    /// Why no plan may be made for it, if none may: the code of somebody else would run.
    pub(super) runs: Option<String>,
    /// Its row as the server hashes it quickly, where that is safe.
    pub(super) quick: Option<String>,
}

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds rows: a table, a partition or a materialised view.
    Rows,
    /// A partitioned table; its partitions hold the rows.
    Partitioned,
    View,
    /// Its rows are on another server.
    Foreign,
}

impl Table {
    /// How SQL names it.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", identifier::postgres(&self.schema), identifier::postgres(&self.name))
    }
}

/// `amcheck`, where it is installed.
#[derive(Debug)]
pub(super) enum Amcheck {
    Absent,
    /// Its function, quoted, and whether it evaluates index expressions with the owner's rights only.
    Present {
        function: String,
        restricted: bool,
    },
    /// There is a function of the same name that is not the extension's.
    Shadowed(String),
}

/// Everything that workers share.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) tables: BTreeMap<String, Table>,
    /// Where the user's own SQL finds its names.
    pub(super) path: Vec<String>,
    pub(super) untrusted: Untrusted,
    pub(super) amcheck: Amcheck,
    /// The server's major version: hashes are stable within one.
    pub(super) major: String,
}

impl Known {
    /// The relation that a check names: as the report shows it, with its schema, or found as the user's own SQL would.
    pub(super) fn find(&self, name: &str) -> Option<&Table> {
        let of = |schema: &str, name: &str| self.tables.values().find(|t| t.schema == schema && t.name == name);
        self.tables
            .get(name)
            .or_else(|| self.path.iter().find_map(|schema| of(schema, name)))
            .or_else(|| name.match_indices('.').find_map(|(at, _)| of(&name[..at], &name[at + 1..])))
    }
}

/// Reads the catalogue.
pub(super) async fn read(session: &Session, path: Vec<String>) -> Result<(Known, Catalog), ConnectError> {
    refuse_too_many(session).await?;
    let about = "select current_setting('server_version'), current_setting('server_version_num')::int4,
                        current_setting('block_size')::int8, host(inet_server_addr())";
    let about = session.one(about).await?;
    let version: String = about.try_get(0)?;
    let number: i32 = about.try_get(1)?;
    let mut budget = Budget::default();
    let (untrusted, runs) = trust::read(session, &path, number, &mut budget).await?;
    let mut reader = Reader { session, budget, version: number, by_oid: BTreeMap::new() };
    let mut tables = reader.relations(about.try_get(2)?, &runs).await?;
    let mut facts: BTreeMap<String, RelationFacts> = BTreeMap::new();
    for (name, _) in tables.iter().filter(|(_, table)| table.kind == Kind::Rows) {
        facts.insert(name.clone(), RelationFacts::default());
    }
    reader.columns(&mut tables, &mut facts).await?;
    let defects = reader.indexes(&mut tables, &mut facts).await?;
    let unvalidated = reader.unvalidated().await?;
    let amcheck = amcheck(session, number).await?;
    let parts = tables.iter().filter(|(_, table)| table.parts > 1);
    let parts = parts.map(|(name, table)| (name.clone(), usize::try_from(table.parts).unwrap_or(1))).collect();
    let structure_note = note(&amcheck, &tables);
    let major = version.split('.').next().unwrap_or_default().to_owned();
    let server = about.try_get(3)?;
    let catalog = Catalog {
        version,
        relations: facts,
        parts,
        unvalidated,
        defects,
        structure_note,
        server,
        ..Catalog::default()
    };
    Ok((Known { tables, path, untrusted, amcheck, major }, catalog))
}

async fn refuse_too_many(session: &Session) -> Result<(), ConnectError> {
    let counts = "select (select count(*) from pg_class), (select count(*) from pg_attribute where attnum > 0)";
    let counts = session.one(counts).await?;
    let (relations, columns): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
    if relations > MAX_RELATIONS || columns > MAX_COLUMNS {
        let most = format!("{MAX_RELATIONS} and {MAX_COLUMNS}");
        return Err(ConnectError::Other(format!(
            "the copy has {relations} relations with {columns} columns; at most {most} are looked at"
        )));
    }
    Ok(())
}

fn note(amcheck: &Amcheck, tables: &BTreeMap<String, Table>) -> String {
    let note = match amcheck {
        Amcheck::Present { .. } => "every B-tree index agrees with its table (amcheck)",
        Amcheck::Absent | Amcheck::Shadowed(_) => {
            "no invalid index; `amcheck` is not installed, so indexes were not compared with their tables"
        }
    };
    match tables.values().filter(|table| table.kind == Kind::Foreign).count() {
        0 => note.to_owned(),
        count => format!("{note}; {count} foreign tables were not read"),
    }
}

/// What relations, columns and indexes are read with.
struct Reader<'s> {
    session: &'s Session,
    budget: Budget,
    /// The server's, as a number.
    version: i32,
    /// The names that relations have in reports.
    by_oid: BTreeMap<u32, String>,
}

impl Reader<'_> {
    /// Makes sure that there is room for what is kept next.
    fn make_room(&mut self, text: &str) -> Result<(), ConnectError> {
        if self.budget.keep(text) { Ok(()) } else { Err(ConnectError::Other(TOO_LARGE.to_owned())) }
    }

    /// Every relation by its name in reports.
    async fn relations(
        &mut self,
        block_size: i64,
        runs: &BTreeMap<u32, String>,
    ) -> Result<BTreeMap<String, Table>, ConnectError> {
        let sql = format!(
            "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, format('%I.%I', n.nspname, c.relname),
                    case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) / {block_size} else 0 end
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'm', 'p', 'v', 'f') and {USER_SCHEMAS}"
        );
        let mut rows = pin!(self.session.stream(&sql).await?);
        let mut tables = BTreeMap::new();
        while let Some(row) = rows.try_next().await? {
            let oid = row.try_get(0)?;
            let (table, shown) = relation(&row, self.version, runs.get(&oid))?;
            if !self.budget.take(size_of::<(Table, RelationFacts)>()) {
                return Err(ConnectError::Other(TOO_LARGE.to_owned()));
            }
            for _ in 0..RELATION_NAMES {
                self.make_room(&shown)?;
            }
            self.by_oid.insert(oid, shown.clone());
            tables.insert(shown, table);
        }
        Ok(tables)
    }

    async fn columns(
        &mut self,
        tables: &mut BTreeMap<String, Table>,
        facts: &mut BTreeMap<String, RelationFacts>,
    ) -> Result<(), ConnectError> {
        let sql = format!(
            "select a.attrelid, a.attname::text, format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)),
                    a.atttypid, a.attcollation
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
             where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'm', 'p') and {USER_SCHEMAS}
             order by a.attrelid, a.attnum"
        );
        let mut rows = pin!(self.session.stream(&sql).await?);
        // Columns come table by table.
        let mut quick = hash::Columns::default();
        let mut last = 0;
        while let Some(row) = rows.try_next().await? {
            let oid = row.try_get(0)?;
            if oid != last {
                self.hashed(last, std::mem::take(&mut quick), tables)?;
                last = oid;
            }
            let (name, column): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            quick.add(&name, row.try_get(3)?, row.try_get(4)?);
            self.make_room(&column)?;
            if let Some(facts) = self.by_oid.get(&oid).and_then(|shown| facts.get_mut(shown)) {
                facts.columns.push(column);
            }
        }
        self.hashed(last, quick, tables)
    }

    /// Keeps how the rows of a table are hashed.
    fn hashed(
        &mut self,
        oid: u32,
        columns: hash::Columns,
        tables: &mut BTreeMap<String, Table>,
    ) -> Result<(), ConnectError> {
        let quick = columns.row().filter(|_| self.version >= hash::QUICK_SINCE);
        let table = self.by_oid.get(&oid).and_then(|shown| tables.get_mut(shown));
        let (Some(quick), Some(table)) = (quick, table) else { return Ok(()) };
        if !self.budget.keep(&quick) {
            return Err(ConnectError::Other(TOO_LARGE.to_owned()));
        }
        table.quick = Some(quick);
        Ok(())
    }

    /// Adds indexes to their relations; yields those that are invalid.
    async fn indexes(
        &mut self,
        tables: &mut BTreeMap<String, Table>,
        facts: &mut BTreeMap<String, RelationFacts>,
    ) -> Result<Vec<ProbeError>, ConnectError> {
        let sql = format!(
            "select indrelid, indexrelid, usable, checked,
                    case when length(text) > {DEFINITION_CHARS}
                         then left(text, {DEFINITION_CHARS}) || ' (' || md5(text) || ')' else text end
             from (select i.indrelid, i.indexrelid, i.indisvalid and i.indisready as usable,
                          a.amname = 'btree' and i.indisvalid and x.relkind = 'i' and x.relpersistence <> 't' as checked,
                          pg_get_indexdef(i.indexrelid) as text
                   from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
                        join pg_class x on x.oid = i.indexrelid join pg_am a on a.oid = x.relam
                   where {USER_SCHEMAS}) indexes
             order by text"
        );
        let mut rows = pin!(self.session.stream(&sql).await?);
        let mut defects = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let definition: String = row.try_get(4)?;
            let usable: bool = row.try_get(2)?;
            self.make_room(&definition)?;
            if !usable {
                self.make_room(&definition)?;
                defects.push(ProbeError::Damage(format!("invalid index: {definition}")));
            }
            let Some(shown) = self.by_oid.get(&row.try_get(0)?) else { continue };
            if let Some(facts) = facts.get_mut(shown) {
                facts.indexes.push(definition);
            }
            if row.try_get::<_, bool>(3)?
                && let Some(table) = tables.get_mut(shown)
            {
                table.indexes.push(row.try_get(1)?);
            }
        }
        Ok(defects)
    }

    async fn unvalidated(&mut self) -> Result<Vec<String>, ConnectError> {
        let sql = "select format('%I on %s', conname, conrelid::regclass) from pg_constraint
                   where not convalidated and conrelid <> 0 order by 1";
        let mut rows = pin!(self.session.stream(sql).await?);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let constraint: String = row.try_get(0)?;
            self.make_room(&constraint)?;
            found.push(constraint);
        }
        Ok(found)
    }
}

fn relation(row: &Row, version: i32, runs: Option<&String>) -> Result<(Table, String), Error> {
    let shown: String = row.try_get(4)?;
    let kind = match row.try_get::<_, &str>(3)? {
        "v" => Kind::View,
        "f" => Kind::Foreign,
        "p" => Kind::Partitioned,
        _ => Kind::Rows,
    };
    let blocks: i64 = row.try_get(5)?;
    let parts = if version >= RANGES_SINCE && runs.is_none() { (blocks / PART_BLOCKS).clamp(1, MAX_PARTS) } else { 1 };
    let table = Table {
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind,
        parts,
        part_blocks: blocks / parts + 1,
        indexes: Vec::new(),
        runs: runs.cloned(),
        quick: None,
    };
    Ok((table, shown))
}

async fn amcheck(session: &Session, version: i32) -> Result<Amcheck, Error> {
    let sql = "select n.nspname::text, p.proname::text, l.lanname = 'c'
               from pg_extension e join pg_namespace n on n.oid = e.extnamespace
                    join pg_proc p on p.pronamespace = n.oid and p.proname = 'bt_index_check'
                    join pg_language l on l.oid = p.prolang
               where e.extname = 'amcheck'";
    let mut rows = pin!(session.stream(sql).await?);
    let mut found = Amcheck::Absent;
    let restricted = version >= 150_000
        || RESTRICTED_SINCE.iter().any(|(major, first)| version / 10_000 == *major && version >= *first);
    while let Some(row) = rows.try_next().await? {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let function = format!("{}.{}", identifier::postgres(&schema), identifier::postgres(&name));
        if !row.try_get::<_, bool>(2)? {
            return Ok(Amcheck::Shadowed(function));
        }
        found = Amcheck::Present { function, restricted };
    }
    Ok(found)
}
