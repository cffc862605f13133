//! The user's own checks, and what they expect.

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
    Number(Comparison, f64),
    /// The first value as text.
    Text(String),
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
                let number: f64 = rest.trim().parse().ok()?;
                return number.is_finite().then_some(Self::Number(comparison, number));
            }
        }
        Some(text.parse::<f64>().map_or_else(
            |_| Self::Text(text.trim_matches('\'').to_owned()),
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
                let Ok(value) = first.trim().parse::<f64>() else { return false };
                match comparison {
                    Comparison::Less => value < *number,
                    Comparison::AtMost => value <= *number,
                    Comparison::Equal => (value - number).abs() < f64::EPSILON * number.abs().max(1.0),
                    Comparison::Unequal => (value - number).abs() >= f64::EPSILON * number.abs().max(1.0),
                    Comparison::AtLeast => value >= *number,
                    Comparison::More => value > *number,
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
}
