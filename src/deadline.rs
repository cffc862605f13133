//! A bound on trying, by the clock.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// Lasts for a time *and* a number of tries: where the sandbox holds its clock tries go by quickly and its time does not,
/// and where a host slept the time is over after one try. There is always one try after the time's end: whoever slept
/// through it must not cry wolf over what has come right meanwhile.
#[derive(Debug)]
pub struct Deadline<'c> {
    clock: &'c Clock,
    ends_at: Timestamp,
    is_over: bool,
    tries_left: u32,
}

impl<'c> Deadline<'c> {
    /// Lasts for so long from now on, by the clock.
    #[must_use]
    pub fn new(clock: &'c Clock, lasts: Duration) -> Self {
        let ends_at = clock.now().checked_add(lasts).unwrap_or(Timestamp::MAX);
        Self { clock, ends_at, is_over: false, tries_left: 0 }
    }

    /// The same, and for so many tries at least.
    #[must_use]
    pub fn and_tries(self, tries: u32) -> Self {
        Self { tries_left: tries, ..self }
    }

    /// Whether to try once more. Counts the try.
    pub fn allows_retry(&mut self) -> bool {
        let was_over = self.is_over && self.tries_left == 0;
        self.is_over = self.clock.now() >= self.ends_at;
        self.tries_left = self.tries_left.saturating_sub(1);
        !was_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_try_after_the_time_and_no_other() {
        let clock = Clock::system();
        let after = |ends_at, tries_left| {
            let mut deadline = Deadline { clock: &clock, ends_at, is_over: false, tries_left };
            (0..9).filter(|_| deadline.allows_retry()).count()
        };
        assert_eq!(after(Timestamp::MAX, 0), 9);
        assert_eq!(after(Timestamp::UNIX_EPOCH, 0), 1);
        assert_eq!(after(Timestamp::UNIX_EPOCH, 4), 4);
    }
}
