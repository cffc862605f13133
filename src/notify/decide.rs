//! Whether a result is worth telling, and why. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::estate::Event;
use crate::store::{Incident, RunState};

/// What is still wrong is told again after this long.
const REMIND_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It was in order before.
    IsNew,
    /// It has been wrong for at least a day since they were told.
    IsStillSo,
    /// It was wrong in another way before.
    HasChanged(RunState),
    /// It is in order again.
    HasRecovered(RunState),
    /// It is in order, as before.
    IsInOrder,
}

/// What is told, and what is wrong from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is told, and why; `None` where silence is right.
    pub tell: Option<(Event, Because)>,
    /// What is wrong from now on.
    pub incident: Option<Incident>,
    /// What the message belongs to: the incident, or the one that has just ended.
    pub about: Option<Incident>,
}

/// Decides, from what was wrong before and how a run has ended.
#[must_use]
pub fn decide(before: Option<&Incident>, run_id: &str, ended: RunState, at: Timestamp) -> Decision {
    let event = match ended {
        RunState::Passed => return in_order(before),
        RunState::Failed => Event::Failed,
        RunState::Stuck => Event::Stuck,
        // A test that could not begin has proved nothing.
        RunState::Unknown | RunState::Refused => Event::Unknown,
        // A person, or a restart, has stopped it: that says nothing about the backup.
        RunState::Interrupted | RunState::Running => {
            return Decision { tell: None, incident: before.cloned(), about: before.cloned() };
        }
    };
    let outcome = if event == Event::Unknown { RunState::Unknown } else { ended };
    let because = match before {
        None => Some(Because::IsNew),
        Some(incident) if incident.outcome != outcome => Some(Because::HasChanged(incident.outcome)),
        Some(incident) if at.duration_since(incident.told_at) >= REMIND_AFTER => Some(Because::IsStillSo),
        Some(_) => None,
    };
    let incident = Incident {
        outcome,
        since: before.map_or(at, |incident| incident.since),
        told_at: match (because, before) {
            (None, Some(incident)) => incident.told_at,
            _ => at,
        },
        run_id: before.map_or_else(|| run_id.to_owned(), |incident| incident.run_id.clone()),
    };
    Decision { tell: because.map(|because| (event, because)), incident: Some(incident.clone()), about: Some(incident) }
}

fn in_order(before: Option<&Incident>) -> Decision {
    let tell = match before {
        Some(incident) => (Event::Recovered, Because::HasRecovered(incident.outcome)),
        None => (Event::Passed, Because::IsInOrder),
    };
    Decision { tell: Some(tell), incident: None, about: before.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A target's story: when a run ended how, and what was told.
    fn story(runs: &[(i64, RunState)]) -> Vec<Option<(Event, Because)>> {
        let mut incident = None;
        let tell = runs.iter().map(|(seconds, ended)| {
            let decision = decide(incident.as_ref(), "run", *ended, at(*seconds));
            incident = decision.incident;
            decision.tell
        });
        tell.collect()
    }

    #[test]
    fn the_first_failure_the_reminder_and_the_recovery_are_told() {
        let told = story(&[
            (0, RunState::Passed),
            (HOUR, RunState::Failed),
            (2 * HOUR, RunState::Failed),
            (25 * HOUR, RunState::Failed),
            (26 * HOUR, RunState::Failed),
            (27 * HOUR, RunState::Passed),
            (28 * HOUR, RunState::Passed),
        ]);
        let expected = [
            Some((Event::Passed, Because::IsInOrder)),
            Some((Event::Failed, Because::IsNew)),
            None,
            Some((Event::Failed, Because::IsStillSo)),
            None,
            Some((Event::Recovered, Because::HasRecovered(RunState::Failed))),
            Some((Event::Passed, Because::IsInOrder)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn another_way_of_being_wrong_is_told_at_once_and_an_interruption_never() {
        let told = story(&[
            (0, RunState::Unknown),
            (1, RunState::Refused),
            (2, RunState::Interrupted),
            (3, RunState::Failed),
            (4, RunState::Stuck),
            (5, RunState::Passed),
        ]);
        let expected = [
            Some((Event::Unknown, Because::IsNew)),
            None,
            None,
            Some((Event::Failed, Because::HasChanged(RunState::Unknown))),
            Some((Event::Stuck, Because::HasChanged(RunState::Failed))),
            Some((Event::Recovered, Because::HasRecovered(RunState::Stuck))),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_incident_keeps_its_beginning_and_its_name() {
        let first = decide(None, "a", RunState::Failed, at(0)).incident;
        let later = decide(first.as_ref(), "b", RunState::Unknown, at(50 * HOUR)).incident.unwrap();
        assert_eq!((later.since, later.run_id.as_str()), (at(0), "a"));
        assert_eq!(decide(Some(&later), "c", RunState::Passed, at(51 * HOUR)).about, Some(later));
    }
}
