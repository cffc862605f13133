//! The dialects: which fields there are, and what each may hold.

use jiff::SignedDuration;

use super::calendar::Calendar;
use super::days::Days;
use super::field::{self, Field, digits};
use super::{Dialect, Invalid, Rule};

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const FORMS: &str = "write `cron(0 6 ? * MON *)`, `rate(7 days)`, `0 6 * * 1` or `@weekly`";
/// A century; longer rates are mistakes.
const LONGEST_RATE_SECONDS: i64 = 36_525 * 86_400;

fn invalid(field: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Invalid {
    Invalid { field, message: message.into(), hint: hint.into() }
}

pub(super) fn expression(text: &str) -> Result<(Dialect, Rule), Invalid> {
    if let Some(inside) = text.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) {
        return Ok((Dialect::AwsCron, aws(inside)?));
    }
    if let Some(inside) = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')) {
        return Ok((Dialect::Rate, rate(inside)?));
    }
    if text.starts_with('@') {
        let full = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, full)| full);
        let known: Vec<_> = NICKNAMES.iter().map(|(name, _)| *name).collect();
        let hint = format!("write one of {}", known.join(", "));
        let full = full.ok_or_else(|| invalid("expression", format!("`{text}` is not a known nickname"), hint))?;
        return Ok((Dialect::UnixCron, unix(full)?));
    }
    if text.contains('(') || text.contains(')') {
        return Err(invalid("expression", format!("`{text}` is neither `cron(...)` nor `rate(...)`"), FORMS));
    }
    Ok((Dialect::UnixCron, unix(text)?))
}

/// `cron(minute hour day-of-month month day-of-week year)`.
fn aws(inside: &str) -> Result<Rule, Invalid> {
    let fields: Vec<&str> = inside.split_whitespace().collect();
    let &[minute, hour, day, month, weekday, year] = fields.as_slice() else {
        let message = format!("has {} fields, and `cron(...)` has six", fields.len());
        return Err(invalid("expression", message, "write minute, hour, day-of-month, month, day-of-week and year"));
    };
    let minutes = field::AWS_MINUTE.values(minute)?;
    let hours = field::AWS_HOUR.values(hour)?;
    let months = field::AWS_MONTH.values(month)?;
    let years = if year == "*" { None } else { Some(field::AWS_YEAR.values(year)?) };
    let days = match (day, weekday) {
        ("?", "?") => {
            let message = "is `?`, and so is day-of-month: no day is left";
            return Err(invalid("day-of-week", message, "write `?` in exactly one of the two"));
        }
        (day, "?") => aws_day(day)?,
        ("?", weekday) => aws_weekday(weekday)?,
        _ => {
            let message = format!("`{weekday}` and the day-of-month `{day}` are both given");
            return Err(invalid("day-of-week", message, "write `?` in exactly one of the two"));
        }
    };
    Ok(Rule::Calendar(Box::new(Calendar::new(minutes, hours, months, days, years)?)))
}

fn aws_day(text: &str) -> Result<Days, Invalid> {
    let field = &field::AWS_DAY;
    match text {
        "*" => return Ok(Days::All),
        "L" | "l" => return Ok(Days::Last),
        "LW" | "lw" => return Ok(Days::LastWorkday),
        _ => {}
    }
    if let Some(day) = text.strip_suffix(['W', 'w']) {
        return Ok(Days::NearestWorkday(small(field, text, alone(field, text, day)?)?));
    }
    if text.contains(['L', 'l', 'W', 'w']) {
        return Err(field.invalid(text, "is not a form of `L`, `W` or `LW` that AWS takes; they stand alone"));
    }
    Ok(Days::OfMonth(all_small(field, text)?))
}

fn aws_weekday(text: &str) -> Result<Days, Invalid> {
    let field = &field::AWS_WEEKDAY;
    if text == "*" {
        return Ok(Days::All);
    }
    if let Some((day, nth)) = text.split_once('#') {
        let day = alone(field, text, day)?;
        let nth = digits(nth).filter(|nth| (1..=5).contains(nth));
        let nth = nth.ok_or_else(|| field.invalid(text, "needs a number from 1 to 5 after `#`, and stands alone"))?;
        return Ok(Days::Nth(small(field, text, day - 1)?, small(field, text, nth)?));
    }
    // Alone it is the last day of the week.
    if text.eq_ignore_ascii_case("L") {
        return Ok(Days::OfWeek(vec![6]));
    }
    if let Some(day) = text.strip_suffix(['L', 'l']) {
        return Ok(Days::LastOfWeek(small(field, text, alone(field, text, day)? - 1)?));
    }
    let days = all_small(field, text)?;
    Ok(Days::OfWeek(days.into_iter().map(|day| day - 1).collect()))
}

/// The one value that `L`, `W` and `#` take.
fn alone(field: &Field, text: &str, value: &str) -> Result<i16, Invalid> {
    field.value(value).map_err(|_| field.invalid(text, "is not one value; `L`, `W` and `#` take one and stand alone"))
}

/// Minute, hour, day of month, month, day of week.
fn unix(text: &str) -> Result<Rule, Invalid> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let &[minute, hour, day, month, weekday] = fields.as_slice() else {
        let message = format!("`{text}` has {} fields, and Unix's cron has five", fields.len());
        let hint = match fields.len() {
            6 => "AWS's six fields are written inside `cron(...)`",
            _ => FORMS,
        };
        return Err(invalid("expression", message, hint));
    };
    let minutes = field::UNIX_MINUTE.values(minute)?;
    let hours = field::UNIX_HOUR.values(hour)?;
    let months = field::UNIX_MONTH.values(month)?;
    let of_month = unix_days(&field::UNIX_DAY, day)?;
    let of_week = unix_days(&field::UNIX_WEEKDAY, weekday)?.map(|days| {
        let mut days: Vec<i8> = days.into_iter().map(|day| day % 7).collect();
        days.sort_unstable();
        days.dedup();
        days
    });
    let days = match (of_month, of_week) {
        (None, None) => Days::All,
        (Some(of_month), None) => Days::OfMonth(of_month),
        (None, Some(of_week)) => Days::OfWeek(of_week),
        (Some(of_month), Some(of_week)) => Days::Either(of_month, of_week),
    };
    Ok(Rule::Calendar(Box::new(Calendar::new(minutes, hours, months, days, None)?)))
}

/// The days of a field; `None` where it restricts nothing. A step restricts: `*/10` is days 1, 11, 21 and 31.
fn unix_days(field: &Field, text: &str) -> Result<Option<Vec<i8>>, Invalid> {
    if text.contains('#') || text.eq_ignore_ascii_case("L") || text.ends_with(['W', 'w']) {
        return Err(field.invalid(text, "is AWS's; Unix's cron has no `L`, `W` or `#`: use `cron(...)`"));
    }
    if text == "*" || text == "?" { Ok(None) } else { all_small(field, text).map(Some) }
}

fn all_small(field: &Field, text: &str) -> Result<Vec<i8>, Invalid> {
    field.values(text)?.into_iter().map(|value| small(field, text, value)).collect()
}

fn small(field: &Field, text: &str, value: i16) -> Result<i8, Invalid> {
    i8::try_from(value).map_err(|_| field.invalid(text, "is too large"))
}

/// `rate(value unit)`: the unit is singular for 1, and plural otherwise.
fn rate(inside: &str) -> Result<Rule, Invalid> {
    let hint = "write `rate(1 day)`, `rate(7 days)`, `rate(12 hours)` or `rate(30 minutes)`";
    let fields: Vec<&str> = inside.split_whitespace().collect();
    let &[value, unit] = fields.as_slice() else {
        return Err(invalid("expression", format!("`rate({inside})` is not a value and a unit"), hint));
    };
    let number = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse::<i64>().ok()).flatten();
    let number = number.filter(|number| *number > 0);
    let number = number.ok_or_else(|| invalid("value", format!("`{value}` is not a positive number"), hint))?;
    let (singular, seconds) = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => ("minute", 60),
        "hour" => ("hour", 3600),
        "day" => ("day", 86_400),
        "week" => {
            let hint = format!("write `rate({} days)`", number.saturating_mul(7));
            return Err(invalid("unit", format!("`{unit}` is not minutes, hours or days"), hint));
        }
        _ => return Err(invalid("unit", format!("`{unit}` is not minutes, hours or days"), hint)),
    };
    let right = if number == 1 { singular.to_owned() } else { format!("{singular}s") };
    if unit != right {
        return Err(invalid(
            "unit",
            format!("`{unit}` does not go with {number}"),
            format!("write `{number} {right}`"),
        ));
    }
    let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST_RATE_SECONDS);
    let seconds = seconds.ok_or_else(|| invalid("value", format!("`{value} {unit}` is more than a century"), hint))?;
    Ok(Rule::Every(SignedDuration::from_secs(seconds)))
}
