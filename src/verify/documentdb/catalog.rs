//! What the catalogue holds: collections with their indexes, and what is no collection.
//!
//! An index's definition may hold megabytes, and whoever writes to the database decides how many there are: each is made
//! short as it comes, and there is a bound on what all of them take.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bson::Document;
use bson::raw::{RawBsonRef, RawDocument};
use futures_util::stream::{StreamExt, TryStreamExt};
use mongodb::Database;
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::refusal::refusal;
use super::value::{shown, summary};
use crate::text;
use crate::verify::answer::{Catalog, ConnectError};
use crate::verify::budget::{Budget, TOO_LARGE};
use crate::verify::model::{Expiring, ProbeError, RelationFacts};

/// `listIndexes` at the same time.
const LISTED_AT_ONCE: usize = 4;
/// Documents are hashed on our side: their digests do not depend on the server's version.
const VERSION: &str = "documentdb";
/// What a collection costs besides its texts: its facts are kept several times, and its pass has its own. Measured with
/// 10,000 collections; with this, some 11,000 fit.
const COLLECTION_BYTES: usize = 1_400;
/// Bytes of a document inside a definition that are shown; of a larger one there is the digest.
const SHOWN_BYTES: usize = 1_000;
/// Bytes of a definition that are kept as they are; what is longer ends in a digest.
const DEFINITION_BYTES: usize = 2_000;

/// An index through which a collection can be counted.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) keys: Document,
}

/// The catalogue, and each collection's full indexes.
pub(super) struct Listed {
    pub(super) catalog: Catalog,
    pub(super) indexes: BTreeMap<String, Vec<Index>>,
}

/// What there is of one collection.
#[derive(Default)]
struct Indexes {
    definitions: Vec<String>,
    full: Vec<Index>,
    expiring: Vec<String>,
    expires: bool,
}

/// What is kept of the catalogue, as far as there is room for it.
#[derive(Default)]
struct Room(Mutex<Budget>);

impl Room {
    fn take(&self, bytes: usize) -> Result<(), ConnectError> {
        let fits = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(bytes);
        if fits { Ok(()) } else { Err(ConnectError::Other(TOO_LARGE.to_owned())) }
    }
}

/// Reads the catalogue. A database that does not exist has no collections; entering it is no error here.
pub(super) async fn read(database: &Database) -> Result<Listed, ConnectError> {
    let room = Room::default();
    let mut catalog = Catalog { version: VERSION.to_owned(), ..Catalog::default() };
    let mut collections = Vec::new();
    let entries = database.list_collections().batch().await.map_err(|error| refusal(&error))?;
    each(entries, |entry| enter(entry, &room, &mut catalog, &mut collections)).await?;
    let listing = collections.into_iter().map(|name| {
        let room = &room;
        async move { Ok::<_, ConnectError>((indexes_of(database, &name, room).await?, name)) }
    });
    let mut listing = futures_util::stream::iter(listing).buffer_unordered(LISTED_AT_ONCE);
    let mut indexes = BTreeMap::new();
    let mut passed_over = 0;
    while let Some((mut found, name)) = listing.try_next().await? {
        passed_over += found.definitions.len() - found.full.len();
        found.definitions.sort();
        let expiring = found.expires.then_some(Expiring { fields: found.expiring, rows: 0 });
        let facts = RelationFacts { indexes: found.definitions, expiring, ..RelationFacts::default() };
        catalog.relations.insert(name.clone(), facts);
        indexes.insert(name, found.full);
    }
    catalog.structure_note = note(passed_over, &catalog);
    Ok(Listed { catalog, indexes })
}

/// One entry of the list of collections. What is neither a collection nor a view holds something that nobody counts.
fn enter(
    entry: &RawDocument,
    room: &Room,
    catalog: &mut Catalog,
    collections: &mut Vec<String>,
) -> Result<(), ConnectError> {
    let Ok(name) = entry.get_str("name") else {
        room.take(COLLECTION_BYTES)?;
        catalog.defects.push(ProbeError::Unable("a collection's name is no text, so that it is not read".to_owned()));
        return Ok(());
    };
    if name.starts_with("system.") {
        return Ok(());
    }
    room.take(COLLECTION_BYTES + name.len())?;
    // Servers that know no views give no type. A filter by type is one that Amazon's does not take.
    match entry.get_str("type") {
        Ok("collection") | Err(_) => collections.push(name.to_owned()),
        Ok("view") => catalog.views.push(name.to_owned()),
        Ok(other) => catalog.defects.push(ProbeError::Unable(format!(
            "`{name}` is of the type `{}`, which drctl cannot count",
            text::head(other, 40)
        ))),
    }
    Ok(())
}

async fn indexes_of(database: &Database, name: &str, room: &Room) -> Result<Indexes, ConnectError> {
    let mut found = Indexes::default();
    let indexes =
        database.collection::<Document>(name).list_indexes().batch().await.map_err(|error| refusal(&error))?;
    each(indexes, |index| {
        let definition = definition(name, index);
        room.take(definition.len())?;
        found.definitions.push(definition);
        if let Some(full) = full_index(index) {
            room.take(full.name.len() + index.get_document("key").map_or(0, |keys| keys.as_bytes().len()))?;
            found.full.push(full);
        }
        if has(index, "expireAfterSeconds") {
            found.expires = true;
            let field = field_of(index).map(str::to_owned);
            room.take(field.as_ref().map_or(0, String::len))?;
            found.expiring.extend(field);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Each document that a cursor yields, as it comes.
async fn each(
    mut cursor: RawBatchCursor,
    mut take: impl FnMut(&RawDocument) -> Result<(), ConnectError>,
) -> Result<(), ConnectError> {
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(|error| refusal(&error))?;
        for document in batch.doc_slices().map_err(|error| refusal(&error))? {
            let Ok(RawBsonRef::Document(document)) = document else {
                return Err(ConnectError::Other("what the server says of its collections is no valid BSON".to_owned()));
            };
            take(document)?;
        }
    }
    Ok(())
}

/// The one field of an index: documents expire by no others.
fn field_of(index: &RawDocument) -> Option<&str> {
    let mut keys = index.get_document("key").ok()?.iter();
    let (field, _) = keys.next()?.ok()?;
    keys.next().is_none().then_some(field.as_str())
}

fn note(passed_over: usize, catalog: &Catalog) -> String {
    let mut note = "every collection counts the same through its indexes and by a scan".to_owned();
    if passed_over > 0 {
        note = format!("{note}; {passed_over} partial, sparse, expiring or special indexes cannot be counted through");
    }
    if !catalog.views.is_empty() {
        note = format!("{note}; {} views hold nothing of their own", catalog.views.len());
    }
    note
}

fn has(index: &RawDocument, option: &str) -> bool {
    matches!(index.get(option), Ok(Some(_)))
}

fn is_true(index: &RawDocument, option: &str) -> bool {
    match index.get(option) {
        Ok(Some(RawBsonRef::Boolean(is))) => is,
        Ok(Some(RawBsonRef::Int32(number))) => number != 0,
        Ok(Some(RawBsonRef::Double(number))) => number != 0.0,
        _ => false,
    }
}

/// An index that has an entry for every document: ascending and descending keys, nothing left out. A TTL index would
/// lose some while they are counted, a hidden one cannot be asked for.
fn full_index(index: &RawDocument) -> Option<Index> {
    let left_out = has(index, "partialFilterExpression") || has(index, "expireAfterSeconds");
    if left_out || is_true(index, "sparse") || is_true(index, "hidden") {
        return None;
    }
    let keys = index.get_document("key").ok()?;
    let is_plain = |key: Result<(_, RawBsonRef<'_>), _>| {
        matches!(key, Ok((_, RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_))))
    };
    let wildcard = keys.iter().any(|key| key.is_ok_and(|(name, _)| name.as_str().contains("$**")));
    if keys.is_empty() || wildcard || !keys.iter().all(is_plain) {
        return None;
    }
    Some(Index { name: index.get_str("name").ok()?.to_owned(), keys: Document::try_from(keys).ok()? })
}

/// An index in words, with every option that changes what it holds or does.
fn definition(collection: &str, index: &RawDocument) -> String {
    let name = index.get_str("name").unwrap_or_default();
    let keys = index.get_document("key").map(short).unwrap_or_default();
    let mut text = format!("{name} on {collection} {keys}");
    for option in ["unique", "sparse", "hidden"] {
        if is_true(index, option) {
            text = format!("{text} {option}");
        }
    }
    for option in ["expireAfterSeconds", "partialFilterExpression", "collation"] {
        match index.get(option) {
            Ok(Some(RawBsonRef::Document(value))) => text = format!("{text} {option} {}", short(value)),
            Ok(Some(RawBsonRef::Int32(number))) => text = format!("{text} {option} {number}"),
            Ok(Some(RawBsonRef::Int64(number))) => text = format!("{text} {option} {number}"),
            Ok(Some(RawBsonRef::Double(number))) => text = format!("{text} {option} {number}"),
            _ => {}
        }
    }
    if text.len() > DEFINITION_BYTES {
        text = format!("{}… {}", text::head(&text, DEFINITION_BYTES), summary(text.as_bytes()));
    }
    text
}

fn short(document: &RawDocument) -> String {
    if document.as_bytes().len() > SHOWN_BYTES { summary(document.as_bytes()) } else { shown(document) }
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::*;

    #[test]
    fn an_index_is_known_with_its_options() {
        let index = rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a_1", "unique": true, "sparse": true };
        assert_eq!(definition("orders", &index), r#"a_1 on orders { "a": 1 } unique sparse"#);
        let index = rawdoc! { "key": { "a": 1 }, "name": "a_1", "expireAfterSeconds": 60.0,
        "partialFilterExpression": { "a": { "$gt": 5 } } };
        let expected =
            r#"a_1 on orders { "a": 1 } expireAfterSeconds 60 partialFilterExpression { "a": { "$gt": 5 } }"#;
        assert_eq!(definition("orders", &index), expected);
    }

    #[test]
    fn a_long_definition_is_short_and_known_by_its_digest() {
        let of = |name: &str, last: &str| {
            let filter = rawdoc! { "a": { "$gt": format!("{}{last}", "s".repeat(1 << 20)) } };
            definition("orders", &rawdoc! { "name": name, "key": { "a": 1 }, "partialFilterExpression": filter })
        };
        let text = of("a_1", "1");
        assert!(text.starts_with(r#"a_1 on orders { "a": 1 } partialFilterExpression {1048"#), "{text}");
        assert_ne!(text, of("a_1", "2"));
        let long = "n".repeat(1 << 20);
        assert!(of(&long, "1").len() < DEFINITION_BYTES + 100);
        assert_ne!(of(&format!("{long}1"), "1"), of(&format!("{long}2"), "1"));
    }

    #[test]
    fn what_is_neither_collection_nor_view_is_unknown() {
        let (mut catalog, mut collections) = (Catalog::default(), Vec::new());
        for entry in [
            rawdoc! { "name": "a", "type": "collection" },
            rawdoc! { "name": "b" },
            rawdoc! { "name": "c", "type": "view" },
            rawdoc! { "name": "d", "type": "timeseries" },
            rawdoc! { "name": 5 },
            rawdoc! { "name": "system.views", "type": "collection" },
        ] {
            enter(&entry, &Room::default(), &mut catalog, &mut collections).unwrap();
        }
        assert_eq!((collections, catalog.views), (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]));
        let defects: Vec<_> = catalog.defects.iter().map(ProbeError::message).collect();
        assert!(
            defects[0].contains("`d` is of the type `timeseries`") && defects[1].contains("no text"),
            "{defects:?}"
        );
        let (room, short) = (Room::default(), rawdoc! { "name": "x" });
        let enter = |_: &i32| enter(&short, &room, &mut Catalog::default(), &mut Vec::new()).is_ok();
        assert!((10_000..13_000).contains(&(0..100_000).take_while(enter).count()));
    }

    #[test]
    fn a_long_name_is_too_much() {
        let long = rawdoc! { "name": "x".repeat(17 << 20) };
        assert!(enter(&long, &Room::default(), &mut Catalog::default(), &mut Vec::new()).is_err());
    }

    #[test]
    fn documents_expire_by_one_field() {
        assert_eq!(field_of(&rawdoc! { "key": { "a.b": 1 } }), Some("a.b"));
        assert_eq!(field_of(&rawdoc! { "key": { "a": 1, "b": 1 } }), None);
    }

    #[test]
    fn only_full_indexes_are_counted_through() {
        let full = |index: RawDocumentBuf| full_index(&index).is_some();
        assert!(full(rawdoc! { "key": { "a": 1, "b": -1.0 }, "name": "x", "unique": true }));
        assert!(!full(rawdoc! { "key": { "a": 1 }, "name": "x", "sparse": true }));
        assert!(!full(rawdoc! { "key": { "a": 1 }, "name": "x", "partialFilterExpression": {} }));
        assert!(!full(rawdoc! { "key": { "a": 1 }, "name": "x", "expireAfterSeconds": 0 }));
        assert!(!full(rawdoc! { "key": { "a": "2dsphere" }, "name": "x" }));
        assert!(!full(rawdoc! { "key": { "$**": 1 }, "name": "x" }));
    }
}
