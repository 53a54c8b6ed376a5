//! A clock for tests, whose hands stand still until they are moved.

use domain::clock::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// 2026-04-23T23:09:00Z
pub(crate) const MORNING: i64 = 1_776_985_740_000_000;

pub(crate) struct ManualClock(pub(crate) AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp(0))
    }
}
