//! What a refused connection, or a refused command, means.

use mongodb::error::{Error, ErrorKind};

use crate::verify::answer::ConnectError;

pub(super) const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;

/// Why there is no connection.
pub(super) fn refusal(error: &Error) -> ConnectError {
    let message = error.to_string();
    match error.kind.as_ref() {
        ErrorKind::Authentication { message, .. } => ConnectError::Credentials(message.clone()),
        ErrorKind::Command(answer) if answer.code == AUTHENTICATION_FAILED => {
            ConnectError::Credentials(answer.message.clone())
        }
        ErrorKind::Command(answer) if answer.code == UNAUTHORIZED => {
            ConnectError::Rights(missing_right(&answer.message))
        }
        _ if message.contains("not valid for name") => ConnectError::WrongName(message),
        ErrorKind::ServerSelection { message, .. } if message.contains("ertificate") => {
            ConnectError::Tls(message.clone())
        }
        ErrorKind::InvalidTlsConfig { message, .. } => ConnectError::Tls(message.clone()),
        _ if message.contains("ertificate") => ConnectError::Tls(message),
        ErrorKind::ServerSelection { message, .. } => ConnectError::Unreachable(message.clone()),
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => ConnectError::Unreachable(message),
        ErrorKind::Command(answer) => ConnectError::Other(answer.message.clone()),
        _ => ConnectError::Other(message),
    }
}

pub(super) fn missing_right(message: &str) -> String {
    format!("the user lacks a right: give it the role `read` on this database ({message})")
}
