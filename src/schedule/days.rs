//! Which days a schedule fires on.

use jiff::civil::{Date, Weekday};

/// A rule for days. Weekdays are numbered from Sunday = 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// Every day.
    All,
    /// These days of the month.
    OfMonth(Vec<i8>),
    /// The last day of the month.
    Last,
    /// The last day of the month from Monday to Friday.
    LastWorkday,
    /// The day from Monday to Friday that is nearest to this day of the same month. No such day, no firing.
    NearestWorkday(i8),
    /// These days of the week.
    OfWeek(Vec<i8>),
    /// The last such day of the month.
    LastOfWeek(i8),
    /// The second, say, such day of the month.
    Nth(i8, i8),
    /// Unix: where both fields are restricted, either is enough.
    Either(Vec<i8>, Vec<i8>),
}

impl Days {
    pub(super) fn includes(&self, date: Date) -> bool {
        match self {
            Self::All => true,
            Self::OfMonth(days) => days.contains(&date.day()),
            Self::Last => date.day() == date.days_in_month(),
            Self::LastWorkday => date == workday_near(date.last_of_month()),
            Self::NearestWorkday(day) => date.with().day(*day).build().is_ok_and(|wanted| date == workday_near(wanted)),
            Self::OfWeek(days) => days.contains(&weekday(date)),
            Self::LastOfWeek(day) => weekday(date) == *day && date.day() + 7 > date.days_in_month(),
            Self::Nth(day, nth) => weekday(date) == *day && (date.day() - 1) / 7 + 1 == *nth,
            Self::Either(of_month, of_week) => of_month.contains(&date.day()) || of_week.contains(&weekday(date)),
        }
    }
}

fn weekday(date: Date) -> i8 {
    date.weekday().to_sunday_zero_offset()
}

/// The nearest day from Monday to Friday in the same month.
fn workday_near(date: Date) -> Date {
    let shift: i8 = match date.weekday() {
        Weekday::Saturday if date.day() == 1 => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if date.day() == date.days_in_month() => -2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    date.with().day(date.day() + shift).build().unwrap_or(date)
}
