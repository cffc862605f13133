//! Child processes that end with their parent, unprivileged users, and copies of directories.

use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rand::Rng;
use tokio::process::{Child, ChildStdin, Command};

/// How long a database may take to stop by itself.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How long a database may take to start.
const START_LIMIT: Duration = Duration::from_mins(1);
const START_PAUSE: Duration = Duration::from_millis(50);
/// Above the well-known services, and below what Linux gives to connections (`ip_local_port_range` begins at 32768).
const PORTS: Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 20;

/// Starts its arguments and signals them when its standard input closes: when we say so, or when we die.
const KEEPER: &str =
    r#"signal=$1; shift; "$@" </dev/null & child=$!; read -r _; kill -"$signal" "$child"; wait "$child""#;

/// A database's process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; `signal` is how it is told to stop. What it says goes to `log`.
    pub(super) fn start(program: &Command, signal: &str, user: Option<User>, log: PathBuf) -> anyhow::Result<Self> {
        let file = std::fs::File::create(&log).with_context(|| format!("failed to create `{}`", log.display()))?;
        let standard = program.as_std();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "drctl-keeper", signal]).arg(standard.get_program()).args(standard.get_args());
        clear_environment(&mut command);
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file).process_group(0);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut child =
            command.spawn().with_context(|| format!("failed to start `{}`", standard.get_program().display()))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, log })
    }

    /// Waits until `ready` says so.
    pub(super) async fn wait_until<F: Future<Output = bool>>(&mut self, ready: impl Fn() -> F) -> anyhow::Result<()> {
        let tries = START_LIMIT.as_millis() / START_PAUSE.as_millis();
        for _ in 0..tries {
            if ready().await {
                return Ok(());
            }
            if let Ok(Some(_)) = self.child.try_wait() {
                break;
            }
            tokio::time::sleep(START_PAUSE).await;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        anyhow::bail!("the database did not start: {}", tail.join(" / "))
    }

    /// Stops it and waits until it is gone.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Whom databases run as, where we are root: PostgreSQL refuses to.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `None` where we are nobody special ourselves.
    pub(super) fn unprivileged() -> Option<Self> {
        let we_are_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !we_are_root {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |name: &str| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        };
        find("postgres").or_else(|| find("nobody"))
    }

    /// Whether this user can start `program`, as which we cannot know without trying.
    pub(super) async fn can_start(self, program: &Path) -> bool {
        run(Command::new(program).arg("--version"), Some(self)).await.is_ok()
    }

    /// Gives a directory, and everything in it, to this user.
    pub(super) fn give(self, directory: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::lchown(directory, Some(self.uid), Some(self.gid))?;
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.give(&entry.path())?;
            } else {
                std::os::unix::fs::lchown(entry.path(), Some(self.uid), Some(self.gid))?;
            }
        }
        Ok(())
    }
}

/// Leaves a database nothing of our environment: AWS's keys would be in it.
fn clear_environment(command: &mut Command) {
    let own = |(key, value): (&OsStr, Option<&OsStr>)| Some((key.to_owned(), value?.to_owned()));
    let own: Vec<(OsString, OsString)> = command.as_std().get_envs().filter_map(own).collect();
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.envs(own);
}

/// Makes a directory that nobody else can look into, and that was not there before.
pub(super) fn private_directory(directory: &Path, user: Option<User>) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
    made.with_context(|| format!("failed to make `{}`", directory.display()))?;
    if let Some(user) = user {
        user.give(directory)?;
    }
    Ok(())
}

/// Runs a program to its end as `user`.
///
/// # Errors
/// Where it does not end well; the error quotes the end of what it said.
pub(super) async fn run(command: &mut Command, user: Option<User>) -> anyhow::Result<String> {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    clear_environment(command);
    let name = command.as_std().get_program().display().to_string();
    let output = command.stdin(Stdio::null()).current_dir("/").output().await;
    let output = output.with_context(|| format!("failed to start `{name}`"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let tail: Vec<&str> = said.lines().rev().take(5).collect();
    anyhow::bail!("`{name}` failed: {}", tail.join(" / "))
}

/// Copies a data directory, owners and modes included.
pub(super) async fn copy_directory(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to), None).await.map(drop)
}

/// A port of 127.0.0.1 that nobody listened on a moment ago. Not one of those that the system gives to connections: in
/// the time that a database takes to start, any client might get it.
pub(in crate::sandbox) fn free_port() -> anyhow::Result<u16> {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    let chosen = (0..PORT_TRIES).find_map(|_| bind(rand::rng().random_range(PORTS)).ok());
    let address = chosen.map_or_else(|| bind(0), Ok).context("failed to find a free port")?;
    Ok(address.port())
}

/// A program in one of some directories, or in `PATH`.
pub(super) fn find_program(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let everywhere = directories.iter().cloned().chain(std::env::split_paths(&path));
    // What lies in the current directory may be anybody's.
    let everywhere = everywhere.filter(|directory| directory.is_absolute());
    everywhere.map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// Where initialised, empty data directories are kept between sandboxes, if we have a home to keep them in.
fn cache_directory() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.filter(|base| base.is_absolute()).map(|base| base.join("drctl").join("sandbox"))
}

/// An initialised, empty data directory: from the cache, or made by `make` and put there.
pub(super) async fn initialised<F, M>(key: &str, directory: &Path, user: Option<User>, make: M) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
    M: FnOnce() -> F,
{
    let Some(cache) = cache_directory() else { return make().await };
    let cached = cache.join(key);
    if cached.is_dir() {
        copy_directory(&cached, directory).await?;
        if let Some(user) = user {
            user.give(directory)?;
        }
        return Ok(());
    }
    make().await?;
    // Two sandboxes may do this at once: each copies to a name of its own, and the first to rename wins.
    let own = cache.join(format!("{key}.{}-{}", std::process::id(), free_port().unwrap_or(0)));
    if std::fs::create_dir_all(&cache).is_ok()
        && copy_directory(directory, &own).await.is_ok()
        && std::fs::rename(&own, &cached).is_err()
    {
        let _ = std::fs::remove_dir_all(&own);
    }
    Ok(())
}
