//! Leases: whose a run is, for as long as it is renewed.
//!
//! An agent that was stopped, put to sleep or cut off finds on its own that its lease has run out, by this machine's
//! clocks, before it acts again. It counts from the moment at which it *asked* for the renewal, so that it stops no later
//! than PostgreSQL lets another agent begin. What slips through is caught by the epoch that every journal write checks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use super::schema::Store;
use crate::clock::{Clock, Stopwatch};

/// A lease is renewed so many times before it would run out.
const RENEWALS: u32 = 4;

/// A lease on one run. Clones look at the same one; it is renewed until the last is dropped.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    store: Store,
    run_id: String,
    epoch: i64,
    length: Duration,
    asked: Arc<Mutex<Stopwatch>>,
    lost: CancellationToken,
    ended: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// Counts from now on.
pub(super) fn watch() -> Stopwatch {
    Clock::system().stopwatch()
}

impl Lease {
    pub(super) fn hold(store: Store, run_id: String, epoch: i64, length: Duration, watch: Stopwatch) -> Self {
        let (lost, ended) = (CancellationToken::new(), CancellationToken::new());
        let asked = Arc::new(Mutex::new(watch));
        let renewal = Renewal {
            store: store.clone(),
            run_id: run_id.clone(),
            epoch,
            length,
            asked: Arc::clone(&asked),
            lost: lost.clone(),
        };
        let end = ended.clone();
        tokio::spawn(async move { end.run_until_cancelled(renewal.keep()).await });
        Self(Arc::new(Held { store, run_id, epoch, length, asked, lost, ended }))
    }

    /// How much of it is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        if self.0.lost.is_cancelled() {
            return Duration::ZERO;
        }
        let left = left(&self.0.asked, self.0.length);
        if left.is_zero() {
            // Whoever finds out first tells everybody: the run is left before anything else is done for it.
            self.0.lost.cancel();
        }
        left
    }

    /// How long it is when it is new.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.0.length
    }

    /// Resolves when the run is no longer this agent's.
    pub async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    pub(super) async fn give_back(&self) {
        self.0.ended.cancel();
        let sql = "update runs set lease_until = 0 where id = $1 and epoch = $2 and state = 'running'";
        let given = sqlx::query(sql).bind(&self.0.run_id).bind(self.0.epoch).execute(&self.0.store.pool).await;
        if let Err(error) = given {
            tracing::warn!(run.id = %self.0.run_id, %error, "the lease could not be given back; it runs out by itself");
        }
    }
}

fn left(asked: &Mutex<Stopwatch>, length: Duration) -> Duration {
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    length.saturating_sub(asked.elapsed_at_most())
}

struct Renewal {
    store: Store,
    run_id: String,
    epoch: i64,
    length: Duration,
    asked: Arc<Mutex<Stopwatch>>,
    lost: CancellationToken,
}

impl Renewal {
    async fn keep(self) {
        let pause = self.length / RENEWALS;
        let sql = format!(
            "update runs set lease_until = {now} + $3 where id = $1 and epoch = $2 and lease_until >= {now}",
            now = self.store.now()
        );
        loop {
            tokio::time::sleep(pause.min(left(&self.asked, self.length))).await;
            if left(&self.asked, self.length).is_zero() {
                tracing::warn!(run.id = %self.run_id, "the lease ran out before it could be renewed");
                return self.lost.cancel();
            }
            let watch = watch();
            let renew = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(&self.run_id)
                .bind(self.epoch)
                .bind(self.store.lease_millis())
                .execute(&self.store.pool);
            match tokio::time::timeout(pause.min(left(&self.asked, self.length)), renew).await {
                Ok(Ok(renewed)) if renewed.rows_affected() == 0 => {
                    tracing::warn!(run.id = %self.run_id, "another agent has taken the run over");
                    return self.lost.cancel();
                }
                Ok(Ok(_)) => *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = watch,
                Ok(Err(error)) => tracing::warn!(run.id = %self.run_id, %error, "the lease could not be renewed"),
                Err(_) => tracing::warn!(run.id = %self.run_id, "the lease could not be renewed in time"),
            }
        }
    }
}
