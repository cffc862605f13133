//! How long AWS may be away.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::{Error, ErrorKind, Result};
use crate::clock::{Clock, Stopwatch};

/// Looks in a row that may fail.
const MAX_FAILED_LOOKS: u32 = 20;
/// Whoever was told to stop waits no longer for an AWS that does not answer, in this machine's time.
const WAIT_AFTER_STOP: Duration = Duration::from_secs(30);
/// One look of somebody who was told to stop.
const LOOK_AFTER_STOP: Duration = Duration::from_secs(15);

/// How long AWS has been away, and how long that is borne: longer by those whom nobody has told to stop.
pub(super) struct Outage<'c> {
    clock: &'c Clock,
    stop: &'c CancellationToken,
    failed: u32,
    /// Since the stop, or the first failure after it.
    stopped: Option<Stopwatch>,
}

impl<'c> Outage<'c> {
    pub(super) fn new(clock: &'c Clock, stop: &'c CancellationToken) -> Self {
        Self { clock, stop, failed: 0, stopped: None }
    }

    /// AWS has answered.
    pub(super) fn is_over(&mut self) {
        self.failed = 0;
        self.stopped = None;
    }

    /// Whether somebody was told to stop.
    pub(super) fn is_interrupted(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Counts a failure; whether it is borne. Waiting for people is bounded by the deadline alone.
    pub(super) fn lasts(&mut self, waits_for_people: bool) -> bool {
        self.failed += 1;
        if self.is_interrupted() {
            let stopped = self.stopped.get_or_insert_with(|| self.clock.stopwatch());
            return stopped.worked_seconds() < WAIT_AFTER_STOP.as_secs_f64();
        }
        waits_for_people || self.failed <= MAX_FAILED_LOOKS
    }

    /// A look that is short once somebody was told to stop, also while it is under way.
    pub(super) async fn bound<T>(&self, look: impl Future<Output = Result<T>>) -> Result<T> {
        let too_long = async {
            self.stop.cancelled().await;
            tokio::time::sleep(LOOK_AFTER_STOP).await;
        };
        tokio::select! {
            biased;
            answer = look => answer,
            () = too_long => Err(Error::new("the look", ErrorKind::Unavailable, "AWS does not answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_borne_for_a_while_and_expired_credentials_until_the_deadline() {
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let mut outage = Outage::new(&clock, &stop);
        assert_eq!((0..50).filter(|_| outage.lasts(false)).count(), 20);
        assert!((0..50).all(|_| outage.lasts(true)));
        outage.is_over();
        assert!(outage.lasts(false));
    }
}
