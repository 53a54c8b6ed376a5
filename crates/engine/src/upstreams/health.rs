//! How an upstream does, as this node sees it: calls in flight, failures, its breaker, its float.
//!
//! A breaker opens at half or more failures of at least 20 calls in a minute. Then one order at a
//! time is let through, after a wait that doubles: the first answer closes the breaker. Invariant:
//! nothing here decides about money, only about where the next order goes.

use crate::limits;
use domain::ids::IdMap;
use domain::{AttemptRef, CallPlace, Money, NoPlace};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

/// The health of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<HealthState>);

#[derive(Debug, Default)]
struct HealthState {
    /// Orders that are about to be sent, or are on their way.
    on_their_way: IdMap<AttemptRef, OnItsWay>,
    /// Calls that ended within the last minute, oldest first.
    ended: VecDeque<EndedCall>,
    breaker: Option<OpenBreaker>,
    /// The level of its float that was last noted.
    level: &'static str,
    /// When lost orders were last looked for.
    swept: Duration,
    /// When the balance may be asked for again.
    ask_from: Duration,
    /// What is left there, as far as it is known.
    float: Option<Money>,
}

#[derive(Debug)]
struct OnItsWay {
    since: Duration,
    #[expect(dead_code, reason = "held for its drop")]
    place: Option<Box<dyn CallPlace>>,
}

#[derive(Clone, Copy, Debug)]
struct EndedCall {
    at: Duration,
    attempt: AttemptRef,
    is_failure: bool,
}

/// A breaker that is open.
#[derive(Clone, Copy, Debug)]
struct OpenBreaker {
    /// From then on one order is let through.
    until: Duration,
    /// How long it waited before.
    wait: Duration,
    /// The order that was let through.
    probe: Option<AttemptRef>,
}

/// How a submit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// With an answer that can be read.
    Answered,
    /// Without one.
    Failed,
    /// It was not made.
    Cancelled,
}

/// Why an upstream gets no order now, and after which time it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) why: &'static str,
    pub(super) retry_after: Duration,
}

impl From<NoPlace> for Unfit {
    fn from(none: NoPlace) -> Unfit {
        Unfit { why: none.why, retry_after: none.retry_after.max(limits::SLOTS_RETRY) }
    }
}

/// What an order must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many may be on their way, as staff have set it; none: any number.
    pub(super) calls_max: Option<u32>,
    /// Whether this order may be the one that an open breaker lets through.
    pub(super) may_probe: bool,
}

impl Health {
    /// Takes a place for an order, or says why there is none. `at_upstream` takes that among the
    /// calls that the upstream itself takes.
    pub(super) fn reserve(
        &self,
        attempt: AttemptRef,
        limits: Limits,
        now: Duration,
        at_upstream: impl FnOnce() -> Result<Option<Box<dyn CallPlace>>, NoPlace>,
    ) -> Result<(), Unfit> {
        let mut state = self.0.lock();
        // What was reserved and never ended was lost with its task.
        if now.saturating_sub(state.swept) >= limits::LOST_ORDERS_SOUGHT_EVERY {
            state.swept = now;
            let lost_after = limits::ORDER_LOST_AFTER;
            state.on_their_way.retain(|_, one| now.saturating_sub(one.since) < lost_after);
        }
        if let Some(unfit) = state.unfit(limits, now) {
            return Err(unfit);
        }
        let place = at_upstream().map_err(Unfit::from)?;
        if let Some(open) = &mut state.breaker {
            open.probe = Some(attempt);
        }
        state.on_their_way.insert(attempt, OnItsWay { since: now, place });
        Ok(())
    }

    /// Why an order would be passed over now, if it would.
    pub(super) fn unfit(&self, calls_max: Option<u32>, now: Duration) -> Option<Unfit> {
        self.0.lock().unfit(Limits { calls_max, may_probe: true }, now)
    }

    /// A submit has ended, or was not made.
    pub(crate) fn end(&self, attempt: AttemptRef, end: CallEnd, now: Duration) {
        let mut state = self.0.lock();
        state.on_their_way.remove(&attempt);
        let is_failure = match end {
            CallEnd::Answered => false,
            CallEnd::Failed => true,
            CallEnd::Cancelled => {
                if let Some(open) = state.breaker.as_mut().filter(|b| b.probe == Some(attempt)) {
                    open.probe = None;
                }
                return;
            }
        };
        state.forget_old(now);
        if state.ended.len() >= limits::CALLS_REMEMBERED {
            state.ended.pop_front();
        }
        state.ended.push_back(EndedCall { at: now, attempt, is_failure });
        match state.breaker {
            Some(open) if open.probe == Some(attempt) && is_failure => {
                let wait = (open.wait * 2).min(limits::BREAKER_WAIT_MAX);
                state.breaker = Some(OpenBreaker { until: now + wait, wait, probe: None });
            }
            Some(open) if open.probe == Some(attempt) => {
                state.breaker = None;
                state.ended.clear();
            }
            // An order from before it opened: its failure is no news.
            Some(_) => {}
            None if state.fails() => {
                let wait = limits::BREAKER_WAIT;
                state.breaker = Some(OpenBreaker { until: now + wait, wait, probe: None });
            }
            None => {}
        }
    }

    /// The order was delivered after all: only its answer was lost, which is no failure.
    pub(crate) fn delivered_after_all(&self, attempt: AttemptRef, now: Duration) {
        let mut state = self.0.lock();
        let mut ended = state.ended.iter_mut();
        let Some(call) = ended.find(|call| call.attempt == attempt && call.is_failure) else {
            return;
        };
        call.is_failure = false;
        state.forget_old(now);
        if !state.fails() {
            state.breaker = None;
        }
    }

    /// Whether this node may ask for the balance now; then not again for this time.
    pub(super) fn may_ask_balance(&self, now: Duration, every: Duration) -> bool {
        let mut state = self.0.lock();
        let may_ask = now >= state.ask_from;
        if may_ask {
            state.ask_from = now + every;
        }
        may_ask
    }

    /// Whether the float's level is another one than was last noted.
    pub(super) fn is_new_level(&self, level: &'static str) -> bool {
        self.0.lock().level != level
    }

    /// Notes the float's level.
    pub(super) fn keep_level(&self, level: &'static str) {
        self.0.lock().level = level;
    }

    /// Keeps what is left there, as far as it is known.
    pub(super) fn set_float(&self, float: Option<Money>) {
        self.0.lock().float = float;
    }

    /// What is left there, as far as it is known.
    pub(super) fn float(&self) -> Option<Money> {
        self.0.lock().float
    }

    /// Whether its breaker is open, and how many orders are on their way.
    pub(super) fn shown(&self) -> (bool, usize) {
        let state = self.0.lock();
        (state.breaker.is_some(), state.on_their_way.len())
    }
}

impl HealthState {
    fn unfit(&self, limits: Limits, now: Duration) -> Option<Unfit> {
        let Limits { calls_max, may_probe } = limits;
        if let Some(open) = &self.breaker {
            let left = open.until.saturating_sub(now);
            if !left.is_zero() || open.probe.is_some() || !may_probe {
                let retry_after = left.max(limits::BREAKER_RETRY_MIN);
                return Some(Unfit { why: "breaker open", retry_after });
            }
        }
        let on_their_way = u32::try_from(self.on_their_way.len()).unwrap_or(u32::MAX);
        let is_full = calls_max.is_some_and(|max| on_their_way >= max);
        is_full.then_some(Unfit { why: "slots full", retry_after: limits::SLOTS_RETRY })
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some(first) = self.ended.front()
            && now.saturating_sub(first.at) >= limits::BREAKER_WINDOW
        {
            self.ended.pop_front();
        }
    }

    fn fails(&self) -> bool {
        let failures = self.ended.iter().filter(|call| call.is_failure).count();
        self.ended.len() >= limits::BREAKER_CALLS_MIN && failures * 2 >= self.ended.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PurchaseNumber;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes a place at an upstream without limits of its own.
    fn reserve(health: &Health, n: i64, calls_max: Option<u32>, at: Duration) -> Result<(), Unfit> {
        health.reserve(attempt(n), Limits { calls_max, may_probe: true }, at, || Ok(None))
    }

    fn attempt(n: i64) -> AttemptRef {
        AttemptRef { purchase: PurchaseNumber(n), number: 1 }
    }

    /// Calls `count` orders from `first` on, each with this end, at this second.
    fn calls(health: &Health, first: i64, count: i64, end: CallEnd, at: u32) {
        for n in first..first + count {
            reserve(health, n, None, at * SECOND).unwrap();
            health.end(attempt(n), end, at * SECOND);
        }
    }

    fn is_open(health: &Health, at: u32) -> bool {
        health.unfit(None, at * SECOND).is_some()
    }

    #[test]
    fn half_of_twenty_calls_in_a_minute_open_it() {
        let health = Health::default();
        calls(&health, 0, 10, CallEnd::Answered, 1);
        calls(&health, 100, 9, CallEnd::Failed, 2);
        assert!(!is_open(&health, 2), "19 calls are too few");
        calls(&health, 200, 1, CallEnd::Failed, 2);
        assert!(is_open(&health, 2));
        let quiet = Health::default();
        calls(&quiet, 0, 10, CallEnd::Failed, 1);
        calls(&quiet, 100, 10, CallEnd::Answered, 62);
        calls(&quiet, 200, 9, CallEnd::Failed, 62);
        assert!(!is_open(&quiet, 62), "what failed more than a minute ago does not count");
    }

    #[test]
    fn an_open_breaker_lets_one_order_through_after_a_wait_that_doubles() {
        let health = Health::default();
        calls(&health, 0, 20, CallEnd::Failed, 1);
        assert!(is_open(&health, 10));
        let at = 1 + u32::try_from(limits::BREAKER_WAIT.as_secs()).unwrap();
        reserve(&health, 50, None, at * SECOND).unwrap();
        assert_eq!(reserve(&health, 51, None, at * SECOND).unwrap_err().why, "breaker open");
        health.end(attempt(50), CallEnd::Failed, at * SECOND);
        assert!(is_open(&health, at + 19) && !is_open(&health, at + 20));
        reserve(&health, 52, None, (at + 20) * SECOND).unwrap();
        health.end(attempt(52), CallEnd::Cancelled, (at + 20) * SECOND);
        reserve(&health, 53, None, (at + 20) * SECOND).unwrap();
        health.end(attempt(53), CallEnd::Answered, (at + 21) * SECOND);
        assert!(!is_open(&health, at + 21));
        calls(&health, 60, 19, CallEnd::Failed, at + 22);
        assert!(!is_open(&health, at + 22), "it starts anew");
    }

    #[test]
    fn an_order_that_was_delivered_after_all_is_no_failure() {
        let health = Health::default();
        calls(&health, 0, 10, CallEnd::Answered, 1);
        calls(&health, 100, 10, CallEnd::Failed, 2);
        assert!(is_open(&health, 3));
        health.delivered_after_all(attempt(100), 4 * SECOND);
        assert!(!is_open(&health, 4));
    }

    #[test]
    fn slots_are_given_back_and_a_lost_order_holds_none_for_ever() {
        let health = Health::default();
        reserve(&health, 1, Some(1), SECOND).unwrap();
        assert_eq!(reserve(&health, 2, Some(1), SECOND).unwrap_err().why, "slots full");
        health.end(attempt(1), CallEnd::Answered, SECOND);
        reserve(&health, 2, Some(1), SECOND).unwrap();
        let later = 2 * SECOND + limits::ORDER_LOST_AFTER;
        reserve(&health, 3, Some(1), later).unwrap();
    }
}
