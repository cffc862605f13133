//! A restored copy, as later steps refer to it, and what it lacks against its source.

use serde::{Deserialize, Serialize};

use super::point::Point;
use crate::aws::{Aws, Result};
use crate::estate::{Database, HostPort};

/// A restored copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// The target that it is a copy of.
    pub target: String,
    /// Its identifier.
    pub id: String,
    /// The instance, where it is a cluster.
    pub member: Option<String>,
    /// Where clients connect.
    pub endpoint: HostPort,
    /// What it was made from.
    pub point: Point,
    /// What it lacks; a recovery would lack it too.
    pub differences: Vec<Difference>,
    /// Whether AWS still loads its blocks: it is not at full speed yet.
    pub storage_initializing: bool,
}

/// The fields that a runbook can refer to.
pub(super) const FIELDS: &[&str] = &["target", "id", "member", "endpoint", "point", "differences"];

/// A setting in which a copy differs from its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The setting's name.
    pub setting: String,
    /// The source's.
    pub source: String,
    /// The copy's.
    pub copy: String,
}

/// The settings of a database that a recovery would miss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings(Vec<(&'static str, Option<String>)>);

/// Compares a copy with its source. `None` where the source is gone.
pub(super) async fn compare(aws: &Aws, database: &Database, copy: &str) -> Result<Option<Vec<Difference>>> {
    let Some(source) = settings(aws, database, &database.id).await? else { return Ok(None) };
    let copy = settings(aws, database, copy).await?.unwrap_or_default();
    Ok(Some(differences(&source, &copy)))
}

async fn settings(aws: &Aws, database: &Database, id: &str) -> Result<Option<Settings>> {
    if !database.kind.is_cluster() {
        let Some(found) = aws.instance(id).await? else { return Ok(None) };
        return Ok(Some(Settings(vec![
            ("instance class", Some(found.class)),
            ("parameter group", found.parameter_group),
            ("Multi-AZ", found.multi_az.map(on_or_off)),
            ("encryption", found.encrypted.map(on_or_off)),
            ("IAM authentication", found.iam_authentication.map(on_or_off)),
            ("log exports", Some(sorted(found.log_exports))),
            ("deletion protection", found.deletion_protection.map(on_or_off)),
            ("backup retention", found.backup_retention_days.map(|days| format!("{days} days"))),
        ])));
    }
    let Some(found) = aws.cluster(database.kind, id).await? else { return Ok(None) };
    let writer = found.members.iter().find(|member| member.is_writer).or_else(|| found.members.first());
    let class = match writer {
        Some(writer) => aws.instance(&writer.id).await?.map(|instance| instance.class),
        None => None,
    };
    Ok(Some(Settings(vec![
        ("instance class", class),
        ("instances", Some(found.members.len().to_string())),
        ("cluster parameter group", found.parameter_group),
        ("Multi-AZ", found.multi_az.map(on_or_off)),
        ("encryption", found.encrypted.map(on_or_off)),
        ("IAM authentication", found.iam_authentication.map(on_or_off)),
        ("log exports", Some(sorted(found.log_exports))),
        ("deletion protection", found.deletion_protection.map(on_or_off)),
    ])))
}

fn on_or_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn differences(source: &Settings, copy: &Settings) -> Vec<Difference> {
    let of_copy = |name| copy.0.iter().find(|(other, _)| *other == name).and_then(|(_, value)| value.clone());
    let differing = source.0.iter().filter_map(|(name, value)| {
        let (source, copy) = (value.clone()?, of_copy(*name).unwrap_or_else(|| "unknown".to_owned()));
        (source != copy).then(|| Difference { setting: (*name).to_owned(), source, copy })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let source = Settings(vec![("Multi-AZ", Some("on".into())), ("encryption", Some("on".into())), ("x", None)]);
        let copy = Settings(vec![("Multi-AZ", Some("off".into())), ("encryption", Some("on".into()))]);
        let found = differences(&source, &copy);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].setting.as_str(), found[0].copy.as_str()), ("Multi-AZ", "off"));
    }
}
