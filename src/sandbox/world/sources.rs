//! The sources' endpoints: a database is started behind one when the first client says something there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::copies::Copies;
use crate::sandbox::engine::{Content, Running, free_port};

/// How long a client may be silent before a database is started for it all the same: MySQL's speak second.
const SILENCE: Duration = Duration::from_millis(300);

/// A source that is started on demand.
#[derive(Debug)]
struct Source {
    copies: Copies,
    content: Content,
    running: Mutex<Option<(u16, Running)>>,
}

/// Listens on a free port of loopback for a source's clients, and yields that port.
pub(super) fn listen(copies: Copies, content: Content) -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("failed to listen for a source's clients")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let listener = TcpListener::from_std(listener)?;
    let source = Arc::new(Source { copies, content, running: Mutex::new(None) });
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let source = Arc::clone(&source);
            tokio::spawn(async move {
                if let Err(error) = source.serve(client).await {
                    tracing::debug!(error = format!("{error:#}"), "a source's client was not served");
                }
            });
        }
    });
    Ok(port)
}

impl Source {
    async fn serve(&self, mut client: TcpStream) -> anyhow::Result<()> {
        // Who only knocks, to see whether somebody is there, starts nothing.
        let said = tokio::time::timeout(SILENCE, client.peek(&mut [0])).await;
        if matches!(said, Ok(Ok(0) | Err(_))) {
            return Ok(());
        }
        let mut database = TcpStream::connect(("127.0.0.1", self.port().await?)).await?;
        tokio::io::copy_bidirectional(&mut client, &mut database).await?;
        Ok(())
    }

    /// The port of the database, which is started where it is not yet.
    async fn port(&self) -> anyhow::Result<u16> {
        let mut running = self.running.lock().await;
        if let Some((port, _)) = &*running {
            return Ok(*port);
        }
        let _hold = self.copies.clock.hold();
        let port = free_port()?;
        let content = Content { as_of: self.copies.clock.now(), ..self.content.clone() };
        *running = Some((port, self.copies.engines.start(&content, port).await?));
        Ok(port)
    }
}
