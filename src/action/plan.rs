//! Everything about a restore that is decided before anything is made.

use super::copy::Copy;
use super::finding::Finding;
use super::point::{Point, PointType};
use super::source::{DatabaseDescription, SourceSettings};
use super::wanted::Wanted;
use super::{network, preflight};
use crate::aws::{BackupSource, Change, Resource, ResourceKind, RestoreSource};
use crate::context::AppContext;
use crate::estate::{Database, Tags};
use crate::runbook::{Failure, NAME_PREFIX, RunInfo};
use crate::store::Entry;

/// The longest identifier that RDS takes, less the member's suffix.
const MAX_ID_CHARS: usize = 60;
/// How much of the run's id is part of the copy's name.
const SUFFIX_CHARS: usize = 6;

/// Everything that is decided before anything is made.
pub(super) struct Planned<'e> {
    pub(super) database: &'e Database,
    pub(super) point: Point,
    pub(super) wanted: Wanted,
    /// Of the live source, for the day on which it is gone.
    pub(super) source: Option<SourceSettings>,
    pub(super) resource: Resource,
    /// One for each class that may be taken, the first choice first; a cluster has none, and so one.
    pub(super) restores: Vec<Change>,
    /// The instance of a cluster, likewise.
    pub(super) member: Option<(Resource, Vec<Change>)>,
    pub(super) notes: Vec<String>,
}

/// Decides, and asks everything that could stand in the way.
pub(super) async fn plan<'e>(
    app: &'e AppContext,
    run: &RunInfo,
    database: &'e Database,
    point: Point,
    given_class: Option<String>,
) -> Result<Planned<'e>, Failure> {
    if let Some(class) = &given_class {
        check_given_class(app, database, class)?;
    }
    let source = DatabaseDescription::read(&app.aws, database, &database.id).await?;
    let (settings, notes) = settings_of(app, database, source.as_ref()).await?;
    let mut wanted = Wanted::decide(database, &point, settings.as_ref(), given_class);
    let id = copy_id(&database.id, &run.id);
    let region = app.aws.region.clone();
    let kind = if database.kind.is_cluster() { ResourceKind::DbCluster } else { ResourceKind::DbInstance };
    let resource = Resource { kind, id: id.clone(), region: region.clone() };
    // Done again after a crash, the copy may be there already: it must not stand in its own way.
    let is_there = app.aws.describe(database.kind, &resource).await?.is_some();
    let findings = Box::pin(look(app, database, &point, &mut wanted, is_there)).await;
    preflight::refuse_on_first(database, &findings)?;
    let tags = run.tags();
    let member = database.kind.is_cluster().then(|| {
        let resource = Resource { kind: ResourceKind::DbInstance, id: format!("{id}-1"), region };
        let changes = wanted.classes.iter().map(|class| Change::AddMember {
            kind: database.kind,
            id: resource.id.clone(),
            cluster: id.clone(),
            class: class.clone(),
            engine: point.engine.clone(),
            parameter_group: wanted.member_parameter_group.clone(),
            tags: tags.clone(),
        });
        (resource.clone(), changes.collect())
    });
    let restores = restores(app, database, &point, &wanted, &id, &tags);
    let source = settings.filter(|_| source.is_some());
    Ok(Planned { database, point, wanted, source, resource, restores, member, notes })
}

async fn look(
    app: &AppContext,
    database: &Database,
    point: &Point,
    wanted: &mut Wanted,
    is_there: bool,
) -> Vec<Finding> {
    let mut findings = vec![network::quarantine(app).await];
    findings.extend(network::security_groups(app).await);
    if !is_there {
        let needed: &[&str] =
            if database.kind.is_cluster() { &["DBInstances", "DBClusters"] } else { &["DBInstances"] };
        findings.extend(network::quotas(app, needed).await);
    }
    findings.extend(preflight::of_copy(app, database, point, wanted).await);
    findings
}

/// A class that only a runbook names must be one that the configuration knows: runbooks are written by more people.
fn check_given_class(app: &AppContext, database: &Database, class: &str) -> Result<(), Failure> {
    let test = &database.test;
    let named = test.instance_class.iter().chain(&test.instance_classes).any(|known| known == class);
    let bounds = &app.estate.quarantine.instance_classes;
    if named || (!bounds.is_empty() && super::wanted::is_allowed(class, bounds)) {
        return Ok(());
    }
    let message =
        format!("the runbook asks for class `{class}`, which the configuration of `{}` does not have", database.id);
    let hint =
        format!("add it to the target's `instance_classes`, or `instance_classes = [\"{class}\"]` to `[quarantine]`");
    Err(Failure::refused(message, hint))
}

/// What a copy takes over: from the live source, else from what the last passed run has seen of it.
pub(super) async fn settings_of(
    app: &AppContext,
    database: &Database,
    source: Option<&DatabaseDescription>,
) -> Result<(Option<SourceSettings>, Vec<String>), Failure> {
    if let Some(source) = source {
        return Ok((Some(source.to_copy(&app.aws).await?), Vec::new()));
    }
    let baseline = app.store.baseline(app.scope(), &database.id).await?;
    let Some((run_id, _)) = baseline else { return Ok((None, Vec::new())) };
    let journal = app.store.journal(&run_id).await?;
    let remembered = journal.into_iter().find_map(|(_, entry)| match entry {
        Entry::StepDone { outputs, .. } => serde_json::from_value::<Copy>(outputs).ok()?.source,
        _ => None,
    });
    let note =
        remembered.as_ref().map(|_| format!("class, groups, storage and scaling are as run `{run_id}` saw them"));
    Ok((remembered, note.into_iter().collect()))
}

fn restores(
    app: &AppContext,
    database: &Database,
    point: &Point,
    wanted: &Wanted,
    id: &str,
    tags: &Tags,
) -> Vec<Change> {
    let backup = match (point.kind, &point.snapshot_id, &point.retained_resource_id) {
        (PointType::Snapshot, Some(snapshot), _) => RestoreSource::Snapshot(snapshot.clone()),
        (_, _, Some(resource_id)) => RestoreSource::PointInTime {
            source: BackupSource::Retained { resource_id: resource_id.clone() },
            at: Some(point.taken_at),
        },
        _ => {
            RestoreSource::PointInTime { source: BackupSource::Existing(database.id.clone()), at: Some(point.taken_at) }
        }
    };
    let quarantine = &app.estate.quarantine;
    let with_class = |class: Option<String>| crate::aws::Restore {
        id: id.to_owned(),
        source: backup.clone(),
        engine: point.engine.clone(),
        engine_version: point.engine_version.clone(),
        class,
        subnet_group: quarantine.subnet_group.clone(),
        security_groups: quarantine.security_groups.clone(),
        parameter_group: wanted.parameter_group.clone(),
        option_group: wanted.option_group.clone(),
        storage: wanted.storage.clone(),
        lifecycle: wanted.lifecycle.clone(),
        capacity: wanted.capacity,
        tags: tags.clone(),
    };
    let classes: Vec<Option<String>> = match wanted.classes.as_slice() {
        classes if database.kind.is_cluster() || classes.is_empty() => vec![None],
        classes => classes.iter().cloned().map(Some).collect(),
    };
    let change = |class| Change::Restore { kind: database.kind, restore: Box::new(with_class(class)) };
    classes.into_iter().map(change).collect()
}

/// `drctl-bookstore-postgres-8x0y1a`: the target's name and the end of the run's id.
fn copy_id(target: &str, run_id: &str) -> String {
    let suffix = run_id[run_id.len().saturating_sub(SUFFIX_CHARS)..].to_ascii_lowercase();
    let room = MAX_ID_CHARS - NAME_PREFIX.len() - SUFFIX_CHARS - 1;
    let target: String = target.to_ascii_lowercase().chars().take(room).collect();
    format!("{NAME_PREFIX}{}-{suffix}", target.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::copy_id;

    #[test]
    fn a_copy_is_named_for_its_target_and_run() {
        let id = copy_id("bookstore-postgres", "01KACY7Q5N3W8Z2R4T6V8X0Y1A");
        assert_eq!(id, "drctl-bookstore-postgres-8x0y1a");
        let long = copy_id(&"a".repeat(63), "01KACY7Q5N3W8Z2R4T6V8X0Y1A");
        assert!(long.len() <= 60 && long.ends_with("-8x0y1a"));
    }
}
