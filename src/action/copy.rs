//! A restored copy, as later steps refer to it, and what it lacks against its source.

use serde::{Deserialize, Serialize};

use super::point::{Point, Promise};
use super::source::{DatabaseDescription, OfInstance, SourceSettings};
use crate::aws::{Aws, Result};
use crate::estate::HostPort;

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
    /// The master user, as AWS has it.
    #[serde(default)]
    pub master_username: Option<String>,
    /// What it took over from its source, kept for the day on which the source is gone.
    #[serde(default)]
    pub source: Option<SourceSettings>,
    /// What it lacks; a recovery would lack it too.
    pub differences: Vec<Difference>,
    /// The RPO once more, measured when the copy was there; absent where nobody could say.
    #[serde(default)]
    pub rpo_seconds: Option<f64>,
    /// Why nobody could say.
    #[serde(default)]
    pub rpo_reason: Option<String>,
    /// Whether automated backups were switched off by then.
    #[serde(default)]
    pub backups_are_off: bool,
    /// What was found of the copy itself, judged: whether it is of the backup's engine.
    #[serde(default)]
    pub promises: Vec<Promise>,
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

/// Settings of a database by name.
type Settings = Vec<(&'static str, Option<String>)>;

/// Compares a copy with its source: what a recovery would miss.
pub(super) async fn compare(
    aws: &Aws,
    source: &DatabaseDescription,
    copy: &DatabaseDescription,
) -> Result<Vec<Difference>> {
    Ok(differences(settings(aws, source).await?, &settings(aws, copy).await?))
}

async fn settings(aws: &Aws, found: &DatabaseDescription) -> Result<Settings> {
    let OfInstance { class, member_parameter_group } = found.of_instance(aws).await?;
    let of_instance = [("instance class", class), ("parameter group of the writer", member_parameter_group)];
    Ok(of_instance.into_iter().chain(found.settings.iter().cloned()).collect())
}

fn differences(source: Settings, copy: &Settings) -> Vec<Difference> {
    let of_copy = |name| copy.iter().find(|(other, _)| *other == name).and_then(|(_, value)| value.clone());
    let differing = source.into_iter().filter_map(|(name, value)| {
        let (source, copy) = (value?, of_copy(name).unwrap_or_else(|| "unknown".to_owned()));
        (source != copy).then(|| Difference { setting: name.to_owned(), source, copy })
    });
    differing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let source = vec![("Multi-AZ", Some("on".into())), ("encryption", Some("on".into())), ("x", None)];
        let copy = vec![("Multi-AZ", Some("off".into())), ("encryption", Some("on".into()))];
        let found = differences(source, &copy);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].setting.as_str(), found[0].copy.as_str()), ("Multi-AZ", "off"));
    }
}
