//! A row as one number, made by the server: 32 bits of a salted SHA-1.
//!
//! Who knows the text that is hashed forges such a sum in seconds, were it 60 bits wide (the generalised birthday). The salt
//! keeps everybody from knowing it, so that a changed table comes to the same sum once in 2^32 tries, each of which is a
//! restore test that fails. `crc32` is there to make a number of the hash's 40 digits: it spreads them evenly and costs a third
//! of what `conv` does, which would make the whole pass slower by a quarter. SHA-1's collisions do not help against a text
//! with an unknown beginning; where a value is hashed by itself, without the salt, it is by SHA-256.

use super::super::identifier;
use super::super::salt::Salt;

/// A column as its digest needs it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type's name, in lower case and without its length.
    pub(super) kind: String,
    pub(super) nullable: bool,
}

/// Bits of one number.
const FLAGS_A_NUMBER: usize = 60;
/// Types whose text has neither the separator in it nor more than some bytes.
const PLAIN: [&str; 15] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "decimal",
    "float",
    "double",
    "date",
    "datetime",
    "timestamp",
    "time",
    "year",
    "uuid",
];
/// Types that may be large: hashed by themselves, so that a row never outgrows what the server puts together.
const LARGE: [&str; 16] = [
    "text",
    "mediumtext",
    "longtext",
    "blob",
    "mediumblob",
    "longblob",
    "json",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "vector",
];

impl Column {
    /// Whether it tells a time.
    pub(super) fn is_time(&self) -> bool {
        ["date", "datetime", "timestamp"].contains(&self.kind.as_str())
    }

    pub(super) fn is_integer(&self) -> bool {
        ["tinyint", "smallint", "mediumint", "int", "integer", "bigint"].contains(&self.kind.as_str())
    }
}

/// The name of the method, which stands before a digest.
pub(super) fn method(salt: Salt) -> String {
    format!("sha1-crc32/{salt}")
}

/// A number for each row that depends on every column. Which columns are null and how long strings are comes first, so that
/// no two rows are put together to the same text. The salt is binary, which makes the whole so: character sets need not mix.
pub(super) fn of(columns: &[Column], salt: Salt) -> String {
    let is = |kinds: &[&str], column: &Column| kinds.contains(&column.kind.as_str());
    let is_measured = |column: &&Column| !is(&PLAIN, column) && !is(&LARGE, column);
    let flagged: Vec<&Column> = columns.iter().filter(|column| column.nullable && !is_measured(column)).collect();
    let flags = flagged.chunks(FLAGS_A_NUMBER).map(|columns| {
        let bits = columns.iter().enumerate().map(|(bit, column)| format!("isnull({}) << {bit}", quoted(column)));
        bits.collect::<Vec<_>>().join(" | ")
    });
    let lengths = columns.iter().filter(is_measured).map(|column| match column.nullable {
        true => format!("ifnull(length({}), -1)", quoted(column)),
        false => format!("length({})", quoted(column)),
    });
    let values = columns.iter().map(|column| match quoted(column) {
        name if is(&LARGE, column) => format!("sha2({name}, 256)"),
        // Only six digits of it are shown; as a double it has all.
        name if column.kind == "float" => format!("{name} * 1e0"),
        name => name,
    });
    let all: Vec<String> = flags.chain(lengths).chain(values).collect();
    format!("crc32(sha1(concat_ws('|', cast('{salt}' as binary), {})))", all.join(", "))
}

fn quoted(column: &Column) -> String {
    identifier::mysql(&column.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_counts_and_none_runs_into_the_next() {
        let column =
            |name: &str, kind: &str, nullable| Column { name: name.to_owned(), kind: kind.to_owned(), nullable };
        let columns = [
            column("id", "int", false),
            column("a`b", "varchar", true),
            column("c", "longblob", true),
            column("d", "float", true),
            column("e", "enum", false),
        ];
        assert_eq!(
            of(&columns, Salt([1; 16])),
            "crc32(sha1(concat_ws('|', cast('01010101010101010101010101010101' as binary), \
             isnull(`c`) << 0 | isnull(`d`) << 1, ifnull(length(`a``b`), -1), length(`e`), \
             `id`, `a``b`, sha2(`c`, 256), `d` * 1e0, `e`)))"
        );
    }

    #[test]
    fn the_next_run_finds_the_salt_again() {
        let salt = Salt([7; 16]);
        assert_eq!(Salt::of(&format!("{}:-12", method(salt))), Some(salt));
    }
}
