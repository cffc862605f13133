//! SecantusDB, which speaks MongoDB's protocol, behind DocumentDB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bson::{Document, doc};
use mongodb::options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions};
use mongodb::{Client, Database};
use tokio::process::Command;

use super::process::{self, Process, User};
use super::{Certificates, Content, Damage, Seed, seed};

const PROGRAM: &str = "secantusd-py";
/// The sandbox's own user in every copy.
const SUPERUSER: &str = "drctl_sandbox";
const BATCH: usize = 2_000;
const SELECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn is_installed() -> bool {
    program().is_some()
}

fn program() -> Option<PathBuf> {
    process::find_program(PROGRAM, &[])
}

/// What it calls itself.
pub(super) fn version() -> Option<String> {
    program().map(|_| "SecantusDB".to_owned())
}

/// Whom it runs as: nobody special, unless those cannot start the program where it is installed.
async fn user(program: &Path) -> Option<User> {
    let user = User::unprivileged()?;
    if user.can_start(program).await {
        return Some(user);
    }
    tracing::warn!(program = %program.display(), "it runs as root: no other user can start it where it is installed");
    None
}

/// Makes the data directory of a source, with documents up to now, and shuts it down cleanly. Yields its collections.
pub(super) async fn make_source(directory: &Path, seed: &Seed, own: &str) -> anyhow::Result<Vec<String>> {
    process::private_directory(directory, None)?;
    let port = process::free_port()?;
    let process = start(directory, port, None).await?;
    let made = fill_source(port, seed, own).await;
    process.stop().await;
    made?;
    Ok(seed::COLLECTIONS.map(str::to_owned).to_vec())
}

async fn fill_source(port: u16, seed: &Seed, own: &str) -> anyhow::Result<()> {
    let client = client(port, None)?;
    let admin = client.database("admin");
    admin.run_command(doc! { "createUser": SUPERUSER, "pwd": own, "roles": ["root"] }).await?;
    admin
        .run_command(doc! { "createUser": &seed.username, "pwd": &seed.password, "roles": ["root"] })
        .await
        .context("failed to make the master user")?;
    let shop = client.database(&seed.database);
    for (collection, count) in [("customers", seed::CUSTOMERS), ("products", seed::PRODUCTS)] {
        let documents =
            (1..=count).map(|n| doc! { "_id": n, "name": format!("{collection} {n}"), "price": 5 + n % 40 });
        shop.collection::<Document>(collection).insert_many(documents).await?;
    }
    let index = mongodb::IndexModel::builder().keys(doc! { "created_at": 1 }).build();
    shop.collection::<Document>("orders").create_index(index).await?;
    roll_to(&shop, seed::orders_at(crate::clock::Clock::system().now())).await
}

/// Takes the documents forward or back to what they were when there were `count` orders.
async fn roll_to(shop: &Database, count: i64) -> anyhow::Result<()> {
    let orders = shop.collection::<Document>("orders");
    orders.delete_many(doc! { "_id": { "$gt": count } }).await?;
    let newest = orders.find_one(doc! {}).sort(doc! { "_id": -1 }).await?;
    let have = newest.and_then(|order| order.get_i64("_id").ok()).unwrap_or(0);
    let missing: Vec<i64> = (have + 1..=count).collect();
    for batch in missing.chunks(BATCH) {
        orders.insert_many(batch.iter().map(|n| order(*n))).await?;
    }
    Ok(())
}

fn order(n: i64) -> Document {
    let created_at = bson::DateTime::from_millis((seed::opened_second() + n * seed::ORDER_SECONDS) * 1000);
    doc! {
        "_id": n,
        "customer_id": 1 + n % seed::CUSTOMERS,
        "total": 10 + n % 300,
        "paid": n % 5 != 0,
        "shipped": n % 5 != 0 && n % 2 == 0,
        "created_at": created_at,
        "items": [{ "product_id": 1 + (n * 7) % seed::PRODUCTS, "quantity": 1 + n % 3 }],
    }
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
    tls.install(directory, None)?;
    let process = start(directory, port, Some(own)).await?;
    let shop = client(port, Some(own))?.database(&seed.database);
    roll_to(&shop, seed::orders_at(content.as_of)).await?;
    match content.damage {
        None => {}
        Some(Damage::Rows) => {
            let newest = seed::orders_at(content.as_of) - seed::LOST_LAST_ORDERS;
            let filter = doc! { "$or": [{ "_id": { "$gt": newest } }, { "_id": { "$mod": [seed::LOST_EVERY, 0] } }] };
            shop.collection::<Document>("orders").delete_many(filter).await?;
        }
        Some(Damage::Page | Damage::Index) => {
            // The engine's files hold every collection: what is lost with a page is lost for good.
            let index = doc! { "dropIndexes": "orders", "index": "created_at_1" };
            shop.run_command(index).await?;
            shop.collection::<Document>("orders").delete_many(doc! { "_id": { "$mod": [97, 0] } }).await?;
        }
    }
    Ok(process)
}

/// Starts it; with the password of the sandbox's own user it asks for TLS and for passwords.
async fn start(directory: &Path, port: u16, own: Option<&str>) -> anyhow::Result<Process> {
    let program =
        program().with_context(|| format!("`{PROGRAM}` is not installed (`pip install secantusdb==0.7.0b3`)"))?;
    let user = user(&program).await;
    if let Some(user) = user {
        user.give(directory)?;
    }
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "WARNING"]);
    command.args(["--cache-size", "64M", "--storage-path"]).arg(directory);
    if own.is_some() {
        let tls = directory.join("drctl-tls");
        command.arg("--auth").arg("--tls-cert-file").arg(tls.join("server.pem"));
        command.arg("--tls-key-file").arg(tls.join("server.key"));
    }
    let mut process = Process::start(&command, "TERM", user, directory.with_extension("log"))?;
    let ready = || async {
        let Ok(client) = client(port, own) else { return false };
        client.database("admin").run_command(doc! { "ping": 1 }).await.is_ok()
    };
    process.wait_until(ready).await?;
    Ok(process)
}

fn client(port: u16, own: Option<&str>) -> anyhow::Result<Client> {
    let credential = own.map(|password| {
        Credential::builder()
            .username(SUPERUSER.to_owned())
            .password(password.to_owned())
            .source("admin".to_owned())
            .build()
    });
    // The sandbox talks to itself here: what its certificate says is for others to verify.
    let tls = own.map(|_| Tls::Enabled(TlsOptions::builder().allow_invalid_certificates(true).build()));
    let mut options = ClientOptions::builder()
        .hosts(vec![ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) }])
        .direct_connection(true)
        .server_selection_timeout(SELECT_TIMEOUT)
        .build();
    options.credential = credential;
    options.tls = tls;
    Ok(Client::with_options(options)?)
}

pub(super) async fn set_password(port: u16, own: &str, username: &str, password: &str) -> anyhow::Result<()> {
    let admin = client(port, Some(own))?.database("admin");
    admin.run_command(doc! { "updateUser": username, "pwd": password }).await?;
    Ok(())
}
