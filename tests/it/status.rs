//! What a person types first: how each database stands, from the state alone.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Engine, HEAD, POSTGRES, TestSandbox, require_engines};

fn status(rig: &TestSandbox, code: i32) -> Value {
    serde_json::from_str(&rig.run(&["status", "--output", "json"]).assert_code(code).out).unwrap()
}

#[test]
fn results_proofs_and_what_is_left_to_do_are_told_without_asking_aws() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, POSTGRES].concat();
    let rig = TestSandbox::start(
        &estate.replace("[database.restore_test]", "[database.restore_test]\nschedule = \"@weekly\""),
    );
    rig.run(&["status"]).assert_code(3).assert_contains("shop-pg").assert_contains("never").assert_contains("in ");
    rig.run(&["restore-test", "shop-pg", "--keep-for", "3h"]).assert_code(0);
    let calls = rig.calls().len();
    let ran = rig
        .run(&["status"])
        .assert_code(0)
        .assert_contains("passed")
        .assert_contains("just now")
        .assert_contains("kept: `drctl-shop-pg-")
        .assert_contains("sandbox");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    let document = status(&rig, 0);
    assert_eq!(document["schema"], "drctl.status/1");
    assert_eq!((&document["targets"][0]["outcome"], &document["unfinished"]), (&json!("passed"), &json!([])));
    assert_eq!(rig.calls().len(), calls, "AWS was asked");
    // What cannot be removed is the gravest, whatever was proved.
    rig.fault(json!({ "action": "DeleteDBInstance", "effect": "denied", "times": 100 }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(4);
    rig.run(&["status"])
        .assert_code(4)
        .assert_contains("stuck: run ")
        .assert_contains("hint: ")
        .assert_contains("drctl reap");
    rig.control("DELETE", "faults", &Value::Null);
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(status(&rig, 0)["unfinished"], json!([]));
    // A failed one is told with its reason and the next command.
    rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(1);
    let ran = rig.run(&["status"]).assert_code(1).assert_contains("failed").assert_contains("drctl runs show ");
    assert!(ran.out.contains("checks failed"), "{}", ran.out);
    let proved = status(&rig, 1)["targets"][0]["proved_at"].clone();
    assert!(proved.is_string(), "the last proof is forgotten");
}

#[test]
fn a_run_whose_process_was_killed_is_told_with_what_to_do() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "20"]);
    let mut test = rig.command(&["restore-test", "shop-pg"]);
    let mut test = test.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let of = |state: &str| {
        let document: Value = serde_json::from_str(&rig.run(&["status", "--output", "json"]).out).unwrap();
        document["unfinished"].as_array().unwrap().iter().any(|run| run["state"] == state)
    };
    while !of("at-work") {
        assert!(test.try_wait().unwrap().is_none(), "it ended before it was seen at work");
        std::thread::sleep(Duration::from_millis(50));
    }
    test.kill().unwrap();
    test.wait().unwrap();
    assert!(of("dead") && !of("at-work"));
    let ran = rig.run(&["status"]).assert_code(3).assert_contains("dead: run ").assert_contains("drctl reap");
    assert!(ran.out.contains("resume with `drctl runs resume "), "{}", ran.out);
    // So do the list, the run itself, and whoever starts another test.
    for arguments in [&["runs", "list"][..], &["runs", "show", "0"], &["restore-test", "shop-pg", "--dry-run"]] {
        let id = status(&rig, 3)["unfinished"][0]["run_id"].as_str().unwrap().to_owned();
        let arguments: Vec<_> = arguments.iter().map(|word| if *word == "0" { id.as_str() } else { word }).collect();
        let undo = format!("dead: resume with `drctl runs resume {id}`, undo with `drctl reap`");
        rig.run(&arguments).assert_code(0).assert_contains(&undo);
    }
    rig.run(&["reap"]).assert_code(0);
    assert!(!of("dead"));
}
