//! How many enquiries one upstream gets at once, so that it does not hold the workers of others.
//!
//! An upstream that takes calls and never answers would hold a worker for each, until they time
//! out. Invariant: it holds at most a part of them, and one alone once it is known to hang.

use crate::limits;
use parking_lot::Mutex;
use std::time::Duration;

/// The enquiries of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Asking(Mutex<AskingState>);

#[derive(Debug, Default)]
struct AskingState {
    on_their_way: usize,
    /// Whether the last call was answered.
    is_answered: bool,
    /// Calls in a row without an answer that can be read.
    unanswered: u32,
    /// How many of these, in a row, took long.
    hung: u32,
}

impl AskingState {
    const fn is_hanging(&self) -> bool {
        self.hung >= limits::HUNG_CALLS
    }
}

/// An enquiry under way; it ends when this is dropped.
pub(crate) struct Question<'a> {
    asking: &'a Asking,
    began: Duration,
}

impl Asking {
    /// Begins an enquiry; none: there are as many as may be.
    pub(crate) fn begin(&self, now: Duration) -> Option<Question<'_>> {
        let mut state = self.0.lock();
        let at_once = match state.is_answered {
            true => limits::ENQUIRIES_AT_ONCE,
            false if state.is_hanging() => 1,
            false => limits::ENQUIRIES_AT_ONCE_IN_DOUBT,
        };
        if state.on_their_way >= at_once {
            return None;
        }
        state.on_their_way += 1;
        Some(Question { asking: self, began: now })
    }

    /// A call took this long, with or without an answer that can be read.
    pub(crate) fn call_ended(&self, is_answered: bool, took: Duration) {
        let mut state = self.0.lock();
        let is_hung = !is_answered && took >= limits::HUNG_AFTER;
        state.is_answered = is_answered;
        state.unanswered = if is_answered { 0 } else { state.unanswered.saturating_add(1) };
        state.hung = if is_hung { state.hung.saturating_add(1) } else { 0 };
    }

    /// Whether calls were taken of late and never answered.
    pub(crate) fn is_hanging(&self) -> bool {
        self.0.lock().is_hanging()
    }

    /// Whether nothing was answered of late: then it is the upstream, not one order.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.lock().unanswered >= limits::SILENT_CALLS
    }
}

impl Question<'_> {
    /// It has ended.
    pub(crate) fn ended(self, is_answered: bool, now: Duration) {
        self.asking.call_ended(is_answered, now.saturating_sub(self.began));
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut state = self.asking.0.lock();
        state.on_their_way = state.on_their_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_hangs_is_asked_one_thing_at_a_time_until_it_answers() {
        let asking = Asking::default();
        let many: Vec<_> = (0..limits::ENQUIRIES_AT_ONCE_IN_DOUBT)
            .map(|_| asking.begin(Duration::ZERO).unwrap())
            .collect();
        assert!(asking.begin(Duration::ZERO).is_none());
        for question in many {
            question.ended(false, limits::HUNG_AFTER);
        }
        assert!(asking.is_silent());
        let one = asking.begin(limits::HUNG_AFTER).unwrap();
        assert!(asking.begin(limits::HUNG_AFTER).is_none());
        one.ended(true, 2 * limits::HUNG_AFTER);
        assert!(!asking.is_silent());
        let many: Vec<_> =
            (0..limits::ENQUIRIES_AT_ONCE).map(|_| asking.begin(Duration::ZERO)).collect();
        assert!(many.iter().all(Option::is_some) && asking.begin(Duration::ZERO).is_none());
    }
}
