//! Whether a result is worth telling, and why. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::estate::Event;
use crate::store::{Alert, AlertCheck, RunState};

/// What is still wrong is told again after this long.
const REMIND_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyReason {
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
    pub tell: Option<(Event, NotifyReason)>,
    /// What is wrong from now on.
    pub alert: Option<Alert>,
    /// What the message belongs to: the alert, or the one that has just ended.
    pub about: Option<Alert>,
}

impl Decision {
    /// Everything stays as it was, and nobody is told.
    fn unchanged(before: Option<&Alert>) -> Self {
        Self { tell: None, alert: before.cloned(), about: before.cloned() }
    }
}

/// Decides about the verdict of a test. `is_first` is whether it has not been told before: a run that is ended once more, to
/// correct what is still there, has nothing new to say of it.
#[must_use]
pub fn decide_verdict(
    before: Option<&Alert>,
    run_id: &str,
    verdict: RunState,
    at: Timestamp,
    is_first: bool,
) -> Decision {
    let event = match verdict {
        RunState::Passed => {
            let decision = in_order(before);
            let is_news = is_first || before.is_some();
            return Decision { tell: decision.tell.filter(|_| is_news), ..decision };
        }
        RunState::Failed => Event::Failed,
        // A test that could not begin has proved nothing.
        RunState::Unknown | RunState::Refused => Event::Unknown,
        // A person, or a restart, has stopped it: that says nothing about the backup. Stuck is no verdict.
        RunState::Interrupted | RunState::Running | RunState::Stuck => return Decision::unchanged(before),
    };
    let outcome = if event == Event::Unknown { RunState::Unknown } else { verdict };
    wrong(before, AlertCheck::RestoreTest, (event, outcome), run_id, at)
}

/// Decides about what a run has left behind. As long as any run of the target has, that is wrong.
#[must_use]
pub fn decide_cleanup(
    before: Option<&Alert>,
    run_id: &str,
    is_stuck: bool,
    others_are_stuck: bool,
    at: Timestamp,
) -> Decision {
    match (is_stuck, before) {
        (true, _) => wrong(before, AlertCheck::Cleanup, (Event::Stuck, RunState::Stuck), run_id, at),
        (false, Some(_)) if !others_are_stuck => in_order(before),
        // That nothing was left is no news.
        (false, _) => Decision::unchanged(before),
    }
}

fn wrong(
    before: Option<&Alert>,
    check: AlertCheck,
    (event, outcome): (Event, RunState),
    run_id: &str,
    at: Timestamp,
) -> Decision {
    let because = match before {
        None => Some(NotifyReason::IsNew),
        Some(alert) if alert.outcome != outcome => Some(NotifyReason::HasChanged(alert.outcome)),
        Some(alert) if at.duration_since(alert.told_at) >= REMIND_AFTER => Some(NotifyReason::IsStillSo),
        Some(_) => None,
    };
    let alert = Alert {
        check,
        outcome,
        since: before.map_or(at, |alert| alert.since),
        told_at: match (because, before) {
            (None, Some(alert)) => alert.told_at,
            _ => at,
        },
        run_id: before.map_or_else(|| run_id.to_owned(), |alert| alert.run_id.clone()),
    };
    Decision { tell: because.map(|because| (event, because)), alert: Some(alert.clone()), about: Some(alert) }
}

fn in_order(before: Option<&Alert>) -> Decision {
    let tell = match before {
        Some(alert) => (Event::Recovered, NotifyReason::HasRecovered(alert.outcome)),
        None => (Event::Passed, NotifyReason::IsInOrder),
    };
    Decision { tell: Some(tell), alert: None, about: before.cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A target's story: when a run ended how, and what was told.
    fn story(runs: &[(i64, RunState)]) -> Vec<Option<(Event, NotifyReason)>> {
        let mut alert = None;
        let tell = runs.iter().map(|(seconds, ended)| {
            let decision = decide_verdict(alert.as_ref(), "run", *ended, at(*seconds), true);
            alert = decision.alert;
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
            Some((Event::Passed, NotifyReason::IsInOrder)),
            Some((Event::Failed, NotifyReason::IsNew)),
            None,
            Some((Event::Failed, NotifyReason::IsStillSo)),
            None,
            Some((Event::Recovered, NotifyReason::HasRecovered(RunState::Failed))),
            Some((Event::Passed, NotifyReason::IsInOrder)),
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
            (5, RunState::Passed),
        ]);
        let expected = [
            Some((Event::Unknown, NotifyReason::IsNew)),
            None,
            None,
            Some((Event::Failed, NotifyReason::HasChanged(RunState::Unknown))),
            Some((Event::Recovered, NotifyReason::HasRecovered(RunState::Failed))),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_alert_keeps_its_beginning_and_its_name() {
        let first = decide_verdict(None, "a", RunState::Failed, at(0), true).alert;
        let later = decide_verdict(first.as_ref(), "b", RunState::Unknown, at(50 * HOUR), true).alert.unwrap();
        assert_eq!((later.since, later.run_id.as_str()), (at(0), "a"));
        assert_eq!(decide_verdict(Some(&later), "c", RunState::Passed, at(51 * HOUR), true).about, Some(later));
    }

    #[test]
    fn what_is_left_behind_is_told_once_and_its_end_when_nothing_of_any_run_is() {
        let stuck = decide_cleanup(None, "a", true, false, at(0));
        assert_eq!(stuck.tell, Some((Event::Stuck, NotifyReason::IsNew)));
        let alert = stuck.alert.unwrap();
        assert_eq!(alert.key(), "a-cleanup");
        // Another run of the target is clean: the first one's copy is still there.
        assert_eq!(decide_cleanup(Some(&alert), "b", false, true, at(1)).alert.as_ref(), Some(&alert));
        assert_eq!(decide_cleanup(Some(&alert), "b", true, true, at(1)).tell, None);
        let ended = decide_cleanup(Some(&alert), "a", false, false, at(2));
        assert_eq!((ended.tell.map(|tell| tell.0), ended.alert), (Some(Event::Recovered), None));
        assert_eq!(decide_cleanup(None, "a", false, false, at(0)).tell, None, "that nothing is left is no news");
    }

    #[test]
    fn a_verdict_is_not_told_again_when_only_the_cleaning_up_is_corrected() {
        assert_eq!(decide_verdict(None, "a", RunState::Passed, at(0), false).tell, None);
    }
}
