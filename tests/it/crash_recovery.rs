//! A daemon that is killed again and again while results flow.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::http_stub::HttpStub;
use crate::postgres::SeededRng;
use crate::support::{Engine, HEAD, TestSandbox, require_engines};

const KILLS: usize = 100;

fn estate(http_stub: &HttpStub) -> String {
    let mut databases = String::new();
    for number in 0..3 {
        let _ = write!(
            databases,
            "[[database]]\nid = \"shop-{number}\"\nkind = \"rds-postgresql\"\nrto = \"2d\"\nrpo = \"2d\"\n\
             [database.restore_test]\nca = \"sandbox-ca.pem\"\nschedule = \"rate(1 hour)\"\ndatabase = \"shop\"\nusername = \"shop_admin\"\n\
             deadline = \"48h\"\n"
        );
    }
    format!(
        "{HEAD}\n[daemon]\nlisten = \"127.0.0.1:0\"\n{databases}[[notify]]\nname = \"hook\"\n\
         on = [\"passed\", \"failed\", \"unknown\", \"recovered\", \"stuck\"]\n\
         webhook = {{ url = \"{}/hook\", key = \"env:HOOK_KEY\" }}\n",
        http_stub.url
    )
}

#[test]
fn every_result_is_told_once_to_those_who_can_tell() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let http_stub = HttpStub::content();
    let rig = TestSandbox::with(&estate(&http_stub), &["--time-scale", "1000"]);
    let start = || {
        let mut command = rig.command(&["daemon"]);
        command.env("HOOK_KEY", "a key that signs");
        Agent::spawn(command, rig.scratch.0.join("daemon.log"))
    };
    let dice = SeededRng::new(100);
    for _ in 0..KILLS {
        let agent = start();
        std::thread::sleep(Duration::from_millis(200 + dice.below(1800)));
        agent.kill();
    }
    let agent = start();
    let told = || {
        let requests = http_stub.requests();
        assert!(requests.iter().all(|request| request.header("x-drctl-signature").is_some()));
        let keys: Vec<String> =
            requests.iter().filter_map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
        keys
    };
    // Let what is open end, and see that everything that has ended by now was told.
    let began = Instant::now();
    let results = loop {
        let runs = rig.runs();
        let ended: BTreeSet<String> = runs
            .iter()
            .filter(|run| run["outcome"] != "running")
            .map(|run| run["run_id"].as_str().unwrap().to_owned())
            .collect();
        let known: BTreeSet<String> = told().iter().map(|key| key.split('-').next().unwrap().to_owned()).collect();
        if ended.len() > 20 && ended.is_subset(&known) {
            if let Some(run) = runs.iter().find(|run| run["outcome"] != "passed" && run["outcome"] != "running") {
                panic!("{}\n{}", rig.run(&["runs", "show", run["run_id"].as_str().unwrap()]).out, agent.log());
            }
            break ended.len();
        }
        assert!(began.elapsed() < Duration::from_mins(3), "{} told of {}:\n{}", known.len(), ended.len(), agent.log());
        std::thread::sleep(Duration::from_millis(300));
    };
    assert_eq!(agent.stop(), 0);
    // By the key each result is one message, however often it came.
    let keys = told();
    let distinct: BTreeSet<&String> = keys.iter().collect();
    let runs: BTreeSet<&str> = keys.iter().map(|key| key.split('-').next().unwrap()).collect();
    assert_eq!(distinct.len(), runs.len(), "a result was told in two ways: {distinct:#?}");
    eprintln!(
        "{KILLS} kills, {results} results and more, {} messages, {} repeats",
        distinct.len(),
        keys.len() - distinct.len()
    );
}
