//! A year of weekly tests on a clock that runs 10,000 times fast.

use std::time::{Duration, Instant};

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http_stub::HttpStub;
use crate::support::{Engine, HEAD, TestSandbox, require_engines};

/// Waiting is cut short by moving the sandbox's clock on until so long before a test, unless the whole year is wanted.
const LEAD_SECONDS: i64 = 3600;

fn estate(http_stub: &HttpStub) -> String {
    format!(
        r#"{HEAD}
[daemon]
listen = "127.0.0.1:0"
timezone = "Europe/Dublin"
[[database]]
id = "shop-pg"
kind = "rds-postgresql"
retention = "7d"
# A tenth of a second here is a quarter of an hour there: this machine's pauses must not look like AWS's.
rto = "2d"
[database.restore_test]
ca = "sandbox-ca.pem"
deadline = "48h"
schedule = "cron(30 1 ? * SUN *)"
database = "shop"
username = "shop_admin"
password = "secretsmanager:shop/pg"
[[notify]]
name = "everything"
on = ["passed", "failed", "unknown", "recovered", "stuck"]
webhook = {{ url = "{url}/hook" }}
"#,
        url = http_stub.url
    )
}

/// Where the sandbox's clock stands.
fn now(rig: &TestSandbox) -> Timestamp {
    rig.control("GET", "note", &Value::Null)["now"].as_str().unwrap().parse().unwrap()
}

fn go_to(rig: &TestSandbox, at: Timestamp) {
    if std::env::var_os("DRCTL_TEST_WHOLE_YEAR").is_some() {
        while now(rig) < at {
            std::thread::sleep(Duration::from_millis(50));
        }
        return;
    }
    let seconds = at.duration_since(now(rig)).as_secs();
    if seconds > 0 {
        rig.control("POST", "advance", &json!({ "seconds": seconds }));
    }
}

/// How many runs have ended.
fn ended(rig: &TestSandbox) -> usize {
    rig.runs().iter().filter(|run| run["outcome"] != "running").count()
}

fn wait_for_runs(rig: &TestSandbox, agent: &Agent, count: usize) {
    let began = Instant::now();
    while ended(rig) < count {
        assert!(began.elapsed() < Duration::from_mins(15), "run {count} in vain:\n{}", agent.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_year_of_weekly_tests() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let http_stub = HttpStub::content();
    let rig = TestSandbox::with(&estate(&http_stub), &["--time-scale", "10000", "--start", "2027-01-01T00:00:00Z"]);
    let dublin = TimeZone::get("Europe/Dublin").unwrap();
    let mut agent = Agent::start(&rig);
    agent.wait_for("planned");
    let mut sunday = date(2027, 1, 3);
    let mut expected = 0;
    while sunday.year() == 2027 {
        let due = dublin.to_ambiguous_timestamp(sunday.at(1, 30, 0, 0));
        // On 28 March half past one does not exist.
        if due.is_ambiguous() && sunday.month() == 3 {
            sunday += 7.days();
            continue;
        }
        let due = due.earlier().unwrap();
        go_to(&rig, due - jiff::SignedDuration::from_secs(LEAD_SECONDS));
        match (sunday.month(), sunday.day()) {
            // For two weeks the backups lack rows.
            (5, 9) => drop(rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "rows" }))),
            // Nobody is there for a week: what is due is missed, and done as soon as somebody is back.
            (8, 15) => {
                assert_eq!(agent.stop(), 0);
                go_to(&rig, due + jiff::SignedDuration::from_hours(6 * 24));
                agent = Agent::start(&rig);
            }
            _ => {}
        }
        expected += 1;
        wait_for_runs(&rig, &agent, expected);
        if (sunday.month(), sunday.day()) == (5, 16) {
            // Backups made from now on are whole again.
            rig.control("POST", "repair", &json!({ "target": "shop-pg" }));
        }
        sunday += 7.days();
    }
    http_stub.wait(|requests| requests.len() >= expected);
    assert_eq!(agent.stop(), 0);

    let day = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap().to_zoned(dublin.clone());
    let history = rig.runs().into_iter().rev().map(|run| {
        let started = day(&run["started_at"]);
        format!("{} {}\n", started.strftime("%a %Y-%m-%d"), run["outcome"].as_str().unwrap())
    });
    let messages = http_stub.requests().into_iter().map(|request| {
        let message = request.json();
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let (at, since) = (day(&message["at"]), message["since"].as_str().map(|_| day(&message["since"])));
        let since = since.map_or_else(String::new, |since| format!(" since {}", since.strftime("%Y-%m-%d")));
        let findings: Vec<_> =
            message["findings"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap()).collect();
        format!("{} {} ({}){since} {}\n", at.strftime("%Y-%m-%d"), text("title"), text("because"), findings.join(", "))
    });
    let story = format!("{}\n{}", history.collect::<String>(), messages.collect::<String>());
    insta::assert_snapshot!(story);
}
