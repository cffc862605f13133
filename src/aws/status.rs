//! What a status of an instance or a cluster means to somebody who waits for it.
//!
//! Statuses as documented in the RDS and Aurora user guides ("Viewing DB instance status", "Viewing DB cluster status").

/// What to do about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It can be used.
    Ready,
    /// It is on its way.
    Moving,
    /// It will not get any further by itself.
    Failed,
}

/// Usable, if not at full speed yet.
const READY: [&str; 3] = ["available", "storage-initialization", "storage-optimization"];

/// Terminal for somebody who waits for `available`.
const FAILED: [&str; 17] = [
    "incompatible-create",
    "upgrade_failed",
    "failed",
    "restore-error",
    "incompatible-restore",
    "incompatible-network",
    "incompatible-parameters",
    "incompatible-option-group",
    "insufficient-capacity",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "storage-full",
    "cloning-failed",
    "migration-failed",
    "deleted",
    "deleting",
    "stopped",
];

/// Judges a status. One that is not known counts as moving: the run's deadline bounds the wait.
#[must_use]
pub fn judge(status: &str) -> Status {
    let status = status.to_ascii_lowercase();
    if READY.contains(&status.as_str()) {
        Status::Ready
    } else if FAILED.contains(&status.as_str()) {
        Status::Failed
    } else {
        Status::Moving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_is_on_its_way_and_optimising_is_ready() {
        assert_eq!(judge("migrating"), Status::Moving);
        assert_eq!(judge("storage-optimization"), Status::Ready);
        assert_eq!(judge("storage-initialization"), Status::Ready);
        assert_eq!(judge("Available"), Status::Ready);
        assert_eq!(judge("a-status-of-next-year"), Status::Moving);
    }

    #[test]
    fn every_terminal_status_ends_the_wait() {
        for status in FAILED {
            assert_eq!(judge(status), Status::Failed, "{status}");
        }
    }
}
