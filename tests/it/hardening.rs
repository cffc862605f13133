//! What others on the machine, and whoever writes a configuration, cannot get at.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::support::{CommandOutput, DRCTL, HEAD, POSTGRES, Scratch, TestSandbox};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// `drctl` with this configuration, and nothing behind it.
fn configured(text: &str, arguments: &[&str]) -> CommandOutput {
    let scratch = Scratch::new();
    let config = scratch.0.join("drctl.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = std::process::Command::new(DRCTL);
    command.args(arguments).env("DRCTL_CONFIG", &config).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    CommandOutput::from(command.output().unwrap())
}

#[test]
fn nobody_else_reads_the_state_or_holds_its_locks() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.run(&["reap"]).assert_code(0);
    // A run is refused, and leaves its lock file's directory behind.
    rig.run(&["restore-test", "shop-pg", "--point", "no-such-snapshot"]);
    let (state, locks) = (rig.scratch.0.join("drctl.db"), rig.scratch.0.join("drctl.db.locks"));
    assert_eq!((mode(&state), mode(&locks)), (0o600, 0o700));
    // What an earlier version left open is closed.
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&locks, PermissionsExt::from_mode(0o755)).unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::write(rig.scratch.0.join(format!("drctl.db{suffix}")), "").unwrap();
    }
    rig.run(&["restore-test", "shop-pg", "--point", "no-such-snapshot"]);
    assert_eq!((mode(&state), mode(&locks)), (0o600, 0o700));
    let entries = std::fs::read_dir(&rig.scratch.0).unwrap().map(|entry| entry.unwrap().path());
    let of_state = entries.filter(|path| path.to_string_lossy().contains("drctl.db"));
    for path in of_state {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn nothing_leaves_the_machine_without_tls() {
    for (more, key) in [
        ("[[notify]]\nname = \"x\"\nwebhook = { url = \"http://example.com/hunter2\" }\n", "webhook.url"),
        ("[[heartbeat]]\nname = \"x\"\nurl = \"http://example.com/hunter2\"\n", "heartbeat.url"),
        ("[daemon]\notlp = \"http://collector.example.com:4318/hunter2\"\n", "daemon.otlp"),
        (
            "[[notify]]\nname = \"x\"\nslack = { token = \"env:T\", channel = \"C1\", api = \"http://example.com/hunter2\" }\n",
            "slack.api",
        ),
    ] {
        let ran = configured(&[HEAD, POSTGRES, more].concat(), &["iam-policy"])
            .assert_code(2)
            .assert_contains(key)
            .assert_contains("without TLS");
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    let local = "[[notify]]\nname = \"x\"\nwebhook = { url = \"http://127.0.0.1:1/\" }\n";
    configured(&[HEAD, POSTGRES, local].concat(), &["iam-policy"]).assert_code(0);
    // An address behind a name is looked at when it is used.
    let hidden = "[[notify]]\nname = \"x\"\nwebhook = { url = \"env:DRCTL_HOOK\" }\n";
    let rig = TestSandbox::start(&[HEAD, POSTGRES, hidden].concat());
    let output = rig.command(&["notify", "test", "x"]).env("DRCTL_HOOK", "http://192.0.2.1/hunter2").output().unwrap();
    let ran = CommandOutput::from(output).assert_contains("neither https nor http on this machine");
    assert!(ran.code != 0 && !ran.err.contains("hunter2") && !ran.out.contains("hunter2"));
}

#[test]
fn an_estate_file_does_not_get_what_the_process_knows() {
    for (password, says) in [
        ("file:/proc/self/environ", "a secret is not kept in `/proc`"),
        ("file:/dev/zero", "a secret is not kept in `/dev`"),
        ("file:/", "it is not a regular file"),
    ] {
        let text = [HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", password);
        let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
        std::fs::write(&rig.config, text).unwrap();
        rig.run(&["doctor"]).assert_contains(says);
    }
    let text = [HEAD, POSTGRES].concat().replace("secretsmanager:shop/pg", "env:AWS_SECRET_ACCESS_KEY");
    configured(&text, &["iam-policy"]).assert_code(2).assert_contains("drctl's own");
}

#[test]
fn a_mistake_in_a_value_does_not_show_what_lets_somebody_in() {
    for line in [
        "webhook = { url = \"ftp://user:hunter2@example.com/hunter2\" }",
        "email = { smtp = \"smtps://user:hunter2@example.com\", from = \"a@b.c\", to = [\"a@b.c\"] }",
    ] {
        let more = format!("[[notify]]\nname = \"x\"\n{line}\n");
        let ran = configured(&[HEAD, POSTGRES, &more].concat(), &["iam-policy"])
            .assert_code(2)
            .assert_contains("example.com");
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}

#[test]
fn no_directive_of_the_log_shows_what_is_sent_to_aws() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    for directives in [
        "trace,aws_smithy_runtime::client=trace,aws_smithy_runtime=trace",
        "[{run.id}]=trace",
        "[{rpc.method}]=trace",
        "[{rpc.method=\"GetSecretValue\"}]=trace,info",
        "[]=trace,drctl=debug",
    ] {
        let mut command = rig.command(&["restore-test", "shop-pg"]);
        command.env("DRCTL_LOG", directives).env("LOG_SENSITIVE_BODIES", "true");
        let ran = CommandOutput::from(command.output().unwrap());
        for hidden in ["SecretString", "aws_smithy_runtime", "aws_sdk", "hyper_util"] {
            assert!(!ran.err.contains(hidden), "{directives} shows `{hidden}`:\n{}", ran.err);
        }
        // Less is not logged for it.
        assert!(ran.assert_code(0).err.contains(" drctl::") || directives.contains("rpc"), "{directives}");
    }
}

#[test]
fn nobody_who_reaches_the_port_keeps_others_from_asking() {
    let rig = TestSandbox::start(&[HEAD, "\n[daemon]\nlisten = \"127.0.0.1:0\"\n", POSTGRES].concat());
    let agent = Agent::start(&rig);
    let address = agent.address();
    let ask = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let half = |_| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\n");
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut halves: Vec<TcpStream> = (0..300).map(half).collect();
    assert!(ask().starts_with("HTTP/1.1 200"), "{}", ask());
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", agent.process.id())).unwrap().count();
    assert!(descriptors < 150, "{descriptors} descriptors");
    let is_open = |stream: &mut TcpStream| matches!(stream.read(&mut [0; 256]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    let began = Instant::now();
    while halves.iter_mut().map(is_open).filter(|is_open| *is_open).count() > 64 {
        assert!(began.elapsed() < Duration::from_secs(4));
        std::thread::sleep(Duration::from_millis(50));
    }
    // Whoever does not go on is not waited for.
    let began = Instant::now();
    while halves.iter_mut().any(is_open) {
        assert!(began.elapsed() < Duration::from_secs(15));
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nor does the end wait for them.
    let _halves: Vec<TcpStream> = (0..50).map(half).collect();
    let began = Instant::now();
    assert_eq!(agent.stop(), 0);
    assert!(began.elapsed() < Duration::from_secs(20));
}
