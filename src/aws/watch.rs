//! One describe for all runs in flight: whoever waits for a status shares the polling with everybody else who does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::sync::watch;

use super::client::Clients;
use super::error::{Error, ErrorKind, Result};
use super::model::{Resource, ResourceKind};
use super::rds;
use crate::clock::Clock;

/// Between two looks while something changes quickly, such as a deletion.
const BRISK: Duration = Duration::from_secs(5);
/// Between two looks while something takes minutes.
const STEADY: Duration = Duration::from_secs(10);
/// The share by which a pause is lengthened or shortened at random, so that several drctls do not march in step.
const JITTER: f64 = 0.2;
/// Names that one filter takes.
const NAMES_PER_CALL: usize = 100;

/// What one look found: the status of each watched resource that is there.
type Found = BTreeMap<(ResourceKind, String), String>;

#[derive(Clone, Debug)]
struct Round {
    number: u64,
    found: Result<Found>,
}

/// Polls for everybody. Clones share one poller.
#[derive(Clone, Debug)]
pub(super) struct StatusPoller {
    clients: Clients,
    clock: Clock,
    state: Arc<Mutex<State>>,
    rounds: Arc<watch::Sender<Round>>,
}

#[derive(Debug, Default)]
struct State {
    watched: BTreeMap<(ResourceKind, String), usize>,
    polling: bool,
}

impl StatusPoller {
    pub(super) fn new(clients: Clients, clock: Clock) -> Self {
        let (rounds, _) = watch::channel(Round { number: 0, found: Ok(Found::new()) });
        Self { clients, clock, state: Arc::default(), rounds: Arc::new(rounds) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self, resource: &Resource) -> Watcher {
        let key = (resource.kind, resource.id.clone());
        let mut state = self.state();
        *state.watched.entry(key.clone()).or_default() += 1;
        let rounds = self.rounds.subscribe();
        // The look that is under way may have been made before the resource was: only the one after it counts.
        let after = rounds.borrow().number + u64::from(state.polling);
        if !state.polling {
            state.polling = true;
            tokio::spawn(self.clone().poll());
        }
        Watcher { watch: self.clone(), key, rounds, after }
    }

    async fn poll(self) {
        loop {
            let names: Vec<_> = {
                let mut state = self.state();
                if state.watched.is_empty() {
                    state.polling = false;
                    return;
                }
                state.watched.keys().cloned().collect()
            };
            let found = self.describe_all(&names).await;
            let pause = pause_after(&found);
            self.rounds.send_modify(|round| *round = Round { number: round.number + 1, found });
            self.clock.sleep(pause).await;
        }
    }

    async fn describe_all(&self, names: &[(ResourceKind, String)]) -> Result<Found> {
        let mut found = Found::new();
        for kind in [ResourceKind::DbInstance, ResourceKind::DbCluster] {
            let of_kind: Vec<String> =
                names.iter().filter(|(named, _)| *named == kind).map(|(_, id)| id.clone()).collect();
            for ids in of_kind.chunks(NAMES_PER_CALL) {
                let statuses: Vec<(String, String)> = match kind {
                    ResourceKind::DbInstance => {
                        let filters = Some(vec![rds::filter("db-instance-id", ids)]);
                        let instances = rds::instances(&self.clients.get(), filters).await?;
                        instances.into_iter().map(|instance| (instance.id, instance.status)).collect()
                    }
                    ResourceKind::DbCluster => {
                        let filters = Some(vec![rds::filter("db-cluster-id", ids)]);
                        let clusters = rds::clusters(&self.clients.get(), filters).await?;
                        clusters.into_iter().map(|cluster| (cluster.id, cluster.status)).collect()
                    }
                };
                found.extend(statuses.into_iter().map(|(id, status)| ((kind, id), status)));
            }
        }
        Ok(found)
    }
}

fn pause_after(found: &Result<Found>) -> Duration {
    let slow = ["creating", "migrating", "backing-up", "upgrading"];
    let pause = match found {
        Ok(found) if found.values().all(|status| slow.contains(&status.as_str())) => STEADY,
        Ok(_) => BRISK,
        Err(_) => STEADY,
    };
    let factor = 1.0 + rand::rng().random_range(-JITTER..JITTER);
    pause.mul_f64(factor)
}

/// Somebody's interest in one resource. Polling stops when nobody is interested any more.
#[derive(Debug)]
pub struct Watcher {
    watch: StatusPoller,
    key: (ResourceKind, String),
    rounds: watch::Receiver<Round>,
    after: u64,
}

impl Watcher {
    /// The status at the next look, or `None` where the resource is not there.
    ///
    /// # Errors
    /// Where that look failed; a later one may go well.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let after = self.after;
        let Ok(round) = self.rounds.wait_for(|round| round.number > after).await else {
            return Err(Error::new("DescribeDBInstances", ErrorKind::Unavailable, "the poller has stopped"));
        };
        self.after = round.number;
        match &round.found {
            Ok(found) => Ok(found.get(&self.key).cloned()),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.watch.state();
        if let Some(count) = state.watched.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.watched.remove(&self.key);
            }
        }
    }
}
