//! How many calls are let through: a bucket of tokens for each service, account and Region, and a share that is
//! throttled whatever the rate. In this machine's time: a client that polls a fast clock asks as often as it would.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::behaviour::{AwsBehaviour, Rate};
use crate::clock::{Clock, Stopwatch};

/// The buckets, and the calls so far.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: BTreeMap<(String, String, String), (f64, Stopwatch)>,
    calls: u64,
}

impl Rates {
    /// Whether one more call of an account is let through to a service in a Region.
    pub(super) fn admits(&mut self, behaviour: AwsBehaviour, account: &str, region: &str, service: &str) -> bool {
        self.calls += 1;
        let Some(rate) = behaviour.rate() else { return true };
        let key = (account.to_owned(), region.to_owned(), service.to_owned());
        let (tokens, since) = self.buckets.entry(key).or_insert_with(|| (rate.burst, Clock::system().stopwatch()));
        let (left, admitted) = take(*tokens, since.worked_seconds(), rate);
        (*tokens, *since) = (left, Clock::system().stopwatch());
        admitted && !is_unlucky(self.calls, behaviour.throttled_share())
    }
}

/// What is left of a bucket some time after it held `tokens`, and whether there was one to take.
fn take(tokens: f64, seconds: f64, rate: Rate) -> (f64, bool) {
    let filled = (tokens + seconds * rate.per_second).min(rate.burst);
    if filled < 1.0 { (filled, false) } else { (filled - 1.0, true) }
}

/// Whether chance hits the call of this number: the same one each time, so that a test can be repeated.
pub(super) fn is_unlucky(number: u64, share: f64) -> bool {
    share > 0.0 && StdRng::seed_from_u64(number).random_bool(share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_so_many_a_second() {
        let rate = Rate { burst: 3.0, per_second: 2.0 };
        let mut tokens = 3.0;
        let mut admitted = Vec::new();
        for seconds in [0.0, 0.0, 0.0, 0.0, 0.5, 0.0] {
            let taken = take(tokens, seconds, rate);
            tokens = taken.0;
            admitted.push(taken.1);
        }
        assert_eq!(admitted, [true, true, true, false, true, false]);
        assert_eq!(take(0.0, 1000.0, rate), (2.0, true));
    }

    #[test]
    fn chance_hits_about_its_share_and_the_same_calls_each_time() {
        let hits: Vec<u64> = (0..10_000).filter(|number| is_unlucky(*number, 0.05)).collect();
        assert!((400..600).contains(&hits.len()), "{}", hits.len());
        assert_eq!(hits, (0..10_000).filter(|number| is_unlucky(*number, 0.05)).collect::<Vec<_>>());
        assert!(!is_unlucky(1, 0.0) && is_unlucky(1, 1.0));
    }
}
