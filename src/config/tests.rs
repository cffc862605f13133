//! What a person reads who has written something wrong: each hint, followed literally, leads to a file that is valid.

use std::path::Path;

use super::file::parse_with_warnings;
use super::{ConfigError, Diagnostic, parse};

const HEAD: &str = "[estate]\nname = \"shop\"\nregion = \"eu-west-1\"\n";
const DATABASE: &str = "[[database]]\nid = \"db\"\nkind = \"rds-mysql\"\n";

fn problems(more: &str) -> Vec<Diagnostic> {
    parse("drctl.toml", &format!("{HEAD}{more}")).expect_err("the text has problems").problems
}

fn only(more: &str) -> Diagnostic {
    let found = problems(more);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

/// The warnings of a valid file.
fn warnings(more: &str) -> Vec<String> {
    let (_, warnings) = parse_with_warnings("drctl.toml", &format!("{HEAD}{more}")).unwrap();
    warnings.iter().map(|warning| warning.display("drctl.toml")).collect()
}

#[test]
fn a_table_in_the_wrong_brackets_is_told_the_right_ones_with_its_path_and_its_database() {
    let twice = only(&format!("{DATABASE}[[database.restore_test]]\ndatabase = \"x\"\n"));
    assert_eq!((twice.key.as_str(), twice.of.as_slice()), ("database.restore_test", ["db".to_owned()].as_slice()));
    assert_eq!(twice.hint, "write `[database.restore_test]`, with single brackets");
    assert_eq!(
        twice.display("drctl.toml"),
        "drctl.toml:7: `database.restore_test` of `db`: can be there only once\n    \
         7 | [[database.restore_test]]\n      | ^^^^^^^^^^^^^^^^^^^^^^^^^\n    \
         hint: write `[database.restore_test]`, with single brackets"
    );
    let once = only(&format!("{DATABASE}[database.restore_test]\n[database.restore_test.check]\nname = \"x\"\n"));
    assert_eq!(once.hint, "write `[[database.restore_test.check]]`, with double brackets");
    assert_eq!((once.line, once.of.len()), (8, 1));
}

#[test]
fn a_duplicate_key_is_named() {
    let twice = only("[objectives]\nrto = \"1h\"\nrto = \"2h\"\n");
    assert_eq!((twice.line, twice.key.as_str(), twice.message.as_str()), (6, "rto", "is written twice in one table"));
}

#[test]
fn a_wrong_word_is_told_the_likely_one() {
    let hint = |more: &str| only(more).hint;
    let kind = |kind: &str| hint(&DATABASE.replace("rds-mysql", kind));
    assert!(kind("postgres").starts_with("did you mean `rds-postgresql` or `aurora-postgresql`? Write one of"));
    assert!(kind("documntdb").starts_with("did you mean `documentdb`?"));
    assert_eq!(hint("[daemon]\ntimezone = \"Europe/Dubln\"\n"), "did you mean `Europe/Dublin`?");
    let on = "[[notify]]\nname = \"x\"\non = [\"faild\"]\nslack = { webhook = \"env:X\" }\n";
    assert!(hint(on).starts_with("did you mean `failed`?"));
    let week = format!("{DATABASE}[database.restore_test]\nschedule = \"rate(1 week)\"\n");
    assert!(hint(&week).starts_with("write `rate(7 days)`"));
    let other = "[[database]]\nid = \"other\"\nkind = \"documentdb\"\ndepends_on = [\"dv\"]\n";
    assert_eq!(hint(&format!("{DATABASE}{other}")), "the estate has db, other");
}

#[test]
fn an_unknown_region_is_let_through_with_a_warning() {
    let (_, warnings) = parse_with_warnings("drctl.toml", &HEAD.replace("eu-west-1", "eu-norht-1")).unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].hint, "did you mean `eu-north-1`?");
}

#[test]
fn a_wrong_kind_is_the_only_mistake() {
    let check =
        "[[database.restore_test.check]]\nname = \"x\"\ncollection = \"c\"\naggregate = \"[]\"\nexpect = \"1\"\n";
    assert_eq!(only(&format!("{}{check}", DATABASE.replace("rds-mysql", "docdb"))).key, "database.kind");
}

#[test]
fn what_may_be_a_secret_is_in_no_excerpt() {
    for more in [
        "[[notify]]\nname = \"x\"\nslack = { webhook = \"https://hunter2\", chanel = \"hunter2\" }\n",
        "[[notify]]\nname = \"x\"\nwebhook = { key = \"hunter2\", url = \"ftp://hunter2@x/hunter2\" }\n",
        "[state]\nurl = \"postgres://a:hunter2@x/y\"\n",
        "[state]\npasword = \"hunter2\"\n",
        "[state]\nurl = hunter2\n",
        "[state]\nlease = \"password=hunter2\"\n",
        "[sink]\ntoken = \"\"\"hunter2\nhunter2\"\"\"\n",
    ] {
        let invalid: ConfigError = parse("drctl.toml", &format!("{HEAD}{more}")).unwrap_err();
        assert!(!invalid.to_string().contains("hunter2"), "{invalid}");
        assert!(invalid.problems.iter().any(|problem| problem.excerpt.is_some()), "{invalid:#?}");
    }
}

#[test]
fn old_names_are_read_with_a_warning_that_names_the_line() {
    let old = format!(
        "{DATABASE}[database.restore_test]\ncontent = \"settled\"\n[[database.restore_test.check]]\nname = \"old\"\n\
         settled = \"orders.created_at\"\nafter = \"7d\"\n\
         [[notify]]\nname = \"switch\"\nping = {{ url = \"https://example.com\" }}\n"
    );
    let new = old
        .replace("content = \"settled\"", "content = \"immutable\"")
        .replace("settled =", "immutable =")
        .replace("after =", "older_than =")
        .replace("[[notify]]", "[[heartbeat]]")
        .replace("ping = { url = \"https://example.com\" }", "url = \"https://example.com\"");
    let estate = |more: &str| parse("drctl.toml", &format!("{HEAD}{more}")).unwrap();
    assert_eq!(format!("{:?}", estate(&old).databases), format!("{:?}", estate(&new).databases));
    assert_eq!(estate(&old).channels[0].way, estate(&new).channels[0].way);
    assert!(warnings(&new).is_empty(), "{:?}", warnings(&new));
    let told = warnings(&old);
    let names: Vec<_> = told.iter().map(|warning| warning.split(": `").next().unwrap()).collect();
    assert_eq!(names, ["drctl.toml:8", "drctl.toml:11", "drctl.toml:12", "drctl.toml:15"], "{told:#?}");
    assert!(told[1].contains("is now called `immutable`") && told[3].contains("write `[[heartbeat]]`"), "{told:#?}");
}

#[test]
fn what_does_nothing_yet_says_so() {
    let told = warnings(&format!(
        "{DATABASE}depends_on = [\"orders\"]\n[database.connections]\nmax = 100\nalarm_above = 80\n\
         [[queue]]\nid = \"orders\"\n[[cache]]\nid = \"c\"\n[[service]]\nid = \"s\"\n[sink]\nlisten = \"x\"\n"
    ));
    for key in ["depends_on", "connections.max", "connections.alarm_above", "queue", "cache", "service", "sink"] {
        let found =
            told.iter().any(|warning| warning.contains(&format!("{key}`")) && warning.contains("does nothing yet"));
        assert!(found, "{key}: {told:#?}");
    }
}

/// Each table of reference.toml gets an unknown key; what is then named as known has to stand in the file.
#[test]
fn the_reference_has_every_key_that_a_hint_names() {
    let reference =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/reference.toml")).unwrap();
    let mut missing = std::collections::BTreeSet::new();
    for (at, line) in reference.lines().enumerate().filter(|(_, line)| line.starts_with('[')) {
        let header = line.split(']').next().unwrap_or_default();
        let text: Vec<&str> = reference.lines().collect();
        let text = [&text[..=at], &["qqqqqq = 1"], &text[at + 1..]].concat().join("\n");
        let hints = parse("x", &text).unwrap_err().problems.into_iter().map(|problem| problem.hint);
        for known in hints.filter_map(|hint| Some(hint.split_once("known keys here are ")?.1.to_owned())) {
            let is_there = |key: &&str| {
                let words = reference.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                words.into_iter().any(|word| word == *key)
            };
            missing.extend(known.split(", ").filter(|key| !is_there(key)).map(|key| format!("{header}]: {key}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
