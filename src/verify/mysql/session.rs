//! A connection to MySQL or MariaDB: TLS, bounds, and a read-only transaction.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, OptsBuilder, Row, SslOpts, Value};
use secrecy::ExposeSecret;

use super::super::answer::ConnectError;
use super::super::model::{ConnectionSettings, Plan, ProbeError};
use super::super::tls;
use crate::estate::TlsMode;
use crate::text;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest packet that is let in. Values are cut at the server, so that only catalogues come near.
const MAX_PACKET_BYTES: usize = 4 << 20;
/// As long as any verification; the server's own is asked for otherwise.
const WAIT_TIMEOUT_SECONDS: usize = 28_800;
pub(super) const BEGIN: &str = "start transaction with consistent snapshot, read only";
/// What keeps our own questions ours, whatever the server's defaults are: quoting, padding and limits.
const SETTINGS: [&str; 5] = [
    "set session sql_mode = ''",
    "set session sql_select_limit = 18446744073709551615",
    "set session time_zone = '+00:00'",
    "set session transaction isolation level repeatable read",
    "set session transaction read only",
];
/// Server errors that tell of damaged data: crashed and corrupt tables, indexes and tablespaces, failed reads.
const DAMAGE: [u16; 13] = [126, 127, 1030, 1032, 1034, 1035, 1105, 1194, 1195, 1712, 1812, 1877, 1932];
/// Server errors that name a right: on a database, statement, table, column, or routine.
const DENIED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];
const SHUTDOWN: u16 = 1053;

/// An open connection.
pub(super) struct Session {
    connection: Conn,
    username: String,
    /// The longest that one statement may take.
    deadline: Duration,
}

impl Session {
    pub(super) async fn open(login: &ConnectionSettings, plan: &Plan) -> Result<Self, ConnectError> {
        let options = options(login)?;
        let opening = async {
            let connection = Conn::new(options).await.map_err(|error| refusal(&error))?;
            let mut session = Self { connection, username: login.username.clone(), deadline: plan.deadline };
            session.prepare().await.map_err(|error| refusal(&error))?;
            Ok(session)
        };
        let silent = |_| Err(ConnectError::Unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())));
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await.unwrap_or_else(silent)
    }

    /// Makes the connection what it was when it was opened: a function with its definer's rights may have set any variable of
    /// the session, such as the time that system-versioned tables are read as of.
    pub(super) async fn renew(&mut self) -> Result<(), Error> {
        // What a server refuses to reset may be anything.
        if !self.connection.reset().await.unwrap_or(false) {
            self.connection = Conn::new(self.connection.opts().clone()).await?;
        }
        self.prepare().await?;
        self.execute(BEGIN).await
    }

    async fn prepare(&mut self) -> Result<(), Error> {
        let limit = if self.version().await?.contains("MariaDB") {
            format!("set session max_statement_time = {}", self.deadline.as_secs().max(1))
        } else {
            format!("set session max_execution_time = {}", self.deadline.as_millis().max(1))
        };
        for sql in SETTINGS.into_iter().chain([limit.as_str()]) {
            self.execute(sql).await?;
        }
        Ok(())
    }

    pub(super) async fn version(&mut self) -> Result<String, Error> {
        let row = self.first("select version()", Vec::new()).await?;
        Ok(row.and_then(|row| field(&row, 0)).unwrap_or_default())
    }

    /// Runs one statement that is drctl's own. Servers do not prepare all of them, so this goes out as text: nothing but
    /// quoted names and numbers may be put into it.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), Error> {
        self.connection.query_drop(sql).await
    }

    /// All rows that such a statement yields.
    pub(super) async fn said(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.connection.query(sql).await
    }

    /// The first row of a question. The server prepares one statement only, and refuses whatever follows it.
    pub(super) async fn first(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Option<Row>, Error> {
        self.connection.exec_first(sql, parameters).await
    }

    /// Every row of a question, one after the other, until one is refused.
    pub(super) async fn each(
        &mut self,
        sql: &str,
        mut each: impl FnMut(Row) -> Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        let failed = |error: Error| refusal(&error);
        let mut rows = self.connection.exec_iter(sql, ()).await.map_err(failed)?;
        while let Some(row) = rows.next().await.map_err(failed)? {
            each(row)?;
        }
        rows.drop_result().await.map_err(failed)
    }

    /// The first column's name of what a statement yields, without running it.
    pub(super) async fn first_column(&mut self, sql: &str) -> Result<Option<String>, Error> {
        let statement = self.connection.prep(sql).await?;
        let name = statement.columns().first().map(|column| column.name_str().into_owned());
        self.connection.close(statement).await?;
        Ok(name)
    }

    /// What an error means for the data.
    pub(super) fn trouble(&self, error: &Error) -> ProbeError {
        let Error::Server(answer) = error else {
            let message = text::clean(&error.to_string());
            // The codec's error has no type of its own outside.
            let too_large = message.contains("larger than max_allowed_packet");
            return match error {
                _ if too_large => ProbeError::Unable("the answer was too large to be let in".to_owned()),
                Error::Io(_) | Error::Driver(mysql_async::DriverError::ConnectionClosed) => ProbeError::Lost,
                _ => ProbeError::Unable(message),
            };
        };
        let message = text::clean(&answer.message);
        match answer.code {
            code if DAMAGE.contains(&code) => ProbeError::Damage(message),
            SHUTDOWN => ProbeError::Lost,
            code if DENIED.contains(&code) => {
                ProbeError::Unable(format!("{message}; grant that right to `{}` on the source", self.username))
            }
            _ => ProbeError::Unable(message),
        }
    }
}

/// A field as text; `None` where it is null.
pub(super) fn field(row: &Row, at: usize) -> Option<String> {
    match row.as_ref(at)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

fn options(login: &ConnectionSettings) -> Result<OptsBuilder, ConnectError> {
    let builder = OptsBuilder::default()
        .ip_or_hostname(login.address.host.clone())
        .tcp_port(login.address.port)
        .user(Some(login.username.clone()))
        .pass(Some(login.password.expose_secret()))
        .db_name(Some(login.database.clone()))
        // Otherwise a server on this machine would be asked for its socket, and that connected to instead.
        .prefer_socket(false)
        .stmt_cache_size(0)
        .max_allowed_packet(Some(MAX_PACKET_BYTES))
        .wait_timeout(Some(WAIT_TIMEOUT_SECONDS))
        .ssl_opts(encryption(login)?);
    Ok(builder)
}

/// TLS with the copy's own name, wherever the connection leads.
fn encryption(login: &ConnectionSettings) -> Result<Option<SslOpts>, ConnectError> {
    let named = SslOpts::default().with_danger_tls_hostname_override(Some(login.certificate_name.clone()));
    Ok(match login.tls {
        TlsMode::Off => None,
        TlsMode::Require => Some(named.with_danger_accept_invalid_certs(true)),
        TlsMode::VerifyFull => {
            let authorities = tls::authorities(login.ca.as_deref())?;
            let authorities = authorities.into_iter().map(|one| one.to_vec().into()).collect();
            Some(named.with_root_certs(authorities).with_disable_built_in_roots(true))
        }
    })
}

/// What an error means for the connection.
pub(super) fn refusal(error: &Error) -> ConnectError {
    if let Some(refusal) = tls::refusal(error) {
        return refusal;
    }
    match error {
        Error::Server(answer) => {
            let message = text::clean(&answer.message);
            match answer.code {
                1045 | 1698 | 1251 => ConnectError::Credentials(message),
                1049 => ConnectError::NoDatabase(message),
                1040 | 1203 | SHUTDOWN => ConnectError::Unreachable(message),
                _ => ConnectError::Other(message),
            }
        }
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => {
            ConnectError::Tls("the server offers no TLS".to_owned())
        }
        Error::Io(IoError::Tls(cause)) => ConnectError::Tls(text::clean(&cause.to_string())),
        Error::Io(_) | Error::Driver(mysql_async::DriverError::ConnectionClosed) => {
            ConnectError::Unreachable(text::clean(&error.to_string()))
        }
        _ => ConnectError::Other(text::clean(&error.to_string())),
    }
}
