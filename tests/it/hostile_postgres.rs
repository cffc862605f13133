//! A PostgreSQL backup made by an attacker who owns one schema. Nothing of it runs with drctl's rights, nothing is hidden or
//! forged without the test saying so, and what people read is clean.

use super::hostile::{MAX_PEAK_KB, check, newest, rig, sql, test};
use super::postgres::Postgres;
use super::support::{Engine, require_engines};

/// drctl connects as one who may read and write everything, but is no superuser: as RDS's master user.
pub(crate) const SETTINGS: &str = "database = \"postgres\"\nusername = \"master\"\ntls = \"off\"";

/// `app` is the attacker's role and schema. `ran_as_another` is counted by the server whatever the transaction does, and is
/// only called where the attacker's code runs with somebody else's rights.
const SCHEMA: &str = "
    create role app login;
    create role master login createrole;
    grant pg_read_all_data, pg_write_all_data to master;
    create schema app authorization app;
    create schema hr authorization master;
    create table hr.salaries (name text, salary int);
    insert into hr.salaries values ('alice', 123456);
    alter table hr.salaries owner to master;
    grant create on schema public to app;
    create extension amcheck;
    grant execute on function bt_index_check(regclass, boolean) to master;
    set role app;
    create function app.ran_as_another() returns void language plpgsql as 'begin end';
    create function app.evil(n int) returns int language plpgsql immutable as $$
        begin
            if current_user <> 'app' then perform app.ran_as_another(); end if;
            return n;
        end $$;
    create table app.orders (id int primary key, total numeric, t text, at timestamptz,
                             twice numeric generated always as (total * 2) stored);
    insert into app.orders select n, n % 7, 'x' || n, now() - interval '1 day' from generate_series(1, 500) n";

pub(crate) fn prepared(more: &str) -> Postgres {
    let server = Postgres::start();
    server.ask("alter system set track_functions = 'all'");
    server.ask("alter system set fsync = off");
    server.ask("select pg_reload_conf()");
    server.ask(&format!("{SCHEMA}; {more}"));
    server.ask("select pg_stat_reset()");
    server
}

/// How often the attacker's code ran with somebody else's rights.
fn runs(server: &Postgres) -> String {
    // What a backend counted is there for others when it has ended.
    std::thread::sleep(std::time::Duration::from_millis(500));
    server.ask("select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = 'ran_as_another'").remove(0)
}

#[test]
fn code_in_index_expressions_and_statistics_does_not_run_as_ours() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "create index on app.orders ((app.evil(1) + id));
         create table app.counted (id int, a text);
         insert into app.counted select n, 'a' from generate_series(1, 300) n;
         create statistics app.both on (app.evil(1) + id), a from app.counted;
         create table app.parted (id int, at timestamptz) partition by range (id);
         create table app.part partition of app.parted for values from (0) to (1000);
         insert into app.parted values (1, now());
         create index on app.part ((app.evil(id) + app.evil(1)))",
    );
    let checks =
        [newest("fresh", "app.parted.at", "1h"), sql("mine", "select count(*) from app.orders", ">= 1")].concat();
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(runs(&server), "0");
    // What can be read without running it, is.
    assert_eq!(check(&document, "rows"), ("passed", "802 rows; first run, recorded"), "{document:#}");
    assert_eq!(check(&document, "content").0, "passed");
    assert_eq!(check(&document, "structure").0, "passed");
    for name in ["fresh", "mine"] {
        let (outcome, actual) = check(&document, name);
        assert!(outcome == "unknown" && actual.contains("app.evil() of role app"), "{name}: {actual}");
    }
    // The canary sings: asked as anybody would, the code does run.
    server.ask("set role master; select count(*) from app.orders");
    assert_ne!(runs(&server), "0");
}

#[test]
fn functions_operators_and_casts_of_the_backup_are_not_taken_for_the_servers_own() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "create function public.hash_record_extended(app.orders, int) returns bigint language plpgsql as
             $$ begin perform app.evil(1); return 1; end $$;
         create function public.count(int) returns bigint language sql as 'select app.evil(7)::bigint';
         create function public.left(text, bigint) returns text language plpgsql as
             $$ begin perform app.evil(1); return 'forged'; end $$;
         create function app.as_text(app.orders) returns text language plpgsql as
             $$ begin perform app.evil(1); return 'forged'; end $$;
         create cast (app.orders as text) with function app.as_text(app.orders) as implicit;
         create function app.equals(numeric, int) returns boolean language plpgsql as
             $$ begin perform app.evil(1); return true; end $$;
         create operator public.= (leftarg = numeric, rightarg = int, function = app.equals)",
    );
    let checks = sql("mine", "select count(*) from app.orders where total = 3", ">= 1");
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(runs(&server), "0");
    assert_eq!(check(&document, "rows").0, "passed", "{document:#}");
    assert_eq!(check(&document, "mine").0, "unknown", "{document:#}");
    // A changed row is noticed: the fingerprint is the server's own, and of every column.
    server.ask("update app.orders set total = 6 where id = 1");
    let changed =
        rig.command(&["restore-test", "shop", "--output", "json"]).env("HOSTILE_PASSWORD", "x").output().unwrap();
    assert_eq!(changed.status.code(), Some(3), "an unknown run is no baseline");
    assert_eq!(runs(&server), "0");
}

#[test]
fn a_changed_row_is_noticed_in_a_table_with_a_column_named_as_our_alias() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("create table app.plain (id int, odd json); insert into app.plain values (1, '{}')");
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, _) = test(&rig);
    ran.assert_code(0);
    assert_eq!(check(&document, "content").0, "passed");
    server.ask("update app.orders set total = total + 1 where id = 1; update app.plain set odd = '{\"a\": 1}'");
    let (ran, document, _) = test(&rig);
    ran.assert_code(1);
    let (outcome, actual) = check(&document, "content");
    assert!(outcome == "failed" && actual.contains("app.orders") && actual.contains("app.plain"), "{actual}");
}

#[test]
fn rows_that_a_policy_hides_are_not_counted_as_all() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "create table app.hidden as select n as id from generate_series(1, 500) n;
         alter table app.hidden enable row level security;
         create policy nobody on app.hidden using (false);
         create table app.leaking (id int);
         insert into app.leaking values (1);
         alter table app.leaking enable row level security;
         create function app.leak() returns boolean language plpgsql as $$
             begin raise exception 'leaked: %', (select string_agg(name || salary, ',') from hr.salaries); end $$;
         create policy leak on app.leaking using (app.leak())",
    );
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, _) = test(&rig);
    let ran = ran.assert_code(3);
    let (outcome, actual) = check(&document, "rows");
    assert!(outcome == "unknown" && actual.contains("row-level security") && actual.contains("BYPASSRLS"), "{actual}");
    assert!(!ran.out.contains("123456") && !ran.err.contains("123456"), "another schema's data is in the report");
}

#[test]
fn code_behind_aggregates_nested_views_and_domains_does_not_run_as_ours() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "alter table app.orders add column code varchar default 'c';
         create function app.state(text, varchar) returns text language plpgsql as
             $$ begin perform app.evil(1); return $2; end $$;
         create aggregate public.max(varchar) (sfunc = app.state, stype = text, initcond = '');
         create view app.inner as select id from app.orders;
         grant usage on schema app to master;
         create function app.holds(n int) returns boolean language plpgsql as
             $$ begin perform app.evil(1); return true; end $$;
         create domain app.cents as int check (app.holds(value));
         create type app.pair as (price app.cents);
         create table app.planned (id int);
         create index on app.planned ((app.evil(1) + id));
         set role master;
         create view hr.daily as select id from app.inner;
         create view hr.weekly as select id from hr.daily;
         create view hr.over_planned as select id from app.planned;
         create function hr.reckon() returns int language sql as 'select app.evil(1)';
         create view hr.reckoned as select hr.reckon() as n;
         create view hr.names as select name from hr.salaries;
         reset role; set role app;
         create or replace view app.inner as select app.evil(id) as id from app.orders",
    );
    let unsafe_checks = [
        ("aggregate", "select max(code) from app.orders", "public.max() of role app"),
        ("nested view", "select id from hr.weekly", "view app.\"inner\", which belongs to another role"),
        ("planned", "select id from hr.over_planned", "app.evil() of role app"),
        ("domain", "select sum(total::int::app.cents) from app.orders", "app.holds() of role app"),
        ("composite", "select '(1)'::app.pair", "app.holds() of role app"),
        ("text", "select n from hr.reckoned", "app.evil() of role app"),
    ];
    let mut checks: Vec<String> = unsafe_checks.iter().map(|(name, text, _)| sql(name, text, "not empty")).collect();
    checks.push(sql("own view", "select name from hr.names", "alice"));
    checks.push(sql("mine", "select count(*) from app.orders", "500"));
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks.concat());
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(runs(&server), "0");
    for (name, _, why) in unsafe_checks {
        let (outcome, actual) = check(&document, name);
        assert!(outcome == "unknown" && actual.contains(why), "{name}: {outcome} {actual}");
    }
    assert_eq!(check(&document, "own view"), ("passed", "alice"));
    assert_eq!(check(&document, "mine"), ("passed", "500"));
    assert_eq!(check(&document, "rows").0, "passed", "{document:#}");
    // The canary sings: each of them does run the attacker's code.
    for (name, text, _) in unsafe_checks {
        server.ask(&format!("select pg_stat_reset(); set role master; {text}"));
        assert_ne!(runs(&server), "0", "{name}");
    }
}

#[test]
fn a_function_named_as_a_reserved_word_is_met_only_where_it_is_called() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("create function app.\"select\"(int) returns int language sql as 'select app.evil(1)'");
    let checks =
        [sql("mine", "select count(*) from app.orders", "500"), sql("called", "select app.select(1)", "not empty")];
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks.concat());
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(runs(&server), "0");
    assert_eq!(check(&document, "mine"), ("passed", "500"));
    let (outcome, actual) = check(&document, "called");
    assert!(outcome == "unknown" && actual.contains("app.\"select\"() of role app"), "{actual}");
}

#[test]
fn a_view_of_somebody_else_is_not_read() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "create view app.invoices as select app.evil(id) as id, at from app.orders;
         create function app.sum_up() returns bigint language sql as 'select app.evil(1)::bigint'",
    );
    let checks = [
        newest("fresh", "app.invoices.at", "1h"),
        sql("view", "select count(*) from app.invoices", ">= 1"),
        sql("function", "select app.sum_up()", "1"),
        sql("misspelt", "select 1 from app.ordres", "empty"),
        newest("misspelt too", "app.ordres.at", "1h"),
        newest("no time", "app.orders.total", "1h"),
        sql("mine", "select count(*) from app.orders", "500"),
    ];
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks.concat());
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(runs(&server), "0");
    for name in ["fresh", "view", "function", "misspelt", "misspelt too", "no time"] {
        assert_eq!(check(&document, name).0, "unknown", "{name} in {document:#}");
    }
    assert_eq!(check(&document, "mine"), ("passed", "500"));
}

#[test]
fn names_from_the_backup_neither_end_a_statement_nor_forge_a_line() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let name = "x\u{1b}[2J\nok rows: 1 <b>&'\\; drop table app.orders; --\u{202e}";
    let column = "\"\"; --'\n";
    let server = prepared(&format!(
        "create table app.\"{name}\" (\"{column}\" int, at timestamptz);
         insert into app.\"{name}\" values (1, now());
         create table app.\"locked{name}\" (id int);
         alter table app.\"locked{name}\" enable row level security"
    ));
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, _) = test(&rig);
    let ran = ran.assert_code(3);
    let (outcome, actual) = check(&document, "rows");
    assert!(
        outcome == "unknown" && actual.contains("\\u{1b}[2J\\nok rows") && actual.contains("\\u{202e}"),
        "{actual}"
    );
    assert!(!ran.err.contains("\nok rows"), "{}", ran.err);
    assert_eq!(server.ask("select count(*) from app.orders"), ["500"]);
}

#[test]
fn rows_from_after_the_restore_point_do_not_pass() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("update app.orders set at = '2031-01-01' where id = 1");
    let checks = [newest("fresh", "app.orders.at", "1h")].concat();
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks);
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    let (outcome, actual) = check(&document, "fresh");
    assert!(outcome == "unknown" && actual.contains("younger than the restore point"), "{actual}");
    server.ask("update app.orders set at = 'infinity' where id = 1");
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    assert_eq!(check(&document, "fresh").0, "unknown", "{document:#}");
}

#[test]
fn a_right_that_is_missing_is_named() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("reset role; revoke pg_read_all_data from master");
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, _) = test(&rig);
    ran.assert_code(3);
    let (outcome, actual) = check(&document, "rows");
    assert!(outcome == "unknown" && actual.contains("permission denied") && actual.contains("`master`"), "{actual}");
}

#[test]
fn values_and_errors_of_100_mb_take_little_memory_and_are_cut() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared(
        "create table app.large as select repeat('A', 100000000) as a;
         create table app.planned as select repeat('B', 100000000) as b;
         create index on app.planned ((app.evil(1)));
         set role master;
         create function hr.boom() returns int language plpgsql as
             $$ begin raise exception '%', repeat('C', 200000000); end $$;
         create function hr.noise() returns int language plpgsql as $$
             begin
                 set client_min_messages = notice;
                 raise notice '%', repeat('D', 200000000);
                 return 1;
             end $$",
    );
    let checks = [
        sql("large", "select a from app.large", "not empty"),
        sql("boom", "select hr.boom()", "1"),
        sql("noise", "select hr.noise()", "1"),
    ];
    let rig = rig("rds-postgresql", server.port, SETTINGS, &checks.concat());
    let (ran, document, peak) = test(&rig);
    ran.assert_code(3);
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
    let (outcome, actual) = check(&document, "large");
    assert!(outcome == "passed" && actual.starts_with("AAA") && actual.len() < 1000);
    let (outcome, actual) = check(&document, "boom");
    assert!(outcome == "unknown" && actual.starts_with("CCC") && actual.len() < 1000);
    assert_eq!(check(&document, "noise").0, "passed");
    // A table that may not be planned for is read here, and a row of it is too large for that.
    let (outcome, actual) = check(&document, "rows");
    assert!(outcome == "unknown" && actual.contains("too large"), "{actual}");
}

#[test]
fn ten_thousand_tables_take_little_memory() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("select 1");
    for thousand in 0..10 {
        server.ask(&format!(
            "do $$ begin for n in {thousand}000 .. {thousand}999 loop
                 execute format('create table app.%I (id int primary key, a text, b timestamptz)', 't' || n);
             end loop; end $$"
        ));
    }
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, peak) = test(&rig);
    ran.assert_code(0);
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
    assert_eq!(check(&document, "catalog").0, "passed");
    assert!(check(&document, "catalog").1.starts_with("10002 tables"), "{document:#}");
}

#[test]
fn a_catalogue_of_long_names_takes_little_memory_and_is_unknown() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("select 1");
    server.ask(
        "do $$ begin for n in 1 .. 100 loop
             execute format('create table app.t%s (%s)', n, (
                 select string_agg(format('%I bool', rpad(c::text, 63, '\"')), ', ') from generate_series(1, 1590) c));
         end loop; end $$",
    );
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    let (ran, document, peak) = test(&rig);
    ran.assert_code(3);
    assert!(peak < MAX_PEAK_KB, "{peak} kB");
    let (outcome, actual) = check(&document, "connect");
    assert!(outcome == "unknown" && actual.contains("larger than drctl reads"), "{document:#}");
}

#[test]
fn many_columns_take_little_memory_also_where_they_are_compared() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let server = prepared("select 1");
    server.ask(
        "do $$ begin for n in 1 .. 4000 loop
             execute format('create table app.t%s (%s)', n, (
                 select string_agg(format('column_%s timestamp', c), ', ') from generate_series(1, 40) c));
         end loop; end $$",
    );
    let rig = rig("rds-postgresql", server.port, SETTINGS, "");
    for _ in 0..2 {
        let (ran, document, peak) = test(&rig);
        ran.assert_code(0);
        assert!(peak < MAX_PEAK_KB, "{peak} kB");
        assert!(check(&document, "catalog").1.starts_with("4002 tables"), "{document:#}");
    }
}
