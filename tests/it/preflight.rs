//! What is refused before anything is made, and that the doctor says the same.

use std::process::Command;

use super::support::{
    AURORA_POSTGRES, CommandOutput, DOCUMENTDB, Engine, HEAD, MYSQL, POSTGRES, TestSandbox, require_engines,
};
use serde_json::json;

/// Whether anything was asked of the sandbox that changes something.
fn changed(rig: &TestSandbox) -> bool {
    rig.calls().iter().any(|call| call.contains(":Restore") || call.contains(":Create") || call.contains(":Modify"))
}

/// Runs some lines of boto3 against a sandbox, as another client of the account: `rds` is there.
pub(crate) fn boto3(rig: &TestSandbox, lines: &str) {
    let script = format!(
        "import boto3\nsession = boto3.Session(aws_access_key_id='sandbox', aws_secret_access_key='sandbox', \
         region_name='eu-west-1')\nrds = session.client('rds', endpoint_url='{}')\n\
         {lines}\n",
        rig.endpoint
    );
    CommandOutput::from(Command::new(".venv/bin/python").args(["-c", &script]).output().unwrap()).assert_code(0);
}

/// Refused by preflight with `message`, without a change; and the doctor says it, too.
#[track_caller]
fn refused(rig: &TestSandbox, estate: &str, target: &str, message: &str) {
    std::fs::write(&rig.config, estate).unwrap();
    rig.run(&["restore-test", target]).assert_code(2).assert_contains(message).assert_contains("hint");
    let doctor = rig.run(&["doctor"]);
    assert_ne!(doctor.code, 0, "{}", doctor.out);
    doctor.assert_contains(message);
    assert!(!changed(rig));
}

fn with(estate: &str, line: &str) -> String {
    [HEAD, estate].concat().replacen("[database.restore_test]", &format!("[database.restore_test]\n{line}"), 1)
}

#[test]
fn admin_is_refused_where_aws_reserves_it() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    for estate in [POSTGRES, DOCUMENTDB] {
        let estate = [HEAD, estate].concat().replace("shop_admin", "admin");
        std::fs::write(&rig.config, estate).unwrap();
        rig.run(&["restore-test", "--all"])
            .assert_code(2)
            .assert_contains("`admin` is reserved")
            .assert_contains("hint:");
    }
}

/// Where Extended Support is declined, AWS restores a version that is past its support as a newer one.
#[test]
fn an_old_version_is_restored_as_what_it_is() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.control("POST", "database", &json!({ "id": "shop-pg", "engine_version": "13.20" }));
    std::fs::write(&rig.config, with(POSTGRES, "parameter_group = \"default.postgres13\"")).unwrap();
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(0);
    let differences = document["tests"][0]["differences"].to_string();
    assert!(!differences.contains("engine version"), "{differences}");
}

#[test]
fn what_could_not_finish_is_refused_before_anything_is_made() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL, DOCUMENTDB].concat());
    let other_user = MYSQL.replace("shop_admin", "reporting");
    refused(&rig, &[HEAD, &other_user].concat(), "shop-my", "the master user, which is `shop_admin`");
    let no_class = with(POSTGRES, "instance_class = \"db.m99.huge\"");
    refused(&rig, &no_class, "shop-pg", "AWS does not offer `db.m99.huge`");
    let family = with(POSTGRES, "parameter_group = \"default.postgres14\"");
    refused(&rig, &family, "shop-pg", "parameter group `default.postgres14`");
    let group = with(POSTGRES, "option_group = \"nobody-made-it\"");
    refused(&rig, &group, "shop-pg", "there is no option group `nobody-made-it`");
    let group = [HEAD, POSTGRES].concat().replace("sg-0a1b2c3d4e5f60718", "sg-0000000000000dead");
    refused(&rig, &group, "shop-pg", "The security group 'sg-0000000000000dead' does not exist");
    let no_ca = [HEAD, POSTGRES].concat().replace("ca       = \"sandbox-ca.pem\"\n", "");
    refused(&rig, &no_ca, "shop-pg", "has no `ca`");
    let lost_ca = [HEAD, POSTGRES].concat().replace("sandbox-ca.pem", "nowhere.pem");
    refused(&rig, &lost_ca, "shop-pg", "nowhere.pem");
    let bounded = [HEAD, "instance_classes = [\"db.t4g.*\"]\n", POSTGRES].concat();
    refused(&rig, &bounded, "shop-pg", "is none of those that copies may have");
    let no_groups = HEAD.replace("security_groups = [\"sg-0a1b2c3d4e5f60718\"]\n", "");
    refused(&rig, &[&no_groups, POSTGRES].concat(), "shop-pg", "without `security_groups`");
    let vault = "arn:aws:backup:eu-west-1:123456789012:recovery-point:1";
    rig.run(&["restore-test", "shop-my", "--point", vault]).assert_code(2);
    std::fs::write(&rig.config, [HEAD, MYSQL].concat()).unwrap();
    rig.run(&["restore-test", "shop-my", "--point", vault]).assert_code(2).assert_contains("AWS Backup vault");
    let elsewhere = "arn:aws:rds:us-east-1:123456789012:snapshot:by-hand";
    rig.run(&["restore-test", "shop-my", "--point", elsewhere]).assert_code(2).assert_contains("copy-db-snapshot");
}

#[test]
fn without_a_username_the_master_user_of_the_backup_logs_in() {
    if !require_engines(&[Engine::Mariadb, Engine::Postgres]) {
        return;
    }
    let estate = [HEAD, MYSQL, AURORA_POSTGRES].concat().replace("username = \"shop_admin\"\n", "");
    let rig = TestSandbox::start(&estate);
    rig.run(&["restore-test", "--all"]).assert_code(0);
    rig.run(&["restore-test", "--all", "--dry-run"]).assert_code(0).assert_contains("connect as `sandbox_master`");
}

#[test]
fn another_class_is_taken_where_aws_has_no_capacity() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let classes = "instance_class = \"db.r6g.large\"\ninstance_classes = [\"db.m6g.large\"]";
    for (estate, target, action) in
        [(POSTGRES, "shop-pg", "RestoreDBInstanceFromDBSnapshot"), (AURORA_POSTGRES, "shop-apg", "CreateDBInstance")]
    {
        let classes = if target == "shop-apg" { classes.replace("m6g", "r5") } else { classes.to_owned() };
        let rig = TestSandbox::start(&with(estate, &classes));
        rig.fault(json!({ "action": action, "effect": { "code": "InsufficientDBInstanceCapacity" } }));
        let (ran, document) = rig.test(&[target]);
        ran.assert_code(0);
        let taken = if target == "shop-apg" { "db.r5.large" } else { "db.m6g.large" };
        let differences = document["tests"][0]["differences"].to_string();
        assert!(differences.contains(taken), "{differences}");
        // Where nothing else is left, it says what to do.
        rig.fault(json!({ "action": action, "times": 9, "effect": { "code": "InsufficientDBInstanceCapacity" } }));
        let (ran, document) = rig.test(&[target]);
        ran.assert_code(3);
        let hint = document["tests"][0]["hint"].to_string();
        assert!(hint.contains("instance_class"), "{hint}");
    }
}

#[test]
fn a_source_that_is_gone_is_restored_from_what_is_left_as_it_was() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    boto3(
        &rig,
        "rds.modify_db_instance(DBInstanceIdentifier='shop-pg', DeletionProtection=False, ApplyImmediately=True)\n\
         rds.delete_db_instance(DBInstanceIdentifier='shop-pg', SkipFinalSnapshot=True, DeleteAutomatedBackups=False)",
    );
    rig.control("POST", "advance", &json!({ "seconds": 1800 }));
    // Nobody can say how far an RPO reaches of what is gone; the data is proved all the same.
    let (ran, document) = rig.test(&["shop-pg", "--point", "pitr"]);
    ran.assert_code(3).assert_contains("");
    let test = &document["tests"][0];
    assert!(test["reason"].as_str().unwrap().starts_with("the RPO is unknown"), "{test}");
    assert!(test["checks"].as_array().unwrap().iter().all(|check| check["outcome"] == "passed"), "{test}");
    assert!(test["notes"].to_string().contains("itself is gone"), "{test}");
    let ran = rig.run(&["restore-test", "shop-pg", "--point", "pitr", "--dry-run"]).assert_code(0);
    let ran = ran
        .assert_contains("SourceDbiResourceId = ")
        .assert_contains("DBParameterGroupName = shop-pg-params")
        .assert_contains("DBInstanceClass = ");
    drop(ran);
}
