//! A bound on every question to the database, by this machine's clock: a server that has vanished without a word answers
//! nothing, and closes nothing.

use std::time::Duration;

/// Longer than PostgreSQL lets a statement take, and than SQLite waits for another writer.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a connection may take to show that it is alive.
pub(super) const PING_LIMIT: Duration = Duration::from_secs(5);

/// What a database has to answer in time.
pub(super) trait TimeLimit<T>: Future<Output = Result<T, sqlx::Error>> + Sized + Send {
    /// The answer, or an error that says that there is none.
    fn limited(self) -> impl Future<Output = Result<T, sqlx::Error>> + Send {
        self.within(LIMIT)
    }

    /// The same with another limit.
    fn within(self, limit: Duration) -> impl Future<Output = Result<T, sqlx::Error>> + Send {
        async move {
            tokio::time::timeout(limit, self).await.unwrap_or_else(|_| {
                let message = format!("the database did not answer within {} s", limit.as_secs());
                Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message)))
            })
        }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> TimeLimit<T> for F {}
