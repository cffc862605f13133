//! Reads collections, each once, and counts through their indexes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::raw::{RawBsonRef, RawDocumentBuf};
use bson::{Bson, Document, doc};
use futures_util::StreamExt;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::Hint;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use mongodb::{Collection, Database};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::catalog::Index;
use super::fold::{Fold, Wanted};
use super::ranges;
use super::refusal::{UNAUTHORIZED, missing_right};
use super::relay::Relay;
use super::value::first_of;
use crate::verify::answer::First;
use crate::verify::model::ProbeError;

/// Documents that are asked for at a time. The server ends a batch at 16 MB, whatever is asked for.
const BATCH: u32 = 4_000;
/// A batch of more than this is put away before the next one is asked for, and by one reader at a time.
const HEAVY_BYTES: usize = 8 << 20;
/// Into so many ranges a large collection is divided: several for each reader, since they are never of the same size.
const RANGES: u32 = 16;

/// A share of the driver's pool.
#[derive(Clone)]
pub(in crate::verify) struct Worker {
    pub(super) shared: Arc<Shared>,
}

/// What the workers of one client share.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) timeout: Duration,
    /// By collection.
    pub(super) indexes: BTreeMap<String, Vec<Index>>,
    /// A collection with more documents is read in ranges.
    pub(super) large_rows: u64,
    /// Readers at the same time.
    pub(super) readers: Arc<Semaphore>,
    /// Held by the reader of heavy batches.
    pub(super) heavy: Arc<Mutex<()>>,
    pub(super) _relay: Option<Relay>,
}

/// What went wrong, as the checks tell it.
pub(super) fn trouble(error: &Error) -> ProbeError {
    match error.kind.as_ref() {
        ErrorKind::Io(_) => ProbeError::Lost,
        ErrorKind::InvalidResponse { message, .. } => ProbeError::Damage(message.clone()),
        ErrorKind::BsonDeserialization(cause) => ProbeError::Damage(cause.to_string()),
        ErrorKind::Command(answer) if answer.code == UNAUTHORIZED => ProbeError::Unable(missing_right(&answer.message)),
        ErrorKind::Command(answer) => ProbeError::Unable(answer.message.clone()),
        _ => ProbeError::Unable(error.to_string()),
    }
}

/// How a pass over a collection ended.
enum Passed {
    Whole(Box<Fold>),
    /// It turned out to be large, and can be read in these ranges.
    Large(Vec<Document>),
}

impl Worker {
    fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.shared.database.collection(name)
    }

    async fn reader(&self) -> Result<OwnedSemaphorePermit, ProbeError> {
        let readers = Arc::clone(&self.shared.readers);
        readers.acquire_owned().await.map_err(|error| ProbeError::Unable(error.to_string()))
    }

    /// Reads a collection once, in whatever order the server finds it: no index stands between the data and its count.
    pub(in crate::verify) async fn read(&self, name: &str, wanted: &Wanted) -> Result<Fold, ProbeError> {
        match self.pass(name, doc! {}, wanted, Some(self.shared.large_rows)).await? {
            Passed::Whole(fold) => return Ok(*fold),
            Passed::Large(filters) => {
                if let Some(fold) = self.in_ranges(name, wanted, filters).await? {
                    return Ok(fold);
                }
            }
        }
        self.whole(name, doc! {}, wanted).await
    }

    /// Reads ranges of `_id` side by side. They are found through the index on `_id`, and a range holds one type of
    /// value only: that nothing was left out is shown by the server's own count of a scan. `None` where it differs.
    async fn in_ranges(&self, name: &str, wanted: &Wanted, filters: Vec<Document>) -> Result<Option<Fold>, ProbeError> {
        let mut readers: JoinSet<Result<Fold, ProbeError>> = JoinSet::new();
        for filter in filters {
            let (worker, name, wanted) = (self.clone(), name.to_owned(), wanted.clone());
            readers.spawn(async move { worker.whole(&name, filter, &wanted).await });
        }
        let scanned = self.count_by_scan(name).await?;
        let mut whole = Fold::new(wanted);
        while let Some(fold) = readers.join_next().await {
            whole.merge(fold.map_err(|error| ProbeError::Unable(error.to_string()))??);
        }
        if whole.documents() != scanned {
            let found = whole.documents();
            tracing::warn!(
                collection = name,
                found,
                scanned,
                "ranges of `_id` do not hold everything; reading it in one"
            );
            return Ok(None);
        }
        Ok(Some(whole))
    }

    async fn whole(&self, name: &str, filter: Document, wanted: &Wanted) -> Result<Fold, ProbeError> {
        match self.pass(name, filter, wanted, None).await? {
            Passed::Whole(fold) => Ok(*fold),
            Passed::Large(_) => Err(ProbeError::Unable(format!("`{name}` could not be read to its end"))),
        }
    }

    async fn split(&self, name: &str) -> Result<Option<Vec<Document>>, ProbeError> {
        let (smallest, largest) = (self.outermost(name, 1).await?, self.outermost(name, -1).await?);
        Ok(smallest.zip(largest).and_then(|(smallest, largest)| ranges::split(&smallest, &largest, RANGES)))
    }

    async fn outermost(&self, name: &str, direction: i32) -> Result<Option<RawDocumentBuf>, ProbeError> {
        let collection = self.collection(name);
        let find = collection.find(doc! {}).sort(doc! { "_id": direction }).projection(doc! { "_id": 1 });
        first_document(find.limit(1).max_time(self.shared.timeout).batch().await).await
    }

    async fn count_by_scan(&self, name: &str) -> Result<u64, ProbeError> {
        let _reader = self.reader().await?;
        let counting = vec![doc! { "$group": { "_id": null, "n": { "$sum": 1 } } }];
        let collection = self.collection(name);
        let first = first_document(collection.aggregate(counting).max_time(self.shared.timeout).batch().await).await?;
        let counted = first.as_ref().map(|document| document.get("n"));
        Ok(match counted {
            Some(Ok(Some(RawBsonRef::Int32(count)))) => u64::try_from(count).unwrap_or(0),
            Some(Ok(Some(RawBsonRef::Int64(count)))) => count.unsigned_abs(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count is whole and positive"
            )]
            Some(Ok(Some(RawBsonRef::Double(count)))) => count as u64,
            _ => 0,
        })
    }

    /// Reads what matches. More documents than `large` are read in ranges instead, where they can be divided.
    async fn pass(
        &self,
        name: &str,
        filter: Document,
        wanted: &Wanted,
        mut large: Option<u64>,
    ) -> Result<Passed, ProbeError> {
        let _reader = self.reader().await?;
        let collection = self.collection(name);
        let mut find = collection.find(filter).batch_size(BATCH).max_time(self.shared.timeout);
        if let Some(fields) = fields(wanted) {
            find = find.projection(fields);
        }
        let mut cursor = find.batch().await.map_err(|error| trouble(&error))?;
        let mut fold = Fold::new(wanted);
        let mut alone = None;
        let mut next = cursor.next().await;
        while let Some(batch) = next {
            let batch = batch.map_err(|error| trouble(&error))?;
            if large.is_some_and(|large| fold.documents() > large) {
                large = None;
                if let Some(filters) = self.split(name).await? {
                    return Ok(Passed::Large(filters));
                }
            }
            if batch.as_raw_document().as_bytes().len() > HEAVY_BYTES {
                take_in(&mut fold, name, &batch)?;
                drop(batch);
                if alone.is_none() {
                    alone = Some(self.shared.heavy.lock().await);
                }
                next = cursor.next().await;
            } else {
                // The server looks for the next batch while this one is hashed.
                let ahead = AbortOnDropHandle::new(tokio::spawn(async move {
                    let next = cursor.next().await;
                    (cursor, next)
                }));
                take_in(&mut fold, name, &batch)?;
                (cursor, next) = ahead.await.map_err(|error| ProbeError::Unable(error.to_string()))?;
            }
        }
        tracing::debug!(collection = name, rows = fold.documents(), bytes = fold.bytes(), "read a collection");
        Ok(Passed::Whole(Box::new(fold)))
    }

    /// Compares the number of documents with what each full index leads to.
    pub(in crate::verify) async fn examine(&self, name: &str, rows: u64) -> Result<(), ProbeError> {
        for index in self.shared.indexes.get(name).map(Vec::as_slice).unwrap_or_default() {
            self.walk(name, index, rows).await?;
        }
        Ok(())
    }

    /// Walks an index to the last document that the scan found. `hint` by an index's keys, also without a condition,
    /// and `skip` are what Amazon documents; whether its `count` follows a hint is not said, so that it is not relied on.
    async fn walk(&self, name: &str, index: &Index, rows: u64) -> Result<(), ProbeError> {
        let _reader = self.reader().await?;
        let collection = self.collection(name);
        let find = collection.find(doc! {}).hint(Hint::Keys(index.keys.clone())).projection(doc! { "_id": 1 });
        let find = find.skip(rows.saturating_sub(1)).limit(2).max_time(self.shared.timeout);
        let mut cursor = find.batch().await.map_err(|error| trouble(&error))?;
        let mut found = 0;
        while let Some(batch) = cursor.next().await {
            let batch = batch.map_err(|error| trouble(&error))?;
            found += batch.doc_slices().map_err(|error| trouble(&error))?.into_iter().count();
        }
        if found == usize::from(rows > 0) {
            return Ok(());
        }
        let through = match (found, self.count_through(name, index).await) {
            (_, Some(count)) if count != rows => format!("{count}"),
            (0, _) => "fewer".to_owned(),
            _ => "more".to_owned(),
        };
        let index = &index.name;
        Err(ProbeError::Damage(format!(
            "`{name}` has {rows} documents by a scan and {through} through its index `{index}`"
        )))
    }

    /// For the message only.
    async fn count_through(&self, name: &str, index: &Index) -> Option<u64> {
        let count = doc! { "count": name, "query": {}, "hint": index.keys.clone() };
        match self.shared.database.run_command(count).await.ok()?.get("n")? {
            Bson::Int32(count) => u64::try_from(*count).ok(),
            Bson::Int64(count) => u64::try_from(*count).ok(),
            _ => None,
        }
    }

    pub(in crate::verify) async fn first_value(
        &self,
        collection: &str,
        pipeline: &[serde_json::Value],
    ) -> Result<First, ProbeError> {
        let stages: Result<Vec<Document>, ProbeError> = pipeline.iter().map(stage).collect();
        // Nobody looks at a second document.
        let stages = stages?.into_iter().chain([doc! { "$limit": 1 }]);
        let collection = self.collection(collection);
        let first = first_document(collection.aggregate(stages).max_time(self.shared.timeout).batch().await).await?;
        let Some(document) = first else { return Ok(First::NoRow) };
        Ok(first_of(&document).map_or(First::Null, |(field, value)| First::Field(field, value)))
    }
}

/// Which fields are read: all of them (`None`) where documents are hashed.
fn fields(wanted: &Wanted) -> Option<Document> {
    if wanted.full || wanted.questions.iter().any(|question| !question.cutoffs.is_empty()) {
        return None;
    }
    let paths = wanted.questions.iter().map(|question| &question.path).chain(&wanted.expiring);
    let first_names = paths.filter_map(|path| path.first());
    Some(
        [("_id".to_owned(), Bson::Int32(1))]
            .into_iter()
            .chain(first_names.map(|name| (name.clone(), Bson::Int32(1))))
            .collect(),
    )
}

fn take_in(fold: &mut Fold, name: &str, batch: &RawBatch) -> Result<(), ProbeError> {
    let damage = || ProbeError::Damage(format!("a document of `{name}` is no valid BSON"));
    for document in batch.doc_slices().map_err(|error| trouble(&error))? {
        let Ok(RawBsonRef::Document(document)) = document else { return Err(damage()) };
        fold.add(document.as_bytes()).map_err(|_malformed| damage())?;
    }
    Ok(())
}

async fn first_document(cursor: Result<RawBatchCursor, Error>) -> Result<Option<RawDocumentBuf>, ProbeError> {
    let mut cursor = cursor.map_err(|error| trouble(&error))?;
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(|error| trouble(&error))?;
        if let Some(Ok(RawBsonRef::Document(document))) =
            batch.doc_slices().map_err(|error| trouble(&error))?.into_iter().next()
        {
            return Ok(Some(document.to_owned()));
        }
    }
    Ok(None)
}

fn stage(json: &serde_json::Value) -> Result<Document, ProbeError> {
    let bson = Bson::try_from(json.clone()).map_err(|error| ProbeError::Unable(error.to_string()))?;
    match bson {
        Bson::Document(document) => Ok(document),
        other => Err(ProbeError::Unable(format!("`{other}` is no stage of an aggregation"))),
    }
}
