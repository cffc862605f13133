//! What a dry run shows is what a run sends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::support::{
    AURORA_POSTGRES, CommandOutput, DOCUMENTDB, Engine, HEAD, POSTGRES, TestSandbox, require_engines,
};
use serde_json::Value;

/// Passes everything on to a sandbox, and keeps what clients have sent.
struct Tap {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn on(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (behind, kept) = (endpoint.trim_start_matches("http://").to_owned(), Arc::clone(&sent));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&behind).unwrap();
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || pass_on(client, server, &kept));
            }
        });
        Self { port, sent }
    }

    /// The arguments of the only call of an operation that was sent.
    fn arguments(&self, operation: &str) -> BTreeMap<String, String> {
        let sent = self.sent.lock().unwrap();
        let text = String::from_utf8_lossy(&sent).into_owned();
        let start = format!("Action={operation}&");
        let bodies: Vec<&str> = text.match_indices(&start).map(|(at, _)| &text[at..]).collect();
        assert_eq!(bodies.len(), 1, "{operation}");
        let body = bodies[0].split("POST / HTTP").next().unwrap();
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        let decoded = pairs.map(|(name, value)| (decode(name), decode(value)));
        decoded.filter(|(name, _)| name != "Action" && name != "Version").collect()
    }
}

fn pass_on(mut client: TcpStream, mut server: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 8192];
    while let Ok(read) = client.read(&mut buffer)
        && read > 0
    {
        kept.lock().unwrap().extend_from_slice(&buffer[..read]);
        if server.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// What differs from run to run, or is no dry run's to show.
fn comparable(name: &str, value: &str) -> String {
    let named_for_the_run = name.ends_with("Identifier") && value.starts_with("drctl-");
    let of_the_run = name.starts_with("Tags.") && (value.len() == 26 || value.ends_with('Z'));
    if named_for_the_run
        || of_the_run
        || name == "MasterUserPassword"
        || name == "RestoreTime"
        || name == "RestoreToTime"
    {
        return "(of the run)".to_owned();
    }
    value.to_owned()
}

#[test]
fn a_dry_run_shows_what_is_sent() {
    if !require_engines(&[Engine::Postgres, Engine::Secantus]) {
        return;
    }
    for (estate, target, point) in [
        (POSTGRES, "shop-pg", "latest"),
        (POSTGRES, "shop-pg", "pitr"),
        (AURORA_POSTGRES, "shop-apg", "latest"),
        (AURORA_POSTGRES, "shop-apg", "pitr"),
        (DOCUMENTDB, "shop-docs", "latest"),
    ] {
        let rig = TestSandbox::start(&[HEAD, estate].concat());
        let tap = Tap::on(&rig.endpoint);
        let run = |arguments: &[&str]| {
            let mut command = rig.command(arguments);
            CommandOutput::from(
                command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", tap.port)).output().unwrap(),
            )
        };
        let ran = run(&["restore-test", target, "--point", point, "--dry-run", "--output", "json"]).assert_code(0);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let sent = String::from_utf8_lossy(&tap.sent.lock().unwrap()).into_owned();
        assert!(!["Action=Restore", "Action=Create", "Action=Modify"].iter().any(|call| sent.contains(call)));
        run(&["restore-test", target, "--point", point]).assert_code(0);
        let steps = document["targets"][0]["steps"].as_array().unwrap();
        let calls: Vec<&Value> = steps.iter().flat_map(|step| step["calls"].as_array().unwrap()).collect();
        assert!(!calls.is_empty());
        for call in calls {
            let shown = call["arguments"].as_object().unwrap();
            let shown: BTreeMap<String, String> =
                shown.iter().map(|(name, value)| (name.clone(), comparable(name, value.as_str().unwrap()))).collect();
            let sent = tap.arguments(call["operation"].as_str().unwrap());
            let sent: BTreeMap<String, String> =
                sent.into_iter().map(|(name, value)| (name.clone(), comparable(&name, &value))).collect();
            assert_eq!(shown, sent, "{target} {point} {call}");
        }
    }
}
