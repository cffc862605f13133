//! What the sandbox can make go wrong, and that drctl lives with it.

use super::support::{AURORA_POSTGRES, Engine, HEAD, POSTGRES, TestSandbox, outcome, require_engines};
use serde_json::{Value, json};

#[test]
fn a_connection_or_an_answer_that_breaks_is_asked_for_again() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    let effects = [
        json!("reset"),
        json!("lost-reset"),
        json!("truncated"),
        json!({ "slow": 0.5 }),
        json!({ "answer": { "status": 503, "code": "ServiceUnavailable" } }),
    ];
    for effect in effects {
        rig.control("DELETE", "faults", &Value::Null);
        for action in ["DescribeDBInstances", "RestoreDBInstanceFromDBSnapshot", "DeleteDBInstance", "GetSecretValue"] {
            rig.fault(json!({ "action": action, "effect": effect }));
        }
        let ran = rig.run(&["restore-test", "shop-pg"]);
        assert_eq!(ran.code, 0, "{effect}: {}\n{}", ran.out, ran.err);
        assert_eq!(rig.state(), before, "{effect}");
    }
}

#[test]
fn answers_that_cannot_be_read_leave_nothing_behind() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    for action in ["DescribeDBInstances", "RestoreDBInstanceFromDBSnapshot", "ModifyDBInstance", "DeleteDBInstance"] {
        rig.control("DELETE", "faults", &Value::Null);
        rig.fault(json!({ "action": action, "effect": "malformed" }));
        let ran = rig.run(&["restore-test", "shop-pg"]);
        assert!([0, 3, 4].contains(&ran.code), "{action}: {} {}\n{}", ran.code, ran.out, ran.err);
        rig.run(&["reap"]).assert_code(0);
        assert_eq!(rig.state(), before, "{action}");
    }
}

#[test]
fn an_error_code_of_aws_is_named_and_leaves_nothing_behind() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    for code in ["InstanceQuotaExceeded", "InsufficientDBInstanceCapacity", "KMSKeyNotAccessibleFault"] {
        rig.control("DELETE", "faults", &Value::Null);
        rig.fault(json!({ "action": "RestoreDBInstanceFromDBSnapshot", "times": 9, "effect": { "code": code } }));
        let (ran, document) = rig.test(&["shop-pg"]);
        assert_ne!(ran.code, 0, "{code}");
        assert_ne!(outcome(&document), "passed", "{code}");
        assert!(ran.out.contains(code) || ran.err.contains(code), "{code}: {}\n{}", ran.out, ran.err);
        assert_eq!(rig.state(), before, "{code}");
    }
}

#[test]
fn faults_can_be_bound_to_a_resource_and_to_chance() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES].concat());
    let before = rig.state();
    // Only the cluster's restore is refused.
    let refused = json!({ "code": "InsufficientDBClusterCapacityFault" });
    rig.fault(
        json!({ "action": "RestoreDBClusterFromSnapshot", "resource": "shop-pg", "times": 9, "effect": refused }),
    );
    rig.run(&["restore-test", "--all"]).assert_code(0);
    rig.control("DELETE", "faults", &Value::Null);
    // One call in ten fails; each is tried five times.
    rig.fault(json!({ "service": "rds", "probability": 0.1, "seed": 3, "effect": "error" }));
    rig.run(&["restore-test", "--all"]).assert_code(0);
    assert_eq!(rig.state(), before);
}

#[test]
fn the_log_of_calls_has_their_arguments_and_no_secret() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "shop-pg"]);
    let calls = rig.control("GET", "calls", &Value::Null);
    let find = |action: &str| calls.as_array().unwrap().iter().find(|call| call["action"] == action).unwrap().clone();
    let restore = find("RestoreDBInstanceFromDBSnapshot");
    assert_eq!(restore["region"], "eu-west-1");
    assert_eq!(restore["caller"], "arn:aws:iam::123456789012:user/sandbox");
    assert_eq!(restore["arguments"]["DBSubnetGroupName"], "drctl-quarantine");
    assert_eq!(restore["arguments"]["PubliclyAccessible"], "false");
    // The key that names the databases' password is not the password.
    assert_eq!(find("GetSecretValue")["arguments"]["SecretId"], "shop/pg");
}

#[test]
fn a_role_is_assumed_and_works_in_its_own_account() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let role = "name   = \"shop\"\nrole_arn = \"arn:aws:iam::999999999999:role/ops/drctl\"";
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat().replace("name   = \"shop\"", role));
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    let calls = rig.control("GET", "calls", &Value::Null);
    let callers: Vec<_> = calls.as_array().unwrap().iter().filter(|call| call["service"] == "rds").collect();
    let assumed = "arn:aws:sts::999999999999:assumed-role/drctl/";
    assert!(callers.iter().all(|call| call["caller"].as_str().unwrap().starts_with(assumed)), "{callers:?}");
    // Whoever calls without the role is in another account, where there is nothing.
    let text = std::fs::read_to_string(&rig.config).unwrap();
    std::fs::write(&rig.config, text.replace("role_arn", "# role_arn")).unwrap();
    let ran = rig.run(&["restore-test", "shop-pg"]);
    assert_ne!(ran.code, 0, "{ran:?}");
}
