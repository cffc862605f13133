//! Amazon DocumentDB: only commands that its 5.0 documents, hashing on our side in `_id` order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::error::{Error, ErrorKind};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions};
use mongodb::{Client, Database};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::answer::{Catalog, Digest as RowsDigest, First, Refusal, Scan};
use super::model::{Login, Plan, RelationFacts, Trouble};
use crate::estate::TlsMode;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SELECT_TIMEOUT: Duration = Duration::from_secs(8);
const BATCH: u32 = 1_000;
const AUTHENTICATION_FAILED: i32 = 18;
const UNAUTHORIZED: i32 = 13;

/// A share of the driver's pool.
pub(super) struct Worker {
    database: Database,
    timeout: Duration,
}

/// Connects and reads the catalogue. The driver pools connections, so workers share one client.
pub(super) async fn connect(login: &Login, plan: &Plan, count: usize) -> Result<(Vec<Worker>, Catalog), Refusal> {
    let client = Client::with_options(options(login, count)).map_err(|error| refusal(&error))?;
    let database = client.database(&login.database);
    let catalog = catalog(&client, &database).await.map_err(|error| refusal(&error))?;
    let worker = || Worker { database: database.clone(), timeout: plan.patience };
    Ok(((0..count).map(|_| worker()).collect(), catalog))
}

fn options(login: &Login, count: usize) -> ClientOptions {
    let tls = match login.tls {
        TlsMode::Off => Tls::Disabled,
        TlsMode::VerifyFull => Tls::Enabled(TlsOptions::builder().ca_file_path(login.ca.clone()).build()),
        TlsMode::Require => Tls::Enabled(TlsOptions::builder().allow_invalid_certificates(true).build()),
    };
    let address = ServerAddress::Tcp { host: login.address.host.clone(), port: Some(login.address.port) };
    let credential = Credential::builder()
        .username(login.username.clone())
        .password(login.password.expose_secret().to_owned())
        .source("admin".to_owned())
        .build();
    let mut options = ClientOptions::builder()
        .hosts(vec![address])
        .app_name("drctl".to_owned())
        .credential(credential)
        .tls(tls)
        .direct_connection(true)
        .retry_writes(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .server_selection_timeout(SELECT_TIMEOUT)
        .max_pool_size(u32::try_from(count).unwrap_or(u32::MAX))
        .build();
    if let Some(listener) = login.on_command.clone() {
        options.command_event_handler = Some(EventHandler::Callback(Arc::new(move |event: CommandEvent| {
            if let CommandEvent::Started(event) = event {
                listener(&event.command_name);
            }
        })));
    }
    options
}

fn refusal(error: &Error) -> Refusal {
    let message = error.to_string();
    match error.kind.as_ref() {
        ErrorKind::Authentication { message, .. } => Refusal::Credentials(message.clone()),
        ErrorKind::Command(answer) if [AUTHENTICATION_FAILED, UNAUTHORIZED].contains(&answer.code) => {
            Refusal::Credentials(answer.message.clone())
        }
        ErrorKind::ServerSelection { message, .. } if message.contains("ertificate") => Refusal::Tls(message.clone()),
        ErrorKind::InvalidTlsConfig { message, .. } => Refusal::Tls(message.clone()),
        _ if message.contains("ertificate") => Refusal::Tls(message),
        ErrorKind::ServerSelection { message, .. } => Refusal::Unreachable(message.clone()),
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => Refusal::Unreachable(message),
        _ => Refusal::Other(message),
    }
}

fn trouble(error: &Error) -> Trouble {
    match error.kind.as_ref() {
        ErrorKind::Io(_) => Trouble::Lost,
        ErrorKind::InvalidResponse { message, .. } => Trouble::Damage(message.clone()),
        ErrorKind::BsonDeserialization(cause) => Trouble::Damage(cause.to_string()),
        ErrorKind::Command(answer) => Trouble::Unable(answer.message.clone()),
        _ => Trouble::Unable(error.to_string()),
    }
}

async fn catalog(client: &Client, database: &Database) -> Result<Catalog, Error> {
    // Entering a database that does not exist is no error here, so look for it.
    let databases = client.list_database_names().await?;
    // Documents are hashed on our side: their digests do not depend on the server's version.
    let version = "documentdb".to_owned();
    let mut relations = BTreeMap::new();
    if databases.iter().any(|name| name == database.name()) {
        for name in database.list_collection_names().await? {
            if name.starts_with("system.") {
                continue;
            }
            let indexes = database.collection::<Document>(&name).list_indexes().await?;
            let indexes: Vec<_> = indexes.try_collect().await?;
            let mut indexes: Vec<String> = indexes
                .into_iter()
                .map(|index| {
                    let options = index.options.unwrap_or_default();
                    let unique = if options.unique == Some(true) { " unique" } else { "" };
                    format!("{} on {name} {}{unique}", options.name.unwrap_or_default(), index.keys)
                })
                .collect();
            indexes.sort();
            relations.insert(name, RelationFacts { indexes, ..RelationFacts::default() });
        }
    }
    let structure_note = "every collection counts the same through its index and by a scan".to_owned();
    Ok(Catalog { version, relations, structure_note, ..Catalog::default() })
}

impl Worker {
    pub(super) async fn scan(&mut self, collection: &str, full: bool) -> Result<Scan, Trouble> {
        if full {
            return self.digest(collection, doc! {}).await;
        }
        let rows = self.count_by_scan(collection).await?;
        Ok(Scan { rows, digest: None })
    }

    /// Reads documents in `_id` order, which goes through the index on `_id`, and hashes their bytes.
    async fn digest(&self, collection: &str, filter: Document) -> Result<Scan, Trouble> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let find = collection.find(filter).sort(doc! { "_id": 1 }).batch_size(BATCH).max_time(self.timeout);
        let mut cursor = find.await.map_err(|error| trouble(&error))?;
        let mut hash = Sha256::new();
        let mut rows = 0;
        while cursor.advance().await.map_err(|error| trouble(&error))? {
            hash.update(cursor.current().as_bytes());
            rows += 1;
        }
        let (sum, _) = hash.finalize().split_first_chunk().map(|(head, rest)| (*head, rest.len())).unwrap_or_default();
        let digest = RowsDigest { method: "sha256".to_owned(), sum: i128::from_be_bytes(sum) };
        Ok(Scan { rows, digest: Some(digest) })
    }

    async fn count_by_scan(&self, collection: &str) -> Result<u64, Trouble> {
        self.sum(collection, vec![doc! { "$group": { "_id": null, "n": { "$sum": 1 } } }]).await
    }

    async fn sum(&self, collection: &str, pipeline: Vec<Document>) -> Result<u64, Trouble> {
        let collection = self.database.collection::<Document>(collection);
        let aggregate = collection.aggregate(pipeline).max_time(self.timeout);
        let mut cursor = aggregate.await.map_err(|error| trouble(&error))?;
        let first = cursor.try_next().await.map_err(|error| trouble(&error))?;
        let number = first.and_then(|document| number_of(document.get("n")?)).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count is whole and positive")]
        Ok(number.max(0.0) as u64)
    }

    pub(super) async fn structure(&mut self, collection: &str) -> Result<(), Trouble> {
        let scanned = self.count_by_scan(collection).await?;
        let through_index = vec![
            doc! { "$match": { "_id": { "$gte": Bson::MinKey } } },
            doc! { "$group": { "_id": null, "n": { "$sum": 1 } } },
        ];
        let indexed = self.sum(collection, through_index).await?;
        if scanned == indexed {
            return Ok(());
        }
        Err(Trouble::Damage(format!(
            "`{collection}` has {scanned} documents by a scan and {indexed} through its index"
        )))
    }

    pub(super) async fn newest(&mut self, collection: &str, field: &str) -> Result<Option<Timestamp>, Trouble> {
        let documents = self.database.collection::<Document>(collection);
        let find = documents.find(doc! { field: { "$exists": true } }).sort(doc! { field: -1 }).limit(1);
        let find = find.projection(doc! { field: 1 }).max_time(self.timeout);
        let mut cursor = find.await.map_err(|error| trouble(&error))?;
        let newest = cursor.try_next().await.map_err(|error| trouble(&error))?;
        let Some(value) = newest.as_ref().and_then(|document| value_at(document, field)) else { return Ok(None) };
        time_of(value)
            .map(Some)
            .ok_or_else(|| Trouble::Unable(format!("`{collection}.{field}` holds no time: {value}")))
    }

    pub(super) async fn settled(&mut self, collection: &str, field: &str, before: Timestamp) -> Result<Scan, Trouble> {
        let before = bson::DateTime::from_millis(before.as_millisecond());
        self.digest(collection, doc! { field: { "$lt": before } }).await
    }

    pub(super) async fn first_value(
        &mut self,
        collection: &str,
        pipeline: &[serde_json::Value],
    ) -> Result<First, Trouble> {
        let stages: Result<Vec<Document>, Trouble> = pipeline.iter().map(stage).collect();
        let collection = self.database.collection::<Document>(collection);
        let aggregate = collection.aggregate(stages?).max_time(self.timeout);
        let mut cursor = aggregate.await.map_err(|error| trouble(&error))?;
        let first = cursor.try_next().await.map_err(|error| trouble(&error))?;
        Ok(first.map_or(First::NoRow, |document| first_of(&document)))
    }
}

fn stage(json: &serde_json::Value) -> Result<Document, Trouble> {
    let bson = Bson::try_from(json.clone()).map_err(|error| Trouble::Unable(error.to_string()))?;
    match bson {
        Bson::Document(document) => Ok(document),
        other => Err(Trouble::Unable(format!("`{other}` is no stage of an aggregation"))),
    }
}

/// The first field that is not `_id`, or `_id` where there is no other.
fn first_of(document: &Document) -> First {
    let value = document.iter().find(|(key, _)| *key != "_id").or_else(|| document.iter().next());
    match value {
        Some((_, Bson::String(text))) => First::Value(text.clone()),
        Some((_, Bson::Null)) => First::Null,
        Some((_, value)) => {
            First::Value(number_of(value).map_or_else(|| value.to_string(), |number| number.to_string()))
        }
        None => First::Value(String::new()),
    }
}

fn number_of(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        #[expect(clippy::cast_precision_loss, reason = "judged as a number, not kept")]
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

/// A field by its dotted path.
fn value_at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => value_at(document.get_document(first).ok()?, rest),
    }
}

fn time_of(value: &Bson) -> Option<Timestamp> {
    match value {
        Bson::DateTime(at) => Timestamp::from_millisecond(at.timestamp_millis()).ok(),
        Bson::String(text) => text.parse().ok(),
        Bson::Timestamp(at) => Timestamp::from_second(i64::from(at.time)).ok(),
        _ => None,
    }
}
