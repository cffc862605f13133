//! A primary is lost before its standby has heard of its last commits. Whoever held a run by one of these holds nothing.

use std::time::Duration;

use drctl::store::{AlertsBefore, Claimed, DeliveryOutcome, DueJob, Entry, Job, Owner, RunState, Store, is_away};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use jiff::SignedDuration;
use serde_json::json;

use crate::postgres::{ChaosProxy, Postgres, url};
use crate::store::{HERE, at, ended, run};
use crate::support::{Engine, require_engines};

/// Longer than a failover takes: what stops the first owner is not that its lease runs out.
const LEASE: Duration = Duration::from_secs(40);

/// Two servers, and two agents with a wire of their own to whichever is the primary.
struct Cluster {
    primary: Postgres,
    standby: Postgres,
    replication: ChaosProxy,
    wires: [ChaosProxy; 2],
}

impl Cluster {
    fn start() -> Self {
        let primary = Postgres::start();
        let replication = ChaosProxy::to(primary.port);
        let standby = Postgres::standby_of(&primary, &replication);
        let wires = [ChaosProxy::to(primary.port), ChaosProxy::to(primary.port)];
        Self { primary, standby, replication, wires }
    }

    async fn agents(&self) -> (Store, Store) {
        let open = async |wire: &ChaosProxy| Store::open_postgres(&url(wire.port), LEASE).await.unwrap();
        (open(&self.wires[0]).await, open(&self.wires[1]).await)
    }

    /// Waits until the standby knows everything, and keeps from it what comes.
    fn stop_replication(&self) {
        let behind = "select count(*) from pg_stat_replication where replay_lsn = pg_current_wal_lsn()";
        for _ in 0..600 {
            if self.primary.ask(behind) == ["1"] {
                return self.replication.cut();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the standby did not catch up");
    }

    fn fail_over(&mut self) {
        self.primary.go_down();
        assert_eq!(self.standby.ask("select pg_promote()"), ["t"]);
        self.wires.iter().for_each(|wire| wire.lay_to(self.standby.port));
    }
}

/// Nothing that the first owner does counts any more, and it is told so; the second one goes on.
async fn is_fenced_off(first: (&Store, &Owner), second: (&Store, &Owner)) {
    let entry = Entry::StepSkipped { step: "s".to_owned() };
    let refused = first.0.append(first.1, 5, at(5), &entry).await.unwrap_err();
    assert!(refused.to_string().contains("taken over"), "{refused:#}");
    second.0.append(second.1, 5, at(6), &entry).await.unwrap();
    let nobody = |_: &AlertsBefore| None;
    let end = first.0.end(first.1, &ended(RunState::Passed, &json!({})), &nobody).await;
    assert!(end.unwrap_err().to_string().contains("taken over"));
    let (stale, fresh) = (first.1.lease().unwrap(), second.1.lease().unwrap());
    tokio::time::timeout(LEASE / 2, stale.lost()).await.expect("the renewal of the first owner was taken");
    assert!(fresh.left() > LEASE / 2, "the second owner's lease is its own");
    second.0.end(second.1, &ended(RunState::Failed, &json!({})), &nobody).await.unwrap();
    assert_eq!(second.0.run(&second.1.run_id).await.unwrap().state, RunState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_a_failover_has_lost_lets_nothing_pass() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let mut cluster = Cluster::start();
    let (a, b) = cluster.agents().await;
    a.begin(&run("01RUN", "db", None)).await.unwrap().abandon().await;
    cluster.stop_replication();
    let lost = a.claim("01RUN").await.unwrap().unwrap();
    a.append(&lost, 1, at(1), &Entry::StepSkipped { step: "lost".to_owned() }).await.unwrap();
    cluster.fail_over();
    let owner = b.claim("01RUN").await.unwrap().unwrap();
    assert_eq!(owner.fencing_token, lost.fencing_token, "the number was given twice");
    is_fenced_off((&a, &lost), (&b, &owner)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occurrence_that_a_failover_has_lost_becomes_the_same_run_again() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let mut cluster = Cluster::start();
    let (a, b) = cluster.agents().await;
    let job = Job { name: "test".to_owned(), target: Some("db".to_owned()), timetable: "x".to_owned() };
    a.plan_jobs(HERE, at(0), &[job], |_| (Some(at(100)), Some(at(100)))).await.unwrap();
    cluster.stop_replication();
    let started = |due: &DueJob| {
        let again = Some(due.due_at + SignedDuration::from_secs(1000));
        let new = run(&due.run_id, "db", Some(&format!("shop/test/{}", due.due_at)));
        Ok((Claimed { due_at: again, start_at: again, run: Some(new) }, ()))
    };
    let known = ["test".to_owned()];
    let lost = a.claim_job(HERE, at(100), &known, started).await.unwrap().unwrap().2.unwrap();
    cluster.fail_over();
    let owner = b.claim_job(HERE, at(100), &known, started).await.unwrap().unwrap().2.unwrap();
    assert_eq!(owner.run_id, lost.run_id, "two runs would make two copies, and nobody would look for the first");
    assert_eq!(cluster.standby.ask("select count(*) from runs"), ["1"]);
    is_fenced_off((&a, &lost), (&b, &owner)).await;
}

/// Longer than any question may take, with the wait for a connection.
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn every_question_ends_where_the_server_vanishes_without_a_word() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let postgres = Postgres::start();
    let wire = ChaosProxy::to(postgres.port);
    let store = Store::open_postgres(&url(wire.port), LEASE).await.unwrap();
    store.begin(&run("01RUN", "db", None)).await.unwrap().abandon().await;
    wire.silence();
    let claims = |_: &DueJob| -> anyhow::Result<(Claimed, ())> { unreachable!("nothing is answered") };
    let known = ["a".to_owned()];
    let new = run("01NEW", "db2", None);
    let asked = join_all([
        refused(store.jobs(HERE)),
        refused(store.plan_jobs(HERE, at(0), &[], |_| (None, None))),
        refused(store.claim_job(HERE, at(0), &known, claims)),
        refused(store.claim_messages("shop", "ops", at(0), 1)),
        refused(store.mark_sent("m", &DeliveryOutcome::Delivered)),
        refused(store.message_counts("shop")),
        refused(store.last_runs(HERE)),
        refused(store.runs(None, 10)),
        refused(store.claim("01RUN")),
        refused(store.begin(&new)),
        refused(store.journal("01RUN")),
        refused(store.baseline(HERE, "db")),
    ]);
    for error in tokio::time::timeout(ANSWERED_WITHIN, asked).await.expect("one waits for ever") {
        assert!(is_away(&error), "it may pass: {error:#}");
    }
    // No connection that hangs keeps its place in the pool.
    wire.mend();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.runs(None, 10).await.unwrap().len(), 1);
}

fn refused<'a, T: 'a>(answer: impl Future<Output = anyhow::Result<T>> + Send + 'a) -> BoxFuture<'a, anyhow::Error> {
    answer.map(|answer| answer.err().expect("an answer without a server")).boxed()
}
