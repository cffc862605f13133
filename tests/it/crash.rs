//! Fail anywhere, repeat anywhere, crash anywhere: every run ends with a verdict, and leaves nothing behind.

use std::io::{BufRead, BufReader};

use super::support::{
    AURORA_POSTGRES, CommandOutput, DOCUMENTDB, Engine, HEAD, POSTGRES, TestSandbox, outcome, require_engines,
};
use serde_json::{Value, json};

/// The id of the newest run.
pub(crate) fn newest_run(rig: &TestSandbox) -> String {
    rig.runs()[0]["run_id"].as_str().unwrap().to_owned()
}

pub(crate) fn journal_length(rig: &TestSandbox, id: &str) -> usize {
    let shown: Value =
        serde_json::from_str(&rig.run(&["runs", "show", id, "--output", "json"]).assert_code(0).out).unwrap();
    shown["journal"].as_array().unwrap().len()
}

/// Runs a test that is killed at `place`, and carries on with `then`.
pub(crate) fn crash_at(rig: &TestSandbox, target: &str, place: &str, before: &str) {
    rig.forget();
    let crashed = rig.command(&["restore-test", target]).env("DRCTL_CRASH_AT", place).output().unwrap();
    assert_eq!(crashed.status.code(), None, "{place}: the process was not killed");
    let id = newest_run(rig);
    let resumed = rig.run(&["runs", "resume", &id, "--output", "json"]);
    assert_eq!(resumed.code, 0, "{place}: {}\n{}", resumed.out, resumed.err);
    let document: Value = serde_json::from_str(&resumed.out).unwrap();
    assert_eq!(outcome(&document), "passed", "{place}");
    assert_eq!(rig.state(), before, "{place}: something was left behind");
    // The same crash once more; this time what is left is undone.
    rig.forget();
    rig.command(&["restore-test", target]).env("DRCTL_CRASH_AT", place).output().unwrap();
    // What was about to be made may be there, and not shown yet: sooner nobody concludes that it is not.
    rig.control("POST", "advance", &LATE);
    let reaped = rig.run(&["reap"]);
    assert_eq!(reaped.code, 0, "{place}: {}\n{}", reaped.out, reaped.err);
    assert_eq!(rig.state(), before, "{place}: something was left behind by `reap`");
    let id = newest_run(rig);
    let shown: Value =
        serde_json::from_str(&rig.run(&["runs", "show", &id, "--output", "json"]).assert_code(0).out).unwrap();
    assert_ne!(shown["outcome"], "running", "{place}: no verdict");
}

/// Until then AWS may not show what it was told to make.
static LATE: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| json!({ "seconds": 16 * 60 }));

/// Runs a test, and lets time pass whenever it waits for something that AWS may show late.
fn run_with_a_late_aws(rig: &TestSandbox, arguments: &[&str]) -> CommandOutput {
    let mut child = rig
        .command(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        if line.contains("not shown by AWS yet") {
            rig.control("POST", "advance", &LATE);
        }
        err.push_str(&line);
        err.push('\n');
    }
    let output = child.wait_with_output().unwrap();
    CommandOutput { err, ..CommandOutput::from(output) }
}

fn crash_everywhere(estate: &str, target: &str) {
    let rig = TestSandbox::start(&[HEAD, estate].concat());
    let before = rig.state();
    rig.run(&["restore-test", target]).assert_code(0);
    let entries = journal_length(&rig, &newest_run(&rig));
    assert!(entries > 10, "a run has more to tell than {entries} entries");
    for entry in 1..=entries {
        for place in ["before", "after"] {
            crash_at(&rig, target, &format!("{place}:{entry}"), &before);
        }
    }
}

#[test]
fn a_cluster_survives_a_kill_at_every_journal_entry() {
    if require_engines(&[Engine::Postgres]) {
        crash_everywhere(AURORA_POSTGRES, "shop-apg");
    }
}

#[test]
fn an_instance_survives_a_kill_at_every_journal_entry() {
    if require_engines(&[Engine::Postgres]) {
        crash_everywhere(POSTGRES, "shop-pg");
    }
}

/// Fails each call of a run in turn, every attempt of it.
fn fail_each_call(estate: &str, target: &str, effect: &str, attempts: u64, allowed: &[i32]) {
    let rig = TestSandbox::start(&[HEAD, estate].concat());
    let before = rig.state();
    rig.run(&["restore-test", target]).assert_code(0);
    let calls = rig.calls().len();
    for nth in 1..=calls {
        rig.forget();
        rig.control("DELETE", "faults", &Value::Null);
        rig.fault(json!({ "nth": nth, "times": attempts, "effect": effect }));
        let ran = run_with_a_late_aws(&rig, &["restore-test", target]);
        assert!(allowed.contains(&ran.code), "call {nth}: exit {}\n{}\n{}", ran.code, ran.out, ran.err);
        rig.control("DELETE", "faults", &Value::Null);
        if ran.code == 4 {
            assert_ne!(rig.state(), before, "call {nth}: stuck, but nothing is there");
            assert!(ran.err.contains("drctl reap") || ran.out.contains("drctl reap"), "call {nth}: no next step");
            rig.run(&["reap"]).assert_code(0);
        }
        assert_eq!(rig.state(), before, "call {nth}: something was left behind");
    }
}

#[test]
fn a_throttled_call_anywhere_is_tried_again() {
    if require_engines(&[Engine::Postgres]) {
        fail_each_call(AURORA_POSTGRES, "shop-apg", "throttle", 2, &[0]);
    }
}

#[test]
fn a_call_that_fails_for_good_anywhere_ends_the_run_and_leaves_nothing() {
    if require_engines(&[Engine::Postgres]) {
        fail_each_call(AURORA_POSTGRES, "shop-apg", "error", 5, &[0, 3]);
    }
}

#[test]
fn a_call_that_is_not_allowed_anywhere_ends_the_run_and_says_what_remains() {
    if require_engines(&[Engine::Secantus]) {
        fail_each_call(DOCUMENTDB, "shop-docs", "denied", 1, &[0, 2, 3, 4]);
    }
}

#[test]
fn a_restore_whose_answer_was_lost_is_found_and_used() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    rig.fault(json!({ "action": "RestoreDBInstanceFromDBSnapshot", "effect": "lost-answer" }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    assert_eq!(rig.state(), before);
}

#[test]
fn every_step_can_be_done_twice() {
    if !require_engines(&[Engine::Postgres, Engine::Secantus]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES, DOCUMENTDB].concat());
    let before = rig.state();
    let twice = rig.command(&["restore-test", "--all"]).env("DRCTL_REPEAT_STEPS", "1").output().unwrap();
    super::support::CommandOutput::from(twice).assert_code(0);
    assert_eq!(rig.state(), before);
    let calls = rig.calls();
    let restores = calls.iter().filter(|call| *call == "rds:RestoreDBClusterFromSnapshot").count();
    assert_eq!(restores, 4, "the steps were not done twice");
}
