//! Connecting: TLS, credentials, and what the server says of itself.

use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use mongodb::error::ErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, Credential, ServerAddress, Socks5Proxy, Tls, TlsOptions};
use mongodb::{Client, Database};
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, Semaphore};

use super::catalog;
use super::refusal::refusal;
use super::relay::Relay;
use super::worker::{Shared, Worker};
use crate::estate::TlsMode;
use crate::verify::answer::{Catalog, ConnectError};
use crate::verify::model::{ConnectionSettings, Plan};
use crate::verify::tls;

const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the server has let us in and said who it is. The driver bounds neither.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const SELECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Versions of DocumentDB whose wire version is below what the driver speaks (9, that of MongoDB 4.4).
const TOO_OLD: [&str; 2] = ["3.6", "4.0"];

/// Why a DocumentDB of this engine version cannot be verified, if it cannot.
#[must_use]
pub fn documentdb_too_old(engine_version: &str) -> Option<String> {
    let too_old = TOO_OLD
        .iter()
        .any(|old| engine_version.strip_prefix(old).is_some_and(|rest| rest.starts_with('.') || rest.is_empty()));
    too_old.then(|| format!("DocumentDB {engine_version} speaks an older protocol than drctl's driver: 5.0 is the first that it can verify"))
}

/// Connects and reads the catalogue. The driver pools connections, so workers share one client.
pub(in crate::verify) async fn connect(
    login: &ConnectionSettings,
    plan: &Plan,
    count: usize,
) -> Result<(Vec<Worker>, Catalog), ConnectError> {
    // The driver passes over what it cannot read in that file, so that it is looked at here.
    if let Some(ca) = login.ca.as_deref().filter(|_| login.tls == TlsMode::VerifyFull) {
        tls::authorities(Some(ca))?;
    }
    let relay = relay(login).await?;
    let client = Client::with_options(options(login, relay.as_ref(), count)).map_err(|error| refusal(&error))?;
    let database = client.database(&login.database);
    let silent = |_| Err(ConnectError::Unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())));
    let server = tokio::time::timeout(CONNECT_TIMEOUT, own_name(&database)).await.unwrap_or_else(silent)?;
    let too_long = |_| Err(ConnectError::Other("the catalogue could not be read in time".to_owned()));
    let listed = tokio::time::timeout(plan.deadline, catalog::read(&database)).await.unwrap_or_else(too_long)?;
    let shared = Shared {
        database,
        timeout: plan.deadline,
        indexes: listed.indexes,
        large_rows: plan.large_rows,
        readers: Arc::new(Semaphore::new(count)),
        heavy: Arc::new(Mutex::new(())),
        _relay: relay,
    };
    let worker = Worker { shared: Arc::new(shared) };
    Ok((vec![worker; count], Catalog { server, ..listed.catalog }))
}

/// A tunnel has another name than the certificate: the driver is led to it under the copy's own.
async fn relay(login: &ConnectionSettings) -> Result<Option<Relay>, ConnectError> {
    if !login.tunnelled || login.tls != TlsMode::VerifyFull {
        return Ok(None);
    }
    let relay = Relay::start(login.certificate_name.clone(), login.address.clone()).await;
    relay.map(Some).map_err(|error| ConnectError::Other(format!("cannot listen on loopback: {error}")))
}

fn options(login: &ConnectionSettings, relay: Option<&Relay>, count: usize) -> ClientOptions {
    let tls = match login.tls {
        TlsMode::Off => Tls::Disabled,
        // Where a file is given the driver trusts its authorities and no others.
        TlsMode::VerifyFull => Tls::Enabled(TlsOptions::builder().ca_file_path(login.ca.clone()).build()),
        TlsMode::Require => Tls::Enabled(TlsOptions::builder().allow_invalid_certificates(true).build()),
    };
    let host = if relay.is_some() { &login.certificate_name } else { &login.address.host };
    let address = ServerAddress::Tcp { host: host.clone(), port: Some(login.address.port) };
    let credential = Credential::builder()
        .username(login.username.clone())
        .password(login.password.expose_secret().to_owned())
        .source("admin".to_owned())
        .build();
    let mut options = ClientOptions::builder()
        .hosts(vec![address])
        .app_name("drctl".to_owned())
        .credential(credential)
        .tls(tls)
        .direct_connection(true)
        .retry_writes(false)
        .connect_timeout(TCP_TIMEOUT)
        .server_selection_timeout(SELECT_TIMEOUT)
        .max_pool_size(u32::try_from(count).unwrap_or(u32::MAX))
        .build();
    options.socks5_proxy = relay
        .map(|relay| Socks5Proxy::builder().host(relay.address.ip().to_string()).port(relay.address.port()).build());
    if let Some(listener) = login.on_command.clone() {
        options.command_event_handler = Some(EventHandler::Callback(Arc::new(move |event: CommandEvent| {
            if let CommandEvent::Started(event) = event {
                listener(&event.command_name);
            }
        })));
    }
    options
}

/// The host that the server takes itself for. DocumentDB's documentation shows the instance's endpoint there.
async fn own_name(database: &Database) -> Result<Option<String>, ConnectError> {
    let hello = match database.run_command(doc! { "hello": 1 }).await {
        Err(error) if !matches!(error.kind.as_ref(), ErrorKind::Command(_)) => return Err(refusal(&error)),
        answer => answer.unwrap_or_default(),
    };
    let me = hello.get_str("me").ok();
    Ok(me.map(|me| me.rsplit_once(':').map_or(me, |(host, _)| host).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::documentdb_too_old;

    #[test]
    fn what_the_driver_cannot_speak_with_is_known_by_its_version() {
        assert!(documentdb_too_old("3.6.0").is_some() && documentdb_too_old("4.0.0").is_some());
        for version in ["5.0.0", "8.0.1", "40.0", "4.01", ""] {
            assert_eq!(documentdb_too_old(version), None);
        }
    }
}
