//! A sandbox, an estate file, and the binary under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};

use serde_json::Value;

/// The binary under test.
pub(crate) const DRCTL: &str = env!("CARGO_BIN_EXE_drctl");

/// A database engine that tests may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Mariadb,
    Secantus,
}

/// Whether the engines are installed. Where one is not, says what is left out; under `make test` that is a failure.
pub(crate) fn require_engines(engines: &[Engine]) -> bool {
    for engine in engines {
        let (found, name) = match engine {
            Engine::Postgres => (Path::new("/usr/lib/postgresql").is_dir() || in_path("initdb"), "PostgreSQL"),
            Engine::Mariadb => (Path::new("/usr/sbin/mariadbd").exists() || in_path("mariadbd"), "MariaDB"),
            Engine::Secantus => (in_path("secantusd-py"), "SecantusDB"),
        };
        if !found {
            assert!(std::env::var_os("DRCTL_TEST_ALL").is_none(), "{name} is not installed");
            eprintln!("left out: {name} is not installed; `make test` installs it");
            return false;
        }
    }
    true
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Only a few sandboxes at a time: each starts database servers.
static FREE_TURNS: (Mutex<u32>, Condvar) = (Mutex::new(2), Condvar::new());

/// The right to run a sandbox.
struct Permit;

impl Permit {
    fn take() -> Self {
        let (free, changed) = &FREE_TURNS;
        let free = free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = changed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (free, changed) = &FREE_TURNS;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_one();
    }
}

/// Where a rig's sandbox writes its authority, beside the configuration: `ca` has to name it.
pub(crate) const CA: &str = "sandbox-ca.pem";

pub(crate) const HEAD: &str = r#"
[estate]
name   = "shop"
region = "eu-west-1"

[objectives]
rto = "1h"
rpo = "15m"

[quarantine]
subnet_group    = "drctl-quarantine"
security_groups = ["sg-0a1b2c3d4e5f60718"]
"#;

pub(crate) const POSTGRES: &str = r#"
[[database]]
id        = "shop-pg"
kind      = "rds-postgresql"
retention = "7d"
[database.restore_test]
ca       = "sandbox-ca.pem"
database = "shop"
username = "shop_admin"
password = "secretsmanager:shop/pg"
[[database.restore_test.check]]
name   = "orders are fresh"
newest = "orders.created_at"
within = "1h"
"#;

pub(crate) const MYSQL: &str = r#"
[[database]]
id        = "shop-my"
kind      = "rds-mysql"
retention = "7d"
[database.restore_test]
ca       = "sandbox-ca.pem"
database = "shop"
username = "shop_admin"
[[database.restore_test.check]]
name   = "no unpaid order was shipped"
sql    = "select id from orders where shipped and not paid"
expect = "empty"
"#;

pub(crate) const AURORA_POSTGRES: &str = r#"
[[database]]
id        = "shop-apg"
kind      = "aurora-postgresql"
retention = "30d"
[database.restore_test]
ca       = "sandbox-ca.pem"
database = "shop"
username = "shop_admin"
[[database.restore_test.check]]
name       = "old orders never change"
immutable  = "orders.created_at"
older_than = "7d"
"#;

pub(crate) const AURORA_MYSQL: &str = r#"
[[database]]
id        = "shop-amy"
kind      = "aurora-mysql"
retention = "30d"
[database.restore_test]
ca       = "sandbox-ca.pem"
database = "shop"
username = "shop_admin"
[[database.restore_test.check]]
name       = "old orders never change"
immutable  = "orders.created_at"
older_than = "7d"
"#;

pub(crate) const DOCUMENTDB: &str = r#"
[[database]]
id        = "shop-docs"
kind      = "documentdb"
retention = "7d"
[database.restore_test]
ca       = "sandbox-ca.pem"
database = "shop"
username = "shop_admin"
[[database.restore_test.check]]
name       = "no unpaid order was shipped"
collection = "orders"
aggregate  = '[{"$match": {"shipped": true, "paid": false}}, {"$group": {"_id": null, "n": {"$sum": 1}}}]'
expect     = "empty"
[[database.restore_test.check]]
name       = "old orders never change"
immutable  = "orders.created_at"
older_than = "7d"
"#;

/// A directory that is removed with its owner.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("drctl-it-{}-{:x}", std::process::id(), rand::random::<u64>()));
        std::fs::create_dir_all(&path).expect("the temporary directory takes a directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The whole suite can be run on another of AWS's days: `DRCTL_TEST_AWS=harsh`. A test that chooses one itself keeps it.
fn behaviour(arguments: &[&str]) -> Vec<String> {
    let wanted = std::env::var("DRCTL_TEST_AWS").ok().filter(|_| !arguments.contains(&"--aws"));
    wanted.map(|day| vec!["--aws".to_owned(), day]).unwrap_or_default()
}

/// A sandbox that serves one estate file.
pub(crate) struct TestSandbox {
    pub(crate) scratch: Scratch,
    pub(crate) config: PathBuf,
    pub(crate) endpoint: String,
    sandbox: Child,
    _turn: Permit,
}

impl TestSandbox {
    /// Starts a sandbox, every lifecycle of which ends at once.
    pub(crate) fn start(estate: &str) -> Self {
        Self::with(estate, &["--time-scale", "0"])
    }

    pub(crate) fn with(estate: &str, arguments: &[&str]) -> Self {
        let turn = Permit::take();
        let scratch = Scratch::new();
        let config = scratch.0.join("drctl.toml");
        std::fs::write(&config, estate).unwrap();
        let mut sandbox = Command::new(DRCTL)
            .args(["sandbox", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--ca-file")
            .arg(scratch.0.join(CA))
            .args(arguments)
            .args(behaviour(arguments))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(sandbox.stdout.take().unwrap());
        let line = out.lines().map_while(Result::ok).find(|line| line.contains("AWS_ENDPOINT_URL=")).unwrap();
        let endpoint = line.split_once('=').unwrap().1.to_owned();
        Self { scratch, config, endpoint, sandbox, _turn: turn }
    }

    /// The binary with the sandbox's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DRCTL);
        command
            .args(arguments)
            .env("DRCTL_CONFIG", &self.config)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "sandbox")
            .env("AWS_SECRET_ACCESS_KEY", "sandbox")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::from(self.command(arguments).output().unwrap())
    }

    /// Runs a restore test and reads its JSON.
    pub(crate) fn test(&self, arguments: &[&str]) -> (CommandOutput, Value) {
        let all: Vec<&str> = [&["restore-test", "--output", "json"], arguments].concat();
        let ran = self.run(&all);
        let document = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
        (ran, document)
    }

    /// All runs as `runs list` tells them, the newest first.
    pub(crate) fn runs(&self) -> Vec<Value> {
        let ran = self.run(&["runs", "list", "--limit", "1000", "--output", "json"]).assert_code(0);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        document["runs"].as_array().unwrap().clone()
    }

    /// Steers the sandbox.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.endpoint.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} /_drctl/{path} HTTP/1.1\r\nhost: {address}\r\nx-drctl-control: 1\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {body}");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    pub(crate) fn fault(&self, rule: Value) {
        self.control("POST", "faults", &rule);
    }

    /// Everything that exists, as one text that can be compared.
    pub(crate) fn state(&self) -> String {
        let state = self.control("GET", "state", &Value::Null);
        // Daily snapshots come and go by themselves.
        let lines =
            state.as_array().unwrap().iter().filter(|found| found["origin"] != "automated").map(Value::to_string);
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Every call so far, as `service:Action`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.control("GET", "calls", &Value::Null);
        let name = |call: &Value| format!("{}:{}", call["service"].as_str().unwrap(), call["action"].as_str().unwrap());
        calls.as_array().unwrap().iter().map(name).collect()
    }

    /// Forgets runs and baselines.
    pub(crate) fn forget(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.scratch.0.join(format!("drctl.db{suffix}")));
        }
        let _ = std::fs::remove_dir_all(self.scratch.0.join("drctl.db.locks"));
    }
}

impl Drop for TestSandbox {
    fn drop(&mut self) {
        // The sandbox removes its databases when it is told to end.
        let _ = Command::new("kill").args(["-TERM", &self.sandbox.id().to_string()]).status();
        let _ = self.sandbox.wait();
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl CommandOutput {
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn assert_contains(self, part: &str) -> Self {
        assert!(self.err.contains(part) || self.out.contains(part), "`{part}` is not in\n{}\n{}", self.out, self.err);
        self
    }
}

/// The outcome of the first test of a document.
pub(crate) fn outcome(document: &Value) -> &str {
    document["tests"][0]["outcome"].as_str().unwrap_or("none")
}

/// The names of the checks of the first test that ended in `outcome`.
pub(crate) fn checks<'d>(document: &'d Value, outcome: &str) -> Vec<&'d str> {
    let all = document["tests"][0]["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|check| check["outcome"] == outcome).filter_map(|check| check["name"].as_str()).collect()
}
