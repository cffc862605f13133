//! One field of an expression: a list of values, ranges and steps.

use super::Invalid;

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) least: i16,
    pub(super) most: i16,
    /// Names of values, the first for `least`, or for `first_name` where that differs.
    pub(super) names: &'static [&'static str],
    pub(super) first_name: i16,
    /// Whether a range may run past the end and go on from the start, as in `20-2`.
    pub(super) wraps: bool,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const LONGEST_STEP: i16 = 1000;

const fn plain(name: &'static str, least: i16, most: i16, wraps: bool) -> Field {
    Field { name, least, most, names: &[], first_name: least, wraps }
}

const fn named(
    name: &'static str,
    least: i16,
    most: i16,
    names: &'static [&'static str],
    first_name: i16,
    wraps: bool,
) -> Field {
    Field { name, least, most, names, first_name, wraps }
}

pub(super) const AWS_MINUTE: Field = plain("minute", 0, 59, true);
pub(super) const AWS_HOUR: Field = plain("hour", 0, 23, true);
pub(super) const AWS_DAY: Field = plain("day-of-month", 1, 31, true);
pub(super) const AWS_MONTH: Field = named("month", 1, 12, &MONTHS, 1, true);
pub(super) const AWS_WEEKDAY: Field = named("day-of-week", 1, 7, &WEEKDAYS, 1, true);
pub(super) const AWS_YEAR: Field = plain("year", 1970, 2199, false);
pub(super) const UNIX_MINUTE: Field = plain("minute", 0, 59, false);
pub(super) const UNIX_HOUR: Field = plain("hour", 0, 23, false);
pub(super) const UNIX_DAY: Field = plain("day-of-month", 1, 31, false);
pub(super) const UNIX_MONTH: Field = named("month", 1, 12, &MONTHS, 1, false);
/// Both 0 and 7 are Sunday.
pub(super) const UNIX_WEEKDAY: Field = named("day-of-week", 0, 7, &WEEKDAYS, 0, false);

impl Field {
    pub(super) fn invalid(&self, text: &str, message: &str) -> Invalid {
        let names = match self.names {
            [first, .., last] => format!(", or names from {first} to {last}"),
            _ => String::new(),
        };
        Invalid {
            field: self.name,
            message: format!("`{text}` {message}"),
            hint: format!("write values from {} to {}{names}, such as `{}` or `*`", self.least, self.most, self.least),
        }
    }

    /// Every value that `text` names, sorted, each once.
    pub(super) fn values(&self, text: &str) -> Result<Vec<i16>, Invalid> {
        let mut values = Vec::new();
        for part in text.split(',') {
            values.extend(self.part(part)?);
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    /// `*`, `5`, `5-8`, any of them with `/2`.
    fn part(&self, part: &str) -> Result<Vec<i16>, Invalid> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(part, step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.highest()),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if step.is_some() => (self.value(range)?, self.highest()),
            None => {
                let value = self.value(range)?;
                (value, value)
            }
        };
        let step = step.unwrap_or(1);
        if first <= last {
            return Ok((first..=last).step_by(step).collect());
        }
        if !self.wraps {
            return Err(self.invalid(part, "ends before it begins"));
        }
        Ok((first..=self.most).chain(self.least..=last).step_by(step).collect())
    }

    /// Where `*` and an open step end: Unix's weekday 7 is only another name for 0.
    fn highest(&self) -> i16 {
        if self.least == 0 && self.most == 7 { 6 } else { self.most }
    }

    fn step(&self, part: &str, step: &str) -> Result<usize, Invalid> {
        let step = digits(step).filter(|step| (1..=LONGEST_STEP).contains(step));
        let step = step.ok_or_else(|| self.invalid(part, "has a step that is not a positive number"))?;
        usize::try_from(step).map_err(|_| self.invalid(part, "has a step that is not a positive number"))
    }

    /// One value, as a number or a name.
    pub(super) fn value(&self, text: &str) -> Result<i16, Invalid> {
        let name = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(at) = name.and_then(|at| i16::try_from(at).ok()) {
            return Ok(self.first_name + at);
        }
        let number = digits(text).ok_or_else(|| self.invalid(text, "is not a value"))?;
        if number < self.least || number > self.most {
            return Err(self.invalid(text, &format!("is not from {} to {}", self.least, self.most)));
        }
        Ok(number)
    }
}

/// A number without a sign.
pub(super) fn digits(text: &str) -> Option<i16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
