//! Jobs: a name, a timetable, and what is done when its time comes. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::estate::{Daemon, Database, Estate, Missed, ZonedSchedule};
use crate::store::{DueJob, Job};

const TEST: &str = "restore-test/";
const REAP: &str = "reap";
/// Occurrences that are counted of what was missed.
const MAX_COUNTED: usize = 1000;
/// Occurrences of all jobs that a plan shows.
const MAX_PLANNED: usize = 100_000;

/// What a job does.
#[derive(Clone, Copy, Debug)]
pub(super) enum JobKind<'e> {
    /// Tests a database.
    Test(&'e Database),
    /// Removes what has expired.
    Reap,
}

/// The jobs of an estate with their timetables.
pub(super) fn jobs(estate: &Estate) -> Vec<(Job, &ZonedSchedule)> {
    let tests = estate.databases.iter().filter_map(|database| {
        let timetable = database.test.timetable.as_ref()?;
        let name = format!("{TEST}{}", database.id);
        Some((Job { name, target: Some(database.id.clone()), timetable: timetable.to_string() }, timetable))
    });
    let reap =
        estate.daemon.reap.iter().map(|timetable| {
            (Job { name: REAP.to_owned(), target: None, timetable: timetable.to_string() }, timetable)
        });
    tests.chain(reap).collect()
}

/// What a job of this name does, and when.
pub(super) fn kind_of<'e>(estate: &'e Estate, name: &str) -> Option<(JobKind<'e>, &'e ZonedSchedule)> {
    if name == REAP {
        return estate.daemon.reap.as_ref().map(|timetable| (JobKind::Reap, timetable));
    }
    let database = estate.database(name.strip_prefix(TEST)?)?;
    database.test.timetable.as_ref().map(|timetable| (JobKind::Test(database), timetable))
}

/// When a job is due, and when it starts: a little later, always the same for the same occurrence.
pub(super) fn occurrence(
    estate: &str,
    name: &str,
    due_at: Option<Timestamp>,
    jitter: Duration,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let start_at = due_at.map(|due_at| {
        let millis = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return due_at;
        }
        let mut hasher = std::hash::DefaultHasher::new();
        (estate, name, due_at.as_millisecond()).hash(&mut hasher);
        let delay = SignedDuration::from_millis(i64::try_from(hasher.finish() % millis).unwrap_or(0));
        due_at.checked_add(delay).unwrap_or(due_at)
    });
    (due_at, start_at)
}

/// What becomes of a job whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MisfireDecision {
    /// Whether it is done now.
    pub(super) start: bool,
    /// How often it was due while nobody was there; 0 where it is on time.
    pub(super) missed: usize,
    /// When it is due again.
    pub(super) due_at: Option<Timestamp>,
}

/// Decides. However often it was missed, it is done once. It was missed where it should have started before anybody was
/// there to start it.
pub(super) fn judge_misfire(
    job: &DueJob,
    timetable: &ZonedSchedule,
    daemon: &Daemon,
    now: Timestamp,
    present_since: Timestamp,
) -> MisfireDecision {
    // What only waited for its turn was not missed.
    let absent = job.start_at < present_since;
    let late = absent && Duration::try_from(now.duration_since(job.start_at)).unwrap_or_default() > daemon.missed_after;
    let missed = if late { 1 + times_between(timetable, job, now) } else { 0 };
    MisfireDecision {
        start: !late || daemon.missed == Missed::Run,
        missed,
        due_at: timetable.next(now.max(job.due_at), job.anchor_at),
    }
}

fn times_between(timetable: &ZonedSchedule, job: &DueJob, now: Timestamp) -> usize {
    let later = std::iter::successors(Some(job.due_at), |at| timetable.next(*at, job.anchor_at));
    later.skip(1).take_while(|at| *at <= now).take(MAX_COUNTED).count()
}

/// One thing that will be done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    /// When.
    pub at: Timestamp,
    /// The estate.
    pub estate: String,
    /// The job.
    pub job: String,
    /// Its schedule and time zone.
    pub timetable: String,
}

impl Planned {
    /// Whether it tests a database.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.job.starts_with(TEST)
    }
}

/// What will be done, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Each time of each job.
    pub planned: Vec<Planned>,
    /// Whether there is more than a plan shows.
    pub is_cut: bool,
}

/// What will be done from `from` on, for as long as `within`. Only the next time of each job is held, however many there are.
#[must_use]
pub fn plan(estates: &[&Estate], from: Timestamp, within: Duration) -> Plan {
    let end = SignedDuration::try_from(within).ok().and_then(|within| from.checked_add(within).ok());
    let end = end.unwrap_or(Timestamp::MAX);
    let all: Vec<(&Estate, Job, &ZonedSchedule)> = all_jobs(estates).collect();
    let first = all.iter().enumerate().filter_map(|(number, (_, _, timetable))| {
        timetable.next(from, from).filter(|at| *at <= end).map(|at| Reverse((at, number)))
    });
    let mut next: BinaryHeap<Reverse<(Timestamp, usize)>> = first.collect();
    let mut plan = Plan::default();
    while let Some(Reverse((at, number))) = next.pop() {
        if plan.planned.len() == MAX_PLANNED {
            plan.is_cut = true;
            break;
        }
        let (estate, job, timetable) = &all[number];
        plan.planned.push(planned(estate, job, at));
        next.extend(timetable.next(at, from).filter(|at| *at <= end).map(|at| Reverse((at, number))));
    }
    plan.planned.sort_by(|a, b| (a.at, &a.estate, &a.job).cmp(&(b.at, &b.estate, &b.job)));
    plan
}

/// The jobs that are never due after `from`.
#[must_use]
pub fn never(estates: &[&Estate], from: Timestamp) -> Vec<Planned> {
    let never = all_jobs(estates).filter(|(_, _, timetable)| timetable.next(from, from).is_none());
    never.map(|(estate, job, _)| planned(estate, &job, from)).collect()
}

fn all_jobs<'e>(estates: &[&'e Estate]) -> impl Iterator<Item = (&'e Estate, Job, &'e ZonedSchedule)> {
    estates.iter().flat_map(|estate| jobs(estate).into_iter().map(|(job, timetable)| (*estate, job, timetable)))
}

fn planned(estate: &Estate, job: &Job, at: Timestamp) -> Planned {
    let (estate, job, timetable) = (estate.name.clone(), job.name.clone(), job.timetable.clone());
    Planned { at, estate, job, timetable }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const FILE: &str = "[estate]\nname = \"shop\"\nregion = \"eu-west-1\"\n[[database]]\nid = \"db\"\nkind = \"rds-mysql\"\n\
        [database.restore_test]\nschedule = \"cron(0 6 ? * MON *)\"\n[daemon]\nmissed = \"skip\"\n";

    fn due(at: &str) -> DueJob {
        let at = at.parse().unwrap();
        DueJob { name: format!("{TEST}db"), due_at: at, start_at: at, anchor_at: at, run_id: String::new() }
    }

    #[test]
    fn what_was_missed_is_done_once_or_left_out() {
        let estate = crate::config::parse("x", FILE).unwrap();
        let (_, timetable) = kind_of(&estate, "restore-test/db").unwrap();
        let monday = due("2026-11-23T06:00:00Z");
        let now = "2026-11-23T06:10:00Z".parse().unwrap();
        let next: Timestamp = "2026-11-30T06:00:00Z".parse().unwrap();
        let on_time = MisfireDecision { start: true, missed: 0, due_at: Some(next) };
        let here: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(judge_misfire(&monday, timetable, &estate.daemon, now, here), on_time);
        let now = "2026-12-08T00:00:00Z".parse().unwrap();
        let next: Timestamp = "2026-12-14T06:00:00Z".parse().unwrap();
        let skipped = MisfireDecision { start: false, missed: 3, due_at: Some(next) };
        assert_eq!(judge_misfire(&monday, timetable, &estate.daemon, now, here), skipped);
        // Who was there all the time had no room for it.
        let waited = MisfireDecision { start: true, missed: 0, ..skipped };
        assert_eq!(judge_misfire(&monday, timetable, &estate.daemon, now, monday.start_at), waited);
        let daemon = Daemon { missed: Missed::Run, ..estate.daemon.clone() };
        assert_eq!(judge_misfire(&monday, timetable, &daemon, now, here), MisfireDecision { start: true, ..skipped });
        // The clock was set back an hour after the job had been moved on: nothing is due twice.
        let now = "2026-11-23T05:00:00Z".parse().unwrap();
        assert_eq!(
            judge_misfire(&monday, timetable, &estate.daemon, now, here).due_at,
            Some("2026-11-30T06:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn a_start_is_put_off_by_less_than_the_jitter_and_always_the_same() {
        let due_at: Timestamp = "2026-11-23T06:00:00Z".parse().unwrap();
        let jitter = Duration::from_mins(10);
        let starts: Vec<_> = (0..50).map(|n| occurrence("shop", &format!("job-{n}"), Some(due_at), jitter).1).collect();
        assert!(starts.iter().flatten().all(|at| *at >= due_at && at.duration_since(due_at).as_secs() < 600));
        assert!(starts.iter().collect::<std::collections::HashSet<_>>().len() > 40);
        assert_eq!(occurrence("shop", "job-7", Some(due_at), jitter).1, starts[7]);
    }

    #[test]
    fn a_plan_names_every_time_and_what_never_comes() {
        let text = FILE.replace("cron(0 6 ? * MON *)", "cron(0 6 30 2 ? *)");
        let (estate, never) = (crate::config::parse("x", FILE).unwrap(), crate::config::parse("y", &text).unwrap());
        let from = "2026-11-20T00:00:00Z".parse().unwrap();
        let Plan { planned, is_cut } = plan(&[&estate], from, Duration::from_hours(24 * 30));
        assert!(!is_cut && planned.is_sorted_by_key(|one| one.at));
        assert_eq!(planned.iter().filter(|one| one.job == "restore-test/db").count(), 4);
        assert_eq!(planned.iter().filter(|one| one.job == REAP).count(), 24 * 30);
        assert_eq!(super::never(&[&never], from)[0].job, "restore-test/db");
    }

    /// What a plan of every time of every job would be: 43 million lines.
    #[test]
    fn a_plan_of_many_busy_jobs_is_cut_and_not_collected() {
        let mut text = FILE.split("[[database]]").next().unwrap().to_owned();
        for number in 0..1000 {
            let _ = write!(
                text,
                "[[database]]\nid = \"db{number}\"\nkind = \"rds-mysql\"\n[database.restore_test]\nschedule = \"* * * * *\"\n"
            );
        }
        let estate = crate::config::parse("x", &text).unwrap();
        let plan = plan(&[&estate], "2026-11-20T00:00:00Z".parse().unwrap(), Duration::from_hours(24 * 30));
        assert!(plan.is_cut && plan.planned.len() == MAX_PLANNED);
        assert_eq!(plan.planned.last().unwrap().at, "2026-11-20T01:40:00Z".parse().unwrap());
    }
}
