//! What others say that schedules mean: tables of robfig/cron (MIT) and gorhill/cronexpr (Apache-2.0), turned into our
//! dialects; the examples of the EventBridge user guide; and what each dialect rejects.
//!
//! Left out: rows with seconds, full weekday names, and rows of the repeated hour, in which robfig fires twice.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Schedule;

const ROBFIG_FIRES: [(&str, &str, bool); 29] = [
    ("0/15 * * * *", "2012-07-09T15:00:00Z", true),
    ("0/15 * * * *", "2012-07-09T15:45:00Z", true),
    ("0/15 * * * *", "2012-07-09T15:40:00Z", false),
    ("5/15 * * * *", "2012-07-09T15:05:00Z", true),
    ("5/15 * * * *", "2012-07-09T15:20:00Z", true),
    ("5/15 * * * *", "2012-07-09T15:50:00Z", true),
    ("0/15 * * Jul *", "2012-07-15T15:00:00Z", true),
    ("0/15 * * Jun *", "2012-07-15T15:00:00Z", false),
    ("30 08 ? Jul Sun", "2012-07-15T08:30:00Z", true),
    ("30 08 15 Jul ?", "2012-07-15T08:30:00Z", true),
    ("30 08 ? Jul Sun", "2012-07-16T08:30:00Z", false),
    ("30 08 15 Jul ?", "2012-07-16T08:30:00Z", false),
    ("@hourly", "2012-07-09T15:00:00Z", true),
    ("@hourly", "2012-07-09T15:04:00Z", false),
    ("@daily", "2012-07-09T15:00:00Z", false),
    ("@daily", "2012-07-09T00:00:00Z", true),
    ("@weekly", "2012-07-09T00:00:00Z", false),
    ("@weekly", "2012-07-08T00:00:00Z", true),
    ("@weekly", "2012-07-08T01:00:00Z", false),
    ("@monthly", "2012-07-08T00:00:00Z", false),
    ("@monthly", "2012-07-01T00:00:00Z", true),
    ("* * 1,15 * Sun", "2012-07-15T00:00:00Z", true),
    ("* * 1,15 * Sun", "2012-06-15T00:00:00Z", true),
    ("* * 1,15 * Sun", "2012-08-01T00:00:00Z", true),
    ("* * */10 * Sun", "2012-07-15T00:00:00Z", true),
    ("* * * * Mon", "2012-07-15T00:00:00Z", false),
    ("* * 1,15 * *", "2012-07-09T00:00:00Z", false),
    ("* * 1,15 * *", "2012-07-15T00:00:00Z", true),
    ("* * */2 * Sun", "2012-07-15T00:00:00Z", true),
];

const ROBFIG_NEXT: [(&str, &str, &str, &str); 51] = [
    ("0/15 * * * *", "UTC", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"),
    ("0/15 * * * *", "UTC", "2012-07-09T14:59:00Z", "2012-07-09T15:00:00Z"),
    ("0/15 * * * *", "UTC", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"),
    ("20-35/15 * * * *", "UTC", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z"),
    ("*/15 * * * *", "UTC", "2012-07-09T23:46:00Z", "2012-07-10T00:00:00Z"),
    ("20-35/15 * * * *", "UTC", "2012-07-09T23:45:00Z", "2012-07-10T00:20:00Z"),
    ("0 0 9 Apr-Oct ?", "UTC", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z"),
    ("0 0 */5 Apr,Aug,Oct Mon", "UTC", "2012-07-09T23:35:00Z", "2012-08-01T00:00:00Z"),
    ("0 0 */5 Oct Mon", "UTC", "2012-07-09T23:35:00Z", "2012-10-01T00:00:00Z"),
    ("0 0 * Feb Mon", "UTC", "2012-07-09T23:35:00Z", "2013-02-04T00:00:00Z"),
    ("0 0 * Feb Mon/2", "UTC", "2012-07-09T23:35:00Z", "2013-02-01T00:00:00Z"),
    ("* * * * *", "UTC", "2012-12-31T23:59:45Z", "2013-01-01T00:00:00Z"),
    ("0 0 29 Feb ?", "UTC", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00Z"),
    ("30 2 11 Mar ?", "America/New_York", "2012-03-11T00:00:00-05:00", "2013-03-11T02:30:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T00:00:00-05:00", "2012-03-11T01:00:00-05:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T03:00:00-04:00", "2012-03-11T04:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T04:00:00-04:00", "2012-03-11T05:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T00:00:00-05:00", "2012-03-11T01:00:00-05:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T03:00:00-04:00", "2012-03-11T04:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-03-11T04:00:00-04:00", "2012-03-11T05:00:00-04:00"),
    ("0 1 * * ?", "America/New_York", "2012-03-11T00:00:00-05:00", "2012-03-11T01:00:00-05:00"),
    ("0 1 * * ?", "America/New_York", "2012-03-11T01:00:00-05:00", "2012-03-12T01:00:00-04:00"),
    ("0 2 * * ?", "America/New_York", "2012-03-11T00:00:00-05:00", "2012-03-12T02:00:00-04:00"),
    ("30 2 04 Nov ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T02:30:00-05:00"),
    ("0 * * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-11-04T01:00:00-05:00", "2012-11-04T02:00:00-05:00"),
    ("0 1 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00:00-04:00"),
    ("0 1 * * ?", "America/New_York", "2012-11-04T01:00:00-05:00", "2012-11-05T01:00:00-05:00"),
    ("0 2 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T02:00:00-05:00"),
    ("0 2 * * ?", "America/New_York", "2012-11-04T02:00:00-05:00", "2012-11-05T02:00:00-05:00"),
    ("0 3 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T03:00:00-05:00"),
    ("0 3 * * ?", "America/New_York", "2012-11-04T03:00:00-05:00", "2012-11-05T03:00:00-05:00"),
    ("0 * * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00:00-04:00"),
    ("0 * * * ?", "America/New_York", "2012-11-04T01:00:00-05:00", "2012-11-04T02:00:00-05:00"),
    ("0 1 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00:00-04:00"),
    ("0 1 * * ?", "America/New_York", "2012-11-04T01:00:00-05:00", "2012-11-05T01:00:00-05:00"),
    ("0 2 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T02:00:00-05:00"),
    ("0 2 * * ?", "America/New_York", "2012-11-04T02:00:00-05:00", "2012-11-05T02:00:00-05:00"),
    ("0 3 * * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-11-04T03:00:00-05:00"),
    ("0 3 * * ?", "America/New_York", "2012-11-04T03:00:00-05:00", "2012-11-05T03:00:00-05:00"),
    ("0 0 30 Feb ?", "UTC", "2012-07-09T23:35:00Z", ""),
    ("0 0 31 Apr ?", "UTC", "2012-07-09T23:35:00Z", ""),
    ("0 3 3 * ?", "America/New_York", "2012-11-04T00:00:00-04:00", "2012-12-03T03:00:00-05:00"),
    ("0 9 10 * ?", "America/Sao_Paulo", "2018-10-17T05:00:00-04:00", "2018-11-10T06:00:00-05:00"),
    ("0 9 22 * ?", "America/Sao_Paulo", "2018-02-14T05:00:00-05:00", "2018-02-22T07:00:00-05:00"),
    ("14 14 * * *", "Asia/Kolkata", "2016-01-03T13:09:03+05:30", "2016-01-03T14:14:00+05:30"),
    ("14 14 * * ?", "Asia/Kolkata", "2016-01-03T04:09:03+05:30", "2016-01-03T14:14:00+05:30"),
    ("14 14 * * *", "Asia/Kolkata", "2016-01-03T14:09:03+05:30", "2016-01-03T14:14:00+05:30"),
    ("14 14 * * ?", "Asia/Kolkata", "2016-01-03T14:00:00+05:30", "2016-01-03T14:14:00+05:30"),
];

const GORHILL_NEXT: [(&str, &str, &str); 44] = [
    ("* * * * *", "2013-01-01T00:00:00Z", "2013-01-01T00:01:00Z"),
    ("* * * * *", "2013-01-01T00:00:59Z", "2013-01-01T00:01:00Z"),
    ("* * * * *", "2013-01-01T00:59:00Z", "2013-01-01T01:00:00Z"),
    ("* * * * *", "2013-01-01T23:59:00Z", "2013-01-02T00:00:00Z"),
    ("* * * * *", "2013-02-28T23:59:00Z", "2013-03-01T00:00:00Z"),
    ("* * * * *", "2016-02-28T23:59:00Z", "2016-02-29T00:00:00Z"),
    ("* * * * *", "2012-12-31T23:59:00Z", "2013-01-01T00:00:00Z"),
    ("17-43/5 * * * *", "2013-01-01T00:00:00Z", "2013-01-01T00:17:00Z"),
    ("17-43/5 * * * *", "2013-01-01T00:16:59Z", "2013-01-01T00:17:00Z"),
    ("17-43/5 * * * *", "2013-01-01T00:30:00Z", "2013-01-01T00:32:00Z"),
    ("17-43/5 * * * *", "2013-01-01T00:50:00Z", "2013-01-01T01:17:00Z"),
    ("17-43/5 * * * *", "2013-01-01T23:50:00Z", "2013-01-02T00:17:00Z"),
    ("17-43/5 * * * *", "2013-02-28T23:50:00Z", "2013-03-01T00:17:00Z"),
    ("17-43/5 * * * *", "2016-02-28T23:50:00Z", "2016-02-29T00:17:00Z"),
    ("17-43/5 * * * *", "2012-12-31T23:50:00Z", "2013-01-01T00:17:00Z"),
    ("15-30/4,55 * * * *", "2013-01-01T00:00:00Z", "2013-01-01T00:15:00Z"),
    ("15-30/4,55 * * * *", "2013-01-01T00:16:00Z", "2013-01-01T00:19:00Z"),
    ("15-30/4,55 * * * *", "2013-01-01T00:30:00Z", "2013-01-01T00:55:00Z"),
    ("15-30/4,55 * * * *", "2013-01-01T00:55:00Z", "2013-01-01T01:15:00Z"),
    ("15-30/4,55 * * * *", "2013-01-01T23:55:00Z", "2013-01-02T00:15:00Z"),
    ("15-30/4,55 * * * *", "2013-02-28T23:55:00Z", "2013-03-01T00:15:00Z"),
    ("15-30/4,55 * * * *", "2016-02-28T23:55:00Z", "2016-02-29T00:15:00Z"),
    ("15-30/4,55 * * * *", "2012-12-31T23:54:00Z", "2012-12-31T23:55:00Z"),
    ("15-30/4,55 * * * *", "2012-12-31T23:55:00Z", "2013-01-01T00:15:00Z"),
    ("0 0 * * MON", "2013-01-01T00:00:00Z", "2013-01-07T00:00:00Z"),
    ("0 0 * * MON", "2013-01-28T00:00:00Z", "2013-02-04T00:00:00Z"),
    ("0 0 * * MON", "2013-12-30T00:30:00Z", "2014-01-06T00:00:00Z"),
    ("0 0 * * 6,7", "2013-01-01T00:00:00Z", "2013-01-05T00:00:00Z"),
    ("0 0 * * 6,7", "2013-01-28T00:00:00Z", "2013-02-02T00:00:00Z"),
    ("0 0 * * 6,7", "2013-12-30T00:30:00Z", "2014-01-04T00:00:00Z"),
    ("cron(0 0 ? * 7#5 *)", "2013-09-02T00:00:00Z", "2013-11-30T00:00:00Z"),
    ("cron(0 0 14W * ? *)", "2013-03-31T00:00:00Z", "2013-04-15T00:00:00Z"),
    ("cron(0 0 14W * ? *)", "2013-08-31T00:00:00Z", "2013-09-13T00:00:00Z"),
    ("cron(0 0 30W * ? *)", "2013-03-02T00:00:00Z", "2013-03-29T00:00:00Z"),
    ("cron(0 0 30W * ? *)", "2013-06-02T00:00:00Z", "2013-06-28T00:00:00Z"),
    ("cron(0 0 30W * ? *)", "2013-09-02T00:00:00Z", "2013-09-30T00:00:00Z"),
    ("cron(0 0 30W * ? *)", "2013-11-02T00:00:00Z", "2013-11-29T00:00:00Z"),
    ("cron(0 0 L * ? *)", "2013-09-02T00:00:00Z", "2013-09-30T00:00:00Z"),
    ("cron(0 0 L * ? *)", "2014-01-01T00:00:00Z", "2014-01-31T00:00:00Z"),
    ("cron(0 0 L * ? *)", "2014-02-01T00:00:00Z", "2014-02-28T00:00:00Z"),
    ("cron(0 0 L * ? *)", "2016-02-15T00:00:00Z", "2016-02-29T00:00:00Z"),
    ("cron(0 0 LW * ? *)", "2013-09-02T00:00:00Z", "2013-09-30T00:00:00Z"),
    ("cron(0 0 LW * ? *)", "2013-11-02T00:00:00Z", "2013-11-29T00:00:00Z"),
    ("cron(0 0 LW * ? *)", "2014-08-15T00:00:00Z", "2014-08-29T00:00:00Z"),
];

/// The expression, a time zone, when to look from, and the next times as that place's clocks show them.
const AWS_NEXT: [(&str, &str, &str, &[&str]); 22] = [
    ("cron(0 10 * * ? *)", "UTC", "2026-11-20T10:00:00Z", &["2026-11-21T10:00", "2026-11-22T10:00"]),
    ("cron(15 12 * * ? *)", "UTC", "2026-11-20T00:00:00Z", &["2026-11-20T12:15"]),
    ("cron(0 18 ? * MON-FRI *)", "UTC", "2026-11-20T18:00:00Z", &["2026-11-23T18:00", "2026-11-24T18:00"]),
    ("cron(0 8 1 * ? *)", "UTC", "2026-11-20T00:00:00Z", &["2026-12-01T08:00", "2027-01-01T08:00"]),
    ("cron(0/15 * * * ? *)", "UTC", "2026-11-20T23:31:00Z", &["2026-11-20T23:45", "2026-11-21T00:00"]),
    ("cron(0/10 * ? * MON-FRI *)", "UTC", "2026-11-20T23:50:00Z", &["2026-11-23T00:00", "2026-11-23T00:10"]),
    ("cron(0/5 8-17 ? * MON-FRI *)", "UTC", "2026-11-20T17:50:00Z", &["2026-11-20T17:55", "2026-11-23T08:00"]),
    ("cron(0/30 20-2 ? * MON-FRI *)", "UTC", "2026-11-20T02:00:00Z", &["2026-11-20T02:30", "2026-11-20T20:00"]),
    ("cron(0/30 20-2 ? * MON-FRI *)", "UTC", "2026-11-20T23:30:00Z", &["2026-11-23T00:00", "2026-11-23T00:30"]),
    ("cron(0 12 * * ? *)", "UTC", "2026-11-20T00:00:00Z", &["2026-11-20T12:00"]),
    ("cron(5,35 14 * * ? *)", "UTC", "2026-11-20T14:05:00Z", &["2026-11-20T14:35", "2026-11-21T14:05"]),
    ("cron(15 10 ? * 6L 2019-2022)", "UTC", "2022-11-01T00:00:00Z", &["2022-11-25T10:15", "2022-12-30T10:15", "never"]),
    ("cron(15 10 ? * 6L 2019-2022)", "UTC", "2017-03-01T00:00:00Z", &["2019-01-25T10:15"]),
    ("cron(0 6 ? * MON *)", "Europe/Dublin", "2026-10-20T00:00:00Z", &["2026-10-26T06:00", "2026-11-02T06:00"]),
    // 2027-03-28: one o'clock becomes two in Dublin. 2027-10-31: two becomes one.
    ("cron(30 1 * * ? *)", "Europe/Dublin", "2027-03-27T02:00:00Z", &["2027-03-29T01:30"]),
    ("cron(30 1 * * ? *)", "Europe/Dublin", "2027-10-30T23:00:00Z", &["2027-10-31T01:30", "2027-11-01T01:30"]),
    ("cron(0 0 29 2 ? *)", "UTC", "2097-01-01T00:00:00Z", &["2104-02-29T00:00", "2108-02-29T00:00"]),
    ("cron(0 0 31 12 ? 2199)", "UTC", "2026-01-01T00:00:00Z", &["2199-12-31T00:00", "never"]),
    ("cron(0 0 30 2 ? *)", "UTC", "2026-01-01T00:00:00Z", &["never"]),
    ("cron(0 0 ? * L *)", "UTC", "2026-11-20T00:00:00Z", &["2026-11-21T00:00", "2026-11-28T00:00"]),
    ("cron(0 0 ? * FRI-MON *)", "UTC", "2026-11-19T00:00:00Z", &["2026-11-20T00:00", "2026-11-21T00:00"]),
    ("cron(0 0 31W * ? *)", "UTC", "2026-11-01T00:00:00Z", &["2026-12-31T00:00", "2027-01-29T00:00"]),
];

/// What is not valid, and the field that is named for it.
const INVALID: [(&str, &str); 44] = [
    ("", "expression"),
    ("xyz", "expression"),
    ("* * * *", "expression"),
    ("0 0 * * * *", "expression"),
    ("60 * * * *", "minute"),
    ("* 24 * * *", "hour"),
    ("* * 0 * *", "day-of-month"),
    ("* * 32 * *", "day-of-month"),
    ("* * * 13 *", "month"),
    ("* * * * 8", "day-of-week"),
    ("0 0 * * XYZ", "day-of-week"),
    ("0 0 L * *", "day-of-month"),
    ("0 0 * * 2#1", "day-of-week"),
    ("5--5 * * * *", "minute"),
    ("*/-12 * * * *", "minute"),
    ("*//2 * * * *", "minute"),
    ("*/0 * * * *", "minute"),
    ("2-x * * * *", "minute"),
    ("5-3 * * * *", "minute"),
    ("0 0 * jan-x *", "month"),
    ("@unrecognized", "expression"),
    ("@reboot", "expression"),
    ("@every 1h", "expression"),
    ("cron(0 6 * * MON *)", "day-of-week"),
    ("cron(0 6 ? * ? *)", "day-of-week"),
    ("cron(0 6 * * * *)", "day-of-week"),
    ("cron(0 6 ? * MON)", "expression"),
    ("cron(0 0 6 ? * MON *)", "expression"),
    ("cron(60 6 ? * MON *)", "minute"),
    ("cron(0 24 ? * MON *)", "hour"),
    ("cron(0 6 ? * 0 *)", "day-of-week"),
    ("cron(0 6 ? * 8 *)", "day-of-week"),
    ("cron(0 6 ? * 3#1,6#3 *)", "day-of-week"),
    ("cron(0 6 ? * 3#6 *)", "day-of-week"),
    ("cron(0 6 32W * ? *)", "day-of-month"),
    ("cron(0 6 3W,5 * ? *)", "day-of-month"),
    ("cron(0 6 1 * ? 1969)", "year"),
    ("cron(0 6 1 * ? 2200)", "year"),
    ("cron(0/0 6 1 * ? *)", "minute"),
    ("rate(0 minutes)", "value"),
    ("rate(1 minutes)", "unit"),
    ("rate(5 minute)", "unit"),
    ("rate(5 weeks)", "unit"),
    ("at(2026-11-20T13:00:00)", "expression"),
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

#[test]
fn robfig_says_when_it_fires() {
    for (text, at, fires) in ROBFIG_FIRES {
        let at: Timestamp = at.parse().unwrap();
        let before = at.checked_sub(SignedDuration::from_secs(1)).unwrap();
        let next = Schedule::parse(text).unwrap().next(before, before, &TimeZone::UTC);
        assert_eq!(next == Some(at), fires, "`{text}` at {at}: {next:?}");
    }
}

#[test]
fn robfig_says_when_it_fires_next() {
    for (text, place, from, next) in ROBFIG_NEXT {
        let from: Timestamp = from.parse().unwrap();
        let found = Schedule::parse(text).unwrap().next(from, from, &zone(place));
        assert_eq!(found, next.parse().ok(), "`{text}` in {place} after {from}");
    }
}

#[test]
fn gorhill_says_when_it_fires_next() {
    for (text, from, next) in GORHILL_NEXT {
        let from: Timestamp = from.parse().unwrap();
        let found = Schedule::parse(text).unwrap().next(from, from, &TimeZone::UTC);
        assert_eq!(found, Some(next.parse().unwrap()), "`{text}` after {from}");
    }
}

#[test]
fn aws_says_when_it_fires() {
    for (text, place, from, expected) in AWS_NEXT {
        let (schedule, place) = (Schedule::parse(text).unwrap(), zone(place));
        let mut upcoming = schedule.upcoming(from.parse().unwrap(), &place);
        for wanted in expected {
            let found = upcoming.next().map(|at| place.to_datetime(at));
            assert_eq!(found, wanted.parse::<DateTime>().ok(), "`{text}` after {from}");
        }
    }
}

#[test]
fn a_rate_counts_from_its_anchor() {
    for (text, from, next) in [
        ("rate(1 minute)", "2026-11-20T00:00:00Z", "2026-11-20T00:01:00Z"),
        ("rate(5 minutes)", "2026-11-20T00:00:00Z", "2026-11-20T00:05:00Z"),
        ("rate(1 hour)", "2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z"),
        ("rate(1 day)", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
    ] {
        let from: Timestamp = from.parse().unwrap();
        let found = Schedule::parse(text).unwrap().next(from, from, &TimeZone::UTC);
        assert_eq!(found, Some(next.parse().unwrap()), "`{text}`");
    }
    let (anchor, later) = ("2026-11-20T00:00:07Z".parse().unwrap(), "2026-12-01T12:00:00Z".parse().unwrap());
    let found = Schedule::parse("rate(7 days)").unwrap().next(later, anchor, &TimeZone::UTC);
    assert_eq!(found, Some("2026-12-04T00:00:07Z".parse().unwrap()));
}

#[test]
fn what_a_dialect_rejects_names_the_field() {
    for (text, field) in INVALID {
        let error = Schedule::parse(text).expect_err(text);
        assert_eq!(error.field, field, "`{text}`: {error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn a_schedule_is_put_in_words() {
    for (text, words) in [
        ("cron(0 6 ? * MON *)", "at 06:00 on Monday"),
        ("0 0 1,15 * Sun", "at 00:00 on days 1 and 15 of the month, and on every Sunday"),
        (
            "cron(0/30 20-2 ? * MON-FRI *)",
            "at minutes 0 and 30 of the hours 0-2 and 20-23 on Monday, Tuesday, Wednesday, \
          Thursday and Friday",
        ),
        ("cron(15 10 ? * 6L 2019-2022)", "at 10:15 on the last Friday of the month, 2019-2022 only"),
        ("rate(7 days)", "every 7 days of 24 hours"),
    ] {
        assert_eq!(Schedule::parse(text).unwrap().describe(), words);
    }
}
