//! A run's journal while the run is at work: written through to the store, and kept in memory for the undoing.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::Instrument;

use super::failure::Failure;
use crate::aws::{Resource, ResourceKind};
use crate::clock::Clock;
use crate::store::{Entry, Owner, RunState, Store};

/// What to do where the journal cannot be written.
const NOT_WRITTEN: &str = "check that the disk of the state file has room, and that no other process took the run over";

/// The journal of one run.
#[derive(Debug)]
pub struct Journal {
    /// Where entries are written; nowhere in a dry run.
    written: Option<(Store, Owner)>,
    /// The number of the last entry. One whose writing was broken off keeps its number: nobody knows whether it is there.
    last_seq: AtomicUsize,
    clock: Clock,
    entries: Mutex<Vec<(Timestamp, Entry)>>,
    in_flight: watch::Sender<usize>,
    makings: Makings,
}

/// How far this process got with each resource that it meant to make. A step may have gone away before it could say so.
#[derive(Clone, Debug, Default)]
pub(super) struct Makings(Arc<Mutex<Vec<(Resource, Making)>>>);

/// How far the making of a resource got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// The call was not sent yet.
    Unsent,
    /// It was sent, and nobody knows what became of it.
    Sent,
    /// AWS took it.
    Taken,
    /// AWS refused it.
    Refused(String),
}

impl Makings {
    pub(super) fn set(&self, resource: &Resource, making: Making) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known != resource);
        all.push((resource.clone(), making));
    }

    fn take(&self) -> Vec<(Resource, Making)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Journal {
    /// A journal that already holds `history`, the last entry of which is the `last_seq`th.
    #[must_use]
    pub fn new(store: Store, clock: Clock, owner: Owner, history: Vec<(Timestamp, Entry)>, last_seq: usize) -> Self {
        let (in_flight, _) = watch::channel(0);
        let last_seq = AtomicUsize::new(last_seq);
        Self {
            written: Some((store, owner)),
            last_seq,
            clock,
            entries: Mutex::new(history),
            in_flight,
            makings: Makings::default(),
        }
    }

    /// A journal that is written nowhere, for a dry run.
    #[must_use]
    pub fn unwritten(clock: Clock) -> Self {
        let (in_flight, _) = watch::channel(0);
        Self {
            written: None,
            last_seq: AtomicUsize::new(0),
            clock,
            entries: Mutex::default(),
            in_flight,
            makings: Makings::default(),
        }
    }

    /// Writes an entry. It is remembered even where it cannot be written: undoing must know.
    ///
    /// # Errors
    /// Where it could not be written, or the run belongs to somebody else by now.
    pub async fn record(&self, entry: &Entry) -> Result<(), Failure> {
        let at = self.clock.now();
        let number = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.push((at, entry.clone()));
            entries.len()
        };
        #[cfg(debug_assertions)]
        super::fault::crash("before", number);
        if let Some((store, owner)) = &self.written {
            let seq = self.last_seq.fetch_add(1, Ordering::SeqCst) + 1;
            let written = store.append(owner, seq, at, entry).await;
            written.map_err(|error| Failure::new(RunState::Unknown, error, NOT_WRITTEN))?;
        }
        #[cfg(debug_assertions)]
        super::fault::crash("after", number);
        let _ = number;
        Ok(())
    }

    /// Reads everything so far where it lies: it may be large.
    pub fn read<T>(&self, read: impl FnOnce(&[(Timestamp, Entry)]) -> T) -> T {
        read(&self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything so far.
    #[must_use]
    pub fn entries(&self) -> Vec<(Timestamp, Entry)> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The right to act on the run.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.written.as_ref().map(|(_, owner)| owner)
    }

    /// The right to act on the run, for ending it.
    #[must_use]
    pub fn into_owner(self) -> Option<Owner> {
        self.written.map(|(_, owner)| owner)
    }

    /// See [`standing`].
    #[must_use]
    pub fn outstanding_resources(&self) -> Vec<Resource> {
        outstanding_resources(&self.entries())
    }

    /// See [`known`].
    #[must_use]
    pub fn known(&self, resource: &Resource) -> ResourceHistory {
        known(&self.entries(), resource)
    }

    /// How far this process got with what it meant to make.
    pub(super) fn makings(&self) -> &Makings {
        &self.makings
    }

    /// Waits for calls whose caller went away, and journals what became of those that make something.
    pub(super) async fn record_undecided(&self, run_id: &str) {
        self.drain_in_flight().await;
        for (resource, making) in self.makings.take() {
            let known = self.known(&resource);
            let entry = match making {
                Making::Taken if !known.made => Entry::Made { resource },
                Making::Unsent => Entry::NotMade { resource, reason: "the call was not sent".to_owned() },
                Making::Refused(reason) => Entry::NotMade { resource, reason },
                Making::Sent | Making::Taken => continue,
            };
            self.record_anyway(run_id, &entry).await;
        }
    }

    /// While undoing, a journal that cannot be written must not keep anything from being removed.
    pub(super) async fn record_anyway(&self, run_id: &str, entry: &Entry) {
        if let Err(failure) = self.record(entry).await {
            tracing::error!(run.id = %run_id, error = failure.message(), "failed to write to the journal");
        }
    }

    /// Runs a call to its end even where the caller goes away.
    pub(super) async fn run_detached<T: Send + 'static>(
        &self,
        call: impl Future<Output = crate::aws::Result<T>> + Send + 'static,
    ) -> crate::aws::Result<T> {
        let in_flight = self.in_flight.clone();
        in_flight.send_modify(|count| *count += 1);
        let counted = InFlight(in_flight);
        detached(async move {
            let _counted = counted;
            call.await
        })
        .await
    }

    /// Waits for calls whose caller went away. Each is bounded by its own timeout.
    pub async fn drain_in_flight(&self) {
        let mut in_flight = self.in_flight.subscribe();
        let _ = in_flight.wait_for(|count| *count == 0).await;
    }
}

/// Runs a call to its end even where the caller goes away.
pub(super) async fn detached<T: Send + 'static>(
    call: impl Future<Output = crate::aws::Result<T>> + Send + 'static,
) -> crate::aws::Result<T> {
    let task = tokio::spawn(call.in_current_span());
    task.await.unwrap_or_else(|error| {
        Err(crate::aws::Error::new("the call", crate::aws::ErrorKind::Unavailable, error.to_string()))
    })
}

/// Counts a call until it ends, however it ends.
struct InFlight(watch::Sender<usize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Resources that a journal says were meant to be made, and that were neither seen gone nor kept; newest first.
#[must_use]
pub fn outstanding_resources(entries: &[(Timestamp, Entry)]) -> Vec<Resource> {
    let mut outstanding: Vec<Resource> = Vec::new();
    for (_, entry) in entries {
        match entry {
            Entry::Intended { resource, .. } if !outstanding.contains(resource) => outstanding.push(resource.clone()),
            Entry::Removed { resource }
            | Entry::Kept { resource, .. }
            | Entry::NotMade { resource, .. }
            | Entry::NotOurs { resource, .. } => outstanding.retain(|other| other != resource),
            _ => {}
        }
    }
    outstanding.reverse();
    outstanding
}

/// What a journal says of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceHistory {
    /// When it was last meant to be made.
    pub intended_at: Option<Timestamp>,
    /// AWS took the call that makes it.
    pub made: bool,
    /// AWS has shown it since.
    pub seen: bool,
    /// It was left standing on purpose, for people to use.
    pub kept: bool,
    /// How many days its backups were kept when it was first seen.
    pub backup_retention_days: Option<i32>,
    /// The same of the cluster that it is a member of.
    pub cluster_retention_days: Option<i32>,
}

/// What a journal says of a resource.
#[must_use]
pub fn known(entries: &[(Timestamp, Entry)], of: &Resource) -> ResourceHistory {
    let mut known = ResourceHistory::default();
    for (at, entry) in entries {
        match entry {
            Entry::Intended { resource, .. } if resource == of => known.intended_at = Some(*at),
            Entry::Made { resource } if resource == of => known.made = true,
            Entry::Kept { resource, .. } if resource == of => known.kept = true,
            Entry::Seen { resource, backup_retention_days } if resource == of => {
                known.seen = true;
                // The first time counts: what differs later was changed by somebody.
                known.backup_retention_days = known.backup_retention_days.or(*backup_retention_days);
            }
            Entry::Seen { resource, backup_retention_days } if resource.kind == ResourceKind::DbCluster => {
                known.cluster_retention_days = known.cluster_retention_days.or(*backup_retention_days);
            }
            // Only what is there, and this run's, is told to go.
            Entry::Removing { resource } if resource == of => known.seen = true,
            _ => {}
        }
    }
    known
}
