//! Lets the driver connect to a tunnel under the copy's own name, so that it verifies that name.
//!
//! The driver resolves and verifies one and the same name and has no other way to be told an address than a SOCKS5
//! proxy (RFC 1928). This is the smallest one: on loopback, for one name, always to the tunnel.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use crate::estate::HostPort;

/// Connections at the same time; the driver opens one for each worker and a few to look after the server.
const CONNECTIONS: usize = 32;
/// A greeting and a connection take no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const DOMAIN: u8 = 3;
const GRANTED: u8 = 0;
const REFUSED_BY_RULE: u8 = 2;
const UNREACHABLE: u8 = 4;

/// Runs until it is dropped.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    _listening: AbortOnDropHandle<()>,
}

impl Relay {
    pub(super) async fn start(name: String, tunnel: HostPort) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(listen(listener, Arc::new((name, tunnel))));
        Ok(Self { address, _listening: AbortOnDropHandle::new(listening) })
    }
}

async fn listen(listener: TcpListener, way: Arc<(String, HostPort)>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Connections end with the relay.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        // A client that went away again is no reason to stop.
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let way = Arc::clone(&way);
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = serve(client, &way.0, &way.1).await {
                tracing::debug!(%error, "a connection through the tunnel ended");
            }
        });
    }
}

async fn serve(mut client: TcpStream, name: &str, tunnel: &HostPort) -> io::Result<()> {
    let asked = async {
        greet(&mut client).await?;
        let wanted = destination(&mut client).await?;
        if !wanted.eq_ignore_ascii_case(name.as_bytes()) {
            answer(&mut client, REFUSED_BY_RULE).await?;
            return Err(io::Error::other("another name than the copy's"));
        }
        match TcpStream::connect((tunnel.host.as_str(), tunnel.port)).await {
            Ok(server) => {
                answer(&mut client, GRANTED).await?;
                Ok(server)
            }
            Err(error) => {
                answer(&mut client, UNREACHABLE).await?;
                Err(error)
            }
        }
    };
    let mut server = tokio::time::timeout(HANDSHAKE, asked).await??;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Version, number of methods, methods; no authentication is asked for.
async fn greet(client: &mut TcpStream) -> io::Result<()> {
    let [version, methods] = read(client).await?;
    if version != VERSION {
        return Err(io::Error::other("not SOCKS5"));
    }
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await?;
    client.write_all(&[VERSION, 0]).await
}

/// Version, command, reserved, address type, address, port.
async fn destination(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let [version, command, _, kind] = read(client).await?;
    if (version, command, kind) != (VERSION, CONNECT, DOMAIN) {
        return Err(io::Error::other("not a connection to a name"));
    }
    let [length] = read(client).await?;
    let mut name = vec![0; length.into()];
    client.read_exact(&mut name).await?;
    let _port: [u8; 2] = read(client).await?;
    Ok(name)
}

async fn answer(client: &mut TcpStream, code: u8) -> io::Result<()> {
    // An IPv4 address and a port follow, which nobody looks at.
    client.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
