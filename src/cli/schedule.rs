//! `drctl schedule`: what an expression means, and when it fires next.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::exit::Exit;
use super::output::{self, Format};
use crate::clock::Clock;
use crate::schedule::{Dialect, Schedule, zone_hint};

const MAX_COUNT: u16 = 1000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `cron(0 6 ? * MON *)`, `rate(7 days)`, `0 6 * * 1`, `@weekly`.
    expression: String,
    /// The IANA time zone of its calendar.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// Look for times after this one, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// How many times to print.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_COUNT)))]
    count: u16,
}

pub(super) fn run(args: &Args, format: Format) -> anyhow::Result<Exit> {
    let schedule = Schedule::parse(&args.expression).map_err(|invalid| {
        output::usage(format!("the schedule `{}` is not valid: {invalid}", args.expression), invalid.hint)
    })?;
    let name = &args.timezone;
    let zone =
        TimeZone::get(name).map_err(|_| output::usage(format!("there is no time zone `{name}`"), zone_hint(name)))?;
    let from = args.from.unwrap_or_else(|| Clock::system().now());
    let next: Vec<Timestamp> = schedule.upcoming(from, &zone).take(args.count.into()).collect();
    if next.is_empty() {
        output::status(&format!("warning: `{schedule}` never fires after {}", from.strftime("%Y-%m-%dT%H:%M:%SZ")));
    }
    if format == Format::Json {
        output::json(&json!({
            "schema": "drctl.schedule/1",
            "expression": schedule.to_string(),
            "dialect": schedule.dialect().name(),
            "timezone": args.timezone,
            "meaning": schedule.describe(),
            "next": next,
        }))?;
        return Ok(Exit::Passed);
    }
    let zone_or_start = match schedule.dialect() {
        Dialect::Rate => format!("counted from {}", from.strftime("%Y-%m-%dT%H:%M:%SZ")),
        _ => args.timezone.clone(),
    };
    output::print(&format!("{schedule} ({}): {}, {zone_or_start}", schedule.dialect().name(), schedule.describe()));
    for at in next {
        output::print(&format!("  {}", at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z")));
    }
    Ok(Exit::Passed)
}
