//! Events within a sliding span of time, by their exact times: for events that are few.
//!
//! Not here: calls a minute (`minute`), which are many. Wrong passwords and codes are not here
//! either (`people`): they are counted before their result is known, kept while they lock, and
//! forgiven.

use super::{Counter, Counters};
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

/// The times of the events that still count, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    span: Duration,
    times: VecDeque<Duration>,
}

impl Window {
    pub(crate) const fn new(span: Duration) -> Window {
        Window { span, times: VecDeque::new() }
    }

    /// How many events count at this time; the older ones are dropped.
    pub(crate) fn count(&mut self, now: Duration) -> usize {
        while self.times.front().is_some_and(|at| *at + self.span <= now) {
            self.times.pop_front();
        }
        self.times.len()
    }

    pub(crate) fn add(&mut self, events: usize, now: Duration) {
        self.times.extend(std::iter::repeat_n(now, events));
    }

    /// How long until the oldest event counts no more.
    fn frees_in(&self, now: Duration) -> Duration {
        self.times.front().map_or(Duration::ZERO, |at| (*at + self.span).saturating_sub(now))
    }
}

impl Counter for Window {
    fn is_blank(&mut self, now: Duration) -> bool {
        self.count(now) == 0
    }
}

/// Limits events within a sliding span by key. A flood of new keys makes it forget some of the
/// others: whoever comes next is not kept out.
pub(crate) struct WindowLimiter<K> {
    events_max: usize,
    windows: Counters<K, Window>,
}

impl<K: Eq + Hash + Clone> WindowLimiter<K> {
    pub(crate) fn new(events_max: usize, span: Duration, keys_max: usize) -> WindowLimiter<K> {
        WindowLimiter { events_max, windows: Counters::new(keys_max, Window::new(span)) }
    }

    /// Counts one event if it is within the limit, else answers how long to wait.
    pub(crate) fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        self.windows.count_or_evict(key, now, |window| {
            if window.count(now) >= self.events_max {
                return Err(window.frees_in(now));
            }
            window.add(1, now);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_hour_gives_back_what_it_took() {
        let hourly = WindowLimiter::new(3, HOUR, 10);
        let take = |key, s| hourly.take(key, Duration::from_secs(s));
        assert!([0, 10, 20].into_iter().all(|s| take(1, s).is_ok()));
        assert_eq!(take(1, 100), Err(Duration::from_secs(3500)));
        assert!(take(2, 100).is_ok());
        assert!(take(1, 3600).is_ok());
        assert_eq!(take(1, 3600), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_flood_is_bounded_and_keeps_nobody_out() {
        let hourly = WindowLimiter::new(1, HOUR, 50);
        for n in 0..150 {
            assert!(hourly.take(n, Duration::from_secs(5)).is_ok());
        }
        assert_eq!(hourly.windows.len(), 50);
    }
}
