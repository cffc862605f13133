//! What is asked of one collection travels together: its documents are read once, for all of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::answer::Catalog;
use super::documentdb::{Fold, Question, Wanted};
use super::judge;
use super::model::{Check, CheckKind, Plan, ProbeError, RelationFacts, SettledFacts};
use super::salt::Salt;
use crate::estate::{ContentMode, CustomCheck, Probe};

/// One collection, and everything that one pass over it shall tell.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    pub(super) name: String,
    pub(super) wanted: Wanted,
    /// The checks that the questions of `wanted` belong to, by their place in the plan.
    pub(super) asked: Vec<usize>,
}

/// What a pass over a collection counted.
pub(super) struct Counted {
    rows: u64,
    expiring: u64,
    fingerprint: Option<String>,
}

impl From<&Fold> for Counted {
    fn from(fold: &Fold) -> Self {
        Self { rows: fold.rows(), expiring: fold.expiring(), fingerprint: fold.fingerprint() }
    }
}

impl Counted {
    pub(super) fn into_facts(self, facts: &mut RelationFacts) {
        facts.rows = Some(self.rows);
        facts.fingerprint = self.fingerprint;
        if let Some(expiring) = &mut facts.expiring {
            expiring.rows = self.expiring;
        }
    }
}

/// A check that was judged, with what the next run is compared with.
pub(super) type Judged = (Check, Option<SettledFacts>);

/// Every collection with what it is asked, and the checks that nothing here can answer.
pub(super) fn collections(catalog: &Catalog, plan: &Plan) -> (Vec<Collection>, Vec<(usize, Check)>) {
    let salt = Salt::of_run(plan.baseline.as_ref());
    let full = plan.content == ContentMode::Full;
    let collection = |(name, facts): (&String, &RelationFacts)| {
        let fields = facts.expiring.iter().flat_map(|expiring| &expiring.fields);
        let expiring = fields.map(|field| path_of(field)).collect();
        Collection {
            name: name.clone(),
            wanted: Wanted { full, salt, expiring, questions: Vec::new() },
            asked: Vec::new(),
        }
    };
    let mut collections: BTreeMap<String, Collection> =
        catalog.relations.iter().map(|entry| (entry.0.clone(), collection(entry))).collect();
    let mut unanswerable = Vec::new();
    for (at, custom) in plan.checks.iter().enumerate() {
        match question(custom, catalog, plan) {
            Ok(None) => {}
            Ok(Some((name, question))) => {
                if let Some(collection) = collections.get_mut(&name) {
                    collection.wanted.questions.push(question);
                    collection.asked.push(at);
                }
            }
            Err(trouble) => unanswerable.push((at, troubled(custom, &trouble))),
        }
    }
    (collections.into_values().collect(), unanswerable)
}

/// What a check wants to know of which collection. `None` where a query of its own answers it.
fn question(custom: &CustomCheck, catalog: &Catalog, plan: &Plan) -> Result<Option<(String, Question)>, ProbeError> {
    match &custom.probe {
        Probe::Aggregate { collection, .. } => {
            let there = catalog.relations.contains_key(collection) || catalog.views.contains(collection);
            if there { Ok(None) } else { Err(no_collection(collection, catalog)) }
        }
        Probe::Sql { .. } => Ok(None),
        Probe::Newest { relation, column, .. } => {
            let (name, path) = place(&format!("{relation}.{column}"), catalog)?;
            Ok(Some((name, Question { path, cutoffs: Vec::new() })))
        }
        Probe::Settled { relation, column, settled_after } => {
            let (name, path) = place(&format!("{relation}.{column}"), catalog)?;
            if catalog.relations.get(&name).is_some_and(|facts| facts.expiring.is_some()) {
                return Err(ProbeError::Unable(format!(
                    "documents of `{name}` expire (it has a TTL index): none settles"
                )));
            }
            let cutoff = cutoff(plan, *settled_after);
            // An older point than last time's has not settled as far: there is nothing to compare.
            let before = settled_before(plan, custom).map(|before| before.before).filter(|before| *before <= cutoff);
            Ok(Some((name, Question { path, cutoffs: [cutoff].into_iter().chain(before).collect() })))
        }
    }
}

/// Where rows begin to settle.
pub(super) fn cutoff(plan: &Plan, settled_after: std::time::Duration) -> Timestamp {
    plan.point.checked_sub(settled_after).unwrap_or(Timestamp::MIN)
}

fn settled_before<'p>(plan: &'p Plan, custom: &CustomCheck) -> Option<&'p SettledFacts> {
    plan.baseline.as_ref()?.settled.get(&custom.name)
}

/// Divides `carts.nested.at`: both collections and fields may have dots in their names, and the longest name that is a
/// collection's is meant.
fn place(written: &str, catalog: &Catalog) -> Result<(String, Vec<String>), ProbeError> {
    let dots = written.rmatch_indices('.').map(|(at, _)| at);
    for (name, path) in dots.map(|at| (&written[..at], &written[at + 1..])) {
        if catalog.relations.contains_key(name) {
            return Ok((name.to_owned(), path_of(path)));
        }
        if catalog.views.iter().any(|view| view == name) {
            return Err(ProbeError::Unable(format!(
                "`{name}` is a view: name the collection that holds the documents"
            )));
        }
    }
    let shortest = written.split_once('.').map_or(written, |(name, _)| name);
    Err(no_collection(shortest, catalog))
}

fn path_of(field: &str) -> Vec<String> {
    field.split('.').map(str::to_owned).collect()
}

fn no_collection(name: &str, catalog: &Catalog) -> ProbeError {
    let nearest = catalog
        .relations
        .keys()
        .max_by(|one, other| strsim::jaro_winkler(one, name).total_cmp(&strsim::jaro_winkler(other, name)));
    let nearest = nearest.map_or_else(String::new, |nearest| format!("; the name that comes nearest is `{nearest}`"));
    ProbeError::Unable(format!("there is no collection `{name}`{nearest}"))
}

/// The checks of one collection, from what the pass over it found.
pub(super) fn judge_all(
    collection: &Collection,
    found: Result<&Fold, &ProbeError>,
    plan: &Plan,
    seconds: f64,
) -> Vec<(usize, Judged)> {
    let mut judged = Vec::new();
    for (question, at) in collection.asked.iter().enumerate() {
        let Some(custom) = plan.checks.get(*at) else { continue };
        let (check, settled) =
            match found.map_err(Clone::clone).and_then(|fold| judge_one(collection, custom, fold, question, plan)) {
                Ok(judged) => judged,
                Err(trouble) => (troubled(custom, &trouble), None),
            };
        judged.push((*at, (Check { seconds, ..check }, settled)));
    }
    judged
}

fn judge_one(
    collection: &Collection,
    custom: &CustomCheck,
    fold: &Fold,
    question: usize,
    plan: &Plan,
) -> Result<Judged, ProbeError> {
    let name = &collection.name;
    let tally = fold.tallies().get(question).ok_or_else(|| ProbeError::Unable("nobody asked".to_owned()))?;
    let path = tally.path();
    if tally.newest.is_none() && fold.documents() > 0 {
        let instead = if tally.strange.is_some() { ", only values of other types" } else { "" };
        return Err(ProbeError::Unable(format!("no document of `{name}` has a time in `{path}`{instead}")));
    }
    let Probe::Settled { settled_after, .. } = &custom.probe else {
        let Probe::Newest { within, .. } = &custom.probe else {
            return Err(ProbeError::Unable("this check does not ask for a time".to_owned()));
        };
        return Ok((judge::freshness(&custom.name, tally.newest, plan.point, *within), None));
    };
    let cuts = fold.cuts(question);
    let facts = |cut: &super::documentdb::Cut| SettledFacts {
        before: cut.before,
        rows: cut.rows,
        fingerprint: cut.fingerprint.clone(),
    };
    let now = cuts.first().map(facts).filter(|facts| facts.rows > 0).ok_or_else(|| {
        let cutoff = cutoff(plan, *settled_after);
        ProbeError::Unable(format!("no row of `{name}` is older than {cutoff}: there is nothing to compare"))
    })?;
    let again = cuts.get(1).map(facts);
    Ok((judge::settled(&custom.name, settled_before(plan, custom), again.as_ref()), Some(now)))
}

/// A check of the user's own that got no answer.
pub(super) fn troubled(custom: &CustomCheck, trouble: &ProbeError) -> Check {
    let (kind, expected) = match &custom.probe {
        Probe::Sql { expect, .. } | Probe::Aggregate { expect, .. } => (CheckKind::Query, expect.to_string()),
        Probe::Newest { .. } => (CheckKind::Freshness, "a newest row".to_owned()),
        Probe::Settled { .. } => (CheckKind::Content, "settled rows".to_owned()),
    };
    judge::troubled(&custom.name, kind, &expected, trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(names: &[&str]) -> Catalog {
        let relations = names.iter().map(|name| ((*name).to_owned(), RelationFacts::default())).collect();
        Catalog { relations, views: vec!["summary".to_owned()], ..Catalog::default() }
    }

    #[test]
    fn the_longest_name_that_is_a_collection_is_meant() {
        let catalog = catalog(&["carts", "carts.nested"]);
        let place = |written| place(written, &catalog).map(|(name, path)| (name, path.join("/")));
        assert_eq!(place("carts.at"), Ok(("carts".to_owned(), "at".to_owned())));
        assert_eq!(place("carts.deep.at"), Ok(("carts".to_owned(), "deep/at".to_owned())));
        assert_eq!(place("carts.nested.deep.at"), Ok(("carts.nested".to_owned(), "deep/at".to_owned())));
    }

    #[test]
    fn a_misspelt_name_is_unknown_and_the_nearest_is_named() {
        let Err(ProbeError::Unable(message)) = place("crats.at", &catalog(&["carts", "orders"])) else { panic!() };
        assert_eq!(message, "there is no collection `crats`; the name that comes nearest is `carts`");
        let Err(ProbeError::Unable(message)) = place("summary.at", &catalog(&["carts"])) else { panic!() };
        assert!(message.contains("is a view"));
    }
}
