//! Conditions: an operator, a key of the call, and the values that it may have.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::context::Context;
use super::pattern::{equals, fits, fits_arn};

/// How many of a key's values have to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    /// There is one value.
    One,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// What a value is compared for.
#[derive(Clone, Copy, Debug)]
enum Test {
    /// Whether the key is absent.
    Null,
    Equals {
        ignore_case: bool,
    },
    Like,
    Arn,
    Bool,
    Numeric(fn(Ordering) -> bool),
    Date(fn(Ordering) -> bool),
}

/// Operators, and whether each holds where nothing fits.
const OPERATORS: [(&str, Test, bool); 24] = [
    ("StringEquals", Test::Equals { ignore_case: false }, false),
    ("StringNotEquals", Test::Equals { ignore_case: false }, true),
    ("StringEqualsIgnoreCase", Test::Equals { ignore_case: true }, false),
    ("StringNotEqualsIgnoreCase", Test::Equals { ignore_case: true }, true),
    ("StringLike", Test::Like, false),
    ("StringNotLike", Test::Like, true),
    ("NumericEquals", Test::Numeric(Ordering::is_eq), false),
    ("NumericNotEquals", Test::Numeric(Ordering::is_eq), true),
    ("NumericLessThan", Test::Numeric(Ordering::is_lt), false),
    ("NumericLessThanEquals", Test::Numeric(Ordering::is_le), false),
    ("NumericGreaterThan", Test::Numeric(Ordering::is_gt), false),
    ("NumericGreaterThanEquals", Test::Numeric(Ordering::is_ge), false),
    ("DateEquals", Test::Date(Ordering::is_eq), false),
    ("DateNotEquals", Test::Date(Ordering::is_eq), true),
    ("DateLessThan", Test::Date(Ordering::is_lt), false),
    ("DateLessThanEquals", Test::Date(Ordering::is_le), false),
    ("DateGreaterThan", Test::Date(Ordering::is_gt), false),
    ("DateGreaterThanEquals", Test::Date(Ordering::is_ge), false),
    ("Bool", Test::Bool, false),
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("Null", Test::Null, false),
];

/// One condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    quantity: Quantity,
    test: Test,
    negated: bool,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// Reads an operator such as `ForAllValues:StringLikeIfExists`.
    ///
    /// # Errors
    /// Where it is not known.
    pub(super) fn new(operator: &str, key: &str, values: Vec<String>) -> anyhow::Result<Self> {
        let (quantity, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Quantity::All, name),
            Some(("ForAnyValue", name)) => (Quantity::Any, name),
            _ => (Quantity::One, operator),
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let found = OPERATORS.iter().find(|(known, _, _)| *known == name);
        let Some((_, test, negated)) = found else {
            anyhow::bail!("the sandbox does not know the operator `{operator}`")
        };
        let key = key.to_owned();
        Ok(Self { quantity, test: *test, negated: *negated, if_exists, key, values })
    }

    /// Whether it holds for a call.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let found = context.get(&self.key);
        if let Test::Null = self.test {
            return self.values.iter().any(|value| value.eq_ignore_ascii_case("true") == found.is_empty());
        }
        if found.is_empty() {
            return self.if_exists
                || self.quantity == Quantity::All
                || (self.negated && self.quantity == Quantity::One);
        }
        let fits = |text: &String| self.values.iter().any(|value| self.compare(value, text, context)) != self.negated;
        match self.quantity {
            Quantity::All => found.iter().all(fits),
            Quantity::One if self.negated => found.iter().all(fits),
            Quantity::One | Quantity::Any => found.iter().any(fits),
        }
    }

    fn compare(&self, value: &str, text: &str, context: &Context) -> bool {
        match self.test {
            Test::Null => false,
            Test::Equals { ignore_case: false } => equals(value, text, context),
            Test::Equals { ignore_case: true } => equals(&value.to_lowercase(), &text.to_lowercase(), context),
            Test::Like => fits(value, text, context),
            Test::Arn => fits_arn(value, text, context),
            Test::Bool => value.eq_ignore_ascii_case(text),
            Test::Numeric(wanted) => {
                let numbers = text.parse::<f64>().ok().zip(value.parse::<f64>().ok());
                numbers.and_then(|(text, value)| text.partial_cmp(&value)).is_some_and(wanted)
            }
            Test::Date(wanted) => {
                let times = text.parse::<Timestamp>().ok().zip(value.parse::<Timestamp>().ok());
                times.is_some_and(|(text, value)| wanted(text.cmp(&value)))
            }
        }
    }
}
