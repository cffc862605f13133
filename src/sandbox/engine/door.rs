//! The way into a restored copy. While somebody is inside, the virtual clock runs at real speed: what a client does with
//! the data is this machine's work, and takes the time that it takes.

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::clock::VirtualClock;

/// Lets clients in until it is dropped.
#[derive(Debug)]
pub(in crate::sandbox) struct Door(AbortHandle);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// Lets the clients of `outside` in to the database on `inside`.
    pub(super) fn open(outside: std::net::TcpListener, inside: u16, clock: VirtualClock) -> anyhow::Result<Self> {
        outside.set_nonblocking(true).context("failed to listen for a copy's clients")?;
        let listener = TcpListener::from_std(outside)?;
        let accept = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let clock = clock.clone();
                tokio::spawn(async move {
                    let _hold = clock.hold();
                    let Ok(mut database) = TcpStream::connect(("127.0.0.1", inside)).await else { return };
                    let _ = (client.set_nodelay(true), database.set_nodelay(true));
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut database).await;
                });
            }
        });
        Ok(Self(accept.abort_handle()))
    }
}
