//! A run's journal as a table: when, what, of what.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::duration;
use crate::report::columns;
use crate::store::Entry;
use crate::text::clean;

/// One line for each entry. Outputs of steps are in the JSON form only: here they would bury everything else.
pub(super) fn table(journal: &[(Timestamp, Entry)], zone: &TimeZone) -> String {
    let rows: Vec<Vec<String>> = journal
        .iter()
        .map(|(at, entry)| {
            let (event, detail) = describe(entry);
            vec![at.to_zoned(zone.clone()).strftime("  %H:%M:%S").to_string(), event.to_owned(), detail]
        })
        .collect();
    columns(&rows)
}

/// What happened, and to what.
fn describe(entry: &Entry) -> (&'static str, String) {
    let why = |id: &str, reason: &str| format!("{id}: {}", clean(reason));
    match entry {
        Entry::StepStarted { step, action } => ("step started", format!("{step} ({action})")),
        Entry::StepSkipped { step } => ("step skipped", step.clone()),
        Entry::StepDone { step, .. } => ("step done", step.clone()),
        Entry::StepFailed { step, outcome, error, .. } => {
            ("step failed", format!("{step}: {outcome}: {}", clean(error)))
        }
        Entry::Intended { resource, .. } => ("will create", resource.id.clone()),
        Entry::Made { resource } => ("created", resource.id.clone()),
        Entry::NotMade { resource, reason } => ("not created", why(&resource.id, reason)),
        Entry::NotOurs { resource, reason } => ("not drctl's", why(&resource.id, reason)),
        Entry::Seen { resource, .. } => ("seen", resource.id.clone()),
        Entry::PhaseEnded { step, phase } => {
            let took = duration::show_seconds(phase.seconds);
            ("phase ended", format!("{} of {step}: {}, {took}", phase.name, phase.outcome))
        }
        Entry::Removing { resource } => ("removing", resource.id.clone()),
        Entry::Removed { resource } => ("removed", resource.id.clone()),
        Entry::RemovalFailed { resource, error } => ("not removed", why(&resource.id, error)),
        Entry::LeftAlone { resource, reason } => ("left alone", why(&resource.id, reason)),
        Entry::Kept { resource, until } => ("kept", why(&resource.id, &format!("until {until}"))),
        Entry::Ended { state } => ("ended", state.clone()),
    }
}
