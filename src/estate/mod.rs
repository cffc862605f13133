//! What drctl is told about: targets, their objectives, how each is tested, and whom to tell. Plain data, valid by construction.
//!
//! [`crate::config`] makes an [`Estate`] from the file as written; nothing here does I/O.

mod access;
mod check;
mod daemon;
mod database;
mod notify;
mod partition;
mod timetable;

use std::collections::BTreeMap;
use std::time::Duration;

pub use access::{HostPort, SecretRef, TlsMode};
pub use check::{Comparison, CustomCheck, Expectation, Number, Probe};
pub use daemon::{Daemon, Missed, State, StateLocation};
pub use database::{ContentMode, Database, DatabaseKind, PointChoice, Protocol, RestoreTest, ServerlessV2Scaling};
pub use notify::{Address, Channel, Email, Encryption, Event, Transport, is_private_on_the_way};
pub use partition::Partition;
pub use timetable::ZonedSchedule;

/// Everything that one `drctl.toml` describes.
#[derive(Clone, Debug)]
pub struct Estate {
    /// The estate's name, shown in every report.
    pub name: String,
    /// Such as `prod`; empty where the configuration names none.
    pub environment: String,
    /// In which people read times: that of `[daemon]`, else the one that all schedules name, else UTC.
    pub timezone: jiff::tz::TimeZone,
    /// The AWS Region of the sources, and of the copies.
    pub region: String,
    /// The Region that backups are copied to.
    pub backup_region: Option<String>,
    /// The only AWS account that may be worked in, as twelve digits; whatever the credentials belong to where absent.
    pub account: Option<String>,
    /// A role to assume before anything else.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// What the estate as a whole was promised.
    pub objectives: Objectives,
    /// Where runs and their journals are kept.
    pub state: State,
    /// Where restored copies live.
    pub quarantine: Quarantine,
    /// The databases to prove.
    pub databases: Vec<Database>,
    /// How the daemon works.
    pub daemon: Daemon,
    /// Whom to tell.
    pub channels: Vec<Channel>,
}

impl Estate {
    /// The database of this name.
    #[must_use]
    pub fn database(&self, id: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.id == id)
    }

    /// The channels that a `[[notify]]` of this name has become: one, or one for each recipient of a mail.
    #[must_use]
    pub fn channels_of(&self, name: &str) -> Vec<&Channel> {
        let is_of = |channel: &&Channel| channel.name == name || channel.name.split('/').next() == Some(name);
        self.channels.iter().filter(is_of).collect()
    }
}

/// The promised time to recover, and the promised bound on lost data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objectives {
    /// Recovery time objective.
    pub rto: Duration,
    /// Recovery point objective.
    pub rpo: Duration,
}

/// The network that restored copies are put in.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    /// A DB subnet group that exists already.
    pub subnet_group: Option<String>,
    /// VPC security groups by id.
    pub security_groups: Vec<String>,
    /// Whether a copy may be put in the account's default network.
    pub allow_default_network: bool,
    /// The instance classes that a copy may have, `*` standing for any text; empty where nothing was said.
    pub instance_classes: Vec<String>,
}

/// Tags, sorted by key.
pub type Tags = BTreeMap<String, String>;
