//! Pure judgements: facts in, checks out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::answer::First;
pub(super) use super::content::{content, settled};
use super::expiring;
use super::identity::Identity;
use super::model::{Baseline, Check, CheckKind, ConnectionSettings, Outcome, ProbeError};
use crate::estate::Expectation;
use crate::{duration, text};

/// How far a row may lie after the restore point: clocks differ, and a snapshot's time is AWS's.
const MAX_SKEW: Duration = Duration::from_mins(5);
/// How a first value that is null reads.
const NULL: &str = "null";
/// Characters of a value that a report shows.
const VALUE_CHARS: usize = 200;
/// What to do about damaged pages or indexes.
pub(super) const DAMAGED: &str = "the stored data is damaged: test the previous snapshot with `--point`, and check the source for \
     the same damage; do not rely on this backup";
/// Findings that a check's text lists before it only counts them.
const LISTED: usize = 3;
/// Characters of each of them.
const FINDING_CHARS: usize = 180;

/// What every check consists of before it is timed.
pub(super) struct Draft {
    pub(super) outcome: Outcome,
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) fix: Option<&'static str>,
}

pub(super) fn check(name: &str, kind: CheckKind, draft: Draft) -> Check {
    Check {
        name: name.to_owned(),
        kind,
        outcome: draft.outcome,
        expected: text::clean(&draft.expected),
        actual: text::clean(&draft.actual),
        seconds: 0.0,
        fix: draft.fix.map(str::to_owned),
        data_loss_seconds: None,
    }
}

/// Some findings in words: the first few, and how many more.
pub(super) fn list(findings: &[String]) -> String {
    let shown = findings.iter().take(LISTED).map(|finding| text::clean_to(finding, FINDING_CHARS));
    let mut list = shown.collect::<Vec<_>>().join("; ");
    if findings.len() > LISTED {
        list = format!("{list}; and {} more", findings.len() - LISTED);
    }
    list
}

/// Somebody answered; it has to be the copy.
pub(super) fn connected(expected: &str, tunnelled: bool, identity: &Identity) -> Check {
    let how = if tunnelled { " through `connect`" } else { "" };
    let (actual, fix) = match identity {
        Identity::Agrees => return passed("connect", CheckKind::Connect, expected, format!("as expected{how}")),
        Identity::Differs(why) => (why, "point the tunnel of `connect` at the copy's endpoint"),
        Identity::Unknown(why) => {
            (why, "write `tls = \"verify-full\"` and name `ca`: the certificate proves who answers")
        }
    };
    let actual = format!("{actual}: nothing shows that this is the copy");
    let draft = Draft { outcome: Outcome::Unknown, expected: expected.to_owned(), actual, fix: Some(fix) };
    check("connect", CheckKind::Connect, draft)
}

/// A check that got no answer.
pub(super) fn troubled(name: &str, kind: CheckKind, expected: &str, trouble: &ProbeError) -> Check {
    let fix = match trouble {
        ProbeError::Damage(_) => {
            "do not rely on this backup: restore an older one with `--point`, and find out since when"
        }
        ProbeError::Unable(_) | ProbeError::Lost => "fix the cause, then rerun the test",
    };
    let draft = Draft {
        outcome: trouble.outcome(),
        expected: expected.to_owned(),
        actual: trouble.message().to_owned(),
        fix: Some(fix),
    };
    check(name, kind, draft)
}

/// A server that says of itself that it is another one than the copy: `connect` may lead anywhere. Only AWS's own names
/// are compared; an instance of a cluster is named for it. Nothing is asked of a stranger.
pub(super) fn another_server(server: Option<&str>, login: &ConnectionSettings, expected: &str) -> Option<Check> {
    let (server, copy) = (of_aws(server?)?, of_aws(&login.certificate_name)?);
    let is_it = server == copy || server.strip_prefix(copy).is_some_and(|rest| rest.starts_with('-'));
    let draft = Draft {
        outcome: Outcome::Unknown,
        expected: expected.to_owned(),
        actual: format!("the server says that it is `{server}`, and not the copy `{copy}`"),
        fix: Some("let `connect` lead to the copy: its endpoint is in the report; nothing was read from that server"),
    };
    (!is_it).then(|| check("connect", CheckKind::Connect, draft))
}

/// The identifier in the name of an endpoint of AWS.
fn of_aws(host: &str) -> Option<&str> {
    let is_aws = [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|end| host.ends_with(end));
    host.split('.').next().filter(|_| is_aws)
}

/// The same tables, columns and indexes as in the last passed run.
pub(super) fn catalog(found: &Baseline, baseline: Option<&Baseline>) -> Check {
    let tables = found.relations.len();
    let indexes: usize = found.relations.values().map(|relation| relation.indexes.len()).sum();
    let counted = format!("{tables} tables, {indexes} indexes");
    if tables == 0 {
        let draft = Draft {
            outcome: Outcome::Failed,
            expected: "at least one table".to_owned(),
            actual: "none".to_owned(),
            fix: Some("check `database` in the configuration: is this the one that holds the data?"),
        };
        return check("catalog", CheckKind::Catalog, draft);
    }
    let Some(baseline) = baseline else {
        return passed("catalog", CheckKind::Catalog, "at least one table", format!("{counted}; first run, recorded"));
    };
    let lost = lost_from_catalog(found, baseline);
    let expected = format!("everything that the last passed run found in {} tables", baseline.relations.len());
    if lost.is_empty() {
        return passed("catalog", CheckKind::Catalog, &expected, counted);
    }
    let fix = "if the change was meant, accept it with `drctl restore-test TARGET --update-baseline`";
    check(
        "catalog",
        CheckKind::Catalog,
        Draft { outcome: Outcome::Failed, expected, actual: list(&lost), fix: Some(fix) },
    )
}

fn lost_from_catalog(found: &Baseline, baseline: &Baseline) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, before) in &baseline.relations {
        let Some(now) = found.relations.get(name) else {
            lost.push(format!("table `{name}` is missing"));
            continue;
        };
        let columns = before.columns.iter().filter(|column| !now.columns.contains(column));
        lost.extend(columns.map(|column| format!("column `{name}.{column}` is missing")));
        let indexes = before.indexes.iter().filter(|index| !now.indexes.contains(index));
        lost.extend(indexes.map(|index| format!("index `{index}` is missing")));
    }
    lost
}

/// No table lost more rows than tolerated, and every table could be read to its end.
pub(super) fn rows(
    found: &Baseline,
    troubles: &BTreeMap<String, ProbeError>,
    baseline: Option<&Baseline>,
    tolerance: f64,
) -> Check {
    let total: u64 = found.relations.values().filter_map(|relation| relation.rows).sum();
    let damaged: Vec<String> =
        troubles.iter().map(|(name, trouble)| format!("`{name}`: {}", trouble.message())).collect();
    let lost = baseline.map(|baseline| lost_rows(found, baseline, tolerance));
    let expected = match &lost {
        None => "every table can be read to its end".to_owned(),
        Some(_) if tolerance > 0.0 => {
            format!("every table has at least {}% of the last passed run's rows", (1.0 - tolerance) * 100.0)
        }
        Some(_) => "every table has at least the last passed run's rows".to_owned(),
    };
    let findings: Vec<String> = damaged.into_iter().chain(lost.clone().unwrap_or_default()).collect();
    let outcome = match troubles.values().map(ProbeError::outcome).max() {
        _ if lost.as_ref().is_some_and(|lost| !lost.is_empty()) => Outcome::Failed,
        Some(outcome) => outcome,
        None => Outcome::Passed,
    };
    if outcome == Outcome::Passed {
        let note = if lost.is_none() { "; first run, recorded" } else { "" };
        let expiring = expiring(found);
        return passed("rows", CheckKind::Rows, &expected, format!("{total} rows{expiring}{note}"));
    }
    let fix = match outcome {
        Outcome::Unknown => {
            "remove what kept drctl from reading (a missing right, a time limit), or accept the change that is named, and test again"
        }
        _ if troubles.values().any(|trouble| matches!(trouble, ProbeError::Damage(_))) => DAMAGED,
        _ => "look for deletions and failed jobs before the restore point, and restore an older one with `--point`",
    };
    check("rows", CheckKind::Rows, Draft { outcome, expected, actual: list(&findings), fix: Some(fix) })
}

/// What is left out of counts and content, in words.
fn expiring(found: &Baseline) -> String {
    let rows = |(name, facts): (&String, &super::RelationFacts)| {
        facts
            .expiring
            .as_ref()
            .filter(|expiring| expiring.rows > 0)
            .map(|expiring| (format!("`{name}`"), expiring.rows))
    };
    let (names, rows): (Vec<_>, Vec<_>) = found.relations.iter().filter_map(rows).unzip();
    match rows.iter().sum::<u64>() {
        0 => String::new(),
        count => format!("; {count} more left out of rows and content, since they can expire (TTL): {}", list(&names)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tolerance is a share, not a count")]
fn lost_rows(found: &Baseline, baseline: &Baseline, tolerance: f64) -> Vec<String> {
    let counts = baseline.relations.iter().filter_map(|(name, before)| {
        let now = expiring::comparable_rows(before, found.relations.get(name)?)?;
        Some((name, before.rows?, now))
    });
    counts
        .filter(|(_, before, now)| (*now as f64) < (*before as f64) * (1.0 - tolerance))
        .map(|(name, before, now)| format!("`{name}` has {now} rows, had {before}"))
        .collect()
}

/// Pages and indexes are sound.
pub(super) fn structure(
    findings: &[ProbeError],
    unvalidated: &[String],
    baseline: Option<&Baseline>,
    looked: &str,
) -> Check {
    let known = baseline.map(|baseline| baseline.unvalidated.as_slice());
    let fresh = unvalidated.iter().filter(|name| known.is_some_and(|known| !known.contains(name)));
    let fresh: Vec<_> = fresh.map(|name| format!("constraint `{name}` is no longer validated")).collect();
    let expected = "indexes and tables agree; none is damaged or invalid";
    let outcome = match findings.iter().map(ProbeError::outcome).max() {
        _ if !fresh.is_empty() => Outcome::Failed,
        Some(outcome) => outcome,
        None => Outcome::Passed,
    };
    if outcome == Outcome::Passed {
        let note = match unvalidated.len() {
            0 => String::new(),
            count => format!("; {count} constraints were never validated"),
        };
        return passed("structure", CheckKind::Structure, expected, format!("{looked}{note}"));
    }
    let all: Vec<_> = findings.iter().map(|trouble| trouble.message().to_owned()).chain(fresh).collect();
    let fix = match outcome {
        Outcome::Unknown => "give the user that drctl connects with the right to run the check",
        _ if findings.iter().any(|trouble| matches!(trouble, ProbeError::Damage(_))) => DAMAGED,
        _ => "validate the constraint again, or accept the change with `--update-baseline`",
    };
    let draft = Draft { outcome, expected: expected.to_owned(), actual: list(&all), fix: Some(fix) };
    check("structure", CheckKind::Structure, draft)
}

/// The newest row lies within `within` before the restore point.
pub(super) fn freshness(name: &str, newest: Option<Timestamp>, point: Timestamp, within: Duration) -> Check {
    let expected = format!("newest row within {} of the restore point", duration::show(within));
    let Some(newest) = newest else {
        let draft = Draft {
            outcome: Outcome::Failed,
            expected,
            actual: "no row".to_owned(),
            fix: Some("is the table meant to be empty? otherwise restore an older point with `--point`"),
        };
        return check(name, CheckKind::Freshness, draft);
    };
    let age = point.duration_since(newest).as_secs_f64();
    if -age > MAX_SKEW.as_secs_f64() {
        // A backup cannot hold what was written after it: this is another server, or a column that tells another time.
        let draft = Draft {
            outcome: Outcome::Unknown,
            expected,
            actual: format!("the newest row is {} younger than the restore point", duration::show_seconds(-age)),
            fix: Some("see whether `connect` leads to the copy; if the column may lie ahead, name another one"),
        };
        return check(name, CheckKind::Freshness, draft);
    }
    let fresh = age <= within.as_secs_f64();
    let draft = Draft {
        outcome: if fresh { Outcome::Passed } else { Outcome::Failed },
        expected,
        actual: duration::show_seconds(age),
        fix: (!fresh).then_some("find out since when nothing was written, or whether rows are missing"),
    };
    Check { data_loss_seconds: Some(age.max(0.0)), ..check(name, CheckKind::Freshness, draft) }
}

/// The user's own question.
pub(super) fn query(name: &str, expect: &Expectation, first: &First) -> Check {
    let null_holds = || *expect != Expectation::NotEmpty && expect.holds(Some(NULL));
    let (holds, actual) = match first {
        First::NoRow => (expect.holds(None), "no row".to_owned()),
        First::Null => (null_holds(), NULL.to_owned()),
        First::Value(value) => (expect.holds(Some(value)), text::clean_to(value, VALUE_CHARS)),
        First::Field(field, value) => {
            let holds = value.as_ref().map_or_else(null_holds, |value| expect.holds(Some(value)));
            let value = text::clean_to(value.as_deref().unwrap_or(NULL), VALUE_CHARS);
            (holds, format!("`{}` of the first document is {value}", text::clean_to(field, VALUE_CHARS)))
        }
    };
    let draft = Draft {
        outcome: if holds { Outcome::Passed } else { Outcome::Failed },
        expected: expect.to_string(),
        actual,
        fix: (!holds).then_some("run the query against the source: if it fails there too, the data is at fault"),
    };
    check(name, CheckKind::Query, draft)
}

/// A check that is as expected.
pub(super) fn passed(name: &str, kind: CheckKind, expected: &str, actual: String) -> Check {
    let expected = expected.to_owned();
    check(name, kind, Draft { outcome: Outcome::Passed, expected, actual, fix: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::model::RelationFacts;

    fn facts(rows: &[(&str, u64)]) -> Baseline {
        let relation = |count| RelationFacts {
            rows: Some(count),
            columns: vec!["id bigint".to_owned()],
            indexes: vec!["orders_pkey".to_owned()],
            fingerprint: Some(format!("f{count}")),
            expiring: None,
        };
        Baseline {
            point_id: "p".to_owned(),
            relations: rows.iter().map(|(name, count)| ((*name).to_owned(), relation(*count))).collect(),
            ..Baseline::default()
        }
    }

    #[test]
    fn an_empty_catalogue_never_passes() {
        assert_eq!(catalog(&Baseline::default(), None).outcome, Outcome::Failed);
        assert_eq!(catalog(&facts(&[("orders", 1)]), None).outcome, Outcome::Passed);
    }

    #[test]
    fn what_the_last_run_found_must_still_be_there() {
        let baseline = facts(&[("orders", 10), ("users", 5)]);
        let check = catalog(&facts(&[("orders", 10)]), Some(&baseline));
        assert_eq!((check.outcome, check.actual.as_str()), (Outcome::Failed, "table `users` is missing"));
        let mut fewer = facts(&[("orders", 10), ("users", 5)]);
        fewer.relations.get_mut("users").unwrap().indexes.clear();
        assert_eq!(catalog(&fewer, Some(&baseline)).actual, "index `orders_pkey` is missing");
    }

    #[test]
    fn a_drop_beyond_the_tolerance_fails() {
        let none = BTreeMap::new();
        let baseline = Some(facts(&[("orders", 100)]));
        let outcome = |now, tolerance| rows(&facts(&[("orders", now)]), &none, baseline.as_ref(), tolerance).outcome;
        assert_eq!(outcome(100, 0.0), Outcome::Passed);
        assert_eq!(outcome(99, 0.0), Outcome::Failed);
        assert_eq!(outcome(99, 0.01), Outcome::Passed);
        assert_eq!(outcome(98, 0.01), Outcome::Failed);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_damage_and_one_that_was_not_is_unknown() {
        let troubled = |trouble| {
            let troubles = BTreeMap::from([("orders".to_owned(), trouble)]);
            rows(&facts(&[]), &troubles, None, 0.0).outcome
        };
        assert_eq!(troubled(ProbeError::Damage("invalid page".to_owned())), Outcome::Failed);
        let troubles = BTreeMap::from([("orders".to_owned(), ProbeError::Damage("invalid page".to_owned()))]);
        assert_eq!(rows(&facts(&[]), &troubles, None, 0.0).fix.as_deref(), Some(DAMAGED));
        assert_eq!(troubled(ProbeError::Unable("timeout".to_owned())), Outcome::Unknown);
    }

    #[test]
    fn freshness_is_measured_from_the_restore_point() {
        let point = Timestamp::from_second(100_000).unwrap();
        let at = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let hour = Duration::from_hours(1);
        assert_eq!(freshness("f", at(97_000), point, hour).outcome, Outcome::Passed);
        let stale = freshness("f", at(90_000), point, hour);
        assert_eq!((stale.outcome, stale.actual.as_str()), (Outcome::Failed, "2h 46m"));
        assert_eq!(freshness("f", None, point, hour).outcome, Outcome::Failed);
    }

    #[test]
    fn a_row_from_after_the_restore_point_never_passes() {
        let point = Timestamp::from_second(100_000).unwrap();
        let outcome = |seconds| {
            let newest = Timestamp::from_second(seconds).unwrap();
            freshness("f", Some(newest), point, Duration::from_hours(1)).outcome
        };
        assert_eq!(outcome(100_200), Outcome::Passed, "clocks differ a little");
        assert_eq!(outcome(100_400), Outcome::Unknown);
        assert_eq!(outcome(2_000_000_000), Outcome::Unknown);
    }

    #[test]
    fn a_null_is_not_something() {
        let outcome = |expect: &str| query("q", &Expectation::parse(expect).unwrap(), &First::Null).outcome;
        assert_eq!(outcome("not empty"), Outcome::Failed);
        assert_eq!(outcome("empty"), Outcome::Failed);
        assert_eq!(outcome("null"), Outcome::Passed);
    }

    #[test]
    fn an_unvalidated_constraint_fails_only_when_it_is_new() {
        let names = ["c".to_owned()];
        let known = Baseline { unvalidated: names.to_vec(), ..Baseline::default() };
        assert_eq!(structure(&[], &names, None, "").outcome, Outcome::Passed);
        assert_eq!(structure(&[], &names, Some(&known), "").outcome, Outcome::Passed);
        assert_eq!(structure(&[], &names, Some(&Baseline::default()), "").outcome, Outcome::Failed);
    }
}
