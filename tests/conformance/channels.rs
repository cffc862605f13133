//! Mail by aiosmtpd, and SNS by moto, which delivers to a queue.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{CommandOutput, DRCTL, HEAD, Scratch};
use crate::{Moto, PYTHON, have_python, python};

/// An SMTP server in one of its moods.
struct Smtp {
    server: Child,
    out: Lines<BufReader<ChildStdout>>,
    scratch: Scratch,
    port: String,
}

impl Smtp {
    fn start(mode: &str) -> Self {
        let scratch = Scratch::new();
        let mut server = Command::new(PYTHON)
            .args(["tests/conformance/smtp_server.py", mode])
            .arg(&scratch.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(server.stdout.take().unwrap()).lines();
        let port = out.next().unwrap().unwrap();
        Self { server, out, scratch, port }
    }

    /// Sends a test message by it.
    fn tried(&self, scheme: &str, more: &str, moto: &Moto, password: &str) -> CommandOutput {
        let text = format!(
            "{HEAD}[[notify]]\nname = \"mail\"\n[notify.email]\nsmtp = \"{scheme}://localhost:{}\"\n\
             from = \"drctl <drctl@example.com>\"\nto = [\"dba@example.com\", \"ops@example.com\"]\n{more}",
            self.port
        );
        trial(&self.scratch, &text, "mail", moto, password)
    }

    fn received(&mut self) -> Value {
        serde_json::from_str(&self.out.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn trial(scratch: &Scratch, text: &str, channel: &str, moto: &Moto, password: &str) -> CommandOutput {
    let config = scratch.0.join("drctl.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(DRCTL);
    command
        .args(["notify", "test", channel, "--config"])
        .arg(&config)
        .env("AWS_ENDPOINT_URL", &moto.endpoint)
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("SMTP_PASSWORD", password);
    CommandOutput::from(command.output().unwrap())
}

const LOGIN: &str = "username = \"drctl\"\npassword = \"env:SMTP_PASSWORD\"\nca = \"ca.pem\"\n";

#[test]
fn mail_goes_out_encrypted_and_authenticated_or_not_at_all() {
    if !have_python() {
        return;
    }
    let moto = Moto::start();
    for (mode, scheme) in [("smtps", "smtps"), ("starttls", "smtp")] {
        let mut smtp = Smtp::start(mode);
        smtp.tried(scheme, LOGIN, &moto, "opensesame").assert_code(0).assert_contains("sent by email");
        // Each recipient gets a mail of their own.
        let mail = smtp.received();
        assert_eq!(smtp.received()["to"], serde_json::json!(["ops@example.com"]));
        assert!(mail["encrypted"] == true && mail["authenticated"] == true, "{mode}: {mail:#}");
        assert_eq!(mail["to"], serde_json::json!(["dba@example.com"]));
        let header = |name: &str| mail["headers"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(header("subject"), "[drctl] example-database test message (shop)");
        assert!(header("message-id").starts_with("<test-") && header("auto-submitted") == "auto-generated");
        assert!(mail["parts"]["text/plain"].as_str().unwrap().contains("orders exist: expected >= 1"));
        assert!(mail["parts"]["text/html"].as_str().unwrap().contains("<td>&gt;= 1</td>"));
        // A wrong password, and an authority that nobody knows.
        smtp.tried(scheme, LOGIN, &moto, "wrong")
            .assert_code(1)
            .assert_contains("535")
            .assert_contains("this may be temporary");
        smtp.tried(scheme, &LOGIN.replace("ca = \"ca.pem\"\n", ""), &moto, "opensesame").assert_code(1);
    }
}

#[test]
fn a_mail_server_may_ask_for_patience_refuse_or_hang() {
    if !have_python() {
        return;
    }
    let moto = Moto::start();
    let answer = |mode: &str| Smtp::start(mode).tried("smtp+plain", "", &moto, "");
    answer("greylist").assert_code(1).assert_contains("greylisted").assert_contains("this may be temporary");
    let refused = answer("refuse").assert_code(1).assert_contains("relaying denied");
    assert!(!refused.err.contains("this may be temporary"));
    // Somebody has left the company: the others are told, and it is said who was not.
    let mut gone = Smtp::start("gone");
    gone.tried("smtp+plain", "", &moto, "")
        .assert_code(1)
        .assert_contains("mail/dba@example.com: the mail server refused");
    assert_eq!(gone.received()["to"], serde_json::json!(["ops@example.com"]));
    answer("hang").assert_code(1).assert_contains("this may be temporary");
    // No encryption where it is asked for: nothing is sent.
    Smtp::start("greylist").tried("smtp", "", &moto, "").assert_code(1);
}

#[test]
fn a_topic_passes_messages_on_to_a_queue() {
    if !have_python() {
        return;
    }
    let moto = Moto::start();
    let made = python("moto_topic.py", &["make", &moto.endpoint]).assert_code(0).out;
    let scratch = Scratch::new();
    for arn in made.lines() {
        let text = format!("{HEAD}[[notify]]\nname = \"topic\"\nsns = {{ topic_arn = \"{arn}\" }}\n");
        trial(&scratch, &text, "topic", &moto, "").assert_code(0).assert_contains("sent by sns");
    }
    let found = python("moto_topic.py", &["receive", &moto.endpoint]).assert_code(0).out;
    let found: Value = serde_json::from_str(&found).unwrap();
    for name in ["alerts", "alerts.fifo"] {
        let message = &found[name][0];
        assert!(message["Subject"].as_str().unwrap().starts_with("example-database test message"), "{found:#}");
        assert!(message["Message"].as_str().unwrap().contains("Next:"));
        assert_eq!(message["MessageAttributes"]["target"]["Value"], "example-database");
        assert_eq!(message["MessageAttributes"]["event"]["Value"], "test");
    }
    let text = format!(
        "{HEAD}[[notify]]\nname = \"topic\"\nsns = {{ topic_arn = \"arn:aws:sns:eu-west-1:123456789012:gone\" }}\n"
    );
    trial(&scratch, &text, "topic", &moto, "").assert_code(1).assert_contains("NotFound");
}
