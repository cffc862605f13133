//! Credentials that would end before a run could clean up after itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::action::RunInfo;
use super::failure::Failure;
use crate::aws::CredentialsLife;
use crate::context::AppContext;
use crate::duration;

/// What removing a copy takes after the deadline, and some more.
const REMOVAL: SignedDuration = SignedDuration::from_mins(30);

/// Refuses to make anything that could not be removed with the credentials that there are.
///
/// # Errors
/// Where they end before the run's deadline and its cleaning up.
pub async fn outlasts(app: &AppContext, run: &RunInfo) -> Result<(), Failure> {
    let life = match app.aws.credentials_life().await {
        Ok(life) => life,
        Err(error) => {
            // The calls themselves may still have some; where they have not, they say so.
            tracing::warn!(run.id = %run.id, %error, "cannot tell how long the credentials last");
            return Ok(());
        }
    };
    match life {
        CredentialsLife::Lasting => Ok(()),
        CredentialsLife::Temporary => {
            tracing::warn!(
                run.id = %run.id,
                "the credentials are temporary and nobody says until when: where they end first, nothing can be removed"
            );
            Ok(())
        }
        CredentialsLife::Until(end) => outlast(app.clock.now(), run.deadline_at, end),
    }
}

/// Whether credentials that end then are there until a run with this deadline has cleaned up.
///
/// # Errors
/// Where they are not.
pub fn outlast(now: Timestamp, deadline_at: Timestamp, end: Timestamp) -> Result<(), Failure> {
    let needed_until = deadline_at.checked_add(REMOVAL).unwrap_or(Timestamp::MAX);
    if end >= needed_until {
        return Ok(());
    }
    let left = end.duration_since(now);
    let message = format!(
        "the credentials end at {end}, before the run's deadline at {deadline_at} and the {} that cleaning up may take",
        duration::show(Duration::try_from(REMOVAL).unwrap_or_default())
    );
    let most = Duration::try_from(left - REMOVAL).unwrap_or_default();
    let hint = if most < SHORTEST_DEADLINE {
        "use credentials that last longer, or a role by `role_arn`, which is renewed".to_owned()
    } else {
        let most = duration::show(Duration::from_secs(most.as_secs() / 60 * 60));
        format!("use credentials that last longer, or set `deadline` under `[database.restore_test]` to {most} or less")
    };
    Err(Failure::refused(message, hint))
}

/// No restore ends sooner.
const SHORTEST_DEADLINE: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_does_not_outlive_its_credentials() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        assert!(outlast(at(0), at(120), at(150)).is_ok());
        let refused = outlast(at(0), at(120), at(149)).unwrap_err();
        assert_eq!(refused.state, crate::store::RunState::Refused);
        assert!(refused.hint.unwrap().contains("to 1h 59m or less"));
        assert!(outlast(at(0), at(120), at(40)).unwrap_err().hint.unwrap().contains("role_arn"));
    }
}
