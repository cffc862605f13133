//! What people read, as snapshots with times and ids redacted.

use super::support::{AURORA_POSTGRES, Engine, HEAD, POSTGRES, TestSandbox, require_engines};
use serde_json::json;

/// Replaces what differs from run to run: ids, times, durations, ports.
fn redact(text: &str, rig: &TestSandbox) -> String {
    let text = text.replace(&rig.scratch.0.display().to_string(), "DIR").replace(&rig.endpoint, "ENDPOINT");
    let words = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let mut words: Vec<String> = line.split_whitespace().map(redact_word).collect();
        // A duration has one or two parts.
        words.dedup_by(|second, first| {
            let both = first == "T" && second.trim_end_matches([',', ';', ')', ':']) == "T";
            if both {
                first.clone_from(second);
            }
            both
        });
        format!("{}{}", " ".repeat(indent), words.join(" "))
    };
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

fn redact_word(word: &str) -> String {
    if let Some(quoted) = word.strip_prefix('`') {
        return format!("`{}", redact_word(quoted));
    }
    let (bare, end) = word.split_at(word.trim_end_matches([',', ';', ')', ':', '`']).len());
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    let is_duration = digits > 0
        && bare.trim_start_matches('(').trim_end_matches(['d', 'h', 'm', 's']).parse::<f64>().is_ok()
        && bare.ends_with(['d', 'h', 'm', 's']);
    let is_ulid = bare.len() == 26 && bare.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_ulid {
        return format!("RUN{end}");
    }
    if bare.parse::<jiff::Timestamp>().is_ok() {
        return format!("TIME{end}");
    }
    if is_duration {
        return format!("{}T{end}", if bare.starts_with('(') { "(" } else { "" });
    }
    if let Some((_, run)) = bare.split_once("=drctl:run-id=") {
        return format!("RUN-{}", run.len());
    }
    if bare.starts_with("rds:shop-") || bare.starts_with("drctl-shop-") {
        let name: String = bare.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let cut =
            if bare.starts_with("drctl-") { name.rfind('-').map_or(name.len(), |at| at.min(15)) } else { name.len() };
        return format!("{}{}{end}", &name[..cut], if bare.starts_with("drctl-") { "-SUFFIX" } else { "" });
    }
    let counts = bare.parse::<u64>().is_ok_and(|number| number > 1000);
    if counts { format!("N{end}") } else { word.to_owned() }
}

#[test]
fn a_failed_test_as_people_read_it() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }));
    let ran = rig.run(&["restore-test", "shop-pg"]).assert_code(1);
    insta::assert_snapshot!(redact(&ran.out, &rig));
}

#[test]
fn a_dry_run_as_people_read_it() {
    let rig = TestSandbox::start(&[HEAD, AURORA_POSTGRES].concat());
    let ran = rig.run(&["restore-test", "shop-apg", "--dry-run"]).assert_code(0);
    insta::assert_snapshot!(redact(&ran.out, &rig));
}

#[test]
fn bad_configuration_as_people_read_it() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let bad = [HEAD, POSTGRES]
        .concat()
        .replace("kind      = \"rds-postgresql\"", "kind      = \"postgres\"\ncolour    = \"red\"");
    let bad = bad.replace("within = \"1h\"", "within = \"an hour\"").replace("secretsmanager:shop/pg", "hunter2");
    std::fs::write(&rig.config, bad).unwrap();
    let ran = rig.run(&["doctor"]).assert_code(2);
    insta::assert_snapshot!(redact(&ran.err, &rig));
}

#[test]
fn the_runbooks_and_actions_as_people_read_them() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    insta::assert_snapshot!(rig.run(&["runbook", "list"]).assert_code(0).out);
}
