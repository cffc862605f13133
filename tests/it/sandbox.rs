//! The sandbox as a program of this machine: whom it answers, what it trusts nobody with, and what its databases hold.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::{DRCTL, Engine, HEAD, MYSQL, POSTGRES, Scratch, TestSandbox, checks, require_engines};
use serde_json::{Value, json};

/// Sends a request as it stands, and yields the answer's status.
fn send(rig: &TestSandbox, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(rig.endpoint.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_web_page_reaches_neither_the_control_path_nor_a_service() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let good = "host: localhost\r\nx-drctl-control: 1\r\ncontent-type: application/json\r\n";
    let damage = r#"{"target":"shop-pg","kind":"rows"}"#;
    for (why, headers) in [
        ("another host", good.replace("localhost", "rebound.example")),
        ("no host", good.replace("host: localhost\r\n", "")),
        ("an origin", format!("{good}origin: http://evil.example\r\n")),
        ("no header of its own", good.replace("x-drctl-control: 1\r\n", "")),
        ("a simple content type", good.replace("application/json", "text/plain")),
    ] {
        let status = send(&rig, "POST /_drctl/damage", &headers, damage);
        assert!(["400", "403"].contains(&status.as_str()), "{why}: {status}");
    }
    assert_eq!(send(&rig, "GET /_drctl/state", "host: rebound.example\r\nx-drctl-control: 1\r\n", ""), "403");
    assert_eq!(send(&rig, "POST /_drctl/damage", good, damage), "200");
    let page = "host: localhost\r\norigin: http://evil.example\r\n";
    assert_eq!(send(&rig, "POST /", page, "Action=DescribeDBInstances&Version=2014-10-31"), "403");
}

#[test]
fn nothing_but_ca_makes_drctl_trust_a_copy() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let without = std::fs::read_to_string(&rig.config).unwrap().replace("ca       = \"sandbox-ca.pem\"\n", "");
    std::fs::write(&rig.config, without).unwrap();
    let ran = rig.run(&["restore-test", "shop-pg"]).assert_contains("`ca`");
    assert!([1, 2].contains(&ran.code), "{ran:?}");
}

/// The files under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// What processes were started with whose arguments name `directory`: their environments.
fn environments(directory: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let of = |process: PathBuf| {
        let arguments = std::fs::read_to_string(process.join("cmdline")).ok()?;
        let environment = std::fs::read(process.join("environ")).ok()?;
        arguments.contains(directory).then(|| String::from_utf8_lossy(&environment).into_owned())
    };
    processes.filter_map(of).collect()
}

#[test]
fn its_databases_inherit_no_secret_and_nobody_else_can_look_into_its_files() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    let scratch = Scratch::new();
    let config = scratch.0.join("drctl.toml");
    std::fs::write(&config, [HEAD, POSTGRES, MYSQL].concat()).unwrap();
    let mut sandbox = Command::new(DRCTL)
        .args(["sandbox", "--listen", "127.0.0.1:0", "--time-scale", "0", "--config"])
        .arg(&config)
        .env("AWS_SECRET_ACCESS_KEY", "of-production")
        .env("TMPDIR", &scratch.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sandbox.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut printed = std::collections::BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once('=').unwrap();
        printed.insert(name.to_owned(), value.to_owned());
        if name == "DRCTL_SANDBOX_CA" {
            break;
        }
    }
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("sandbox-ca.pem", &printed["DRCTL_SANDBOX_CA"])).unwrap();
    let root = Path::new(&printed["DRCTL_SANDBOX_CA"]).parent().unwrap();
    assert_eq!(std::fs::metadata(root).unwrap().permissions().mode() & 0o777, 0o700);
    let key = root.join("tls/server.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let mut test = Command::new(DRCTL);
    test.args(["restore-test", "--all", "--keep-for", "1h", "--config"]).arg(&config).envs(&printed);
    let ran = super::support::CommandOutput::from(test.output().unwrap());
    let found = environments(root.to_str().unwrap());
    let secrets: Vec<_> = files(root).into_iter().filter(|file| file.ends_with("server.key")).collect();
    let modes: Vec<_> =
        secrets.iter().map(|file| std::fs::metadata(file).unwrap().permissions().mode() & 0o077).collect();
    let _ = Command::new("kill").args(["-TERM", &sandbox.id().to_string()]).status();
    sandbox.wait().unwrap();
    ran.assert_code(0);
    assert!(found.len() >= 2, "the databases were not found");
    assert!(found.iter().all(|environment| !environment.contains("AWS_")), "{found:?}");
    assert!(secrets.len() >= 3 && modes.iter().all(|mode| *mode == 0), "{secrets:?} {modes:?}");
    assert!(!root.exists(), "something was left behind");
}

#[test]
fn the_master_users_of_its_databases_have_the_rights_that_rds_gives() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    let question = |name: &str, sql: &str, expect: &str| {
        format!("[[database.restore_test.check]]\nname = \"{name}\"\nsql = \"{sql}\"\nexpect = \"{expect}\"\n")
    };
    let postgres = [
        question("no superuser", "select count(*) from pg_roles where rolname = current_user and rolsuper", "== 0"),
        question(
            "rds_superuser",
            "select case when pg_has_role(current_user, 'rds_superuser', 'member') then 1 else 0 end",
            "== 1",
        ),
    ];
    let grants = "select count(*) from information_schema.user_privileges \
                  where grantee = concat('''', replace(current_user(), '@', '''@'''), '''') \
                  and privilege_type in ('SUPER', 'FILE', 'SHUTDOWN')";
    let mysql = question("neither SUPER nor FILE", grants, "== 0");
    let rig = TestSandbox::start(&[HEAD, POSTGRES, &postgres.concat(), MYSQL, &mysql].concat());
    let (ran, _) = rig.test(&["--all"]);
    ran.assert_code(0);
}

#[test]
fn a_postgresql_without_amcheck_still_has_its_structure_checked() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "0", "--no-amcheck"]);
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(0);
    assert!(checks(&document, "passed").contains(&"structure"), "{document:#}");
    let structure =
        document["tests"][0]["checks"].as_array().unwrap().iter().find(|c| c["name"] == "structure").unwrap();
    assert!(structure["actual"].as_str().unwrap().contains("amcheck"), "{structure}");
}

#[test]
fn ones_own_tables_stand_in_place_of_the_shop() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb]) {
        return;
    }
    let scratch = Scratch::new();
    let file = scratch.0.join("own.sql");
    std::fs::write(
        &file,
        "create table invoices (id int primary key, paid int); insert into invoices values (1, 0), (2, 1);",
    )
    .unwrap();
    let own = "[[database.restore_test.check]]\nname = \"invoices\"\nsql = \"select count(*) from invoices\"\nexpect = \"== 2\"\n";
    let head = |text: &str| text.split("[[database.restore_test.check]]").next().unwrap().to_owned();
    let estate = [HEAD, &head(POSTGRES), own, &head(MYSQL), own].concat();
    let rig = TestSandbox::with(&estate, &["--time-scale", "0", "--schema", &file.display().to_string()]);
    let (ran, document) = rig.test(&["--all"]);
    ran.assert_code(0);
    for test in document["tests"].as_array().unwrap() {
        let rows = test["checks"].as_array().unwrap().iter().find(|check| check["name"] == "rows").unwrap();
        assert!(!rows.to_string().contains("orders"), "{rows}");
    }
    // What cannot be loaded is said at once, and not when the first copy is restored.
    std::fs::write(&file, "create tabel invoices (id int);").unwrap();
    let sandbox = Command::new(DRCTL)
        .args(["sandbox", "--listen", "127.0.0.1:0", "--config"])
        .arg(&rig.config)
        .arg("--schema")
        .arg(&file)
        .output()
        .unwrap();
    super::support::CommandOutput::from(sandbox).assert_contains("failed to load the schema");
    let damaged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }))
    }));
    assert!(damaged.is_err(), "{:?}", damaged.map(|value: Value| value));
}
