//! Which attempts are in an upstream's hands just now, as far as this process knows.
//!
//! While a submit is out nobody asks about it, and nobody believes "never received": the order may
//! still be on its way. Told by a monotonic clock, because a step of the wall clock must not end
//! anything early. What others sent is not known here: of an earlier process on the same data, that it
//! ended before this one started; of another node's, when it was first seen here.

use domain::PurchaseId;
use domain::purchase::settle::{ASK_AFTER, SUBMIT_WITHIN};
use domain::upstream::AttemptRef;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// From the draft of an attempt to its call. A commit that took longer leaves too little time
/// before others may ask about it: then nothing is sent.
const SEND_WITHIN: Duration = ASK_AFTER.saturating_sub(SUBMIT_WITHIN);
/// Ended calls that are remembered; past that the oldest are forgotten after an hour, which is
/// longer than any upstream's grace.
const ENDED_MAX: usize = 10_000;
const ENDED_KEPT: Duration = Duration::from_secs(3600);

/// The attempts of this process.
#[derive(Debug)]
pub(crate) struct InFlight {
    started: Duration,
    /// Whether other nodes send too.
    is_shared: bool,
    legs: Mutex<HashMap<AttemptRef, Flight>>,
}

#[derive(Clone, Copy, Debug)]
enum Flight {
    /// Drafted then, by so many who race to record it; perhaps called, not back.
    Going { drafted: Duration, drafts: u32 },
    /// The call has ended then, with or without an answer.
    Back { at: Duration },
    /// Another node's, seen then for the first time: it may have been drafted just before.
    Others { seen: Duration },
}

impl InFlight {
    pub(crate) fn new(now: Duration, is_shared: bool) -> InFlight {
        InFlight { started: now, is_shared, legs: Mutex::new(HashMap::new()) }
    }

    /// An attempt is about to go on record, and then out.
    pub(crate) fn leave(&self, attempt: AttemptRef, now: Duration) {
        let mut legs = self.legs();
        if legs.len() >= ENDED_MAX {
            legs.retain(|_, leg| match leg {
                Flight::Going { .. } => true,
                Flight::Back { at } | Flight::Others { seen: at } => {
                    now.saturating_sub(*at) < ENDED_KEPT
                }
            });
        }
        match legs.get_mut(&attempt) {
            Some(Flight::Going { drafts, .. }) => *drafts += 1,
            // Somebody else's draft of it won, and went: this one will lose, and must leave no trace.
            Some(Flight::Back { .. } | Flight::Others { .. }) => {}
            None => {
                legs.insert(attempt, Flight::Going { drafted: now, drafts: 1 });
            }
        }
    }

    /// A draft did not go on record: its purchase was refused, or another draft won.
    pub(crate) fn withdraw(&self, attempt: AttemptRef) {
        let mut legs = self.legs();
        if let Some(Flight::Going { drafts, .. }) = legs.get_mut(&attempt) {
            *drafts = drafts.saturating_sub(1);
            if *drafts == 0 {
                legs.remove(&attempt);
            }
        }
    }

    /// Whether it may still be called: its record did not take too long.
    pub(crate) fn may_call(&self, attempt: AttemptRef, now: Duration) -> bool {
        match self.legs().get(&attempt) {
            Some(Flight::Going { drafted, .. }) => now.saturating_sub(*drafted) < SEND_WITHIN,
            Some(Flight::Back { .. } | Flight::Others { .. }) | None => false,
        }
    }

    /// Its call has ended.
    pub(crate) fn back(&self, attempt: AttemptRef, now: Duration) {
        self.legs().insert(attempt, Flight::Back { at: now });
    }

    /// Forgets every attempt of a purchase that is final: nobody will ask.
    pub(crate) fn forget_all(&self, purchase: PurchaseId, attempts: u32) {
        let mut legs = self.legs();
        for number in 1..=attempts {
            legs.remove(&AttemptRef { purchase, number });
        }
    }

    /// Whether its call may be under way.
    pub(crate) fn is_out(&self, attempt: AttemptRef) -> bool {
        matches!(self.legs().get(&attempt), Some(Flight::Going { .. }))
    }

    /// For how long nothing of ours was on its way: since its call ended, or, if an earlier process
    /// made it, since this one started; if another node may have made it, since its call must have
    /// ended, counted from when it was first asked for here. Nothing while it is out.
    pub(crate) fn quiet_for(&self, attempt: AttemptRef, now: Duration) -> Duration {
        let mut legs = self.legs();
        if self.is_shared && !legs.contains_key(&attempt) {
            legs.insert(attempt, Flight::Others { seen: now });
        }
        match legs.get(&attempt) {
            Some(Flight::Going { .. }) => Duration::ZERO,
            Some(Flight::Back { at }) => now.saturating_sub(*at),
            Some(Flight::Others { seen }) => now.saturating_sub(*seen + ASK_AFTER),
            None => now.saturating_sub(self.started),
        }
    }

    fn legs(&self) -> MutexGuard<'_, HashMap<AttemptRef, Flight>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn attempt() -> AttemptRef {
        AttemptRef { purchase: PurchaseId(1), number: 1 }
    }

    #[test]
    fn a_draft_that_loses_takes_nothing_from_the_one_that_won() {
        let out = InFlight::new(Duration::ZERO, false);
        out.leave(attempt(), SECOND);
        out.leave(attempt(), SECOND);
        out.withdraw(attempt());
        assert!(out.is_out(attempt()) && out.may_call(attempt(), 2 * SECOND));
        out.back(attempt(), 10 * SECOND);
        // A draft from an old look at the purchase, after the winner's call has ended.
        out.leave(attempt(), 11 * SECOND);
        assert!(!out.may_call(attempt(), 11 * SECOND));
        out.withdraw(attempt());
        assert_eq!(out.quiet_for(attempt(), 12 * SECOND), 2 * SECOND);
    }

    #[test]
    fn what_took_too_long_to_record_is_not_called() {
        let out = InFlight::new(Duration::ZERO, false);
        out.leave(attempt(), SECOND);
        assert!(!out.may_call(attempt(), SECOND + SEND_WITHIN));
        assert_eq!(out.quiet_for(attempt(), 100 * SECOND), Duration::ZERO);
        out.forget_all(PurchaseId(1), 1);
        assert!(!out.is_out(attempt()));
        assert_eq!(out.quiet_for(attempt(), 100 * SECOND), 100 * SECOND);
    }

    #[test]
    fn what_another_node_sent_may_be_on_its_way_for_as_long_as_a_call_takes() {
        let out = InFlight::new(Duration::ZERO, true);
        assert_eq!(out.quiet_for(attempt(), 100 * SECOND), Duration::ZERO);
        assert_eq!(out.quiet_for(attempt(), 100 * SECOND + ASK_AFTER), Duration::ZERO);
        assert_eq!(out.quiet_for(attempt(), 103 * SECOND + ASK_AFTER), 3 * SECOND);
        assert!(!out.is_out(attempt()) && !out.may_call(attempt(), 100 * SECOND));
    }
}
