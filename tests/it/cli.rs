//! The other verbs.

use std::process::Command;

use super::support::{AURORA_POSTGRES, CommandOutput, DOCUMENTDB, DRCTL, HEAD, MYSQL, POSTGRES, Scratch, TestSandbox};
use serde_json::Value;

#[test]
fn the_policy_deletes_only_what_carries_the_tag() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES].concat());
    let policy: Value = serde_json::from_str(&rig.run(&["iam-policy"]).assert_code(0).out).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    for statement in policy["Statement"].as_array().unwrap() {
        let text = statement.to_string();
        // AWS's reference asks for it with a cluster; there is no tag to look at on a snapshot that is never made.
        if statement["Sid"] == "RemoveClustersAsTheReferenceHasIt" {
            assert!(statement["Resource"].as_str().unwrap().ends_with(":cluster-snapshot:drctl-*"));
            continue;
        }
        if text.contains("rds:Delete") || text.contains("rds:Modify") {
            assert!(text.contains("aws:ResourceTag/drctl:run-id"), "{statement:#}");
            assert!(!text.contains("shop-pg"), "a source may be changed: {statement:#}");
        }
        assert!(!text.contains("\"Action\":\"*\""));
    }
    assert!(policy.to_string().contains("secret:shop/pg-??????"));
}

#[test]
fn the_doctor_finds_everything_in_order_and_then_not() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL, DOCUMENTDB].concat());
    let before = rig.state();
    let ran = rig
        .run(&["doctor"])
        .assert_code(0)
        .assert_contains("account 123456789012")
        .assert_contains("subnet group `drctl-quarantine`");
    assert!(!ran.out.contains("failed"));
    assert_eq!(ran.out.matches("answers from here").count(), 3);
    let _ = ran.assert_contains("no outbound rule leads out of the security groups");
    let group = serde_json::json!({ "kind": "security", "name": "sg-0a1b2c3d4e5f60718", "egress": ["0.0.0.0/0"] });
    rig.control("POST", "group", &group);
    rig.run(&["doctor"])
        .assert_code(3)
        .assert_contains("`sg-0a1b2c3d4e5f60718` lets traffic out to 0.0.0.0/0")
        .assert_contains("hint:");
    rig.fault(serde_json::json!({ "service": "ec2", "effect": "denied" }));
    rig.run(&["doctor"]).assert_code(3).assert_contains("allow `ec2:DescribeSecurityGroups`");
    std::fs::write(&rig.config, [HEAD, POSTGRES].concat().replace("drctl-quarantine", "elsewhere")).unwrap();
    rig.run(&["doctor"])
        .assert_code(1)
        .assert_contains("there is no subnet group `elsewhere`")
        .assert_contains("hint:");
    assert_eq!(rig.state(), before);
}

#[test]
fn shipped_runbooks_are_fine_and_bad_ones_are_told_why() {
    for file in ["runbooks/restore-test-cluster.md", "runbooks/restore-test-instance.md"] {
        CommandOutput::from(Command::new(DRCTL).args(["runbook", "lint", file]).output().unwrap()).assert_code(0);
    }
    let good = std::fs::read_to_string("runbooks/restore-test-cluster.md").unwrap();
    let good = good.replace("id     = \"copy\"", "id     = \"copy\"\ndeadline = \"90m\"");
    let scratch = Scratch::new();
    for (wrong, right, message) in [
        ("database.restor\"", "database.restore\"", "`database.restor` is not known"),
        ("{{ pint }}", "{{ point }}", "`pint` names nothing"),
        ("{{ inputs.targt }}", "{{ inputs.target }}", "`inputs.targt` names nothing"),
        ("colour = 1\nid     = \"proof\"", "id     = \"proof\"", "`colour`: is not a known key"),
        ("\"{{ point }}\"", "\"{{ copy }}\"", "`point` is a restore point, not a restored copy"),
        ("\"a while\"", "\"90m\"", "`a while` is not valid"),
        ("kind   = \"rehearsal\"", "kind   = \"drill\"", "`rehearsal` is not known"),
    ] {
        let bad = good.replacen(right, wrong, 1);
        assert_ne!(bad, good, "{right} is not in the runbook");
        let file = scratch.0.join("bad.md");
        std::fs::write(&file, bad).unwrap();
        let output = Command::new(DRCTL).args(["runbook", "lint"]).arg(&file).output().unwrap();
        CommandOutput::from(output)
            .assert_code(2)
            .assert_contains(message)
            .assert_contains("bad.md:")
            .assert_contains("hint:");
    }
}

#[test]
fn a_lint_names_the_line_of_the_step() {
    let good = std::fs::read_to_string("runbooks/restore-test-cluster.md").unwrap();
    let good = good.replace("id     = \"copy\"", "id     = \"copy\"\ndeadline = \"90m\"");
    let bad = good.replace("\"90m\"", "\"soon\"");
    let line = bad.lines().position(|line| line.contains("\"soon\"")).unwrap() + 1;
    let scratch = Scratch::new();
    let file = scratch.0.join("bad.md");
    std::fs::write(&file, bad).unwrap();
    let output = Command::new(DRCTL).args(["runbook", "lint"]).arg(&file).output().unwrap();
    CommandOutput::from(output).assert_code(2).assert_contains(&format!("bad.md:{line}: `deadline`"));
}

#[test]
fn another_runbook_can_be_run() {
    if !super::support::require_engines(&[super::support::Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES].concat());
    let own = std::fs::read_to_string("runbooks/restore-test-instance.md").unwrap();
    let own = own.replace("point  = \"{{ point }}\"", "point  = \"{{ point }}\"\ninstance_class = \"db.m6g.large\"");
    let file = rig.scratch.0.join("own.md");
    std::fs::write(&file, own).unwrap();
    let file = file.display().to_string();
    // More people write runbooks than say what a test may cost.
    rig.run(&["restore-test", "shop-pg", "--runbook", &file])
        .assert_code(2)
        .assert_contains("asks for class `db.m6g.large`");
    let bounded = [HEAD, "instance_classes = [\"db.m6g.*\"]\n", POSTGRES, AURORA_POSTGRES].concat();
    std::fs::write(&rig.config, bounded).unwrap();
    let (ran, document) = rig.test(&["shop-pg", "--runbook", &file]);
    ran.assert_code(0);
    let lacks = document["tests"][0]["differences"].to_string();
    assert!(lacks.contains("db.m6g.large"), "{lacks}");
    rig.run(&["restore-test", "shop-apg", "--runbook", &file]).assert_code(2).assert_contains("is not for `shop-apg`");
}

#[test]
fn a_first_configuration_is_written_and_never_overwritten() {
    let scratch = Scratch::new();
    let init = |more: &[&str]| {
        let mut command = Command::new(DRCTL);
        command.args(["init"]).args(more).current_dir(&scratch.0).env_remove("DRCTL_CONFIG");
        CommandOutput::from(command.output().unwrap())
    };
    init(&["--database", "orders=rds-postgres"]).assert_code(2).assert_contains("did you mean `rds-postgresql`?");
    init(&["--database", "orders=rds-postgresql"]).assert_code(0).assert_contains("drctl doctor");
    let file = scratch.0.join("drctl.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("\"orders\""), "{written}");
    init(&[]).assert_code(2).assert_contains("exists already; it was not changed");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    let output = Command::new(DRCTL).args(["iam-policy", "--config"]).arg(&file).output().unwrap();
    CommandOutput::from(output).assert_code(0);
}

#[test]
fn every_command_has_an_example_and_old_flags_still_work() {
    let help = |arguments: &[&str]| CommandOutput::from(Command::new(DRCTL).args(arguments).output().unwrap());
    let all = help(&["--help"]).assert_code(0).out;
    let verbs = all.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let verbs: Vec<_> = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    for verb in verbs.into_iter().filter(|verb| !verb.is_empty() && *verb != "help") {
        help(&[verb, "--help"]).assert_code(0).assert_contains("Example: drctl ");
    }
    assert!(!help(&["restore-test", "--help"]).assert_contains("--update-baseline").out.contains("accept-changes"));
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["restore-test", "shop-pg", "--accept-changes", "--dry-run"]).assert_code(0);
    rig.run(&["runs", "list", "--most", "3"]).assert_code(0);
    rig.run(&["restore-test", "shop-p", "--dry-run"]).assert_code(2).assert_contains("did you mean `shop-pg`?");
    rig.run(&["runs", "list", "shop-pgg"]).assert_code(2).assert_contains("did you mean `shop-pg`?");
    rig.run(&["runs", "list", "shop-pg"]).assert_code(0).assert_contains("no runs yet");
}

#[test]
fn a_failed_copy_is_kept_where_that_is_asked_for_and_runs_are_shown_as_tables() {
    if !super::support::require_engines(&[super::support::Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat().replace("password = \"secretsmanager:shop/pg\"\n", ""));
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    rig.control("POST", "damage", &serde_json::json!({ "target": "shop-pg", "kind": "rows" }));
    rig.run(&["restore-test", "shop-pg", "--keep-failed"]).assert_code(2).assert_contains("--keep-for");
    let before = rig.state();
    let kept = rig.run(&["restore-test", "shop-pg", "--keep-for", "3h", "--keep-failed"]).assert_code(1);
    for part in [" UTC: drctl-shop-pg-", "endpoint ", " as `shop_admin`", "set one: `aws rds modify-db-instance "] {
        assert!(kept.out.contains(part), "{part}: {}", kept.out);
    }
    assert!(kept.out.contains("remove it now: `aws rds delete-db-instance "), "{}", kept.out);
    assert_ne!(rig.state(), before);
    let list = rig.run(&["runs", "list"]).assert_code(0).out;
    assert!(list.starts_with("RUN ") && list.lines().count() == 3 && list.contains("[sandbox] "), "{list}");
    let id = list.lines().nth(1).unwrap().split(' ').next().unwrap();
    let shown = rig.run(&["runs", "show", id]).assert_code(0).out;
    assert!(shown.contains("will create   drctl-shop-pg-") && !shown.contains('{'), "{shown}");
    assert!(shown.contains("differs  as every copy does: Multi-AZ"), "{shown}");
    assert!(rig.run(&["runs", "show", id, "-v"]).out.contains("differs  Multi-AZ: off (source: on)"));
}

#[test]
fn completions_and_version() {
    for shell in ["bash", "zsh", "fish"] {
        CommandOutput::from(Command::new(DRCTL).args(["completions", shell]).output().unwrap())
            .assert_code(0)
            .assert_contains("restore-test");
    }
    CommandOutput::from(Command::new(DRCTL).arg("--version").output().unwrap())
        .assert_code(0)
        .assert_contains(env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_sandbox_listens_on_loopback_only() {
    let output = Command::new(DRCTL)
        .args(["sandbox", "--listen", "0.0.0.0:0", "--config", "examples/bookstore.toml"])
        .output()
        .unwrap();
    CommandOutput::from(output).assert_code(2).assert_contains("loopback only");
}

#[test]
fn the_examples_are_valid() {
    for file in std::fs::read_dir("examples").unwrap() {
        let file = file.unwrap().path();
        let output = Command::new(DRCTL).args(["iam-policy", "--config"]).arg(&file).output().unwrap();
        CommandOutput::from(output).assert_code(0);
    }
}

#[test]
fn a_source_can_be_looked_at_through_its_endpoint() {
    if !super::support::require_engines(&[super::support::Engine::Postgres]) {
        return;
    }
    let scratch = Scratch::new();
    let secret = scratch.0.join("secret");
    std::fs::write(&secret, "of the source").unwrap();
    let rig = TestSandbox::start(
        &[HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", &format!("file:{}", secret.display())),
    );
    let state = rig.control("GET", "state", &Value::Null);
    let source = state.as_array().unwrap().iter().find(|found| found["id"] == "shop-pg").unwrap();
    let url = format!("host=localhost port={} user=shop_admin dbname=shop sslmode=require", source["port"]);
    let output = Command::new("psql")
        .args([&url, "-Atc", "select count(*) > 1000 from orders"])
        .env("PGPASSWORD", "of the source")
        .output();
    CommandOutput::from(output.unwrap()).assert_code(0).assert_contains("t");
}
