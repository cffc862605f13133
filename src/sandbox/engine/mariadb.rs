//! MariaDB behind RDS MySQL and Aurora MySQL.

use std::path::{Path, PathBuf};

use anyhow::Context;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::process::Command;

use super::process::{self, Process, User};
use super::{Certificates, Content, Damage, Seed, seed};

const SOCKET: &str = "drctl.sock";
/// Reachable only through the socket in the data directory.
const SUPERUSER: &str = "drctl_sandbox";
/// What RDS grants the master user of MySQL 8.0, by its documentation: neither SUPER nor FILE.
const MASTER_PRIVILEGES: &str =
    "select, insert, update, delete, create, drop, reload, process, references, index, alter,
     show databases, create temporary tables, lock tables, execute, replication slave, replication client, create view,
     show view, create routine, alter routine, create user, event, trigger";
const PAGE_BYTES: usize = 16_384;
/// Where a page says what it holds, and what it says where rows are in it (`FIL_PAGE_TYPE`, `FIL_PAGE_INDEX`).
const TYPE_AT: usize = 24;
const INDEX_PAGE: [u8; 2] = [0x45, 0xbf];
/// Where such a page says how far above the rows it is, in two bytes, and of which index, in eight (`PAGE_LEVEL`,
/// `PAGE_INDEX_ID`). The table itself is its first index.
const LEVEL_AT: usize = 64;
/// Pages that are damaged, from the middle of the table on: none that is free, which nobody would
/// notice, and none of another index, over which the server may fall when it starts.
const DAMAGED_PAGES: usize = 3;

pub(super) fn is_installed() -> bool {
    program("mariadbd").is_some() && program("mariadb-install-db").is_some()
}

fn program(name: &str) -> Option<PathBuf> {
    process::find_program(name, &["/usr/sbin".into(), "/usr/libexec".into()])
}

fn required(name: &str) -> anyhow::Result<PathBuf> {
    program(name).with_context(|| format!("`{name}` is not installed (Debian: `apt-get install mariadb-server`)"))
}

/// What it calls itself.
pub(super) async fn version() -> Option<String> {
    let said = process::run(Command::new(program("mariadbd")?).arg("--version"), None).await.ok()?;
    said.split_whitespace().find(|word| word.contains("MariaDB")).map(|word| format!("MariaDB {word}"))
}

/// Makes the data directory of a source, with rows up to now, and shuts it down cleanly. Yields its tables.
pub(super) async fn make_source(directory: &Path, seed: &Seed, own: &str) -> anyhow::Result<Vec<String>> {
    let user = User::unprivileged();
    let install = required("mariadb-install-db")?;
    let version = version().await.context("`mariadbd` does not tell its version")?;
    let key = format!("mariadb-{}", version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"));
    process::initialised(&key, directory, user, || async {
        process::private_directory(directory, user)?;
        let mut command = Command::new(&install);
        command.arg("--no-defaults").arg(format!("--datadir={}", directory.display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"]);
        command.env("TMPDIR", directory);
        process::run(&mut command, user).await.map(drop)
    })
    .await?;
    let port = process::free_port()?;
    let root = Account { name: "root", password: "" };
    let process = start(directory, port, user, None, root).await?;
    let made = fill_source(directory, seed, own).await;
    process.stop().await;
    made
}

async fn fill_source(directory: &Path, seed: &Seed, own: &str) -> anyhow::Result<Vec<String>> {
    let mut root = connect(directory, Account { name: "root", password: "" }, None).await?;
    let (name, password) = (literal(&seed.username), literal(&seed.password));
    // Whoever could enter without a password goes: the installation's `root` and its anonymous users.
    let sql = format!(
        "create user '{SUPERUSER}'@'localhost' identified by '{own}';
         grant all on *.* to '{SUPERUSER}'@'localhost' with grant option;
         create user '{name}'@'%' identified by '{password}';
         grant {MASTER_PRIVILEGES} on *.* to '{name}'@'%' with grant option;
         delete from mysql.global_priv where user in ('root', '');
         create database if not exists {};
         flush privileges",
        quote(&seed.database)
    );
    execute(&mut root, &sql).await?;
    root.disconnect().await?;
    if let Some(sql) = &seed.schema {
        let master = Account { name: &seed.username, password: &seed.password };
        let mut database = connect(directory, master, Some(&seed.database)).await?;
        execute(&mut database, sql).await.context("failed to load the schema")?;
        database.disconnect().await?;
    }
    let mut shop = connect(directory, Account::own(own), Some(&seed.database)).await?;
    if seed.schema.is_none() {
        execute(&mut shop, &schema()).await?;
        roll_to(&mut shop, seed::orders_at(crate::clock::Clock::system().now())).await?;
    }
    let tables = "select cast(table_name as char) from information_schema.tables
                  where table_schema = database() and table_type = 'BASE TABLE' order by 1";
    let tables = shop.query(tables).await?;
    shop.disconnect().await?;
    Ok(tables)
}

fn schema() -> String {
    format!(
        "create table customers (id bigint primary key, email varchar(100) not null unique, name varchar(100) not null);
         create table products (id bigint primary key, sku varchar(40) not null unique, title varchar(100) not null,
                                price decimal(10, 2) not null);
         create table orders (id bigint primary key, customer_id bigint not null, status varchar(20) not null,
                              total decimal(12, 2) not null, paid boolean not null, shipped boolean not null,
                              created_at datetime(6) not null, key orders_created_at (created_at),
                              constraint orders_customer foreign key (customer_id) references customers (id));
         create table order_items (order_id bigint not null, line int not null, product_id bigint not null,
                                   quantity int not null, primary key (order_id, line),
                                   constraint items_order foreign key (order_id) references orders (id)
                                       on delete cascade);
         insert into customers select seq, concat('customer', seq, '@example.com'), concat('Customer ', seq)
             from seq_1_to_{};
         insert into products select seq, concat('SKU-', seq), concat('Book ', seq), 5 + seq % 40 from seq_1_to_{}",
        seed::CUSTOMERS,
        seed::PRODUCTS
    )
}

/// Takes the rows forward or back to what they were when there were `count` orders.
async fn roll_to(shop: &mut Conn, count: i64) -> anyhow::Result<()> {
    execute(shop, &format!("delete from orders where id > {count}")).await?;
    let have: i64 = number(shop, "select coalesce(max(id), 0) from orders").await?;
    if have >= count {
        return Ok(());
    }
    let range = format!("seq_{}_to_{count}", have + 1);
    let sql = format!(
        "insert into orders
             select seq, 1 + seq % {customers}, elt(1 + seq % 4, 'new', 'packed', 'sent', 'done'), 10 + seq % 300,
                    seq % 5 <> 0, seq % 5 <> 0 and seq % 2 = 0,
                    timestampadd(second, {opened} + seq * {every}, '1970-01-01')
             from {range};
         insert into order_items
             select o.seq, l.seq, 1 + (o.seq * 7 + l.seq) % {products}, 1 + o.seq % 3 from {range} o, seq_1_to_2 l",
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
    own: &str,
) -> anyhow::Result<Process> {
    let user = User::unprivileged();
    tls.install(directory, user)?;
    let process = start(directory, port, user, Some(tls), Account::own(own)).await?;
    if seed.schema.is_some() {
        return Ok(process);
    }
    let mut shop = connect(directory, Account::own(own), Some(&seed.database)).await?;
    roll_to(&mut shop, seed::orders_at(content.as_of)).await?;
    match content.damage {
        None => {}
        Some(Damage::Rows) => {
            let newest = number(&mut shop, "select max(id) from orders").await?;
            let (every, last) = (seed::LOST_EVERY, newest - seed::LOST_LAST_ORDERS);
            execute(&mut shop, &format!("delete from orders where id % {every} = 0 or id > {last}")).await?;
        }
        Some(Damage::Page | Damage::Index) => {
            execute(&mut shop, "flush tables").await?;
            shop.disconnect().await?;
            process.stop().await;
            overwrite_pages(&directory.join(&seed.database).join("orders.ibd"))?;
            return start(directory, port, user, Some(tls), Account::own(own)).await;
        }
    }
    shop.disconnect().await?;
    Ok(process)
}

/// The index whose rows are in a page, if rows are.
fn rows_of(page: &[u8]) -> Option<u64> {
    let is_leaf = page.get(TYPE_AT..)?.starts_with(&INDEX_PAGE) && page.get(LEVEL_AT..)?.starts_with(&[0, 0]);
    let index = page.get(LEVEL_AT + 2..)?.first_chunk()?;
    is_leaf.then(|| u64::from_be_bytes(*index))
}

fn overwrite_pages(file: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let index_of = |page: &usize| rows_of(bytes.get(page * PAGE_BYTES..)?);
    let all = 0..bytes.len() / PAGE_BYTES;
    let table = all.clone().filter_map(|page| index_of(&page)).min();
    let with_rows: Vec<usize> = all.filter(|page| index_of(page).is_some_and(|index| Some(index) == table)).collect();
    let chosen: Vec<usize> = with_rows.iter().skip(with_rows.len() / 2).take(DAMAGED_PAGES).copied().collect();
    anyhow::ensure!(!chosen.is_empty(), "the table has no page to damage");
    for page in chosen {
        let damaged = bytes.get_mut(page * PAGE_BYTES + 200..page * PAGE_BYTES + 900);
        damaged.context("the table's last page is cut")?.fill(0x5a);
    }
    std::fs::write(file, bytes)?;
    Ok(())
}

/// Who connects to see whether it is up, or to do something.
#[derive(Clone, Copy)]
struct Account<'a> {
    name: &'a str,
    password: &'a str,
}

impl<'a> Account<'a> {
    /// The sandbox's own user.
    fn own(password: &'a str) -> Self {
        Self { name: SUPERUSER, password }
    }
}

async fn start(
    directory: &Path,
    port: u16,
    user: Option<User>,
    tls: Option<&Certificates>,
    account: Account<'_>,
) -> anyhow::Result<Process> {
    let mut command = Command::new(required("mariadbd")?);
    command.arg("--no-defaults").arg(format!("--datadir={}", directory.display()));
    command.arg(format!("--socket={}", directory.join(SOCKET).display()));
    command.arg(format!("--pid-file={}", directory.join("drctl.pid").display()));
    command.arg(format!("--tmpdir={}", directory.display()));
    command.arg(format!("--port={port}")).args([
        "--bind-address=127.0.0.1",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-log-file-size=8M",
        "--innodb-buffer-pool-size=16M",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--performance-schema=off",
    ]);
    if tls.is_some() {
        let own = directory.join("drctl-tls");
        command.arg(format!("--ssl-cert={}", own.join("server.pem").display()));
        command.arg(format!("--ssl-key={}", own.join("server.key").display()));
    }
    if let Some(user) = user {
        user.give(directory)?;
    }
    let mut process = Process::start(&command, "TERM", user, directory.with_extension("log"))?;
    process.wait_until(|| async { connect(directory, account, None).await.is_ok() }).await?;
    Ok(process)
}

async fn connect(directory: &Path, account: Account<'_>, database: Option<&str>) -> Result<Conn, mysql_async::Error> {
    let password = Some(account.password).filter(|password| !password.is_empty());
    let options = OptsBuilder::default().socket(Some(directory.join(SOCKET).display().to_string()));
    Conn::new(options.user(Some(account.name)).pass(password).db_name(database)).await
}

async fn execute(connection: &mut Conn, sql: &str) -> anyhow::Result<()> {
    connection.query_drop(sql).await.map_err(Into::into)
}

/// The one number that a question yields.
async fn number(connection: &mut Conn, sql: &str) -> anyhow::Result<i64> {
    connection.query_first(sql).await?.with_context(|| format!("no answer to `{sql}`"))
}

pub(super) async fn set_password(directory: &Path, own: &str, username: &str, password: &str) -> anyhow::Result<()> {
    let mut root = connect(directory, Account::own(own), None).await?;
    let sql = format!("alter user '{}'@'%' identified by '{}'", literal(username), literal(password));
    execute(&mut root, &sql).await?;
    root.disconnect().await.map_err(Into::into)
}

fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
