//! Nobody but the owner reads or writes what drctl keeps on the disk.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Only the owner reads and writes the state.
const FILE_MODE: u32 = 0o600;
/// The same for a directory.
pub(super) const DIRECTORY_MODE: u32 = 0o700;
/// The group's and everybody else's part of a mode.
const OTHERS: u32 = 0o077;
/// The suffixes of the files that SQLite keeps beside its own.
const SQLITE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Takes from everybody else what an earlier version, or another umask, let them read. A file that belongs to somebody
/// else is theirs to see to.
pub(super) fn keep_private(state: &Path) -> std::io::Result<()> {
    for suffix in SQLITE_FILES {
        let mut name = state.to_owned().into_os_string();
        name.push(suffix);
        private(Path::new(&name), FILE_MODE)?;
    }
    Ok(())
}

/// Sets a mode where somebody else could read or write.
pub(super) fn private(path: &Path, mode: u32) -> std::io::Result<()> {
    let found = match std::fs::metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found & OTHERS == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "others may read this, and it belongs to somebody else");
            Ok(())
        }
        done => done,
    }
}
