//! Whose code the user's own SQL might run. drctl connects with more rights than most owners of tables have, and views and
//! routines with `SQL SECURITY INVOKER` run with the rights of whoever asks. Those of others are not met: neither by name, nor
//! by way of any view or routine that names them, whoever that belongs to. What has its definer's rights reaches no further
//! than that definer could anyway, so that it may name what is that definer's own.

use std::collections::HashMap;

use super::super::answer::ConnectError;
use super::super::budget::Budget;
use super::session::{Session, field};
use super::table::{Table, kept};

/// Bytes of definitions that are looked through, and the characters of one. What is beyond counts as unreadable.
const MAX_TEXT_BYTES: usize = 4 << 20;
const MAX_TEXT_CHARS: u32 = 65_536;
/// Words of definitions, and names, that are not plain ASCII: each is compared with each.
const MAX_ODD_WORDS: usize = 10_000;
const MAX_ODD_NAMES: usize = 100;
/// How deep views and routines may lie in one another.
const MAX_DEPTH: usize = 20;

/// A view or a routine.
#[derive(Debug)]
struct Code {
    what: String,
    name: String,
    definer: String,
    takes_askers_rights: bool,
    /// Whether it is drctl's own user's.
    is_ours: bool,
    /// Its definition in lower case, where it could be read.
    text: Option<String>,
}

/// What must not be met.
#[derive(Debug, Default)]
pub(super) struct Untrusted {
    names: Names,
    why: Vec<String>,
}

impl Untrusted {
    /// Why a statement of the user's is not asked, if it is not.
    pub(super) fn objection(&self, sql: &str) -> Option<&str> {
        self.names.met(&sql.to_ascii_lowercase(), None).map(|at| self.why[at].as_str())
    }
}

/// Names to look for, each with its place in the list of reasons.
#[derive(Debug, Default)]
struct Names {
    plain: HashMap<String, Name>,
    /// Not plain ASCII. Servers compare routines' names without accents: `steal()` calls `stéal`.
    odd: Vec<(String, Name)>,
    /// Met by every text.
    everywhere: Option<usize>,
}

#[derive(Debug)]
struct Name {
    why: usize,
    /// Who may name it: whose rights it would have then are its owner's own. Nobody, where it leads on to others.
    owner: Option<String>,
}

impl Names {
    fn add(&mut self, name: &str, owner: Option<String>, why: usize) {
        let name = name.to_ascii_lowercase();
        // A name of several words is met with its longest.
        match words(&name).max_by_key(|word| word.len()) {
            Some(word) if word.is_ascii() => {
                let known = self.plain.entry(word.to_owned()).or_insert(Name { why, owner: owner.clone() });
                known.owner.take_if(|known| Some(&*known) != owner.as_ref());
            }
            Some(word) if self.odd.len() < MAX_ODD_NAMES => self.odd.push((word.to_owned(), Name { why, owner })),
            _ => self.everywhere = Some(why),
        }
    }

    /// Which of them a text of `asker` names and may not.
    fn met(&self, text: &str, asker: Option<&str>) -> Option<usize> {
        let is_foreign = |name: &&Name| asker.is_none() || name.owner.as_deref() != asker;
        let met = |word: &str| {
            let plain = if word.is_ascii() {
                self.plain.get(word).filter(is_foreign)
            } else {
                self.plain.iter().filter(|(name, _)| alike(name, word)).map(|(_, name)| name).find(is_foreign)
            };
            let odd = || self.odd.iter().filter(|(name, _)| alike(name, word)).map(|(_, name)| name).find(is_foreign);
            plain.or_else(odd).map(|name| name.why)
        };
        self.everywhere.or_else(|| words(text).find_map(met))
    }
}

/// What could be a name, or a part of one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    text.split(move |c| !is_of_word(c)).filter(|word| !word.is_empty())
}

/// Whether two words in lower case may be one name to the server: a letter with an accent may be any.
fn alike(one: &str, two: &str) -> bool {
    let (mut one, mut two) = (one.chars(), two.chars());
    loop {
        match (one.next(), two.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || !a.is_ascii() || !b.is_ascii() => {}
            _ => return false,
        }
    }
}

/// Reads what there is, and finds out what must not be met.
pub(super) async fn read<'t>(
    session: &mut Session,
    tables: impl Iterator<Item = &'t Table>,
    budget: &mut Budget,
) -> Result<Untrusted, ConnectError> {
    let elsewhere = tables.filter_map(|table| Some((table.name.clone(), table.elsewhere.clone()?))).collect();
    let mut codes = Vec::new();
    let (mut bytes, mut odd) = (0, 0);
    for (what, name, text, from) in [
        ("lower(routine_type)", "routine_name", "routine_definition", "routines where routine_schema"),
        ("'view'", "table_name", "view_definition", "views where table_schema"),
    ] {
        // drctl's own user's come first: nobody else's use up what is looked through.
        let sql = format!(
            "select {what}, {name}, definer, security_type, definer = current_user(),
                    if(char_length({text}) > {MAX_TEXT_CHARS}, '', {text})
             from information_schema.{from} not in ('mysql', 'information_schema', 'performance_schema', 'sys')
             order by definer = current_user() desc"
        );
        let each = |row| {
            let get = |at| field(&row, at).unwrap_or_default();
            let text = get(5).to_ascii_lowercase();
            bytes += text.len();
            odd += words(&text).filter(|word| !word.is_ascii()).count();
            let is_readable = !text.is_empty() && bytes <= MAX_TEXT_BYTES && odd <= MAX_ODD_WORDS;
            let (what, name, definer) = (get(0), get(1), get(2));
            kept(budget, what.len() + 2 * name.len() + definer.len() + size_of::<Code>())?;
            let (takes_askers_rights, is_ours) = (get(3) != "DEFINER", get(4) == "1");
            let text = is_readable.then_some(text);
            codes.push(Code { what, name, definer, takes_askers_rights, is_ours, text });
            Ok(())
        };
        session.each(&sql, each).await?;
    }
    Ok(judge(elsewhere, codes))
}

/// What must not be met: tables that read elsewhere, what takes the asker's rights and is somebody else's, what could not be
/// read, and what names any of these.
fn judge(elsewhere: Vec<(String, String)>, codes: Vec<Code>) -> Untrusted {
    let mut untrusted = Untrusted::default();
    let mut found: Vec<Found> = elsewhere.into_iter().map(|(name, why)| Found { name, owner: None, why }).collect();
    let mut rest = Vec::new();
    for code in codes {
        match code.itself() {
            Some(itself) => found.push(itself),
            None => rest.push(code),
        }
    }
    for _ in 0..MAX_DEPTH {
        if found.is_empty() {
            return untrusted;
        }
        let fresh = untrusted.add(std::mem::take(&mut found));
        rest.retain(|code| {
            let names = code.text.as_deref().and_then(|text| fresh.met(text, Some(&code.definer)));
            let Some(at) = names else { return true };
            let why = format!("{} leads on: {}", code.shown(), untrusted.why[at]);
            found.push(Found { name: code.name.clone(), owner: None, why });
            false
        });
    }
    untrusted.add(found);
    // Deeper than this nobody builds in good faith.
    let too_deep = |code: Code| {
        let why = format!("what {} names lies too deep to be looked through", code.shown());
        Found { name: code.name, owner: None, why }
    };
    untrusted.add(rest.into_iter().map(too_deep).collect());
    untrusted
}

/// One that must not be met.
struct Found {
    name: String,
    owner: Option<String>,
    why: String,
}

impl Untrusted {
    /// Takes up what was found; yields the same as names to look for.
    fn add(&mut self, found: Vec<Found>) -> Names {
        let mut fresh = Names::default();
        for Found { name, owner, why } in found {
            fresh.add(&name, owner.clone(), self.why.len());
            self.names.add(&name, owner, self.why.len());
            self.why.push(why);
        }
        fresh
    }
}

impl Code {
    fn shown(&self) -> String {
        format!("the {} `{}` of `{}`", self.what, self.name, self.definer)
    }

    /// Why it must not be met whatever it names.
    fn itself(&self) -> Option<Found> {
        let (owner, why) = if self.takes_askers_rights && !self.is_ours {
            (Some(self.definer.clone()), format!("{} takes the rights of whoever asks", self.shown()))
        } else if self.text.is_none() {
            (None, format!("the definition of {} cannot be read", self.shown()))
        } else {
            return None;
        };
        Some(Found { name: self.name.clone(), owner, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str, definer: &str, takes_askers_rights: bool, text: &str) -> Code {
        Code {
            what: "view".to_owned(),
            name: name.to_owned(),
            definer: definer.to_owned(),
            takes_askers_rights,
            is_ours: definer == "master@%",
            text: (!text.is_empty()).then(|| text.to_owned()),
        }
    }

    #[test]
    fn sql_is_not_asked_where_it_names_what_must_not_be_met() {
        let names = ["Total", "odd name", "st\u{e9}al", "a`b"];
        let untrusted = judge(names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(), Vec::new());
        assert_eq!(untrusted.objection("select shop.TOTAL(id) from orders"), Some("Total"));
        assert_eq!(untrusted.objection("select o.total from orders o"), Some("Total"));
        assert_eq!(untrusted.objection("select t\u{f6}tal()"), Some("Total"));
        assert_eq!(untrusted.objection("select * from `odd name`"), Some("odd name"));
        assert_eq!(untrusted.objection("select shop.Steal()"), Some("st\u{e9}al"));
        assert_eq!(untrusted.objection("select * from `a``b`"), Some("a`b"));
        assert_eq!(untrusted.objection("select total_price, subtotal, steals from orders"), None);
    }

    #[test]
    fn what_leads_to_the_code_of_others_is_not_asked_however_long_the_way_is() {
        let untrusted = judge(
            vec![("remote".to_owned(), "r".to_owned())],
            vec![
                code("daily", "master@%", false, "select n from `nest`.`litem`"),
                code("weekly", "master@%", false, "select n from `rep`.`daily`"),
                code("monthly", "root@localhost", false, "select n from `rep`.`weekly`"),
                code("litem", "app@%", true, "select `nest`.`steal`()"),
                code("steal", "app@%", true, "return 7"),
                code("own", "app@%", false, "select `nest`.`litem`"),
                code("fine", "master@%", true, "select * from `rep`.`daily_sums`"),
                code("unread", "master@%", false, ""),
                code("far", "app@%", false, "select * from `shop`.`remote`"),
            ],
        );
        for name in ["daily", "weekly", "monthly", "litem", "steal", "unread", "far", "remote"] {
            assert!(untrusted.objection(&format!("select * from {name}")).is_some(), "{name}");
        }
        for name in ["own", "fine", "daily_sums"] {
            assert_eq!(untrusted.objection(&format!("select * from {name}")), None);
        }
    }

    #[test]
    fn a_chain_without_an_end_is_not_followed_for_ever() {
        let mut codes = vec![code("v0", "app@%", true, "select 1")];
        codes.extend((1..200).map(|n| code(&format!("v{n}"), "master@%", false, &format!("from `v{}`", n - 1))));
        let untrusted = judge(Vec::new(), codes);
        assert!(
            untrusted.objection("select * from v1").is_some() && untrusted.objection("select * from v199").is_some()
        );
    }

    #[test]
    fn a_name_that_two_own_may_be_named_by_neither() {
        let codes = vec![
            code("t", "app@%", true, "select 1"),
            code("t", "other@%", true, "select 1"),
            code("v", "app@%", false, "select * from `x`.`t`"),
        ];
        assert!(judge(Vec::new(), codes).objection("select * from v").is_some());
    }
}
