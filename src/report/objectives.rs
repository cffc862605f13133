//! RTO and RPO: measured from a run's journal, and judged against what was promised.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::{Copy, Point, PointType, Promise};
use crate::duration;
use crate::estate::Objectives;
use crate::runbook::{Finished, Verdict};
use crate::store::{Phase, RunState, Spent};
use crate::verify::Outcome;

/// What a recovery takes that no restore test measures.
const RTO_OMITS: [&str; 4] = ["the decision", "the cut-over of clients", "replicas", "conversion to Multi-AZ"];

/// The time to recover.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rto {
    /// What was promised.
    pub objective_seconds: f64,
    /// From the run's start to the last check; absent where no check was reached.
    pub measured_seconds: Option<f64>,
    /// Whether the promise is kept; absent where nobody can say.
    pub met: Option<bool>,
    /// AWS's part.
    pub aws_seconds: f64,
    /// Verification's part.
    pub verify_seconds: f64,
    /// drctl's own part.
    pub drctl_seconds: f64,
    /// What a recovery takes besides, and this does not measure.
    #[serde(default)]
    pub omits: Vec<String>,
}

/// The data that would have been lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rpo {
    /// What was promised.
    pub objective_seconds: f64,
    /// Measured; absent where AWS did not say.
    pub measured_seconds: Option<f64>,
    /// Whether the promise is kept; absent where nobody can say.
    pub met: Option<bool>,
    /// `point-in-time` where the copy itself was measured, else `latest-restorable-time`: PITR reaches that far, and was
    /// not restored by this run.
    pub basis: String,
    /// Whose clock it was measured by: `aws`, or `host` where AWS gave no date.
    #[serde(default)]
    pub clock: String,
    /// How often it was measured; the worst counts.
    #[serde(default)]
    pub samples: u32,
    /// Why it could not be measured, or cannot be met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What to do about a promise that is not kept, where the run itself had nothing to say.
pub(super) fn hint_of(rpo: &Rpo, promises: &[Promise]) -> Option<String> {
    if rpo.met != Some(true) {
        return Some("see `drctl doctor`: it looks at the backups and says what to do".to_owned());
    }
    promises.iter().filter(|promise| promise.outcome != Outcome::Passed).find_map(|promise| promise.fix.clone())
}

pub(super) fn rto(
    objectives: Objectives,
    phases: &[Phase],
    finished: &Finished,
    earlier_seconds: f64,
    reached_verdict: bool,
) -> Rto {
    let sum = |spent: Spent, seconds: fn(&Phase) -> f64| -> f64 {
        phases.iter().filter(|phase| phase.spent == spent).map(seconds).fold(0.0, |sum, seconds| sum + seconds)
    };
    let aws_seconds = sum(Spent::Aws, |phase| phase.seconds);
    let verify_seconds = sum(Spent::Verify, |phase| phase.seconds);
    // Everything that this process did and waited for, less AWS's and verification's part of it.
    let accounted = sum(Spent::Aws, |phase| phase.worked_seconds) + sum(Spent::Verify, |phase| phase.worked_seconds);
    let drctl_seconds = (finished.worked_seconds + earlier_seconds - accounted).max(0.0);
    let measured = aws_seconds + verify_seconds + drctl_seconds;
    let objective_seconds = objectives.rto.as_secs_f64();
    let met = match finished.verdict.state {
        _ if reached_verdict => Some(measured <= objective_seconds),
        RunState::Failed => Some(false),
        _ => None,
    };
    Rto {
        objective_seconds,
        measured_seconds: reached_verdict.then_some(measured),
        met,
        aws_seconds,
        verify_seconds,
        drctl_seconds,
        omits: RTO_OMITS.map(str::to_owned).to_vec(),
    }
}

/// Measured when the point was chosen, and once more when the copy was there: the worse counts, and what was unknown or
/// switched off at either time is.
pub(super) fn rpo(objectives: Objectives, point: Option<&Point>, copy: Option<&Copy>) -> Rpo {
    let first = point.and_then(|point| point.rpo_seconds);
    let again = copy.and_then(|copy| copy.rpo_seconds);
    let backups_are_off =
        point.is_some_and(|point| point.backups_are_off) || copy.is_some_and(|copy| copy.backups_are_off);
    let objective_seconds = objectives.rpo.as_secs_f64();
    let in_time = point.is_some_and(|point| {
        let newest = point.latest_restorable_time.map(|at| at.as_second() - point.taken_at.as_second());
        point.kind == PointType::PointInTime && newest == Some(1)
    });
    // A point in time that was restored is what it is; the newest restorable moment may lag now and then.
    let again = again.filter(|_| !in_time && first.is_some());
    let untold = copy.and_then(|copy| copy.rpo_reason.clone()).filter(|_| !in_time);
    let measured_seconds = first.map(|first| again.map_or(first, |again| again.max(first)));
    let measured_seconds = measured_seconds.filter(|_| !backups_are_off && untold.is_none());
    let met =
        if backups_are_off { Some(false) } else { measured_seconds.map(|measured| measured <= objective_seconds) };
    Rpo {
        objective_seconds,
        measured_seconds,
        met,
        basis: if in_time { "point-in-time" } else { "latest-restorable-time" }.to_owned(),
        clock: point.map(|point| point.clock.clone()).unwrap_or_default(),
        samples: u32::from(first.is_some()) + u32::from(again.is_some()),
        reason: point.and_then(|point| point.rpo_reason.clone()).or(untold).or_else(|| {
            let off = "automated backups were switched off during the test";
            backups_are_off.then(|| off.to_owned())
        }),
    }
}

/// The run's end, and the promises on top of it. A promise that was broken is a failure of its own, and one of which
/// nobody can say whether it is kept leaves a run unknown that would have passed.
pub(super) fn judge(verdict: &Verdict, rto: &Rto, rpo: &Rpo, point: Option<&Point>) -> (RunState, String) {
    let (broken, unknown) = (broken(rto, rpo, point), unknown(rpo, point));
    let outweighed = matches!(verdict.state, RunState::Passed | RunState::Unknown | RunState::Failed);
    if !outweighed {
        return (verdict.state, verdict.reason.clone());
    }
    let told = |more: &[String]| match verdict.state {
        RunState::Passed => more.join("; "),
        _ => format!("{}; {}", verdict.reason, more.join("; ")),
    };
    if !broken.is_empty() {
        return (RunState::Failed, told(&broken));
    }
    if !unknown.is_empty() && verdict.state == RunState::Passed {
        return (RunState::Unknown, told(&unknown));
    }
    (verdict.state, verdict.reason.clone())
}

fn broken(rto: &Rto, rpo: &Rpo, point: Option<&Point>) -> Vec<String> {
    let mut broken = Vec::new();
    if let (Some(measured), Some(false)) = (rto.measured_seconds, rto.met) {
        broken.push(missed("RTO", measured, rto.objective_seconds));
    }
    match (rpo.measured_seconds, rpo.met, &rpo.reason) {
        (Some(measured), Some(false), _) => broken.push(missed("RPO", measured, rpo.objective_seconds)),
        (None, Some(false), Some(reason)) => {
            let promised = duration::show_seconds(rpo.objective_seconds);
            broken.push(format!("the RPO cannot be met, the objective is {promised}: {reason}"));
        }
        _ => {}
    }
    let Some(point) = point else { return broken };
    if point.age_outcome == Outcome::Failed {
        let most = duration::show_seconds(point.max_age_seconds.unwrap_or_default());
        let (what, age) = match point.newest_age_seconds {
            Some(age) => ("the newest usable snapshot", age),
            None => ("the restore point", point.age_seconds.unwrap_or_default()),
        };
        broken.push(format!("{what} is {} old, the limit is {most}", duration::show_seconds(age)));
    }
    let kept = point.promises.iter().filter(|promise| promise.outcome == Outcome::Failed);
    broken.extend(kept.map(|promise| format!("`{}` is not kept: {}", promise.name, promise.found)));
    broken
}

fn unknown(rpo: &Rpo, point: Option<&Point>) -> Vec<String> {
    let mut unknown = Vec::new();
    if rpo.met.is_none() {
        let promised = duration::show_seconds(rpo.objective_seconds);
        let why = rpo.reason.as_deref().unwrap_or("no restore point was chosen");
        unknown.push(format!("the RPO is unknown, the objective is {promised}: {why}"));
    }
    let Some(point) = point else { return unknown };
    if point.age_outcome == Outcome::Unknown {
        unknown.push(format!("the age of restore point `{}` is unknown", point.id));
    }
    let untold = point.promises.iter().filter(|promise| promise.outcome == Outcome::Unknown);
    unknown.extend(untold.map(|promise| format!("`{}` is unknown: {}", promise.name, promise.found)));
    unknown
}

fn missed(what: &str, measured: f64, objective: f64) -> String {
    let promised = duration::show(Duration::try_from_secs_f64(objective).unwrap_or_default());
    format!("the {what} is {}, the objective is {promised}", duration::show_seconds(measured))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn finished(state: RunState) -> Finished {
        Finished {
            verdict: Verdict { state, reason: "all 5 checks passed".to_owned(), hint: None },
            outputs: serde_json::Map::new(),
            remains: Vec::new(),
            kept_until: None,
            worked_seconds: 700.0,
        }
    }

    fn phase(spent: Spent, seconds: f64, worked_seconds: f64) -> Phase {
        let started_at = Timestamp::UNIX_EPOCH;
        Phase { name: "p".to_owned(), spent, started_at, seconds, worked_seconds, outcome: "passed".to_owned() }
    }

    const OBJECTIVES: Objectives = Objectives { rto: Duration::from_mins(15), rpo: Duration::from_mins(5) };

    #[test]
    fn on_a_real_clock_the_parts_add_up_to_the_whole() {
        let phases = [phase(Spent::Aws, 655.0, 655.0), phase(Spent::Verify, 31.0, 31.0), phase(Spent::Drctl, 3.0, 3.0)];
        let rto = rto(OBJECTIVES, &phases, &finished(RunState::Passed), 0.0, true);
        assert_eq!(rto.measured_seconds, Some(700.0));
        assert_eq!((rto.drctl_seconds, rto.met), (14.0, Some(true)));
    }

    #[test]
    fn in_the_sandbox_waiting_counts_as_shown_and_work_as_done() {
        let phases = [phase(Spent::Aws, 655.0, 11.0), phase(Spent::Verify, 0.5, 0.5)];
        let mut finished = finished(RunState::Passed);
        finished.worked_seconds = 12.0;
        let rto = rto(OBJECTIVES, &phases, &finished, 0.0, true);
        assert_eq!(rto.measured_seconds, Some(656.0));
    }

    #[test]
    fn a_missed_objective_fails_a_test_whose_checks_passed() {
        let rto = rto(OBJECTIVES, &[phase(Spent::Aws, 901.0, 700.0)], &finished(RunState::Passed), 0.0, true);
        let rpo = rpo(OBJECTIVES, None, None);
        let (state, reason) = judge(&finished(RunState::Passed).verdict, &rto, &rpo, None);
        assert_eq!((state, reason.as_str()), (RunState::Failed, "the RTO is 15m 1s, the objective is 15m"));
    }

    #[test]
    fn what_was_never_reached_is_not_met() {
        let failed = rto(OBJECTIVES, &[], &finished(RunState::Failed), 0.0, false);
        assert_eq!((failed.measured_seconds, failed.met), (None, Some(false)));
        assert_eq!(rto(OBJECTIVES, &[], &finished(RunState::Unknown), 0.0, false).met, None);
        assert_eq!(rpo(OBJECTIVES, None, None).met, None);
    }

    #[test]
    fn a_test_whose_rpo_nobody_can_measure_is_unknown() {
        let rto = rto(OBJECTIVES, &[phase(Spent::Aws, 60.0, 60.0)], &finished(RunState::Passed), 0.0, true);
        let (state, reason) = judge(&finished(RunState::Passed).verdict, &rto, &rpo(OBJECTIVES, None, None), None);
        assert_eq!(state, RunState::Unknown);
        assert!(reason.starts_with("the RPO is unknown, the objective is 5m"), "{reason}");
    }

    #[test]
    fn the_worst_sample_of_the_rpo_counts() {
        let point = serde_json::json!({
            "target": "x", "type": "snapshot", "id": "rds:x", "snapshot_id": "rds:x",
            "taken_at": "2026-11-20T03:05:00Z", "age_seconds": 60.0, "max_age_seconds": 93600.0,
            "age_outcome": "passed", "engine": "postgres", "engine_version": "15.3", "kms_key": null,
            "latest_restorable_time": "2026-11-20T08:00:00Z", "rpo_seconds": 120.0, "notes": [],
        });
        let point: Point = serde_json::from_value(point).unwrap();
        let copy = serde_json::json!({
            "target": "x", "id": "drctl-x", "member": null, "endpoint": { "host": "x", "port": 1 }, "point": point,
            "differences": [], "rpo_seconds": 400.0, "storage_initializing": false,
        });
        let copy: Copy = serde_json::from_value(copy).unwrap();
        let measured = rpo(OBJECTIVES, Some(&point), Some(&copy));
        assert_eq!((measured.measured_seconds, measured.met, measured.samples), (Some(400.0), Some(false), 2));
        let off = Copy { rpo_seconds: None, backups_are_off: true, ..copy.clone() };
        assert_eq!(rpo(OBJECTIVES, Some(&point), Some(&off)).met, Some(false), "switched off meanwhile");
        let untold = Copy { rpo_seconds: None, rpo_reason: Some("why".to_owned()), ..copy };
        let measured = rpo(OBJECTIVES, Some(&point), Some(&untold));
        assert_eq!((measured.met, measured.reason.as_deref()), (None, Some("why")));
        let off = Point { rpo_seconds: None, backups_are_off: true, rpo_reason: Some("off".to_owned()), ..point };
        assert_eq!(rpo(OBJECTIVES, Some(&off), None).met, Some(false));
    }
}
