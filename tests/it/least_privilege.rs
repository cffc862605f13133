//! drctl under the policy that it prints: enough for everything, and each action of it needed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::support::{
    AURORA_MYSQL, AURORA_POSTGRES, CommandOutput, DOCUMENTDB, Engine, HEAD, MYSQL, POSTGRES, TestSandbox, outcome,
    require_engines,
};

const TOPIC: &str =
    "[[notify]]\nname = \"audit\"\nsns = { topic_arn = \"arn:aws:sns:eu-west-1:123456789012:audit\" }\n";
const ROLE: &str = "role_arn = \"arn:aws:iam::123456789012:role/drctl\"\n";

const DAEMON: &str = "\n[daemon]\nlisten = \"127.0.0.1:0\"\nreap = \"rate(1 minute)\"\n";

/// An estate of databases that are gone, and of one with an option group of its own.
const OTHER: &str = "other.toml";

fn with_role(databases: &[&str]) -> String {
    let head = HEAD.replace("name   = \"shop\"\n", &format!("name   = \"shop\"\n{ROLE}"));
    [&[head.as_str()], databases, &[TOPIC]].concat().concat()
}

/// What `drctl iam-policy` prints.
fn printed(rig: &TestSandbox, arguments: &[&str]) -> Value {
    let all = [&["iam-policy"], arguments].concat();
    serde_json::from_str(&rig.run(&all).assert_code(0).out).unwrap()
}

fn allow(rig: &TestSandbox, policies: &[Value]) {
    rig.control("POST", "policies", &json!({ "policies": policies }));
}

/// The value, or the values, of a member.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap()
}

/// The policy without one action of one statement.
fn without(policy: &Value, sid: &str, action: &str) -> Value {
    let mut left = policy.clone();
    let kept = statements(policy).iter().filter_map(|statement| {
        let mut statement = statement.clone();
        if statement["Sid"] == sid {
            let actions: Vec<String> = texts(&statement["Action"]).into_iter().filter(|one| one != action).collect();
            if actions.is_empty() {
                return None;
            }
            statement["Action"] = json!(actions);
        }
        Some(statement)
    });
    left["Statement"] = kept.collect();
    left
}

/// Whatever was called is named in the policy: nothing went past it.
fn called_only(rig: &TestSandbox, policy: &Value) {
    let allowed: BTreeSet<String> =
        statements(policy).iter().flat_map(|statement| texts(&statement["Action"])).collect();
    let free = ["sts:GetCallerIdentity", "sts:AssumeRole"];
    for call in rig.calls().iter().filter(|call| !free.contains(&call.as_str())) {
        assert!(allowed.contains(call), "{call} was called and is not in the policy");
    }
}

#[test]
fn the_printed_policy_is_enough_for_everything() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb, Engine::Secantus]) {
        return;
    }
    let rig = TestSandbox::start(&with_role(&[POSTGRES, MYSQL, AURORA_POSTGRES, AURORA_MYSQL, DOCUMENTDB]));
    let before = rig.state();
    allow(&rig, &[printed(&rig, &[]), printed(&rig, &["--base"])]);
    for target in ["shop-pg", "shop-my", "shop-apg", "shop-amy", "shop-docs"] {
        let (ran, document) = rig.test(&[target]);
        assert_eq!(outcome(&document), "passed", "{target}: {}\n{}", ran.out, ran.err);
    }
    let (ran, document) = rig.test(&["shop-pg", "--point", "pitr"]);
    assert_eq!(outcome(&document), "passed", "{}\n{}", ran.out, ran.err);
    rig.run(&["notify", "test", "audit"]).assert_code(0);
    let doctor = rig.run(&["doctor"]);
    assert!(!doctor.out.contains("not authorized"), "{}", doctor.out);
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(rig.state(), before);
    called_only(&rig, &printed(&rig, &[]));
}

#[test]
fn the_daemon_needs_nothing_more() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let due = POSTGRES.replace("[database.restore_test]", "[database.restore_test]\nschedule = \"rate(1 minute)\"");
    let estate = with_role(&[DAEMON, &due]).replace("name = \"audit\"\n", "name = \"audit\"\non = [\"passed\"]\n");
    let rig = TestSandbox::with(&estate, &["--time-scale", "60"]);
    let (policy, base) = (printed(&rig, &[]), printed(&rig, &["--base"]));
    allow(&rig, &[policy.clone(), base]);
    let agent = Agent::start(&rig);
    agent.wait_for("a test has ended");
    agent.wait_until("the message", |_| rig.calls().iter().any(|call| call.eq_ignore_ascii_case("sns:Publish")));
    let looks = || rig.calls().iter().filter(|call| *call == "rds:DescribeDBInstances").count();
    let before = looks();
    agent.wait_until("reaping", |_| looks() > before);
    assert!(!agent.log().contains("not authorized"), "{}", agent.log());
    assert_eq!(agent.stop(), 0);
    assert!(rig.runs().iter().any(|run| run["outcome"] == "passed"), "{}", rig.run(&["runs", "list"]).out);
    called_only(&rig, &policy);
}

#[test]
fn the_policy_lets_nothing_else_be_touched() {
    let rig = TestSandbox::start(&with_role(&[POSTGRES, DOCUMENTDB]));
    let policy = printed(&rig, &[]);
    let own = [("aws:RequestTag/drctl:run-id", "x"), ("rds:PubliclyAccessible", "false")];
    let made = [("aws:ResourceTag/drctl:run-id", "x")];
    let arn = |kind: &str, id: &str| format!("arn:aws:rds:eu-west-1:123456789012:{kind}:{id}");
    for (action, resource, context, decision) in [
        ("rds:RestoreDBInstanceFromDBSnapshot", arn("db", "drctl-x"), &own[..], "allowed"),
        ("rds:RestoreDBInstanceFromDBSnapshot", arn("db", "drctl-x"), &own[..1], "implicitDeny"),
        (
            "rds:RestoreDBInstanceFromDBSnapshot",
            arn("db", "drctl-x"),
            &[own[0], ("rds:PubliclyAccessible", "true")],
            "implicitDeny",
        ),
        ("rds:RestoreDBInstanceFromDBSnapshot", arn("db", "drctl-x"), &own[1..], "implicitDeny"),
        ("rds:RestoreDBInstanceFromDBSnapshot", arn("db", "production"), &own[..], "implicitDeny"),
        ("rds:RestoreDBInstanceFromDBSnapshot", arn("subgrp", "public"), &own[..], "implicitDeny"),
        ("rds:CreateDBInstance", arn("cluster", "shop-docs"), &own[..], "implicitDeny"),
        ("rds:DeleteDBInstance", arn("db", "drctl-x"), &made[..], "allowed"),
        ("rds:DeleteDBInstance", arn("db", "drctl-x"), &[], "implicitDeny"),
        ("rds:DeleteDBInstance", arn("db", "shop-pg"), &made[..], "implicitDeny"),
        ("rds:ModifyDBCluster", arn("cluster", "shop-docs"), &made[..], "implicitDeny"),
        ("rds:AddTagsToResource", arn("db", "shop-pg"), &own[..], "implicitDeny"),
        ("rds:DeleteDBSnapshot", arn("snapshot", "x"), &made[..], "implicitDeny"),
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/x".to_owned(), &[], "implicitDeny"),
        (
            "kms:CreateGrant",
            "arn:aws:kms:eu-west-1:123456789012:key/x".to_owned(),
            &[("kms:ViaService", "rds.eu-west-1.amazonaws.com")],
            "implicitDeny",
        ),
        (
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-a1B2c3".to_owned(),
            &[],
            "implicitDeny",
        ),
    ] {
        let context: serde_json::Map<String, Value> =
            context.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let asked = json!({ "policy": policy, "action": action, "resource": resource, "context": context });
        assert_eq!(rig.control("POST", "simulate", &asked), decision, "{asked:#}");
    }
}

/// The command that notices soonest that an action of a statement is missing.
fn noticing(sid: &str, action: &str) -> Vec<&'static str> {
    let test = |target: &'static str| vec!["restore-test", target];
    match action {
        "rds:DescribeEvents" => test("shop-pg"),
        "rds:DescribeDBInstanceAutomatedBackups" => vec!["restore-test", "gone-pg", "--point", "pitr"],
        "rds:DescribeDBClusterAutomatedBackups" => vec!["restore-test", "gone-apg", "--point", "pitr"],
        _ if sid == "LookAtKeys" || sid == "ReadSecrets" || sid == "ReadSecretsKeys" => vec!["doctor"],
        _ if sid.starts_with("TellPeople") => vec!["notify", "test", "audit"],
        "rds:RestoreDBInstanceToPointInTime" => vec!["restore-test", "shop-pg", "--point", "pitr"],
        "rds:RestoreDBClusterToPointInTime" => vec!["restore-test", "shop-docs", "--point", "pitr"],
        "rds:RestoreDBClusterFromSnapshot" | "rds:CreateDBInstance" | "rds:ModifyDBCluster" | "rds:DeleteDBCluster" => {
            test("shop-docs")
        }
        "rds:ModifyDBInstance" => test("shop-my"),
        _ if sid == "Look" || action.starts_with("sts:") => vec!["doctor"],
        _ => test("shop-pg"),
    }
}

#[test]
fn each_action_that_is_taken_out_of_the_policy_is_missed_by_name() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb, Engine::Secantus]) {
        return;
    }
    let rig = TestSandbox::start(&with_role(&[POSTGRES, MYSQL, DOCUMENTDB]));
    let (policy, base) = (printed(&rig, &[]), printed(&rig, &["--base"]));
    let gone = [POSTGRES, AURORA_POSTGRES].concat().replace("shop-pg", "gone-pg").replace("shop-apg", "gone-apg");
    let grouped = MYSQL.replace("database = \"shop\"", "database = \"shop\"\noption_group = \"audited\"");
    std::fs::write(rig.scratch.0.join(OTHER), with_role(&[&gone, &grouped])).unwrap();
    let mut unnoticed = Vec::new();
    for of in [&policy, &base] {
        for statement in statements(of) {
            let sid = statement["Sid"].as_str().unwrap();
            // The reference marks it as required; drctl asks for no final snapshot, and the sandbox for none either.
            // What `drctl keep` needs has a test of its own, below.
            if sid == "RemoveClustersAsTheReferenceHasIt" || sid == "GiveCopiesToPeople" {
                continue;
            }
            for action in texts(&statement["Action"]) {
                let left = [without(&policy, sid, &action), without(&base, sid, &action)];
                let ran = miss(&rig, &left, sid, &action);
                allow(&rig, &[policy.clone(), base.clone()]);
                rig.control("DELETE", "faults", &Value::Null);
                if ran.code == 4 {
                    rig.run(&["reap"]).assert_code(0);
                }
                // SNS writes its own name in capitals.
                let named = action.trim_end_matches('*').to_lowercase();
                let said = [ran.out.as_str(), ran.err.as_str()].concat();
                if ran.code == 0 || !said.to_lowercase().contains(&named) {
                    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("passed")).collect();
                    unnoticed.push(format!("{sid} {action}: exit {}\n{}", ran.code, lines.join("\n")));
                }
            }
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n----\n"));
}

#[test]
fn a_copy_is_kept_under_the_policy_and_not_without_its_action() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&with_role(&[POSTGRES]));
    let (policy, base) = (printed(&rig, &[]), printed(&rig, &["--base"]));
    let action = "rds:RemoveTagsFromResource";
    allow(&rig, &[without(&policy, "GiveCopiesToPeople", action), base.clone()]);
    rig.run(&["restore-test", "shop-pg", "--keep-for", "3h"]).assert_code(0);
    let state = rig.control("GET", "state", &Value::Null);
    let mut ids = state.as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap());
    let copy = ids.find(|id| id.starts_with("drctl-")).unwrap();
    let refused = rig.run(&["keep", copy]).assert_contains(action);
    assert_ne!(refused.code, 0, "{}", refused.out);
    allow(&rig, &[policy, base]);
    rig.run(&["keep", copy]).assert_code(0).assert_contains("drctl will not remove");
}

/// Runs what notices a missing action under what is left of the policies.
fn miss(rig: &TestSandbox, left: &[Value], sid: &str, action: &str) -> CommandOutput {
    if action == "rds:DescribeEvents" {
        rig.fault(
            json!({ "action": "RestoreDBInstanceFromDBSnapshot", "effect": { "status": "incompatible-network" } }),
        );
    }
    allow(rig, left);
    let arguments = noticing(sid, action);
    let mut command = rig.command(&arguments);
    if action == "rds:DescribeOptionGroups" || arguments.iter().any(|argument| argument.starts_with("gone-")) {
        command.env("DRCTL_CONFIG", rig.scratch.0.join(OTHER));
    }
    CommandOutput::from(command.output().unwrap())
}
