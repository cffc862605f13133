//! Connects to a copy: how long that is tried, who answers there, and what a refusal means.

use std::time::Duration;

use super::answer::{Catalog, ConnectError};
use super::identity::{self, Identity};
use super::model::{Check, CheckKind, ConnectionSettings, Outcome, Plan};
use super::worker::Worker;
use super::{documentdb, mysql, postgres};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::estate::{Protocol, TlsMode};
use crate::text;

/// How often, and for how long at least, a database that AWS calls available may still refuse connections.
const UNREACHABLE: (u32, Duration) = (20, Duration::from_secs(30));
/// The same for a password that was set a moment ago and is still refused: AWS takes its time.
const FRESH_PASSWORD: (u32, Duration) = (150, Duration::from_mins(5));
const PAUSE: Duration = Duration::from_secs(2);

/// Connects `count` times, and reads the catalog. What a server that comes up does is borne for a while.
pub(super) async fn connect_with_retry(
    login: &ConnectionSettings,
    plan: &Plan,
    count: usize,
    clock: &Clock,
) -> Result<(Vec<Worker>, Catalog), ConnectError> {
    let bound = |(tries, lasts)| Deadline::new(clock, lasts).and_tries(tries);
    let (mut unreachable, mut fresh_password) = (bound(UNREACHABLE), bound(FRESH_PASSWORD));
    loop {
        let refusal = match connect(login, plan, count).await {
            Ok(connected) => return Ok(connected),
            Err(refusal) => refusal,
        };
        let is_borne = match &refusal {
            ConnectError::Unreachable(_) => unreachable.allows_retry(),
            ConnectError::Credentials(_) => login.fresh_password && fresh_password.allows_retry(),
            _ => false,
        };
        if !is_borne {
            return Err(refusal);
        }
        clock.sleep(PAUSE).await;
    }
}

/// Connects once more, in place of a connection that broke.
pub(super) async fn again(login: &ConnectionSettings, plan: &Plan, clock: &Clock) -> Option<Worker> {
    connect_with_retry(login, plan, 1, clock).await.ok()?.0.into_iter().next()
}

async fn connect(
    login: &ConnectionSettings,
    plan: &Plan,
    count: usize,
) -> Result<(Vec<Worker>, Catalog), ConnectError> {
    match login.protocol {
        Protocol::Postgres => {
            let (workers, catalog) = postgres::connect(login, plan, count).await?;
            Ok((workers.into_iter().map(Worker::Postgres).collect(), catalog))
        }
        Protocol::Mysql => {
            let (workers, catalog) = mysql::connect(login, plan, count).await?;
            Ok((workers.into_iter().map(Worker::Mysql).collect(), catalog))
        }
        Protocol::Mongo => {
            let (workers, catalog) = documentdb::connect(login, plan, count).await?;
            Ok((workers.into_iter().map(Worker::Mongo).collect(), catalog))
        }
    }
}

/// Without a tunnel the address is the copy's own; with one, a verified name is. What DocumentDB says is looked at before.
pub(super) async fn who_answered(login: &ConnectionSettings, catalog: &Catalog) -> Identity {
    if !login.tunnelled || login.tls == TlsMode::VerifyFull || login.protocol == Protocol::Mongo {
        return Identity::Agrees;
    }
    identity::check(catalog.server.as_deref(), &login.certificate_name, login.address.port).await
}

/// What `connect` is held against.
pub(super) fn expected(login: &ConnectionSettings) -> String {
    let tls = match login.tls {
        TlsMode::VerifyFull => "TLS with the copy's own certificate",
        TlsMode::Require => "TLS",
        TlsMode::Off => "no TLS",
    };
    format!("{tls}, and the credentials of `{}` work", login.username)
}

/// What a refusal says of the backup, and what to do about it.
pub(super) fn refused(refusal: &ConnectError, expected: &str, login: &ConnectionSettings) -> Check {
    let (outcome, actual, fix) = match refusal {
        ConnectError::Unreachable(message) => {
            let fix = "run drctl where it can reach the quarantine, or give `connect` a tunnel; see `drctl doctor`";
            (Outcome::Unknown, message, fix)
        }
        ConnectError::Tls(message) => {
            let fix = "set `ca` to the bundle that signs your databases (for RDS: `global-bundle.pem`)";
            (Outcome::Failed, message, fix)
        }
        ConnectError::WrongName(message) if login.tunnelled => {
            let fix = "`connect` leads to another server than the copy: point the tunnel at the copy's endpoint";
            (Outcome::Unknown, message, fix)
        }
        ConnectError::WrongName(message) => {
            let fix = "the endpoint's name leads to another server: see what it resolves to here";
            (Outcome::Failed, message, fix)
        }
        ConnectError::Authorities(message) => {
            (Outcome::Unknown, message, "correct `ca`: a PEM file with the CA certificates")
        }
        // drctl chose that password itself: that it does not work yet says nothing about the backup.
        ConnectError::Credentials(message) if login.fresh_password => {
            let fix = "the new password has not taken effect: test again, or give `password` in the configuration";
            (Outcome::Unknown, message, fix)
        }
        ConnectError::Credentials(message) => {
            // A secret that was rotated since says nothing about the backup either.
            let fix = "a restored copy has the password of its snapshot's time: correct `password`, or remove it to \
                       have a new one set on the copy";
            (Outcome::Unknown, message, fix)
        }
        ConnectError::Rights(message) => {
            (Outcome::Unknown, message, "give the user that drctl connects with the right to read, and test again")
        }
        ConnectError::NoDatabase(message) => {
            let fix = "check `database` in the configuration; if it is right, the backup does not hold it";
            (Outcome::Failed, message, fix)
        }
        ConnectError::Other(message) => {
            (Outcome::Unknown, message, "check `username`, its rights, and the server's log")
        }
    };
    Check {
        name: "connect".to_owned(),
        kind: CheckKind::Connect,
        outcome,
        expected: text::clean(expected),
        actual: text::clean(actual),
        seconds: 0.0,
        fix: Some(fix.to_owned()),
        data_loss_seconds: None,
    }
}
