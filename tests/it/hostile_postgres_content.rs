//! A PostgreSQL backup whose rows were changed by somebody who knows how drctl compares them.

use super::hostile::{check, rig, sql, test};
use super::hostile_postgres::{SETTINGS, prepared};
use super::postgres::Postgres;
use super::support::{Engine, TestSandbox, require_engines};

const SETTLED: &str =
    "[[database.restore_test.check]]\nname = \"old\"\nimmutable = \"app.accounts.at\"\nolder_than = \"7d\"\n";

/// Accounts whose rows have settled, in types that are hashed in each of the ways.
const ACCOUNTS: &str = "
    create table app.accounts (id int primary key, balance bigint, price numeric, at timestamptz);
    insert into app.accounts
        select n, n * 1000, n, '2020-01-01 00:00:00+00' from generate_series(1, 1000) n;
    create table app.mixed (id int, balance bigint, term interval, note json);
    insert into app.mixed select n, n * 1000, '1 mon', '{}' from generate_series(1, 1000) n;
    create table app.empty (id int)";

/// A server and a rig whose baseline is recorded.
fn recorded() -> (Postgres, TestSandbox) {
    let server = prepared(ACCOUNTS);
    let rig = rig("rds-postgresql", server.port, SETTINGS, SETTLED);
    let (ran, document, _) = test(&rig);
    ran.assert_code(0);
    assert_eq!(check(&document, "old"), ("passed", "first run, recorded"));
    (server, rig)
}

/// Changes something, and yields how `content` and the settled rows are judged then.
fn after(server: &Postgres, rig: &TestSandbox, change: &str) -> [(String, String); 2] {
    server.ask(change);
    let (_, document, _) = test(rig);
    ["content", "old"].map(|name| {
        let (outcome, actual) = check(&document, name);
        (outcome.to_owned(), actual.to_owned())
    })
}

#[test]
fn values_swapped_between_rows_are_noticed_under_the_baselines_salt() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let (server, rig) = recorded();
    // Another process, with the same salt: equal rows are equal.
    let [content, old] = after(&server, &rig, "vacuum full app.accounts");
    assert_eq!((content.0.as_str(), old.1.as_str()), ("passed", "1000 rows, unchanged"));
    for change in [
        // Two balances, and a whole column's, among rows.
        "update app.accounts set balance = case id when 1 then 900000 else 1000 end where id in (1, 900)",
        // The folded hash of the one is the folded hash of the other, and the sign of a number is in no hash.
        "update app.accounts set balance = 1000 + 4294967297 where id = 1;
         update app.accounts set balance = balance # 4294967297 where id = 2",
        "update app.accounts set price = -price where id = 3",
    ] {
        let undo = "update app.accounts set balance = id * 1000, price = id";
        let [content, old] = after(&server, &rig, change);
        assert!(content.0 == "failed" && content.1.contains("app.accounts"), "{change}: {}", content.1);
        assert_eq!((old.0.as_str(), old.1.as_str()), ("failed", "1000 rows, but their content changed"), "{change}");
        let [content, old] = after(&server, &rig, undo);
        assert_eq!((content.0.as_str(), old.0.as_str()), ("passed", "passed"), "{change}: {}", content.1);
    }
    for change in [
        "update app.mixed set balance = case id when 1 then 900000 else 1000 end where id in (1, 900)",
        "update app.mixed set term = '30 days' where id = 1",
    ] {
        let [content, _] = after(&server, &rig, change);
        assert!(content.0 == "failed" && content.1.contains("app.mixed"), "{change}: {}", content.1);
        after(&server, &rig, "update app.mixed set balance = id * 1000, term = '1 mon'");
    }
}

#[test]
fn a_table_that_is_hashed_in_another_way_does_not_pass() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let (server, rig) = recorded();
    let [content, old] = after(&server, &rig, "alter table app.accounts add column odd json");
    assert_eq!(content.0, "unknown", "{}", content.1);
    assert!(old.0 == "unknown" && old.1.contains("hashed in another way"), "{}", old.1);
    let [content, old] = after(&server, &rig, "delete from app.accounts where id = 1");
    assert_eq!(content.0, "failed", "{}", content.1);
    assert_eq!((old.0.as_str(), old.1.as_str()), ("failed", "999 rows, were 1000"));
    // Who meant it says so, and the next run is compared with that one.
    let accepted =
        rig.command(&["restore-test", "shop", "--update-baseline"]).env("HOSTILE_PASSWORD", "x").output().unwrap();
    assert_eq!(accepted.status.code(), Some(0));
    let [content, old] = after(&server, &rig, "select 1");
    assert_eq!((content.0.as_str(), old.1.as_str()), ("passed", "999 rows, unchanged"));
}

#[test]
fn a_table_that_became_empty_or_was_empty_differs() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let (server, rig) = recorded();
    let [content, _] = after(&server, &rig, "insert into app.empty values (1)");
    assert!(content.0 == "failed" && content.1.contains("app.empty"), "{}", content.1);
    let [content, _] = after(&server, &rig, "truncate app.empty, app.mixed");
    assert!(content.0 == "failed" && content.1.contains("app.mixed"), "{}", content.1);
}

#[test]
fn text_in_the_database_forges_no_broken_connection() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let broke = "the connection broke, and there is no new one";
    let server = prepared(&format!("create table app.said as select '{broke}'::text as line"));
    let checks = sql("said", "select line from app.said", broke);
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(0);
    assert_eq!(check(&document, "said"), ("passed", broke));
}
