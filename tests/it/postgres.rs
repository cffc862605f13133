//! A PostgreSQL of the test's own for the store, and a wire to it that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::support::Scratch;

/// Debian's `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A server. It ends with its owner.
pub(crate) struct Postgres {
    _scratch: Scratch,
    directory: PathBuf,
    programs: PathBuf,
    pub(crate) port: u16,
    process: Child,
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn as_nobody(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn programs() -> PathBuf {
    let mut versions: Vec<_> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions.pop().map_or_else(PathBuf::new, |version| version.join("bin"))
}

fn launch(programs: &Path, directory: &Path, port: u16) -> Child {
    as_nobody(programs.join("postgres"))
        .arg("-D")
        .arg(directory)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
        .arg(directory)
        .args(["-c", "max_connections=100"])
        .spawn()
        .unwrap()
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let scratch = Scratch::new();
        let directory = scratch.0.join("pg");
        std::fs::create_dir_all(&directory).unwrap();
        if is_root() {
            chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let programs = programs();
        let mut initdb = as_nobody(programs.join("initdb"));
        let made = initdb.args(["-U", "drctl", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-D"]).arg(&directory);
        assert!(made.status().unwrap().success(), "initdb");
        let port = free_port();
        let process = launch(&programs, &directory, port);
        let server = Self { _scratch: scratch, directory, programs, port, process };
        server.wait();
        server
    }

    /// A standby that is told what `primary` has committed through `wire`, a moment after it was.
    pub(crate) fn standby_of(primary: &Self, wire: &ChaosProxy) -> Self {
        let scratch = Scratch::new();
        let directory = scratch.0.join("pg");
        if is_root() {
            chown(&scratch.0, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut copy = as_nobody(primary.programs.join("pg_basebackup"));
        copy.args([
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-h",
            "127.0.0.1",
            "-U",
            "drctl",
            "-p",
            &wire.port.to_string(),
            "-D",
        ]);
        assert!(copy.arg(&directory).status().unwrap().success(), "pg_basebackup");
        let (port, programs) = (free_port(), primary.programs.clone());
        let process = launch(&programs, &directory, port);
        let server = Self { _scratch: scratch, directory, programs, port, process };
        server.wait();
        server
    }

    fn wait(&self) {
        for _ in 0..600 {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start");
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// The address of another role's, in another database.
    pub(crate) fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Goes down, fast.
    pub(crate) fn go_down(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }

    pub(crate) fn come_back(&mut self) {
        self.process = launch(&self.programs, &self.directory, self.port);
        self.wait();
    }

    /// What a query answers, a line for each row.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        self.ask_in("postgres", sql)
    }

    /// The same in another database.
    pub(crate) fn ask_in(&self, database: &str, sql: &str) -> Vec<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-F", "|", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "drctl"]);
        let output = psql.args(["-d", database, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.go_down();
    }
}

pub(crate) fn url(port: u16) -> String {
    format!("postgres://drctl@127.0.0.1:{port}/postgres?sslmode=disable")
}

/// A port that the system gives to no connection: a server that goes down gets it back. No two tests get the same.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    let next = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed));
    next.take_while(|port| *port < 20_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// A wire to a port that can be cut, mended and laid to another port.
#[derive(Clone)]
pub(crate) struct ChaosProxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    to: u16,
    cut: bool,
    silent: bool,
    next: u64,
    open: Vec<(u64, TcpStream, TcpStream)>,
}

impl ChaosProxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = Arc::clone(&wire.state);
        state.lock().unwrap_or_else(PoisonError::into_inner).to = port;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut locked = state.lock().unwrap_or_else(PoisonError::into_inner);
                if locked.cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", locked.to)) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                locked.next += 1;
                let id = locked.next;
                locked.open.push((id, client.try_clone().unwrap(), server.try_clone().unwrap()));
                drop(locked);
                for (from, to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || {
                        pump(from, to, &state);
                        state.lock().unwrap_or_else(PoisonError::into_inner).open.retain(|(other, _, _)| *other != id);
                    });
                }
            }
        });
        wire
    }

    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cut = true;
        for (_, client, server) in state.open.drain(..) {
            let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        }
    }

    /// Cuts it, and connects with another port from now on.
    pub(crate) fn lay_to(&self, port: u16) {
        self.cut();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).to = port;
        self.mend();
    }

    /// Lets nothing through, and closes nothing.
    pub(crate) fn silence(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).silent = true;
    }

    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.cut, state.silent) = (false, false);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, state: &Mutex<State>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        while state.lock().unwrap_or_else(PoisonError::into_inner).silent {
            std::thread::sleep(Duration::from_millis(20));
        }
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Numbers that are the same in every run of a test, so that a failure can be seen again.
pub(crate) struct SeededRng(AtomicU64);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `most`.
    pub(crate) fn below(&self, most: u64) -> u64 {
        // SplitMix64, by Sebastiano Vigna (public domain).
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}
