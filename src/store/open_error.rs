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
/// What to do where the state cannot be used at present: see [`is_away`].
pub const STATE_IS_AWAY: &str =
    "see whether the server, or the disk, of `[state] url` is up and has room, and try again";
/// PostgreSQL's code where a role lacks a right.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
impl OpenError {
    /// Whether it may work again by itself: see [`is_away`].
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Database { source, .. } if may_pass(source))
    }

    /// Whether another process holds the file.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| is_sqlite(&code, &[BUSY]))
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
            Self::Database { source: sqlx::Error::Tls(_), .. } => {
                "the server's certificate has to be valid for its name: name its authority by `?sslrootcert=FILE` in `[state] url`, \
                 or say by `?sslmode=` what else you accept"
            }
            away if away.is_away() => STATE_IS_AWAY,
            Self::Database { .. } => CHECK_STATE,
        }
    }
}

/// Whether the state cannot be used at present, by a cause that may pass without anybody changing the configuration: no
/// connection, a server that starts, ends or has no room, a full disk, somebody else's lock.
#[must_use]
pub fn is_away(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(may_pass)
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
        sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| may_pass_by_code(&code)),
        _ => false,
    }
}

/// SQLite's codes are numbers of at most four digits, PostgreSQL's have five signs.
fn may_pass_by_code(code: &str) -> bool {
    match code.len() {
        5 => PASSING_STATES.iter().any(|state| code.starts_with(state)),
        _ => is_sqlite(code, &PASSING_RESULTS),
    }
}

/// What may pass in PostgreSQL (its documentation, appendix A), by how its codes begin: connections, a server that is a standby,
/// a transaction that ran into another's, resources such as disks and connections, locks, time limits, a server that ends or starts.
const PASSING_STATES: [&str; 9] = ["08", "25006", "25P03", "40", "53", "55P03", "57014", "57P", "58030"];
/// `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR` and `SQLITE_FULL`.
const PASSING_RESULTS: [u32; 4] = [BUSY, 6, 10, 13];
const BUSY: u32 = 5;

/// Whether it is one of SQLite's results, or extends one: that is in the lowest byte (SQLite's result codes).
fn is_sqlite(code: &str, results: &[u32]) -> bool {
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| results.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_file_is_told_by_its_code_and_what_extends_it() {
        // SQLITE_BUSY, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT; SQLITE_LOCKED is of the same process.
        assert!(["5", "261", "517"].into_iter().all(|code| is_sqlite(code, &[BUSY])));
        assert!(!["6", "14", "57P03", "42501", ""].into_iter().any(|code| is_sqlite(code, &[BUSY])));
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_a_person_has_to_change() {
        // Busy, locked, disk full, an error of the disk; too many connections, disk full, shutting down, starting, standby.
        let passing = ["5", "261", "6", "13", "778", "53300", "53100", "57P01", "57P03", "08006", "25006", "40001"];
        assert!(passing.into_iter().all(may_pass_by_code));
        // Not a database, corrupt, cannot open; no right, wrong password, no such database, no such table, a duplicate.
        let lasting = ["26", "11", "14", "42501", "28P01", "3D000", "42P01", "23505"];
        assert!(!lasting.into_iter().any(may_pass_by_code));
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(is_away(&anyhow::Error::from(lost).context("failed to write")));
        assert!(!is_away(&anyhow::anyhow!("something else")));
    }
}
