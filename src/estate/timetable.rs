//! When something is due: a schedule on some place's calendar.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schedule::Schedule;

/// A schedule and the calendar that it is read on.
#[derive(Clone, Debug, PartialEq)]
pub struct ZonedSchedule {
    /// When.
    pub schedule: Schedule,
    /// Whose calendar.
    pub zone: TimeZone,
    /// That zone's IANA name.
    pub zone_name: String,
}

impl ZonedSchedule {
    /// The first time strictly after `after`; a rate counts from `anchor`.
    #[must_use]
    pub fn next(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, anchor, &self.zone)
    }
}

impl fmt::Display for ZonedSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.schedule, self.zone_name)
    }
}
