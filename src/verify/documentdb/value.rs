//! Values as people read them and as expectations judge them.

use bson::Bson;
use bson::raw::{RawBsonRef, RawDocument};
use sha2::{Digest, Sha256};

use super::element::is_shallow;

/// Documents nested deeper than this are not decoded: decoding recurses, and what a backup holds decides how deep.
const SHOWN_LEVELS: u32 = 32;

/// A document as text; one that is nested too deeply by its size and digest.
pub(super) fn shown(document: &RawDocument) -> String {
    let decoded = is_shallow(document.as_bytes(), SHOWN_LEVELS).then(|| bson::Document::try_from(document).ok());
    decoded.flatten().map_or_else(|| summary(document.as_bytes()), |document| document.to_string())
}

/// Bytes by their number and digest.
pub(super) fn summary(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let digest = digest.first_chunk().map_or(0, |head| u128::from_be_bytes(*head));
    format!("{{{} bytes, {digest:032x}}}", bytes.len())
}

/// The first field that is not `_id`, or `_id` where there is no other: its name and its value, `None` for null.
pub(super) fn first_of(document: &RawDocument) -> Option<(String, Option<String>)> {
    let fields = || document.iter().map_while(Result::ok);
    let (name, value) = fields().find(|(name, _)| name.as_str() != "_id").or_else(|| fields().next())?;
    Some((name.as_str().to_owned(), text_of(value)))
}

fn text_of(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::Null | RawBsonRef::Undefined => None,
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        RawBsonRef::Double(number) => Some(number.to_string()),
        RawBsonRef::Document(document) => Some(shown(document)),
        RawBsonRef::Array(array) if !is_shallow(array.as_bytes(), SHOWN_LEVELS) => Some(summary(array.as_bytes())),
        other => Some(Bson::try_from(other).map_or_else(|error| error.to_string(), |value| value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc};

    use super::*;

    #[test]
    fn the_first_field_besides_the_id_counts() {
        let first = |document: bson::RawDocumentBuf| first_of(&document);
        assert_eq!(
            first(rawdoc! { "_id": null, "n": 9_007_199_254_740_993_i64 }).unwrap().1.unwrap(),
            "9007199254740993"
        );
        assert_eq!(first(rawdoc! { "_id": 5 }), Some(("_id".to_owned(), Some("5".to_owned()))));
        assert_eq!(first(rawdoc! { "newest": null }), Some(("newest".to_owned(), None)));
        assert_eq!(first(rawdoc! {}), None);
    }

    #[test]
    fn what_is_nested_deeply_is_not_decoded() {
        let mut deep = doc! { "a": 1 };
        for _ in 0..150 {
            deep = doc! { "a": [deep] };
        }
        let raw = bson::RawDocumentBuf::try_from(&deep).unwrap();
        assert!(first_of(&raw).unwrap().1.unwrap().contains("bytes"));
        assert_eq!(shown(&rawdoc! { "a": { "$gt": 5 } }), r#"{ "a": { "$gt": 5 } }"#);
    }
}
