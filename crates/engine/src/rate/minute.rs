//! Calls a minute by key, on one node.
//!
//! A key may make thousands of calls a minute. So a counter is sixty sums by the second, whatever
//! the limit is; `window` has exact times, for events that are few. Not here: calls that are
//! counted over all nodes (`allowance`).

use super::{Counted, Counter, Counters, Quota};
use domain::Minute;
use domain::rate::MINUTE_S;
use std::hash::Hash;
use std::time::Duration;

/// Counts calls a minute by key.
#[derive(Debug)]
pub(crate) struct MinuteLimiter<K> {
    minutes: Counters<K, Minute>,
}

impl Counter for Minute {
    fn is_blank(&mut self, now: Duration) -> bool {
        now.as_secs() >= self.at_s() + MINUTE_S
    }
}

impl<K: Eq + Hash> MinuteLimiter<K> {
    /// Counts at most `keys_max` keys; calls of further keys pass uncounted.
    pub(crate) fn new(keys_max: usize) -> MinuteLimiter<K> {
        MinuteLimiter { minutes: Counters::new(keys_max, Minute::new(0)) }
    }

    /// Counts one call if it is within `limit`.
    pub(crate) fn take(&self, key: K, limit: u32, now: Duration) -> Counted {
        let counted = self.minutes.count(key, now, |minute| {
            minute.advance(now.as_secs());
            let passes = minute.take(1, limit) > 0;
            let (remaining, reset_s) = (minute.left(limit), minute.next_free_in_s());
            Counted { quota: Quota { limit, remaining, reset_s }, passes }
        });
        let remaining = limit.saturating_sub(1);
        let uncounted = Quota { limit, remaining, reset_s: MINUTE_S };
        counted.unwrap_or(Counted { quota: uncounted, passes: limit > 0 })
    }

    /// What is left to a key, without counting a call.
    pub(crate) fn left(&self, key: &K, limit: u32, now: Duration) -> Quota {
        let counted = self.minutes.change(key, |minute| {
            minute.advance(now.as_secs());
            Quota { limit, remaining: minute.left(limit), reset_s: minute.next_free_in_s() }
        });
        counted.unwrap_or(Quota::unused(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_gives_back_what_it_took() {
        let limiter = MinuteLimiter::new(10);
        let counted = |limit, remaining, reset_s, passes| {
            let quota = Quota { limit, remaining, reset_s };
            Counted { quota, passes }
        };
        let take = |s| limiter.take(1, 3, Duration::from_secs(s));
        assert_eq!(limiter.left(&1, 3, Duration::from_secs(100)), Quota::unused(3));
        assert_eq!(take(100), counted(3, 2, 60, true));
        assert_eq!(take(130), counted(3, 1, 30, true));
        for _ in 0..3 {
            let left = limiter.left(&1, 3, Duration::from_secs(130));
            assert_eq!(
                left,
                Quota { limit: 3, remaining: 1, reset_s: 30 },
                "asking counts nothing"
            );
        }
        assert_eq!(take(130).quota.remaining, 0);
        assert_eq!(take(159), counted(3, 0, 1, false));
        assert_eq!(take(160), counted(3, 0, 30, true));
        assert_eq!(take(1_000_000).quota.remaining, 2);
        assert_eq!(limiter.take(2, 0, Duration::ZERO), counted(0, 0, 0, false));
    }

    #[test]
    fn a_flood_is_bounded() {
        let limiter = MinuteLimiter::new(10);
        for caller in 0..100 {
            assert!(limiter.take(caller, 1, Duration::from_secs(1)).passes);
        }
        assert!(!limiter.take(3, 1, Duration::from_secs(1)).passes, "a counted key stays counted");
        assert!(limiter.minutes.len() <= 10);
    }
}
