//! Ratios from one run, each against something that one would use instead. Absolute times depend on the machine.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise and prints"
)]

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drctl::clock::Clock;
use drctl::estate::{ContentMode, CustomCheck, HostPort, Probe, Protocol, TlsMode};
use drctl::verify::{ConnectionSettings, Outcome, Plan, Verification, verify};
use serde_json::Value;

const DRCTL: &str = env!("CARGO_BIN_EXE_drctl");
const PG_ROWS: u32 = 4_000_000;
const MARIADB_ROWS: u32 = 1_500_000;
const LARGE_ROWS: u32 = 8_000_000;
const DOCUMENTS: u32 = 60_000;
const DOCUMENT_TURNS: u32 = 3;
/// AWS's time for an instance in the sandbox, in virtual seconds (sandbox/world/times.rs).
const RESTORE_SECONDS: f64 = 400.0;

const IDLE_SECONDS: u64 = 600;
const IDLE_TARGETS: u32 = 20;
/// Linux's `USER_HZ`.
const TICKS_A_SECOND: f64 = 100.0;

/// One measurement, with a directory of its own to work in.
type Part = fn(&Path);

fn main() {
    let scratch = std::env::temp_dir().join(format!("drctl-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    give(&scratch);
    // `cargo bench -- documentdb` measures that alone.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, Part); 6] = [
        ("start-up", |_| start_up()),
        ("share", own_share),
        ("postgres", postgres),
        ("mariadb", mariadb),
        ("documentdb", documentdb),
        ("idle", idle),
    ];
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(&scratch);
        }
    }
    std::fs::remove_dir_all(&scratch).unwrap();
}

fn start_up() {
    let took =
        best_of(10, || assert!(Command::new(DRCTL).arg("--version").stdout(Stdio::null()).status().unwrap().success()));
    let bytes = std::fs::metadata(DRCTL).unwrap().len();
    println!("drctl --version: {:.1} ms; the binary has {:.1} MB", took * 1e3, bytes as f64 / 1e6);
}

fn best_of(times: u32, mut run: impl FnMut()) -> f64 {
    let one = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..times).map(|_| one(&mut run)).fold(f64::MAX, f64::min)
}

/// A whole test against the sandbox, and boto3's waiter on the same lifecycle: without the statuses on the way, which depend on
/// what a copy is given.
fn own_share(scratch: &Path) {
    let config = scratch.join("drctl.toml");
    let estate = "[estate]\nname = \"b\"\nregion = \"eu-west-1\"\n[quarantine]\nsubnet_group = \"q\"\nsecurity_groups = [\"sg-1\"]\n[[database]]\nid = \"shop-pg\"\n\
                  kind = \"rds-postgresql\"\nretention = \"7d\"\n[database.restore_test]\nca = \"sandbox-ca.pem\"\ndatabase = \"shop\"\nusername = \"shop_admin\"\n";
    std::fs::write(&config, estate).unwrap();
    let mut sandbox = Command::new(DRCTL)
        .args(["sandbox", "--listen", "127.0.0.1:0", "--time-scale", "60", "--aws", "kind", "--config"])
        .arg(&config)
        .arg("--ca-file")
        .arg(scratch.join("sandbox-ca.pem"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.contains("AWS_ENDPOINT_URL=")).unwrap();
    let endpoint = line.split_once('=').unwrap().1.to_owned();
    let mut command = Command::new("/usr/bin/env");
    let peak = "import resource, subprocess, sys\nr = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL)\n\
                print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(r.returncode)";
    command
        .args(["python3", "-c", peak, DRCTL, "restore-test", "shop-pg", "--output", "json", "--config"])
        .arg(&config)
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_ACCESS_KEY_ID", "sandbox")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (json, peak) = text.split_once("PEAK").unwrap();
    let document: Value = serde_json::from_str(json).unwrap();
    let test = &document["tests"][0];
    assert_eq!(test["outcome"], "passed");
    let (own, aws) = (test["rto"]["drctl_seconds"].as_f64().unwrap(), test["rto"]["aws_seconds"].as_f64().unwrap());
    println!(
        "drctl's own share of a test: {own:.3} s to AWS's {aws:.0} s = {:.3}% (wanted: below 1%)",
        100.0 * own / aws
    );
    println!("peak resident memory of a test: {:.1} MB", peak.trim().parse::<f64>().unwrap() / 1e3);
    let phase = test["phases"].as_array().unwrap().iter().find(|phase| phase["name"] == "restore").unwrap();
    let ours = phase["seconds"].as_f64().unwrap() - RESTORE_SECONDS;
    let output = Command::new(".venv/bin/python").args(["benches/waiter.py", &endpoint]).output().unwrap();
    let theirs: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let theirs = theirs - RESTORE_SECONDS;
    println!("from available to knowing it: {ours:.1} s, boto3's waiter {theirs:.1} s, ratio {:.2}", ours / theirs);
    assert!(Command::new("kill").args(["-TERM", &sandbox.id().to_string()]).status().unwrap().success());
    sandbox.wait().unwrap();
}

/// A daemon that has nothing to do, for as long as one would look at it. moto answers it, on a real clock.
fn idle(scratch: &Path) {
    let seconds = std::env::var("DRCTL_BENCH_IDLE_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(IDLE_SECONDS);
    let port = free_port();
    let mut moto = Command::new(".venv/bin/moto_server");
    moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let _moto = Server(moto.spawn().unwrap(), "-TERM");
    wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let config = scratch.join("idle.toml");
    let mut estate = "[estate]\nname = \"idle\"\nregion = \"eu-west-1\"\n[quarantine]\nsubnet_group = \"q\"\n\
                      [daemon]\nlisten = \"127.0.0.1:0\"\n"
        .to_owned();
    for number in 0..IDLE_TARGETS {
        let _ = write!(
            estate,
            "[[database]]\nid = \"shop-{number}\"\nkind = \"rds-postgresql\"\n\
             [database.restore_test]\nschedule = \"@weekly\"\n"
        );
    }
    std::fs::write(&config, estate).unwrap();
    let mut daemon = Command::new(DRCTL);
    daemon.args(["daemon", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    daemon.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    daemon.env("AWS_ACCESS_KEY_ID", "b").env("AWS_SECRET_ACCESS_KEY", "b");
    let daemon = Server(daemon.spawn().unwrap(), "-TERM");
    std::thread::sleep(Duration::from_secs(3));
    let before = cpu_seconds(daemon.0.id());
    std::thread::sleep(Duration::from_secs(seconds));
    let share = (cpu_seconds(daemon.0.id()) - before) / seconds as f64;
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let resident: f64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!(
        "idle daemon, {IDLE_TARGETS} targets, {seconds} s: {:.1} MB resident (wanted: under 40), {:.3}% of a core \
         (wanted: under 0.1)",
        resident / 1e3,
        share * 100.0
    );
}

/// What a process has used of the cores, user and system, in seconds. Fields 14 and 15 of proc(5)'s `stat`.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_A_SECOND
}

fn plan(content: ContentMode) -> Plan {
    Plan {
        point: jiff::Timestamp::now(),
        baseline: None,
        point_id: "bench".to_owned(),
        row_tolerance: 0.0,
        content,
        checks: Vec::new(),
        large_rows: Plan::LARGE_ROWS,
        connections: Plan::CONNECTIONS,
        deadline: Duration::from_mins(10),
    }
}

fn login(protocol: Protocol, port: u16) -> ConnectionSettings {
    ConnectionSettings {
        protocol,
        address: HostPort { host: "127.0.0.1".to_owned(), port },
        tls: TlsMode::Off,
        tunnelled: false,
        certificate_name: "127.0.0.1".to_owned(),
        ca: None,
        username: "bench".to_owned(),
        password: "bench".to_owned().into(),
        database: "bench".to_owned(),
        fresh_password: false,
        on_command: None,
    }
}

/// All checks with a full fingerprint, once to warm up and once to measure: the seconds in all, and of the fingerprint.
fn prove(login: &ConnectionSettings) -> (f64, f64) {
    prove_over(login, Plan::CONNECTIONS)
}

/// The same over so many connections.
fn prove_over(login: &ConnectionSettings, connections: usize) -> (f64, f64) {
    let plan = Plan { connections, ..plan(ContentMode::Full) };
    proved(login, &plan);
    let start = Instant::now();
    let proof = proved(login, &plan);
    (start.elapsed().as_secs_f64(), rows_seconds(&proof))
}

fn proved(login: &ConnectionSettings, plan: &Plan) -> Verification {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let proof = runtime.block_on(verify(login, &Arc::new(plan.clone()), &Clock::system(), &|_| {}));
    for check in &proof.checks {
        assert_eq!(check.outcome, Outcome::Passed, "{check:?}");
    }
    proof
}

fn rows_seconds(proof: &Verification) -> f64 {
    proof.checks.iter().find(|check| check.name == "rows").unwrap().seconds
}

/// A shell pipeline, run twice; the faster one counts.
fn pipeline(script: &str) -> f64 {
    best_of(2, || {
        assert!(
            Command::new("bash")
                .args(["-o", "pipefail", "-c", script])
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    })
}

fn report(name: &str, size: &str, (all, fingerprint): (f64, f64), instead: f64, what: &str) {
    println!("{name}, {size}: fingerprint {fingerprint:.2} s, all checks {all:.2} s, `{what}` {instead:.2} s");
    println!("  ratio of the fingerprint {:.2}, of all checks together {:.2}", fingerprint / instead, all / instead);
}

/// What several connections gain over one on a single table.
fn side_by_side(name: &str, (_, one): (f64, f64), (_, several): (f64, f64)) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "{name}, one table of {LARGE_ROWS} rows: fingerprint over one connection {one:.2} s, over {} {several:.2} s, {:.2} \
         times as fast on {cores} cores (wanted: 2.5 on four and more)",
        Plan::CONNECTIONS,
        one / several
    );
}

fn am_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A command as an unprivileged user, where we are root: PostgreSQL refuses to run otherwise.
fn unprivileged(program: &str) -> Command {
    if !am_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
    command
}

fn give(directory: &Path) {
    if am_root() {
        assert!(Command::new("chown").args(["-R", "postgres:postgres"]).arg(directory).status().unwrap().success());
    }
}

fn quietly(command: &mut Command) {
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(ready: impl Fn() -> bool) {
    for _ in 0..600 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server did not start");
}

/// A server that is stopped with its owner, also where the benchmark stops at a surprise.
struct Server(Child, &'static str);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args([self.1, &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn postgres_programs() -> PathBuf {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql").unwrap().flatten().collect();
    versions.sort_by_key(std::fs::DirEntry::path);
    versions.pop().unwrap().path().join("bin")
}

fn postgres(scratch: &Path) {
    let (programs, data, port) = (postgres_programs(), scratch.join("pg"), free_port());
    let program = |name: &str| programs.join(name).display().to_string();
    quietly(unprivileged(&program("initdb")).arg("-D").arg(&data).args(["-U", "bench", "-A", "trust", "-k", "-N"]));
    let server = Server(
        unprivileged(&program("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
            .arg(&data)
            .args(["-c", "shared_buffers=256MB", "-c", "max_wal_size=8GB", "-c", "autovacuum=off"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
        "-INT",
    );
    let psql = |database: &str, sql: &str| {
        let mut command = Command::new(program("psql"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "bench", "-d", database, "-qc", sql]);
        command.output().unwrap().status.success()
    };
    wait_for(|| psql("postgres", "select 1"));
    assert!(psql("postgres", "create database bench"));
    let rows = PG_ROWS / 4;
    for table in 1..=4 {
        assert!(psql(
            "bench",
            &format!(
                "create table t{table} as select n as id, md5(n::text) as a, repeat(md5((n + 1)::text), 5) as b, n % 97 as c,
                     now() - n * interval '1 second' as at from generate_series(1, {rows}) n;
                 alter table t{table} add primary key (id)"
            )
        ));
    }
    assert!(psql("bench", "create extension amcheck"));
    assert!(psql("bench", "vacuum (analyze)"));
    let measured = prove(&login(Protocol::Postgres, port));
    let dump = format!("{} -h 127.0.0.1 -p {port} -U bench bench | sha256sum", program("pg_dump"));
    let size = du(&data.join("base"));
    report("PostgreSQL", &format!("{PG_ROWS} rows, {size} MB"), measured, pipeline(&dump), "pg_dump | sha256sum");
    assert!(psql("postgres", "create database large"));
    assert!(psql(
        "large",
        &format!("create table t as select n as id, md5(n::text) as a from generate_series(1, {LARGE_ROWS}) n")
    ));
    assert!(psql("large", "vacuum (analyze)"));
    let login = ConnectionSettings { database: "large".to_owned(), ..login(Protocol::Postgres, port) };
    side_by_side("PostgreSQL", prove_over(&login, 1), prove_over(&login, Plan::CONNECTIONS));
    drop(server);
}

fn du(directory: &Path) -> u64 {
    let output = Command::new("du").args(["-sm"]).arg(directory).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn mariadb(scratch: &Path) {
    let (data, port) = (scratch.join("maria"), free_port());
    std::fs::create_dir_all(&data).unwrap();
    give(&data);
    let datadir = format!("--datadir={}", data.display());
    quietly(unprivileged("mariadb-install-db").args([
        "--no-defaults",
        &datadir,
        "--auth-root-authentication-method=normal",
    ]));
    let socket = data.join("s.sock").display().to_string();
    let server = Server(
        unprivileged("/usr/sbin/mariadbd")
            .args([
                "--no-defaults",
                &datadir,
                "--bind-address=127.0.0.1",
                "--innodb-buffer-pool-size=512M",
                "--skip-log-bin",
            ])
            .args([format!("--port={port}"), format!("--socket={socket}"), format!("--pid-file={socket}.pid")])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-log-file-size=512M"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
        "-TERM",
    );
    let sql = |sql: &str| {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-S", &socket, "-u", "root", "-e", sql]);
        command.output().unwrap().status.success()
    };
    wait_for(|| sql("select 1"));
    assert!(sql("create database bench; create user bench@'127.0.0.1' identified by 'bench'; grant all on *.* to bench@'127.0.0.1';
                 drop user if exists ''@'localhost'"));
    let rows = MARIADB_ROWS / 4;
    for table in 1..=4 {
        assert!(sql(&format!(
            "use bench; create table t{table} (id bigint primary key, a char(32), b varchar(200), c int, at datetime) as
                 select seq as id, md5(seq) as a, repeat(md5(seq + 1), 5) as b, seq % 97 as c,
                        '2026-01-01' - interval seq second as at from seq_1_to_{rows}"
        )));
    }
    let measured = prove(&login(Protocol::Mysql, port));
    let dump = format!(
        "mariadb-dump --no-defaults --single-transaction -h 127.0.0.1 -P {port} -u bench -pbench bench | sha256sum"
    );
    let size = du(&data.join("bench"));
    report("MariaDB", &format!("{MARIADB_ROWS} rows, {size} MB"), measured, pipeline(&dump), "mysqldump | sha256sum");
    assert!(sql(&format!(
        "create database large; use large; create table t (id bigint primary key, a char(32)) as
             select seq as id, md5(seq) as a from seq_1_to_{LARGE_ROWS}; analyze table t"
    )));
    assert!(sql("drop database bench"));
    let login = ConnectionSettings { database: "large".to_owned(), ..login(Protocol::Mysql, port) };
    side_by_side("MariaDB", prove_over(&login, 1), prove_over(&login, Plan::CONNECTIONS));
    drop(server);
}

fn documentdb(scratch: &Path) {
    let (data, port) = (scratch.join("docs"), free_port());
    let server = Server(
        Command::new(".venv/bin/secantusd-py")
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "ERROR", "--storage-path"])
            .arg(&data)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
        "-TERM",
    );
    wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let python = |verb: &str| {
        let output = Command::new(".venv/bin/python")
            .args(["benches/documents.py", verb, &port.to_string(), &DOCUMENTS.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap_or(0.0)
    };
    python("fill");
    let place = || ("orders".to_owned(), "at".to_owned());
    let newest = Probe::Newest { relation: place().0, column: place().1, within: Duration::MAX };
    let settled = Probe::Settled { relation: place().0, column: place().1, settled_after: Duration::from_hours(1) };
    let check = |name: &str, probe| CustomCheck { name: name.to_owned(), probe };
    let plan = Plan { checks: vec![check("newest", newest), check("settled", settled)], ..plan(ContentMode::Full) };
    let login = login(Protocol::Mongo, port);
    // With everything that a second run compares. Both sides in turn, since the server's pace changes.
    let baseline = proved(&login, &plan).facts;
    let plan = Plan { baseline, ..plan };
    let (mut all, mut pass, mut scan) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..DOCUMENT_TURNS {
        scan = scan.min(python("scan"));
        let start = Instant::now();
        let proof = proved(&login, &plan);
        if start.elapsed().as_secs_f64() < all {
            all = start.elapsed().as_secs_f64();
            pass = rows_seconds(&proof);
        }
    }
    let size = format!("{DOCUMENTS} documents, with a baseline and settled rows");
    report("DocumentDB", &size, (all, pass), scan, "a plain scan with pymongo");
    drop(server);
}
