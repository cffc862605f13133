//! What tests and rehearsals steer the sandbox with: `GET` and `POST` under `/_drctl/`. Each request carries
//! `x-drctl-control: 1`, and each body is JSON and says so: see `gate.rs`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::account::ACCOUNT;
use super::control_world;
use super::engine::Damage;
use super::fault::Rule;
use super::gate::{check_control, check_local};
use super::iam::simulate;
use super::policy::Policy;
use super::protocol::Params;
use super::rds;
use super::shared::{Shared, note};
use super::world::World;

/// Answers one such request.
pub(super) fn control(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Body> {
    let (status, body) = match check_local(headers).and_then(|()| check_control(method, headers)) {
        Err(message) => (StatusCode::FORBIDDEN, json!({ "error": message })),
        Ok(()) => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            match perform(shared, method.as_str(), path, &body) {
                Ok(body) => (StatusCode::OK, body),
                Err(message) => (StatusCode::BAD_REQUEST, json!({ "error": message })),
            }
        }
    };
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(Body::from(body.to_string())).unwrap_or_default()
}

fn perform(shared: &Shared, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    ACCOUNT.clone_into(&mut shared.world().account);
    match (method, path) {
        ("GET", "state") => return Ok(state(&mut shared.world())),
        ("GET", "note") => return Ok(json!(note(shared))),
        ("GET", "calls") => return Ok(json!(*shared.calls())),
        ("DELETE", "faults") => shared.rules().clear(),
        ("POST", "faults") => {
            let rule: Rule = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
            shared.rules().push(rule);
        }
        ("POST", "damage") => damage(&mut shared.world(), text("target"), text("kind"))?,
        ("POST", "repair") => {
            let mut world = shared.world();
            for region in world.regions.values_mut() {
                region.damaged.remove(text("target"));
            }
        }
        ("POST", "distrust") => shared.world().engines.distrust().map_err(|error| error.to_string())?,
        ("POST", "snapshot") => snapshot(&mut shared.world(), text("target"), text("id"))?,
        ("POST", "tag") => tag(&mut shared.world(), text("id"), text("key"), text("value"))?,
        ("POST", "simulate") => return simulate(body),
        ("POST", "policies") => {
            let texts = body["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
            let policies = texts.iter().map(|policy| Policy::parse(&policy.to_string())).collect::<Result<_, _>>();
            *shared.policies() = policies.map_err(|error| format!("{error:#}"))?;
        }
        ("POST", "secret") => rotate(&mut shared.world(), text("id"), text("value"))?,
        ("POST", "key") => text("state").clone_into(&mut shared.world().key_state),
        ("POST", "quota") => {
            let mut world = shared.world();
            let number = |key: &str| body[key].as_u64().and_then(|number| usize::try_from(number).ok());
            world.instance_quota = number("instances").unwrap_or(world.instance_quota);
            world.cluster_quota = number("clusters").unwrap_or(world.cluster_quota);
            world.storage_quota_gib = body["storage_gib"].as_i64().unwrap_or(world.storage_quota_gib);
        }
        ("POST", "advance") => shared.clock.advance(Duration::from_secs(body["seconds"].as_u64().unwrap_or(0))),
        ("POST", path) => match control_world::change(&mut shared.world(), path, body) {
            Some(changed) => changed?,
            None => return Err(format!("the sandbox has no `POST /_drctl/{path}`")),
        },
        _ => return Err(format!("the sandbox has no `{method} /_drctl/{path}`")),
    }
    Ok(Value::Null)
}

/// Every resource by Region, type and name.
fn state(world: &mut World) -> Value {
    let names: Vec<String> = world.regions.keys().cloned().collect();
    let now = world.clock.now();
    let mut all = Vec::new();
    for name in names {
        let region = world.region(&name);
        for (id, instance) in &region.instances {
            all.push(json!({
                "region": name, "type": "db-instance", "id": id, "status": instance.status(now),
                "class": instance.class, "public": instance.public, "subnet_group": instance.settings.subnet_group,
                "protected": instance.settings.deletion_protection, "tags": instance.settings.tags,
                "port": instance.settings.port,
            }));
        }
        for (id, cluster) in &region.clusters {
            all.push(json!({
                "region": name, "type": "db-cluster", "id": id, "status": cluster.status(now),
                "members": cluster.members, "subnet_group": cluster.settings.subnet_group,
                "protected": cluster.settings.deletion_protection, "tags": cluster.settings.tags,
                "port": cluster.settings.port,
            }));
        }
        for (id, snapshot) in region.instance_snapshots.iter().chain(&region.cluster_snapshots) {
            all.push(json!({
                "region": name, "type": "snapshot", "id": id, "source": snapshot.source, "origin": snapshot.origin,
            }));
        }
    }
    Value::Array(all)
}

/// Damages every backup of a database, and those to come until it is repaired.
pub(super) fn damage(world: &mut World, target: &str, kind: &str) -> Result<(), String> {
    let kind = Damage::parse(kind).ok_or_else(|| format!("`{kind}` is not `rows`, `page` or `index`"))?;
    let mut found = false;
    for name in world.regions.keys().cloned().collect::<Vec<_>>() {
        let region = world.region(&name);
        let snapshots = region.instance_snapshots.values_mut().chain(region.cluster_snapshots.values_mut());
        for snapshot in snapshots.filter(|snapshot| snapshot.source == target) {
            if snapshot.content.seed.as_ref().is_some_and(|seed| seed.schema.is_some()) {
                return Err(format!("`{target}` holds your own tables: only the shop's can be damaged"));
            }
            snapshot.content.damage = Some(kind);
            found = true;
        }
        region.damaged.insert(target.to_owned(), kind);
    }
    if found { Ok(()) } else { Err(format!("there is no backup of `{target}`")) }
}

/// Begins a manual snapshot, as any client could.
fn snapshot(world: &mut World, target: &str, id: &str) -> Result<(), String> {
    let regions: Vec<String> = world.regions.keys().cloned().collect();
    for region in regions {
        let instance = world.region(&region).instances.contains_key(target);
        let (action, kind) =
            if instance { ("CreateDBSnapshot", "DB") } else { ("CreateDBClusterSnapshot", "DBCluster") };
        let source = if instance { "DBInstance" } else { "DBCluster" };
        let params = Params::parse(&format!("{kind}SnapshotIdentifier={id}&{source}Identifier={target}"));
        if rds::answer(world, &region, action, &params, None).is_ok() {
            return Ok(());
        }
    }
    Err(format!("there is no database `{target}`"))
}

/// Gives a secret a new current version, as a rotation does, wherever it is.
fn rotate(world: &mut World, id: &str, value: &str) -> Result<(), String> {
    let found = world.secrets.values_mut().find(|secret| secret.is_meant(id));
    found.ok_or_else(|| format!("there is no secret `{id}`"))?.put(value);
    Ok(())
}

/// Overwrites a tag, as somebody with too many rights could.
fn tag(world: &mut World, id: &str, key: &str, value: &str) -> Result<(), String> {
    for region in world.regions.values_mut() {
        let instance = region.instances.get_mut(id).map(|found| &mut found.settings.tags);
        let cluster = region.clusters.get_mut(id).map(|found| &mut found.settings.tags);
        if let Some(tags) = instance.or(cluster) {
            tags.insert(key.to_owned(), value.to_owned());
            return Ok(());
        }
    }
    Err(format!("there is no `{id}`"))
}
