//! From a job whose time has come to what is done now. Asks nobody.

use jiff::Timestamp;

use super::jobs::{self, Work};
use crate::restore_test::{self, Options};
use crate::runbook::Environment;
use crate::store::{Claimed, DueJob, NewRun};

/// What a job has become.
pub(super) struct Chosen {
    pub(super) work: Chore,
    /// How often it was missed before.
    pub(super) missed: usize,
}

/// What is to be done now.
pub(super) enum Chore {
    Test(Box<NewRun>),
    Reap,
    Nothing,
}

/// What becomes of a job whose time has come. Asks nobody.
pub(super) fn decide(
    environment: &Environment,
    due: &DueJob,
    now: Timestamp,
    present_since: Timestamp,
) -> anyhow::Result<(Claimed, Chosen)> {
    let estate = &environment.estate;
    let Some((work, timetable)) = jobs::work(estate, &due.name) else {
        // Only what is configured is asked for.
        let never = Claimed { due_at: None, start_at: None, run: None };
        return Ok((never, Chosen { work: Chore::Nothing, missed: 0 }));
    };
    let taken = jobs::take(due, timetable, &estate.daemon, now, present_since);
    let (due_at, start_at) = jobs::occurrence(&estate.name, &due.name, taken.due_at, estate.daemon.jitter);
    let (chore, run) = match work {
        Work::Test(database) if taken.start => {
            let runbook = restore_test::shipped_runbook(database)?;
            let new = restore_test::new_run(environment, database, &runbook, &Options::default())?;
            let place = if new.simulated { "sandbox:" } else { "" };
            let occurrence =
                Some(format!("{place}{}/{}/{}/{}/{}", estate.name, new.account, new.region, due.name, due.due_at));
            let new = NewRun { occurrence, ..new };
            (Chore::Test(Box::new(new.clone())), Some(new))
        }
        Work::Reap if taken.start => (Chore::Reap, None),
        _ => (Chore::Nothing, None),
    };
    Ok((Claimed { due_at, start_at, run }, Chosen { work: chore, missed: taken.missed }))
}
