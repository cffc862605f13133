//! From a run's journal to its report.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::objectives::{Rpo, Rto, hint_of, judge, rpo, rto};
use crate::action::{Copy, Difference, Point, PointType, Promise, VerifyOutput};
use crate::aws::{Resource, ResourceKind};
use crate::duration;
use crate::estate::Database;
use crate::runbook::{Finished, RunInfo};
use crate::store::{Entry, Phase, RunState};
use crate::verify::{Check, Outcome};

/// The schema of `restore-test --output json`.
const SCHEMA: &str = "drctl.restore-test/1";

/// What `restore-test --output json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreTests {
    /// The version of this document's shape.
    pub schema: &'static str,
    /// The estate.
    pub estate: String,
    /// Whether the sandbox was tested, not AWS.
    pub simulated: bool,
    /// One for each target.
    pub tests: Vec<TestReport>,
}

impl RestoreTests {
    /// The document for some tests.
    #[must_use]
    pub fn new(estate: &str, simulated: bool, tests: Vec<TestReport>) -> Self {
        Self { schema: SCHEMA, estate: estate.to_owned(), simulated, tests }
    }
}

/// What one restore test found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestReport {
    /// The run.
    pub run_id: String,
    /// The database.
    pub target: String,
    /// Its kind.
    pub kind: String,
    /// How it ended.
    pub outcome: RunState,
    /// Why.
    pub reason: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
    /// What was found, whatever became of the cleaning up; absent in reports of earlier versions.
    #[serde(default)]
    pub verdict: Option<VerdictReport>,
    /// When it began.
    pub started_at: Timestamp,
    /// What was restored.
    pub point: Option<PointReport>,
    /// The time to recover.
    pub rto: Rto,
    /// The data that would have been lost.
    pub rpo: Rpo,
    /// The restore point's time less the newest row that a freshness check found.
    #[serde(default)]
    pub data_loss_seconds: Option<f64>,
    /// What took how long.
    pub phases: Vec<Phase>,
    /// Every check.
    pub checks: Vec<Check>,
    /// In what the copy differs from its source.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// Promises about backups, judged.
    #[serde(default)]
    pub promises: Vec<Promise>,
    /// Anything else worth saying.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What drctl made.
    pub resources: Vec<ResourceReport>,
    /// Whether that is gone.
    pub cleanup: Cleanup,
    /// How to use the copy, where it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptReport>,
}

/// A copy that stays on purpose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptReport {
    /// Until when, in the time zone of its schedule; absent where it stays for good.
    pub until: Option<String>,
    /// Where clients connect, as `host:port`; absent where it was not ready.
    pub endpoint: Option<String>,
    /// The master user.
    pub username: Option<String>,
    /// Whether the master user has a random password, which was not kept.
    pub random_password: bool,
}

/// What a test has found, and what to do about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerdictReport {
    /// How it ended before anything was removed.
    pub outcome: RunState,
    /// Why.
    pub reason: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The restore point of a test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PointReport {
    /// How it was restored.
    #[serde(rename = "type")]
    pub kind: PointType,
    /// What identifies it.
    pub id: String,
    /// The moment that its data is of.
    pub taken_at: Timestamp,
    /// How old that was; absent where nobody can say.
    pub age_seconds: Option<f64>,
    /// How old it might be; for a point in time the RPO says that.
    pub max_age_seconds: Option<f64>,
    /// The age of the newest usable snapshot, where that is judged: a point that was drawn by lot may be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_age_seconds: Option<f64>,
    /// Whether it was too old.
    pub outcome: Outcome,
}

/// A thing that drctl made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResourceReport {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// Its identifier.
    pub id: String,
    /// Where it is.
    pub region: String,
    /// `deleted`, `kept`, `stuck`, `left-alone` or `standing`.
    pub state: String,
}

impl ResourceReport {
    /// The resource itself.
    pub(super) fn resource(&self) -> Resource {
        Resource { kind: self.kind, id: self.id.clone(), region: self.region.clone() }
    }
}

/// Whether what was made is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleanup {
    /// It is.
    Complete,
    /// It stays on purpose, until it expires.
    Kept,
    /// It could not be removed.
    Stuck,
}

/// Puts a report together from what a run yielded and journalled.
#[must_use]
pub fn assemble(
    database: &Database,
    info: &RunInfo,
    finished: &Finished,
    entries: &[(Timestamp, Entry)],
    earlier_seconds: f64,
) -> TestReport {
    let phases: Vec<Phase> = entries
        .iter()
        .filter_map(|(_, entry)| match entry {
            Entry::PhaseEnded { phase, .. } => Some(phase.clone()),
            _ => None,
        })
        .collect();
    let proved = output::<VerifyOutput>(finished, |value| value.get("checks").is_some());
    let copy = output::<Copy>(finished, |value| value.get("endpoint").is_some());
    let mut point = output::<Point>(finished, |value| value.get("age_outcome").is_some());
    if let (Some(point), Some(copy)) = (&mut point, &copy) {
        point.promises.extend(copy.promises.iter().cloned());
    }
    let checks = proved.map(|proved| proved.checks).unwrap_or_default();
    let reached_verdict = checks.iter().any(|check| check.outcome != Outcome::Unknown);
    let rto = rto(database.objectives, &phases, finished, earlier_seconds, reached_verdict);
    let rpo = rpo(database.objectives, point.as_ref(), copy.as_ref());
    let (state, reason) = judge(&finished.verdict, &rto, &rpo, point.as_ref());
    let promises = point.as_ref().map(|point| point.promises.clone()).unwrap_or_default();
    let hint = finished.verdict.hint.clone().or_else(|| hint_of(&rpo, &promises));
    let verdict = VerdictReport { outcome: state, reason, hint: hint.filter(|_| state != RunState::Passed) };
    let (outcome, reason, hint) = match finished.leftover() {
        Some(left) => (left.state, format!("{} (before that: {})", left.reason, verdict.reason), left.hint),
        None => (state, verdict.reason.clone(), verdict.hint.clone()),
    };
    let mut notes = point.as_ref().map(|point| point.notes.clone()).unwrap_or_default();
    if rpo.met != Some(true) && snapshots_alone_miss(database, point.as_ref()) {
        let objective = duration::show(database.objectives.rpo);
        notes.push(format!("snapshots alone cannot meet an RPO of {objective}: use point-in-time recovery to meet it"));
    }
    if copy.as_ref().is_some_and(|copy| copy.storage_initializing) {
        notes.push("AWS still loads the copy's blocks: it was not at full speed yet".to_owned());
    }
    let kept = finished.kept_until.map(|until| kept(database, until, copy.as_ref()));
    let cleanup = match (outcome, finished.kept_until) {
        (RunState::Stuck, _) => Cleanup::Stuck,
        (_, Some(_)) => Cleanup::Kept,
        _ => Cleanup::Complete,
    };
    TestReport {
        run_id: info.id.clone(),
        target: database.id.clone(),
        kind: database.kind.name().to_owned(),
        outcome,
        reason,
        hint,
        verdict: Some(verdict),
        started_at: info.started_at,
        point: point.map(point_report),
        rto,
        rpo,
        data_loss_seconds: checks.iter().filter_map(|check| check.data_loss_seconds).max_by(f64::total_cmp),
        phases,
        checks,
        differences: copy.map(|copy| copy.differences).unwrap_or_default(),
        promises,
        notes,
        resources: resources(entries),
        cleanup,
        kept,
    }
}

/// Whether snapshots may be older than the RPO allows.
fn snapshots_alone_miss(database: &Database, point: Option<&Point>) -> bool {
    let may_be = point.filter(|point| point.kind == PointType::Snapshot).and_then(|point| point.max_age_seconds);
    may_be.is_some_and(|seconds| seconds > database.objectives.rpo.as_secs_f64())
}

fn kept(database: &Database, until: Timestamp, copy: Option<&Copy>) -> KeptReport {
    let zone = database.test.timetable.as_ref().map_or(TimeZone::UTC, |timetable| timetable.zone.clone());
    // A recovery is kept for good.
    let until = Some(until).filter(|until| *until != Timestamp::MAX);
    KeptReport {
        until: until.map(|until| until.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()),
        endpoint: copy.map(|copy| copy.endpoint.to_string()),
        username: copy.and_then(|copy| database.test.username.clone().or_else(|| copy.master_username.clone())),
        random_password: database.test.password.is_none(),
    }
}

/// The first step's output that looks like a `T`.
fn output<T: serde::de::DeserializeOwned>(finished: &Finished, looks: fn(&serde_json::Value) -> bool) -> Option<T> {
    let value = finished.outputs.values().find(|value| looks(value))?;
    // Not of a copy: what a large database was found to hold is large.
    T::deserialize(value).ok()
}

fn point_report(point: Point) -> PointReport {
    PointReport {
        kind: point.kind,
        id: point.id,
        taken_at: point.taken_at,
        age_seconds: point.age_seconds,
        max_age_seconds: point.max_age_seconds,
        newest_age_seconds: point.newest_age_seconds,
        outcome: point.age_outcome,
    }
}

fn resources(entries: &[(Timestamp, Entry)]) -> Vec<ResourceReport> {
    // What was never made, or is somebody else's, is no resource of this run.
    let is_nothing = |wanted: &Resource| {
        let last = entries.iter().rev().find_map(|(_, entry)| match entry {
            Entry::NotMade { resource, .. } | Entry::NotOurs { resource, .. } if resource == wanted => Some(true),
            Entry::Intended { resource, .. } | Entry::Made { resource } if resource == wanted => Some(false),
            _ => None,
        });
        last == Some(true)
    };
    let mut found: Vec<ResourceReport> = Vec::new();
    let mut set = |resource: &Resource, state: &str| {
        let existing = found.iter_mut().find(|known| known.id == resource.id && known.kind == resource.kind);
        match existing {
            Some(known) => state.clone_into(&mut known.state),
            None => found.push(ResourceReport {
                kind: resource.kind,
                id: resource.id.clone(),
                region: resource.region.clone(),
                state: state.to_owned(),
            }),
        }
    };
    for (_, entry) in entries {
        match entry {
            Entry::Intended { resource, .. } if !is_nothing(resource) => set(resource, "standing"),
            Entry::Removed { resource } => set(resource, "deleted"),
            Entry::Kept { resource, .. } => set(resource, "kept"),
            Entry::RemovalFailed { resource, .. } => set(resource, "stuck"),
            Entry::LeftAlone { resource, .. } => set(resource, "left-alone"),
            _ => {}
        }
    }
    found
}
