//! A MariaDB backup made by an attacker who owns one schema. Nothing of it runs with drctl's rights, nothing is hidden or forged
//! without the test saying so, and what people read is clean.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::hostile::{MAX_PEAK_KB, check, newest, rig, sql, test};
use super::support::{Engine, Scratch, require_engines};

/// Debian's `nobody`: the server's files are its own.
const NOBODY: u32 = 65_534;

/// A server with TLS. It ends with its owner.
struct Mariadb {
    scratch: Scratch,
    port: u16,
    process: Child,
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn as_nobody(program: &str) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Mariadb {
    /// Starts one whose certificate is for `names`.
    fn start(names: &[&str]) -> Self {
        let scratch = Scratch::new();
        let data = scratch.0.join("data");
        std::fs::create_dir_all(&data).unwrap();
        certificate(&scratch, names);
        if is_root() {
            for path in [scratch.0.clone(), data.clone(), scratch.0.join("server.key"), scratch.0.join("server.pem")] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let datadir = format!("--datadir={}", data.display());
        let mut install = as_nobody("mariadb-install-db");
        install.args(["--no-defaults", &datadir, "--auth-root-authentication-method=normal", "--skip-test-db"]);
        assert!(install.env("TMPDIR", &scratch.0).current_dir("/").status().unwrap().success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| scratch.0.join(name).display().to_string();
        let mut server = as_nobody("/usr/sbin/mariadbd");
        server.args(["--no-defaults", &datadir, "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
        server.args(["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=1G"]);
        server.args(["--innodb-flush-method=nosync", "--innodb-log-file-size=512M", "--debug-no-sync"]);
        server.args([format!("--port={port}"), format!("--socket={}", file("s")), format!("--pid-file={}", file("p"))]);
        server.args([format!("--ssl-cert={}", file("server.pem")), format!("--ssl-key={}", file("server.key"))]);
        // A server that starts removes the temporary tables of all others from a directory that they share.
        server.arg(format!("--tmpdir={}", scratch.0.display()));
        let process = server.current_dir("/").spawn().unwrap();
        let server = Self { scratch, port, process };
        for _ in 0..600 {
            if server.try_ask("select 1").status.success() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        server.ask(
            "drop user if exists ''@'localhost';
             create user master@'%' identified by 'secret'; grant all on *.* to master@'%' with grant option;
             create user app@'%' identified by 'app'; create database shop; grant all on shop.* to app@'%';
             create table shop.orders (id int primary key, total int, at datetime, twice int as (total * 2));
             insert into shop.orders (id, total, at) select seq, seq, now() - interval 1 day from shop.seq_1_to_500",
        );
        server
    }

    fn try_ask(&self, sql: &str) -> std::process::Output {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "-u", "root", "-N", "-B", "--max-allowed-packet=1G", "-S"]);
        client.arg(self.scratch.0.join("s")).args(["-e", sql]).stdin(Stdio::null()).output().unwrap()
    }

    /// What a question answers, a line for each row.
    fn ask(&self, sql: &str) -> Vec<String> {
        let output = self.try_ask(sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    fn ca(&self) -> PathBuf {
        self.scratch.0.join("ca.pem")
    }

    /// The settings with which drctl comes in.
    fn settings(&self) -> String {
        format!("database = \"shop\"\nusername = \"master\"\nca = \"{}\"", self.ca().display())
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An authority, and a certificate of it for `names`.
fn certificate(scratch: &Scratch, names: &[&str]) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        .unwrap()
        .signed_by(&own, &issuer)
        .unwrap();
    std::fs::write(scratch.0.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(scratch.0.join("server.pem"), signed.pem()).unwrap();
    std::fs::write(scratch.0.join("server.key"), own.serialize_pem()).unwrap();
}

/// The names at which the sandbox's copies are.
const COPY: [&str; 2] = ["localhost", "127.0.0.1"];

#[test]
fn names_and_types_from_the_backup_neither_run_nor_confuse() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    server.ask(
        "use shop; create table canary (who text);
         create procedure p() modifies sql data sql security invoker insert into canary values (current_user());
         create table `a``;commit;set session tx_read_only=0;call shop.p;#` (id int primary key, `b``);commit;#` text);
         insert into `a``;commit;set session tx_read_only=0;call shop.p;#` values (1, 'x'), (2, null);
         create table odd (id int primary key, kind enum('x` y', 'b''c'), `:name` int, `q?` int);
         insert into odd values (1, 'x` y', 1, 2)",
    );
    let checks = [newest("fresh", "orders.at", "48h"), sql("mine", "select count(*) from orders", "500")].concat();
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(0);
    assert_eq!(server.ask("select count(*) from shop.canary"), ["0"]);
    assert_eq!(check(&document, "rows"), ("passed", "503 rows; first run, recorded"), "{document:#}");
    assert_eq!(check(&document, "mine"), ("passed", "500"));
    // Every column is part of the fingerprint, null and empty are told apart, and nothing runs into its neighbour.
    server
        .ask("update shop.`a``;commit;set session tx_read_only=0;call shop.p;#` set `b``);commit;#` = '' where id = 2");
    let (ran, document, _) = test(&rig);
    ran.assert_code(1);
    let (outcome, actual) = check(&document, "content");
    assert!(outcome == "failed" && actual.contains("tx_read_only"), "{actual}");
}

#[test]
fn what_takes_the_rights_of_whoever_asks_is_not_asked() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    server.ask(
        "create database hr; create table hr.salaries as select 123456 as salary;
         create definer = app@'%' sql security invoker view shop.invoices as select salary, now() as at from hr.salaries;
         create definer = app@'%' function shop.steal() returns int sql security invoker return (select max(salary) from hr.salaries);
         create definer = app@'%' function shop.own() returns int sql security definer return 7;
         create table shop.parts (id int) engine = myisam;
         create table shop.`x\u{1b}[2J\n <b>` (id int) engine = merge union = (shop.parts)",
    );
    let checks = [
        sql("view", "select salary from invoices", "1"),
        sql("function", "select steal()", "1"),
        newest("fresh", "invoices.at", "1h"),
        sql("misspelt", "select 1 from ordres", "empty"),
        newest("misspelt too", "ordres.at", "1h"),
        newest("no time", "orders.total", "1h"),
        sql("many", "select 1; select 2", "1"),
    ];
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks.concat());
    let (ran, document, _) = test(&rig);
    let ran = ran.assert_code(3);
    for name in ["view", "function", "fresh", "misspelt", "misspelt too", "no time", "many"] {
        assert_eq!(check(&document, name).0, "unknown", "{name} in {document:#}");
    }
    assert!(!ran.out.contains("123456") && !ran.err.contains("123456"), "another schema's data is in the report");
    // What reads elsewhere is not read, and its name is shown escaped.
    let (outcome, actual) = check(&document, "rows");
    assert!(outcome == "unknown" && actual.contains("\\u{1b}[2J\\n <b>") && actual.contains("mrg_myisam"), "{actual}");
}

#[test]
fn rows_of_after_the_restore_point_do_not_pass_here_either() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    // Beyond what `unix_timestamp` knows.
    server.ask("update shop.orders set at = '2051-01-01' where id = 1");
    let rig = rig("rds-mysql", server.port, &server.settings(), &newest("fresh", "orders.at", "1h"));
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    let (outcome, actual) = check(&document, "fresh");
    assert!(outcome == "unknown" && actual.contains("younger than the restore point"), "{actual}");
}

#[test]
fn a_tunnel_to_another_server_does_not_pass() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&["evil.example"]);
    let through = rig("rds-mysql", server.port, &server.settings(), "");
    let (ran, document, _) = test(&through);
    ran.assert_code(3).assert_contains("point the tunnel at the copy's endpoint");
    assert_eq!(check(&document, "connect").0, "unknown");
    // Only so many sandboxes run at a time.
    drop(through);
    // Where the name is not verified, the server's own word has to do, and this one's says nothing.
    let settings = "database = \"shop\"\nusername = \"master\"\ntls = \"require\"";
    let unverified = rig("rds-mysql", server.port, settings, "");
    let (ran, document, _) = test(&unverified);
    ran.assert_code(3).assert_contains("nothing shows that this is the copy");
    assert_eq!(check(&document, "rows").0, "passed", "{document:#}");
    drop(unverified);
    // A file of authorities that cannot be used is named.
    let settings = "database = \"shop\"\nusername = \"master\"\nca = \"/nowhere/ca.pem\"";
    let nowhere = rig("rds-mysql", server.port, settings, "");
    let (ran, ..) = test(&nowhere);
    assert_ne!(ran.code, 0);
    ran.assert_contains("/nowhere/ca.pem");
}

#[test]
fn values_of_100_mb_take_little_memory_and_are_cut() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    server.ask(
        "set global max_allowed_packet = 1073741824;
         create table shop.large (id int primary key, a longtext);
         insert into shop.large values (1, repeat('A', 100000000))",
    );
    let checks =
        [sql("large", "select a from large", "not empty"), sql("made", "select repeat('B', 250000000)", "not empty")];
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks.concat());
    let (ran, document, peak) = test(&rig);
    ran.assert_code(0);
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
    let (_, actual) = check(&document, "large");
    assert!(actual.starts_with("AAA") && actual.len() < 1000);
    server.ask("update shop.large set a = concat(a, 'x')");
    let (ran, document, _) = test(&rig);
    ran.assert_code(1);
    assert_eq!(check(&document, "content").0, "failed");
}

#[test]
fn ten_thousand_tables_take_little_memory_here_either() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    for thousand in 0..10 {
        let tables: Vec<String> = (0..1000)
            .map(|n| {
                format!("create table t{thousand}_{n} (id int primary key, a varchar(20), b datetime) engine = memory")
            })
            .collect();
        server.ask(&format!("use shop; {}", tables.join(";")));
    }
    let rig = rig("rds-mysql", server.port, &server.settings(), "");
    let (ran, document, peak) = test(&rig);
    ran.assert_code(0);
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
    assert!(check(&document, "catalog").1.starts_with("10001 tables"), "{document:#}");
}

#[test]
fn code_of_others_is_not_met_by_way_of_our_own() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    // What `master` made once names what `app` has replaced since. Servers call `stéal` by the name of `steal`, too.
    server.ask(
        "create database hr; create table hr.salaries as select 123456 as salary; create database rep;
         create table shop.litem (n int); create table shop.good (n int); insert into shop.good values (5);
         create definer = master@'%' view rep.daily as select n from shop.litem;
         create definer = master@'%' sql security invoker view rep.weekly as select n from rep.daily;
         create definer = master@'%' view rep.fine as select n from shop.good;
         create definer = master@'%' function rep.total() returns int return (select sum(n) from shop.litem);
         create definer = app@'%' function shop.steal() returns int sql security invoker return (select max(salary) from hr.salaries);
         drop table shop.litem;
         create definer = app@'%' sql security invoker view shop.litem as select shop.steal() as n;
         create definer = app@'%' function shop.`cöunted`() returns int sql security invoker return (select max(salary) from hr.salaries)",
    );
    let checks = [
        sql("view", "select n from rep.daily", "123456"),
        sql("view of a view", "select n from rep.weekly", "123456"),
        sql("function", "select rep.total()", "123456"),
        sql("accent", "select counted()", "123456"),
        sql("fine", "select n from rep.fine", "5"),
    ];
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks.concat());
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    for name in ["view", "view of a view", "function", "accent"] {
        let (outcome, actual) = check(&document, name);
        assert!(outcome == "unknown" && actual.contains("of `app@%`"), "{name} in {document:#}");
    }
    assert_eq!(check(&document, "fine"), ("passed", "5"), "{document:#}");
}

#[test]
fn what_a_function_does_to_its_session_ends_with_the_question() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    // It waits, so that every connection is asked for the view once.
    server.ask(
        "use shop; create table ledger (id int primary key, paid int) with system versioning;
         insert into ledger select seq, 7 from seq_1_to_100; do sleep(1.1);
         delimiter //
         create definer = app@'%' function yesterday() returns int sql security definer begin
             do sleep(0.5); set session time_zone = '-11:00'; set session max_statement_time = 0;
             set session system_versioning_asof = '2000-01-01'; return 1; end //
         delimiter ;
         create definer = app@'%' view v as select yesterday() as one",
    );
    let views: String = (0..8).map(|n| sql(&format!("view {n}"), "select one from v", "1")).collect();
    let checks = [views, sql("count", "select count(*) from ledger", "not empty")].concat();
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(0);
    assert_eq!(check(&document, "view 7"), ("passed", "1"), "{document:#}");
    assert_eq!(check(&document, "count"), ("passed", "100"), "{document:#}");
    assert_eq!(check(&document, "rows"), ("passed", "600 rows; first run, recorded"), "{document:#}");
    server.ask("update shop.ledger set paid = 8 where id = 3");
    let (ran, document, _) = test(&rig);
    ran.assert_code(1);
    assert_eq!(check(&document, "content").0, "failed", "{document:#}");
}

/// Rows of a ledger that add up to the same sum of 60 bits of SHA-1 heads as eight that were not paid do; found in seconds.
const FORGED: [&str; 8] = ["0000008", "0017701", "0002623", "003967a", "000bfaf", "003e674", "001411b", "0000d38"];

#[test]
fn neither_forged_nor_swapped_rows_have_the_same_fingerprint() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    server.ask(
        "use shop; create table ledger (id int primary key, note varchar(32) not null, paid int not null, at datetime not null);
         insert into ledger select seq, concat('n', seq), 0, '2026-01-01' from seq_1_to_8;
         create table measured (id int primary key, f float, d double, l text character set latin1, u varchar(9) character set ucs2);
         insert into measured values (1, 12345679, 0.1, 'ä', 'ä'), (2, 1, 0.2, null, null)",
    );
    let rig = rig("rds-mysql", server.port, &server.settings(), "");
    let (ran, ..) = test(&rig);
    ran.assert_code(0);
    // Under the same salt: another would have nothing to compare with.
    let unchanged = || {
        let (ran, document, _) = test(&rig);
        ran.assert_code(0);
        assert_eq!(check(&document, "content"), ("passed", "3 tables fingerprinted"), "{document:#}");
    };
    let noticed = |sql: &str, table: &str| {
        server.ask(sql);
        let (ran, document, _) = test(&rig);
        ran.assert_code(1);
        let (outcome, actual) = check(&document, "content");
        assert!(outcome == "failed" && actual.contains(table), "{sql}: {document:#}");
    };
    unchanged();
    let forged = FORGED.iter().enumerate();
    let forged =
        forged.map(|(n, note)| format!("update shop.ledger set note = 'f{note}', paid = 1 where id = {}", n + 1));
    noticed(&forged.collect::<Vec<_>>().join(";"), "ledger");
    server.ask("update shop.ledger set note = concat('n', id), paid = 0");
    unchanged();
    noticed("update shop.ledger set note = concat('n', 3 - id) where id < 3", "ledger");
    server.ask("update shop.ledger set note = concat('n', id)");
    noticed("update shop.measured set f = 12345719 where id = 1", "measured");
    server.ask("update shop.measured set f = 12345679 where id = 1");
    noticed("update shop.measured set u = '' where id = 2", "measured");
}

#[test]
fn a_catalogue_larger_than_drctl_reads_is_unknown_and_takes_little_memory() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    // 2,500 tables of 20 enums, whose values take 2,750 characters each.
    server.ask(
        "use shop; set group_concat_max_len = 1000000;
         set @enum = (select group_concat(concat(seq, repeat('x', 180)) separator ''',''') from seq_1_to_15);
         set @columns = (select group_concat(concat('c', seq, ' enum(''', seq, '_', @enum, ''')')) from seq_1_to_20);
         execute immediate concat('create table t0 (id int, ', @columns, ') engine = memory')",
    );
    for hundred in 0..25 {
        let like = |n| format!("create table t{hundred}_{n} like t0");
        server.ask(&format!("use shop; {}", (0..100).map(like).collect::<Vec<_>>().join(";")));
    }
    let rig = rig("rds-mysql", server.port, &server.settings(), "");
    let (ran, document, peak) = test(&rig);
    ran.assert_code(3);
    let (outcome, actual) = check(&document, "connect");
    assert!(outcome == "unknown" && actual.contains("the catalogue is larger than drctl reads"), "{document:#}");
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
}

#[test]
fn a_table_that_reads_elsewhere_does_not_connect_there() {
    if !require_engines(&[Engine::Mariadb]) {
        return;
    }
    let server = Mariadb::start(&COPY);
    if !server.try_ask("install soname 'ha_federatedx'").status.success() {
        eprintln!("left out: MariaDB's plugin ha_federatedx is not installed");
        return;
    }
    // Elsewhere is here: as another user, whose connections the server counts.
    server.ask(&format!(
        "create user remote@'%' identified by 'remote'; grant all on shop.* to remote@'%';
         create table shop.far (id int primary key, total int) engine = federated
             connection = 'mysql://remote:remote@127.0.0.1:{}/shop/orders';
         create definer = master@'%' view shop.far_view as select id from shop.far;
         flush tables",
        server.port
    ));
    // Making the table has connected there, and a connection is counted when it ends.
    while server.ask("select count(*) from information_schema.processlist where user = 'remote'") != ["0"] {
        std::thread::sleep(Duration::from_millis(50));
    }
    server.ask("set global userstat = 1");
    let connections =
        || server.ask("select total_connections from information_schema.user_statistics where user = 'remote'");
    assert_eq!(connections(), Vec::<String>::new());
    let checks = [sql("table", "select count(*) from far", "500"), sql("view", "select count(*) from far_view", "500")];
    let rig = rig("rds-mysql", server.port, &server.settings(), &checks.concat());
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(connections(), Vec::<String>::new(), "{document:#}");
    for name in ["rows", "table", "view"] {
        let (outcome, actual) = check(&document, name);
        assert!(outcome == "unknown" && actual.contains("of the engine federated"), "{name} in {document:#}");
    }
    // The server counts what does connect.
    server.ask("select count(*) from shop.far");
    assert_eq!(connections(), ["1"]);
}
