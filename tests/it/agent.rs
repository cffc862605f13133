//! A daemon under test.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::TestSandbox;

/// A running daemon. It is killed with its owner.
pub(crate) struct Agent {
    pub(crate) process: Child,
    log: PathBuf,
}

impl Agent {
    /// Starts one on the rig's estate.
    pub(crate) fn start(rig: &TestSandbox) -> Self {
        Self::spawn(rig.command(&["daemon", "--log-format", "json"]), rig.scratch.0.join("daemon.log"))
    }

    pub(crate) fn spawn(mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let process = command.env("DRCTL_LOG", "info").stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { process, log }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The address that it serves on.
    pub(crate) fn address(&self) -> String {
        self.wait_for("listening on http://");
        let log = self.log();
        let line = log.lines().rfind(|line| line.starts_with("listening on http://")).unwrap().to_owned();
        line.trim_start_matches("listening on http://").to_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) {
        self.wait_until(part, |log| log.contains(part));
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, done: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !done(&self.log()) {
            assert!(began.elapsed() < Duration::from_mins(2), "`{what}` in vain:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Stops it as a supervisor does, and waits. Returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.process.wait().unwrap().code().unwrap_or(-1)
    }

    /// Kills it as a power cut does.
    pub(crate) fn kill(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
