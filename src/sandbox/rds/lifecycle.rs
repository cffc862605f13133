//! Which statuses something goes through after a request.
//!
//! The statuses are those of "Viewing DB instance status" and "Viewing DB cluster status" in the user guides. That a
//! restored instance with a parameter group of its own is modified once more, and that backups begin right after, is what
//! people report; how long each takes is an assumption.

use super::Request;
use crate::sandbox::AwsBehaviour;
use crate::sandbox::world::catalog::Version;
use crate::sandbox::world::{Settings, Timeline, Times};

/// A restored instance.
pub(super) fn of_restored(
    request: &Request<'_>,
    times: &Times,
    behaviour: AwsBehaviour,
    settings: &Settings,
    is_customized: bool,
) -> Timeline {
    let mut steps = vec![("creating", times.restore_instance)];
    if let Some(status) = request.ending {
        return Timeline::through(request.now, &steps, status);
    }
    if behaviour.shows_interim_statuses() {
        steps.extend((settings.backup_retention_days > 0).then_some(("backing-up", times.interim)));
        if is_customized {
            // On a bad day it is `available` for a moment before it is modified.
            steps.extend((behaviour == AwsBehaviour::Harsh).then_some(("available", times.interim / 4)));
            steps.extend([("modifying", times.interim), ("rebooting", times.interim)]);
        }
        steps.extend(configuring(settings).into_iter().map(|status| (status, times.interim)));
    }
    Timeline::through(request.now, &steps, "available")
}

/// What is set up on the way.
fn configuring(settings: &Settings) -> Vec<&'static str> {
    let logs = (!settings.log_exports.is_empty()).then_some("configuring-log-exports");
    let iam = settings.iam_authentication.then_some("configuring-iam-database-auth");
    logs.into_iter().chain(iam).collect()
}

/// A restored cluster. "migrating" is what Aurora shows while a snapshot becomes a volume.
pub(super) fn of_restored_cluster(
    request: &Request<'_>,
    times: &Times,
    behaviour: AwsBehaviour,
    version: Version,
) -> Timeline {
    let mut steps = vec![("creating", times.restore_cluster)];
    if request.ending.is_none() && behaviour.shows_interim_statuses() && version.engine.starts_with("aurora") {
        steps.push(("migrating", times.interim));
        steps.extend((behaviour == AwsBehaviour::Harsh).then_some(("backing-up", times.interim)));
    }
    Timeline::through(request.now, &steps, request.ending.unwrap_or("available"))
}

/// A new instance, alone or in a cluster: enhanced monitoring is set up where it was asked for.
pub(super) fn of_new_instance(
    request: &Request<'_>,
    times: &Times,
    behaviour: AwsBehaviour,
    settings: &Settings,
) -> Timeline {
    let mut steps = vec![("creating", times.add_member)];
    if request.ending.is_none() && behaviour.shows_interim_statuses() {
        let alone = request.params.text("DBClusterIdentifier").is_none();
        steps.extend((alone && settings.backup_retention_days > 0).then_some(("backing-up", times.interim)));
        let monitored = request.params.number("MonitoringInterval").is_some_and(|seconds| seconds > 0);
        let harsh = behaviour == AwsBehaviour::Harsh;
        steps.extend((monitored || harsh).then_some(("configuring-enhanced-monitoring", times.interim)));
    }
    Timeline::through(request.now, &steps, request.ending.unwrap_or("available"))
}
