//! Every way to choose a restore point.

use super::support::{AURORA_POSTGRES, Engine, HEAD, POSTGRES, TestSandbox, outcome, require_engines};
use serde_json::Value;

fn point<'d>(document: &'d Value, key: &str) -> &'d str {
    document["tests"][0]["point"][key].as_str().unwrap_or_default()
}

#[test]
fn latest_automated_random_and_by_id() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, POSTGRES]
        .concat()
        .replace("[database.restore_test]", "[database.restore_test]\nmax_snapshot_age = \"9d\"");
    let rig = TestSandbox::start(&estate);
    let (ran, document) = rig.test(&["shop-pg", "--point", "latest-automated"]);
    ran.assert_code(0);
    assert!(point(&document, "id").starts_with("rds:shop-pg-"));
    assert_eq!(point(&document, "type"), "snapshot");
    let newest = point(&document, "id").to_owned();
    let (ran, document) = rig.test(&["shop-pg", "--point", &newest]);
    ran.assert_code(0);
    assert_eq!(point(&document, "id"), newest);
    // Any of the last seven days. Older points have fewer rows, which the counts of the newest would not allow.
    let (ran, document) = rig.test(&["shop-pg", "--point", "random", "--update-baseline"]);
    ran.assert_code(0);
    assert!(point(&document, "id").starts_with("rds:shop-pg-"));
}

#[test]
fn points_in_time_are_judged_against_the_rpo() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, AURORA_POSTGRES].concat());
    let (ran, document) = rig.test(&["shop-apg", "--point", "pitr"]);
    ran.assert_code(0);
    assert_eq!(point(&document, "type"), "point-in-time");
    let rpo = &document["tests"][0]["rpo"];
    assert_eq!(rpo["basis"], "point-in-time");
    assert_eq!(rpo["measured_seconds"], document["tests"][0]["point"]["age_seconds"]);
    let at = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(30)).unwrap();
    let (ran, document) = rig.test(&["shop-apg", "--point", &at.to_string(), "--update-baseline"]);
    ran.assert_code(0);
    assert_eq!(point(&document, "taken_at"), at.to_string());
}

#[test]
fn an_rpo_that_is_missed_fails_the_test() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, AURORA_POSTGRES].concat().replace("rpo = \"15m\"", "rpo = \"1m\""));
    let (ran, document) = rig.test(&["shop-apg", "--point", "pitr"]);
    ran.assert_code(1);
    assert_eq!(outcome(&document), "failed");
    assert!(document["tests"][0]["reason"].as_str().unwrap().starts_with("the RPO is"));
}

#[test]
fn a_snapshot_that_is_too_old_fails_the_test() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, POSTGRES]
        .concat()
        .replace("[database.restore_test]", "[database.restore_test]\nmax_snapshot_age = \"1m\"");
    let rig = TestSandbox::start(&estate);
    rig.control("POST", "advance", &serde_json::json!({ "seconds": 120 }));
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1);
    assert!(document["tests"][0]["reason"].as_str().unwrap().contains("the limit is 1m"));
    assert_eq!(document["tests"][0]["point"]["outcome"], "failed");
}

#[test]
fn an_older_point_is_not_held_against_a_newer_one() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, POSTGRES]
        .concat()
        .replace("[database.restore_test]", "[database.restore_test]\nmax_snapshot_age = \"9d\"");
    let rig = TestSandbox::start(&estate);
    rig.test(&["shop-pg"]).0.assert_code(0);
    let at = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(50)).unwrap();
    let (ran, document) = rig.test(&["shop-pg", "--point", &at.to_string()]);
    ran.assert_code(0);
    let rows = document["tests"][0]["checks"].as_array().unwrap().iter().find(|check| check["name"] == "rows").unwrap();
    assert!(rows["actual"].as_str().unwrap().contains("older than the last passed run's"), "{rows}");
    // Nor does it lower the measure.
    let (_, document) = rig.test(&["shop-pg"]);
    let rows = document["tests"][0]["checks"].as_array().unwrap().iter().find(|check| check["name"] == "rows").unwrap();
    assert_eq!(rows["expected"], "every table has at least the last passed run's rows");
}

#[test]
fn a_snapshot_of_another_database_is_refused() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, &POSTGRES.replace("shop-pg", "other-pg")].concat());
    rig.control("POST", "snapshot", &serde_json::json!({ "target": "other-pg", "id": "not-yours" }));
    rig.run(&["restore-test", "shop-pg", "--point", "not-yours"])
        .assert_code(2)
        .assert_contains("is of `other-pg`, not of `shop-pg`");
}
