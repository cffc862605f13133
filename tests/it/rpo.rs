//! The RPO: measured by AWS's clock, unknown where it cannot be, failed where it cannot be met.

use super::preflight::boto3;
use super::support::{AURORA_POSTGRES, Engine, HEAD, POSTGRES, TestSandbox, outcome, require_engines};
use serde_json::json;

#[test]
fn a_database_whose_backups_are_off_fails_where_an_rpo_is_promised() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.control("POST", "snapshot", &json!({ "target": "shop-pg", "id": "by-hand" }));
    boto3(
        &rig,
        "rds.modify_db_instance(DBInstanceIdentifier='shop-pg', BackupRetentionPeriod=0, ApplyImmediately=True)",
    );
    let (ran, document) = rig.test(&["shop-pg", "--point", "by-hand"]);
    ran.assert_code(1);
    let test = &document["tests"][0];
    assert_eq!((outcome(&document), &test["rpo"]["met"]), ("failed", &json!(false)));
    assert!(test["reason"].as_str().unwrap().starts_with("the RPO cannot be met"), "{test}");
    rig.run(&["doctor"])
        .assert_code(1)
        .assert_contains("an RPO of 15m cannot be met")
        .assert_contains("--backup-retention-period");
    rig.run(&["restore-test", "shop-pg", "--point", "pitr"]).assert_code(1).assert_contains("switched off");
}

#[test]
fn it_is_measured_by_the_clock_of_aws_and_says_its_basis() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, AURORA_POSTGRES].concat());
    let (ran, document) = rig.test(&["shop-apg"]);
    ran.assert_code(0);
    let rpo = &document["tests"][0]["rpo"];
    assert_eq!((&rpo["clock"], &rpo["samples"]), (&json!("aws"), &json!(2)));
    assert_eq!(rpo["basis"], "latest-restorable-time");
    rig.run(&["restore-test", "shop-apg"])
        .assert_code(0)
        .assert_contains("PITR was not restored")
        .assert_contains("not measured: the decision");
    rig.run(&["restore-test", "shop-apg", "--point", "pitr"]).assert_code(0).assert_contains("point-in-time, restored");
}

/// Here a fifth of a second between two attempts is half an hour of AWS's: what is said to be restorable by the second is
/// younger than the first's answer.
#[test]
fn a_throttled_description_is_dated_by_the_answer_that_describes() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat().replace("15m", "6h"), &["--time-scale", "10000"]);
    rig.fault(json!({ "action": "DescribeDBInstances", "effect": "throttle", "times": 3 }));
    let (ran, document) = rig.test(&["shop-pg", "--point", "pitr"]);
    let rpo = &document["tests"][0]["rpo"];
    assert!(rpo["measured_seconds"].is_number() && rpo["clock"] == "aws", "{rpo:#}\n{}", ran.err);
}

#[test]
fn a_time_outside_the_restore_window_is_refused() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES].concat());
    for target in ["shop-pg", "shop-apg"] {
        let at = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_hours(24 * 32)).unwrap();
        rig.run(&["restore-test", target, "--point", &at.to_string()])
            .assert_code(2)
            .assert_contains("can be restored from");
        let at = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        rig.run(&["restore-test", target, "--point", &at.to_string()])
            .assert_code(2)
            .assert_contains("can be restored up to");
    }
    assert!(rig.calls().iter().all(|call| !call.contains(":Restore")));
}

#[test]
fn a_point_drawn_by_lot_is_judged_by_the_newest_snapshot() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    // The draw of a year: whichever it is, the default of 26h holds for the newest alone.
    for _ in 0..3 {
        let (ran, document) = rig.test(&["shop-pg", "--point", "random", "--update-baseline"]);
        ran.assert_code(0);
        assert_eq!(document["tests"][0]["point"]["outcome"], "passed");
    }
}

#[test]
fn a_retention_that_is_promised_is_judged() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let estate = [HEAD, POSTGRES].concat().replace("retention = \"7d\"", "retention = \"30d\"");
    std::fs::write(&rig.config, estate).unwrap();
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1);
    let reason = document["tests"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("`retention` is not kept: automated backups are kept 7 days"), "{reason}");
    rig.run(&["doctor"])
        .assert_code(1)
        .assert_contains("the objective is 30d")
        .assert_contains("--backup-retention-period");
}

#[test]
fn copies_of_backups_have_to_be_where_they_are_promised() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let head = HEAD.replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nbackup_region = \"eu-central-1\"");
    // The sandbox has what the file promises when it starts.
    let rig = TestSandbox::start(&[head.as_str(), POSTGRES].concat());
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(0);
    assert_eq!(document["tests"][0]["promises"][1]["outcome"], "passed", "{document:#}");
    std::fs::write(&rig.config, [head.replace("eu-central-1", "eu-west-3").as_str(), POSTGRES].concat()).unwrap();
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1);
    let reason = document["tests"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("`backup_region` is not kept: in eu-west-3: there is no backup"), "{reason}");
    rig.run(&["doctor"]).assert_code(1).assert_contains("in eu-west-3: there is no backup");
}
