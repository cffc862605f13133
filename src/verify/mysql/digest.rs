//! A row as one number, made by the server: 60 bits of a SHA-1.

use super::super::identifier;

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

/// How strings are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strings {
    /// As they are; the server may have to convert between character sets.
    AsTheyAre,
    /// As bytes, for character sets that do not mix.
    Bytes,
}

impl Strings {
    /// The name of the method, which stands before a digest.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::AsTheyAre => "sha1",
            Self::Bytes => "sha1/bytes",
        }
    }
}

/// A number for each row that depends on every column. Which columns are null and how long strings are comes first, so that
/// no two rows are put together to the same text.
pub(super) fn of(columns: &[Column], strings: Strings) -> String {
    let nullable: Vec<&Column> = columns.iter().filter(|column| column.nullable).collect();
    let flags = nullable.chunks(FLAGS_A_NUMBER).map(|columns| {
        let bits = columns.iter().enumerate().map(|(bit, column)| format!("isnull({}) << {bit}", quoted(column)));
        bits.collect::<Vec<_>>().join(" | ")
    });
    let is = |kinds: &[&str], column: &Column| kinds.contains(&column.kind.as_str());
    let measured = columns.iter().filter(|column| !is(&PLAIN, column) && !is(&LARGE, column));
    let lengths = measured.map(|column| format!("length({})", quoted(column)));
    let values = columns.iter().map(|column| {
        let name = quoted(column);
        match strings {
            _ if is(&LARGE, column) => format!("sha1({name})"),
            _ if is(&PLAIN, column) => name,
            Strings::AsTheyAre => name,
            Strings::Bytes => format!("cast({name} as binary)"),
        }
    });
    let all: Vec<String> = flags.chain(lengths).chain(values).collect();
    format!("cast(conv(left(sha1(concat_ws('|', {})), 15), 16, 10) as unsigned)", all.join(", "))
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
        let columns = [column("id", "int", false), column("a`b", "varchar", true), column("c", "longblob", true)];
        assert_eq!(
            of(&columns, Strings::AsTheyAre),
            "cast(conv(left(sha1(concat_ws('|', isnull(`a``b`) << 0 | isnull(`c`) << 1, length(`a``b`), `id`, `a``b`, \
             sha1(`c`))), 15), 16, 10) as unsigned)"
        );
        assert!(of(&columns, Strings::Bytes).contains("cast(`a``b` as binary)"));
    }
}
