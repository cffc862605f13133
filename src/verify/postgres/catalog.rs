//! What PostgreSQL's catalogue says, names and types in fields of their own. All of this is asked with `search_path` set to
//! `pg_catalog` alone, so that every operator and function here is PostgreSQL's.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Row;

use super::super::answer::{Catalog, Refusal};
use super::super::identifier;
use super::super::model::{RelationFacts, Trouble};
use super::session::{Error, Session, refusal};
use super::trust::{MAX_NAMES, UNTRUSTED, Untrusted};

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
/// The first version that reads a range of a table's blocks without reading the rest.
const RANGES_SINCE: i32 = 140_000;
/// From these versions on `amcheck` evaluates index expressions as the table's owner, and restricted (CVE-2022-1552).
const RESTRICTED_SINCE: [(i32, i32); 5] = [(14, 140_003), (13, 130_007), (12, 120_011), (11, 110_016), (10, 100_021)];
/// `date`, `timestamp` and `timestamptz` in PostgreSQL's `pg_type.dat`.
const TIME_TYPES: [u32; 3] = [1082, 1114, 1184];

/// A relation as its questions need it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// In how many parts it is read, and how many blocks each has.
    pub(super) parts: i64,
    pub(super) part_blocks: i64,
    /// Columns that tell a time.
    pub(super) times: Vec<String>,
    /// Oids of the B-tree indexes.
    pub(super) indexes: Vec<u32>,
    /// Why no plan may be made for it, if none may: the code of somebody else would run.
    pub(super) runs: Option<String>,
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
pub(super) async fn read(session: &Session, path: Vec<String>) -> Result<(Known, Catalog), Refusal> {
    let failed = |error: Error| refusal(&error);
    refuse_too_many(session).await?;
    let about = "select current_setting('server_version'), current_setting('server_version_num')::int4,
                        current_setting('block_size')::int8, host(inet_server_addr())";
    let about = session.one(about).await.map_err(failed)?;
    let field = |error| refusal(&error);
    let version: String = about.try_get(0).map_err(field)?;
    let number: i32 = about.try_get(1).map_err(field)?;
    let (mut tables, by_oid) = relations(session, about.try_get(2).map_err(field)?, number).await.map_err(failed)?;
    let mut facts: BTreeMap<String, RelationFacts> = BTreeMap::new();
    for (name, _) in tables.iter().filter(|(_, table)| table.kind == Kind::Rows) {
        facts.insert(name.clone(), RelationFacts::default());
    }
    columns(session, &mut tables, &by_oid, &mut facts).await.map_err(failed)?;
    let defects = indexes(session, &mut tables, &by_oid, &mut facts).await.map_err(failed)?;
    let unvalidated = unvalidated(session).await.map_err(failed)?;
    let amcheck = amcheck(session, number).await.map_err(failed)?;
    let untrusted = untrusted(session, &tables, &path).await.map_err(failed)?;
    let parts = tables.iter().filter(|(_, table)| table.parts > 1);
    let parts = parts.map(|(name, table)| (name.clone(), usize::try_from(table.parts).unwrap_or(1))).collect();
    let structure_note = note(&amcheck, &tables);
    let major = version.split('.').next().unwrap_or_default().to_owned();
    let server = about.try_get(3).map_err(field)?;
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

async fn refuse_too_many(session: &Session) -> Result<(), Refusal> {
    let counts = "select (select count(*) from pg_class), (select count(*) from pg_attribute where attnum > 0)";
    let counts = session.one(counts).await.map_err(|error| refusal(&error))?;
    let count = |at| counts.try_get::<_, i64>(at).map_err(|error| refusal(&error));
    let (relations, columns) = (count(0)?, count(1)?);
    if relations > MAX_RELATIONS || columns > MAX_COLUMNS {
        let most = format!("{MAX_RELATIONS} and {MAX_COLUMNS}");
        return Err(Refusal::Other(format!(
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

/// Every relation by its name in reports, and those names by oid.
async fn relations(
    session: &Session,
    block_size: i64,
    version: i32,
) -> Result<(BTreeMap<String, Table>, BTreeMap<u32, String>), Error> {
    // What depends on a function or operator: an index, a partition key, extended statistics. Planning evaluates constant
    // parts of their expressions. A parent's plan covers its children.
    let sql = format!(
        "{UNTRUSTED},
         named(class, oid, function) as (
             select 'pg_proc'::regclass::oid, u.oid, u.oid from untrusted u
             union all
             select 'pg_operator'::regclass::oid, o.oid, o.oprcode::oid from pg_operator o join untrusted u on u.oid = o.oprcode),
         runs(relation, function) as (
             select coalesce(s.stxrelid, i.indrelid, d.objid), f.function
             from pg_depend d join named f on f.class = d.refclassid and f.oid = d.refobjid
                  left join pg_index i on d.classid = 'pg_class'::regclass and i.indexrelid = d.objid
                  left join pg_statistic_ext s on d.classid = 'pg_statistic_ext'::regclass and s.oid = d.objid
             where d.classid in ('pg_class'::regclass, 'pg_statistic_ext'::regclass)
             union
             select h.inhparent, r.function from runs r join pg_inherits h on h.inhrelid = r.relation),
         outside(relation) as (
             select oid from pg_class where relkind = 'f'
             union
             select h.inhparent from outside o join pg_inherits h on h.inhrelid = o.relation)
         select c.oid, n.nspname::text, c.relname::text, c.relkind::text, format('%I.%I', n.nspname, c.relname),
                case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) / {block_size} else 0 end,
                (select format('%I.%I() of role %I', fn.nspname, p.proname, pg_get_userbyid(p.proowner))
                 from runs r join pg_proc p on p.oid = r.function join pg_namespace fn on fn.oid = p.pronamespace
                 where r.relation = c.oid order by 1 limit 1),
                c.oid in (select relation from outside),
                c.relowner in (select owner from trusted)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm', 'p', 'v', 'f') and {USER_SCHEMAS}"
    );
    let mut rows = pin!(session.stream(&sql).await?);
    let (mut tables, mut by_oid) = (BTreeMap::new(), BTreeMap::new());
    while let Some(row) = rows.try_next().await? {
        let (table, shown) = relation(&row, version)?;
        by_oid.insert(row.try_get(0)?, shown.clone());
        tables.insert(shown, table);
    }
    Ok((tables, by_oid))
}

fn relation(row: &Row, version: i32) -> Result<(Table, String), Error> {
    let shown: String = row.try_get(4)?;
    let kind = match row.try_get::<_, &str>(3)? {
        "v" => Kind::View,
        "f" => Kind::Foreign,
        "p" => Kind::Partitioned,
        _ => Kind::Rows,
    };
    let function: Option<String> = row.try_get(6)?;
    let runs = function.map(|function| format!("reading `{shown}` would run {function}"));
    let outside = row.try_get::<_, bool>(7)?.then(|| format!("`{shown}` has rows on another server"));
    let view = kind == Kind::View && !row.try_get::<_, bool>(8)?;
    let view = view.then(|| format!("the view `{shown}` belongs to another role"));
    let blocks: i64 = row.try_get(5)?;
    let parts = if version >= RANGES_SINCE && runs.is_none() { (blocks / PART_BLOCKS).clamp(1, MAX_PARTS) } else { 1 };
    let table = Table {
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind,
        parts,
        part_blocks: blocks / parts + 1,
        times: Vec::new(),
        indexes: Vec::new(),
        runs: runs.or(outside).or(view),
    };
    Ok((table, shown))
}

async fn columns(
    session: &Session,
    tables: &mut BTreeMap<String, Table>,
    by_oid: &BTreeMap<u32, String>,
    facts: &mut BTreeMap<String, RelationFacts>,
) -> Result<(), Error> {
    let sql = format!(
        "select a.attrelid, a.attname::text, format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)),
                case t.typtype when 'd' then t.typbasetype else t.oid end
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
              join pg_type t on t.oid = a.atttypid
         where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'm', 'p') and {USER_SCHEMAS}
         order by a.attrelid, a.attnum"
    );
    let mut rows = pin!(session.stream(&sql).await?);
    while let Some(row) = rows.try_next().await? {
        let Some(shown) = by_oid.get(&row.try_get(0)?) else { continue };
        if let Some(facts) = facts.get_mut(shown) {
            facts.columns.push(row.try_get(2)?);
        }
        if TIME_TYPES.contains(&row.try_get(3)?)
            && let Some(table) = tables.get_mut(shown)
        {
            table.times.push(row.try_get(1)?);
        }
    }
    Ok(())
}

/// Adds indexes to their relations; yields those that are invalid.
async fn indexes(
    session: &Session,
    tables: &mut BTreeMap<String, Table>,
    by_oid: &BTreeMap<u32, String>,
    facts: &mut BTreeMap<String, RelationFacts>,
) -> Result<Vec<Trouble>, Error> {
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
    let mut rows = pin!(session.stream(&sql).await?);
    let mut defects = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let Some(shown) = by_oid.get(&row.try_get(0)?) else { continue };
        let definition: String = row.try_get(4)?;
        if !row.try_get::<_, bool>(2)? {
            defects.push(Trouble::Damage(format!("invalid index: {definition}")));
        }
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

async fn unvalidated(session: &Session) -> Result<Vec<String>, Error> {
    let sql = "select format('%I on %s', conname, conrelid::regclass) from pg_constraint
               where not convalidated and conrelid <> 0 order by 1";
    let mut rows = pin!(session.stream(sql).await?);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(row.try_get(0)?);
    }
    Ok(found)
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

async fn untrusted(session: &Session, tables: &BTreeMap<String, Table>, path: &[String]) -> Result<Untrusted, Error> {
    let mut untrusted = Untrusted::default();
    for table in tables.values() {
        untrusted.names.extend(table.runs.as_ref().map(|why| (table.name.clone(), why.clone())));
    }
    let functions = format!(
        "{UNTRUSTED} select p.proname::text, min(format('%I.%I() of role %I', n.nspname, p.proname, pg_get_userbyid(p.proowner)))
         from pg_proc p join untrusted u on u.oid = p.oid join pg_namespace n on n.oid = p.pronamespace
         group by 1 order by 1 limit {}",
        MAX_NAMES + 1
    );
    let mut rows = pin!(session.stream(&functions).await?);
    while let Some(row) = rows.try_next().await? {
        let function: String = row.try_get(1)?;
        untrusted.names.push((row.try_get(0)?, format!("it would run {function}")));
    }
    let anywhere = format!(
        "{UNTRUSTED}
         select format('the operator %I.%s of role %I', n.nspname, o.oprname, pg_get_userbyid(o.oprowner))
         from pg_operator o join untrusted u on u.oid = o.oprcode join pg_namespace n on n.oid = o.oprnamespace
         where n.nspname::text = any ($1::text[])
         union all
         select format('the cast from %s to %s', castsource::regtype, casttarget::regtype)
         from pg_cast c join untrusted u on u.oid = c.castfunc
         limit 1"
    );
    let first = session.first(&anywhere, &[&path], None).await?;
    if let Some(row) = first {
        let what: String = row.try_get(0)?;
        untrusted.anywhere = Some(format!("{what} could run in it"));
    }
    Ok(untrusted)
}
