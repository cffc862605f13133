//! Compares with an oracle that knows nothing but how to look at every single minute of ten years.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::Schedule;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago"];
const FIRST_YEAR: i16 = 2020;
const LAST_YEAR: i16 = 2029;
const MINUTES_A_DAY: usize = 24 * 60;

/// One day as its place lived it: each minute that its clocks showed, with the instant of the first showing.
struct Day {
    date: Date,
    first_shown: Vec<(u16, i64)>,
}

/// Every minute of ten years, asked of the time zone one by one.
fn days_of(zone: usize) -> &'static [Day] {
    static DAYS: [OnceLock<Vec<Day>>; 6] = [const { OnceLock::new() }; 6];
    DAYS[zone].get_or_init(|| {
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        let start = date(FIRST_YEAR, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
        let end = date(LAST_YEAR + 1, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
        let mut days: Vec<Day> = Vec::new();
        let mut shown = BTreeSet::new();
        // A zone's offset changes at most once in a quarter of an hour, and on its edge.
        for quarter in (start..end).step_by(15 * 60) {
            let local = zone.to_datetime(Timestamp::from_second(quarter).unwrap());
            let of_day = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
            if days.last().is_none_or(|day| day.date != local.date()) {
                days.push(Day { date: local.date(), first_shown: Vec::with_capacity(MINUTES_A_DAY) });
                shown.clear();
            }
            for minute in 0..15 {
                if shown.insert(of_day + minute) {
                    days.last_mut().unwrap().first_shown.push((of_day + minute, quarter + i64::from(minute) * 60));
                }
            }
        }
        days
    })
}

/// A set of a field's values, and one way to write it.
#[derive(Clone, Debug)]
struct Part {
    text: String,
    values: BTreeSet<i16>,
    star: bool,
}

fn part(least: i16, most: i16, wraps: bool) -> impl Strategy<Value = Part> {
    let star = Just(Part { text: "*".to_owned(), values: (least..=most).collect(), star: true });
    let stepped = (1..=30i16).prop_map(move |step| Part {
        text: format!("*/{step}"),
        values: (least..=most).filter(|value| (value - least) % step == 0).collect(),
        star: false,
    });
    let range = (least..=most, least..=most).prop_map(move |(a, b)| {
        let (first, last) = if wraps { (a, b) } else { (a.min(b), a.max(b)) };
        let inside = |value: &i16| match first <= last {
            true => (first..=last).contains(value),
            false => *value >= first || *value <= last,
        };
        Part { text: format!("{first}-{last}"), values: (least..=most).filter(inside).collect(), star: false }
    });
    let list = proptest::collection::btree_set(least..=most, 1..4).prop_map(|values| {
        let text = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        Part { text, values, star: false }
    });
    prop_oneof![2 => star, 1 => stepped, 2 => range, 3 => list]
}

/// The day fields of AWS's dialect.
#[derive(Clone, Debug)]
enum AwsDays {
    Month(Part),
    Week(Part),
    Last,
    LastWorkday,
    Near(i8),
    LastOf(i16),
    Nth(i16, i8),
}

fn aws_days() -> impl Strategy<Value = AwsDays> {
    prop_oneof![
        part(1, 31, true).prop_map(AwsDays::Month),
        part(1, 7, true).prop_map(AwsDays::Week),
        Just(AwsDays::Last),
        Just(AwsDays::LastWorkday),
        (1..=31i8).prop_map(AwsDays::Near),
        (1..=7i16).prop_map(AwsDays::LastOf),
        (1..=7i16, 1..=5i8).prop_map(|(day, nth)| AwsDays::Nth(day, nth)),
    ]
}

impl AwsDays {
    fn text(&self) -> (String, String) {
        let (month, week) = match self {
            Self::Month(part) => (part.text.clone(), "?".to_owned()),
            Self::Week(part) => ("?".to_owned(), part.text.clone()),
            Self::Last => ("L".to_owned(), "?".to_owned()),
            Self::LastWorkday => ("LW".to_owned(), "?".to_owned()),
            Self::Near(day) => (format!("{day}W"), "?".to_owned()),
            Self::LastOf(day) => ("?".to_owned(), format!("{day}L")),
            Self::Nth(day, nth) => ("?".to_owned(), format!("{day}#{nth}")),
        };
        (month, week)
    }

    /// Counted out, day by day, from what the words say.
    fn includes(&self, day: Date) -> bool {
        let month: Vec<Date> = day.first_of_month().series(1.day()).take_while(|d| d.month() == day.month()).collect();
        let number = |day: Date| i16::from(day.weekday().to_sunday_one_offset());
        let workdays: Vec<Date> = month.iter().copied().filter(|day| (2..=6).contains(&number(*day))).collect();
        match self {
            Self::Month(part) => part.values.contains(&i16::from(day.day())),
            Self::Week(part) => part.values.contains(&number(day)),
            Self::Last => month.last() == Some(&day),
            Self::LastWorkday => workdays.last() == Some(&day),
            Self::Near(wanted) => month.iter().find(|day| day.day() == *wanted).is_some_and(|wanted| {
                let distance = |day: &Date| (day.day() - wanted.day()).abs();
                workdays.iter().min_by_key(|day| distance(day)) == Some(&day)
            }),
            Self::LastOf(weekday) => month.iter().rfind(|day| number(**day) == *weekday) == Some(&day),
            Self::Nth(weekday, nth) => {
                let nth = usize::try_from(*nth - 1).unwrap();
                month.iter().filter(|day| number(**day) == *weekday).nth(nth) == Some(&day)
            }
        }
    }
}

/// When it fires in ten years, from where one starts to look.
fn compare(text: &str, zone: usize, start: i64, hours: &Part, minutes: &Part, on: impl Fn(Date) -> bool) {
    let schedule = Schedule::parse(text).unwrap();
    let time_zone = TimeZone::get(ZONES[zone]).unwrap();
    let start = days_of(zone)[0].first_shown[0].1 + start;
    let mut expected = Vec::new();
    for day in days_of(zone).iter().filter(|day| on(day.date)) {
        for (of_day, at) in &day.first_shown {
            let of_day = i16::try_from(*of_day).unwrap();
            if hours.values.contains(&(of_day / 60)) && minutes.values.contains(&(of_day % 60)) {
                expected.push(*at);
            }
        }
    }
    // What is dense is looked at from the start and around every change of the clocks.
    let mut from = vec![start];
    let end = i64::from(u32::MAX);
    from.extend(
        time_zone.following(Timestamp::from_second(start).unwrap()).map(|t| t.timestamp().as_second() - 9000).take(20),
    );
    for from in from.into_iter().filter(|from| *from >= start && *from < end) {
        let at = expected.partition_point(|at| *at <= from);
        let expected = &expected[at..expected.len().min(at + 80)];
        let found = schedule.upcoming(Timestamp::from_second(from).unwrap(), &time_zone).take(expected.len());
        let found: Vec<i64> = found.map(Timestamp::as_second).collect();
        assert_eq!(found, expected, "`{text}` in {} from {from}", ZONES[zone]);
    }
}

/// Somewhere in the first nine of the ten years.
fn start() -> impl Strategy<Value = i64> {
    0..9 * 365 * 86_400i64
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn aws_fires_when_the_oracle_says(
        zone in 0..ZONES.len(), start in start(), minutes in part(0, 59, true), hours in part(0, 23, true),
        months in part(1, 12, true), days in aws_days(),
    ) {
        let (of_month, of_week) = days.text();
        let text = format!("cron({} {} {of_month} {} {of_week} *)", minutes.text, hours.text, months.text);
        compare(&text, zone, start, &hours, &minutes, |day| {
            months.values.contains(&i16::from(day.month())) && days.includes(day)
        });
    }

    #[test]
    fn unix_fires_when_the_oracle_says(
        zone in 0..ZONES.len(), start in start(), minutes in part(0, 59, false), hours in part(0, 23, false),
        months in part(1, 12, false), of_month in part(1, 31, false), of_week in part(0, 6, false),
    ) {
        let text = format!("{} {} {} {} {}", minutes.text, hours.text, of_month.text, months.text, of_week.text);
        compare(&text, zone, start, &hours, &minutes, |day| {
            let month = of_month.values.contains(&i16::from(day.day()));
            let week = of_week.values.contains(&i16::from(day.weekday().to_sunday_zero_offset()));
            let either = if of_month.star || of_week.star { month && week } else { month || week };
            months.values.contains(&i16::from(day.month())) && either
        });
    }

    #[test]
    fn a_rate_is_never_off_its_grid(minutes in 2..100_000i64, gone in 0..4_000_000_000i64) {
        let schedule = Schedule::parse(&format!("rate({minutes} minutes)")).unwrap();
        let anchor = Timestamp::from_second(1_600_000_000).unwrap();
        let after = anchor.checked_add(SignedDuration::from_secs(gone)).unwrap();
        let next = schedule.next(after, anchor, &TimeZone::UTC).unwrap();
        prop_assert!(next > after && next.duration_since(after).as_secs() <= minutes * 60);
        prop_assert_eq!(next.duration_since(anchor).as_secs() % (minutes * 60), 0);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z@()*/,#?LW0-9 -]{0,40}") {
        if let Ok(schedule) = Schedule::parse(&text) {
            let from = Timestamp::from_second(1_700_000_000).unwrap();
            let _ = schedule.upcoming(from, &TimeZone::UTC).take(3).count();
        }
    }
}
