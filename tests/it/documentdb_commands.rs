//! DocumentDB is asked only what Amazon DocumentDB 5.0 documents.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drctl::clock::Clock;
use drctl::estate::{ContentMode, CustomCheck, Expectation, HostPort, Probe, Protocol, TlsMode};
use drctl::verify::{CommandListener, ConnectionSettings, Outcome, Plan, Verification, verify};

use super::documents::tunnel;
use super::support::{DOCUMENTDB, Engine, HEAD, Scratch, TestSandbox, require_engines};

/// "Supported MongoDB APIs, operations, and data types in Amazon DocumentDB", version 5.0, and what connecting takes.
const DOCUMENTED: [&str; 14] = [
    "aggregate",
    "authenticate",
    "count",
    "dbStats",
    "collStats",
    "endSessions",
    "find",
    "getMore",
    "hello",
    "isMaster",
    "listCollections",
    "listDatabases",
    "listIndexes",
    "saslStart",
];
const ALSO_DOCUMENTED: [&str; 3] = ["saslContinue", "killCursors", "ping"];

#[test]
fn only_documented_commands_are_sent() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let (_rig, kept) = kept();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener: CommandListener = {
        let seen = Arc::clone(&seen);
        Arc::new(move |name: &str| seen.lock().unwrap().push(name.to_owned()))
    };
    let login = ConnectionSettings { on_command: Some(listener), ..kept };
    let check = |name: &str, probe| CustomCheck { name: name.to_owned(), probe };
    let (relation, column) = ("orders".to_owned(), "created_at".to_owned());
    let plan = Plan {
        checks: vec![
            check(
                "aggregate",
                Probe::Aggregate {
                    collection: relation.clone(),
                    pipeline: vec![serde_json::json!({ "$match": { "_id": 1 } })],
                    expect: Expectation::NotEmpty,
                },
            ),
            check(
                "newest",
                Probe::Newest { relation: relation.clone(), column: column.clone(), within: Duration::MAX },
            ),
            check("settled", Probe::Settled { relation, column, settled_after: Duration::from_hours(1) }),
        ],
        ..plan()
    };
    let proof = proved(&login, &plan);
    assert!(proof.checks.iter().all(|check| check.outcome == Outcome::Passed), "{:#?}", proof.checks);
    let settled = proved(&login, &Plan { content: ContentMode::Settled, ..plan });
    assert!(settled.checks.iter().all(|check| check.outcome == Outcome::Passed));
    let seen = seen.lock().unwrap();
    for name in seen.iter() {
        let documented = DOCUMENTED.contains(&name.as_str()) || ALSO_DOCUMENTED.contains(&name.as_str());
        assert!(documented, "`{name}` is not documented for Amazon DocumentDB 5.0");
    }
    assert!(seen.iter().any(|name| name == "find") && seen.iter().any(|name| name == "aggregate"));
}

/// A copy that was kept, and how to enter it.
fn kept() -> (TestSandbox, ConnectionSettings) {
    const PASSWORD: &str = "of the snapshots time";
    let secret = Scratch::new();
    let path = secret.0.join("password");
    std::fs::write(&path, PASSWORD).unwrap();
    let given = format!("database = \"shop\"\npassword = \"file:{}\"", path.display());
    let estate = [HEAD, &DOCUMENTDB.replace("database = \"shop\"", &given)].concat();
    let rig = TestSandbox::start(&estate);
    rig.run(&["restore-test", "shop-docs", "--keep-for", "2h"]).assert_code(0);
    let state = rig.control("GET", "state", &serde_json::Value::Null);
    let mut copies = state.as_array().unwrap().iter().filter(|found| found["type"] == "db-cluster");
    let copy = copies.find(|found| found["id"].as_str().unwrap().starts_with("drctl-")).unwrap();
    let port = u16::try_from(copy["port"].as_u64().unwrap()).unwrap();
    let username = estate.lines().find_map(|line| line.strip_prefix("username = ")).unwrap().trim_matches('"');
    let login = ConnectionSettings {
        protocol: Protocol::Mongo,
        address: HostPort { host: "localhost".to_owned(), port },
        tls: TlsMode::VerifyFull,
        tunnelled: false,
        certificate_name: "localhost".to_owned(),
        ca: Some(rig.scratch.0.join("sandbox-ca.pem")),
        username: username.to_owned(),
        password: PASSWORD.to_owned().into(),
        database: "shop".to_owned(),
        fresh_password: false,
        on_command: None,
    };
    (rig, login)
}

fn plan() -> Plan {
    Plan {
        point: jiff::Timestamp::now(),
        baseline: None,
        point_id: "p".to_owned(),
        row_tolerance: 0.0,
        content: ContentMode::Full,
        checks: Vec::new(),
        large_rows: Plan::LARGE_ROWS,
        connections: Plan::CONNECTIONS,
        deadline: Duration::from_mins(1),
    }
}

fn proved(login: &ConnectionSettings, plan: &Plan) -> Verification {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(verify(login, &Arc::new(plan.clone()), &Clock::system(), &|_| {}))
}

#[test]
fn a_tunnel_to_documentdb_is_verified_under_the_name_of_the_copy() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let (rig, kept) = kept();
    let address = HostPort { host: "127.0.0.1".to_owned(), port: tunnel(kept.address.port) };
    let through = ConnectionSettings { address, tunnelled: true, ..kept };
    let proof = proved(&through, &plan());
    assert!(proof.checks.iter().all(|check| check.outcome == Outcome::Passed), "{:#?}", proof.checks);
    // The same tunnel, but what is at its end is not who it should be.
    let other = ConnectionSettings { certificate_name: "docs.example.com".to_owned(), ..through.clone() };
    let proof = proved(&other, &plan());
    assert_eq!((proof.checks.len(), proof.checks[0].outcome), (1, Outcome::Unknown), "{:#?}", proof.checks);
    assert!(proof.checks[0].fix.as_ref().unwrap().contains("leads to another server"), "{:#?}", proof.checks);
    // A file of authorities replaces those that the world trusts, and one that signed nothing trusts nothing.
    let strange = rig.scratch.0.join("other-ca.pem");
    let authority = rcgen::generate_simple_self_signed(["somebody else".to_owned()]).unwrap();
    std::fs::write(&strange, authority.cert.pem()).unwrap();
    let proof = proved(&ConnectionSettings { ca: Some(strange), ..through }, &plan());
    assert_eq!((proof.checks.len(), proof.checks[0].outcome), (1, Outcome::Failed), "{:#?}", proof.checks);
}

#[test]
fn ranges_read_side_by_side_find_what_one_pass_finds() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let (_rig, kept) = kept();
    let check = |name: &str, probe| CustomCheck { name: name.to_owned(), probe };
    let (relation, column) = ("orders".to_owned(), "created_at".to_owned());
    let settled = Probe::Settled { relation, column, settled_after: Duration::from_hours(1) };
    let in_one = Plan { checks: vec![check("settled", settled)], ..plan() };
    let first = proved(&kept, &in_one).facts.unwrap();
    let counted: Arc<Mutex<u32>> = Arc::default();
    let listener: CommandListener = {
        let counted = Arc::clone(&counted);
        Arc::new(move |name: &str| *counted.lock().unwrap() += u32::from(name == "find"))
    };
    let login = ConnectionSettings { on_command: Some(listener), ..kept };
    let in_ranges = Plan { large_rows: 100, baseline: Some(first.clone()), ..in_one };
    let proof = proved(&login, &in_ranges);
    assert!(proof.checks.iter().all(|check| check.outcome == Outcome::Passed), "{:#?}", proof.checks);
    let second = proof.facts.unwrap();
    assert_eq!(first.relations, second.relations);
    assert_eq!(first.settled, second.settled);
    assert!(*counted.lock().unwrap() >= 16, "no ranges were read");
}
