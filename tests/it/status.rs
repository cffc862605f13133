//! What a person types first: how each database stands, from the state alone.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Engine, HEAD, POSTGRES, Rig, have};

fn status(rig: &Rig, code: i32) -> Value {
    serde_json::from_str(&rig.run(&["status", "--output", "json"]).ends(code).out).unwrap()
}

#[test]
fn results_proofs_and_what_is_left_to_do_are_told_without_asking_aws() {
    if !have(&[Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, POSTGRES].concat();
    let rig = Rig::start(&estate.replace("[database.restore_test]", "[database.restore_test]\nschedule = \"@weekly\""));
    rig.run(&["status"]).ends(3).says("shop-pg").says("never").says("in ");
    rig.run(&["restore-test", "shop-pg", "--keep-for", "3h"]).ends(0);
    let calls = rig.calls().len();
    let ran =
        rig.run(&["status"]).ends(0).says("passed").says("just now").says("kept: `drctl-shop-pg-").says("sandbox");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    let document = status(&rig, 0);
    assert_eq!(document["schema"], "drctl.status/1");
    assert_eq!((&document["targets"][0]["outcome"], &document["unfinished"]), (&json!("passed"), &json!([])));
    assert_eq!(rig.calls().len(), calls, "AWS was asked");
    // What cannot be removed is the gravest, whatever was proved.
    rig.fault(json!({ "action": "DeleteDBInstance", "effect": "denied", "times": 100 }));
    rig.run(&["restore-test", "shop-pg"]).ends(4);
    rig.run(&["status"]).ends(4).says("stuck: run ").says("hint: ").says("drctl reap");
    rig.control("DELETE", "faults", &Value::Null);
    rig.run(&["reap"]).ends(0);
    assert_eq!(status(&rig, 0)["unfinished"], json!([]));
    // A failed one is told with its reason and the next command.
    rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }));
    rig.run(&["restore-test", "shop-pg"]).ends(1);
    let ran = rig.run(&["status"]).ends(1).says("failed").says("drctl runs show ");
    assert!(ran.out.contains("checks failed"), "{}", ran.out);
    let proved = status(&rig, 1)["targets"][0]["proved_at"].clone();
    assert!(proved.is_string(), "the last proof is forgotten");
}

#[test]
fn a_run_whose_process_was_killed_is_told_with_what_to_do() {
    if !have(&[Engine::Postgres]) {
        return;
    }
    let rig = Rig::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "20"]);
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
    let ran = rig.run(&["status"]).ends(3).says("dead: run ").says("drctl reap");
    assert!(ran.out.contains("resume it with `drctl runs resume "), "{}", ran.out);
    rig.run(&["reap"]).ends(0);
    assert!(!of("dead"));
}
