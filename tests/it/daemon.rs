//! The daemon's manners: what it refuses, how it stops, reloads and goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::agent::Agent;
use crate::http_stub::HttpStub;
use crate::postgres::{Postgres, url};
use crate::support::{Engine, HEAD, POSTGRES, TestSandbox, require_engines};

const DAEMON: &str = "\n[daemon]\nlisten = \"127.0.0.1:0\"\n";

/// The estate with one PostgreSQL that is tested so.
fn estate(schedule: &str, more: &str) -> String {
    let database =
        POSTGRES.replace("[database.restore_test]", &format!("[database.restore_test]\nschedule = \"{schedule}\""));
    format!("{HEAD}{DAEMON}{more}{database}")
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// An agent that was just taken up is not ready before its first round is over.
fn wait_until_ready(address: &str) {
    for _ in 0..600 {
        if get(address, "/readyz").starts_with("HTTP/1.1 200") {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not ready: {}", get(address, "/readyz"));
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    for (text, part) in [
        (estate("cron(0 6 30 2 ? *)", ""), "would never run"),
        (estate("cron(0 25 ? * MON *)", ""), "hour: `25` is not from 0 to 23"),
        (estate("@weekly", "timezone = \"Mars/Olympus\"\n"), "`Mars/Olympus` is no time zone"),
        (estate("@weekly", "missed = \"maybe\"\n"), "`maybe` is not known"),
        (estate("@weekly", "parallel = 0\n"), "0 is not a number of tests"),
        (estate("@weekly", "[state]\nurl = \"postgres://a:b@c/d\"\n"), "holds a password in plain text"),
        (format!("{HEAD}[[notify]]\nname = \"a\"\n"), "needs exactly one of `slack`"),
        (
            format!("{HEAD}[[notify]]\nname = \"a\"\nslack = {{ webhook = \"https://x\" }}\n"),
            "holds a secret in plain text",
        ),
        (
            format!("{HEAD}[[notify]]\nname = \"a\"\non = [\"never\"]\nsns = {{ topic_arn = \"x\" }}\n"),
            "`never` is not known",
        ),
    ] {
        let scratch = crate::support::Scratch::new();
        let config = scratch.0.join("drctl.toml");
        std::fs::write(&config, text).unwrap();
        let mut command = std::process::Command::new(crate::support::DRCTL);
        command.args(["daemon", "--config"]).arg(&config).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        crate::support::CommandOutput::from(command.output().unwrap()).assert_code(2).assert_contains(part);
    }
}

#[test]
fn a_plan_is_printed_and_nothing_done() {
    let rig = TestSandbox::start(&estate("cron(0 6 ? * MON *)", "reap = \"never\"\ntimezone = \"Europe/Dublin\"\n"));
    let ran = rig.run(&["daemon", "--plan", "28d", "--output", "json"]).assert_code(0);
    let plan: Value = serde_json::from_str(&ran.out).unwrap();
    let planned = plan["planned"].as_array().unwrap();
    assert_eq!(planned.len(), 4);
    assert!(planned.iter().all(|one| one["timetable"] == "cron(0 6 ? * MON *) Europe/Dublin"));
    assert!(!rig.scratch.0.join("drctl.db").exists());
}

#[test]
fn a_second_daemon_on_one_file_is_told_why_not() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let agent = Agent::start(&rig);
    agent.wait_for("planned");
    rig.run(&["daemon"]).assert_code(2).assert_contains("another daemon is at work").assert_contains("PostgreSQL");
    assert_eq!(agent.stop(), 0);
    let again = Agent::start(&rig);
    again.wait_until("a second start", |log| log.matches("serving /metrics").count() == 2);
    assert_eq!(again.stop(), 0);
}

#[test]
fn a_run_is_left_at_a_stop_and_carried_on_after_the_start() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    // A restore takes 400 s there: 20 s here.
    let rig = TestSandbox::with(&estate("rate(1 minute)", "drain = \"0s\"\n"), &["--time-scale", "20"]);
    let before = rig.state();
    let agent = Agent::start(&rig);
    agent.wait_for("making a resource");
    assert_eq!(agent.stop(), 0);
    let found = rig.runs();
    assert_eq!((found.len(), &found[0]["outcome"]), (1, &Value::from("running")));
    let agent = Agent::start(&rig);
    agent.wait_for("carrying a run on");
    agent.wait_for("a test has ended");
    let found = rig.runs();
    let first = found.last().unwrap();
    assert_eq!(first["outcome"], "passed", "{first:#}");
    // The next one may be at work already: nothing overlaps, and a stop leaves it again.
    assert_eq!(agent.stop(), 0);
    assert!(found.len() <= 2);
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(rig.state(), before);
}

#[test]
fn a_reload_says_what_changed_and_a_bad_one_changes_nothing() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let agent = Agent::start(&rig);
    agent.wait_for("serving /metrics");
    let text = std::fs::read_to_string(&rig.config).unwrap();
    std::fs::write(&rig.config, text.replace("@weekly", "@sometimes")).unwrap();
    agent.signal("HUP");
    agent.wait_for("the new configuration was not taken; the old one stays");
    agent.wait_for("@sometimes");
    std::fs::write(&rig.config, text.replace("@weekly", "@daily")).unwrap();
    agent.signal("HUP");
    agent.wait_for("the configuration was read again");
    let log = agent.log();
    assert!(log.contains("database.shop-pg.restore_test.schedule: \\\"@weekly\\\" -> \\\"@daily\\\""), "{log}");
    agent.wait_until("planned anew", |log| log.matches("@daily UTC").count() >= 1);
    wait_until_ready(&agent.address());
    assert_eq!(agent.stop(), 0);
}

#[test]
fn metrics_and_health_are_served_and_a_switch_is_kept_quiet() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let http_stub = HttpStub::content();
    let text = estate("rate(1 day)", &format!("otlp = \"{}\"\n", http_stub.url))
        + &format!("[[heartbeat]]\nname = \"switch\"\nurl = \"{}/id\"\nevery = \"1s\"\n", http_stub.url);
    let text = text.replace("[database.restore_test]", "rto = \"2d\"\n[database.restore_test]\ndeadline = \"48h\"");
    let rig = TestSandbox::with(&text, &["--time-scale", "10000"]);
    let agent = Agent::start(&rig);
    let address = agent.address();
    agent.wait_for("a test has ended");
    let metrics = get(&address, "/metrics");
    for name in [
        "drctl_restore_test_last_success_timestamp_seconds{estate=\"shop\",target=\"shop-pg\"}",
        "drctl_restore_test_rto_seconds{",
        "drctl_restore_test_rto_objective_seconds{estate=\"shop\",target=\"shop-pg\"} 172800.0",
        "drctl_rpo_seconds{",
        "drctl_rpo_objective_seconds{",
        "drctl_check_results{estate=\"shop\",outcome=\"failed\"} 0",
        "drctl_runs_stuck{estate=\"shop\"} 0",
    ] {
        assert!(metrics.contains(name), "{name}\n{metrics}");
    }
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz").contains("\"ok\":true"));
    let log = agent.log();
    let of_run = log.lines().filter(|line| line.contains("making a resource"));
    assert!(of_run.into_iter().all(|line| serde_json::from_str::<Value>(line).unwrap()["span"]["run.id"].is_string()));
    let requests = http_stub.wait(|requests| requests.iter().any(|request| request.path == "/id"));
    let pings: Vec<_> = requests.iter().filter(|request| request.path.starts_with("/id")).collect();
    assert_eq!(pings[0].path, "/id/start");
    let requests_so_far = http_stub.wait(|requests| requests.iter().any(|request| request.path == "/v1/traces"));
    let traces = requests_so_far.iter().find(|request| request.path == "/v1/traces").unwrap().json();
    let spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    let root = spans.iter().find(|span| span["parentSpanId"] == "").unwrap();
    assert!(root["name"] == "restore-test" && root["traceId"].as_str().unwrap().len() == 32);
    let restore = spans.iter().find(|span| span["name"] == "restore").unwrap();
    assert_eq!((&restore["parentSpanId"], &restore["traceId"]), (&root["spanId"], &root["traceId"]));
    // AWS goes away: the switch is told that all is not well.
    rig.fault(serde_json::json!({ "service": "sts", "effect": "denied", "times": 100_000 }));
    let requests = http_stub.wait(|requests| requests.iter().any(|request| request.path == "/id/fail"));
    assert!(requests.iter().rfind(|request| request.path == "/id/fail").unwrap().body.contains("AccessDenied"));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 503"));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn several_estates_share_one_daemon() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let folder = rig.scratch.0.join("estates");
    std::fs::create_dir(&folder).unwrap();
    let text = estate("@weekly", "");
    std::fs::write(folder.join("a.toml"), &text).unwrap();
    std::fs::write(folder.join("b.toml"), text.replace("name   = \"shop\"", "name   = \"store\"")).unwrap();
    let mut command = rig.command(&["daemon", "--config"]);
    command.arg(&folder).env_remove("DRCTL_CONFIG");
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    let address = agent.address();
    let ready = get(&address, "/readyz");
    assert!(ready.contains("\"shop\"") && ready.contains("\"store\""), "{ready}");
    std::fs::remove_file(folder.join("b.toml")).unwrap();
    agent.signal("HUP");
    agent.wait_for("the estate is no longer configured");
    assert!(!get(&address, "/readyz").contains("\"store\""));
    std::fs::copy(folder.join("a.toml"), folder.join("c.toml")).unwrap();
    agent.signal("HUP");
    agent.wait_for("are both the estate `shop`");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn an_estate_that_aws_does_not_let_in_waits_and_keeps_no_other_waiting() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let folder = rig.scratch.0.join("estates");
    std::fs::create_dir(&folder).unwrap();
    let text = estate("@weekly", "");
    std::fs::write(folder.join("a.toml"), &text).unwrap();
    let role = "name   = \"store\"\nrole_arn = \"arn:aws:iam::123456789012:role/drctl\"";
    std::fs::write(folder.join("b.toml"), text.replace("name   = \"shop\"", role)).unwrap();
    rig.fault(serde_json::json!({ "action": "AssumeRole", "effect": "denied", "times": 100_000 }));
    let mut command = rig.command(&["daemon", "--config"]);
    command.arg(&folder).env_remove("DRCTL_CONFIG");
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    let address = agent.address();
    let planned = |log: &str, name: &str| {
        log.lines().any(|line| line.contains("planned") && line.contains(&format!("estate=\"{name}\"")))
    };
    agent.wait_until("the other estate", |log| planned(log, "shop"));
    agent.wait_for("cannot verify the AWS identity");
    assert!(!planned(&agent.log(), "store"));
    // Alive, but not ready.
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 503"));
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("drctl_agent_ready{estate=\"store\"} 0"), "{metrics}");
    rig.control("DELETE", "faults", &Value::Null);
    agent.wait_until("the estate, let in", |log| planned(log, "store"));
    wait_until_ready(&address);
    // Once it is at work, a new configuration that AWS does not let in changes nothing.
    rig.fault(serde_json::json!({ "action": "AssumeRole", "effect": "denied", "times": 100_000 }));
    std::fs::write(folder.join("b.toml"), text.replace("name   = \"shop\"", &role.replace("role/drctl", "role/other")))
        .unwrap();
    agent.signal("HUP");
    agent.wait_for("the old one stays");
    assert!(!agent.log().contains("the configuration was read again"));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn credentials_in_a_file_can_be_mended_meanwhile() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let file = rig.scratch.0.join("credentials");
    let mut command = rig.command(&["daemon"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", rig.scratch.0.join("none"));
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    agent.wait_for("cannot verify the AWS identity");
    std::fs::write(&file, "[default]\naws_access_key_id = sandbox\naws_secret_access_key = sandbox\n").unwrap();
    agent.wait_for("planned");
    // Who still waits can be stopped at once.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(agent.stop(), 0);
    let mut command = rig.command(&["daemon"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", rig.scratch.0.join("none"));
    let agent = Agent::spawn(command, rig.scratch.0.join("other.log"));
    agent.wait_for("cannot verify the AWS identity");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_database_that_goes_away_and_comes_back_costs_nothing() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let mut postgres = Postgres::start();
    let text = estate("cron(0 12 1 2 ? 2027)", "[state]\nurl = \"env:DRCTL_STATE_URL\"\nlease = \"20s\"\n")
        .replace("[database.restore_test]", "[database.restore_test]\ndeadline = \"24h\"")
        .replace("rto = \"1h\"", "rto = \"2d\"");
    let rig = TestSandbox::with(&text, &["--time-scale", "40", "--start", "2027-02-01T11:59:00Z"]);
    let before = rig.state();
    let mut command = rig.command(&["daemon"]);
    command.env("DRCTL_STATE_URL", url(postgres.port));
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    agent.wait_for("making a resource");
    postgres.go_down();
    std::thread::sleep(Duration::from_secs(4));
    postgres.come_back();
    agent.wait_for("a test has ended");
    assert_eq!(postgres.ask("select state, epoch from runs"), ["passed|1"], "{}", agent.log());
    assert_eq!(agent.stop(), 0);
    assert_eq!(rig.state(), before);
    // Against a database that is not there, it says so and ends.
    postgres.go_down();
    let mut command = rig.command(&["runs", "list"]);
    command.env("DRCTL_STATE_URL", postgres.url());
    crate::support::CommandOutput::from(command.output().unwrap())
        .assert_code(3)
        .assert_contains("failed to open the state in `postgres://");
}

#[test]
fn a_state_file_is_backed_up_and_a_damaged_one_is_refused() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let copy = rig.scratch.0.join("copy.db");
    rig.run(&["runs", "backup", copy.to_str().unwrap()]).assert_code(2).assert_contains("there is no state");
    rig.run(&["reap"]).assert_code(0);
    rig.run(&["runs", "backup", copy.to_str().unwrap()]).assert_code(0);
    rig.run(&["runs", "backup", copy.to_str().unwrap()]).assert_code(2).assert_contains("is there already");
    std::fs::copy(&copy, rig.scratch.0.join("drctl.db")).unwrap();
    rig.run(&["runs", "list"]).assert_code(0);
    for beside in ["drctl.db-wal", "drctl.db-shm"] {
        let _ = std::fs::remove_file(rig.scratch.0.join(beside));
    }
    std::fs::write(rig.scratch.0.join("drctl.db"), "this is no database".repeat(1000)).unwrap();
    rig.run(&["daemon"]).assert_code(2).assert_contains("drctl.db");
}

#[test]
fn a_timer_of_ones_own_tells_the_same_people() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let http_stub = HttpStub::content();
    let text = estate("@weekly", "")
        + &format!(
            "[[notify]]\nname = \"hook\"\non = [\"passed\"]\nwebhook = {{ url = \"{}/hook\" }}\n",
            http_stub.url
        );
    let rig = TestSandbox::start(&text);
    rig.run(&["restore-test", "shop-pg"]).assert_code(0);
    assert!(http_stub.requests().is_empty(), "a person at a terminal sees the result");
    rig.run(&["restore-test", "shop-pg", "--notify"]).assert_code(0);
    let requests = http_stub.requests();
    assert_eq!((requests.len(), requests[0].json()["event"].as_str()), (1, Some("passed")));
}

#[test]
fn a_state_file_that_somebody_holds_is_waited_for_but_not_for_ever() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    rig.run(&["reap"]).assert_code(0);
    let hold = |seconds: u32| {
        let script = "import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      c.execute('begin exclusive')\nprint('held', flush=True)\ntime.sleep(float(sys.argv[2]))";
        let mut command = std::process::Command::new("python3");
        command.args(["-c", script]).arg(rig.scratch.0.join("drctl.db")).arg(seconds.to_string());
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = [0; 4];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        child
    };
    // What only reads waits for nobody.
    let mut held = hold(2);
    rig.run(&["runs", "list"]).assert_code(0);
    rig.run(&["reap"]).assert_code(0);
    held.wait().unwrap();
    let mut held = hold(60);
    rig.run(&["runs", "list"]).assert_code(0);
    rig.run(&["daemon"]).assert_code(3).assert_contains("database is locked");
    held.kill().unwrap();
    held.wait().unwrap();
    rig.run(&["reap"]).assert_code(0);
}

#[test]
fn a_supervisor_is_told_of_the_start_each_reload_each_beat_and_the_end() {
    let rig = TestSandbox::start(&estate("@weekly", ""));
    let path = rig.scratch.0.join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let next = || {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut command = rig.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    assert_eq!(next().trim(), "READY=1");
    assert_eq!(next().trim(), "WATCHDOG=1");
    agent.signal("HUP");
    let until = |wanted: &str| {
        let said = std::iter::repeat_with(next).take(20).find(|said| said.contains(wanted));
        said.unwrap_or_else(|| panic!("`{wanted}` was not said"))
    };
    assert!(until("RELOADING=1").contains("MONOTONIC_USEC="));
    until("READY=1");
    assert_eq!(agent.stop(), 0);
    until("STOPPING=1");
}
