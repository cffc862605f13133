//! Faults that the tests ask for. Not in release builds.

/// Kills this process, as `kill -9` would, at the journal entry that `DRCTL_CRASH_AT` names: `before:7` or `after:7`.
pub(super) fn crash(place: &str, number: usize) {
    if std::env::var("DRCTL_CRASH_AT").is_ok_and(|wanted| wanted == format!("{place}:{number}")) {
        std::process::abort();
    }
}

/// Whether every step is to be performed twice.
pub(super) fn repeat_steps() -> bool {
    std::env::var_os("DRCTL_REPEAT_STEPS").is_some()
}
