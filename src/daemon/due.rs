//! From a job whose time has come to what is done now. Asks nobody.

use jiff::Timestamp;

use super::jobs::{self, JobKind};
use crate::context::AppContext;
use crate::restore_test::{self, Options};
use crate::store::{Claimed, DueJob, NewRun};

/// What a job has become.
pub(super) struct DueDecision {
    pub(super) work: JobAction,
    /// How often it was missed before.
    pub(super) missed: usize,
}

/// What is to be done now.
pub(super) enum JobAction {
    Test(Box<NewRun>),
    Reap,
    Nothing,
}

/// What becomes of a job whose time has come. Asks nobody.
pub(super) fn decide(
    app: &AppContext,
    due: &DueJob,
    now: Timestamp,
    present_since: Timestamp,
) -> anyhow::Result<(Claimed, DueDecision)> {
    let estate = &app.estate;
    let Some((work, timetable)) = jobs::kind_of(estate, &due.name) else {
        // Only what is configured is asked for.
        let never = Claimed { due_at: None, start_at: None, run: None };
        return Ok((never, DueDecision { work: JobAction::Nothing, missed: 0 }));
    };
    let taken = jobs::judge_misfire(due, timetable, &estate.daemon, now, present_since);
    let (due_at, start_at) = jobs::occurrence(&estate.name, &due.name, taken.due_at, estate.daemon.jitter);
    let (chore, run) = match work {
        JobKind::Test(database) if taken.start => {
            let runbook = restore_test::shipped_runbook(database)?;
            let new = restore_test::new_run(app, database, &runbook, &Options::default())?;
            let place = if new.simulated { "sandbox:" } else { "" };
            let occurrence =
                Some(format!("{place}{}/{}/{}/{}/{}", estate.name, new.account, new.region, due.name, due.due_at));
            let new = NewRun { id: due.run_id.clone(), occurrence, ..new };
            (JobAction::Test(Box::new(new.clone())), Some(new))
        }
        JobKind::Reap if taken.start => (JobAction::Reap, None),
        _ => (JobAction::Nothing, None),
    };
    Ok((Claimed { due_at, start_at, run }, DueDecision { work: chore, missed: taken.missed }))
}
