//! Messages to people, received by stand-ins that hold them to what the real ones take.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::http_stub::{Answer, HttpStub};
use crate::support::{Engine, HEAD, TestSandbox, require_engines};

/// A database whose check has a name that no channel takes as it is.
const DATABASE: &str = r#"
[[database]]
id = "shop-pg"
kind = "rds-postgresql"
retention = "7d"
rto = "2d"
[database.restore_test]
ca = "sandbox-ca.pem"
deadline = "48h"
schedule = "rate(6 hours)"
database = "shop"
username = "shop_admin"
[[database.restore_test.check]]
name   = "a <b> & \"c\" check"
sql    = "select count(*) from orders"
expect = ">= 100000000"
"#;

fn estate(notify: &str) -> String {
    format!("{HEAD}\n[daemon]\nlisten = \"127.0.0.1:0\"\n{DATABASE}\n{notify}")
}

/// Whether Slack would take it: the limits of its Block Kit reference.
fn check_blocks(payload: &Value) -> Result<(), String> {
    let length = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    let blocks = payload["blocks"].as_array().ok_or("no blocks")?;
    if blocks.is_empty() || blocks.len() > 50 || length(&payload["text"]) == 0 {
        return Err("invalid_blocks".to_owned());
    }
    for block in blocks {
        let text = &block["text"];
        let (kind, most) = match block["type"].as_str() {
            Some("header") => ("plain_text", 150),
            Some("section") => ("mrkdwn", 3000),
            other => return Err(format!("a block of type {other:?}")),
        };
        if text["type"] != kind || length(&text["text"]) == 0 || length(&text["text"]) > most {
            return Err(format!("invalid_blocks: {block}"));
        }
        let raw = text["text"].as_str().unwrap_or_default();
        if kind == "mrkdwn" && (raw.contains("<b>") || raw.contains(" & ")) {
            return Err(format!("not escaped: {raw}"));
        }
    }
    Ok(())
}

fn daemon(rig: &TestSandbox) -> Agent {
    let mut command = rig.command(&["daemon"]);
    command.env("SLACK_TOKEN", "xoxb-secret").env("PAGERDUTY_KEY", "routing-secret");
    command.env("SLACK_WEBHOOK_URL", std::fs::read_to_string(rig.scratch.0.join("hook")).unwrap_or_default());
    Agent::spawn(command, rig.scratch.0.join("daemon.log"))
}

#[test]
fn slack_is_tried_again_until_it_takes_a_message_that_it_would_take() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let slack = HttpStub::scripted(|request, before| match before {
        0 => Some(Answer("429 Too Many Requests", "retry-after: 30\r\n", String::new())),
        1 => Some(Answer("500 Internal Server Error", "", "oops".to_owned())),
        2 => Some(Answer::ok("<html>the proxy wants you to log in</html>")),
        3 => None,
        _ => Some(match check_blocks(&request.json()) {
            Ok(()) => Answer::ok("ok"),
            Err(error) => Answer("400 Bad Request", "", error),
        }),
    });
    let text = estate("[[notify]]\nname = \"ops\"\nslack = { webhook = \"env:SLACK_WEBHOOK_URL\" }\n");
    let rig = TestSandbox::with(&text, &["--time-scale", "2000"]);
    std::fs::write(rig.scratch.0.join("hook"), format!("{}/services/T/B/secret", slack.url)).unwrap();
    let agent = daemon(&rig);
    let requests = slack.wait(|requests| requests.len() >= 5);
    let mut payload = requests[4].json();
    assert_eq!(check_blocks(&payload), Ok(()));
    assert!(payload["text"].as_str().unwrap().contains("shop-pg failed"), "{payload:#}");
    // What is measured differs from run to run.
    payload["blocks"].as_array_mut().unwrap().retain(|block| !block["text"]["text"].as_str().unwrap().contains("RTO"));
    let text = payload.to_string();
    assert!(text.contains("a &lt;b&gt; &amp; \\\"c\\\" check") && text.contains("*Next:*"), "{text}");
    agent.wait_for("answered 429");
    assert!(!agent.log().contains("/services/T/B/secret"), "the address of a webhook is a secret");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_bot_keeps_an_incident_in_a_thread_and_attaches_the_report() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let slack = HttpStub::scripted(|request, before| {
        let host = request.header("host").unwrap_or_default();
        let answer = match request.path.as_str() {
            "/api/chat.postMessage" => match check_blocks(&request.json()) {
                Ok(()) => json!({ "ok": true, "ts": format!("{before}.000") }),
                Err(error) => json!({ "ok": false, "error": error }),
            },
            "/api/files.getUploadURLExternal" => {
                json!({ "ok": true, "upload_url": format!("http://{host}/upload"), "file_id": "F1" })
            }
            _ => json!({ "ok": true }),
        };
        Some(Answer::ok(answer.to_string()))
    });
    let text = estate(&format!(
        "[[notify]]\nname = \"ops\"\nslack = {{ token = \"env:SLACK_TOKEN\", channel = \"C123\", api = \"{}/api\" }}\n",
        slack.url
    ));
    let rig = TestSandbox::with(&text.replace("rate(6 hours)", "rate(2 days)"), &["--time-scale", "10000"]);
    let agent = daemon(&rig);
    let posts = |requests: &[crate::http_stub::Request]| {
        requests.iter().filter(|request| request.path.ends_with("postMessage")).cloned().collect::<Vec<_>>()
    };
    // It fails, is told, and two days later told again.
    let requests = slack.wait(|requests| posts(requests).len() >= 2);
    let posts = posts(&requests);
    assert!(posts.iter().all(|post| post.header("authorization") == Some("Bearer xoxb-secret")));
    assert!(posts[0].json()["thread_ts"].is_null() && posts[0].json()["channel"] == "C123");
    let first = requests.iter().position(|request| request.path.ends_with("postMessage")).unwrap();
    assert_eq!(posts[1].json()["thread_ts"], format!("{first}.000"));
    assert!(posts[1].json()["text"].as_str().unwrap().contains("still failed"));
    let upload = requests.iter().find(|request| request.path == "/upload").unwrap();
    assert_eq!(upload.json()["target"], "shop-pg");
    let complete = requests.iter().find(|request| request.path.ends_with("completeUploadExternal")).unwrap();
    assert_eq!(complete.json()["thread_ts"], format!("{first}.000"));
    assert_eq!(agent.stop(), 0);
}

#[test]
fn pagerduty_gets_one_alert_for_a_target_and_its_end() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let pagerduty = HttpStub::scripted(|_, _| Some(Answer("202 Accepted", "", "{\"status\":\"success\"}".to_owned())));
    let text = estate(&format!(
        "[[notify]]\nname = \"night\"\npagerduty = {{ routing_key = \"env:PAGERDUTY_KEY\", api = \"{}\" }}\n",
        pagerduty.url
    ));
    let text = text.replace(">= 100000000", ">= 1");
    let rig = TestSandbox::with(&text, &["--time-scale", "2000"]);
    rig.control("POST", "damage", &json!({ "target": "shop-pg", "kind": "page" }));
    let agent = daemon(&rig);
    pagerduty.wait(|requests| !requests.is_empty());
    rig.control("POST", "repair", &json!({ "target": "shop-pg" }));
    let requests =
        pagerduty.wait(|requests| requests.iter().any(|request| request.json()["event_action"] == "resolve"));
    assert!(requests.iter().all(|request| request.path == "/v2/enqueue"));
    let first = requests[0].json();
    assert_eq!(first["event_action"], "trigger");
    assert_eq!(first["routing_key"], "routing-secret");
    assert_eq!(first["payload"]["severity"], "critical");
    let key = format!("drctl/shop/prod/shop-pg/{}", first["payload"]["custom_details"]["run_id"].as_str().unwrap());
    assert!(requests.iter().all(|request| request.json()["dedup_key"] == key.as_str()));
    assert_eq!(agent.stop(), 0);
}

/// A copy that cannot be removed is one thing, a backup that lost rows another: each is told, and each end by itself.
#[test]
fn a_stuck_copy_mutes_no_failed_test() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let hook = HttpStub::content();
    let channel = format!("[[notify]]\nname = \"hook\"\nwebhook = {{ url = \"{}/hook\" }}\n", hook.url);
    let (good, bad) = (estate(&channel).replace(">= 100000000", ">= 1"), estate(&channel));
    let rig = TestSandbox::with(&good, &["--time-scale", "0"]);
    let test = |code: i32| {
        rig.run(&["restore-test", "shop-pg", "--notify"]).assert_code(code);
    };
    rig.fault(json!({ "action": "DeleteDBInstance", "effect": "denied", "times": 100 }));
    test(4);
    rig.control("DELETE", "faults", &Value::Null);
    std::fs::write(&rig.config, &bad).unwrap();
    test(1);
    rig.run(&["reap"]).assert_code(0);
    std::fs::write(&rig.config, &good).unwrap();
    test(0);
    let requests = hook.wait(|requests| requests.len() >= 4);
    let told = |request: &crate::http_stub::Request| {
        let body = request.json();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        (text("check"), text("event"), text("incident"))
    };
    let told: Vec<_> = requests.iter().map(told).collect();
    let events: Vec<_> = told.iter().map(|(check, event, _)| format!("{check} {event}")).collect();
    let mut ends = events[2..].to_vec();
    ends.sort();
    assert_eq!(
        (&events[..2], &ends[..]),
        (
            &["cleanup stuck".to_owned(), "restore-test failed".to_owned()][..],
            &["cleanup recovered".to_owned(), "restore-test recovered".to_owned()][..],
        )
    );
    let key = |check: &str| told.iter().filter(|(of, ..)| of == check).map(|(.., key)| key.clone()).collect::<Vec<_>>();
    let (test, cleanup) = (key("restore-test"), key("cleanup"));
    assert!(test[0] == test[1] && cleanup[0] == cleanup[1] && test[0] != cleanup[0], "{told:?}");
}

#[test]
fn what_was_given_up_can_be_sent_again() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    // The channel was archived; later somebody brings it back.
    let slack = HttpStub::scripted(|_, before| {
        Some(if before == 0 { Answer("410 Gone", "", "channel_is_archived".to_owned()) } else { Answer::ok("ok") })
    });
    let text = estate("[[notify]]\nname = \"ops\"\nslack = { webhook = \"file:hook\" }\n")
        .replace("rate(6 hours)", "cron(0 12 2 1 ? *)");
    // Once a year is five minutes here: there is no second test.
    let rig = TestSandbox::with(&text, &["--time-scale", "100000", "--start", "2027-01-01T00:00:00Z"]);
    std::fs::write(rig.scratch.0.join("hook"), format!("{}/x", slack.url)).unwrap();
    let mut command = rig.command(&["daemon"]);
    command.current_dir(&rig.scratch.0);
    let agent = Agent::spawn(command, rig.scratch.0.join("daemon.log"));
    agent.wait_for("message moved to dead letters");
    assert_eq!(agent.stop(), 0);
    let drctl = |arguments: &[&str]| {
        let mut command = rig.command(arguments);
        crate::support::CommandOutput::from(command.current_dir(&rig.scratch.0).output().unwrap())
    };
    drctl(&["notify", "list"]).assert_code(0).assert_contains("channel_is_archived");
    drctl(&["notify", "retry"]).assert_code(0).assert_contains("1 tried again, 1 sent, 0 not delivered");
    drctl(&["notify", "list"]).assert_code(0).assert_contains("every message was delivered");
    assert_eq!(slack.requests().len(), 2);
}

#[test]
fn a_channel_is_tried_and_previewed() {
    let http_stub = HttpStub::content();
    let broken = HttpStub::scripted(|_, _| Some(Answer("403 Forbidden", "", "invalid_token".to_owned())));
    let text = format!(
        "{HEAD}\n[[notify]]\nname = \"hook\"\nwebhook = {{ url = \"{0}/hook\", key = \"env:HOOK_KEY\" }}\n\
         [[notify]]\nname = \"broken\"\nslack = {{ webhook = \"env:BROKEN\" }}\n\
         [[heartbeat]]\nname = \"switch\"\nurl = \"{0}/ping\"\n\
         [[notify]]\nname = \"mail\"\nemail = {{ smtp = \"smtp://mail.example.com\", from = \"drctl@example.com\", \
         to = [\"dba@example.com\", \"ops@example.com\"] }}\n\
         [[notify]]\nname = \"pager\"\npagerduty = {{ routing_key = \"env:NOT_SET\" }}\n\
         [[notify]]\nname = \"topic\"\nsns = {{ topic_arn = \"arn:aws:sns:eu-west-1:123456789012:alerts\" }}\n",
        http_stub.url
    );
    let rig = TestSandbox::start(&text);
    let run = |arguments: &[&str]| {
        let mut command = rig.command(arguments);
        command.env("HOOK_KEY", "k").env("BROKEN", &broken.url);
        crate::support::CommandOutput::from(command.output().unwrap())
    };
    run(&["notify", "test", "hook"]).assert_code(0).assert_contains("hook: sent by webhook");
    run(&["notify", "test", "switch"]).assert_code(0);
    assert_eq!(
        http_stub.requests().iter().map(|request| request.path.as_str()).collect::<Vec<_>>(),
        ["/hook", "/ping"]
    );
    run(&["notify", "test", "broken"]).assert_code(1).assert_contains("invalid_token").assert_contains("--preview");
    run(&["notify", "test", "pager"]).assert_code(1).assert_contains("`env:NOT_SET` is not set");
    run(&["notify", "test", "nobody"]).assert_code(2).assert_contains("the estate has: hook, broken");
    for channel in ["hook", "broken", "mail", "pager", "topic"] {
        let ran = run(&["notify", "test", channel, "--preview"]).assert_code(0).assert_contains("nothing was sent");
        assert!(ran.out.contains("example-database"), "{}", ran.out);
    }
    // A test of the channel is no event, and an example is what it would be.
    let topic = |more: &[&str]| run(&[&["notify", "test", "topic", "--preview"], more].concat()).assert_code(0).out;
    assert!(topic(&[]).contains("\"event\": \"test\"") && !topic(&[]).contains("environment"), "{}", topic(&[]));
    for event in ["failed", "recovered", "stuck"] {
        let shown = topic(&["--as", event]);
        assert!(shown.contains(&format!("\"event\": \"{event}\"")), "{shown}");
        assert!(shown.contains("Full report: `drctl runs show ") && shown.contains("(shop)"), "{shown}");
    }
    // What people see of one of several recipients.
    let ran = run(&["notify", "test", "mail/ops@example.com", "--preview"]).assert_code(0);
    assert!(ran.out.contains("To: ops@example.com") && !ran.out.contains("dba@example.com"), "{}", ran.out);
    assert_eq!(http_stub.requests().len(), 2);
}
