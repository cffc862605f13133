//! The tables that describe what drctl does not test yet: their keys are checked, their values wait.

use super::notify::secret;
use super::reader::Section;

/// Tables by name, each with the keys that it may hold. A key ending in `.` is a table of its own.
const ARRAYS: [(&str, &[&str]); 3] = [
    ("queue", &["id", "dlq", "max_receive", "alarm_above", "kind"]),
    ("cache", &["id", "rto", "rpo", "kind"]),
    ("service", &["id", "kind", "cluster", "rto", "rpo", "min", "depends_on"]),
];

const TABLES: [(&str, &[&str]); 1] = [("sink", &["listen", "sns_topics", "token"])];

/// Checks the keys of every such table.
pub(super) fn check(root: &Section<'_, '_>) {
    for (name, keys) in ARRAYS {
        for section in root.sections(name) {
            section.required_text(keys[0]);
            for key in keys {
                let _ = section.has(key);
            }
            for key in ["rto", "rpo"].into_iter().filter(|key| keys.contains(key)) {
                section.duration(key);
            }
            section.finish();
        }
    }
    for (name, keys) in TABLES {
        if let Some(section) = root.section(name) {
            for key in keys {
                let _ = section.has(key);
            }
            secret(&section, "token");
            section.finish();
        }
    }
}
