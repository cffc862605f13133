//! Whose code a question might run. drctl connects with more rights than most owners of tables have, and PostgreSQL runs an
//! owner's functions with the rights of whoever asks: when it plans (constant parts of index expressions are evaluated then),
//! when an operator, a cast or a function of the backup is a better match than PostgreSQL's own, and inside views.
//!
//! Code is trusted where drctl's own user, a superuser or a member of RDS's `rds_superuser` owns it, or where it is
//! compiled: only superusers can make that. For tables that would run other code, rows are read without a plan; SQL of the
//! user's that would meet such code is not asked, and the check is unknown.

/// Functions that count as somebody else's code, as `untrusted(oid)`; the text continues with a list or the main query.
pub(super) const UNTRUSTED: &str = "with recursive trusted(owner) as (
         select r.oid from pg_roles r
         where r.rolsuper or r.rolname = current_user
            or exists (select 1 from pg_roles s where s.rolname = 'rds_superuser' and pg_has_role(r.oid, s.oid, 'member'))),
     untrusted(oid) as (
         select p.oid from pg_proc p join pg_language l on l.oid = p.prolang
         where l.lanname not in ('internal', 'c') and p.proowner not in (select owner from trusted))";

/// More functions of others than this are not told apart.
pub(super) const MAX_NAMES: usize = 10_000;

/// What of the backup could run inside the user's own SQL.
#[derive(Debug, Default)]
pub(super) struct Untrusted {
    /// Names of functions, and of views, foreign tables and tables that run code, with why each must not be met.
    pub(super) names: Vec<(String, String)>,
    /// Operators or casts, which need no name to be met: why.
    pub(super) anywhere: Option<String>,
}

impl Untrusted {
    /// Why a statement of the user's is not asked, if it is not.
    pub(super) fn objection(&self, sql: &str) -> Option<String> {
        if self.names.len() > MAX_NAMES {
            return Some(format!("the copy has more than {MAX_NAMES} functions and views of other roles"));
        }
        let lower = sql.to_lowercase();
        let words: std::collections::BTreeSet<&str> = lower.split(|c| !is_of_word(c)).collect();
        let met = |name: &str| {
            let name = name.to_lowercase();
            if name.chars().all(is_of_word) { words.contains(name.as_str()) } else { lower.contains(&name) }
        };
        self.anywhere.clone().or_else(|| self.names.iter().find(|(name, _)| met(name)).map(|(_, why)| why.clone()))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_not_asked_where_it_names_somebody_elses_code() {
        let names = vec![("Total".to_owned(), "t".to_owned()), ("odd name".to_owned(), "o".to_owned())];
        let mut untrusted = Untrusted { names, anywhere: None };
        assert_eq!(untrusted.objection("select shop.TOTAL(id) from orders"), Some("t".to_owned()));
        assert_eq!(untrusted.objection("select o.total from orders o"), Some("t".to_owned()));
        assert_eq!(untrusted.objection("select * from \"odd name\""), Some("o".to_owned()));
        assert_eq!(untrusted.objection("select total_price, subtotal from orders"), None);
        untrusted.anywhere = Some("an operator".to_owned());
        assert_eq!(untrusted.objection("select 1"), Some("an operator".to_owned()));
    }
}
