//! Which calls to upstreams are in flight, as far as this process knows.
//!
//! While a submit is in flight nobody asks about it, and "never received" is not believed. Calls of
//! an earlier process had ended when this one started; a call of another node counts as open from
//! when this node first asks about it. Invariant: only the monotonic clock counts.

use domain::ids::IdMap;
use domain::purchase::settle::{ASK_AFTER, SUBMIT_WITHIN};
use domain::{AttemptRef, PurchaseNumber};
use parking_lot::Mutex;
use std::time::Duration;

/// From the draft of an attempt to its call. If the commit took longer, too little time remains
/// before others may ask about the attempt, and nothing is sent.
const SEND_WITHIN: Duration = ASK_AFTER.saturating_sub(SUBMIT_WITHIN);
/// Calls that are remembered. Past that the ended ones are forgotten after an hour, which is longer
/// than any upstream's grace period.
const CALLS_MAX: usize = 10_000;
const ENDED_KEPT: Duration = Duration::from_secs(3600);

/// The calls of this process, by attempt.
#[derive(Debug)]
pub(crate) struct InFlight {
    started: Duration,
    /// Whether other nodes send too.
    is_shared: bool,
    calls: Mutex<IdMap<AttemptRef, CallState>>,
}

#[derive(Clone, Copy, Debug)]
enum CallState {
    /// Drafted, and perhaps called; not ended. So many drafts race to be recorded.
    Open { drafted: Duration, drafts: u32 },
    /// The call has ended, with or without an answer.
    Ended { at: Duration },
    /// The call of another node; it may have been drafted just before this node first saw it.
    Foreign { seen: Duration },
}

impl InFlight {
    pub(crate) fn new(now: Duration, is_shared: bool) -> InFlight {
        InFlight { started: now, is_shared, calls: Mutex::default() }
    }

    /// An attempt is drafted: it is about to be recorded, and then called.
    pub(crate) fn begin(&self, attempt: AttemptRef, now: Duration) {
        let mut calls = self.calls.lock();
        if calls.len() >= CALLS_MAX {
            calls.retain(|_, call| match call {
                CallState::Open { .. } => true,
                CallState::Ended { at } | CallState::Foreign { seen: at } => {
                    now.saturating_sub(*at) < ENDED_KEPT
                }
            });
        }
        match calls.get_mut(&attempt) {
            Some(CallState::Open { drafts, .. }) => *drafts += 1,
            // Another draft was recorded and called. This one will lose, and must change nothing.
            Some(CallState::Ended { .. } | CallState::Foreign { .. }) => {}
            None => {
                calls.insert(attempt, CallState::Open { drafted: now, drafts: 1 });
            }
        }
    }

    /// A draft was not recorded: its purchase was refused, or another draft won.
    pub(crate) fn cancel(&self, attempt: AttemptRef) {
        let mut calls = self.calls.lock();
        if let Some(CallState::Open { drafts, .. }) = calls.get_mut(&attempt) {
            *drafts = drafts.saturating_sub(1);
            if *drafts == 0 {
                calls.remove(&attempt);
            }
        }
    }

    /// Whether the upstream may still be called: the record did not take too long.
    pub(crate) fn may_call(&self, attempt: AttemptRef, now: Duration) -> bool {
        match self.calls.lock().get(&attempt) {
            Some(CallState::Open { drafted, .. }) => now.saturating_sub(*drafted) < SEND_WITHIN,
            Some(CallState::Ended { .. } | CallState::Foreign { .. }) | None => false,
        }
    }

    /// The call has ended.
    pub(crate) fn end(&self, attempt: AttemptRef, now: Duration) {
        self.calls.lock().insert(attempt, CallState::Ended { at: now });
    }

    /// Forgets every attempt of a purchase that is final: nobody will ask about it.
    pub(crate) fn forget_all(&self, purchase: PurchaseNumber, attempts: u32) {
        let mut calls = self.calls.lock();
        for number in 1..=attempts {
            calls.remove(&AttemptRef { purchase, number });
        }
    }

    /// Whether a call of this process may be in flight.
    pub(crate) fn is_open(&self, attempt: AttemptRef) -> bool {
        matches!(self.calls.lock().get(&attempt), Some(CallState::Open { .. }))
    }

    /// For how long no call has been in flight; zero while one may be. It counts from the end of
    /// the call. If an earlier process made the call, it counts from the start of this one; if
    /// another node may have made it, from when that call must have ended, which is counted from
    /// when this node first asked about it.
    pub(crate) fn idle_for(&self, attempt: AttemptRef, now: Duration) -> Duration {
        let mut calls = self.calls.lock();
        if self.is_shared && !calls.contains_key(&attempt) {
            calls.insert(attempt, CallState::Foreign { seen: now });
        }
        match calls.get(&attempt) {
            Some(CallState::Open { .. }) => Duration::ZERO,
            Some(CallState::Ended { at }) => now.saturating_sub(*at),
            Some(CallState::Foreign { seen }) => now.saturating_sub(*seen + ASK_AFTER),
            None => now.saturating_sub(self.started),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn attempt() -> AttemptRef {
        AttemptRef { purchase: PurchaseNumber(1), number: 1 }
    }

    #[test]
    fn a_draft_that_loses_takes_nothing_from_the_one_that_won() {
        let in_flight = InFlight::new(Duration::ZERO, false);
        in_flight.begin(attempt(), SECOND);
        in_flight.begin(attempt(), SECOND);
        in_flight.cancel(attempt());
        assert!(in_flight.is_open(attempt()) && in_flight.may_call(attempt(), 2 * SECOND));
        in_flight.end(attempt(), 10 * SECOND);
        // A draft from an old read of the purchase, after the winner's call has ended.
        in_flight.begin(attempt(), 11 * SECOND);
        assert!(!in_flight.may_call(attempt(), 11 * SECOND));
        in_flight.cancel(attempt());
        assert_eq!(in_flight.idle_for(attempt(), 12 * SECOND), 2 * SECOND);
    }

    #[test]
    fn what_took_too_long_to_record_is_not_called() {
        let in_flight = InFlight::new(Duration::ZERO, false);
        in_flight.begin(attempt(), SECOND);
        assert!(!in_flight.may_call(attempt(), SECOND + SEND_WITHIN));
        assert_eq!(in_flight.idle_for(attempt(), 100 * SECOND), Duration::ZERO);
        in_flight.forget_all(PurchaseNumber(1), 1);
        assert!(!in_flight.is_open(attempt()));
        assert_eq!(in_flight.idle_for(attempt(), 100 * SECOND), 100 * SECOND);
    }

    #[test]
    fn a_call_of_another_node_may_be_in_flight_for_as_long_as_a_call_takes() {
        let in_flight = InFlight::new(Duration::ZERO, true);
        assert_eq!(in_flight.idle_for(attempt(), 100 * SECOND), Duration::ZERO);
        assert_eq!(in_flight.idle_for(attempt(), 100 * SECOND + ASK_AFTER), Duration::ZERO);
        assert_eq!(in_flight.idle_for(attempt(), 103 * SECOND + ASK_AFTER), 3 * SECOND);
        assert!(!in_flight.is_open(attempt()) && !in_flight.may_call(attempt(), 100 * SECOND));
    }
}
