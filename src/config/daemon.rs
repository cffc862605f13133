//! `[daemon]` and `[state]`, and timetables wherever they stand.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::notify::refuse_plain_http;
use super::problem::shown;
use super::reader::Section;
use crate::estate::{Address, Daemon, Database, Missed, State, StateLocation, ZonedSchedule};
use crate::schedule::{Schedule, zone_hint};

const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9464);
const DEFAULT_MISSED_AFTER: Duration = Duration::from_mins(15);
const DEFAULT_PARALLEL: u64 = 2;
const MAX_PARALLEL: u64 = 20;
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
const DEFAULT_REAP: &str = "rate(1 hour)";
const DEFAULT_LEASE: Duration = Duration::from_mins(2);
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_hours(1);
const EXPRESSIONS: &str = "see `drctl schedule` for what an expression means";

/// A time zone with its IANA name.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone, String);

pub(super) fn utc() -> Zone {
    Zone(TimeZone::UTC, "UTC".to_owned())
}

/// The zone that people of this estate live in: the one that is written, else the one that all schedules name, else UTC.
pub(super) fn common_zone(daemon: Option<&Section<'_, '_>>, zone: &Zone, databases: &[Database]) -> TimeZone {
    let mut zones = databases.iter().filter_map(|database| database.test.timetable.as_ref()).map(|table| &table.zone);
    let first = zones.next().filter(|_| !daemon.is_some_and(|section| section.has("timezone")));
    first.filter(|first| zones.all(|zone| zone == *first)).unwrap_or(&zone.0).clone()
}

fn parse_zone(section: &Section<'_, '_>) -> Option<Zone> {
    let name = section.text("timezone")?;
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        section.report_text("timezone", &name, "is no time zone", zone_hint(&name));
    }
    Some(Zone(zone?, name))
}

/// The zone that schedules are read in where they name none.
pub(super) fn zone(section: &Section<'_, '_>) -> Zone {
    parse_zone(section).unwrap_or_else(utc)
}

/// The schedule under `key`, in the `timezone` beside it, or in `default`.
pub(super) fn timetable(section: &Section<'_, '_>, key: &'static str, default: &Zone) -> Option<ZonedSchedule> {
    let text = section.text(key);
    let zone = if section.has("timezone") { parse_zone(section) } else { Some(default.clone()) };
    in_zone(section, key, &text?, &zone?)
}

fn in_zone(section: &Section<'_, '_>, key: &'static str, text: &str, zone: &Zone) -> Option<ZonedSchedule> {
    let Zone(zone, zone_name) = zone.clone();
    match Schedule::parse(text) {
        Ok(schedule) => Some(ZonedSchedule { schedule, zone, zone_name }),
        Err(invalid) => {
            section.report(
                key,
                format!("{} is not valid: {invalid}", shown(text)),
                format!("{}; {EXPRESSIONS}", invalid.hint),
            );
            None
        }
    }
}

pub(super) fn default(zone: &Zone) -> Option<Daemon> {
    let Zone(zone, zone_name) = zone.clone();
    let schedule = Schedule::parse(DEFAULT_REAP).ok()?;
    Some(Daemon {
        listen: DEFAULT_LISTEN.into(),
        missed: Missed::Run,
        missed_after: DEFAULT_MISSED_AFTER,
        jitter: Duration::ZERO,
        parallel: usize::try_from(DEFAULT_PARALLEL).ok()?,
        drain: DEFAULT_DRAIN,
        otlp: None,
        reap: Some(ZonedSchedule { schedule, zone, zone_name }),
    })
}

pub(super) fn read(section: &Section<'_, '_>, zone: &Zone) -> Option<Daemon> {
    let mut daemon = default(zone)?;
    let listen =
        section.parsed("listen", "an address such as `\"127.0.0.1:9464\"`", |text| text.parse::<SocketAddr>().ok());
    daemon.listen = listen.unwrap_or(daemon.listen);
    let missed = section.choice("missed", &[("run", Missed::Run), ("skip", Missed::Skip)]);
    daemon.missed = missed.unwrap_or(daemon.missed);
    daemon.missed_after = section.duration("missed_after").unwrap_or(daemon.missed_after);
    daemon.jitter = section.duration("jitter").unwrap_or(daemon.jitter);
    daemon.drain = section.duration("drain").unwrap_or(daemon.drain);
    let expected = "`\"http://127.0.0.1:4318\"`, or name a secret: `\"env:NAME\"`";
    daemon.otlp = section.parsed("otlp", expected, |text| Address::parse(text, &["http://", "https://"]));
    refuse_plain_http(section, "otlp");
    if let Some(parallel) = section.count("parallel") {
        if !(1..=MAX_PARALLEL).contains(&parallel) {
            let hint = format!("write a number from 1 to {MAX_PARALLEL}");
            section.report("parallel", format!("{parallel} is not a number of tests that can run at once"), hint);
        }
        daemon.parallel = usize::try_from(parallel).unwrap_or(daemon.parallel);
    }
    if section.raw("reap").and_then(|value| value.as_str()) == Some("never") {
        daemon.reap = None;
    } else if section.has("reap") {
        // `[daemon] timezone` was read before, and reported where it is none.
        daemon.reap = section.text("reap").and_then(|text| in_zone(section, "reap", &text, zone));
    }
    let _ = section.has("timezone");
    section.finish();
    Some(daemon)
}

pub(super) fn default_state() -> State {
    State { location: StateLocation::Sqlite("drctl.db".into()), lease: DEFAULT_LEASE }
}

pub(super) fn state(section: &Section<'_, '_>) -> Option<State> {
    let mut state = default_state();
    if section.has("url") {
        let expected = "`\"sqlite:drctl.db\"`, `\"postgres://host/database\"`, or `\"env:NAME\"` that holds the latter";
        let location = section.parsed("url", expected, location);
        if section.raw("url").and_then(|value| value.as_str()).is_some_and(holds_password) {
            let hint = "name the whole address: write `url = \"env:DRCTL_STATE_URL\"`, and change the password";
            section.report("url", "holds a password in plain text", hint);
        }
        state.location = location?;
    }
    if let Some(lease) = section.duration("lease") {
        if !LEASES.contains(&lease) {
            section.report("lease", "must be between 3s and 1h", "write `lease = \"2m\"`");
        }
        state.lease = lease;
    }
    section.finish();
    Some(state)
}

fn location(text: &str) -> Option<StateLocation> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//");
        return (!path.is_empty()).then(|| StateLocation::Sqlite(path.into()));
    }
    if holds_password(text) {
        // Reported on its own, and not repeated.
        return Some(StateLocation::Postgres(Address::Plain(String::new())));
    }
    Address::parse(text, &["postgres://", "postgresql://"]).map(StateLocation::Postgres)
}

/// `postgres://user:password@host/database`.
fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    user || url.contains("password=")
}
