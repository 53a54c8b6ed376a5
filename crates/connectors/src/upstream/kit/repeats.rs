//! Refusals that count only when an enquiry has said them more than once.
//!
//! Some upstreams show a failure while they still try another route of their own. In memory only:
//! after a restart the count begins again, and the order stays in doubt a little longer.

use super::protocol::RepeatedRefusals;
use domain::{Answer, AttemptRef, Clock, EnquiryOutcome};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Refusals that wait; more are forgotten, and asked for again.
const WAITING_MAX: usize = 10_000;

/// What enquiries have said so far.
pub(super) struct RefusalCounts {
    rule: Option<RepeatedRefusals>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<BTreeMap<AttemptRef, Counted>>,
}

struct Counted {
    reason: String,
    /// Monotonic: when it was last counted.
    at: Duration,
    count: u32,
}

impl RefusalCounts {
    /// By this rule; none: each refusal counts at once.
    pub(super) fn new(rule: Option<RepeatedRefusals>, clock: Arc<dyn Clock>) -> RefusalCounts {
        RefusalCounts { rule, clock, waiting: Mutex::default() }
    }

    /// The outcome, or unknown while a refusal has not been said often enough.
    pub(super) fn counted(&self, attempt: AttemptRef, outcome: EnquiryOutcome) -> EnquiryOutcome {
        let Some(rule) = self.rule else { return outcome };
        let mut waiting = self.waiting.lock();
        let EnquiryOutcome::Answered(Answer::Refused { reason, .. }) = &outcome else {
            // No answer says nothing against what was known; any other answer does.
            if !matches!(outcome, EnquiryOutcome::Answered(Answer::Unknown { .. })) {
                waiting.remove(&attempt);
            }
            return outcome;
        };
        if waiting.len() >= WAITING_MAX {
            waiting.clear();
        }
        let now = self.clock.monotonic();
        let first = || Counted { reason: reason.clone(), at: now, count: 1 };
        let known = waiting.entry(attempt).or_insert_with(first);
        if known.reason != *reason {
            *known = first();
        } else if now.saturating_sub(known.at) >= rule.gap {
            known.at = now;
            known.count += 1;
        }
        if known.count < rule.times {
            let reason = format!("{reason}; it counts when it is said again");
            return Answer::Unknown { reason }.into();
        }
        waiting.remove(&attempt);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual_clock::ManualClock;
    use domain::PurchaseNumber;

    fn refused(reason: &str) -> EnquiryOutcome {
        Answer::Refused { reason: reason.to_owned(), try_elsewhere: true }.into()
    }

    #[test]
    fn a_refusal_counts_when_it_is_said_again_after_the_gap() {
        let clock = Arc::new(ManualClock::new());
        let gap = Duration::from_secs(60);
        let known = RefusalCounts::new(Some(RepeatedRefusals { times: 2, gap }), clock.clone());
        let attempt = AttemptRef { purchase: PurchaseNumber(1), number: 1 };
        let is_open = |outcome: EnquiryOutcome| {
            matches!(outcome, EnquiryOutcome::Answered(Answer::Unknown { .. }))
        };
        assert!(is_open(known.counted(attempt, refused("a"))));
        assert!(is_open(known.counted(attempt, refused("a"))), "too early");
        clock.advance(gap);
        assert!(is_open(known.counted(attempt, refused("b"))), "another reason");
        clock.advance(gap);
        let accepted = Answer::Accepted { reference: None };
        assert_eq!(known.counted(attempt, accepted.clone().into()), accepted.into());
        assert!(is_open(known.counted(attempt, refused("b"))), "it was under way again");
        clock.advance(gap);
        assert!(is_open(known.counted(attempt, Answer::Unknown { reason: String::new() }.into())));
        assert_eq!(known.counted(attempt, refused("b")), refused("b"));
    }
}
