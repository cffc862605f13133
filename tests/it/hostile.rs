//! Backups made by an attacker who owns one schema: what the tests of both engines share.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::{CommandOutput, HEAD, TestSandbox};

/// What drctl may take at most, whatever a backup holds.
pub(crate) const MAX_PEAK_KB: u64 = 200_000;
/// Longer than anything that people want to read of one test.
const MAX_OUTPUT_BYTES: usize = 100_000;

/// A sandbox whose copies are somewhere else: `connect` leads to a server of the test's own.
pub(crate) fn rig(kind: &str, port: u16, settings: &str, checks: &str) -> TestSandbox {
    TestSandbox::start(&format!(
        "{HEAD}[[database]]\nid = \"shop\"\nkind = \"{kind}\"\nretention = \"7d\"\n[database.restore_test]\n\
         connect = \"127.0.0.1:{port}\"\npassword = \"env:HOSTILE_PASSWORD\"\n{settings}\n{checks}"
    ))
}

/// Tests the one target; yields what was printed, the report, and the most memory that drctl took, in kB.
pub(crate) fn test(rig: &TestSandbox) -> (CommandOutput, Value, u64) {
    let mut command = rig.command(&["restore-test", "shop", "--output", "json"]);
    command.env("HOSTILE_PASSWORD", "secret").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (peak, output) = watched(child);
    let ran = CommandOutput::from(output);
    assert!(ran.out.len() + ran.err.len() < MAX_OUTPUT_BYTES, "{} and {} bytes", ran.out.len(), ran.err.len());
    for c in ran.out.chars().chain(ran.err.chars()) {
        assert!(c == '\n' || !c.is_control(), "{c:?} in\n{}\n{}", ran.out, ran.err);
    }
    let document = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
    (ran, document, peak)
}

/// Waits for a process; yields its `VmHWM` as it was last seen.
fn watched(child: Child) -> (u64, std::process::Output) {
    let status = format!("/proc/{}/status", child.id());
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while has_ended
            .recv_timeout(Duration::from_millis(20))
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            peak = peak.max(kilobytes.unwrap_or(0));
        }
        peak
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    (watcher.join().unwrap(), output)
}

/// The outcome and the text of one check.
pub(crate) fn check<'d>(document: &'d Value, name: &str) -> (&'d str, &'d str) {
    let all = document["tests"][0]["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let check = all.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null);
    (check["outcome"].as_str().unwrap_or("none"), check["actual"].as_str().unwrap_or_default())
}

/// A check of the user's own, as it stands in the configuration.
pub(crate) fn sql(name: &str, sql: &str, expect: &str) -> String {
    format!("[[database.restore_test.check]]\nname = \"{name}\"\nsql = '''{sql}'''\nexpect = \"{expect}\"\n")
}

/// A check for fresh rows.
pub(crate) fn newest(name: &str, column: &str, within: &str) -> String {
    format!("[[database.restore_test.check]]\nname = \"{name}\"\nnewest = \"{column}\"\nwithin = \"{within}\"\n")
}
