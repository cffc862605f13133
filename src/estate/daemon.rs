//! How the daemon works.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::notify::Address;
use super::timetable::ZonedSchedule;

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Daemon {
    /// Where metrics and health are served.
    pub listen: SocketAddr,
    /// What becomes of a run that was due while nobody was there.
    pub missed: Missed,
    /// So late, a run counts as missed.
    pub missed_after: Duration,
    /// A start is put off by up to this, so that not everything starts at once.
    pub jitter: Duration,
    /// How many tests run at once.
    pub parallel: usize,
    /// How long a stop waits for tests that are about to end.
    pub drain: Duration,
    /// A collector that takes runs as traces.
    pub otlp: Option<Address>,
    /// When what has expired is removed.
    pub reap: Option<ZonedSchedule>,
}

/// What becomes of a run that was due while nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It runs once, now, however often it was missed.
    Run,
    /// It is left out until it is due again.
    Skip,
}

/// `[state]`: where runs and journals are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where.
    pub location: StateLocation,
    /// How long an agent's claim on a run holds without being renewed. Only several agents on PostgreSQL need it.
    pub lease: Duration,
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// A SQLite file, relative to the directory of the configuration.
    Sqlite(PathBuf),
    /// A PostgreSQL database that several agents share.
    Postgres(Address),
}
