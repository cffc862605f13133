//! Content that must be what it was: of one restore point, and of rows that have settled.

use std::collections::BTreeSet;

use super::judge::{Draft, check, list, passed};
use super::model::{Baseline, Check, CheckKind, Outcome, RelationFacts, SettledFacts};
use super::salt::Salt;

/// What to do about content that cannot be compared.
const HASHED_ANEW: &str = "see whether `rows` tells more, and find out who changed the table's columns; if that was meant, \
     run once with `--update-baseline`";
/// What to do about tables that could not be read.
const SEE_ROWS: &str = "see what `rows` and `structure` say of these tables";
/// What to do about rows that should not have changed.
const CHANGED: &str = "find out who changed old rows; if it was meant, run once with `--update-baseline`";

/// The same restore point has the same content each time that it is restored.
pub(super) fn content(found: &Baseline, baseline: Option<&Baseline>) -> Option<Check> {
    let digests = fingerprinted(found);
    let recorded = format!("{digests} tables fingerprinted");
    let Some(baseline) = baseline.filter(|baseline| baseline.point_id == found.point_id && fingerprinted(baseline) > 0)
    else {
        let note = if baseline.is_some() { "not compared: another restore point than last time" } else { "first run" };
        return (digests > 0).then(|| recorded_anew(found, &format!("{recorded}; {note}")));
    };
    let expected = "the same content as when this point was last restored";
    let names: BTreeSet<&String> = baseline.relations.keys().chain(found.relations.keys()).collect();
    let (mut changed, mut unclear) = (Vec::new(), Vec::new());
    for name in names {
        let (before, now) = (baseline.relations.get(name), found.relations.get(name));
        match compare(before, now, baseline.version == found.version) {
            Comparison::Same => {}
            Comparison::Differs => changed.push(format!("`{name}` differs")),
            Comparison::Unclear(why) => unclear.push(format!("`{name}` {why}")),
        }
    }
    if changed.is_empty() && unclear.is_empty() {
        let other = baseline.version != found.version;
        let other = other.then(|| format!("; only rows are comparable: the server was {}", baseline.version));
        let actual = format!("{recorded}{}", other.unwrap_or_default());
        return Some(passed("content", CheckKind::Content, expected, actual));
    }
    let (outcome, fix) = match changed.is_empty() {
        true => (Outcome::Unknown, HASHED_ANEW),
        false => {
            (Outcome::Failed, "one and the same backup came back different: do not rely on it, and report it to AWS")
        }
    };
    let actual = list(&[changed, unclear].concat());
    let draft = Draft { outcome, expected: expected.to_owned(), actual, fix: Some(fix) };
    Some(check("content", CheckKind::Content, draft))
}

/// There is nothing to compare with: that every row could be read is all that can be said.
fn recorded_anew(found: &Baseline, actual: &str) -> Check {
    let expected = "every row can be read";
    let unread = found.relations.iter().filter(|(_, relation)| relation.rows.is_none());
    let unread: Vec<_> = unread.map(|(name, _)| format!("`{name}` could not be read")).collect();
    if unread.is_empty() {
        return passed("content", CheckKind::Content, expected, actual.to_owned());
    }
    let actual = format!("{}; {actual}", list(&unread));
    let draft = Draft { outcome: Outcome::Unknown, expected: expected.to_owned(), actual, fix: Some(SEE_ROWS) };
    check("content", CheckKind::Content, draft)
}

fn fingerprinted(facts: &Baseline) -> usize {
    facts.relations.values().filter(|relation| relation.fingerprint.is_some()).count()
}

/// How one table's content compares with an earlier one's.
enum Comparison {
    Same,
    Differs,
    /// Why it cannot be told.
    Unclear(&'static str),
}

/// One table of the same restore point. Where the versions differ, only rows are compared.
fn compare(before: Option<&RelationFacts>, now: Option<&RelationFacts>, same_version: bool) -> Comparison {
    let (Some(before), Some(now)) = (before, now) else { return Comparison::Differs };
    // Earlier releases left out collections with a TTL index as a whole.
    if before.rows.is_none() && now.expiring.is_some() {
        return Comparison::Same;
    }
    let (Some(rows_before), Some(rows_now)) = (before.rows, now.rows) else {
        return Comparison::Unclear("could not be read");
    };
    match (&before.fingerprint, &now.fingerprint) {
        _ if rows_before != rows_now => Comparison::Differs,
        // Earlier releases kept no fingerprint of an empty table.
        _ if rows_now == 0 || !same_version => Comparison::Same,
        (Some(before), Some(now)) => compare_fingerprints(before, now),
        (None, None) => Comparison::Same,
        _ => Comparison::Differs,
    }
}

fn compare_fingerprints(before: &str, now: &str) -> Comparison {
    match (method_of(before), method_of(now)) {
        _ if before == now => Comparison::Same,
        (before, now) if before == now => Comparison::Differs,
        _ if is_retired(before, now) => Comparison::Same,
        _ => Comparison::Unclear("is hashed in another way now, so that its content cannot be compared"),
    }
}

/// Whether two fingerprints may differ in how they were made without anybody having changed the data: the earlier one is of
/// a release of drctl that used no salt, or of another major version of the server. What a backup can bring about is no
/// such reason: whoever may add a column chooses how its table is hashed.
fn is_retired(before: &str, now: &str) -> bool {
    let other_major = major_of(before).zip(major_of(now)).is_some_and(|(before, now)| before != now);
    Salt::of(now).is_some() && (Salt::of(before).is_none() || other_major)
}

/// The server's major version, where a method begins with it.
fn major_of(fingerprint: &str) -> Option<u32> {
    method_of(fingerprint).split('/').next()?.parse().ok()
}

/// Settled rows are as they were. `again` is what the last run's settled rows look like now.
pub(super) fn settled(name: &str, before: Option<&SettledFacts>, again: Option<&SettledFacts>) -> Check {
    let expected = "rows that no longer change are as they were";
    let (Some(before), Some(again)) = (before, again) else {
        return passed(name, CheckKind::Content, expected, "first run, recorded".to_owned());
    };
    let (outcome, actual, fix) = match compare_fingerprints(&before.fingerprint, &again.fingerprint) {
        _ if before.rows != again.rows => {
            (Outcome::Failed, format!("{} rows, were {}", again.rows, before.rows), CHANGED)
        }
        Comparison::Same if before.fingerprint == again.fingerprint => {
            return passed(name, CheckKind::Content, expected, format!("{} rows, unchanged", again.rows));
        }
        Comparison::Same => {
            let actual = format!("{} rows, recorded anew: their content is hashed in another way now", again.rows);
            return passed(name, CheckKind::Content, expected, actual);
        }
        Comparison::Differs => (Outcome::Failed, format!("{} rows, but their content changed", again.rows), CHANGED),
        Comparison::Unclear(why) => (Outcome::Unknown, format!("{} rows; the table {why}", again.rows), HASHED_ANEW),
    };
    check(name, CheckKind::Content, Draft { outcome, expected: expected.to_owned(), actual, fix: Some(fix) })
}

/// How a fingerprint was made: what stands before its colon.
fn method_of(fingerprint: &str) -> &str {
    fingerprint.rsplit_once(':').map_or("", |(method, _)| method)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const SALT: &str = "000102030405060708090a0b0c0d0e0f";

    /// Tables, each with its rows and its fingerprint.
    fn facts(relations: &[(&str, u64, Option<&str>)]) -> Baseline {
        let relation = |rows, fingerprint: Option<&str>| RelationFacts {
            rows: Some(rows),
            fingerprint: fingerprint.map(str::to_owned),
            ..RelationFacts::default()
        };
        let relations = relations.iter().map(|(name, rows, print)| ((*name).to_owned(), relation(*rows, *print)));
        Baseline {
            point_id: "p".to_owned(),
            version: "15.1".to_owned(),
            relations: relations.collect(),
            ..Baseline::default()
        }
    }

    fn print(way: &str, sum: u8) -> String {
        format!("{way}/{SALT}:{sum}")
    }

    fn settled_facts(rows: u64, print: &str) -> SettledFacts {
        SettledFacts { before: Timestamp::UNIX_EPOCH, rows, fingerprint: print.to_owned() }
    }

    /// How a table of so many rows and that fingerprint compares with what it was.
    fn outcome(before: (u64, Option<&str>), now: (u64, Option<&str>)) -> Outcome {
        let of = |(rows, print)| facts(&[("orders", rows, print), ("other", 1, Some("x:1"))]);
        content(&of(now), Some(&of(before))).unwrap().outcome
    }

    #[test]
    fn the_same_point_must_have_the_same_content() {
        let (one, two) = (print("15/record2", 1), print("15/record2", 2));
        assert_eq!(outcome((2, Some(&one)), (2, Some(&one))), Outcome::Passed);
        assert_eq!(outcome((2, Some(&one)), (2, Some(&two))), Outcome::Failed);
        let other_point = Baseline { point_id: "q".to_owned(), ..facts(&[("orders", 2, Some(&two))]) };
        let before = facts(&[("orders", 2, Some(&one))]);
        assert_eq!(content(&other_point, Some(&before)).unwrap().outcome, Outcome::Passed);
        assert_eq!(content(&facts(&[("orders", 2, None)]), None), None, "nothing was fingerprinted");
    }

    #[test]
    fn a_table_that_is_empty_or_was_is_compared() {
        let (one, none) = (print("15/record2", 1), print("15/record2", 0));
        assert_eq!(outcome((2, Some(&one)), (0, Some(&none))), Outcome::Failed);
        assert_eq!(outcome((2, Some(&one)), (0, None)), Outcome::Failed);
        assert_eq!(outcome((0, Some(&none)), (2, Some(&one))), Outcome::Failed);
        assert_eq!(outcome((0, None), (0, Some(&none))), Outcome::Passed, "as earlier releases recorded it");
        assert_eq!(outcome((2, Some(&one)), (2, None)), Outcome::Failed);
        let gone = content(&facts(&[("other", 1, Some("x:1"))]), Some(&facts(&[("orders", 1, Some(&one))])));
        assert_eq!(gone.unwrap().outcome, Outcome::Failed);
    }

    #[test]
    fn a_table_that_could_not_be_read_is_unknown() {
        let before = facts(&[("orders", 2, Some("x:1"))]);
        let mut now = before.clone();
        let orders = now.relations.get_mut("orders").unwrap();
        (orders.rows, orders.fingerprint) = (None, None);
        assert_eq!(content(&now, Some(&before)).unwrap().outcome, Outcome::Unknown);
    }

    #[test]
    fn rows_are_compared_whatever_the_servers_version() {
        let before = Baseline { version: "14.9".to_owned(), ..facts(&[("orders", 2, Some("14/record:1"))]) };
        let outcome = |rows| content(&facts(&[("orders", rows, Some("15/record2:9"))]), Some(&before)).unwrap().outcome;
        assert_eq!((outcome(2), outcome(1)), (Outcome::Passed, Outcome::Failed));
    }

    #[test]
    fn another_way_to_hash_is_borne_only_where_no_backup_can_bring_it_about() {
        let now = print("15/sent", 2);
        let settled_now = |before: &str, rows| {
            let of =
                |rows, print: &str| SettledFacts { before: Timestamp::UNIX_EPOCH, rows, fingerprint: print.to_owned() };
            settled("s", Some(&of(2, before)), Some(&of(rows, &now))).outcome
        };
        // As earlier releases wrote them, and another major version.
        for before in ["15/record:1", "15/text:1", "15/copy:1", "sha1:1", &print("14/record2", 1)] {
            assert_eq!(outcome((2, Some(before)), (2, Some(&now))), Outcome::Passed, "{before}");
            assert_eq!(outcome((2, Some(before)), (1, Some(&now))), Outcome::Failed, "{before}");
            assert_eq!(
                (settled_now(before, 2), settled_now(before, 1)),
                (Outcome::Passed, Outcome::Failed),
                "{before}"
            );
        }
        // A column was added, or the salt is another one.
        for before in [print("15/record2", 1), format!("15/sent/{}:1", "f".repeat(32))] {
            assert_eq!(outcome((2, Some(&before)), (2, Some(&now))), Outcome::Unknown, "{before}");
            assert_eq!((settled_now(&before, 2), settled_now(&before, 1)), (Outcome::Unknown, Outcome::Failed));
        }
        assert_eq!(settled("s", Some(&settled_facts(2, &now)), Some(&settled_facts(2, ""))).outcome, Outcome::Unknown);
        assert_eq!((settled_now(&now, 2), settled_now(&print("15/sent", 1), 2)), (Outcome::Passed, Outcome::Failed));
    }

    #[test]
    fn a_table_that_could_not_be_read_leaves_the_content_unknown_also_where_nothing_is_compared() {
        let one = print("15/record2", 1);
        let mut now = facts(&[("orders", 2, Some(&one)), ("users", 2, Some(&one))]);
        let orders = now.relations.get_mut("orders").unwrap();
        (orders.rows, orders.fingerprint) = (None, None);
        let first = content(&now, None).unwrap();
        assert_eq!(
            (first.outcome, first.actual.as_str()),
            (Outcome::Unknown, "`orders` could not be read; 1 tables fingerprinted; first run")
        );
        let other = Baseline { point_id: "q".to_owned(), ..facts(&[("orders", 2, Some(&one))]) };
        assert_eq!(content(&now, Some(&other)).unwrap().outcome, Outcome::Unknown);
        let whole = content(&facts(&[("orders", 2, Some(&one))]), Some(&other)).unwrap();
        assert!(whole.actual.contains("not compared: another restore point"), "{whole:?}");
    }

    #[test]
    fn a_first_run_is_recorded() {
        assert_eq!(settled("s", None, None).outcome, Outcome::Passed);
    }
}
