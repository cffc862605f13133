//! drctl deletes only what it made, stops when told to, and keeps secrets to itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::support::{
    AURORA_POSTGRES, CommandOutput, DOCUMENTDB, Engine, HEAD, POSTGRES, TestSandbox, require_engines,
};
use serde_json::{Value, json};

/// Starts a test and waits until it says `word` on standard error.
fn started(rig: &TestSandbox, arguments: &[&str], word: &str) -> std::process::Child {
    let mut child = rig.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "the test ended before it said `{word}`");
    }
    // Keep reading, so that the test does not break on a closed pipe.
    std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
    child
}

fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupt_undoes_and_ends_with_130() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "300"]);
    let before = rig.state();
    for word in ["restore ...", "is creating", "instance ..."] {
        let mut child = started(&rig, &["restore-test", "shop-apg"], word);
        signal(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(130), "at `{word}`");
        assert_eq!(rig.state(), before, "at `{word}`");
    }
    assert!(rig.runs().iter().all(|run| run["outcome"] == "interrupted"));
}

#[test]
fn reap_leaves_a_run_alone_whose_process_lives_and_unwinds_it_once_it_is_killed() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let before = rig.state();
    let mut child = started(&rig, &["restore-test", "shop-apg"], "is creating");
    rig.run(&["reap"]).assert_code(0).assert_contains("still at work in another process");
    assert_ne!(rig.state(), before);
    signal(&child, "-KILL");
    child.wait().unwrap();
    rig.run(&["reap"]).assert_code(0).assert_contains("removed drctl-shop-apg-");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_kept_copy_stays_until_it_expires() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    let (ran, document) = rig.test(&["shop-pg", "--keep-for", "3h"]);
    ran.assert_code(0);
    assert_eq!(document["tests"][0]["cleanup"], "kept");
    assert_eq!(document["tests"][0]["resources"][0]["state"], "kept");
    rig.run(&["reap"]).assert_code(0).assert_contains("nothing to remove");
    assert_ne!(rig.state(), before);
    rig.control("POST", "advance", &json!({ "seconds": 4 * 3600 }));
    rig.run(&["reap", "--dry-run"]).assert_code(0).assert_contains("would remove drctl-shop-pg-");
    // Journal or no journal: the tags alone say that it may go.
    rig.forget();
    rig.run(&["reap"]).assert_code(0).assert_contains("removed drctl-shop-pg-");
    let state = rig.state();
    assert!(!state.contains("drctl-shop-pg-"), "{state}");
}

#[test]
fn what_carries_another_tag_is_never_deleted() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let mut child = started(&rig, &["restore-test", "shop-apg"], "is creating");
    signal(&child, "-KILL");
    child.wait().unwrap();
    let state = rig.control("GET", "state", &Value::Null);
    let copy = state.as_array().unwrap().iter().find(|r| r["id"].as_str().unwrap().starts_with("drctl-")).unwrap();
    let id = copy["id"].as_str().unwrap().to_owned();
    rig.control("POST", "tag", &json!({ "id": id, "key": "drctl:run-id", "value": "somebody-elses" }));
    let reaped = rig
        .run(&["reap"])
        .assert_code(4)
        .assert_contains("carries the tag of somebody-elses")
        .assert_contains(&format!("drctl keep {id}"));
    assert!(!reaped.err.contains("delete-db-cluster"), "it may be somebody's by now: {}", reaped.err);
    assert!(rig.state().contains(&id), "it was deleted all the same");
    // Stuck stays loud until the thing is gone.
    rig.run(&["reap"]).assert_code(4);
    let runs = rig.run(&["runs", "list"]).assert_code(0);
    assert!(runs.out.contains("stuck"), "{}", runs.out);
}

#[test]
fn everything_made_is_tagged_and_goes_to_the_quarantine() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let mut child = started(&rig, &["restore-test", "shop-apg"], "instance ...");
    let state = rig.control("GET", "state", &Value::Null);
    signal(&child, "-INT");
    let made: Vec<_> =
        state.as_array().unwrap().iter().filter(|r| r["id"].as_str().unwrap().starts_with("drctl-")).collect();
    assert!(!made.is_empty());
    for resource in made {
        for tag in ["drctl:run-id", "drctl:target", "drctl:expires-at"] {
            assert!(resource["tags"][tag].is_string(), "{resource} lacks {tag}");
        }
        assert_eq!(resource["subnet_group"], "drctl-quarantine");
        assert_ne!(resource["public"], true);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_password_appears_nowhere() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let secret = "c0rrect-horse-battery";
    let estate = [HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", "file:password");
    let rig = TestSandbox::start(&estate);
    // The sandbox knows the file's content only where it finds the file: relative to its own directory. Here it made one
    // up, so the password is wrong, and every message about it is printed.
    let file = rig.scratch.0.join("password");
    std::fs::write(&file, secret).unwrap();
    let text = estate.replace("file:password", &format!("file:{}", file.display()));
    std::fs::write(&rig.config, &text).unwrap();
    let output = rig.command(&["restore-test", "shop-pg"]).env("DRCTL_LOG", "trace").output().unwrap();
    let ran = CommandOutput::from(output).assert_code(3);
    assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
    // Nor does a password that drctl sets itself, whatever is to be logged.
    let is_login = |line: &&str| !line.starts_with("password") && !line.starts_with("username");
    let without = text.lines().filter(is_login).collect::<Vec<_>>().join("\n");
    std::fs::write(&rig.config, without).unwrap();
    let output = rig.command(&["restore-test", "shop-pg"]).env("DRCTL_LOG", "trace").output().unwrap();
    let ran = CommandOutput::from(output).assert_code(0);
    assert!(!ran.err.contains("MasterUserPassword="), "{}", ran.err);
    for suffix in ["", "-wal"] {
        let state = std::fs::read(rig.scratch.0.join(format!("drctl.db{suffix}"))).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&state).contains(secret));
    }
}

#[test]
fn a_dry_run_prints_every_call_and_changes_nothing() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES, DOCUMENTDB].concat());
    let before = rig.state();
    rig.run(&["restore-test", "--all", "--dry-run"])
        .assert_code(0)
        .assert_contains("rds:RestoreDBInstanceFromDBSnapshot")
        .assert_contains("BackupRetentionPeriod = 0")
        .assert_contains("rds:RestoreDBClusterFromSnapshot")
        .assert_contains("DBSubnetGroupName = drctl-quarantine")
        .assert_contains("rds:CreateDBInstance")
        .assert_contains("rds:ModifyDBCluster");
    assert_eq!(rig.state(), before);
    let changes = ["Restore", "Create", "Modify", "Delete"];
    assert!(rig.calls().iter().all(|call| !changes.iter().any(|change| call.contains(change))));
    assert!(rig.run(&["runs", "list"]).assert_code(0).out.is_empty(), "a dry run is no run");
    let ran = rig.run(&["restore-test", "shop-pg", "--dry-run", "--output", "json"]).assert_code(0);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    let call = &document["targets"][0]["steps"][1]["calls"][0];
    assert_eq!(call["operation"], "RestoreDBInstanceFromDBSnapshot");
    assert_eq!(call["arguments"]["PubliclyAccessible"], "false");
}

#[test]
fn reap_against_another_account_touches_nothing_and_says_what_remains() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let mut child = started(&rig, &["restore-test", "shop-apg"], "is creating");
    signal(&child, "-KILL");
    child.wait().unwrap();
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"update runs set account = '999999999999'\"); c.commit()";
    let done = Command::new("python3").args(["-c", script]).arg(rig.scratch.0.join("drctl.db")).status().unwrap();
    assert!(done.success());
    rig.run(&["reap"])
        .assert_code(4)
        .assert_contains("was against the sandbox in account 999999999999")
        .assert_contains("aws rds delete-db-cluster");
}

#[test]
fn what_a_dead_run_had_found_stands_when_it_is_unwound() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }));
    rig.fault(json!({ "action": "DeleteDBInstance", "times": 1, "effect": "denied" }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(4);
    rig.run(&["reap"]).assert_code(0);
    let runs = rig.runs();
    assert_eq!(runs[0]["outcome"], "failed");
    let id = runs[0]["run_id"].as_str().unwrap();
    rig.run(&["runs", "show", id]).assert_code(0).assert_contains("orders are fresh");
}

#[test]
fn the_product_of_a_recovery_stays_and_never_expires() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let drill = std::fs::read_to_string("runbooks/restore-test-instance.md").unwrap();
    let file = rig.scratch.0.join("recover.md");
    std::fs::write(&file, drill.replace("kind   = \"drill\"", "kind   = \"recovery\"")).unwrap();
    let file = file.display().to_string();
    rig.run(&["restore-test", "shop-pg", "--runbook", &file]).assert_code(0);
    // Killed while it verifies, it keeps what stands as well.
    let crashed =
        rig.command(&["restore-test", "shop-pg", "--runbook", &file]).env("DRCTL_CRASH_AT", "after:10").output();
    assert_eq!(crashed.unwrap().status.code(), None);
    rig.control("POST", "advance", &json!({ "seconds": 30 * 24 * 3600 }));
    rig.run(&["reap"]).assert_code(0);
    let state = rig.control("GET", "state", &Value::Null);
    let kept: Vec<_> =
        state.as_array().unwrap().iter().filter(|r| r["id"].as_str().unwrap().starts_with("drctl-")).collect();
    assert_eq!(kept.len(), 2, "{state:#}");
    assert!(kept.iter().all(|resource| resource["tags"]["drctl:expires-at"].is_null()));
}
