//! AWS on a bad day: what was made is seen late, statuses lag, new passwords take their time, every service throttles.

use super::crash::{crash_at, journal_length, newest_run};
use super::support::{
    AURORA_MYSQL, AURORA_POSTGRES, DOCUMENTDB, Engine, HEAD, MYSQL, POSTGRES, TestSandbox, outcome, require_engines,
};

/// How many times faster than real time: faster, and a throttled call would take an hour of AWS's time.
const SCALE: &str = "60";
/// Places, of those where a run can be killed, that are tried; the kind days try all of them.
const CRASHES: usize = 4;

fn start(databases: &[&str]) -> TestSandbox {
    // What is measured on such a day is no promise kept, and not what is tested here.
    let head = HEAD.replace("rto = \"1h\"", "rto = \"1d\"");
    TestSandbox::with(&[&[head.as_str()], databases].concat().concat(), &["--time-scale", SCALE, "--aws", "harsh"])
}

#[test]
fn all_five_kinds_pass_and_nothing_is_left_over() {
    if !require_engines(&[Engine::Postgres, Engine::Mariadb, Engine::Secantus]) {
        return;
    }
    let rig = start(&[POSTGRES, MYSQL, AURORA_POSTGRES, AURORA_MYSQL, DOCUMENTDB]);
    let before = rig.state();
    // One after the other: while one copy's database starts, the sandbox holds its clock for all, and a day would never end.
    let (ran, document) = rig.test(&["--all", "--parallel", "1"]);
    let ran = ran.assert_code(0);
    assert_eq!(document["tests"].as_array().unwrap().len(), 5, "{}", ran.out);
    assert_eq!(outcome(&document), "passed");
    assert_eq!(rig.state(), before);
}

#[test]
fn a_cluster_survives_a_kill_anywhere() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = start(&[AURORA_POSTGRES]);
    let before = rig.state();
    rig.run(&["restore-test", "shop-apg"]).assert_code(0);
    let entries = journal_length(&rig, &newest_run(&rig));
    for number in 1..=CRASHES {
        crash_at(&rig, "shop-apg", &format!("after:{}", entries * number / (CRASHES + 1)), &before);
    }
}
