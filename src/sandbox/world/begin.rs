//! The world as it is when the sandbox starts: every database of the estate, with backups of the last days.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::{Backend, Cluster, Instance, Settings, Snapshot, SubnetGroup, Timeline};
use super::{ACCOUNT, Region, World, sources};
use crate::estate::{Database, DatabaseKind, Estate, Protocol, SecretRef, Tags};
use crate::sandbox::engine::{Content, Damage, Seed};

/// When daily snapshots are taken, in seconds after midnight.
const BACKUP_SECOND: i64 = 3 * 3600 + 5 * 60;
const DAY: i64 = 86_400;
/// Daily snapshots that are kept at most.
const MAX_DAILY_SNAPSHOTS: i64 = 7;
const CLUSTER_MEMBERS: usize = 2;

impl World {
    /// Adds an estate: its databases, its quarantine, its secrets.
    ///
    /// # Errors
    /// Where there is no port left for a database's endpoint.
    pub(in crate::sandbox) fn add(&mut self, estate: &Estate) -> anyhow::Result<()> {
        let now = self.clock.now();
        for database in &estate.databases {
            let seed = Seed {
                source: database.id.clone(),
                database: database.test.database.clone(),
                username: database.test.username.clone(),
                password: self.password_of(database),
            };
            let content = Content { protocol: database.kind.protocol(), seed: Some(seed), as_of: now, damage: None };
            let port = sources::listen(self.copies(), content.clone())?;
            self.region(&estate.region).add(database, &content, port, now);
        }
        let region = self.region(&estate.region);
        for name in std::iter::once("default").chain(estate.quarantine.subnet_group.as_deref()) {
            let group = SubnetGroup {
                name: name.to_owned(),
                description: "of the sandbox".to_owned(),
                subnets: vec!["subnet-0aa".to_owned(), "subnet-0bb".to_owned()],
            };
            region.subnet_groups.insert(name.to_owned(), group);
        }
        region.catch_up(now);
        Ok(())
    }

    /// What the estate says, where the sandbox can know it; otherwise something that nobody knows.
    fn password_of(&mut self, database: &Database) -> String {
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
                self.secrets.insert(id.clone(), secret);
                made_up
            }
        }
    }
}

impl Region {
    fn add(&mut self, database: &Database, content: &Content, port: u16, now: Timestamp) {
        let kind = database.kind;
        let settings = Settings { port, ..settings_of(database, &self.name) };
        let instance = |id: String, cluster: Option<String>, replica_of: Option<String>| Instance {
            id,
            class: "db.r6g.xlarge".to_owned(),
            cluster,
            replica_of,
            public: false,
            created_at: now,
            timeline: Timeline::available(),
            settings: settings.clone(),
            content: content.clone(),
            backend: Backend::default(),
        };
        let id = &database.id;
        if !kind.is_cluster() {
            self.instances.insert(id.clone(), instance(id.clone(), None, None));
            let replica = format!("{id}-replica");
            let copy = Instance {
                settings: Settings { multi_az: false, backup_retention_days: 0, ..settings.clone() },
                ..instance(replica.clone(), None, Some(id.clone()))
            };
            self.instances.insert(replica, copy);
            return;
        }
        let members: Vec<String> = (1..=CLUSTER_MEMBERS).map(|number| format!("{id}-{number}")).collect();
        for member in &members {
            self.instances.insert(member.clone(), instance(member.clone(), Some(id.clone()), None));
        }
        let cluster = Cluster {
            id: id.clone(),
            members,
            created_at: now,
            timeline: Timeline::available(),
            settings,
            content: content.clone(),
            backend: Backend::default(),
        };
        self.clusters.insert(id.clone(), cluster);
    }

    /// Takes the daily snapshots that are due and drops those past their retention.
    pub(super) fn take_daily_snapshots(&mut self, now: Timestamp) {
        let instances = self.instances.values().filter(|instance| instance.cluster.is_none());
        let of_instances: Vec<Snapshot> = instances
            .flat_map(|instance| daily(&instance.id, &instance.settings, &instance.class, &instance.content, now))
            .collect();
        let clusters = self.clusters.values();
        let of_clusters: Vec<Snapshot> =
            clusters.flat_map(|cluster| daily(&cluster.id, &cluster.settings, "", &cluster.content, now)).collect();
        let damaged = &self.damaged;
        keep_daily(&mut self.instance_snapshots, of_instances, now, damaged);
        keep_daily(&mut self.cluster_snapshots, of_clusters, now, damaged);
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
fn daily(source: &str, settings: &Settings, class: &str, content: &Content, now: Timestamp) -> Vec<Snapshot> {
    if content.seed.as_ref().is_none_or(|seed| seed.source != source) {
        return Vec::new();
    }
    let today = now.as_second().div_euclid(DAY) * DAY + BACKUP_SECOND;
    let newest = if today <= now.as_second() { today } else { today - DAY };
    let count = settings.backup_retention_days.min(MAX_DAILY_SNAPSHOTS);
    let moments = (0..count).filter_map(|back| Timestamp::from_second(newest - back * DAY).ok());
    moments
        .map(|at| Snapshot {
            id: format!("rds:{source}-{}", at.strftime("%Y-%m-%d-%H-%M")),
            source: source.to_owned(),
            origin: "automated".to_owned(),
            created_at: at,
            timeline: Timeline::available(),
            settings: Settings { tags: Tags::new(), ..settings.clone() },
            class: class.to_owned(),
            content: Content { as_of: at, ..content.clone() },
        })
        .collect()
}

fn settings_of(database: &Database, region: &str) -> Settings {
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
    let retention = database.retention.map_or(MAX_DAILY_SNAPSHOTS as u64, |retention| retention.as_secs() / DAY as u64);
    Settings {
        engine: database.kind.engine().to_owned(),
        engine_version: version.to_owned(),
        username: database.test.username.clone(),
        port: 0,
        subnet_group: "default".to_owned(),
        security_groups: vec!["sg-0production".to_owned()],
        parameter_group: format!("{}-params", database.id),
        multi_az: true,
        encrypted: true,
        kms_key: Some(format!("arn:aws:kms:{region}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555")),
        iam_authentication: false,
        log_exports: exports.iter().map(|name| (*name).to_owned()).collect(),
        deletion_protection: true,
        backup_retention_days: i64::try_from(retention).unwrap_or(MAX_DAILY_SNAPSHOTS),
        tags: Tags::from([("Environment".to_owned(), "production".to_owned())]),
    }
}
