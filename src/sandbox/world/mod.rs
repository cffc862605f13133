//! Everything that exists in the sandbox.

mod backups;
pub(super) mod catalog;
mod copies;
mod model;
pub(super) mod network;
mod secret;
mod seed_world;
mod sources;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub(super) use backups::{RetainedBackup, Window};
pub(super) use copies::{Copies, PasswordPlan};
pub(super) use model::{
    Backend, Cluster, Event, Instance, Scaling, Settings, Snapshot, Storage, Timeline, resource_id,
};
pub(super) use network::SubnetGroup;
pub(super) use secret::Secret;
pub(super) use times::Times;

use network::Network;

use super::account::{ACCOUNT, FOREIGN_ACCOUNT};
use super::behaviour::AwsBehaviour;
use super::engine::{Damage, Engines, Seed, SourceOptions};
use super::identity::Sessions;
use crate::clock::VirtualClock;
use crate::estate::{Partition, Protocol};

/// Instances and clusters that a Region may have.
const DEFAULT_QUOTA: usize = 40;
/// "Total storage for all DB instances: 100,000 gibibytes" (RDS quotas).
const DEFAULT_STORAGE_GIB: i64 = 100_000;

/// Everything that exists.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: VirtualClock,
    pub(super) behaviour: AwsBehaviour,
    pub(super) times: Times,
    pub(super) regions: BTreeMap<String, Region>,
    /// The account of whoever calls: nobody sees what is another's.
    pub(super) account: String,
    /// Temporary credentials that were given out.
    pub(super) sessions: Sessions,
    /// By account, Region and name.
    pub(super) secrets: BTreeMap<(String, String, String), Secret>,
    /// By ARN.
    pub(super) topics: BTreeSet<String>,
    /// The state of every KMS key.
    pub(super) key_state: String,
    pub(super) instance_quota: usize,
    pub(super) cluster_quota: usize,
    /// What all instances may allocate together.
    pub(super) storage_quota_gib: i64,
    pub(super) engines: Arc<Engines>,
    /// What the sources hold.
    pub(super) sources: SourceOptions,
}

/// One Region's resources.
#[derive(Debug, Default)]
pub(super) struct Region {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) instance_snapshots: BTreeMap<String, Snapshot>,
    pub(super) cluster_snapshots: BTreeMap<String, Snapshot>,
    pub(super) network: Network,
    /// Backups of databases that are no more.
    pub(super) retained: Vec<RetainedBackup>,
    pub(super) events: Vec<Event>,
    /// Sources whose daily snapshots are damaged.
    pub(super) damaged: BTreeMap<String, Damage>,
}

impl World {
    pub(super) fn new(clock: VirtualClock, behaviour: AwsBehaviour, engines: Arc<Engines>) -> Self {
        let times = if clock.scale() == 0.0 { Times::none() } else { Times::usual() };
        Self {
            clock,
            behaviour,
            times,
            regions: BTreeMap::new(),
            account: ACCOUNT.to_owned(),
            sessions: Sessions::new(),
            secrets: BTreeMap::new(),
            topics: BTreeSet::new(),
            key_state: "Enabled".to_owned(),
            instance_quota: DEFAULT_QUOTA,
            cluster_quota: DEFAULT_QUOTA,
            storage_quota_gib: DEFAULT_STORAGE_GIB,
            engines,
            sources: SourceOptions::default(),
        }
    }

    /// The sources that hold somebody's own tables.
    pub(super) fn with_schema(&self) -> Vec<(Protocol, Seed)> {
        let regions = self.regions.values();
        let contents = regions.flat_map(|region| {
            let clusters = region.clusters.values().map(|cluster| &cluster.content);
            region.instances.values().map(|instance| &instance.content).chain(clusters)
        });
        let found = contents.filter_map(|content| Some((content.protocol, content.seed.clone()?)));
        let mut all: Vec<_> = found.filter(|(_, seed)| seed.schema.is_some()).collect();
        all.sort_by(|(_, one), (_, other)| one.cmp(other));
        all.dedup();
        all
    }

    /// The caller's Region of that name, or the one that is named `ACCOUNT/NAME`, brought up to the present: what was
    /// being deleted is gone, and daily snapshots have been taken.
    pub(super) fn region(&mut self, name: &str) -> &mut Region {
        let now = self.clock.now();
        let (account, name) = name.split_once('/').unwrap_or((&self.account, name));
        let key = if account == ACCOUNT { name.to_owned() } else { format!("{account}/{name}") };
        let region = self.regions.entry(key).or_insert_with(|| Region::new(account, name));
        region.catch_up(now);
        region
    }

    /// A delay of the behaviour: none where every lifecycle ends at once.
    pub(super) fn delay(&self, seconds: i64) -> i64 {
        if self.clock.scale() == 0.0 { 0 } else { seconds }
    }

    /// From when on something that is made now is seen.
    pub(super) fn visible_at(&self) -> Timestamp {
        after(self.clock.now(), self.delay(self.behaviour.invisible_seconds()))
    }

    /// The caller's secret in a Region, by name or ARN.
    pub(super) fn secret(&mut self, region: &str, id: &str) -> Option<&mut Secret> {
        let account = self.account.as_str();
        let here = |key: &(String, String, String)| key.0 == account && key.1 == region;
        let found = self.secrets.iter_mut().find(|(key, secret)| here(key) && secret.is_meant(id));
        found.map(|(_, secret)| secret)
    }

    /// What it takes to start a database.
    pub(super) fn copies(&self) -> Copies {
        let unseen_seconds = self.delay(self.behaviour.invisible_seconds());
        Copies { engines: Arc::clone(&self.engines), clock: self.clock.clone(), unseen_seconds }
    }
}

impl Region {
    fn new(account: &str, name: &str) -> Self {
        Self { account: account.to_owned(), name: name.to_owned(), network: Network::of(name), ..Self::default() }
    }

    fn catch_up(&mut self, now: Timestamp) {
        self.instances.retain(|_, instance| !instance.timeline.is_gone(now));
        for cluster in self.clusters.values_mut() {
            cluster.members.retain(|member| self.instances.contains_key(member));
        }
        // A cluster goes after its last member.
        self.clusters.retain(|_, cluster| !cluster.timeline.is_gone(now) || !cluster.members.is_empty());
        self.retained.retain(|backup| !backup.is_gone(now));
        self.take_daily_snapshots(now);
    }

    /// An ARN of this Region, such as `arn:aws:rds:eu-west-1:123456789012:db:shop`.
    pub(super) fn arn(&self, kind: &str, id: &str) -> String {
        format!("arn:{}:rds:{}:{}:{kind}:{id}", Partition::of(&self.name).id, self.name, self.account)
    }

    /// The KMS keys that something here is encrypted with.
    pub(super) fn keys(&self) -> Vec<String> {
        let databases = self.instances.values().map(|found| &found.settings);
        let databases = databases.chain(self.clusters.values().map(|found| &found.settings));
        let snapshots = self.instance_snapshots.values().chain(self.cluster_snapshots.values());
        let keys =
            databases.chain(snapshots.map(|found| &found.settings)).filter_map(|settings| settings.kms_key.clone());
        keys.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn tell(&mut self, at: Timestamp, source_type: &'static str, source: &str, message: &str) {
        self.events.push(Event { at, source_type, source: source.to_owned(), message: message.to_owned() });
    }
}

/// `at` and a number of seconds.
pub(super) fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}
