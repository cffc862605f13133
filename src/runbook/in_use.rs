//! Whether a copy is in use by people: then it is left alone, whatever its tags say. Pure.

use super::tags::{NAME_PREFIX, RUN_TAG};
use crate::aws::{Resource, ResourceKind, Sighting};

/// Why a copy of `run_id` looks as if people used it; `None` where nothing says so. `made_with_days` is how long its
/// backups were kept when it had just been made, where that is known; `was_kept` is whether people were given it.
#[must_use]
pub(super) fn why_in_use(
    run_id: &str,
    resource: &Resource,
    found: &Sighting,
    made_with_days: Option<i32>,
    was_kept: bool,
) -> Option<String> {
    if found.deletion_protection {
        return Some("its deletion protection is on".to_owned());
    }
    if !found.replicas.is_empty() {
        return Some(format!("{} replicates from it", found.replicas.join(", ")));
    }
    let of_run = |tags: &crate::estate::Tags| tags.get(RUN_TAG).is_some_and(|owner| owner == run_id);
    let foreign = found.members.iter().find(|(id, tags)| !of_run(tags) || !id.starts_with(NAME_PREFIX));
    if let Some((id, _)) = foreign {
        return Some(format!("its member `{id}` was not made by this run"));
    }
    // A copy of an instance is made without backups, and without a standby. A member's are its cluster's.
    let alone = resource.kind == ResourceKind::DbInstance && found.cluster.is_none();
    let made_with_days = match resource.kind {
        ResourceKind::DbInstance if alone => made_with_days.or(Some(0)),
        ResourceKind::DbInstance => None,
        ResourceKind::DbCluster => made_with_days,
    };
    if let (Some(then), Some(now)) = (made_with_days, found.backup_retention_days)
        && then != now
    {
        return Some(format!("its backups are kept for {now} days, {then} when it was made"));
    }
    if alone && found.multi_az {
        return Some("it was made Multi-AZ".to_owned());
    }
    // A copy that nobody was given is not in use by being public: production's data must not stay where the internet
    // reaches it.
    if was_kept && found.publicly_accessible {
        return Some("it was kept, and made publicly accessible".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Tags;

    fn why(kind: ResourceKind, was_kept: bool, change: impl FnOnce(&mut Sighting)) -> Option<String> {
        let resource = Resource { kind, id: "drctl-x".to_owned(), region: "r".to_owned() };
        let ours = Tags::from([(RUN_TAG.to_owned(), "run".to_owned())]);
        let mut found = Sighting { tags: ours.clone(), backup_retention_days: Some(0), ..Sighting::default() };
        if kind == ResourceKind::DbCluster {
            found.members = vec![("drctl-x-1".to_owned(), ours)];
            found.backup_retention_days = Some(7);
        }
        change(&mut found);
        why_in_use("run", &resource, &found, (kind == ResourceKind::DbCluster).then_some(7), was_kept)
    }

    #[test]
    fn a_copy_as_it_was_made_is_not_in_use() {
        assert_eq!(why(ResourceKind::DbInstance, false, |_| {}), None);
        assert_eq!(why(ResourceKind::DbCluster, false, |_| {}), None);
        // A member shows its cluster's retention.
        let member = |found: &mut Sighting| {
            found.cluster = Some("drctl-y".to_owned());
            found.backup_retention_days = Some(7);
        };
        assert_eq!(why(ResourceKind::DbInstance, false, member), None);
    }

    #[test]
    fn whatever_people_change_keeps_it() {
        use ResourceKind::{DbCluster, DbInstance};
        let told = |kind, change: fn(&mut Sighting)| why(kind, false, change).unwrap_or_default();
        assert!(told(DbInstance, |found| found.deletion_protection = true).contains("deletion protection"));
        assert!(told(DbCluster, |found| found.deletion_protection = true).contains("deletion protection"));
        assert!(told(DbInstance, |found| found.backup_retention_days = Some(7)).contains("7 days, 0 when"));
        assert!(told(DbCluster, |found| found.backup_retention_days = Some(30)).contains("30 days, 7 when"));
        assert!(told(DbInstance, |found| found.replicas.push("b".to_owned())).contains("b replicates"));
        assert!(told(DbInstance, |found| found.multi_az = true).contains("Multi-AZ"));
        let public = |found: &mut Sighting| found.publicly_accessible = true;
        assert_eq!(why(DbInstance, false, public), None);
        assert!(why(DbInstance, true, public).unwrap_or_default().contains("publicly"));
        let foreign = |found: &mut Sighting| found.members.push(("reader".to_owned(), Tags::new()));
        assert!(told(DbCluster, foreign).contains("`reader`"));
        let untagged = |found: &mut Sighting| found.members[0].1.clear();
        assert!(told(DbCluster, untagged).contains("`drctl-x-1`"));
    }
}
