//! Why a store cannot be used, what to do about it, and whether it may work again by itself.

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store is of a later drctl.
    #[error("the state in `{place}` is of a newer drctl (schema {found}, this one knows {known})")]
    Newer {
        /// The file, or the database.
        place: String,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The store is of an earlier drctl, and was opened to be read only.
    #[error("the state in `{place}` is of an older drctl (schema {found}, this one needs {known})")]
    Older {
        /// The file, or the database.
        place: String,
        /// Its schema.
        found: i64,
        /// The one that this program needs.
        known: i64,
    },
    /// The database says no.
    #[error("failed to open the state in `{place}`")]
    Database {
        /// The file, or the database.
        place: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The file is damaged.
    #[error("the state file `{place}` is damaged: {finding}")]
    Damaged {
        /// The file.
        place: String,
        /// The first thing that SQLite found.
        finding: String,
    },
}

/// What to do where the state cannot be opened or written.
pub(super) const CHECK_STATE: &str =
    "check that `[state] url` can be reached and written: the directory exists and is not full, the server answers";
/// PostgreSQL's code where a role lacks a right.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// PostgreSQL's code while it starts or ends (its documentation, appendix A).
const CANNOT_CONNECT_NOW: &str = "57P03";

impl OpenError {
    /// Whether a server does not answer, or not yet, and may do so later.
    #[must_use]
    pub fn is_away(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| code == CANNOT_CONNECT_NOW),
            _ => false,
        }
    }

    /// Whether another process holds the file.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| is_sqlite_busy(&code))
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "use the newer drctl, or another `[state] url`",
            Self::Older { .. } => {
                "start the daemon with this drctl, or run a test: both bring the state forward; \
                 until then read it with the drctl that wrote it"
            }
            Self::Damaged { .. } => "restore it from a backup, or move it away and start with an empty one",
            Self::Database { source: sqlx::Error::Database(error), .. }
                if error.code().is_some_and(|code| code == INSUFFICIENT_PRIVILEGE) =>
            {
                "grant what README.md lists under \"State in PostgreSQL\"; a new drctl has to be started once by the role \
                 that owns the tables"
            }
            away if away.is_away() => "see whether the database server of `[state] url` is up, and try again",
            Self::Database { .. } => CHECK_STATE,
        }
    }
}

/// `SQLITE_BUSY` and what it is extended by, in the lowest byte (SQLite's result codes).
fn is_sqlite_busy(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| code & 0xff == 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_file_is_told_by_its_code_and_what_extends_it() {
        // SQLITE_BUSY, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT; SQLITE_LOCKED is of the same process.
        assert!(["5", "261", "517"].into_iter().all(is_sqlite_busy));
        assert!(!["6", "14", "57P03", ""].into_iter().any(is_sqlite_busy));
    }
}
