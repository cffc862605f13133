//! How the server hashes a row. What it is asked to add up must change with every change that could matter, also with one
//! that somebody made who knows this file, but not the salt.
//!
//! The quick way is PostgreSQL's own hash of a record, which is `31 * h + column` over the salted hashes of its columns:
//! linear, so that values swapped between two rows would not change a sum. It is hashed once more, under the other half of
//! the salt. The hashes of some types are equal for different values, whatever the salt: 64 bits are folded to 32 first,
//! and the sign of a `numeric` is left out. Those columns are hashed as the bytes that PostgreSQL would send. With more
//! than 13 columns different sums of powers of 31 meet in 64 bits.
//!
//! Every other table is hashed by SHA-256 over the salt and the bytes of the whole row.

use super::super::identifier;
use super::super::salt::Salt;

/// The first version that hashes records under a seed.
pub(super) const QUICK_SINCE: i32 = 140_000;
const MAX_QUICK_COLUMNS: usize = 13;

/// Types whose hash differs where the values do, as far as 64 bits can: `bool`, `bytea`, `int2`, `int4`, `oid`, `date` and
/// `uuid`. Oids here and below are those of PostgreSQL's `pg_type.dat`.
const HASHED: [u32; 7] = [16, 17, 21, 23, 26, 1082, 2950];
/// `text` and `varchar`, which collations may make equal.
const TEXTS: [(u32, &str); 2] = [(25, "textsend"), (1043, "varcharsend")];
/// The collations `default`, `C` and `POSIX`: equal texts are the same bytes.
const BYTEWISE: [u32; 3] = [100, 950, 951];
/// Types that are hashed as they are sent: `int8`, `float4`, `float8`, `bpchar`, `time`, `timestamp`, `timestamptz`, `timetz` and
/// `numeric`.
const SENT: [(u32, &str); 9] = [
    (20, "int8send"),
    (700, "float4send"),
    (701, "float8send"),
    (1042, "bpcharsend"),
    (1083, "time_send"),
    (1114, "timestamp_send"),
    (1184, "timestamptz_send"),
    (1266, "timetz_send"),
    (1700, "numeric_send"),
];

/// The columns of one table, as long as all of them can be hashed quickly.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<String>,
    others: bool,
}

impl Columns {
    pub(super) fn add(&mut self, name: &str, kind: u32, collation: u32) {
        let column = (self.columns.len() < MAX_QUICK_COLUMNS).then(|| column(name, kind, collation)).flatten();
        match column {
            Some(column) => self.columns.push(column),
            None => self.others = true,
        }
    }

    /// The row that is hashed quickly, if it may be.
    pub(super) fn row(self) -> Option<String> {
        let fits = !self.others && !self.columns.is_empty();
        fits.then(|| format!("row({})", self.columns.join(", ")))
    }
}

fn column(name: &str, kind: u32, collation: u32) -> Option<String> {
    let column = format!("t.{}", identifier::postgres(name));
    let of = |kinds: &[(u32, &'static str)]| kinds.iter().find(|(of, _)| *of == kind).map(|(_, send)| *send);
    let text = of(&TEXTS);
    if HASHED.contains(&kind) || text.is_some() && BYTEWISE.contains(&collation) {
        return Some(column);
    }
    text.or_else(|| of(&SENT)).map(|send| format!("pg_catalog.{send}({column})"))
}

/// A way to hash a row, and that in SQL. The way's name is part of every fingerprint.
pub(super) type Way = (&'static str, String);

/// The quick way.
pub(super) fn quickly(row: &str, salt: Salt) -> Way {
    let [one, two] = halves(salt);
    ("record2", format!("pg_catalog.hashint8extended(pg_catalog.hash_record_extended({row}, {one}), {two})"))
}

/// Over what PostgreSQL would send of the row.
pub(super) fn as_sent(salt: Salt) -> Way {
    ("sent", by_bytes("pg_catalog.record_send(t.*)", salt))
}

/// Over the row's text, for types that cannot be sent. The types' own output functions make it; a cast could be the backup's.
pub(super) fn as_text(salt: Salt) -> Way {
    ("text2", by_bytes("pg_catalog.textsend(pg_catalog.textin(pg_catalog.record_out(t.*)))", salt))
}

fn by_bytes(bytes: &str, salt: Salt) -> String {
    let [_, two] = halves(salt);
    let salted = format!("pg_catalog.byteacat('\\x{salt}'::pg_catalog.bytea, {bytes})");
    let hash = format!("pg_catalog.encode(pg_catalog.sha256({salted}), 'hex'::pg_catalog.text)");
    format!("pg_catalog.hashtextextended({hash}, {two})")
}

/// The salt as two numbers of SQL.
fn halves(salt: Salt) -> [String; 2] {
    let number = u128::from_be_bytes(salt.0);
    [number >> 64, number].map(|half| {
        let half = u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default().cast_signed();
        format!("'{half}'::pg_catalog.int8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, u32, u32)]) -> Option<String> {
        let mut all = Columns::default();
        for (name, kind, collation) in columns {
            all.add(name, *kind, *collation);
        }
        all.row()
    }

    #[test]
    fn only_columns_whose_hash_tells_values_apart_are_hashed_as_they_are() {
        assert_eq!(row(&[("id", 23, 0), ("a", 25, 100)]), Some("row(t.\"id\", t.\"a\")".to_owned()));
        assert_eq!(row(&[("a\"b", 25, 12345)]), Some("row(pg_catalog.textsend(t.\"a\"\"b\"))".to_owned()));
        assert_eq!(row(&[("n", 1700, 0)]), Some("row(pg_catalog.numeric_send(t.\"n\"))".to_owned()));
        // `interval` and `json`.
        assert_eq!(row(&[("id", 23, 0), ("i", 1186, 0)]), None);
        assert_eq!(row(&[("j", 114, 0)]), None);
        assert_eq!(row(&[]), None);
    }

    #[test]
    fn powers_of_31_stay_apart() {
        let column = ("id", 23, 0);
        assert!(row(&[column; MAX_QUICK_COLUMNS]).is_some());
        assert_eq!(row(&[column; MAX_QUICK_COLUMNS + 1]), None);
        let sum: u128 = (0..u32::try_from(MAX_QUICK_COLUMNS).unwrap()).map(|power| 31_u128.pow(power)).sum();
        assert!(2 * sum < 1 << 64);
    }

    #[test]
    fn both_halves_of_the_salt_are_used() {
        let salt = Salt([0xff; 16]);
        assert_eq!(halves(salt), ["'-1'::pg_catalog.int8", "'-1'::pg_catalog.int8"]);
        let mut bytes = [0; 16];
        (bytes[7], bytes[15]) = (1, 2);
        assert_eq!(halves(Salt(bytes)), ["'1'::pg_catalog.int8", "'2'::pg_catalog.int8"]);
    }
}
