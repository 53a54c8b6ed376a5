//! How many calls an upstream takes: at one time, and in a minute.
//!
//! An order takes a place before its money moves, and its calls then are not held back. Invariant:
//! a call that does not fit is not begun, so a submit that is held back was not sent.

use domain::{AttemptRef, CallPlace, Clock, NoPlace};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MINUTE: Duration = Duration::from_secs(60);
/// A call that is under way ends at some time.
const SLOTS_RETRY: Duration = Duration::from_secs(1);

/// The limits of one upstream.
#[derive(Clone)]
pub struct CallLimits(Arc<Shared>);

struct Shared {
    slots: Option<Arc<Semaphore>>,
    per_minute_max: Option<u32>,
    /// What one order needs of a minute.
    per_order: u32,
    state: Mutex<LimitsState>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct LimitsState {
    minute: CallsBegun,
    /// The orders that have a place.
    placed: HashMap<AttemptRef, Begun>,
    /// Of the place that was taken last.
    serial: u64,
}

/// What an order has begun since it has this place.
#[derive(Clone, Copy, Debug)]
struct Begun {
    serial: u64,
    calls: u32,
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

/// The place of one order.
struct OrderPlace {
    limits: CallLimits,
    attempt: AttemptRef,
    serial: u64,
    /// When its minute began.
    minute_since: Duration,
    #[expect(dead_code, reason = "held for its drop")]
    slot: Option<OwnedSemaphorePermit>,
}

impl CallLimits {
    /// Limits; none of a kind: as many calls as there are. `per_order`: how many calls one order
    /// makes, at least one.
    pub fn new(
        in_flight_max: Option<usize>,
        per_minute_max: Option<u32>,
        per_order: u32,
        clock: Arc<dyn Clock>,
    ) -> CallLimits {
        let slots = in_flight_max.map(|count| Arc::new(Semaphore::new(count)));
        let per_order = per_order.max(1).min(per_minute_max.unwrap_or(u32::MAX));
        let state = Mutex::default();
        CallLimits(Arc::new(Shared { slots, per_minute_max, per_order, state, clock }))
    }

    /// Begins a call, if it fits. That of an order with a place fits.
    pub fn begin(&self, attempt: Option<AttemptRef>) -> Result<CallSlot, Busy> {
        let shared = &*self.0;
        let mut state = shared.state.lock();
        if let Some(begun) = attempt.and_then(|attempt| state.placed.get_mut(&attempt)) {
            begun.calls += 1;
            // More calls than an order usually makes, such as a log-in, count as well.
            if begun.calls > shared.per_order {
                shared.count(&mut state.minute, 1);
            }
            return Ok(CallSlot(None));
        }
        let slot = shared.slot().map_err(|_| Busy)?;
        shared.fits_minute(&mut state.minute, 1).map_err(|_| Busy)?;
        shared.count(&mut state.minute, 1);
        Ok(CallSlot(slot))
    }

    /// Whether there is a place for an order now.
    pub fn has_place(&self) -> Result<(), NoPlace> {
        let shared = &*self.0;
        drop(shared.slot()?);
        shared.fits_minute(&mut shared.state.lock().minute, shared.per_order)
    }

    /// A place for an order; none if there are no limits.
    pub fn place(&self, attempt: AttemptRef) -> Result<Option<Box<dyn CallPlace>>, NoPlace> {
        let shared = &*self.0;
        if shared.slots.is_none() && shared.per_minute_max.is_none() {
            return Ok(None);
        }
        let slot = shared.slot()?;
        let mut state = shared.state.lock();
        shared.fits_minute(&mut state.minute, shared.per_order)?;
        shared.count(&mut state.minute, shared.per_order);
        state.serial += 1;
        let (serial, minute_since) = (state.serial, state.minute.since);
        state.placed.insert(attempt, Begun { serial, calls: 0 });
        let limits = self.clone();
        Ok(Some(Box::new(OrderPlace { limits, attempt, serial, minute_since, slot })))
    }
}

impl Shared {
    fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, NoPlace> {
        let full = NoPlace { why: "slots full", retry_after: SLOTS_RETRY };
        let Some(slots) = &self.slots else { return Ok(None) };
        slots.clone().try_acquire_owned().map(Some).map_err(|_| full)
    }

    /// Whether so many more calls fit into this minute.
    fn fits_minute(&self, minute: &mut CallsBegun, more: u32) -> Result<(), NoPlace> {
        let Some(max) = self.per_minute_max else { return Ok(()) };
        let now = self.clock.monotonic();
        if minute.count == 0 || now.saturating_sub(minute.since) >= MINUTE {
            *minute = CallsBegun { since: now, count: 0 };
        }
        if minute.count.saturating_add(more) <= max {
            return Ok(());
        }
        let retry_after = MINUTE.saturating_sub(now.saturating_sub(minute.since));
        Err(NoPlace { why: "slots of this minute full", retry_after })
    }

    fn count(&self, minute: &mut CallsBegun, more: u32) {
        if self.per_minute_max.is_some() {
            minute.count = minute.count.saturating_add(more);
        }
    }
}

impl CallPlace for OrderPlace {}

impl fmt::Debug for OrderPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrderPlace({})", self.attempt)
    }
}

impl Drop for OrderPlace {
    /// What it did not use of its minute is free again.
    fn drop(&mut self) {
        let shared = &*self.limits.0;
        let mut state = shared.state.lock();
        // The order may have another place by now.
        let own = state.placed.get(&self.attempt).filter(|begun| begun.serial == self.serial);
        let begun = own.map_or(0, |begun| begun.calls);
        if own.is_some() {
            state.placed.remove(&self.attempt);
        }
        if shared.per_minute_max.is_some() && state.minute.since == self.minute_since {
            let unused = shared.per_order.saturating_sub(begun);
            state.minute.count = state.minute.count.saturating_sub(unused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual_clock::ManualClock;
    use domain::PurchaseNumber;

    fn attempt(n: i64) -> AttemptRef {
        AttemptRef { purchase: PurchaseNumber(n), number: 1 }
    }

    #[test]
    fn calls_beyond_a_limit_do_not_begin() {
        let clock = Arc::new(ManualClock::new());
        let limits = CallLimits::new(Some(2), Some(3), 1, clock.clone());
        let first = limits.begin(None).unwrap();
        let second = limits.begin(None).unwrap();
        assert_eq!(limits.begin(None).unwrap_err(), Busy, "two at one time");
        drop(first);
        let third = limits.begin(None).unwrap();
        drop((second, third));
        assert_eq!(limits.begin(None).unwrap_err(), Busy, "three in a minute");
        clock.advance(MINUTE);
        assert!(limits.begin(None).is_ok());
    }

    #[test]
    fn the_calls_of_an_order_with_a_place_fit_and_others_leave_it() {
        let limits = CallLimits::new(Some(1), None, 1, Arc::new(ManualClock::new()));
        let place = limits.place(attempt(1)).unwrap().unwrap();
        let full = NoPlace { why: "slots full", retry_after: SLOTS_RETRY };
        assert_eq!(limits.place(attempt(2)).unwrap_err(), full);
        assert_eq!(limits.has_place(), Err(full));
        assert_eq!(limits.begin(Some(attempt(2))).unwrap_err(), Busy);
        assert_eq!(limits.begin(None).unwrap_err(), Busy, "nor an enquiry");
        drop(limits.begin(Some(attempt(1))).unwrap());
        drop(limits.begin(Some(attempt(1))).unwrap());
        drop(place);
        assert_eq!(limits.has_place(), Ok(()));
        // A place that is taken anew stays when the older one ends.
        let two = CallLimits::new(Some(2), None, 1, Arc::new(ManualClock::new()));
        let older = two.place(attempt(1)).unwrap();
        let newer = two.place(attempt(1)).unwrap();
        drop(older);
        let others = two.place(attempt(2)).unwrap();
        drop(two.begin(Some(attempt(1))).unwrap());
        drop((newer, others));
        drop(limits.begin(Some(attempt(1))).unwrap());
    }

    #[test]
    fn a_place_takes_of_its_minute_what_it_uses() {
        let clock = Arc::new(ManualClock::new());
        let limits = CallLimits::new(None, Some(4), 2, clock.clone());
        // One whose order was refused for another reason.
        drop(limits.place(attempt(1)).unwrap());
        for n in 2..4 {
            let place = limits.place(attempt(n)).unwrap().unwrap();
            for _ in 0..2 {
                limits.begin(Some(attempt(n))).unwrap();
            }
            drop(place);
        }
        clock.advance(MINUTE / 4);
        let retry_after = MINUTE - MINUTE / 4;
        let full = NoPlace { why: "slots of this minute full", retry_after };
        assert_eq!(limits.place(attempt(4)).unwrap_err(), full);
        assert_eq!(limits.has_place(), Err(full));
        clock.advance(retry_after);
        assert_eq!(limits.has_place(), Ok(()));
    }
}
