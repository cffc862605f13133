//! drctl against AWS servers that others wrote, and others' client against the sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod channels;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use all of it")]
mod support;

use serde_json::Value;
use support::{
    AURORA_POSTGRES, CA, CommandOutput, DOCUMENTDB, DRCTL, Engine, HEAD, MYSQL, POSTGRES, Scratch, TestSandbox,
    require_engines,
};

const PYTHON: &str = ".venv/bin/python";
const PASSWORD: &str = "production1";

/// Whether boto3 and moto are here; under `make test` they must be.
fn have_python() -> bool {
    let found = Path::new(".venv/bin/moto_server").exists();
    assert!(found || std::env::var_os("DRCTL_TEST_ALL").is_none(), "moto is not installed");
    if !found {
        eprintln!("left out: boto3 and moto are not installed; `make test` installs them");
    }
    found
}

fn python(script: &str, arguments: &[&str]) -> CommandOutput {
    CommandOutput::from(
        Command::new(PYTHON).arg(format!("tests/conformance/{script}")).args(arguments).output().unwrap(),
    )
}

#[test]
fn boto3_drives_the_sandbox() {
    if !have_python() {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, AURORA_POSTGRES, DOCUMENTDB].concat());
    python("sandbox_by_boto3.py", &[&rig.endpoint, "eu-west-1"]).assert_code(0).assert_contains(" passed, 0 failed");
}

#[test]
fn the_sandbox_refuses_what_aws_refuses() {
    if !have_python() {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL, AURORA_POSTGRES, DOCUMENTDB].concat());
    python("strict_by_boto3.py", &[&rig.endpoint, "eu-west-1"]).assert_code(0).assert_contains(" passed, 0 failed");
}

#[test]
fn what_aws_does_slowly_is_slow_in_the_sandbox() {
    if !have_python() || !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES, AURORA_POSTGRES].concat(), &["--time-scale", "20", "--aws", "harsh"]);
    python("slow_by_boto3.py", &[&rig.endpoint, "eu-west-1"]).assert_code(0).assert_contains(" passed, 0 failed");
}

/// A `moto_server` on loopback with databases made by boto3.
struct Moto {
    server: Child,
    endpoint: String,
}

impl Moto {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(".venv/bin/moto_server")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = format!("http://127.0.0.1:{port}");
        let address = ("127.0.0.1", port);
        let up = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            std::net::TcpStream::connect(address).is_ok()
        });
        assert!(up, "moto_server did not start");
        let moto = Self { server, endpoint };
        python("moto_state.py", &["make", &moto.endpoint]).assert_code(0);
        moto
    }

    fn list(&self) -> Value {
        serde_json::from_str(&python("moto_state.py", &["list", &self.endpoint]).assert_code(0).out).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The estate, whose copies are reached through `connect`: moto has no databases behind its endpoints. The certificate of what
/// stands there names `localhost` and no copy of moto's, so that `verify-full` would rightly refuse it.
fn estate(port: u64, ca: &str) -> String {
    let database = |id: &str, kind: &str, password: &str| {
        format!(
            "[[database]]\nid = \"{id}\"\nkind = \"{kind}\"\n[database.restore_test]\ndatabase = \"shop\"\n\
             username = \"shop_admin\"\npassword = \"{password}\"\nconnect = \"localhost:{port}\"\nca = \"{ca}\"\ntls = \"require\"\n\
             [[database.restore_test.check]]\nname = \"orders exist\"\nsql = \"select count(*) from orders\"\n\
             expect = \">= 1000\"\n"
        )
    };
    [
        HEAD,
        &database("shop-pg", "rds-postgresql", "env:SHOP_PASSWORD"),
        &database("shop-apg", "aurora-postgresql", "secretsmanager:shop/apg"),
    ]
    .concat()
}

#[test]
fn an_instance_and_a_cluster_are_restored_on_moto_and_gone_afterwards() {
    if !have_python() || !require_engines(&[Engine::Postgres]) {
        return;
    }
    // A real PostgreSQL to stand behind moto's endpoints: a copy that a sandbox keeps.
    let with_password = POSTGRES.replace("secretsmanager:shop/pg", "file:SECRET");
    let scratch = Scratch::new();
    let secret = scratch.0.join("secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    let behind = [HEAD, &with_password.replace("SECRET", &secret.display().to_string())].concat();
    let rig = TestSandbox::start(&behind);
    rig.run(&["restore-test", "shop-pg", "--keep-for", "5h"]).assert_code(0);
    let state = rig.control("GET", "state", &Value::Null);
    let copy = state.as_array().unwrap().iter().find(|r| r["id"].as_str().unwrap().starts_with("drctl-")).unwrap();
    let port = copy["port"].as_u64().unwrap();
    let ca = rig.scratch.0.join(CA).display().to_string();

    let moto = Moto::start();
    let before = moto.list();
    let config = scratch.0.join("drctl.toml");
    let group = python("moto_state.py", &["open", &moto.endpoint]).assert_code(0).out;
    let estate = estate(port, &ca).replace("sg-0a1b2c3d4e5f60718", group.trim());
    std::fs::write(&config, &estate).unwrap();
    let drctl = |arguments: &[&str]| {
        let mut command = Command::new(DRCTL);
        command
            .args(arguments)
            .env("DRCTL_CONFIG", &config)
            .env("AWS_ENDPOINT_URL", &moto.endpoint)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("SHOP_PASSWORD", PASSWORD);
        command
    };
    // As AWS makes groups, everything may leave.
    let doctor = || CommandOutput::from(drctl(&["doctor"]).output().unwrap());
    doctor().assert_contains(&format!("`{}` lets traffic out to 0.0.0.0/0", group.trim()));
    python("moto_state.py", &["close", &moto.endpoint]).assert_code(0);
    doctor().assert_contains("no outbound rule leads out of the security groups");
    std::fs::write(&config, estate.replace(group.trim(), "sg-0123456789abcdef0")).unwrap();
    doctor().assert_code(1).assert_contains("sg-0123456789abcdef0");
    std::fs::write(&config, &estate).unwrap();
    for (target, copies) in [("shop-pg", 1), ("shop-apg", 2)] {
        let watch = Watch::start(&moto, copies);
        let run = drctl(&["restore-test", target, "--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
        let (during, made) = watch.end(copies);
        for resource in &made {
            assert_eq!(resource["tags"]["drctl:target"], target);
            assert!(resource["tags"]["drctl:run-id"].is_string() && resource["tags"]["drctl:expires-at"].is_string());
        }
        for source in before.as_array().unwrap() {
            assert!(during.as_array().unwrap().contains(source), "a source was changed: {source}");
        }
        let id = made[0]["id"].as_str().unwrap();
        let run_id = made[0]["tags"]["drctl:run-id"].as_str().unwrap();
        assert!(id.trim_end_matches("-1").ends_with(&run_id[run_id.len() - 6..].to_lowercase()));
        let ran = CommandOutput::from(run.wait_with_output().unwrap()).assert_code(3);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["simulated"], false);
        only_the_server_is_a_stranger(&document["tests"][0]);
        assert_eq!(document["tests"][0]["cleanup"], "complete");
        assert_eq!(moto.list(), before, "something was left behind, or a source was touched");
    }
}

/// moto's copies have names that nothing here answers to, and the server that stands in for them says so: drctl reads it to its
/// end, and does not take it for the copy.
fn only_the_server_is_a_stranger(test: &Value) {
    let checks = test["checks"].as_array().unwrap();
    assert!(checks.len() > 4, "{test:#}");
    for check in checks {
        let expected = if check["name"] == "connect" { "unknown" } else { "passed" };
        assert_eq!(check["outcome"], expected, "{check:#}");
    }
    assert!(checks[0]["actual"].as_str().unwrap().contains("nothing shows that this is the copy"), "{test:#}");
}

#[test]
fn an_account_that_is_not_meant_is_refused_before_anything() {
    if !have_python() {
        return;
    }
    let (moto, scratch) = (Moto::start(), Scratch::new());
    let before = moto.list();
    let config = scratch.0.join("drctl.toml");
    let drctl = |account: &str, arguments: &[&str]| {
        let text = estate(1, CA).replace("region = ", &format!("account = \"{account}\"\nregion = "));
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(DRCTL);
        command.args(arguments).env("DRCTL_CONFIG", &config).env("AWS_ENDPOINT_URL", &moto.endpoint);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("SHOP_PASSWORD", PASSWORD);
        CommandOutput::from(command.output().unwrap())
    };
    for arguments in [&["doctor"][..], &["restore-test", "--all"], &["restore-test", "--all", "--dry-run"], &["reap"]] {
        let ran = drctl("210987654321", arguments).assert_code(2);
        ran.assert_contains("is of account 123456789012, and `[estate] account` is 210987654321")
            .assert_contains("nothing was done");
    }
    assert_eq!(moto.list(), before);
    drctl("123456789012", &["reap"]).assert_code(0).assert_contains("nothing to remove");
}

/// Looks with boto3 until a run has made everything that it makes: what is there then, and what of it drctl made.
struct Watch(Child, BufReader<ChildStdout>);

impl Watch {
    /// Looks from now on.
    fn start(moto: &Moto, copies: usize) -> Self {
        let mut script = Command::new(PYTHON);
        script.args(["tests/conformance/moto_state.py", "watch", &moto.endpoint, &copies.to_string()]);
        let mut script = script.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(script.stdout.take().unwrap());
        assert!(out.read_line(&mut String::new()).unwrap() > 0);
        Self(script, out)
    }

    fn end(mut self, copies: usize) -> (Value, Vec<Value>) {
        let during: Value = serde_json::from_reader(&mut self.1).unwrap();
        assert!(self.0.wait().unwrap().success());
        let ours =
            during.as_array().unwrap().iter().filter(|found| found["id"].as_str().unwrap().starts_with("drctl-"));
        let made: Vec<Value> = ours.cloned().collect();
        assert_eq!(made.len(), copies, "boto3 never saw all copies: {during:#}");
        (during, made)
    }
}

#[test]
fn others_judge_the_policies_and_their_evaluator_alike() {
    if !have_python() {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let mut arguments = vec![rig.endpoint.clone()];
    for (name, estate) in [
        ("instances", [HEAD, POSTGRES].concat()),
        ("clusters", [HEAD, AURORA_POSTGRES, DOCUMENTDB].concat()),
        ("reference", std::fs::read_to_string("examples/reference.toml").unwrap()),
    ] {
        let (config, policy) = (rig.scratch.0.join("estate.toml"), rig.scratch.0.join(format!("{name}.json")));
        let role = "region = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/drctl\"";
        std::fs::write(&config, estate.replacen("region = \"eu-west-1\"", role, 1)).unwrap();
        let config = config.display().to_string();
        let printed = rig.run(&["iam-policy", "--config", &config]).assert_code(0).out;
        std::fs::write(&policy, printed).unwrap();
        arguments.push(policy.display().to_string());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    python("policy_by_others.py", &arguments).assert_code(0).assert_contains("0 wrong");
}
