//! BSON as bytes (<https://bsonspec.org/spec.html>): walks a document without decoding it.
//!
//! What comes back from a backup may hold anything. Lengths are checked, names need not be UTF-8, a field that is
//! there twice is seen twice, and nesting costs no stack: a document inside is skipped by its length.

/// The bytes are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'d> {
    /// The type's number in the specification.
    pub(super) kind: u8,
    pub(super) name: &'d [u8],
    pub(super) value: &'d [u8],
}

pub(super) const STRING: u8 = 0x02;
pub(super) const DOCUMENT: u8 = 0x03;
pub(super) const ARRAY: u8 = 0x04;
pub(super) const BINARY: u8 = 0x05;
pub(super) const UNDEFINED: u8 = 0x06;
pub(super) const OBJECT_ID: u8 = 0x07;
pub(super) const DATE: u8 = 0x09;
pub(super) const NULL: u8 = 0x0A;
pub(super) const INT32: u8 = 0x10;
pub(super) const TIMESTAMP: u8 = 0x11;
pub(super) const INT64: u8 = 0x12;

/// The fields of a document, in order. It ends after the first that cannot be read.
pub(super) struct Elements<'d> {
    rest: Result<&'d [u8], Malformed>,
}

/// Walks a document, or an array: its fields are named by their positions.
pub(super) fn elements(document: &[u8]) -> Elements<'_> {
    let sized = length_at(document).is_some_and(|length| length == document.len());
    let inner = document.strip_suffix(&[0]).and_then(|bytes| bytes.get(4..));
    Elements { rest: inner.filter(|_| sized).ok_or(Malformed) }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Result<Element<'d>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = match self.rest {
            Ok([]) => return None,
            Ok(rest) => rest,
            Err(malformed) => {
                self.rest = Ok(&[]);
                return Some(Err(malformed));
            }
        };
        let Some((element, rest)) = first_element(rest) else {
            self.rest = Ok(&[]);
            return Some(Err(Malformed));
        };
        self.rest = Ok(rest);
        Some(Ok(element))
    }
}

fn first_element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&kind, bytes) = bytes.split_first()?;
    let (name, bytes) = c_string(bytes)?;
    let (value, rest) = bytes.split_at_checked(size_of_value(kind, bytes)?)?;
    Some((Element { kind, name, value }, rest))
}

fn size_of_value(kind: u8, bytes: &[u8]) -> Option<usize> {
    match kind {
        UNDEFINED | NULL | 0x7F | 0xFF => Some(0),
        0x08 => Some(1),
        INT32 => Some(4),
        0x01 | DATE | TIMESTAMP | INT64 => Some(8),
        OBJECT_ID => Some(12),
        0x13 => Some(16),
        DOCUMENT | ARRAY | 0x0F => length_at(bytes).filter(|length| *length >= 5),
        STRING | 0x0D | 0x0E => length_at(bytes)?.checked_add(4),
        BINARY => length_at(bytes)?.checked_add(5),
        0x0C => length_at(bytes)?.checked_add(4 + 12),
        0x0B => {
            let (pattern, after) = c_string(bytes)?;
            let (options, _) = c_string(after)?;
            Some(pattern.len() + options.len() + 2)
        }
        _ => None,
    }
}

fn length_at(bytes: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok()
}

fn c_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Tells `tell` every value at a dotted path: through arrays too, as queries see them. It recurses as deep as the path
/// is long, however deep the document is.
pub(super) fn each_at<'d>(
    document: &'d [u8],
    path: &[String],
    tell: &mut dyn FnMut(u8, &'d [u8]),
) -> Result<(), Malformed> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    for element in elements(document) {
        let element = element?;
        if element.name != first.as_bytes() {
            continue;
        }
        match (element.kind, rest.is_empty()) {
            (ARRAY, last) => {
                for inner in elements(element.value) {
                    let inner = inner?;
                    if last {
                        tell(inner.kind, inner.value);
                    } else if inner.kind == DOCUMENT {
                        each_at(inner.value, rest, tell)?;
                    }
                }
            }
            (kind, true) => tell(kind, element.value),
            (DOCUMENT, false) => each_at(element.value, rest, tell)?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether documents and arrays are nested at most `levels` deep.
pub(super) fn is_shallow(document: &[u8], levels: u32) -> bool {
    elements(document).all(|element| match element {
        Ok(Element { kind: DOCUMENT | ARRAY, value, .. }) => levels > 0 && is_shallow(value, levels - 1),
        Ok(_) => true,
        Err(Malformed) => false,
    })
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn values_at(document: &[u8], text: &str) -> Vec<u8> {
        let mut found = Vec::new();
        each_at(document, &path(text), &mut |kind, _| found.push(kind)).unwrap();
        found
    }

    #[test]
    fn every_type_is_stepped_over() {
        let document = doc! {
            "a": 1.5, "b": "text", "c": { "d": [1, 2] }, "e": bson::oid::ObjectId::from_bytes([7; 12]),
            "f": true, "g": bson::DateTime::from_millis(5), "h": Bson::Null, "i": bson::Regex { pattern: "x".try_into().unwrap(), options: "i".try_into().unwrap() },
            "j": Bson::JavaScriptCode("f()".into()), "k": 1_i32, "l": bson::Timestamp { time: 1, increment: 2 }, "m": 1_i64,
            "n": bson::Decimal128::from_bytes([1; 16]), "o": Bson::MinKey, "p": Bson::MaxKey, "q": Bson::Undefined, "r": Bson::Symbol("s".into()),
            "s": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "t": Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": 1 } }),
        };
        let bytes = document.to_vec().unwrap();
        let names: Vec<_> =
            elements(&bytes).map(|element| String::from_utf8(element.unwrap().name.to_vec()).unwrap()).collect();
        assert_eq!(names, document.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn a_path_goes_through_documents_and_arrays() {
        let bytes =
            doc! { "a": { "b": [{ "c": 1 }, { "c": "x" }, 3] }, "a.b": 1, "d": [1_i64, null] }.to_vec().unwrap();
        assert_eq!(values_at(&bytes, "a.b.c"), [INT32, STRING]);
        assert_eq!(values_at(&bytes, "d"), [INT64, NULL]);
        assert!(values_at(&bytes, "a.x").is_empty());
    }

    #[test]
    fn a_field_that_is_there_twice_is_seen_twice_and_names_need_not_be_text() {
        // { a: 1, \xFF: null, a: 2 }
        let bytes =
            [26, 0, 0, 0, 0x10, b'a', 0, 1, 0, 0, 0, 0x0A, 0xFF, 0, 0x10, b'a', 0, 2, 0, 0, 0, 0x0A, b'z', 0, 0, 0];
        let bytes = &[&[25][..], &bytes[1..24], &[0]].concat();
        assert_eq!(values_at(bytes, "a"), [INT32, INT32]);
    }

    #[test]
    fn depth_is_told_without_going_deep() {
        let mut deep = doc! {};
        for _ in 0..100 {
            deep = doc! { "a": deep };
        }
        let bytes = deep.to_vec().unwrap();
        assert!(is_shallow(&bytes, 100) && !is_shallow(&bytes, 99));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut sized = bytes;
            let length = i32::try_from(sized.len()).unwrap();
            if sized.len() > 4 {
                sized[..4].copy_from_slice(&length.to_le_bytes());
            }
            let _ = each_at(&sized, &path("a.b"), &mut |_, _| {});
            let _ = is_shallow(&sized, 8);
        }
    }
}
