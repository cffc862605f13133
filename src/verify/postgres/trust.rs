//! Whose code a question might run. drctl connects with more rights than most owners of tables have, and PostgreSQL runs an
//! owner's functions with the rights of whoever asks: when it plans (constant parts of index expressions are evaluated then),
//! when an operator, a cast or a function of the backup is a better match than PostgreSQL's own, inside views, and where a
//! domain's constraint is checked.
//!
//! Code is trusted where drctl's own user, a superuser or a member of RDS's `rds_superuser` owns it, or where it is
//! compiled: only superusers can make that. An aggregate is always its owner's: PostgreSQL calls it compiled, and it runs
//! whatever functions it was made of. What leads to other code is not trusted either, whoever owns it. For tables that would
//! run such code, rows are read without a plan; SQL of the user's that would meet it is not asked, and the check is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::TryStreamExt;

use super::super::answer::ConnectError;
use super::super::budget::{Budget, TOO_LARGE};
use super::session::Session;

/// More functions of others than this are not told apart.
const MAX_NAMES: usize = 10_000;
/// How far an object is followed to the code that it leads to.
const MAX_HOPS: usize = 50;

/// What leads to somebody else's code: functions of others, their views and foreign tables to begin with; then what
/// PostgreSQL knows to depend on one of them, the parents of such tables, and functions whose text names one, since
/// PostgreSQL looks their names up only when they run. An index, statistics or a partition key make their table one of
/// these; the type of a column does not, since reading it runs nothing.
const TAINTED: &str = r#"with recursive trusted(owner) as (
         select r.oid from pg_roles r
         where r.rolsuper or r.rolname = current_user
            or exists (select 1 from pg_roles s where s.rolname = 'rds_superuser' and pg_has_role(r.oid, s.oid, 'member'))),
     texts(oid, raw, words) as {materialized} (
         select p.oid, lower(p.prosrc), ' ' || regexp_replace(lower(p.prosrc), '[^a-z0-9_$]+', ' ', 'g') || ' '
         from pg_proc p join pg_language l on l.oid = p.prolang join pg_namespace n on n.oid = p.pronamespace
         where l.lanname not in ('internal', 'c') and n.nspname not in ('pg_catalog', 'information_schema')
           and p.proowner in (select owner from trusted)),
     tainted(class, oid, name, via_class, via) as (
         select 'pg_proc'::regclass::oid, p.oid, p.proname::text, null::oid, null::oid
         from pg_proc p join pg_language l on l.oid = p.prolang
         where (l.lanname not in ('internal', 'c') or p.prokind = 'a') and p.proowner not in (select owner from trusted)
         union
         select 'pg_class'::regclass::oid, c.oid, c.relname::text, null, null from pg_class c
         where c.relkind = 'f' or c.relkind = 'v' and c.relowner not in (select owner from trusted)
         union
         select m.class, m.oid, coalesce(p.proname, c.relname, y.typname, o.oprname)::text, m.via_class, m.via
         from (select n.class, n.oid, t.class as via_class, t.oid as via
               from tainted t cross join lateral (
                   select case when r.oid is not null then 'pg_class'::regclass::oid
                               when k.oid is not null then 'pg_type'::regclass::oid
                               when s.oid is not null then 'pg_class'::regclass::oid
                               when x.relkind = 'c' then 'pg_type'::regclass::oid else d.classid end,
                          coalesce(r.ev_class, k.contypid, s.stxrelid, i.indrelid,
                                   case when x.relkind = 'c' then x.reltype end, d.objid)
                   from pg_depend d
                        left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
                        left join pg_class v on v.oid = r.ev_class
                        left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
                        left join pg_statistic_ext s on d.classid = 'pg_statistic_ext'::regclass and s.oid = d.objid
                        left join pg_index i on d.classid = 'pg_class'::regclass and i.indexrelid = d.objid
                        left join pg_class x on d.classid = 'pg_class'::regclass and x.oid = d.objid
                   where d.refclassid = t.class and d.refobjid = t.oid
                     and (v.relkind = 'v' or k.contypid <> 0 or s.oid is not null or i.indexrelid is not null
                          or d.classid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_cast'::regclass)
                          or d.classid = 'pg_type'::regclass and t.class <> 'pg_class'::regclass
                          or x.relkind = 'c' or x.oid is not null and t.class in ('pg_proc'::regclass, 'pg_operator'::regclass))
                     and (i.indexrelid is null or t.class <> 'pg_class'::regclass)
                   union all
                   select 'pg_class'::regclass::oid, h.inhparent from pg_inherits h
                   where t.class = 'pg_class'::regclass and h.inhrelid = t.oid
                   union all
                   select 'pg_proc'::regclass::oid, b.oid from texts b
                   where case when lower(t.name) = any ($2::text[])
                              then strpos(b.raw, '"' || lower(t.name) || '"') + strpos(b.raw, '.' || lower(t.name)) > 0
                              when lower(t.name) ~ '^[a-z0-9_$]+$' then strpos(b.words, ' ' || lower(t.name) || ' ') > 0
                              else strpos(b.raw, lower(t.name)) > 0 end
               ) n(class, oid)) m
              left join pg_proc p on m.class = 'pg_proc'::regclass and p.oid = m.oid
              left join pg_class c on m.class = 'pg_class'::regclass and c.oid = m.oid
              left join pg_type y on m.class = 'pg_type'::regclass and y.oid = m.oid
              left join pg_operator o on m.class = 'pg_operator'::regclass and o.oid = m.oid
         where (m.class, m.oid) <> (m.via_class, m.via))
     select distinct on (t.class, t.oid) t.class, t.oid, t.class::regclass::text, t.name,
            case when p.oid is not null then format('%I.%I() of role %I', n.nspname, p.proname, pg_get_userbyid(p.proowner))
                 when t.via is null and c.relkind = 'v' then format('the view %I.%I, which belongs to another role', n.nspname, c.relname)
                 when t.via is null then format('%I.%I, which has rows on another server', n.nspname, c.relname)
                 else pg_describe_object(t.class, t.oid, 0) end,
            t.via_class, t.via, o.oid is null or n.nspname::text = any ($1::text[])
     from tainted t left join pg_proc p on t.class = 'pg_proc'::regclass and p.oid = t.oid
          left join pg_class c on t.class = 'pg_class'::regclass and c.oid = t.oid
          left join pg_operator o on t.class = 'pg_operator'::regclass and o.oid = t.oid
          left join pg_namespace n on n.oid = coalesce(p.pronamespace, c.relnamespace, o.oprnamespace)
     order by t.class, t.oid, t.via is not null"#;

/// An object of a catalogue: the table that lists it, and its oid there.
type Key = (u32, u32);

/// One of them, with the object that it was reached from.
struct Object {
    catalogue: String,
    name: Option<String>,
    shown: String,
    via: Option<Key>,
    /// Operators are met only in schemas of the path.
    in_path: bool,
}

/// What of the backup could run inside the user's own SQL.
#[derive(Debug, Default)]
pub(super) struct Untrusted {
    /// Names of functions, types, views, foreign tables and tables that run code, with why each must not be met.
    names: BTreeMap<String, String>,
    /// Operators or casts, which need no name to be met: why.
    anywhere: Option<String>,
    /// Words that name nothing unless they are quoted or follow a dot.
    reserved: Vec<String>,
}

/// Finds what must not be met: by its name in SQL, and relations for which no plan may be made, by oid.
pub(super) async fn read(
    session: &Session,
    path: &[String],
    version: i32,
    budget: &mut Budget,
) -> Result<(Untrusted, BTreeMap<u32, String>), ConnectError> {
    let mut untrusted = Untrusted { reserved: reserved(session).await?, ..Untrusted::default() };
    let objects = objects(session, [path, &untrusted.reserved], version, budget).await?;
    let mut relations = BTreeMap::new();
    for (key, object) in &objects {
        let why = why(*key, &objects);
        match object.catalogue.as_str() {
            "pg_cast" => untrusted.anywhere = Some(why),
            "pg_operator" if object.in_path => untrusted.anywhere = Some(why),
            "pg_operator" => {}
            _ => {
                if object.catalogue == "pg_class" {
                    relations.insert(key.1, why.clone());
                }
                if let Some(name) = object.name.as_ref().filter(|_| untrusted.names.len() <= MAX_NAMES) {
                    untrusted.names.entry(name.clone()).or_insert(why);
                }
            }
        }
    }
    Ok((untrusted, relations))
}

async fn reserved(session: &Session) -> Result<Vec<String>, ConnectError> {
    let words = session.one("select array_agg(word) from pg_get_keywords() where catcode = 'R'").await?;
    Ok(words.try_get(0)?)
}

async fn objects(
    session: &Session,
    [path, reserved]: [&[String]; 2],
    version: i32,
    budget: &mut Budget,
) -> Result<BTreeMap<Key, Object>, ConnectError> {
    // Before 12 this is what PostgreSQL does, and has no word for.
    let sql = TAINTED.replace("{materialized}", if version >= 120_000 { "materialized" } else { "" });
    let mut rows = pin!(session.stream_for(&sql, &[&path, &reserved]).await?);
    let mut objects = BTreeMap::new();
    while let Some(row) = rows.try_next().await? {
        let via: (Option<u32>, Option<u32>) = (row.try_get(5)?, row.try_get(6)?);
        let object = Object {
            catalogue: row.try_get(2)?,
            name: row.try_get(3)?,
            shown: row.try_get(4)?,
            via: via.0.zip(via.1),
            in_path: row.try_get(7)?,
        };
        // Kept a second time as the reason.
        if !budget.take(2 * object.shown.len() + size_of::<Object>()) {
            return Err(ConnectError::Other(TOO_LARGE.to_owned()));
        }
        objects.insert((row.try_get(0)?, row.try_get(1)?), object);
    }
    Ok(objects)
}

/// What would run where this object is met.
fn why(key: Key, objects: &BTreeMap<Key, Object>) -> String {
    let object = |key| objects.get(&key);
    let shown = object(key).map_or("it", |object| object.shown.as_str());
    let mut root = object(key);
    for _ in 0..MAX_HOPS {
        let Some(via) = root.and_then(|root| root.via) else { break };
        root = object(via);
    }
    match root.filter(|root| root.via.is_none()) {
        Some(root) if root.shown == shown => format!("it would run {shown}"),
        Some(root) => format!("{shown} would run {}", root.shown),
        None => format!("{shown} would run the code of another role"),
    }
}

impl Untrusted {
    /// Why a statement of the user's is not asked, if it is not.
    pub(super) fn objection(&self, sql: &str) -> Option<String> {
        if self.names.len() > MAX_NAMES {
            return Some(format!("the copy has more than {MAX_NAMES} functions and views of other roles"));
        }
        let lower = sql.to_lowercase();
        let words: BTreeSet<&str> = lower.split(|c| !is_of_word(c)).collect();
        // A comment may stand between a dot and a word.
        let commented = lower.contains("--") || lower.contains("/*");
        let met = |name: &str| {
            let name = name.to_lowercase();
            match name.chars().all(is_of_word) {
                true if self.reserved.contains(&name) && !commented => is_named(&lower, &name),
                true => words.contains(name.as_str()),
                false => lower.contains(&name),
            }
        };
        self.anywhere.clone().or_else(|| self.names.iter().find(|(name, _)| met(name)).map(|(_, why)| why.clone()))
    }
}

/// Whether a reserved word stands there as a name: quoted, or after a dot.
fn is_named(sql: &str, word: &str) -> bool {
    sql.match_indices(word).any(|(at, _)| {
        let before = &sql[..at];
        before.ends_with('"') || before.trim_end().ends_with('.')
    })
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untrusted(names: &[(&str, &str)]) -> Untrusted {
        let names = names.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect();
        Untrusted { names, anywhere: None, reserved: vec!["select".to_owned(), "from".to_owned()] }
    }

    #[test]
    fn sql_is_not_asked_where_it_names_somebody_elses_code() {
        let mut untrusted = untrusted(&[("Total", "t"), ("odd name", "o")]);
        assert_eq!(untrusted.objection("select shop.TOTAL(id) from orders"), Some("t".to_owned()));
        assert_eq!(untrusted.objection("select o.total from orders o"), Some("t".to_owned()));
        assert_eq!(untrusted.objection("select * from \"odd name\""), Some("o".to_owned()));
        assert_eq!(untrusted.objection("select total_price, subtotal from orders"), None);
        untrusted.anywhere = Some("an operator".to_owned());
        assert_eq!(untrusted.objection("select 1"), Some("an operator".to_owned()));
    }

    #[test]
    fn a_reserved_word_is_a_name_only_where_it_is_quoted_or_follows_a_dot() {
        let untrusted = untrusted(&[("Select", "s")]);
        assert_eq!(untrusted.objection("select 1 from orders"), None);
        for named in ["select app.select(1)", "select app . SELECT(1)", "select \"select\"(1)", "select /* . */ 1"] {
            assert_eq!(untrusted.objection(named), Some("s".to_owned()), "{named}");
        }
    }

    #[test]
    fn a_reason_names_the_code_at_the_end_and_bears_a_circle() {
        let object = |shown: &str, via| Object {
            catalogue: "pg_proc".to_owned(),
            name: None,
            shown: shown.to_owned(),
            via,
            in_path: true,
        };
        let objects = BTreeMap::from([
            ((1, 1), object("app.evil() of role app", None)),
            ((1, 2), object("view hr.inner", Some((1, 1)))),
            ((1, 3), object("view hr.outer", Some((1, 2)))),
            ((1, 4), object("function a", Some((1, 5)))),
            ((1, 5), object("function b", Some((1, 4)))),
        ]);
        assert_eq!(why((1, 1), &objects), "it would run app.evil() of role app");
        assert_eq!(why((1, 3), &objects), "view hr.outer would run app.evil() of role app");
        assert_eq!(why((1, 4), &objects), "function a would run the code of another role");
    }
}
