//! The user's own checks, and what they expect.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

/// A check that the user wrote.
#[derive(Clone, Debug)]
pub struct CustomCheck {
    /// Its name in the report.
    pub name: String,
    /// What it looks at.
    pub probe: Probe,
}

/// What a user's check looks at.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A read-only statement whose first column of the first row is judged.
    Sql {
        /// The statement.
        sql: String,
        /// What it must yield.
        expect: Expectation,
    },
    /// An aggregation whose first value of the first document is judged.
    Aggregate {
        /// The collection.
        collection: String,
        /// The pipeline, as JSON.
        pipeline: Vec<serde_json::Value>,
        /// What it must yield.
        expect: Expectation,
    },
    /// The newest value of a time column must be near the restore point.
    Newest {
        /// Table or collection.
        relation: String,
        /// Column or field.
        column: String,
        /// How far before the restore point it may lie.
        within: Duration,
    },
    /// Rows older than `settled_after` no longer change: their fingerprint must stay as it was.
    Settled {
        /// Table or collection.
        relation: String,
        /// The column that tells a row's age.
        column: String,
        /// The age from which rows no longer change.
        settled_after: Duration,
    },
}

/// What a query must yield.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// No row.
    Empty,
    /// At least one row, the first value of which is not null.
    NotEmpty,
    /// A comparison of the first value with a number.
    Number(Comparison, Number),
    /// The first value as text.
    Text(String),
}

/// A number as it is written: whole ones are kept and compared exactly, which floating point is not beyond 2^53.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(i128),
    /// Any other, and whole ones that are even larger.
    Float(f64),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let whole = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        if let Ok(whole) = whole.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Float)
    }

    #[expect(clippy::cast_precision_loss, reason = "compared with a number that is not exact either")]
    fn approximately(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        if let (Self::Whole(one), Self::Whole(other)) = (self, other) {
            return one.cmp(&other);
        }
        let (one, other) = (self.approximately(), other.approximately());
        let near = (one - other).abs() < f64::EPSILON * other.abs().max(1.0);
        if near { Ordering::Equal } else { one.total_cmp(&other) }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

impl Comparison {
    const ALL: [(&'static str, Self); 7] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparison)| *comparison == self).map_or("?", |(sign, _)| sign)
    }
}

impl Expectation {
    /// Reads `empty`, `not empty`, `>= 1`, `== 0`, or a literal text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text {
            "" => return None,
            "empty" => return Some(Self::Empty),
            "not empty" => return Some(Self::NotEmpty),
            _ => {}
        }
        for (sign, comparison) in Comparison::ALL {
            if let Some(rest) = text.strip_prefix(sign) {
                return Number::parse(rest).map(|number| Self::Number(comparison, number));
            }
        }
        Some(Number::parse(text).map_or_else(
            || Self::Text(text.trim_matches('\'').to_owned()),
            |number| Self::Number(Comparison::Equal, number),
        ))
    }

    /// Whether the first value of the first row (`None` where there was no row) is as expected.
    #[must_use]
    pub fn holds(&self, first: Option<&str>) -> bool {
        match (self, first) {
            (Self::Empty, first) => first.is_none(),
            (Self::NotEmpty, first) => first.is_some(),
            (_, None) => false,
            (Self::Text(text), Some(first)) => first == text,
            (Self::Number(comparison, number), Some(first)) => {
                let Some(order) = Number::parse(first).map(|value| value.compare(*number)) else { return false };
                match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::AtMost => order.is_le(),
                    Comparison::Equal => order.is_eq(),
                    Comparison::Unequal => order.is_ne(),
                    Comparison::AtLeast => order.is_ge(),
                    Comparison::More => order.is_gt(),
                }
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no row"),
            Self::NotEmpty => f.write_str("at least one row"),
            Self::Number(comparison, number) => write!(f, "{} {number}", comparison.sign()),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Expectation;

    #[test]
    fn expectations_judge_the_first_value() {
        let holds = |text: &str, value| Expectation::parse(text).unwrap().holds(value);
        assert!(holds(">= 1", Some("1")) && !holds(">= 1", Some("0")) && !holds(">= 1", None));
        assert!(holds("empty", None) && !holds("empty", Some("3")));
        assert!(holds("not empty", Some("")) && !holds("not empty", None));
        assert!(holds("== 0", Some("0")) && holds("0", Some("0.0")) && !holds("0", Some("x")));
        assert!(holds("'ok'", Some("ok")) && !holds("ok", Some("no")));
        assert_eq!(Expectation::parse(">= many"), None);
    }

    #[test]
    fn whole_numbers_are_compared_exactly() {
        let holds = |text: &str, value| Expectation::parse(text).unwrap().holds(Some(value));
        assert!(holds("9007199254740993", "9007199254740993") && !holds("9007199254740993", "9007199254740992"));
        assert!(
            holds("> 9007199254740992", "9007199254740993") && !holds("< 18446744073709551615", "18446744073709551615")
        );
        assert!(holds("9007199254740993", "9007199254740993.000") && holds("0.3", "0.30000000000000004"));
        assert!(
            holds("<= -9007199254740993", "-9007199254740993") && !holds("!= 1e3", "1000") && !holds("!= 1", "NaN")
        );
    }
}
