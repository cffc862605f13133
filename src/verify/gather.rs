//! Asks the questions, several at a time, and hands the answers to the judges.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::answer::{Catalog, ConnectError, Scan};
use super::documentdb::Fold;
use super::identity::Identity;
use super::model::{BROKE_TWICE, Baseline, Check, ConnectionSettings, Plan, ProbeError, SettledFacts, Verification};
use super::together::{self, Collection, Counted, Judged};
use super::worker::Worker;
use super::{connect, expiring, judge};
use crate::clock::{Clock, Stopwatch};
use crate::estate::{ContentMode, CustomCheck, Probe, Protocol};

/// Connects and checks. Each check is told to `on_check` as soon as it is judged.
pub async fn verify(
    login: &ConnectionSettings,
    plan: &Arc<Plan>,
    clock: &Clock,
    on_check: &(dyn Fn(&Check) + Sync),
) -> Verification {
    let watch = clock.stopwatch();
    let expected = connect::expected(login);
    let (workers, catalog) = match connect::connect_with_retry(login, plan, plan.connections, clock).await {
        Ok(connected) => connected,
        Err(refusal) => {
            let check = Check { seconds: watch.worked_seconds(), ..connect::refused(&refusal, &expected, login) };
            on_check(&check);
            let credentials_refused = matches!(refusal, ConnectError::Credentials(_));
            return Verification { checks: vec![check], facts: None, credentials_refused };
        }
    };
    let identity = connect::who_answered(login, &catalog).await;
    let connected = judge::connected(&expected, login.tunnelled, &identity);
    let connected = Check { seconds: watch.worked_seconds(), ..connected };
    if let Some(stranger) = judge::another_server(catalog.server.as_deref(), login, &expected) {
        let check = Check { seconds: connected.seconds, ..stranger };
        on_check(&check);
        return Verification { checks: vec![check], facts: None, credentials_refused: false };
    }
    on_check(&connected);
    if matches!(identity, Identity::Differs(_)) {
        // Another server's data proves nothing, and reading all of it may be a burden there.
        return Verification { checks: vec![connected], facts: None, credentials_refused: false };
    }
    let answers = ask(workers, &catalog, login, plan, clock).await;
    let mut proof = conclude(catalog, answers, plan);
    proof.checks.iter().for_each(on_check);
    proof.checks.insert(0, connected);
    proof
}

/// One question.
enum Job {
    /// A part of a relation, counted from 0.
    Scan(String, usize),
    Structure(String),
    /// A check of the user's own, by its place in the plan.
    Custom(usize, CustomCheck),
    /// Everything that is asked of a collection.
    Collection(Collection),
    /// The collection's indexes, once it is known how many documents they must lead to.
    Indexes(Collection, u64),
}

/// From the first question of a kind to the last answer, in seconds since the asking began. Workers overlap.
#[derive(Clone, Copy, Default)]
struct TimeRange(Option<(f64, f64)>);

impl TimeRange {
    fn include(&mut self, from: f64, to: f64) {
        let (first, last) = self.0.unwrap_or((from, to));
        self.0 = Some((first.min(from), last.max(to)));
    }

    fn seconds(self) -> f64 {
        self.0.map_or(0.0, |(from, to)| to - from)
    }
}

/// Everything that was answered.
#[derive(Default)]
struct Answers {
    /// By relation: what each part yielded, in no order.
    scans: BTreeMap<String, Vec<Result<Scan, ProbeError>>>,
    collections: BTreeMap<String, Result<Counted, ProbeError>>,
    defects: Vec<ProbeError>,
    custom: BTreeMap<usize, Check>,
    settled: BTreeMap<String, SettledFacts>,
    scanned: TimeRange,
    examined: TimeRange,
    structures: usize,
    in_time: bool,
}

async fn ask(
    workers: Vec<Worker>,
    catalog: &Catalog,
    login: &ConnectionSettings,
    plan: &Arc<Plan>,
    clock: &Clock,
) -> Answers {
    let (jobs, judged) = jobs(catalog, login, plan);
    let jobs = Arc::new(Mutex::new(jobs));
    let answers = Arc::new(Mutex::new(Answers { custom: judged.into_iter().collect(), ..Answers::default() }));
    let watch = clock.stopwatch();
    let mut tasks = JoinSet::new();
    for worker in workers {
        let desk = WorkQueue {
            jobs: Arc::clone(&jobs),
            answers: Arc::clone(&answers),
            clock: clock.clone(),
            watch: watch.clone(),
        };
        tasks.spawn(work(worker, desk, login.clone(), Arc::clone(plan)));
    }
    let all = async { while tasks.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout(plan.deadline, all).await.is_ok();
    tasks.abort_all();
    let mut answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    answers.in_time = in_time;
    answers
}

/// In how many parts a relation is read.
fn parts_of(catalog: &Catalog, relation: &str) -> usize {
    catalog.parts.get(relation).copied().unwrap_or(1).max(1)
}

/// What there is to ask, and the checks that are judged without asking.
fn jobs(catalog: &Catalog, login: &ConnectionSettings, plan: &Plan) -> (VecDeque<Job>, Vec<(usize, Check)>) {
    let custom = plan.checks.iter().cloned().enumerate().map(|(at, check)| Job::Custom(at, check));
    if login.protocol == Protocol::Mongo {
        let (collections, judged) = together::collections(catalog, plan);
        let own = |job: &Job| match job {
            Job::Custom(at, check) => {
                matches!(check.probe, Probe::Aggregate { .. }) && !judged.iter().any(|(judged, _)| judged == at)
            }
            _ => true,
        };
        return (custom.filter(own).chain(collections.into_iter().map(Job::Collection)).collect(), judged);
    }
    // Structure comes last: what breaks a server there must not hide what can still be read.
    let scans = catalog
        .relations
        .keys()
        .flat_map(|name| (0..parts_of(catalog, name)).map(move |part| Job::Scan(name.clone(), part)));
    let structure = catalog.relations.keys().map(|name| Job::Structure(name.clone()));
    (custom.chain(scans).chain(structure).collect(), Vec::new())
}

/// Where workers take jobs from and leave answers.
struct WorkQueue {
    jobs: Arc<Mutex<VecDeque<Job>>>,
    answers: Arc<Mutex<Answers>>,
    clock: Clock,
    /// Runs since the asking began.
    watch: Stopwatch,
}

/// Answers jobs until there are none. A job over which the connection broke is asked once more over a new one: a server
/// that breaks twice over the same question is damaged, one that broke once may have been out of reach.
async fn work(mut worker: Worker, desk: WorkQueue, login: ConnectionSettings, plan: Arc<Plan>) {
    loop {
        let job = desk.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(job) = job else { return };
        let watch = desk.clock.stopwatch();
        let mut given = answer(&mut worker, &job, &plan, &watch).await;
        let mut fresh = None;
        if given.is_lost() {
            fresh = connect::again(&login, &plan, &desk.clock).await;
            if let Some(worker) = &mut fresh {
                given = answer(worker, &job, &plan, &watch).await;
            }
        }
        let broke_twice = fresh.is_some() && given.is_lost();
        let lost = given.is_lost();
        let given = if broke_twice { given.into_damage(&plan) } else { given };
        let to = desk.watch.worked_seconds();
        let from = to - watch.worked_seconds();
        if let Some(next) = given.next_job() {
            desk.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(next);
        }
        keep(&mut desk.answers.lock().unwrap_or_else(PoisonError::into_inner), given, from..to, &plan);
        if broke_twice {
            fresh = connect::again(&login, &plan, &desk.clock).await;
        }
        match fresh {
            Some(fresh) => worker = fresh,
            // The others go on; what nobody gets to is unknown.
            None if lost => return,
            None => {}
        }
    }
}

enum Answer {
    Scan(String, Result<Scan, ProbeError>),
    Structure(Option<ProbeError>),
    Custom(usize, Result<Judged, ProbeError>),
    Collection(Collection, Result<Fold, ProbeError>, Vec<(usize, Judged)>),
    Indexes(Option<ProbeError>),
}

impl Answer {
    /// What can be asked now that this is known.
    fn next_job(&self) -> Option<Job> {
        match self {
            Self::Collection(collection, Ok(fold), _) if fold.expiring() == 0 => {
                Some(Job::Indexes(collection.clone(), fold.rows()))
            }
            _ => None,
        }
    }

    /// Whether the connection broke over it.
    fn is_lost(&self) -> bool {
        match self {
            Self::Scan(_, scan) => matches!(scan, Err(ProbeError::Lost)),
            Self::Structure(defect) | Self::Indexes(defect) => matches!(defect, Some(ProbeError::Lost)),
            Self::Collection(_, fold, _) => matches!(fold, Err(ProbeError::Lost)),
            Self::Custom(_, judged) => matches!(judged, Err(ProbeError::Lost)),
        }
    }

    /// The same answer, held to be the data's fault.
    fn into_damage(self, plan: &Plan) -> Self {
        let damage = || ProbeError::Damage(BROKE_TWICE.to_owned());
        match self {
            Self::Scan(name, _) => Self::Scan(name, Err(damage())),
            Self::Structure(_) => Self::Structure(Some(damage())),
            Self::Indexes(_) => Self::Indexes(Some(damage())),
            Self::Collection(collection, _, _) => {
                let checks = together::judge_all(&collection, Err(&damage()), plan, 0.0);
                Self::Collection(collection, Err(damage()), checks)
            }
            Self::Custom(at, _) => Self::Custom(at, Err(damage())),
        }
    }
}

async fn answer(worker: &mut Worker, job: &Job, plan: &Plan, watch: &Stopwatch) -> Answer {
    match job {
        Job::Scan(name, part) => {
            let scan = worker.scan(name, *part, plan.content == ContentMode::Full).await;
            Answer::Scan(name.clone(), scan)
        }
        Job::Structure(name) => Answer::Structure(worker.structure(name).await.err()),
        Job::Custom(at, custom) => Answer::Custom(*at, custom_check(worker, custom, plan).await),
        Job::Collection(collection) => {
            let fold = worker.read(collection).await;
            let checks = together::judge_all(collection, fold.as_ref(), plan, watch.worked_seconds());
            Answer::Collection(collection.clone(), fold, checks)
        }
        Job::Indexes(collection, rows) => Answer::Indexes(worker.examine(collection, *rows).await.err()),
    }
}

fn keep(answers: &mut Answers, answer: Answer, Range { start: from, end: to }: Range<f64>, plan: &Plan) {
    match answer {
        Answer::Scan(name, scan) => {
            answers.scanned.include(from, to);
            answers.scans.entry(name).or_default().push(scan);
        }
        Answer::Collection(collection, fold, checks) => {
            answers.scanned.include(from, to);
            for (at, (check, settled)) in checks {
                answers.settled.extend(settled.map(|settled| (check.name.clone(), settled)));
                answers.custom.insert(at, check);
            }
            // What may expire meanwhile is left alone, and what could not be read is told by the rows check.
            answers.structures += usize::from(fold.as_ref().map_or(true, |fold| fold.expiring() > 0));
            answers.defects.extend(fold.as_ref().err().map(|_| {
                ProbeError::Unable(format!(
                    "`{}` could not be read, so that its indexes have nothing to agree with",
                    collection.name
                ))
            }));
            answers.collections.insert(collection.name, fold.map(|fold| Counted::from(&fold)));
        }
        Answer::Structure(defect) | Answer::Indexes(defect) => {
            answers.structures += 1;
            answers.examined.include(from, to);
            answers.defects.extend(defect);
        }
        Answer::Custom(at, judged) => {
            let Some(custom) = plan.checks.get(at) else { return };
            let (check, settled) = judged.unwrap_or_else(|trouble| (together::troubled(custom, &trouble), None));
            answers.custom.insert(at, Check { seconds: to - from, ..check });
            answers.settled.extend(settled.map(|settled| (custom.name.clone(), settled)));
        }
    }
}

async fn custom_check(worker: &mut Worker, custom: &CustomCheck, plan: &Plan) -> Result<Judged, ProbeError> {
    let name = &custom.name;
    match &custom.probe {
        Probe::Sql { expect, .. } | Probe::Aggregate { expect, .. } => {
            Ok((judge::query(name, expect, &worker.first_value(&custom.probe).await?), None))
        }
        Probe::Newest { relation, column, within } => {
            let newest = worker.newest(relation, column).await?;
            Ok((judge::freshness(name, newest, plan.point, *within), None))
        }
        Probe::Settled { relation, column, settled_after } => {
            let (check, facts) = ask_settled(worker, name, relation, column, plan, *settled_after).await?;
            Ok((check, Some(facts)))
        }
    }
}

async fn ask_settled(
    worker: &mut Worker,
    name: &str,
    relation: &str,
    column: &str,
    plan: &Plan,
    settled_after: Duration,
) -> Result<(Check, SettledFacts), ProbeError> {
    let cutoff = plan.point.checked_sub(settled_after).unwrap_or(Timestamp::MIN);
    let facts = worker.settled(relation, column, cutoff).await?;
    if facts.rows == 0 {
        return Err(ProbeError::Unable(format!(
            "no row of `{relation}` is older than {cutoff}: there is nothing to compare"
        )));
    }
    let before = plan.baseline.as_ref().and_then(|baseline| baseline.settled.get(name));
    let again = match before {
        // An older point than last time's has not settled as far: there is nothing to compare.
        Some(before) if before.before <= cutoff => Some(worker.settled(relation, column, before.before).await?),
        _ => None,
    };
    Ok((judge::settled(name, before, again.as_ref()), facts))
}

/// What is said of a question that was not reached.
const NOT_REACHED: &str = "there was no time, or no connection, to look at this";

/// A relation from what its parts yielded. One part that could not be read is enough for a trouble, and damage outweighs.
fn whole(parts: Vec<Result<Scan, ProbeError>>, expected: usize) -> Result<Scan, ProbeError> {
    let reached = parts.len() >= expected;
    let (mut read, mut trouble) = (None::<Scan>, None);
    for part in parts {
        match part {
            // The first part is not merged with nothing: an empty table has a digest too.
            Ok(scan) => read = Some(read.map_or(scan.clone(), |read| read.merge(scan))),
            Err(ProbeError::Damage(message)) => return Err(ProbeError::Damage(message)),
            Err(other) => trouble = Some(other),
        }
    }
    match trouble {
        Some(trouble) => Err(trouble),
        None => read.filter(|_| reached).ok_or_else(|| ProbeError::Unable(NOT_REACHED.to_owned())),
    }
}

fn conclude(catalog: Catalog, answers: Answers, plan: &Plan) -> Verification {
    let parts: BTreeMap<String, usize> =
        catalog.relations.keys().map(|name| (name.clone(), parts_of(&catalog, name))).collect();
    let mut facts = Baseline {
        point_id: plan.point_id.clone(),
        point_at: plan.point,
        version: catalog.version,
        relations: catalog.relations,
        settled: answers.settled,
        unvalidated: catalog.unvalidated,
    };
    let mut scans = answers.scans;
    let mut collections = answers.collections;
    let mut troubles = BTreeMap::new();
    for (name, relation) in &mut facts.relations {
        if let Some(found) = collections.remove(name) {
            match found {
                Ok(counted) => counted.into_facts(relation),
                Err(trouble) => {
                    troubles.insert(name.clone(), trouble);
                }
            }
            continue;
        }
        match whole(scans.remove(name).unwrap_or_default(), parts[name]) {
            Ok(scan) => {
                relation.rows = Some(scan.rows);
                relation.fingerprint = scan.digest.map(|digest| digest.to_string());
            }
            Err(trouble) => {
                troubles.insert(name.clone(), trouble);
            }
        }
    }
    let mut defects: Vec<ProbeError> = catalog.defects.into_iter().chain(answers.defects).collect();
    let missed = facts.relations.len().saturating_sub(answers.structures);
    if missed > 0 {
        defects.push(ProbeError::Unable(format!("{missed} tables were not looked at: {NOT_REACHED}")));
    }
    // An older point has less in it than a newer one had: only what is at least as new is held against the last run.
    let older = plan.baseline.as_ref().is_some_and(|baseline| plan.point < baseline.point_at);
    let baseline = plan.baseline.as_ref().filter(|_| !older);
    for (name, doubt) in baseline.map(|baseline| expiring::doubts(&facts, baseline)).unwrap_or_default() {
        troubles.entry(name).or_insert(doubt);
    }
    let mut checks = vec![
        judge::catalog(&facts, baseline),
        Check { seconds: answers.scanned.seconds(), ..judge::rows(&facts, &troubles, baseline, plan.row_tolerance) },
        Check {
            seconds: answers.examined.seconds(),
            ..judge::structure(&defects, &facts.unvalidated, baseline, &catalog.structure_note)
        },
    ];
    if plan.content == ContentMode::Full {
        checks.extend(judge::content(&facts, baseline));
    }
    let mut custom = answers.custom;
    for (at, wanted) in plan.checks.iter().enumerate() {
        let unreached = || together::troubled(wanted, &ProbeError::Unable(NOT_REACHED.to_owned()));
        checks.push(custom.remove(&at).unwrap_or_else(unreached));
    }
    if older {
        for check in &mut checks {
            check.actual =
                check.actual.replace("first run, recorded", "older than the last passed run's, not compared");
        }
    }
    if !answers.in_time {
        tracing::warn!(limit_seconds = plan.deadline.as_secs(), "verification did not end in time");
    }
    Verification { checks, facts: (!older).then_some(facts), credentials_refused: false }
}
