//! DocumentDB is asked only what Amazon DocumentDB 5.0 documents.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drctl::clock::Clock;
use drctl::estate::{ContentMode, CustomCheck, Expectation, HostPort, Probe, Protocol, TlsMode};
use drctl::verify::{CommandListener, Login, Outcome, Plan, verify};

use super::support::{DOCUMENTDB, Engine, HEAD, Rig, have};

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
    if !have(&[Engine::Secantus]) {
        return;
    }
    let rig = Rig::start(&[HEAD, DOCUMENTDB].concat());
    rig.run(&["restore-test", "shop-docs", "--keep-for", "2h"]).ends(0);
    let (address, ca) = copy_of(&rig);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener: CommandListener = {
        let seen = Arc::clone(&seen);
        Arc::new(move |name: &str| seen.lock().unwrap().push(name.to_owned()))
    };
    let login = Login {
        protocol: Protocol::Mongo,
        address,
        tls: TlsMode::VerifyFull,
        tunnelled: false,
        certificate_name: "127.0.0.1".to_owned(),
        ca: Some(ca),
        username: "drctl_sandbox".to_owned(),
        password: "sandbox only".to_owned().into(),
        database: "shop".to_owned(),
        fresh_password: false,
        on_command: Some(listener),
    };
    let check = |name: &str, probe| CustomCheck { name: name.to_owned(), probe };
    let (relation, column) = ("orders".to_owned(), "created_at".to_owned());
    let plan = Plan {
        point: jiff::Timestamp::now(),
        baseline: None,
        point_id: "p".to_owned(),
        row_tolerance: 0.0,
        content: ContentMode::Full,
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
        large_rows: Plan::LARGE_ROWS,
        patience: Duration::from_mins(1),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let proof = runtime.block_on(verify(&login, &plan, &Clock::system(), &|_| {}));
    assert!(proof.checks.iter().all(|check| check.outcome == Outcome::Passed), "{:#?}", proof.checks);
    let settled =
        runtime.block_on(verify(&login, &Plan { content: ContentMode::Settled, ..plan }, &Clock::system(), &|_| {}));
    assert!(settled.checks.iter().all(|check| check.outcome == Outcome::Passed));
    let seen = seen.lock().unwrap();
    for name in seen.iter() {
        let documented = DOCUMENTED.contains(&name.as_str()) || ALSO_DOCUMENTED.contains(&name.as_str());
        assert!(documented, "`{name}` is not documented for Amazon DocumentDB 5.0");
    }
    assert!(seen.iter().any(|name| name == "find") && seen.iter().any(|name| name == "aggregate"));
}

/// Where the kept copy is, and who signed its certificate.
fn copy_of(rig: &Rig) -> (HostPort, std::path::PathBuf) {
    let state = rig.control("GET", "state", &serde_json::Value::Null);
    let copies = state.as_array().unwrap().iter().filter(|found| found["type"] == "db-cluster");
    let copy = copies.into_iter().find(|found| found["id"].as_str().unwrap().starts_with("drctl-")).unwrap();
    let port = u16::try_from(copy["port"].as_u64().unwrap()).unwrap();
    let note = rig.control("GET", "note", &serde_json::Value::Null);
    (HostPort { host: "localhost".to_owned(), port }, note["ca"].as_str().unwrap().into())
}
