//! Names from a backup, quoted. Nothing else in drctl puts a name that it did not choose into SQL.

/// A name for PostgreSQL, whatever is in it.
pub(super) fn postgres(name: &str) -> String {
    quoted(name, '"')
}

/// A name for MySQL and MariaDB, whatever is in it.
pub(super) fn mysql(name: &str) -> String {
    quoted(name, '`')
}

fn quoted(name: &str, quote: char) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push(quote);
    for c in name.chars() {
        if c == quote {
            text.push(quote);
        }
        // Neither server takes a null byte in a name, and none may end the statement early.
        if c != '\0' {
            text.push(c);
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a quoted name as both servers' lexers do: what it is, and what is left of the text.
    fn read(text: &str, quote: char) -> Option<(String, &str)> {
        let mut rest = text.strip_prefix(quote)?;
        let mut name = String::new();
        loop {
            let end = rest.find(quote)?;
            name.push_str(&rest[..end]);
            rest = &rest[end + quote.len_utf8()..];
            match rest.strip_prefix(quote) {
                Some(more) => {
                    name.push(quote);
                    rest = more;
                }
                None => return Some((name, rest)),
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_name_ends_where_it_should(name in "[^\\x00]*", tail in "[ ;a-z]*") {
            for (quoted, quote) in [(postgres(&name), '"'), (mysql(&name), '`')] {
                let text = format!("{quoted}{tail}");
                proptest::prop_assert_eq!(read(&text, quote), Some((name.clone(), tail.as_str())));
            }
        }
    }

    #[test]
    fn quotes_are_doubled_and_null_bytes_dropped() {
        assert_eq!(mysql("a`;drop table b;#"), "`a``;drop table b;#`");
        assert_eq!(postgres("a\"b\0"), "\"a\"\"b\"");
    }
}
