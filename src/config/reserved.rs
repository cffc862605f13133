//! What may be written already and does nothing yet: its keys are checked, and each says so.

use std::collections::BTreeSet;

use super::notify::secret;
use super::reader::Section;
use crate::text;

/// Tables by name, each with the keys that it may hold.
const ARRAYS: [(&str, &[&str]); 3] = [
    ("queue", &["id", "dlq", "max_receive", "alarm_above", "kind"]),
    ("cache", &["id", "rto", "rpo", "kind"]),
    ("service", &["id", "kind", "cluster", "rto", "rpo", "min", "depends_on"]),
];

const TABLES: [(&str, &[&str]); 1] = [("sink", &["listen", "sns_topics", "token"])];

const NOTHING_YET: &str = "does nothing yet: drctl tests databases only";
const HINT: &str = "remove it, or leave it for a later version";

/// Checks every table that is reserved, and what the databases say of them.
pub(super) fn check(root: &Section<'_, '_>, databases: &[Section<'_, '_>]) {
    let mut others = Vec::new();
    // Whatever is asked for is named by hints as known; what does nothing is not.
    for (name, keys) in ARRAYS.into_iter().filter(|(name, _)| root.table().contains_key(*name)) {
        for section in root.sections(name) {
            section.warn("", NOTHING_YET, HINT);
            section.required_text(keys[0]);
            for key in keys {
                let _ = section.has(key);
            }
            for key in ["rto", "rpo"].into_iter().filter(|key| keys.contains(key)) {
                section.duration(key);
            }
            section.finish();
            others.push(section);
        }
    }
    report_unknown_dependencies(databases.iter().chain(&others));
    for (name, keys) in TABLES.into_iter().filter(|(name, _)| root.table().contains_key(*name)) {
        if let Some(section) = root.section(name) {
            section.warn("", NOTHING_YET, HINT);
            for key in keys {
                let _ = section.has(key);
            }
            secret(&section, "token");
            section.finish();
        }
    }
}

/// `[database.connections]`.
pub(super) fn check_connections(database: &Section<'_, '_>) {
    if !database.table().contains_key("connections") {
        return;
    }
    let Some(connections) = database.section("connections") else { return };
    for key in ["alarm_above", "max"] {
        if connections.count(key).is_some() {
            connections.warn(key, "does nothing yet: drctl does not watch connections", HINT);
        }
    }
    connections.finish();
}

/// `depends_on` of a database.
pub(super) fn check_dependencies(database: &Section<'_, '_>) {
    if database.table().contains_key("depends_on") && !database.texts("depends_on").is_empty() {
        database.warn("depends_on", "does nothing yet: targets are tested in any order", HINT);
    }
}

/// Whatever is depended on must be there.
fn report_unknown_dependencies<'a, 's: 'a, 't: 's>(targets: impl Iterator<Item = &'a Section<'s, 't>> + Clone) {
    let id = |section: &'a Section<'s, 't>| section.raw("id").and_then(|id| id.as_str());
    let ids: BTreeSet<&str> = targets.clone().filter_map(id).collect();
    for section in targets {
        let listed = section.table().get("depends_on").map(toml::Spanned::get_ref).and_then(|value| value.as_array());
        for name in listed.into_iter().flatten().filter_map(|item| item.get_ref().as_str()) {
            if ids.contains(name) {
                continue;
            }
            let known = || format!("the estate has {}", ids.iter().copied().collect::<Vec<_>>().join(", "));
            let hint = text::did_you_mean(name, ids.iter().copied()).unwrap_or_else(known);
            section.report_text("depends_on", name, "is no target of this estate", hint);
        }
    }
}
