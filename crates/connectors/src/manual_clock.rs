//! A clock for tests: it moves only when the test advances it.

use domain::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// 2026-04-23T23:09:00Z, in microseconds.
const START_US: i64 = 1_776_985_740_000_000;

pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn new() -> ManualClock {
        ManualClock(AtomicI64::new(START_US))
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp(0))
    }
}
