//! Three agents share the work through a real PostgreSQL, and are killed, stopped and cut off at random meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::agent::Agent;
use crate::postgres::{ChaosProxy, Postgres, SeededRng, url};
use crate::support::{Engine, HEAD, TestSandbox, require_engines};

const AGENTS: usize = 3;
/// Longer than a lease.
const PAST_THE_LEASE: Duration = Duration::from_secs(12);

/// All of them are due at the same moment, once.
fn estate(targets: usize) -> String {
    let mut text = format!(
        "{HEAD}\n[state]\nurl = \"env:DRCTL_STATE_URL\"\nlease = \"9s\"\n\
         [daemon]\nlisten = \"127.0.0.1:0\"\nparallel = 3\nmissed_after = \"7d\"\n"
    );
    for number in 0..targets {
        let _ = write!(
            text,
            "[[database]]\nid = \"shop-{number}\"\nkind = \"rds-postgresql\"\nrto = \"7d\"\nrpo = \"7d\"\n\
             [database.restore_test]\nca = \"sandbox-ca.pem\"\nschedule = \"cron(0 12 1 2 ? 2027)\"\ndatabase = \"shop\"\nusername = \"shop_admin\"\n\
             deadline = \"48h\"\nmax_snapshot_age = \"7d\"\n"
        );
    }
    text
}

fn start(rig: &TestSandbox, wire: &ChaosProxy, number: usize) -> Agent {
    let mut command = rig.command(&["daemon", "--log-format", "json"]);
    command.env("DRCTL_STATE_URL", url(wire.port));
    Agent::spawn(command, rig.scratch.0.join(format!("agent-{number}.log")))
}

#[test]
fn each_test_runs_exactly_once_whatever_befalls_the_agents() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    // In full it takes ten minutes; what is left out is only more of the same.
    let full = std::env::var_os("DRCTL_TEST_FULL").is_some();
    let (targets, trouble) = if full { (200, Duration::from_mins(5)) } else { (30, Duration::from_mins(1)) };
    let postgres = Postgres::start();
    let arguments = ["--time-scale", "200", "--start", "2027-02-01T11:00:00Z"];
    let rig = TestSandbox::with(&estate(targets), &arguments);
    rig.control("POST", "quota", &json!({ "instances": 5000, "clusters": 5000 }));
    let before = rig.state();
    let wires: Vec<ChaosProxy> = (0..AGENTS).map(|_| ChaosProxy::to(postgres.port)).collect();
    let mut agents: Vec<Option<Agent>> = (0..AGENTS).map(|number| Some(start(&rig, &wires[number], number))).collect();
    agents.iter().flatten().for_each(|agent| agent.wait_for("planned"));
    rig.control("POST", "advance", &json!({ "seconds": 3600 }));

    let dice = SeededRng::new(20_270_201);
    let began = Instant::now();
    let mut troubles = BTreeMap::new();
    while began.elapsed() < trouble {
        let number = usize::try_from(dice.below(AGENTS as u64)).unwrap();
        std::thread::sleep(Duration::from_millis(500 + dice.below(3000)));
        let name = match troubles.values().sum::<u64>() % 3 {
            0 => {
                agents[number].take().unwrap().kill();
                agents[number] = Some(start(&rig, &wires[number], number));
                "killed"
            }
            1 => {
                let agent = agents[number].as_ref().unwrap();
                agent.signal("STOP");
                std::thread::sleep(PAST_THE_LEASE);
                agent.signal("CONT");
                "stopped"
            }
            _ => {
                wires[number].cut();
                std::thread::sleep(PAST_THE_LEASE);
                wires[number].mend();
                "cut off"
            }
        };
        *troubles.entry(name).or_insert(0) += 1;
    }

    let open = || postgres.ask("select count(*) from runs where state = 'running'")[0].clone();
    let all = || postgres.ask("select count(*) from runs")[0].clone();
    let waited = Instant::now();
    while all() != targets.to_string() || open() != "0" {
        let log = agents.iter().flatten().map(|agent| agent.log().lines().rev().take(8).collect::<Vec<_>>().join("\n"));
        let log: Vec<_> = log.collect();
        assert!(waited.elapsed() < Duration::from_mins(8), "{} of {targets}, {} open: {log:#?}", all(), open());
        std::thread::sleep(Duration::from_millis(500));
    }
    let ended = Instant::now();
    while rig.state() != before {
        // What a cut-off agent's call made late is removed by the next reaping.
        assert!(ended.elapsed() < Duration::from_mins(2), "left: {}\n--- before\n{before}", rig.state());
        std::thread::sleep(Duration::from_millis(500));
    }
    for agent in agents.into_iter().flatten() {
        assert_eq!(agent.stop(), 0);
    }

    let verdicts = postgres.ask("select state, count(*) from runs group by state order by state");
    let moved = postgres.ask("select count(*) from runs where epoch > 1");
    eprintln!("agents were {troubles:?}; verdicts {verdicts:?}; {} runs changed hands", moved[0]);
    let others = postgres.ask("select target, state, reason from runs where state <> 'passed'");
    assert_eq!(others, Vec::<String>::new(), "every backup is sound");
    let twice = postgres.ask("select target from runs group by target having count(*) <> 1");
    assert_eq!(twice, Vec::<String>::new(), "each exactly once");
    let stale = postgres.ask(
        "select run_id, seq from (select run_id, seq, epoch, max(epoch) over (partition by run_id order by seq) as newest
         from journal) as entries where epoch < newest",
    );
    assert_eq!(stale, Vec::<String>::new(), "no entry carries a stale epoch");
    assert_ne!(moved[0], "0", "somebody was disturbed at work");
}
