//! Leases: whose a run is, for as long as it is renewed.
//!
//! An agent that was stopped, put to sleep or cut off finds on its own that its lease has run out, by this machine's
//! clocks, before it acts again. It counts from the moment at which it *asked* for the renewal, so that it stops no later
//! than PostgreSQL lets another agent begin. What slips through is caught by the epoch that every journal write checks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::Store;
use super::time_limit::TimeLimit;
use crate::clock::{Clock, Stopwatch};

/// A lease is renewed so many times before it would run out.
const RENEWALS: u32 = 4;

/// A lease on one run. Clones look at the same one; it is renewed until the last is dropped.
#[derive(Clone, Debug)]
pub struct Lease {
    claim: Arc<Claim>,
    _renewed: Arc<DropGuard>,
}

#[derive(Debug)]
struct Claim {
    store: Store,
    claimed: Claimed,
    length: Duration,
    /// Runs since it was last asked for, successfully.
    asked: Mutex<Stopwatch>,
    lost: CancellationToken,
    ended: CancellationToken,
}

/// What tells this hold on a run from every other.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) run_id: String,
    pub(super) fencing_token: i64,
    pub(super) token: String,
}

/// Counts from now on.
pub(super) fn watch() -> Stopwatch {
    Clock::system().stopwatch()
}

impl Lease {
    pub(super) fn hold(store: Store, claimed: Claimed, length: Duration, watch: Stopwatch) -> Self {
        let (lost, ended) = (CancellationToken::new(), CancellationToken::new());
        let renewed = Arc::new(ended.clone().drop_guard());
        let claim = Arc::new(Claim { store, claimed, length, asked: Mutex::new(watch), lost, ended });
        let held = Arc::clone(&claim);
        tokio::spawn(async move { held.ended.run_until_cancelled(held.keep()).await });
        Self { claim, _renewed: renewed }
    }

    /// How much of it is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.claim.left()
    }

    /// How long it is when it is new.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.claim.length
    }

    /// Resolves when the run is no longer this agent's.
    pub async fn lost(&self) {
        self.claim.lost.cancelled().await;
    }

    pub(super) async fn give_back(&self) {
        let Claim { store, claimed: Claimed { run_id, fencing_token, token }, ended, .. } = &*self.claim;
        ended.cancel();
        let sql = "update runs set lease_until = 0 where id = $1 and epoch = $2 and owner = $3 and state = 'running'";
        let give_back = sqlx::query(sql).bind(run_id).bind(fencing_token).bind(token);
        if let Err(error) = give_back.execute(&store.pool).limited().await {
            tracing::warn!(run.id = %run_id, %error, "the lease could not be given back; it runs out by itself");
        }
    }
}

impl Claim {
    /// How much is left. Whoever finds out first that nothing is tells everybody: the run is left before anything else is
    /// done for it.
    fn left(&self) -> Duration {
        if self.lost.is_cancelled() {
            return Duration::ZERO;
        }
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.length.saturating_sub(asked.elapsed_at_most());
        if left.is_zero() {
            self.lost.cancel();
        }
        left
    }

    async fn keep(&self) {
        let Claimed { run_id, fencing_token, token } = &self.claimed;
        let pause = self.length / RENEWALS;
        let sql = format!(
            "update runs set lease_until = {now} + $4
             where id = $1 and epoch = $2 and owner = $3 and lease_until >= {now}",
            now = self.store.now()
        );
        loop {
            tokio::time::sleep(pause.min(self.left())).await;
            if self.left().is_zero() {
                tracing::warn!(run.id = %run_id, "the lease ran out before it could be renewed");
                return;
            }
            let watch = watch();
            let renew = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(run_id)
                .bind(fencing_token)
                .bind(token)
                .bind(self.store.lease_millis())
                .execute(&self.store.pool);
            match tokio::time::timeout(pause.min(self.left()), renew).await {
                Ok(Ok(renewed)) if renewed.rows_affected() == 0 => {
                    tracing::warn!(run.id = %run_id, "another agent has taken the run over");
                    return self.lost.cancel();
                }
                Ok(Ok(_)) => *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = watch,
                Ok(Err(error)) => tracing::warn!(run.id = %run_id, %error, "the lease could not be renewed"),
                Err(_) => tracing::warn!(run.id = %run_id, "the lease could not be renewed in time"),
            }
        }
    }
}
