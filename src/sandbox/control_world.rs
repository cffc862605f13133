//! What tests change in the world behind AWS's back: statuses, stalled backups, others' snapshots, groups, classes.

use serde_json::Value;

use super::world::network::{ParameterGroup, SubnetGroup, VPC};
use super::world::{Region, Snapshot, Timeline, World, after};

type Change = fn(&mut World, &Value) -> Result<(), String>;

/// Every such request with what it does.
const CHANGES: [(&str, Change); 6] = [
    ("status", status),
    ("stall", stall),
    ("backup", backup),
    ("class", class),
    ("group", group),
    ("database", database),
];

/// Does what `path` asks for; `None` where it is none of these requests.
pub(super) fn change(world: &mut World, path: &str, body: &Value) -> Option<Result<(), String>> {
    CHANGES.iter().find(|(name, _)| *name == path).map(|(_, change)| change(world, body))
}

fn text<'b>(body: &'b Value, key: &str) -> &'b str {
    body[key].as_str().unwrap_or_default()
}

fn regions(world: &mut World) -> Vec<String> {
    world.regions.keys().cloned().collect()
}

/// `{ "id": "shop-pg", "status": "storage-full" }`: for good, or for `seconds`.
fn status(world: &mut World, body: &Value) -> Result<(), String> {
    let (id, status, now) = (text(body, "id"), text(body, "status"), world.clock.now());
    for name in regions(world) {
        let region = world.region(&name);
        let instance = region.instances.get_mut(id).map(|found| &mut found.timeline);
        let cluster = region.clusters.get_mut(id).map(|found| &mut found.timeline);
        if let Some(timeline) = instance.or(cluster) {
            match body["seconds"].as_i64() {
                Some(seconds) => timeline.interrupt(now, status, seconds),
                None => timeline.replace_from(now, status),
            }
            return Ok(());
        }
    }
    Err(format!("there is no `{id}`"))
}

/// `{ "target": "shop-pg", "minutes": 90 }`: its latest restorable time stands still since then; 0 lets it go on.
fn stall(world: &mut World, body: &Value) -> Result<(), String> {
    let (target, now) = (text(body, "target"), world.clock.now());
    let minutes = body["minutes"].as_i64().unwrap_or_default();
    let since = (minutes > 0).then(|| after(now, -minutes * 60));
    for name in regions(world) {
        let region = world.region(&name);
        if let Some(instance) = region.instances.get_mut(target) {
            instance.stalled_at = since;
            return Ok(());
        }
        if let Some(cluster) = region.clusters.get_mut(target) {
            cluster.stalled_at = since;
            return Ok(());
        }
    }
    Err(format!("there is no database `{target}`"))
}

/// `{ "target": "shop-pg", "id": "of-a-friend", "type": "shared" }`: a snapshot of it as it was `hours` ago, `manual`,
/// `shared`, `public` or `awsbackup`; `copied_hours` ago it was copied; `status` where it is not `available`.
fn backup(world: &mut World, body: &Value) -> Result<(), String> {
    let (target, id, now) = (text(body, "target"), text(body, "id"), world.clock.now());
    let at = after(now, -body["hours"].as_i64().unwrap_or(1) * 3600);
    for name in regions(world) {
        let region = world.region(&name);
        let Some(newest) = newest_snapshot(region, target) else { continue };
        let mut snapshot = Snapshot { id: id.to_owned(), created_at: at, original_at: at, ..newest };
        text(body, "type").clone_into(&mut snapshot.origin);
        snapshot.content.as_of = at;
        snapshot.settings.encrypted = body["encrypted"].as_bool().unwrap_or(snapshot.settings.encrypted);
        if !snapshot.settings.encrypted {
            snapshot.settings.kms_key = None;
        }
        if let Some(hours) = body["copied_hours"].as_i64() {
            snapshot.copied_from = Some(snapshot.arn(region));
            snapshot.created_at = after(now, -hours * 3600);
        }
        if let Some(status) = body["status"].as_str() {
            snapshot.timeline = Timeline::through(at, &[], status);
        }
        let is_cluster = region.clusters.contains_key(target);
        let all = if is_cluster { &mut region.cluster_snapshots } else { &mut region.instance_snapshots };
        all.insert(id.to_owned(), snapshot);
        return Ok(());
    }
    Err(format!("there is no backup of `{target}`"))
}

fn newest_snapshot(region: &Region, target: &str) -> Option<Snapshot> {
    let all = region.instance_snapshots.values().chain(region.cluster_snapshots.values());
    let of_target = all.filter(|snapshot| snapshot.source == target && snapshot.origin == "automated");
    of_target.max_by_key(|snapshot| snapshot.created_at).cloned()
}

/// `{ "class": "db.r6g.large", "zones": ["eu-west-1c"] }`, or `"short": true` where AWS has none left.
fn class(world: &mut World, body: &Value) -> Result<(), String> {
    let class = text(body, "class").to_owned();
    if class.is_empty() {
        return Err("say which `class`".to_owned());
    }
    for name in regions(world) {
        let network = &mut world.region(&name).network;
        if let Some(zones) = body["zones"].as_array() {
            let zones = zones.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            network.class_zones.insert(class.clone(), zones);
        }
        match body["short"].as_bool() {
            Some(true) => drop(network.short_classes.insert(class.clone())),
            Some(false) => drop(network.short_classes.remove(&class)),
            None => {}
        }
    }
    Ok(())
}

/// `{ "kind": "security", "name": "sg-...", "vpc": "vpc-..." }` makes a group or puts it elsewhere; `"exists": false`
/// removes it. Kinds: `subnet` (with `zones`), `security` (with `egress`, address ranges), `parameter`, `cluster-parameter` (with `family`), `option`
/// (with `engine`, `major` and `options`).
fn group(world: &mut World, body: &Value) -> Result<(), String> {
    let (kind, name) = (text(body, "kind"), text(body, "name").to_owned());
    let vpc = body["vpc"].as_str();
    let is_removed = body["exists"].as_bool() == Some(false);
    for region in regions(world) {
        let network = &mut world.region(&region).network;
        match kind {
            "subnet" if is_removed => drop(network.subnet_groups.remove(&name)),
            "security" if is_removed => drop(network.security_groups.remove(&name)),
            "parameter" if is_removed => drop(network.parameter_groups.remove(&name)),
            "cluster-parameter" if is_removed => drop(network.cluster_parameter_groups.remove(&name)),
            "option" if is_removed => drop(network.option_groups.remove(&name)),
            "subnet" => {
                let mut group = SubnetGroup::new(&name, &region);
                vpc.unwrap_or(VPC).clone_into(&mut group.vpc);
                if let Some(zones) = body["zones"].as_array() {
                    group.subnets.retain(|(_, zone)| zones.iter().any(|wanted| wanted == zone.as_str()));
                }
                network.add_subnet_group(group);
            }
            "security" => {
                let egress = body["egress"].as_array().into_iter().flatten().filter_map(Value::as_str);
                network.add_security_group(&name, vpc.unwrap_or(VPC), &egress.collect::<Vec<_>>());
            }
            "parameter" | "cluster-parameter" => {
                let groups = if kind == "parameter" {
                    &mut network.parameter_groups
                } else {
                    &mut network.cluster_parameter_groups
                };
                let family = text(body, "family").to_owned();
                groups.insert(name.clone(), ParameterGroup { name: name.clone(), family });
            }
            "option" => {
                network.add_option_group(&name, text(body, "engine"), text(body, "major"), vpc);
                let options = body["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
                if let Some(group) = network.option_groups.get_mut(&name) {
                    group.options = options.map(str::to_owned).collect();
                }
            }
            other => return Err(format!("there is no kind of group `{other}`")),
        }
    }
    Ok(())
}

/// `{ "id": "shop-pg", "option_group": "with-tde", "storage_type": "io1", "gib": 500, "iops": 5000, "throughput": 500,
/// "retention_days": 0, "username": "root", "engine_version": "14.17", "class": "db.m6g.large" }`: what is given is so
/// from now on, and in the snapshots that there are.
fn database(world: &mut World, body: &Value) -> Result<(), String> {
    let id = text(body, "id");
    let mut found = false;
    for name in regions(world) {
        let region = world.region(&name);
        let snapshots = region.instance_snapshots.values_mut().chain(region.cluster_snapshots.values_mut());
        let of_snapshots = snapshots.filter(|snapshot| snapshot.source == id).map(|snapshot| &mut snapshot.settings);
        let of_instance = region.instances.get_mut(id).map(|instance| {
            if let Some(class) = body["class"].as_str() {
                class.clone_into(&mut instance.class);
            }
            &mut instance.settings
        });
        let of_cluster = region.clusters.get_mut(id).map(|cluster| &mut cluster.settings);
        for settings in of_snapshots.chain(of_instance).chain(of_cluster) {
            found = true;
            let texts = [
                ("option_group", &mut settings.option_group),
                ("parameter_group", &mut settings.parameter_group),
                ("username", &mut settings.username),
                ("engine_version", &mut settings.engine_version),
                ("storage_type", &mut settings.storage.kind),
            ];
            for (key, value) in texts {
                if let Some(text) = body[key].as_str() {
                    text.clone_into(value);
                }
            }
            settings.storage.gib = body["gib"].as_i64().unwrap_or(settings.storage.gib);
            settings.storage.iops = body["iops"].as_i64().or(settings.storage.iops);
            settings.storage.throughput = body["throughput"].as_i64().or(settings.storage.throughput);
            let days = &mut settings.backup_retention_days;
            *days = body["retention_days"].as_i64().unwrap_or(*days);
        }
    }
    if found { Ok(()) } else { Err(format!("there is no database `{id}`")) }
}
