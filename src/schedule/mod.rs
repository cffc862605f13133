//! Schedules as people write them, and when they fire next. Pure: nothing here reads a clock.
//!
//! AWS's `cron(...)` and `rate(...)`, Unix's five fields, and `@weekly` and its kin. Fields are checked here, by each
//! dialect's own rules; the `cron` crate then walks minutes, hours and months, and [`days`] says which days count. All of
//! that happens on the local calendar; only then is a local time mapped to an instant: a time that does not exist is
//! skipped, and one that exists twice fires once, at the first.
//!
//! Sources: the schedule pages of the Amazon EventBridge and EventBridge Scheduler user guides; crontab(5).

mod calendar;
mod days;
mod describe;
mod field;
mod parse;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use calendar::Calendar;

/// Whose rules an expression follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `cron(...)` with six fields.
    AwsCron,
    /// Five fields, or a nickname such as `@weekly`.
    UnixCron,
    /// `rate(...)`.
    Rate,
}

impl Dialect {
    /// The fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsCron => "aws-cron",
            Self::UnixCron => "unix-cron",
            Self::Rate => "rate",
        }
    }
}

/// Why an expression is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The field, such as `hour`, or `expression` where it is the whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// What to write where `name` is no time zone.
#[must_use]
pub fn zone_hint(name: &str) -> String {
    let names: Vec<_> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    let write = || "write an IANA name such as `Europe/Dublin` or `UTC`".to_owned();
    crate::text::did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(write)
}

/// A valid schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    dialect: Dialect,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Calendar(Box<Calendar>),
    Every(SignedDuration),
}

impl Schedule {
    /// Reads an expression in any of the dialects.
    ///
    /// # Errors
    /// With the field that its dialect does not allow.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let (dialect, rule) = parse::expression(text)?;
        Ok(Self { text: text.to_owned(), dialect, rule })
    }

    /// Whose rules it follows.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The first time strictly after `after`, on the calendar of `time_zone`; `None` where it never fires again.
    ///
    /// A rate counts from `anchor`; a calendar does not need one.
    #[must_use]
    pub fn next(&self, after: Timestamp, anchor: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        match &self.rule {
            Rule::Calendar(calendar) => calendar.next(after, time_zone),
            Rule::Every(interval) => {
                let gone = after.duration_since(anchor).as_nanos();
                let periods = if gone < 0 { 1 } else { gone / interval.as_nanos() + 1 };
                let nanos = anchor.as_nanosecond().checked_add(periods.checked_mul(interval.as_nanos())?)?;
                Timestamp::from_nanosecond(nanos).ok()
            }
        }
    }

    /// The times strictly after `from`, which is also the anchor of a rate.
    pub fn upcoming<'s>(&'s self, from: Timestamp, time_zone: &'s TimeZone) -> impl Iterator<Item = Timestamp> + 's {
        std::iter::successors(self.next(from, from, time_zone), move |at| self.next(*at, from, time_zone))
    }

    /// What it means, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.rule {
            Rule::Calendar(calendar) => describe::calendar(calendar),
            Rule::Every(interval) => describe::interval(*interval),
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tables;
