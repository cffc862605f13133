//! PostgreSQL behind RDS and Aurora PostgreSQL.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::process::Command;

use super::process::{self, Process, User};
use super::{Certificates, Content, Damage, Seed, seed};

/// The superuser, reachable only through the socket in the data directory.
const SUPERUSER: &str = "drctl_sandbox";
/// What RDS has in place of superusers: the master user is a member of `rds_superuser`, which reads statistics and ends
/// other sessions, and has no right to the tables of others.
const RDS_ROLES: &str =
    "create role rds_superuser; create role rds_replication; create role rds_password; create role rds_iam;
     grant pg_monitor, pg_signal_backend, rds_replication, rds_password to rds_superuser with admin option";
/// An assumption: that on RDS `rds_superuser` may run amcheck's functions once the extension is installed.
const AMCHECK: &str = "create extension amcheck;
     grant execute on function bt_index_check(regclass, boolean), bt_index_check(regclass) to rds_superuser";
const PAGE_BYTES: usize = 8192;
const VERSION_DIRECTORY: &str = "/usr/lib/postgresql";

pub(super) fn is_installed() -> bool {
    program("postgres").is_some() && program("initdb").is_some()
}

/// Debian keeps the server's programs out of `PATH`, a directory for each version.
fn program(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSION_DIRECTORY).into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    directories.sort();
    directories.reverse();
    process::find_program(name, &directories)
}

fn required(name: &str) -> anyhow::Result<PathBuf> {
    program(name).with_context(|| format!("`{name}` is not installed (Debian: `apt-get install postgresql`)"))
}

/// What it calls itself.
pub(super) async fn version() -> Option<String> {
    let said = process::run(Command::new(program("postgres")?).arg("--version"), None).await.ok()?;
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(format!("PostgreSQL {number}"))
}

/// Makes the data directory of a source, with rows up to now, and shuts it down cleanly. Yields its tables.
pub(super) async fn make_source(directory: &Path, seed: &Seed) -> anyhow::Result<Vec<String>> {
    let user = User::unprivileged();
    let initdb = required("initdb")?;
    let version = process::run(Command::new(&initdb).arg("--version"), None).await?;
    let key = format!("postgres-{}", version.trim().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"));
    process::initialised(&key, directory, user, || async {
        process::private_directory(directory, user)?;
        let mut command = Command::new(&initdb);
        command.arg("-D").arg(directory).args(["-U", SUPERUSER, "-k", "-N", "-E", "UTF8", "--locale=C", "-A", "trust"]);
        process::run(&mut command, user).await.map(drop)
    })
    .await?;
    let port = process::free_port()?;
    let process = start(directory, port, user, false).await?;
    let made = fill_source(directory, port, seed).await;
    process.stop().await;
    made
}

async fn fill_source(directory: &Path, port: u16, seed: &Seed) -> anyhow::Result<Vec<String>> {
    let mut root = superuser(directory, port, "postgres").await?;
    let role = quote(&seed.username);
    execute(
        &mut root,
        &format!(
            "{RDS_ROLES}; create role {role} login createdb createrole password '{}'; grant rds_superuser to {role}",
            literal(&seed.password)
        ),
    )
    .await?;
    if seed.database != "postgres" {
        execute(&mut root, &format!("create database {} owner {role}", quote(&seed.database))).await?;
    }
    root.close().await?;
    let mut shop = superuser(directory, port, &seed.database).await?;
    if seed.amcheck {
        execute(&mut shop, AMCHECK).await?;
    }
    execute(&mut shop, &format!("grant create, usage on schema public to {role}; set role {role}")).await?;
    match &seed.schema {
        Some(own) => execute(&mut shop, own).await.context("failed to load the schema")?,
        None => {
            execute(&mut shop, &schema()).await?;
            roll_to(&mut shop, seed::orders_at(crate::clock::Clock::system().now())).await?;
        }
    }
    execute(&mut shop, "reset role; reset all").await?;
    execute(&mut shop, "vacuum (freeze, analyze)").await?;
    let tables = "select case schemaname when 'public' then tablename else schemaname || '.' || tablename end
                  from pg_catalog.pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1";
    let tables = sqlx::query_scalar(tables).fetch_all(&mut shop).await?;
    shop.close().await?;
    Ok(tables)
}

fn schema() -> String {
    format!(
        "create table customers (id bigint primary key, email text not null unique, name text not null);
         create table products (id bigint primary key, sku text not null unique, title text not null,
                                price numeric(10, 2) not null);
         create table orders (id bigint primary key, customer_id bigint not null references customers,
                              status text not null, total numeric(12, 2) not null, paid boolean not null,
                              shipped boolean not null, created_at timestamptz not null);
         create index orders_created_at on orders (created_at);
         create index orders_customer_id on orders (customer_id);
         create table order_items (order_id bigint not null references orders on delete cascade, line int not null,
                                   product_id bigint not null references products, quantity int not null,
                                   primary key (order_id, line));
         insert into customers select n, 'customer' || n || '@example.com', 'Customer ' || n
             from generate_series(1, {}) n;
         insert into products select n, 'SKU-' || n, 'Book ' || n, 5 + n % 40 from generate_series(1, {}) n",
        seed::CUSTOMERS,
        seed::PRODUCTS
    )
}

/// Takes the rows forward or back to what they were when there were `count` orders.
async fn roll_to(shop: &mut PgConnection, count: i64) -> anyhow::Result<()> {
    let sql = format!(
        "delete from orders where id > {count};
         insert into orders
             select n, 1 + n % {customers}, (array['new', 'packed', 'sent', 'done'])[1 + n % 4], 10 + n % 300,
                    n % 5 <> 0, n % 5 <> 0 and n % 2 = 0, to_timestamp({opened} + n * {every})
             from generate_series((select coalesce(max(id), 0) + 1 from orders), {count}) n;
         insert into order_items
             select n, l, 1 + (n * 7 + l) % {products}, 1 + n % 3
             from generate_series((select coalesce(max(order_id), 0) + 1 from order_items), {count}) n,
                  generate_series(1, 2) l",
        customers = seed::CUSTOMERS,
        products = seed::PRODUCTS,
        opened = seed::opened_second(),
        every = seed::ORDER_SECONDS,
    );
    execute(shop, &sql).await
}

/// Starts a copied data directory, rolls it to its moment, and damages it where that was asked for.
pub(super) async fn restore(
    directory: &Path,
    port: u16,
    seed: &Seed,
    content: &Content,
    tls: &Certificates,
) -> anyhow::Result<Process> {
    let user = User::unprivileged();
    tls.install(directory, user)?;
    let process = start(directory, port, user, true).await?;
    if seed.schema.is_some() {
        return Ok(process);
    }
    let mut shop = superuser(directory, port, &seed.database).await?;
    roll_to(&mut shop, seed::orders_at(content.as_of)).await?;
    match content.damage {
        None => {}
        Some(Damage::Rows) => {
            let sql = format!(
                "delete from orders where id % {} = 0 or id > (select max(id) from orders) - {}",
                seed::LOST_EVERY,
                seed::LOST_LAST_ORDERS
            );
            execute(&mut shop, &sql).await?;
        }
        Some(Damage::Index) => cut_index(&mut shop).await?,
        Some(Damage::Page) => {
            let path: String = sqlx::query_scalar("select pg_relation_filepath('orders')").fetch_one(&mut shop).await?;
            execute(&mut shop, "checkpoint").await?;
            shop.close().await?;
            process.stop().await;
            overwrite_page(&directory.join(path))?;
            return start(directory, port, user, true).await;
        }
    }
    shop.close().await?;
    Ok(process)
}

/// Writes rows behind an index's back, which then lacks them.
async fn cut_index(shop: &mut PgConnection) -> anyhow::Result<()> {
    for sql in [
        "update pg_index set indisready = false where indexrelid = 'orders_created_at'::regclass",
        "update orders set created_at = created_at + interval '1 microsecond' where id % 50 = 0",
        "update pg_index set indisready = true where indexrelid = 'orders_created_at'::regclass",
    ] {
        execute(shop, sql).await?;
    }
    Ok(())
}

fn overwrite_page(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let page = bytes.len() / PAGE_BYTES / 2 * PAGE_BYTES;
    let damaged = bytes.get_mut(page + 100..page + 600).context("the table has no page to damage")?;
    damaged.fill(0x5a);
    std::fs::write(file, bytes)?;
    Ok(())
}

async fn start(directory: &Path, port: u16, user: Option<User>, tls: bool) -> anyhow::Result<Process> {
    let hba =
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(directory.join("pg_hba.conf"), hba)?;
    if let Some(user) = user {
        user.give(directory)?;
    }
    let mut command = Command::new(required("postgres")?);
    command.arg("-D").arg(directory).args(["-p", &port.to_string()]).arg("-k").arg(directory);
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "shared_buffers=16MB",
        "max_connections=40",
        "allow_system_table_mods=on",
        "full_page_writes=off",
        "autovacuum=off",
        "log_min_messages=error",
    ] {
        command.args(["-c", setting]);
    }
    if tls {
        command.args([
            "-c",
            "ssl=on",
            "-c",
            "ssl_cert_file=drctl-tls/server.pem",
            "-c",
            "ssl_key_file=drctl-tls/server.key",
        ]);
    }
    let mut process = Process::start(&command, "INT", user, log_of(directory))?;
    process.wait_until(|| async { superuser(directory, port, "postgres").await.is_ok() }).await?;
    Ok(process)
}

fn log_of(directory: &Path) -> PathBuf {
    directory.with_extension("log")
}

async fn superuser(directory: &Path, port: u16, database: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::new_without_pgpass();
    let options = options.socket(directory).port(port).username(SUPERUSER).database(database);
    options.disable_statement_logging().connect().await
}

async fn execute(connection: &mut PgConnection, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

pub(super) async fn set_password(directory: &Path, port: u16, username: &str, password: &str) -> anyhow::Result<()> {
    let mut root = superuser(directory, port, "postgres").await?;
    execute(&mut root, &format!("alter role {} password '{}'", quote(username), literal(password))).await?;
    root.close().await.map_err(Into::into)
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    text.replace('\'', "''")
}
