//! The same of the store on SQLite and on PostgreSQL.

use std::time::Duration;

use drctl::aws::{Resource, ResourceKind};
use drctl::store::{
    Alert, AlertCheck, AlertTransition, AlertsBefore, Claimed, DeliveryOutcome, DueJob, Ended, Entry, Job, NewRun,
    OutboxMessage, RunState, Scope, Store,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::postgres::Postgres;
use crate::support::{Engine, Scratch, require_engines};

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const HERE: Scope<'static> =
    Scope { estate: "shop", account: ACCOUNT, region: "eu-west-1", simulated: true };
pub(crate) const LEASE: Duration = Duration::from_secs(3);

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn run(id: &str, target: &str, occurrence: Option<&str>) -> NewRun {
    NewRun {
        id: id.to_owned(),
        estate: "shop".to_owned(),
        target: target.to_owned(),
        runbook: "restore-test".to_owned(),
        document: "# A document with 'quotes' and ünicode".to_owned(),
        inputs: json!({ "target": target }),
        started_at: at(0),
        expires_at: Some(at(3600)),
        simulated: true,
        keep_for: Duration::from_secs(7),
        update_baseline: true,
        account: ACCOUNT.to_owned(),
        region: HERE.region.to_owned(),
        occurrence: occurrence.map(str::to_owned),
    }
}

pub(crate) fn ended(state: RunState, report: &serde_json::Value) -> Ended<'_> {
    Ended { state, reason: "because", at: at(60), report: Some(report), facts: Some(report) }
}

/// Everything that both have to do alike.
pub(crate) async fn behaves(store: &Store, other: &Store) {
    // A run is written, read as it was, journalled, and ended once by its owner.
    let new = run("01RUNA", "db", Some("shop/test/1"));
    let owner = store.begin(&new).await.unwrap();
    let read = store.run("01RUNA").await.unwrap();
    assert_eq!(format!("{:?}", read.new), format!("{new:?}"));
    assert!(other.is_at_work("01RUNA").await.unwrap());
    assert!(other.claim("01RUNA").await.unwrap().is_none(), "somebody is at work on it");
    let resource = Resource { kind: ResourceKind::DbInstance, id: "drctl-x".to_owned(), region: "r".to_owned() };
    let entry = Entry::Intended { step: "copy".to_owned(), resource };
    store.append(&owner, 1, at(1), &entry).await.unwrap();
    store.append(&owner, 1, at(1), &entry).await.unwrap();
    store.append(&owner, 2, at(2), &Entry::StepSkipped { step: "s".to_owned() }).await.unwrap();
    assert_eq!(other.journal("01RUNA").await.unwrap().len(), 2, "an entry written twice is one entry");

    // Given up unfinished, another takes it over.
    owner.abandon().await;
    let taken = other.claim("01RUNA").await.unwrap().expect("it was given up");
    assert_eq!(taken.fencing_token, 2);
    assert!(store.claim("01RUNA").await.unwrap().is_none());
    let told = |before: &AlertsBefore| {
        assert!(before.alerts.is_empty() && before.is_newest && !before.had_ended && before.fencing_token == 2);
        let alert = Alert {
            check: AlertCheck::RestoreTest,
            outcome: RunState::Failed,
            since: at(60),
            told_at: at(60),
            run_id: "01RUNA".to_owned(),
        };
        let message = |id: &str| OutboxMessage {
            id: id.to_owned(),
            channel: "ops".to_owned(),
            alert: String::new(),
            message: "{}".to_owned(),
        };
        Some(AlertTransition { alerts: vec![alert], messages: vec![message("a"), message("b"), message("a")] })
    };
    let report = json!({ "a": 1 });
    other.end(&taken, &ended(RunState::Failed, &report), &told).await.unwrap();
    taken.release();
    assert!(store.claim("01RUNA").await.is_err(), "it has ended");
    assert!(store.baseline(HERE, "db").await.unwrap().is_none(), "a failed run is no measure");

    // The next result of the target sees the incident, and may end it.
    let next = store.begin(&run("01RUNC", "db", None)).await.unwrap();
    let recovered = |before: &AlertsBefore| {
        assert_eq!(before.alerts.first().map(|alert| alert.run_id.as_str()), Some("01RUNA"));
        Some(AlertTransition::default())
    };
    store.end(&next, &ended(RunState::Passed, &report), &recovered).await.unwrap();
    next.release();
    assert_eq!(other.baseline(HERE, "db").await.unwrap(), Some(("01RUNC".to_owned(), report.clone())));
    assert!(
        other.baseline(Scope { simulated: false, ..HERE }, "db").await.unwrap().is_none(),
        "the sandbox is not AWS"
    );
    let last = store.last_runs(HERE).await.unwrap();
    assert_eq!(last.iter().map(|last| last.ended.new.id.as_str()).collect::<Vec<_>>(), ["01RUNC"]);
    assert_eq!(last[0].passed_at, Some(at(60)));

    // An older run says nothing of what a newer one has found, whatever their ids and clocks say; that it is stuck is known.
    let older = store.begin(&run("01RUNT", "s", None)).await.unwrap();
    let newer = store.begin(&run("01RUNS2", "s", None)).await.unwrap();
    let stands = |is_newest: bool, had_ended: bool, others_are_stuck: bool| {
        move |before: &AlertsBefore| {
            let found = (before.is_newest, before.had_ended, before.others_are_stuck);
            assert_eq!(found, (is_newest, had_ended, others_are_stuck));
            None
        }
    };
    store.end(&older, &ended(RunState::Stuck, &report), &stands(true, false, false)).await.unwrap();
    store.end(&newer, &ended(RunState::Passed, &report), &stands(true, false, true)).await.unwrap();
    older.release();
    newer.release();
    let again = other.claim("01RUNT").await.unwrap().expect("it is stuck, and nobody is at work on it");
    other.end(&again, &ended(RunState::Passed, &report), &stands(false, true, false)).await.unwrap();
    again.release();
    assert_eq!(other.baseline(HERE, "s").await.unwrap().unwrap().0, "01RUNS2");

    messages(store, other).await;
    jobs(store, other).await;
    places(store, other).await;
}

/// The same names in another account or Region are other databases.
async fn places(store: &Store, other: &Store) {
    let report = json!({ "rows": 1 });
    let there = Scope { region: "eu-central-1", ..HERE };
    let staging = Scope { account: "210987654321", ..HERE };
    for (number, scope) in [there, staging].into_iter().enumerate() {
        assert!(other.baseline(scope, "db").await.unwrap().is_none());
        let (account, region) = (scope.account.to_owned(), scope.region.to_owned());
        let new = NewRun { account, region, ..run(&format!("01PLACE{number}"), "db", None) };
        let owner = store.begin(&new).await.unwrap();
        let told = |before: &AlertsBefore| {
            assert!(before.alerts.is_empty(), "an alert elsewhere is another one");
            assert!(before.is_newest && !before.others_are_stuck);
            None
        };
        store.end(&owner, &ended(RunState::Passed, &report), &told).await.unwrap();
        owner.release();
        assert_eq!(other.baseline(scope, "db").await.unwrap().unwrap().1, report);
        assert!(store.jobs(scope).await.unwrap().is_empty());
    }
    assert_ne!(other.baseline(HERE, "db").await.unwrap().unwrap().1, report, "production's measure was replaced");
    assert_eq!(store.regions(HERE).await.unwrap(), ["eu-central-1", "eu-west-1"]);
    assert_eq!(store.regions(staging).await.unwrap(), ["eu-west-1"]);
    let last = |scope| async move { store.last_runs(scope).await.unwrap().into_iter().map(|last| last.ended.new.id) };
    assert_eq!(last(there).await.collect::<Vec<_>>(), ["01PLACE0"]);
    assert_eq!(last(staging).await.collect::<Vec<_>>(), ["01PLACE1"]);
}

async fn messages(store: &Store, other: &Store) {
    let claimed = store.claim_messages("shop", "ops", at(60), 10).await.unwrap();
    assert_eq!(claimed.iter().map(|one| one.outgoing.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(other.claim_messages("shop", "ops", at(60), 10).await.unwrap().is_empty(), "somebody is sending them");
    store.mark_sent("a", &DeliveryOutcome::Later { at: at(100), error: "busy".to_owned() }).await.unwrap();
    store.mark_sent("b", &DeliveryOutcome::Dead { error: "gone".to_owned() }).await.unwrap();
    assert!(other.claim_messages("shop", "ops", at(99), 10).await.unwrap().is_empty());
    let again = other.claim_messages("shop", "ops", at(100), 10).await.unwrap();
    assert_eq!((again.len(), again[0].attempts, again[0].error.as_deref()), (1, 1, Some("busy")));
    other.mark_sent("a", &DeliveryOutcome::Delivered).await.unwrap();
    assert_eq!(store.dead_messages("shop").await.unwrap()[0].error.as_deref(), Some("gone"));
    assert_eq!(store.revive_messages("shop", at(200)).await.unwrap(), 1);
    assert_eq!(store.claim_messages("shop", "ops", at(200), 10).await.unwrap().len(), 1);
    let counts = store.message_counts("shop").await.unwrap();
    assert_eq!(
        counts.iter().map(|one| (one.state.as_str(), one.count)).collect::<Vec<_>>(),
        [("pending", 1), ("sent", 1)]
    );
    store.remember_thread("ops", "01RUNA", "1.0").await.unwrap();
    other.remember_thread("ops", "01RUNA", "2.0").await.unwrap();
    assert_eq!(store.thread("ops", "01RUNA").await.unwrap().as_deref(), Some("1.0"));
}

async fn jobs(store: &Store, other: &Store) {
    let job = |name: &str, timetable: &str| Job {
        name: name.to_owned(),
        target: Some(format!("of-{name}")),
        timetable: timetable.to_owned(),
    };
    let when = |second: i64| move |_: &Job| (Some(at(second)), Some(at(second)));
    store.plan_jobs(HERE, at(0), &[job("a", "x"), job("b", "x")], when(100)).await.unwrap();
    // What stays the same keeps its time; what changed gets another; what is gone is gone.
    other.plan_jobs(HERE, at(1), &[job("a", "x"), job("c", "x")], when(500)).await.unwrap();
    let planned = store.jobs(HERE).await.unwrap();
    let due: Vec<_> = planned.iter().map(|planned| (planned.job.name.as_str(), planned.due_at)).collect();
    assert_eq!(due, [("a", Some(at(100))), ("c", Some(at(500)))]);
    let known = ["a".to_owned(), "c".to_owned()];
    let started = |due: &DueJob| {
        let again = Some(due.due_at + SignedDuration::from_secs(1000));
        let new = run(
            &format!("01JOB{}{}", due.name, due.due_at.as_second()),
            &format!("of-{}", due.name),
            Some(&format!("{}/{}", due.name, due.due_at)),
        );
        Ok((Claimed { due_at: again, start_at: again, run: Some(new) }, ()))
    };
    assert!(store.claim_job(HERE, at(99), &known, started).await.unwrap().is_none());
    let (due, (), owner) = store.claim_job(HERE, at(100), &known, started).await.unwrap().unwrap();
    assert_eq!((due.name.as_str(), due.due_at), ("a", at(100)));
    assert!(other.claim_job(HERE, at(100), &known, started).await.unwrap().is_none(), "it has been started");
    // Due again while it still runs: never two of one target.
    assert!(
        other.claim_job(HERE, at(1100), &known, started).await.unwrap().is_some_and(|(due, (), _)| due.name == "c")
    );
    assert!(other.claim_job(HERE, at(1100), &known, started).await.unwrap().is_none());
    let owner = owner.unwrap();
    let nobody = |_: &AlertsBefore| None;
    store.end(&owner, &ended(RunState::Passed, &json!({})), &nobody).await.unwrap();
    owner.release();
    assert!(
        other.claim_job(HERE, at(1100), &known, started).await.unwrap().is_some_and(|(due, (), _)| due.name == "a")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_behaves() {
    let scratch = Scratch::new();
    // A name that an address would read otherwise.
    let path = scratch.0.join("a state?#%20.db");
    let (store, other) = (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap());
    behaves(&store, &other).await;
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_behaves() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let postgres = Postgres::start();
    let open = || async { Store::open_postgres(&postgres.url(), LEASE).await.unwrap() };
    // Both make the tables at once.
    let (store, other) = tokio::join!(open(), open());
    behaves(&store, &other).await;

    // A lease that nobody renews runs out: its run can be claimed, and what is left of the old owner cannot write.
    let owner = store.begin(&run("01RUNZ", "z", None)).await.unwrap();
    let lease = owner.lease().unwrap();
    assert!(lease.left() > Duration::from_secs(1));
    postgres.ask("update runs set lease_until = 0 where id = '01RUNZ'");
    let taken = other.claim("01RUNZ").await.unwrap().unwrap();
    let entry = Entry::StepSkipped { step: "s".to_owned() };
    assert!(store.append(&owner, 1, at(1), &entry).await.unwrap_err().to_string().contains("taken over"));
    let nobody = |_: &AlertsBefore| None;
    assert!(store.end(&owner, &ended(RunState::Passed, &json!({})), &nobody).await.is_err());
    tokio::time::timeout(LEASE * 2, lease.lost()).await.expect("it is told that the run is lost");
    assert_eq!(lease.left(), Duration::ZERO);
    other.append(&taken, 1, at(2), &entry).await.unwrap();
    assert_eq!(store.journal("01RUNZ").await.unwrap().len(), 1);
}
