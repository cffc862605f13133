//! A run's journal while the run is at work: written through to the store, and kept in memory for the undoing.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::Instrument;

use super::failure::Failure;
use crate::aws::Resource;
use crate::clock::Clock;
use crate::store::{Entry, Owner, RunState, Store};

/// What to do where the journal cannot be written.
const NOT_WRITTEN: &str = "check that the disk of the state file has room, and that no other process took the run over";

/// The journal of one run.
#[derive(Debug)]
pub struct Ledger {
    /// Where entries are written; nowhere in a dry run.
    written: Option<(Store, Owner)>,
    /// The number of the last entry. One whose writing was broken off keeps its number: nobody knows whether it is there.
    last_seq: AtomicUsize,
    clock: Clock,
    entries: Mutex<Vec<(Timestamp, Entry)>>,
    in_flight: watch::Sender<usize>,
}

impl Ledger {
    /// A journal that already holds `history`, the last entry of which is the `last_seq`th.
    #[must_use]
    pub fn new(store: Store, clock: Clock, owner: Owner, history: Vec<(Timestamp, Entry)>, last_seq: usize) -> Self {
        let (in_flight, _) = watch::channel(0);
        let last_seq = AtomicUsize::new(last_seq);
        Self { written: Some((store, owner)), last_seq, clock, entries: Mutex::new(history), in_flight }
    }

    /// A journal that is written nowhere, for a dry run.
    #[must_use]
    pub fn unwritten(clock: Clock) -> Self {
        let (in_flight, _) = watch::channel(0);
        Self { written: None, last_seq: AtomicUsize::new(0), clock, entries: Mutex::default(), in_flight }
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
    pub fn standing(&self) -> Vec<Resource> {
        standing(&self.entries())
    }

    /// Runs a call to its end even where the caller goes away.
    pub(super) async fn see_through<T: Send + 'static>(
        &self,
        call: impl Future<Output = crate::aws::Result<T>> + Send + 'static,
    ) -> crate::aws::Result<T> {
        let in_flight = self.in_flight.clone();
        in_flight.send_modify(|count| *count += 1);
        let counted = InFlight(in_flight);
        let call = async move {
            let _counted = counted;
            call.await
        };
        let task = tokio::spawn(call.in_current_span());
        task.await.unwrap_or_else(|error| {
            Err(crate::aws::Error {
                operation: "the call",
                code: None,
                message: error.to_string(),
                kind: crate::aws::Kind::Unavailable,
            })
        })
    }

    /// Waits for calls whose caller went away. Each is bounded by its own timeout.
    pub async fn settle(&self) {
        let mut in_flight = self.in_flight.subscribe();
        let _ = in_flight.wait_for(|count| *count == 0).await;
    }
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
pub fn standing(entries: &[(Timestamp, Entry)]) -> Vec<Resource> {
    let mut standing: Vec<Resource> = Vec::new();
    for (_, entry) in entries {
        match entry {
            Entry::Intended { resource, .. } if !standing.contains(resource) => standing.push(resource.clone()),
            Entry::Removed { resource } | Entry::Kept { resource, .. } => standing.retain(|other| other != resource),
            _ => {}
        }
    }
    standing.reverse();
    standing
}
