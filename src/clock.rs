//! The only reader of the system's clock.
//!
//! Everything else is handed a [`Clock`] or a [`Timestamp`]. Against AWS it is the machine's clock. Against the
//! sandbox it follows the sandbox's virtual clock, which every answer of the sandbox carries: waiting for AWS is
//! then short, while drctl's own work still takes, and is reported as taking, the time that it really took.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// The shortest real sleep: a waiting loop on a very fast virtual clock still yields.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);

/// A source of time that can be cloned and shared. Clones stay in step.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fixed: Option<Timestamp>,
    /// How far this clock is ahead of its base, in nanoseconds.
    ahead_nanos: AtomicI64,
    /// How many times faster than the base the far end's clock runs, as the bits of an `f64`. 1 against AWS.
    scale_bits: AtomicU64,
    observed: std::sync::atomic::AtomicBool,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_base(None)
    }

    /// A clock that stands at `at` and moves only when somebody sleeps on it. For tests.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::from_base(Some(at))
    }

    fn from_base(fixed: Option<Timestamp>) -> Self {
        Self(Arc::new(Inner {
            fixed,
            ahead_nanos: AtomicI64::new(0),
            scale_bits: AtomicU64::new(1f64.to_bits()),
            observed: false.into(),
        }))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_nanos(self.0.ahead_nanos.load(Ordering::SeqCst));
        let base = self.base();
        base.checked_add(ahead).unwrap_or(base)
    }

    fn base(&self) -> Timestamp {
        self.0.fixed.unwrap_or_else(system_now)
    }

    /// Takes over the time that the sandbox says it is, and its speed. After the first time it never runs backwards.
    pub fn observe(&self, there: Timestamp, scale: f64) {
        let ahead = there.duration_since(self.base()).as_nanos();
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        self.0.scale_bits.store(scale.max(1.0).to_bits(), Ordering::SeqCst);
        if self.0.observed.swap(true, Ordering::SeqCst) {
            self.0.ahead_nanos.fetch_max(ahead, Ordering::SeqCst);
        } else {
            // A sandbox may live in the past.
            self.0.ahead_nanos.store(ahead, Ordering::SeqCst);
        }
    }

    /// Whether this clock follows a sandbox's.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.0.observed.load(Ordering::SeqCst)
    }

    /// How long `duration` of this clock takes here.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(f64::from_bits(self.0.scale_bits.load(Ordering::SeqCst)))
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        if self.0.fixed.is_some() {
            let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
            self.0.ahead_nanos.fetch_add(nanos, Ordering::SeqCst);
            tokio::task::yield_now().await;
            return;
        }
        tokio::time::sleep(self.real(duration).max(SHORTEST_SLEEP)).await;
    }

    /// Waits until this clock shows `at`.
    pub async fn sleep_until(&self, at: Timestamp) {
        while let Ok(left) = Duration::try_from(at.duration_since(self.now())) {
            if left.is_zero() {
                break;
            }
            self.sleep(left).await;
        }
    }

    /// Starts to measure real, elapsed time.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch { real: instant_now(), wall: system_now(), clock: self.clone(), shown: self.now() }
    }
}

/// Measures from the moment it was made. See [`Clock::stopwatch`].
#[derive(Clone, Debug)]
pub struct Stopwatch {
    real: Instant,
    wall: Timestamp,
    clock: Clock,
    shown: Timestamp,
}

impl Stopwatch {
    /// Seconds of this machine's time, for work that this machine does.
    #[must_use]
    pub fn worked_seconds(&self) -> f64 {
        self.real.elapsed().as_secs_f64()
    }

    /// This machine's time since then, and not less than that, whatever it did meanwhile: the monotonic clock stands
    /// still while the host sleeps, and the wall clock can be set back.
    #[must_use]
    pub fn elapsed_at_most(&self) -> Duration {
        let wall = Duration::try_from(system_now().duration_since(self.wall)).unwrap_or_default();
        wall.max(self.real.elapsed())
    }

    /// Seconds as the clock shows them, for what is waited for. The same as worked seconds unless simulated.
    #[must_use]
    pub fn waited_seconds(&self) -> f64 {
        if !self.clock.is_simulated() && self.clock.0.fixed.is_none() {
            return self.worked_seconds();
        }
        self.clock.now().duration_since(self.shown).as_secs_f64().max(0.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is where the clock is read")]
fn system_now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[expect(clippy::disallowed_methods, reason = "this file is where the clock is read")]
fn instant_now() -> Instant {
    Instant::now()
}

/// The sandbox's own clock: starts at the machine's time and runs `scale` times as fast, except while it is held.
///
/// A hold is taken while this machine does something that takes AWS no time that we would want to model, such as
/// starting a database process: a slow machine must not look like a slow AWS.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug)]
struct Virtual {
    scale: f64,
    holds: u32,
    shown: Timestamp,
    since: Instant,
}

impl Virtual {
    fn now(&self) -> Timestamp {
        let speed = if self.holds > 0 || self.scale < 1.0 { 1.0 } else { self.scale };
        let gone = SignedDuration::try_from_secs_f64(self.since.elapsed().as_secs_f64() * speed).unwrap_or_default();
        self.shown.checked_add(gone).unwrap_or(self.shown)
    }

    fn rebase(&mut self) {
        self.shown = self.now();
        self.since = instant_now();
    }
}

impl VirtualClock {
    /// Starts at `at`, or now. A `scale` of 0 means that lifecycles take no time at all and the clock runs as usual.
    #[must_use]
    pub fn start(scale: f64, at: Option<Timestamp>) -> Self {
        let state = Virtual { scale, holds: 0, shown: at.unwrap_or_else(system_now), since: instant_now() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The virtual time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().now()
    }

    /// The speed that it was started with.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.state().scale
    }

    /// Moves the clock forward at once.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.rebase();
        state.shown = state.shown.checked_add(by).unwrap_or(state.shown);
    }

    /// Lets the clock run at real speed until the hold is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold {
        let mut state = self.state();
        state.rebase();
        state.holds += 1;
        Hold(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, Virtual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a [`VirtualClock`] at real speed while it lives.
#[derive(Debug)]
pub struct Hold(VirtualClock);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.rebase();
        state.holds = state.holds.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fixed_clock_moves_only_by_sleeping() {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), Timestamp::from_second(90).unwrap());
    }

    #[test]
    fn a_clock_follows_the_far_end_and_never_runs_backwards() {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        clock.observe(Timestamp::from_second(500).unwrap(), 60.0);
        clock.observe(Timestamp::from_second(400).unwrap(), 60.0);
        assert_eq!(clock.now(), Timestamp::from_second(500).unwrap());
        assert!(clock.is_simulated());
    }

    #[test]
    fn a_held_virtual_clock_runs_at_real_speed() {
        let clock = VirtualClock::start(1e9, None);
        let hold = clock.hold();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().duration_since(before) < SignedDuration::from_hours(1));
        drop(hold);
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now().duration_since(before) > SignedDuration::from_hours(1));
    }
}
