//! Walks the local calendar, and maps what it finds to instants.

use chrono::{Datelike, TimeZone as _, Timelike, Utc};
use jiff::civil::{Date, DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::Invalid;
use super::days::Days;

/// The last year that AWS takes.
const LAST_YEAR: i16 = 2199;
/// The last year that the `cron` crate knows.
const LAST_YEAR_OF_CRATE: i16 = 2100;
/// The months and days of a year and of the one that comes a century later are the same, except for 2000 and 2100.
const CENTURY: i16 = 100;

/// Times of day, months, days and years.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    pub(super) minutes: Vec<i16>,
    pub(super) hours: Vec<i16>,
    pub(super) months: Vec<i16>,
    pub(super) days: Days,
    /// `None`: every year.
    pub(super) years: Option<Vec<i16>>,
    walk: cron::Schedule,
}

impl Calendar {
    pub(super) fn new(
        minutes: Vec<i16>,
        hours: Vec<i16>,
        months: Vec<i16>,
        days: Days,
        years: Option<Vec<i16>>,
    ) -> Result<Self, Invalid> {
        let list = |values: &[i16]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let expression = format!("0 {} {} * {} * *", list(&minutes), list(&hours), list(&months));
        let walk = expression.parse::<cron::Schedule>().map_err(|error| Invalid {
            field: "expression",
            message: error.to_string(),
            hint: "write it more simply".to_owned(),
        })?;
        Ok(Self { minutes, hours, months, days, years, walk })
    }

    /// The first instant strictly after `after`.
    pub(super) fn next(&self, after: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        let mut local = time_zone.to_datetime(after);
        loop {
            local = self.next_local(local)?;
            let ambiguous = time_zone.to_ambiguous_timestamp(local);
            if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
                continue;
            }
            // In the second of two equal hours the first instant is past: it has fired.
            match ambiguous.earlier() {
                Ok(at) if at > after => return Some(at),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let mut at = after;
        loop {
            let found = self.walk(at)?;
            let day = found.date();
            if day.year() > LAST_YEAR {
                return None;
            }
            if let Some(years) = &self.years
                && !years.contains(&day.year())
            {
                let year = years.iter().find(|year| **year > day.year())?;
                at = last_second(date(*year, 1, 1).checked_sub(1.day()).ok()?);
                continue;
            }
            if self.days.includes(day) {
                return Some(found);
            }
            at = last_second(day);
        }
    }

    /// The next minute of a day that the crate finds, whatever the day.
    fn walk(&self, after: DateTime) -> Option<DateTime> {
        if after.year() <= LAST_YEAR_OF_CRATE
            && let Some(found) = self.walk_crate(after)
        {
            return Some(found);
        }
        let after = after.max(last_second(date(LAST_YEAR_OF_CRATE, 12, 31)));
        let earlier = after.with().year(after.year() - CENTURY).build().ok()?;
        let found = self.walk_crate(earlier)?;
        found.with().year(found.year() + CENTURY).build().ok()
    }

    /// The crate knows dates with a zone only: local times pass as if they were UTC's, which has no gaps.
    fn walk_crate(&self, after: DateTime) -> Option<DateTime> {
        let part = |number: i8| u32::try_from(number).ok();
        let as_if_utc = Utc.with_ymd_and_hms(
            i32::from(after.year()),
            part(after.month())?,
            part(after.day())?,
            part(after.hour())?,
            part(after.minute())?,
            part(after.second())?,
        );
        let found = self.walk.after(&as_if_utc.single()?).next()?;
        let part = |number: u32| i8::try_from(number).ok();
        let day = Date::new(i16::try_from(found.year()).ok()?, part(found.month())?, part(found.day())?).ok()?;
        Some(day.at(part(found.hour())?, part(found.minute())?, 0, 0))
    }
}

fn last_second(day: Date) -> DateTime {
    day.at(23, 59, 59, 0)
}
