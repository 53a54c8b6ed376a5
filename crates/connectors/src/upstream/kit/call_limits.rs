//! How many calls an upstream takes: at one time, and in a minute.
//!
//! Invariant: a call that does not fit is not begun, so a submit that is held back was not sent.

use domain::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MINUTE: Duration = Duration::from_secs(60);

/// The limits of one upstream.
pub struct CallLimits {
    slots: Option<Arc<Semaphore>>,
    per_minute_max: Option<u32>,
    minute: Mutex<CallsBegun>,
    clock: Arc<dyn Clock>,
}

/// The calls of one minute.
#[derive(Default)]
struct CallsBegun {
    /// Monotonic.
    since: Duration,
    count: u32,
}

/// A call fits; its slot is free again when this is dropped.
#[derive(Debug)]
pub struct CallSlot(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

/// The upstream takes no further call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl CallLimits {
    /// Limits; none of a kind: as many calls as there are.
    pub fn new(
        in_flight_max: Option<usize>,
        per_minute_max: Option<u32>,
        clock: Arc<dyn Clock>,
    ) -> CallLimits {
        let slots = in_flight_max.map(|count| Arc::new(Semaphore::new(count)));
        CallLimits { slots, per_minute_max, minute: Mutex::default(), clock }
    }

    /// Begins a call, if it fits.
    pub fn begin(&self) -> Result<CallSlot, Busy> {
        let slot = match &self.slots {
            Some(slots) => Some(slots.clone().try_acquire_owned().map_err(|_| Busy)?),
            None => None,
        };
        if let Some(max) = self.per_minute_max {
            let now = self.clock.monotonic();
            let mut minute = self.minute.lock();
            if minute.count == 0 || now.saturating_sub(minute.since) >= MINUTE {
                *minute = CallsBegun { since: now, count: 0 };
            }
            if minute.count >= max {
                return Err(Busy);
            }
            minute.count += 1;
        }
        Ok(CallSlot(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual_clock::ManualClock;

    #[test]
    fn calls_beyond_a_limit_do_not_begin() {
        let clock = Arc::new(ManualClock::new());
        let limits = CallLimits::new(Some(2), Some(3), clock.clone());
        let first = limits.begin().unwrap();
        let second = limits.begin().unwrap();
        assert_eq!(limits.begin().unwrap_err(), Busy, "two at one time");
        drop(first);
        let third = limits.begin().unwrap();
        drop((second, third));
        assert_eq!(limits.begin().unwrap_err(), Busy, "three in a minute");
        clock.advance(MINUTE);
        assert!(limits.begin().is_ok());
    }
}
