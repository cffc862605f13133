//! What the catalogue holds: collections with their indexes, and what is no collection.

use std::collections::BTreeMap;

use bson::raw::{RawBsonRef, RawDocument};
use bson::{Document, RawDocumentBuf};
use futures_util::stream::{StreamExt, TryStreamExt};
use mongodb::Database;
use mongodb::error::Error;
use mongodb::raw_batch_cursor::RawBatchCursor;

use super::value::shown;
use crate::verify::answer::Catalog;
use crate::verify::model::RelationFacts;

/// `listIndexes` at the same time.
const LISTED_AT_ONCE: usize = 4;
/// Documents are hashed on our side: their digests do not depend on the server's version.
const VERSION: &str = "documentdb";

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

/// Reads the catalogue. A database that does not exist has no collections; entering it is no error here.
pub(super) async fn read(database: &Database) -> Result<Listed, Error> {
    let mut views = Vec::new();
    let mut collections = Vec::new();
    for entry in documents(database.list_collections().batch().await?).await? {
        let Ok(name) = entry.get_str("name") else { continue };
        if name.starts_with("system.") {
            continue;
        }
        // Servers that know no views give no type. A filter by type is one that Amazon's does not take.
        match entry.get_str("type") {
            Ok("collection") | Err(_) => collections.push(name.to_owned()),
            Ok(_) => views.push(name.to_owned()),
        }
    }
    let listing = collections.into_iter().map(|name| async move {
        let indexes = database.collection::<Document>(&name).list_indexes().batch().await?;
        Ok::<_, Error>((documents(indexes).await?, name))
    });
    let mut listing = futures_util::stream::iter(listing).buffer_unordered(LISTED_AT_ONCE);
    let mut catalog = Catalog { version: VERSION.to_owned(), views, ..Catalog::default() };
    let mut indexes = BTreeMap::new();
    let mut passed_over = 0;
    while let Some((found, name)) = listing.try_next().await? {
        let full: Vec<Index> = found.iter().filter_map(|index| full_index(index)).collect();
        passed_over += found.len() - full.len();
        let mut definitions: Vec<String> = found.iter().map(|index| definition(&name, index)).collect();
        definitions.sort();
        let expires = found.iter().any(|index| has(index, "expireAfterSeconds"));
        let facts = RelationFacts { indexes: definitions, expires, ..RelationFacts::default() };
        catalog.relations.insert(name.clone(), facts);
        indexes.insert(name, full);
    }
    catalog.structure_note = note(passed_over, &catalog);
    Ok(Listed { catalog, indexes })
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

async fn documents(mut cursor: RawBatchCursor) -> Result<Vec<RawDocumentBuf>, Error> {
    let mut found = Vec::new();
    while let Some(batch) = cursor.next().await {
        for document in batch?.doc_slices()? {
            if let Ok(RawBsonRef::Document(document)) = document {
                found.push(document.to_owned());
            }
        }
    }
    Ok(found)
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
    let keys = index.get_document("key").map(shown).unwrap_or_default();
    let mut text = format!("{name} on {collection} {keys}");
    for option in ["unique", "sparse", "hidden"] {
        if is_true(index, option) {
            text = format!("{text} {option}");
        }
    }
    for option in ["expireAfterSeconds", "partialFilterExpression", "collation"] {
        match index.get(option) {
            Ok(Some(RawBsonRef::Document(value))) => text = format!("{text} {option} {}", shown(value)),
            Ok(Some(RawBsonRef::Int32(number))) => text = format!("{text} {option} {number}"),
            Ok(Some(RawBsonRef::Int64(number))) => text = format!("{text} {option} {number}"),
            Ok(Some(RawBsonRef::Double(number))) => text = format!("{text} {option} {number}"),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

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
