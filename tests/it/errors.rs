//! Bad input and bad days: a clear message with the next step, the right exit code, and nothing left behind.

use std::process::Command;

use super::support::{
    CommandOutput, DOCUMENTDB, DRCTL, Engine, HEAD, MYSQL, POSTGRES, Scratch, TestSandbox, checks, outcome,
    require_engines,
};
use serde_json::json;

/// What `drctl iam-policy` says to a configuration: it needs nothing else.
fn configured(text: &str) -> CommandOutput {
    let scratch = Scratch::new();
    let config = scratch.0.join("drctl.toml");
    std::fs::write(&config, text).unwrap();
    let output = Command::new(DRCTL).args(["iam-policy", "--config"]).arg(&config).output().unwrap();
    CommandOutput::from(output)
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_neighbour() {
    let text = format!("{HEAD}{POSTGRES}\n[daemon]\nlisten = \"127.0.0.1:9000\"\ncolour = 1\n");
    let line = text.lines().position(|line| line.starts_with("colour")).unwrap() + 1;
    configured(&text)
        .assert_code(2)
        .assert_contains(&format!("drctl.toml:{line}: `daemon.colour`: is not a known key"));
    configured(&format!("{HEAD}[[database]]\nid = \"a\"\nkinde = \"rds-mysql\"\nkind = \"rds-mysql\"\n"))
        .assert_code(2)
        .assert_contains("did you mean `kind`?");
}

#[test]
fn a_bad_duration_is_told_how_to_write_one() {
    let text = [HEAD, POSTGRES].concat().replace("retention = \"7d\"", "retention = \"a week\"");
    configured(&text)
        .assert_code(2)
        .assert_contains("`a week` is not valid")
        .assert_contains("write a duration such as");
}

#[test]
fn a_stage_that_writes_is_refused_wherever_it_stands() {
    let pipeline = |stage: &str| {
        let there = r#"[{"$match": {"shipped": true, "paid": false}}, {"$group": {"_id": null, "n": {"$sum": 1}}}]"#;
        assert!(DOCUMENTDB.contains(there));
        [HEAD, DOCUMENTDB].concat().replace(there, stage)
    };
    for stage in [
        r#"[{"$out": "copy"}]"#,
        r#"[{"$facet": {"a": [{"$match": {}}, {"$merge": {"into": "copy"}}]}}]"#,
        r#"[{"$lookup": {"from": "b", "as": "c", "pipeline": [{"$out": "copy"}]}}]"#,
        r#"[{"$unionWith": {"coll": "b", "pipeline": [{"$merge": "copy"}]}}]"#,
    ] {
        configured(&pipeline(stage)).assert_code(2).assert_contains("which writes; no check may write");
    }
    configured(&pipeline(r#"[{"$match": {"a": {"$gt": 1}}}]"#)).assert_code(0);
}

#[test]
fn two_targets_of_one_name_are_refused() {
    configured(&[HEAD, POSTGRES, POSTGRES].concat())
        .assert_code(2)
        .assert_contains("`shop-pg` is the name of another target");
}

#[test]
fn a_secret_in_plain_text_is_refused_and_not_repeated() {
    let text = [HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", "hunter2");
    let ran = configured(&text).assert_code(2).assert_contains("secret in plain text").assert_contains("env:NAME");
    assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"));
}

#[test]
fn a_password_in_the_clear_stays_on_this_machine() {
    let with = |settings: &str| {
        let text = [HEAD, POSTGRES].concat();
        configured(&text.replace("password = \"secretsmanager:shop/pg\"", settings))
    };
    with("tls = \"off\"").assert_code(2).assert_contains("would send the password in the clear beyond this machine");
    with("tls = \"off\"\nconnect = \"10.0.0.7:5432\"").assert_code(2).assert_contains("`tls = \"verify-full\"`");
    with("tls = \"off\"\nconnect = \"127.0.0.1:5432\"").assert_code(0);
}

#[test]
fn a_configuration_that_is_not_there() {
    let output = Command::new(DRCTL).args(["doctor", "--config", "/nowhere/drctl.toml"]).output().unwrap();
    CommandOutput::from(output)
        .assert_code(2)
        .assert_contains("there is no configuration `/nowhere/drctl.toml`")
        .assert_contains("hint:");
}

#[test]
fn a_target_that_is_not_configured() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "nobody"])
        .assert_code(2)
        .assert_contains("there is no target `nobody`")
        .assert_contains("shop-pg");
    rig.run(&["restore-test"])
        .assert_code(2)
        .assert_contains("no target given; the estate has: shop-pg")
        .assert_contains("--all");
}

#[test]
fn a_target_that_aws_does_not_have() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    std::fs::write(&rig.config, [HEAD, POSTGRES].concat().replace("shop-pg", "elsewhere")).unwrap();
    let before = rig.state();
    rig.run(&["restore-test", "elsewhere"])
        .assert_code(2)
        .assert_contains("there is no database `elsewhere`")
        .assert_contains("correct `id`");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_target_of_another_kind() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    std::fs::write(&rig.config, [HEAD, POSTGRES].concat().replace("rds-postgresql", "rds-mysql")).unwrap();
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(2)
        .assert_contains("`shop-pg` is `postgres`, not of kind `rds-mysql`");
}

#[test]
fn no_usable_snapshot() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat().replace("\"7d\"", "\"0s\""));
    let before = rig.state();
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1).assert_contains("no usable snapshot").assert_contains("aws rds describe-db-snapshots");
    assert_eq!(outcome(&document), "failed");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_snapshot_that_is_not_there_and_one_that_is_still_copying() {
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "1"]);
    rig.run(&["restore-test", "shop-pg", "--point", "nothing"])
        .assert_code(2)
        .assert_contains("there is no snapshot `nothing`");
    rig.control("POST", "snapshot", &json!({ "target": "shop-pg", "id": "in-the-making" }));
    rig.run(&["restore-test", "shop-pg", "--point", "in-the-making"])
        .assert_code(3)
        .assert_contains("snapshot `in-the-making` is `creating` (43%), not `available`")
        .assert_contains("wait until it is");
}

#[test]
fn a_missing_quarantine_and_a_missing_subnet_group() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    std::fs::write(&rig.config, [HEAD, POSTGRES].concat().replace("drctl-quarantine", "elsewhere")).unwrap();
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(2)
        .assert_contains("there is no subnet group `elsewhere`")
        .assert_contains("hint");
    let without = [HEAD.split("[quarantine]").next().unwrap(), POSTGRES].concat();
    std::fs::write(&rig.config, without).unwrap();
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(2)
        .assert_contains("there is no quarantine")
        .assert_contains("allow_default_network = true");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_quota_that_is_reached() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    rig.control("POST", "quota", &json!({ "instances": 2 }));
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(3)
        .assert_contains("2 of 2 `DBInstances`")
        .assert_contains("Service Quotas");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_key_that_is_disabled() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    rig.control("POST", "key", &json!({ "state": "PendingDeletion" }));
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(1)
        .assert_contains("is `PendingDeletion`")
        .assert_contains("enable the KMS key");
    // A role that may not look at keys learns it from the restore, whose answer is the same where the role alone is at fault.
    rig.fault(json!({ "service": "kms", "times": 99, "effect": "denied" }));
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(3)
        .assert_contains("KMSKeyNotAccessibleFault")
        .assert_contains("enable the KMS key");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_secret_that_is_not_there() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    std::fs::write(&rig.config, [HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", "env:NOT_SET_ANYWHERE"))
        .unwrap();
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(2)
        .assert_contains("`env:NOT_SET_ANYWHERE` is not set")
        .assert_contains("export");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_wrong_password() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    for (estate, target) in
        [(POSTGRES.to_owned(), "shop-pg"), (MYSQL.replace("username", "password = \"env:X\"\nusername"), "shop-my")]
    {
        let rig = TestSandbox::start(&[HEAD, &estate].concat());
        let before = rig.state();
        let wrong = estate.replace("secretsmanager:shop/pg", "env:DRCTL_WRONG").replace("env:X", "env:DRCTL_WRONG");
        std::fs::write(&rig.config, [HEAD, &wrong].concat()).unwrap();
        let output = rig.command(&["restore-test", target]).env("DRCTL_WRONG", "not the password").output().unwrap();
        // Nothing is known against the backup: the password may have been rotated.
        let ran = CommandOutput::from(output)
            .assert_code(3)
            .assert_contains("connect")
            .assert_contains("the password of its snapshot's time");
        assert!(!ran.out.contains("not the password") && !ran.err.contains("not the password"));
        assert_eq!(rig.state(), before);
    }
}

#[test]
fn a_certificate_that_does_not_verify() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb, Engine::Secantus]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL, super::support::DOCUMENTDB].concat());
    let before = rig.state();
    rig.control("POST", "distrust", &json!({}));
    let (ran, document) = rig.test(&["--all"]);
    ran.assert_code(1);
    for test in document["tests"].as_array().unwrap() {
        let connect = &test["checks"][0];
        assert_eq!(
            (connect["name"].as_str(), connect["outcome"].as_str()),
            (Some("connect"), Some("failed")),
            "{test:#}"
        );
        assert!(connect["fix"].as_str().unwrap().contains("set `ca`"), "{connect}");
    }
    assert_eq!(rig.state(), before);
}

#[test]
fn a_copy_that_never_becomes_available() {
    let estate =
        [HEAD, POSTGRES].concat().replace("[database.restore_test]", "[database.restore_test]\ndeadline = \"4s\"");
    let rig = TestSandbox::start(&estate);
    let before = rig.state();
    rig.fault(json!({ "action": "RestoreDBInstanceFromDBSnapshot", "effect": { "status": "upgrading" } }));
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1).assert_contains("was not done within 4s");
    assert_eq!(document["tests"][0]["rto"]["met"], false);
    assert_eq!(rig.state(), before);
}

#[test]
fn every_terminal_status_ends_the_wait_with_the_event_that_explains_it() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    for status in ["incompatible-restore", "storage-full", "inaccessible-encryption-credentials", "failed"] {
        rig.fault(json!({ "action": "RestoreDBInstanceFromDBSnapshot", "effect": { "status": status } }));
        rig.run(&["restore-test", "shop-pg"])
            .assert_code(1)
            .assert_contains(&format!("became `{status}`"))
            .assert_contains("AWS says: ");
        assert_eq!(rig.state(), before);
        rig.control("DELETE", "faults", &json!({}));
    }
}

#[test]
fn an_aws_that_answers_5xx_html_or_nothing() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    for effect in ["error", "html", "throttle"] {
        rig.fault(json!({ "times": 1000, "effect": effect }));
        rig.run(&["restore-test", "shop-pg"]).assert_code(3).assert_contains("hint:");
        rig.control("DELETE", "faults", &json!({}));
    }
    let output =
        rig.command(&["restore-test", "shop-pg"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    CommandOutput::from(output).assert_code(3).assert_contains("got no answer").assert_contains("drctl doctor");
    rig.fault(json!({ "times": 1000, "effect": "denied" }));
    rig.run(&["restore-test", "shop-pg"])
        .assert_code(2)
        .assert_contains("AccessDenied")
        .assert_contains("drctl iam-policy");
}

#[test]
fn one_call_that_is_never_answered_is_tried_again() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.fault(json!({ "action": "DescribeDBSnapshots", "effect": "silence" }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
}

#[test]
fn a_full_disk_under_the_journal() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    let mut seen = Vec::new();
    // The state file and its log may grow to so many KiB: too little to open, to begin, and to go on.
    for limit in [20, 60, 100, 140, 180, 220] {
        rig.forget();
        let script = format!("ulimit -f {limit}; trap '' XFSZ; exec {DRCTL} restore-test shop-pg --output json");
        let mut command = Command::new("bash");
        command.args(["-c", &script]);
        for (name, value) in rig.command(&[]).get_envs() {
            command.env(name, value.unwrap());
        }
        let ran = CommandOutput::from(command.output().unwrap());
        assert_eq!(rig.state(), before, "{limit} KiB: {}", ran.err);
        if ran.code != 0 {
            assert!([1, 2, 3].contains(&ran.code), "{limit} KiB: {ran:?}");
            assert!(ran.err.contains("hint:") || ran.out.contains("\"hint\": \""), "{limit} KiB: {ran:?}");
        }
        seen.push(ran.code);
    }
    assert!(seen.iter().any(|code| *code != 0), "no limit was ever reached: {seen:?}");
}

#[test]
fn a_state_file_that_is_damaged_or_newer() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let state = rig.scratch.0.join("drctl.db");
    std::fs::write(&state, "this is no database, and it is long enough to be looked at as one").unwrap();
    rig.run(&["runs", "list"]).assert_code(2).assert_contains("drctl.db").assert_contains("hint:");
    rig.forget();
    rig.run(&["runs", "list"]).assert_code(0);
    let script =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma user_version = 99'); c.commit()";
    let done = Command::new("python3").args(["-c", script]).arg(&state).status().unwrap();
    assert!(done.success());
    rig.run(&["runs", "list"]).assert_code(2).assert_contains("of a newer drctl").assert_contains("hint:");
}

#[test]
fn two_processes_on_one_state_file() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL].concat());
    let before = rig.state();
    let first = rig.command(&["restore-test", "shop-pg"]).spawn().unwrap();
    rig.run(&["restore-test", "shop-my"]).assert_code(0);
    assert!(first.wait_with_output().unwrap().status.success());
    assert_eq!(rig.state(), before);
    let list = rig.run(&["runs", "list"]).assert_code(0);
    assert_eq!(list.out.matches("passed").count(), 2 + list.out.matches("every check passed").count());
}

#[test]
fn a_check_whose_query_is_wrong_is_unknown_and_the_test_is_not_passed() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let check =
        "\n[[database.restore_test.check]]\nname = \"typo\"\nsql = \"select count(*) from oders\"\nexpect = \">= 1\"\n";
    let rig = TestSandbox::start(&[HEAD, POSTGRES, check].concat());
    let before = rig.state();
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(3);
    assert_eq!(checks(&document, "unknown"), ["typo"]);
    assert_eq!(rig.state(), before);
}

#[test]
fn a_check_that_would_write_is_not_let_through() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    let check = "\n[[database.restore_test.check]]\nname = \"sly\"\nsql = \"select 1) x; delete from orders; select (1\"\nexpect = \"1\"\n";
    let rig = TestSandbox::start(&[HEAD, POSTGRES, check, MYSQL, check].concat());
    let (ran, document) = rig.test(&["--all"]);
    ran.assert_code(3);
    for test in document["tests"].as_array().unwrap() {
        let sly = test["checks"].as_array().unwrap().iter().find(|check| check["name"] == "sly").unwrap();
        assert_eq!(sly["outcome"], "unknown", "{sly}");
    }
}
