//! The world as it is when the sandbox starts: every database of the estate, with backups of the last days.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::{Backend, Cluster, Instance, Settings, Snapshot, Storage, Timeline, resource_id};
use super::network::{SOURCE_SECURITY_GROUP, SubnetGroup, VPC, default_option_group, zones};
use super::secret::{Secret, home_of};
use super::{ACCOUNT, Region, World, after, catalog, sources};
use crate::estate::{Database, DatabaseKind, Estate, Partition, Protocol, SecretRef, Tags, Transport};
use crate::sandbox::engine::{Content, Damage, Seed};
use crate::sandbox::identity::account_of;

/// When daily snapshots are taken, in seconds after midnight.
pub(super) const BACKUP_SECOND: i64 = 3 * 3600 + 5 * 60;
const DAY: i64 = 86_400;
/// Daily snapshots that are kept at most.
const MAX_DAILY_SNAPSHOTS: i64 = 7;
const CLUSTER_MEMBERS: usize = 2;
/// How long after a snapshot its copy in another Region is there.
const COPY_SECONDS: i64 = 3600;
/// How old the sources are.
const SOURCE_AGE_DAYS: i64 = 400;

impl World {
    /// Adds an estate: its databases, its quarantine, its secrets.
    ///
    /// # Errors
    /// Where there is no port left for a database's endpoint.
    pub(in crate::sandbox) fn add(&mut self, estate: &Estate) -> anyhow::Result<()> {
        let now = self.clock.now();
        let account = estate.role_arn.as_deref().and_then(account_of).unwrap_or(ACCOUNT);
        account.clone_into(&mut self.account);
        for database in &estate.databases {
            let seed = Seed {
                source: database.id.clone(),
                database: database.test.database.clone(),
                username: master_of(database),
                password: self.password_of(&estate.region, database),
                schema: self.sources.schema(database),
                amcheck: !self.sources.without_amcheck,
            };
            let content = Content { protocol: database.kind.protocol(), seed: Some(seed), as_of: now, damage: None };
            let port = sources::listen(self.copies(), content.clone())?;
            self.region(&estate.region).add(database, &content, port, now);
        }
        self.topics.extend(estate.channels.iter().filter_map(|channel| match &channel.way {
            Transport::Sns { topic_arn } => Some(topic_arn.clone()),
            _ => None,
        }));
        let region = self.region(&estate.region);
        if let Some(name) = &estate.quarantine.subnet_group {
            region.network.add_subnet_group(SubnetGroup::new(name, &estate.region));
        }
        for group in &estate.quarantine.security_groups {
            region.network.add_security_group(group, VPC, &[]);
        }
        region.catch_up(now);
        if let Some(elsewhere) = &estate.backup_region {
            let copies: Vec<Snapshot> =
                estate.databases.iter().filter_map(|database| region.newest_copy(&database.id)).collect();
            self.region(elsewhere).keep_copies(copies);
        }
        Ok(())
    }

    /// What the estate says, where the sandbox can know it; otherwise something that nobody knows.
    fn password_of(&mut self, region: &str, database: &Database) -> String {
        let made_up = format!("sandbox-{:016x}", rand::random::<u64>());
        match &database.test.password {
            None => made_up,
            Some(SecretRef::Env(name)) => std::env::var(name).unwrap_or(made_up),
            Some(SecretRef::File(path)) => {
                std::fs::read_to_string(path).map_or(made_up, |text| text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Some(SecretRef::SecretsManager { id, key }) => {
                let secret = match key {
                    None => made_up.clone(),
                    Some(key) => serde_json::json!({ key.as_str(): made_up }).to_string(),
                };
                let (account, now) = (self.account.clone(), self.clock.now());
                let (region, account) = home_of(id).unwrap_or((region, &account));
                let secret = Secret::new(account, region, id, &secret, now);
                self.secrets.insert((account.to_owned(), region.to_owned(), secret.name.clone()), secret);
                made_up
            }
        }
    }
}

impl Region {
    fn add(&mut self, database: &Database, content: &Content, port: u16, now: Timestamp) {
        let kind = database.kind;
        let settings = Settings { port, ..settings_of(database, &self.name, &self.account) };
        let created_at = after(now, -SOURCE_AGE_DAYS * DAY);
        let family = catalog::find(&settings.engine, &settings.engine_version).map_or("", |version| version.family);
        let instance = |id: String, settings: Settings| Instance {
            id,
            class: "db.r6g.xlarge".to_owned(),
            cluster: None,
            replica_of: None,
            public: false,
            pending: BTreeMap::new(),
            visible_at: created_at,
            resource_id: resource_id("db"),
            created_at,
            stalled_at: None,
            timeline: Timeline::available(),
            settings,
            content: content.clone(),
            backend: Backend::default(),
        };
        let id = &database.id;
        if !kind.is_cluster() {
            self.network.add_parameter_group(&settings.parameter_group, family);
            let replica = format!("{id}-replica");
            let of_replica = Settings { multi_az: false, backup_retention_days: 0, ..settings.clone() };
            let copy = Instance { replica_of: Some(id.clone()), ..instance(replica.clone(), of_replica) };
            self.instances.insert(replica, copy);
            self.instances.insert(id.clone(), instance(id.clone(), settings));
            return;
        }
        self.network.add_cluster_parameter_group(&settings.parameter_group, family);
        let members: Vec<String> = (1..=CLUSTER_MEMBERS).map(|number| format!("{id}-{number}")).collect();
        for (member, zone) in members.iter().zip(settings.zones.iter().cycle()) {
            let of_member = Settings {
                parameter_group: format!("default.{family}"),
                zones: vec![zone.clone()],
                deletion_protection: false,
                ..settings.clone()
            };
            let member = Instance { cluster: Some(id.clone()), ..instance(member.clone(), of_member) };
            self.instances.insert(member.id.clone(), member);
        }
        let cluster = Cluster {
            id: id.clone(),
            members,
            visible_at: created_at,
            resource_id: resource_id("cluster"),
            created_at,
            stalled_at: None,
            timeline: Timeline::available(),
            settings,
            content: content.clone(),
            backend: Backend::default(),
        };
        self.clusters.insert(id.clone(), cluster);
    }

    /// A copy of a database's newest snapshot, as it lies in another Region: made an hour later, under a name of its own.
    fn newest_copy(&self, source: &str) -> Option<Snapshot> {
        let all = self.instance_snapshots.values().chain(self.cluster_snapshots.values());
        let newest = all.filter(|snapshot| snapshot.source == source).max_by_key(|snapshot| snapshot.created_at)?;
        Some(Snapshot {
            id: format!("{source}-copy-{}", newest.created_at.strftime("%Y-%m-%d")),
            origin: "manual".to_owned(),
            created_at: after(newest.created_at, COPY_SECONDS),
            copied_from: Some(newest.arn(self)),
            ..newest.clone()
        })
    }

    fn keep_copies(&mut self, copies: Vec<Snapshot>) {
        for mut copy in copies {
            copy.settings.kms_key = copy.settings.kms_key.map(|_| default_key(&self.name, &self.account));
            let is_cluster = catalog::is_cluster_engine(&copy.settings.engine);
            let all = if is_cluster { &mut self.cluster_snapshots } else { &mut self.instance_snapshots };
            all.insert(copy.id.clone(), copy);
        }
    }

    /// Takes the daily snapshots that are due and drops those past their retention.
    pub(super) fn take_daily_snapshots(&mut self, now: Timestamp) {
        let instances = self.instances.values().filter(|instance| instance.cluster.is_none());
        let of_instances: Vec<Snapshot> = instances.flat_map(|instance| daily(&Source::from(instance), now)).collect();
        let of_clusters: Vec<Snapshot> =
            self.clusters.values().flat_map(|cluster| daily(&Source::from(cluster), now)).collect();
        let damaged = &self.damaged;
        keep_daily(&mut self.instance_snapshots, of_instances, now, damaged);
        keep_daily(&mut self.cluster_snapshots, of_clusters, now, damaged);
    }
}

/// What daily snapshots are taken of.
struct Source<'s> {
    id: &'s str,
    resource_id: &'s str,
    class: &'s str,
    settings: &'s Settings,
    content: &'s Content,
    created_at: Timestamp,
}

impl<'s> From<&'s Instance> for Source<'s> {
    fn from(from: &'s Instance) -> Self {
        let Instance { id, resource_id, class, settings, content, created_at, .. } = from;
        Self { id, resource_id, class, settings, content, created_at: *created_at }
    }
}

impl<'s> From<&'s Cluster> for Source<'s> {
    fn from(from: &'s Cluster) -> Self {
        let Cluster { id, resource_id, settings, content, created_at, .. } = from;
        Self { id, resource_id, class: "", settings, content, created_at: *created_at }
    }
}

type Snapshots = std::collections::BTreeMap<String, Snapshot>;

fn keep_daily(snapshots: &mut Snapshots, due: Vec<Snapshot>, now: Timestamp, damaged: &BTreeMap<String, Damage>) {
    let oldest = now.checked_sub(SignedDuration::from_secs(MAX_DAILY_SNAPSHOTS * DAY)).unwrap_or(now);
    snapshots.retain(|_, snapshot| snapshot.origin != "automated" || snapshot.created_at >= oldest);
    for mut snapshot in due {
        snapshot.content.damage = damaged.get(&snapshot.source).copied();
        snapshots.entry(snapshot.id.clone()).or_insert(snapshot);
    }
}

/// The daily snapshots that a source has by now. Copies that drctl restored keep no backups, so they have none.
fn daily(source: &Source<'_>, now: Timestamp) -> Vec<Snapshot> {
    let Source { id, settings, content, .. } = source;
    if content.seed.as_ref().is_none_or(|seed| seed.source != *id) {
        return Vec::new();
    }
    let today = now.as_second().div_euclid(DAY) * DAY + BACKUP_SECOND;
    let newest = if today <= now.as_second() { today } else { today - DAY };
    let count = settings.backup_retention_days.min(MAX_DAILY_SNAPSHOTS);
    let moments = (0..count).filter_map(|back| Timestamp::from_second(newest - back * DAY).ok());
    moments
        .map(|at| Snapshot {
            id: format!("rds:{id}-{}", at.strftime("%Y-%m-%d-%H-%M")),
            source: (*id).to_owned(),
            resource_id: source.resource_id.to_owned(),
            origin: "automated".to_owned(),
            created_at: at,
            original_at: at,
            source_created_at: source.created_at,
            source_tags: settings.tags.clone(),
            copied_from: None,
            timeline: Timeline::available(),
            settings: Settings { tags: Tags::new(), ..(*settings).clone() },
            class: source.class.to_owned(),
            content: Content { as_of: at, ..(*content).clone() },
        })
        .collect()
}

fn settings_of(database: &Database, region: &str, account: &str) -> Settings {
    let version = match database.kind.protocol() {
        Protocol::Postgres => "15.3",
        Protocol::Mysql if database.kind == DatabaseKind::AuroraMysql => "8.0.mysql_aurora.3.05.2",
        Protocol::Mysql => "8.0.35",
        Protocol::Mongo => "5.0.0",
    };
    let exports: &[&str] = match database.kind.protocol() {
        Protocol::Postgres => &["postgresql"],
        Protocol::Mysql => &["error", "slowquery"],
        Protocol::Mongo => &["audit", "profiler"],
    };
    let (cluster, engine) = (database.kind.is_cluster(), database.kind.engine());
    let major = catalog::find(engine, version).map_or("", |version| version.major);
    let retention = database.retention.map_or(MAX_DAILY_SNAPSHOTS as u64, |retention| retention.as_secs() / DAY as u64);
    Settings {
        engine: engine.to_owned(),
        engine_version: version.to_owned(),
        username: master_of(database),
        port: 0,
        subnet_group: "default".to_owned(),
        security_groups: vec![SOURCE_SECURITY_GROUP.to_owned()],
        parameter_group: format!("{}-params", database.id),
        multi_az: true,
        encrypted: true,
        kms_key: Some(default_key(region, account)),
        iam_authentication: false,
        log_exports: exports.iter().map(|name| (*name).to_owned()).collect(),
        deletion_protection: true,
        backup_retention_days: i64::try_from(retention).unwrap_or(MAX_DAILY_SNAPSHOTS),
        tags: Tags::from([("Environment".to_owned(), "production".to_owned())]),
        option_group: if cluster { String::new() } else { default_option_group(engine, major) },
        storage: storage_of(database.kind),
        // A cluster's storage is in three zones, an instance in one.
        zones: zones(region).into_iter().take(if cluster { 3 } else { 1 }).collect(),
        database: (database.kind.protocol() != Protocol::Mongo).then(|| database.test.database.clone()),
        copy_tags: true,
        scaling: None,
    }
}

/// The key that everything is encrypted with.
fn default_key(region: &str, account: &str) -> String {
    let partition = Partition::of(region).id;
    format!("arn:{partition}:kms:{region}:{account}:key/11111111-2222-3333-4444-555555555555")
}

/// 100 GiB of gp3 with its baseline, "3,000 IOPS and 125 MiB/s" (RDS user guide, gp3 storage); clusters are billed by
/// what they hold.
fn storage_of(kind: DatabaseKind) -> Storage {
    if kind.is_cluster() {
        return Storage { kind: "aurora".to_owned(), gib: 1, iops: None, throughput: None };
    }
    Storage { kind: "gp3".to_owned(), gib: 100, iops: Some(3000), throughput: Some(125) }
}

/// The master user, where the estate leaves it to the backup.
fn master_of(database: &Database) -> String {
    database.test.username.clone().unwrap_or_else(|| "sandbox_master".to_owned())
}
