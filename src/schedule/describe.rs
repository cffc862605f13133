//! Schedules in words.

use std::fmt::Write;

use jiff::SignedDuration;

use super::calendar::Calendar;
use super::days::Days;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// Up to so many times of day are named one by one.
const TIMES_NAMED: usize = 6;

pub(super) fn interval(interval: SignedDuration) -> String {
    let minutes = interval.as_secs() / 60;
    match minutes {
        1 => "every minute".to_owned(),
        60 => "every hour".to_owned(),
        1440 => "every 24 hours".to_owned(),
        _ if minutes % 1440 == 0 => format!("every {} days of 24 hours", minutes / 1440),
        _ if minutes % 60 == 0 => format!("every {} hours", minutes / 60),
        _ => format!("every {minutes} minutes"),
    }
}

pub(super) fn calendar(calendar: &Calendar) -> String {
    let mut text = format!("{} {}", times(calendar), days(&calendar.days));
    if calendar.months.len() < 12 {
        let names: Vec<_> = calendar.months.iter().map(|month| name(&MONTHS, month - 1)).collect();
        let _ = write!(text, " in {}", series(&names));
    }
    if let Some(years) = &calendar.years {
        let years: Vec<_> = spans(years);
        let _ = write!(text, ", {} only", series(&years));
    }
    text
}

fn times(calendar: &Calendar) -> String {
    let (minutes, hours) = (&calendar.minutes, &calendar.hours);
    if minutes.len() * hours.len() <= TIMES_NAMED {
        let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")));
        return format!("at {}", series(&times.collect::<Vec<_>>()));
    }
    let minutes = match minutes.len() {
        60 => "every minute".to_owned(),
        1 => format!("at minute {}", minutes[0]),
        _ => format!("at minutes {}", series(&spans(minutes))),
    };
    match hours.len() {
        24 => format!("{minutes} of every hour"),
        _ => format!("{minutes} of the hours {}", series(&spans(hours))),
    }
}

fn days(days: &Days) -> String {
    let of_month = |days: &[i8]| {
        let days: Vec<i16> = days.iter().map(|day| i16::from(*day)).collect();
        let plural = if days.len() == 1 { "" } else { "s" };
        format!("day{plural} {} of the month", series(&spans(&days)))
    };
    let of_week = |days: &[i8]| {
        let names: Vec<_> = days.iter().map(|day| name(&WEEKDAYS, i16::from(*day))).collect();
        series(&names)
    };
    match days {
        Days::All => "every day".to_owned(),
        Days::OfMonth(days) => format!("on {}", of_month(days)),
        Days::Last => "on the last day of the month".to_owned(),
        Days::LastWorkday => "on the last weekday (Monday to Friday) of the month".to_owned(),
        Days::NearestWorkday(day) => format!("on the weekday (Monday to Friday) nearest to day {day} of the month"),
        Days::OfWeek(days) => format!("on {}", of_week(days)),
        Days::LastOfWeek(day) => format!("on the last {} of the month", name(&WEEKDAYS, i16::from(*day))),
        Days::Nth(day, nth) => {
            format!("on the {} {} of the month", name(&ORDINALS, i16::from(*nth) - 1), name(&WEEKDAYS, (*day).into()))
        }
        Days::Either(month, week) => format!("on {}, and on every {}", of_month(month), of_week(week)),
    }
}

fn name(names: &[&str], at: i16) -> String {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default().to_owned()
}

/// `1-5`, `8`: sorted values, with neighbours drawn together.
fn spans(values: &[i16]) -> Vec<String> {
    let mut spans: Vec<(i16, i16)> = Vec::new();
    for value in values {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *value => *last = *value,
            _ => spans.push((*value, *value)),
        }
    }
    spans
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect()
}

/// `a, b and c`.
fn series(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}
