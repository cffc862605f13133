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
    /// Listens on `outside`, a port of loopback, for the database on `inside`.
    pub(super) async fn open(outside: u16, inside: u16, clock: VirtualClock) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", outside)).await;
        let listener = listener.with_context(|| format!("failed to listen on port {outside}"))?;
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
