//! A connection to PostgreSQL: TLS, the guard, and a read-only transaction in which no name is the backup's to resolve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, TryStreamExt};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::answer::ConnectError;
use super::super::model::{ConnectionSettings, Plan, ProbeError};
use super::super::{identifier, tls};
use super::guard::Guard;
use crate::estate::TlsMode;
use crate::text;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// `SSLRequest`: its own length and the code 80877103. Source: PostgreSQL's manual, "Message Formats".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// SQLSTATE classes and codes that tell of damaged data.
const DAMAGE: [&str; 4] = ["XX001", "XX002", "58030", "58P01"];
/// The server ends, crashes, or starts.
const AWAY: [&str; 3] = ["57P01", "57P02", "57P03"];
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// What keeps our own questions ours. Row security would hide rows: with it off, the server refuses instead. Constraints and
/// partitions are not reasoned about, because their expressions would be evaluated for that.
const SETTINGS: &str = "set search_path = pg_catalog; set row_security = off; set constraint_exclusion = off;
    set enable_partition_pruning = off";
/// As above, where the server knows the setting: compiling costs more than it gives, and the four connections share the work.
const OPTIONAL_SETTINGS: &str = "select pg_catalog.set_config(s.name, w.value, false) from pg_catalog.pg_settings s
    join (values ('jit', 'off'), ('max_parallel_workers_per_gather', '0')) w(name, value) on w.name = s.name";

/// What an error carries inside drctl.
pub(super) type Error = tokio_postgres::Error;

/// An open connection.
pub(super) struct Session {
    client: Client,
    /// A message was too large to let in.
    refused: Arc<AtomicBool>,
    task: AbortHandle,
    username: String,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Otherwise the connection would live until its last answer has come.
        self.task.abort();
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

impl Session {
    /// Connects; yields the session, and the schemas in which the user's own SQL finds its names.
    pub(super) async fn open(login: &ConnectionSettings, plan: &Plan) -> Result<(Self, Vec<String>), ConnectError> {
        let opening = async {
            let session = connect(login, plan).await?;
            let path = session.prepare().await?;
            Ok((session, path))
        };
        let silent = |_| Err(ConnectError::Unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())));
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await.unwrap_or_else(silent)
    }

    async fn prepare(&self) -> Result<Vec<String>, Error> {
        let path = "select s::pg_catalog.text from pg_catalog.unnest(pg_catalog.current_schemas(false)) s";
        let path = self.client.query(path, &[]).await?;
        self.client.batch_execute(SETTINGS).await?;
        self.client.query(OPTIONAL_SETTINGS, &[]).await?;
        path.iter().map(|row| row.try_get(0)).collect()
    }

    /// Runs what drctl itself wrote; several statements are allowed.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// All rows of a question, one after the other.
    pub(super) async fn stream(&self, sql: &str) -> Result<impl Stream<Item = Result<Row, Error>>, Error> {
        self.client.query_raw(sql, std::iter::empty::<&str>()).await
    }

    /// As above, with parameters.
    pub(super) async fn stream_for(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<impl Stream<Item = Result<Row, Error>> + use<>, Error> {
        self.client.query_raw(sql, parameters.iter().copied()).await
    }

    /// The one row of a question outside of a savepoint.
    pub(super) async fn one(&self, sql: &str) -> Result<Row, Error> {
        self.client.query_one(sql, &[]).await
    }

    /// The first row of a question, under a savepoint: a failure leaves the transaction usable, and what the question
    /// changed of the session is taken back. `path` is where the user's own SQL finds its names.
    pub(super) async fn first(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        path: Option<&[String]>,
    ) -> Result<Option<Row>, Error> {
        self.client.batch_execute("savepoint drctl").await?;
        let answer = self.ask(sql, parameters, path).await;
        // Where the connection is lost the first error tells more than this one.
        let _ = self.client.batch_execute("rollback to savepoint drctl; release savepoint drctl").await;
        answer
    }

    async fn ask(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        path: Option<&[String]>,
    ) -> Result<Option<Row>, Error> {
        if let Some(path) = path {
            let quoted: Vec<String> = path.iter().map(|schema| identifier::postgres(schema)).collect();
            let set =
                format!("set local search_path = {}", [vec!["pg_catalog".to_owned()], quoted].concat().join(", "));
            self.client.batch_execute(&set).await?;
        }
        // One prepared statement: whatever would follow it is refused by the server.
        let rows = self.client.query_raw(sql, parameters.iter().copied()).await?;
        let mut rows = std::pin::pin!(rows);
        let mut first = None;
        while let Some(row) = rows.try_next().await? {
            first.get_or_insert(row);
        }
        Ok(first)
    }

    /// Reads a table as it lies there, without a plan: `each` is given one row after the other.
    pub(super) async fn copy(&self, table: &str, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        self.client.batch_execute("savepoint drctl").await?;
        let copied = async {
            let rows = self.client.copy_out(&format!("copy {table} to stdout")).await?;
            let mut rows = std::pin::pin!(rows);
            while let Some(row) = rows.try_next().await? {
                each(&row);
            }
            Ok(())
        };
        let copied = copied.await;
        let _ = self.client.batch_execute("rollback to savepoint drctl; release savepoint drctl").await;
        copied
    }

    /// What an error means for the data.
    pub(super) fn trouble(&self, error: &Error) -> ProbeError {
        if self.refused.load(Ordering::Relaxed) {
            return ProbeError::Unable("the answer was too large to be let in".to_owned());
        }
        let Some(answer) = error.as_db_error() else {
            let lost = error.is_closed()
                || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            return if lost { ProbeError::Lost } else { ProbeError::Unable(text::clean(&chain(error))) };
        };
        let message = text::clean(answer.message());
        match answer.code().code() {
            code if DAMAGE.contains(&code) => ProbeError::Damage(message),
            code if AWAY.contains(&code) => ProbeError::Lost,
            INSUFFICIENT_PRIVILEGE if message.contains("row-level security") => ProbeError::Unable(format!(
                "{message}: rows may be hidden from `{0}`; give `{0}` BYPASSRLS on the source",
                self.username
            )),
            INSUFFICIENT_PRIVILEGE => {
                ProbeError::Unable(format!("{message}; grant that right to `{}` on the source", self.username))
            }
            _ => ProbeError::Unable(message),
        }
    }
}

/// The SQLSTATE of an error.
pub(super) fn code_of(error: &Error) -> Option<&str> {
    error.code().map(tokio_postgres::error::SqlState::code)
}

fn chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn connect(login: &ConnectionSettings, plan: &Plan) -> Result<Session, ConnectError> {
    let address = (login.address.host.as_str(), login.address.port);
    let stream = TcpStream::connect(address).await.map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let _ = stream.set_nodelay(true);
    let wire: Box<dyn Wire> = match login.tls {
        TlsMode::Off => Box::new(stream),
        mode => Box::new(encrypt(stream, login, mode).await?),
    };
    let guard = Guard::new(wire);
    let refused = guard.refused();
    let (client, connection) = config(login, plan).connect_raw(guard, NoTls).await?;
    let task = tokio::spawn(async move {
        // Whoever waits for an answer is told why there is none.
        if let Err(error) = connection.await {
            tracing::debug!(error = chain(&error), "a connection ended");
        }
    });
    Ok(Session { client, refused, task: task.abort_handle(), username: login.username.clone() })
}

/// TLS with the copy's own name, wherever the connection leads.
async fn encrypt(
    mut stream: TcpStream,
    login: &ConnectionSettings,
    mode: TlsMode,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let unreachable = |error: std::io::Error| ConnectError::Unreachable(error.to_string());
    stream.write_all(&SSL_REQUEST).await.map_err(unreachable)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await.map_err(unreachable)?;
    if answer != *b"S" {
        return Err(ConnectError::Tls("the server offers no TLS".to_owned()));
    }
    let name =
        ServerName::try_from(login.certificate_name.clone()).map_err(|error| ConnectError::Tls(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(tls::client(mode, login.ca.as_deref())?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| tls::refusal(&error).unwrap_or_else(|| unreachable(error)))
}

fn config(login: &ConnectionSettings, plan: &Plan) -> Config {
    let mut config = Config::new();
    config
        .user(&login.username)
        .password(login.password.expose_secret())
        .dbname(&login.database)
        .application_name("drctl")
        .ssl_mode(tokio_postgres::config::SslMode::Disable)
        .options(format!(
            "-c statement_timeout={} -c default_transaction_read_only=on -c timezone=UTC -c datestyle=ISO \
             -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex -c client_min_messages=error \
             -c standard_conforming_strings=on",
            plan.deadline.as_millis()
        ));
    config
}

/// What an error means for the connection.
impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        refusal(&error)
    }
}

fn refusal(error: &Error) -> ConnectError {
    let Some(answer) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            Some(cause) if cause.is::<std::io::Error>() => ConnectError::Unreachable(text::clean(&chain(error))),
            _ if error.is_closed() => ConnectError::Unreachable("the server closed the connection".to_owned()),
            _ => ConnectError::Other(text::clean(&chain(error))),
        };
    };
    let message = text::clean(answer.message());
    match answer.code().code() {
        "28P01" | "28000" => ConnectError::Credentials(message),
        "3D000" => ConnectError::NoDatabase(message),
        "53300" => ConnectError::Unreachable(message),
        code if AWAY.contains(&code) => ConnectError::Unreachable(message),
        _ => ConnectError::Other(message),
    }
}
