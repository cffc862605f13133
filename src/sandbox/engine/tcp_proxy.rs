//! The way into a restored copy. While somebody is inside, the virtual clock runs at real speed: what a client does with
//! the data is this machine's work, and takes the time that it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::clock::VirtualClock;

/// From when on clients are let in. Shared by whoever decides and the door itself.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct Gate(Arc<AtomicI64>);

impl Gate {
    /// Lets clients in from `at` on, and refuses them before.
    pub(in crate::sandbox) fn open_at(&self, at: Timestamp) {
        self.0.store(at.as_millisecond(), Ordering::SeqCst);
    }

    /// Whether a client who comes now is let in.
    pub(in crate::sandbox) fn is_open(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.0.load(Ordering::SeqCst)
    }
}

/// Lets clients in until it is dropped.
#[derive(Debug)]
pub(in crate::sandbox) struct Door(AbortHandle);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// Lets the clients of `outside` in to the database on `inside`, on whose behalf the clock is held. Who comes before
    /// the gate is open is sent away at once, as by a host on which nothing listens yet.
    pub(super) fn open(
        outside: std::net::TcpListener,
        inside: u16,
        clock: VirtualClock,
        gate: Gate,
    ) -> anyhow::Result<Self> {
        outside.set_nonblocking(true).context("failed to listen for a copy's clients")?;
        let listener = TcpListener::from_std(outside)?;
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !gate.is_open(clock.now()) {
                    let _ = client.set_zero_linger();
                    continue;
                }
                tokio::spawn(serve(client, inside, clock.clone()));
            }
        });
        Ok(Self(accept.abort_handle()))
    }
}

async fn serve(mut client: TcpStream, inside: u16, clock: VirtualClock) {
    let _hold = clock.hold();
    let Ok(mut database) = TcpStream::connect(("127.0.0.1", inside)).await else { return };
    let _ = (client.set_nodelay(true), database.set_nodelay(true));
    let _ = tokio::io::copy_bidirectional(&mut client, &mut database).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_from_a_moment_on() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let gate = Gate::default();
        assert!(gate.is_open(at(0)));
        gate.open_at(at(100));
        assert!(!gate.is_open(at(99)) && gate.is_open(at(100)));
    }
}
