//! A store of every drctl that there was: brought forward with what it holds, or read by nobody who does not know it.

use std::path::Path;

use drctl::store::{AlertsBefore, Job, OpenError, RunState, Scope, Store};
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::postgres::Postgres;
use crate::store::{HERE, LEASE, at, behaves, ended, run};
use crate::support::{Engine, Scratch, require_engines};

const AWS: Scope<'static> = Scope { simulated: false, ..HERE };

/// A schema as a drctl of its time made it, taken from the repository's history.
struct OldState {
    name: &'static str,
    version: i64,
    schema: &'static str,
    /// Whether runs had an account already; before that there was no daemon, and nothing but SQLite.
    has_account: bool,
    /// Whether jobs were told apart by whether they are of the sandbox.
    has_simulated_jobs: bool,
}

const OLD_STATES: [OldState; 6] = [
    OldState {
        name: "1-without-account",
        version: 1,
        schema: include_str!("old_states/1-without-account.sql"),
        has_account: false,
        has_simulated_jobs: false,
    },
    OldState {
        name: "1",
        version: 1,
        schema: include_str!("old_states/1.sql"),
        has_account: true,
        has_simulated_jobs: false,
    },
    OldState {
        name: "2-without-simulated",
        version: 2,
        schema: include_str!("old_states/2-without-simulated.sql"),
        has_account: true,
        has_simulated_jobs: false,
    },
    OldState {
        name: "2",
        version: 2,
        schema: include_str!("old_states/2.sql"),
        has_account: true,
        has_simulated_jobs: true,
    },
    OldState {
        name: "3",
        version: 3,
        schema: include_str!("old_states/3.sql"),
        has_account: true,
        has_simulated_jobs: true,
    },
    OldState {
        name: "4",
        version: 4,
        schema: include_str!("old_states/4.sql"),
        has_account: true,
        has_simulated_jobs: true,
    },
];

impl OldState {
    /// What a drctl of that time may have written: a stuck run with its journal, a baseline, what is wrong, what is due, and a message.
    fn rows(&self) -> String {
        let (more, values) =
            if self.has_account { (", keep_for, accept, account", ", 0, 0, '123456789012'") } else { ("", "") };
        let mut rows = vec![format!(
            "insert into runs (id, estate, target, runbook, document, inputs, state, started_at, expires_at, simulated, epoch{more})
                 values ('01OLD', 'shop', 'db', 'r', 'text', '{{}}', 'stuck', '2026-11-20T00:00:00Z',
                         '2026-11-21T00:00:00Z', 0, 3{values});
             insert into journal (run_id, seq, at, epoch, entry)
                 values ('01OLD', 1, '2026-11-20T00:00:01Z', 3, '{{\"event\":\"step-skipped\",\"step\":\"s\"}}');"
        )];
        let (more, values) = match (self.version, self.has_account) {
            (_, false) => ("", ""),
            (..=2, true) => (", simulated", ", 0"),
            (_, true) => (", simulated, account, region", ", 0, '123456789012', ''"),
        };
        rows.push(format!(
            "insert into baselines (estate, target, run_id, at, facts{more})
                 values ('shop', 'db', '01OLD', '2026-11-20T00:00:00Z', '{{\"rows\": 7}}'{values});"
        ));
        if self.version >= 2 {
            let (more, values) = match (self.version, self.has_simulated_jobs) {
                (_, false) => ("", ""),
                (..=2, true) => (", simulated", ", 0"),
                (_, true) => (", simulated, account, region", ", 0, '', ''"),
            };
            rows.push(format!(
                "insert into jobs (estate, name, target, timetable, anchor_at, due_at, start_at{more})
                     values ('shop', 'a', 'db', 'x', 100, 200, 200{values});
                 insert into outbox (id, estate, channel, message, state, created_at, attempts, next_try_at)
                     values ('m', 'shop', 'ops', '{{}}', 'pending', 5, 0, 5);"
            ));
            let (table, more, values) = match self.version {
                2 => ("incidents", "", ""),
                3 => ("incidents", ", account, region", ", '123456789012', ''"),
                _ => ("alerts", ", account, region, check_id", ", '123456789012', '', 'cleanup'"),
            };
            rows.push(format!(
                "insert into {table} (estate, target, simulated, outcome, since, told_at, run_id{more})
                     values ('shop', 'db', 0, 'stuck', 5, 5, '01OLD'{values});"
            ));
        }
        if self.version >= 4 {
            rows.push("update runs set seq = 1; update counters set value = 1 where name = 'runs';".to_owned());
        }
        rows.concat()
    }

    /// Everything is there, and is taken over by whoever works on the estate first, in its account.
    async fn is_intact(&self, store: &Store) {
        let old = store.run("01OLD").await.unwrap();
        assert_eq!((old.state, old.new.region.as_str(), old.new.document.as_str()), (RunState::Stuck, "", "text"));
        assert_eq!(store.journal("01OLD").await.unwrap().len(), 1);
        let unknown = Scope { account: "", region: "", ..AWS };
        let due: Vec<_> = store.jobs(unknown).await.unwrap().into_iter().filter_map(|job| job.due_at).collect();
        assert_eq!(due.iter().map(|at| at.as_millisecond()).sum::<i64>(), if self.version < 2 { 0 } else { 200 });
        let staging = Scope { account: "210987654321", ..AWS };
        if self.has_account {
            let new = run("01STRANGER", "other", None);
            let stranger = drctl::store::NewRun { account: staging.account.to_owned(), simulated: false, ..new };
            store.begin(&stranger).await.unwrap().release();
            assert!(store.baseline(staging, "db").await.unwrap().is_none(), "another account took it over");
        }
        let job = Job { name: "a".to_owned(), target: Some("db".to_owned()), timetable: "x".to_owned() };
        store.plan_jobs(AWS, at(0), &[job], |_| (Some(at(1000)), Some(at(1000)))).await.unwrap();
        assert_eq!(store.baseline(AWS, "db").await.unwrap().unwrap().1, json!({ "rows": 7 }));
        let new = drctl::store::NewRun { simulated: false, ..run("01NEW", "db", None) };
        let owner = store.begin(&new).await.unwrap();
        let version = self.version;
        let told = move |before: &AlertsBefore| {
            let known = (version >= 2).then_some("01OLD");
            assert_eq!(before.alerts.first().map(|alert| alert.run_id.as_str()), known);
            assert!(before.others_are_stuck && before.is_newest);
            None
        };
        store.end(&owner, &ended(RunState::Passed, &json!({})), &told).await.unwrap();
        owner.release();
        let messages = store.claim_messages("shop", "ops", at(0), 10).await.unwrap();
        assert_eq!(messages.len(), usize::from(self.version >= 2));
        assert_eq!(store.claim("01OLD").await.unwrap().unwrap().fencing_token, 4, "its fencing token goes on");
    }
}

async fn make_sqlite(path: &Path, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut file = AnyConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_older_sqlite_state_is_brought_forward_with_what_it_holds() {
    for old in OLD_STATES {
        let scratch = Scratch::new();
        let path = scratch.0.join("state.db");
        let OldState { version, schema, .. } = old;
        make_sqlite(&path, &format!("{schema}; {} pragma user_version = {version}", old.rows())).await;
        let before = std::fs::read(&path).unwrap();
        let reading = Store::open_for_reading(&path).await.unwrap_err();
        assert!(matches!(&reading, OpenError::Older { found, .. } if *found == version), "{}: {reading}", old.name);
        assert!(reading.hint().contains("start the daemon"), "{}", reading.hint());
        assert_eq!(std::fs::read(&path).unwrap(), before, "{}: reading wrote to it", old.name);
        old.is_intact(&Store::open(&path).await.unwrap()).await;
        // Opened again it is as it was left.
        assert!(Store::open(&path).await.unwrap().run("01NEW").await.is_ok(), "{}", old.name);
        assert_eq!(Store::open_for_reading(&path).await.unwrap().run("01OLD").await.unwrap().state, RunState::Stuck);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_older_postgresql_state_is_brought_forward_with_what_it_holds() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let postgres = Postgres::start();
    for (number, old) in OLD_STATES.iter().filter(|old| old.has_account).enumerate() {
        let database = format!("old_{number}");
        postgres.ask(&format!("create database {database}"));
        postgres.ask_in(&database, &format!("{}; {}", old.schema, old.rows()));
        let version = old.version;
        postgres.ask_in(
            &database,
            &format!(
                "create table drctl_schema (version bigint not null); insert into drctl_schema values ({version})"
            ),
        );
        let url = postgres.url_of("drctl", &database);
        let reading = Store::open_postgres_for_reading(&url, LEASE).await.unwrap_err();
        assert!(matches!(reading, OpenError::Older { found, .. } if found == version), "{}: {reading}", old.name);
        old.is_intact(&Store::open_postgres(&url, LEASE).await.unwrap()).await;
        assert!(Store::open_postgres(&url, LEASE).await.unwrap().run("01NEW").await.is_ok(), "{}", old.name);
        // A drctl of that time finds a number that it does not know.
        assert!(postgres.ask_in(&database, "select version from drctl_schema")[0].parse::<i64>().unwrap() > 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_state_is_left_alone() {
    let scratch = Scratch::new();
    let path = scratch.0.join("state.db");
    drop(Store::open(&path).await.unwrap());
    let newer = "insert into drctl_migrations (version, description, success, checksum, execution_time)
                 values (99, 'of tomorrow', true, '', 0)";
    make_sqlite(&path, newer).await;
    for opened in [Store::open(&path).await, Store::open_for_reading(&path).await] {
        let error = opened.unwrap_err();
        assert!(error.to_string().contains("newer drctl (schema 99"), "{error}");
        assert!(error.hint().contains("use the newer drctl"), "{}", error.hint());
    }
    // A number that no drctl ever wrote, without the table that came after it.
    let path = scratch.0.join("other.db");
    make_sqlite(&path, "pragma user_version = 5").await;
    assert!(matches!(Store::open(&path).await, Err(OpenError::Newer { found: 5, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_open_one_new_state_at_once() {
    let scratch = Scratch::new();
    for round in 0..10 {
        let path = scratch.0.join(format!("{round}.db"));
        let opening: Vec<_> =
            (0..4).map(|_| path.clone()).map(|path| tokio::spawn(async move { Store::open(&path).await })).collect();
        for opened in opening {
            opened.await.unwrap().unwrap();
        }
    }
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let postgres = Postgres::start();
    for round in 0..5 {
        postgres.ask(&format!("create database new_{round}"));
        let url = postgres.url_of("drctl", &format!("new_{round}"));
        let opening: Vec<_> = (0..4)
            .map(|_| url.clone())
            .map(|url| tokio::spawn(async move { Store::open_postgres(&url, LEASE).await }))
            .collect();
        for opened in opening {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_neither_makes_nor_locks_nor_waits() {
    let scratch = Scratch::new();
    let path = scratch.0.join("state.db");
    assert!(Store::open_for_reading(&path).await.unwrap().runs(None, 10).await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 0, "reading made something");
    let writer = Store::open(&path).await.unwrap();
    let owner = writer.begin(&run("01RUN", "db", None)).await.unwrap();
    let mut holder = AnyConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::raw_sql("begin immediate; update runs set reason = 'not yet'").execute(&mut holder).await.unwrap();
    let read = async {
        let reader = Store::open_for_reading(&path).await.unwrap();
        let found = reader.run("01RUN").await.unwrap();
        (found.reason, reader.begin(&run("01OTHER", "db2", None)).await.is_err())
    };
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), read).await.expect("it waited for the writer");
    assert_eq!(read, (None, true), "what is not committed is not read, and nothing is written");
    owner.release();
}

/// The grants of README.md, "State in PostgreSQL".
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_needs_no_more_than_the_documented_grants() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let postgres = Postgres::start();
    let readme = include_str!("../../README.md");
    let section = readme.split("### State in PostgreSQL").nth(1).unwrap();
    let sql = section.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let (roles, grants) = sql.split_once("\\connect drctl\n").unwrap();
    for statement in roles.split_inclusive(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        postgres.ask(statement);
    }
    postgres.ask_in("drctl", grants);
    let (owner, agent) = (postgres.url_of("drctl_owner", "drctl"), postgres.url_of("drctl_agent", "drctl"));
    let reader = postgres.url_of("drctl_reader", "drctl");
    let early = Store::open_postgres(&agent, LEASE).await.unwrap_err();
    assert!(early.hint().contains("State in PostgreSQL"), "{early}: {}", early.hint());
    drop(Store::open_postgres(&owner, LEASE).await.unwrap());
    let (store, other) =
        (Store::open_postgres(&agent, LEASE).await.unwrap(), Store::open_postgres(&agent, LEASE).await.unwrap());
    behaves(&store, &other).await;
    let reader = Store::open_postgres_for_reading(&reader, LEASE).await.unwrap();
    assert!(!reader.runs(None, 10).await.unwrap().is_empty());
    assert!(reader.begin(&run("01OTHER", "other", None)).await.is_err());
}
