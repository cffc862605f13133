//! Ranges of `_id` that together cover a collection, so that several connections read it at once.

use bson::oid::ObjectId;
use bson::raw::{RawBsonRef, RawDocument};
use bson::{Bson, Document, doc};

/// Splits what lies between the smallest and the largest `_id`. `None` where they are of no type that can be divided,
/// or of two: values of another type than a range's bounds match no range.
pub(super) fn split(smallest: &RawDocument, largest: &RawDocument, parts: u32) -> Option<Vec<Document>> {
    let bounds = bounds(id_of(smallest)?, id_of(largest)?, parts)?;
    let mut filters = Vec::new();
    let mut from: Option<Bson> = None;
    for to in bounds.into_iter().map(Some).chain([None]) {
        let mut range = Document::new();
        if let Some(from) = from.take() {
            range.insert("$gte", from);
        }
        if let Some(to) = &to {
            range.insert("$lt", to.clone());
        }
        filters.push(doc! { "_id": range });
        from = to;
    }
    (filters.len() > 1).then_some(filters)
}

fn id_of(document: &RawDocument) -> Option<RawBsonRef<'_>> {
    document.get("_id").ok()?
}

/// The inner bounds, ascending and each once.
fn bounds(smallest: RawBsonRef<'_>, largest: RawBsonRef<'_>, parts: u32) -> Option<Vec<Bson>> {
    match (smallest, largest) {
        (RawBsonRef::ObjectId(smallest), RawBsonRef::ObjectId(largest)) => {
            // The first eight bytes are a time and the beginning of a random number.
            let (from, to) = (first_eight(&smallest.bytes()), first_eight(&largest.bytes()));
            let bound = |at: u64| {
                let mut bytes = [0; 12];
                bytes[..8].copy_from_slice(&at.to_be_bytes());
                Bson::ObjectId(ObjectId::from_bytes(bytes))
            };
            Some(
                between(i128::from(from), i128::from(to), parts)
                    .filter_map(|at| u64::try_from(at).ok())
                    .map(bound)
                    .collect(),
            )
        }
        (smallest, largest) => {
            let (from, to) = (integer(smallest)?, integer(largest)?);
            Some(
                between(from.into(), to.into(), parts)
                    .filter_map(|at| i64::try_from(at).ok())
                    .map(Bson::Int64)
                    .collect(),
            )
        }
    }
}

fn first_eight(bytes: &[u8; 12]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn integer(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        _ => None,
    }
}

fn between(from: i128, to: i128, parts: u32) -> impl Iterator<Item = i128> {
    let mut last = from;
    (1..i128::from(parts)).map(move |part| from + (to - from) * part / i128::from(parts)).filter(move |at| {
        let fresh = *at > last;
        last = (*at).max(last);
        fresh
    })
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn ranges_meet_and_their_ends_are_open() {
        let ranges = split(&rawdoc! { "_id": -3 }, &rawdoc! { "_id": 9_i64 }, 3).unwrap();
        assert_eq!(
            ranges,
            [
                doc! { "_id": { "$lt": 1_i64 } },
                doc! { "_id": { "$gte": 1_i64, "$lt": 5_i64 } },
                doc! { "_id": { "$gte": 5_i64 } }
            ]
        );
        let extremes = split(&rawdoc! { "_id": i64::MIN }, &rawdoc! { "_id": i64::MAX }, 16).unwrap();
        assert_eq!(extremes.len(), 16);
    }

    #[test]
    fn object_ids_are_divided_by_their_time() {
        let id = |second: u32| {
            let mut bytes = [9; 12];
            bytes[..4].copy_from_slice(&second.to_be_bytes());
            rawdoc! { "_id": ObjectId::from_bytes(bytes) }
        };
        let ranges = split(&id(100), &id(200), 2).unwrap();
        let bound = ranges[0].get_document("_id").unwrap().get_object_id("$lt").unwrap();
        assert_eq!(bound.timestamp().timestamp_millis(), 150_000);
    }

    #[test]
    fn what_cannot_be_divided_is_read_in_one() {
        assert_eq!(split(&rawdoc! { "_id": 1 }, &rawdoc! { "_id": "x" }, 4), None);
        assert_eq!(split(&rawdoc! { "_id": "a" }, &rawdoc! { "_id": "b" }, 4), None);
        assert_eq!(split(&rawdoc! { "_id": 7 }, &rawdoc! { "_id": 7 }, 4), None);
    }
}
