//! What an upstream can say about one attempt.
//!
//! A connector answers a submit and an enquiry with types of their own; the lifecycle judges the
//! [`Outcome`] that both become. Invariants: not knowing is an outcome, never an error that could
//! lead to a refund; only a submit can be *not sent*, because an enquiry whose connection failed
//! says nothing about the order; only an upstream that reverses deliveries can say *reversed*.

use crate::money::Money;
use crate::purchase::slip::Slip;
use crate::upstream::Reversals;

/// What an upstream can say of an order, at its submit and at any later time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Delivered to the end customer.
    Delivered {
        /// The upstream's own reference of the order.
        reference: Option<String>,
        /// The upstream's text for the end customer, without anything about our float.
        text: Option<String>,
        /// What the end customer keeps: tokens and the like.
        slip: Option<Box<Slip>>,
        /// What the upstream took from our float for it, in the float's currency; none: it does
        /// not say, and the amount itself is booked.
        cost: Option<Money>,
    },
    /// The upstream has the order and processes it.
    Accepted {
        /// The upstream's own reference of the order.
        reference: Option<String>,
    },
    /// Definitely not delivered, and never will be.
    Refused {
        /// For people.
        reason: String,
        /// Whether another upstream could still deliver: the cause lies with this upstream, not
        /// with the order.
        try_elsewhere: bool,
    },
    /// Refused, because the upstream has lately had, or still has, an order like this one. If an
    /// earlier attempt of the purchase was written off, that one was perhaps delivered: staff must
    /// find out. For a first attempt it is a refusal of the order.
    RefusedAsRepeat {
        /// For people.
        reason: String,
    },
    /// No answer, or one that we cannot read.
    Unknown {
        /// The error, or the unreadable answer.
        reason: String,
    },
    /// An answer that we cannot read, and that shows that the upstream has the order: it repeats
    /// our reference, or has one of its own. *Not found* then says nothing about the order.
    Unclear {
        /// The upstream's own reference of the order.
        reference: Option<String>,
        /// The unreadable answer.
        reason: String,
    },
    /// No answer, and the upstream offers no enquiry: only staff can find out.
    Unaskable {
        /// For staff.
        reason: String,
    },
}

/// The result of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// The order may have reached the upstream.
    Answered(Answer),
    /// Nothing was written to the socket: definitely not received.
    NotSent {
        /// For staff.
        reason: String,
    },
}

/// The result of an enquiry, or what an upstream reports unasked, about an order that may have been
/// sent. A connection that failed is [`Answer::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnquiryOutcome {
    /// The upstream has the order, or nothing is known.
    Answered(Answer),
    /// The upstream does not know the order; believed only after its grace period.
    NotFound,
    /// The order was delivered, and then reversed.
    Reversed {
        /// For people.
        reason: String,
        /// From the upstream's [`crate::upstream::Capabilities::reversals`].
        reversals: Reversals,
    },
}

/// The result of one attempt, as far as it is known from the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As [`SubmitOutcome::Answered`] and [`EnquiryOutcome::Answered`].
    Answered(Answer),
    /// As [`SubmitOutcome::NotSent`].
    NotSent {
        /// For staff.
        reason: String,
    },
    /// As [`EnquiryOutcome::NotFound`].
    NotFound,
    /// As [`EnquiryOutcome::Reversed`].
    Reversed {
        /// For people.
        reason: String,
    },
}

impl From<Answer> for SubmitOutcome {
    fn from(answer: Answer) -> SubmitOutcome {
        SubmitOutcome::Answered(answer)
    }
}

impl EnquiryOutcome {
    /// Whether it says how the order ended.
    pub const fn is_end(&self) -> bool {
        match self {
            EnquiryOutcome::Reversed { .. } => true,
            EnquiryOutcome::NotFound => false,
            EnquiryOutcome::Answered(answer) => match answer {
                Answer::Delivered { .. }
                | Answer::Refused { .. }
                | Answer::RefusedAsRepeat { .. } => true,
                Answer::Accepted { .. }
                | Answer::Unknown { .. }
                | Answer::Unclear { .. }
                | Answer::Unaskable { .. } => false,
            },
        }
    }
}

impl From<Answer> for EnquiryOutcome {
    fn from(answer: Answer) -> EnquiryOutcome {
        EnquiryOutcome::Answered(answer)
    }
}

impl From<SubmitOutcome> for Outcome {
    fn from(outcome: SubmitOutcome) -> Outcome {
        match outcome {
            SubmitOutcome::Answered(answer) => Outcome::Answered(answer),
            SubmitOutcome::NotSent { reason } => Outcome::NotSent { reason },
        }
    }
}

impl From<EnquiryOutcome> for Outcome {
    fn from(outcome: EnquiryOutcome) -> Outcome {
        match outcome {
            EnquiryOutcome::Answered(answer) => Outcome::Answered(answer),
            EnquiryOutcome::NotFound => Outcome::NotFound,
            EnquiryOutcome::Reversed { reason, reversals: _ } => Outcome::Reversed { reason },
        }
    }
}

impl Outcome {
    /// As stored.
    pub const fn code(&self) -> &'static str {
        match self {
            Outcome::Answered(Answer::Delivered { .. }) => "delivered",
            Outcome::Answered(Answer::Accepted { .. }) => "accepted",
            Outcome::Answered(Answer::Refused { .. }) => "refused",
            Outcome::Answered(Answer::RefusedAsRepeat { .. }) => "refused_as_repeat",
            Outcome::Answered(Answer::Unknown { .. }) => "unknown",
            Outcome::Answered(Answer::Unclear { .. }) => "unclear",
            Outcome::Answered(Answer::Unaskable { .. }) => "unaskable",
            Outcome::NotSent { .. } => "not_sent",
            Outcome::NotFound => "not_found",
            Outcome::Reversed { .. } => "reversed",
        }
    }

    /// The text or reason that came with it, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            Outcome::Answered(Answer::Delivered { text, .. }) => text.as_deref(),
            Outcome::Answered(
                Answer::Refused { reason, .. }
                | Answer::RefusedAsRepeat { reason }
                | Answer::Unknown { reason }
                | Answer::Unclear { reason, .. }
                | Answer::Unaskable { reason },
            )
            | Outcome::NotSent { reason }
            | Outcome::Reversed { reason } => Some(reason),
            Outcome::Answered(Answer::Accepted { .. }) | Outcome::NotFound => None,
        }
    }

    /// The slip that came with a delivery, if any.
    pub fn slip(&self) -> Option<&Slip> {
        let Outcome::Answered(Answer::Delivered { slip, .. }) = self else { return None };
        slip.as_deref()
    }

    /// What a delivery cost us at the upstream, if it says so.
    pub const fn cost(&self) -> Option<Money> {
        match self {
            Outcome::Answered(Answer::Delivered { cost, .. }) => *cost,
            Outcome::Answered(
                Answer::Accepted { .. }
                | Answer::Refused { .. }
                | Answer::RefusedAsRepeat { .. }
                | Answer::Unknown { .. }
                | Answer::Unclear { .. }
                | Answer::Unaskable { .. },
            )
            | Outcome::NotSent { .. }
            | Outcome::NotFound
            | Outcome::Reversed { .. } => None,
        }
    }

    /// Whether it shows that the upstream has the order, without an end of it: to say *not found*
    /// after that is a contradiction.
    pub const fn is_acknowledgement(&self) -> bool {
        matches!(self, Outcome::Answered(Answer::Accepted { .. } | Answer::Unclear { .. }))
    }

    /// The upstream's own reference of the order, if it sent one.
    pub fn reference(&self) -> Option<&str> {
        let Outcome::Answered(answer) = self else { return None };
        match answer {
            Answer::Delivered { reference, .. }
            | Answer::Accepted { reference }
            | Answer::Unclear { reference, .. } => reference.as_deref(),
            Answer::Refused { .. }
            | Answer::RefusedAsRepeat { .. }
            | Answer::Unknown { .. }
            | Answer::Unaskable { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{AskedBy, Capabilities};
    use expect_test::expect;
    use std::fmt::Write as _;
    use std::time::Duration;

    const fn capabilities(reverses_deliveries: bool) -> Capabilities {
        Capabilities {
            not_found_final_after: Duration::ZERO,
            not_found_gap: Duration::ZERO,
            enquiries: crate::retry::ENQUIRIES,
            quotes_offers: false,
            looks_up_bills: false,
            reverses_deliveries,
            is_simulated: true,
            asked_by: AskedBy::OurReference,
            tells_balance: false,
            calls_back: false,
            refusals_shown: 0,
            staff_after: None,
            balance_gap: None,
            currency: None,
            rechecks: &[],
        }
    }

    fn answers() -> [Answer; 7] {
        let some = |text: &str| Some(text.to_owned());
        let reason = || "why".to_owned();
        [
            Answer::Delivered {
                reference: some("R1"),
                text: some("done"),
                slip: Some(Box::new(Slip::of_tokens(Vec::new()))),
                cost: None,
            },
            Answer::Accepted { reference: some("R2") },
            Answer::Refused { reason: reason(), try_elsewhere: true },
            Answer::RefusedAsRepeat { reason: reason() },
            Answer::Unknown { reason: reason() },
            Answer::Unclear { reference: some("R3"), reason: reason() },
            Answer::Unaskable { reason: reason() },
        ]
    }

    fn shown(outcomes: Vec<Outcome>) -> String {
        let mut out = String::new();
        for outcome in outcomes {
            let (text, reference) = (outcome.text(), outcome.reference());
            let slip = if outcome.slip().is_some() { " slip" } else { "" };
            writeln!(out, "{} {text:?} {reference:?}{slip}", outcome.code()).unwrap();
        }
        out
    }

    #[test]
    fn what_a_submit_can_say() {
        let mut outcomes: Vec<SubmitOutcome> = answers().map(SubmitOutcome::from).into();
        outcomes.push(SubmitOutcome::NotSent { reason: "connection refused".to_owned() });
        expect![[r#"
            delivered Some("done") Some("R1") slip
            accepted None Some("R2")
            refused Some("why") None
            refused_as_repeat Some("why") None
            unknown Some("why") None
            unclear Some("why") Some("R3")
            unaskable Some("why") None
            not_sent Some("connection refused") None
        "#]]
        .assert_eq(&shown(outcomes.into_iter().map(Outcome::from).collect()));
    }

    #[test]
    fn what_an_enquiry_can_say() {
        let mut outcomes: Vec<EnquiryOutcome> = answers().map(EnquiryOutcome::from).into();
        let reversals = capabilities(true).reversals().unwrap();
        outcomes.push(EnquiryOutcome::NotFound);
        outcomes.push(EnquiryOutcome::Reversed { reason: "taken back".to_owned(), reversals });
        expect![[r#"
            delivered Some("done") Some("R1") slip
            accepted None Some("R2")
            refused Some("why") None
            refused_as_repeat Some("why") None
            unknown Some("why") None
            unclear Some("why") Some("R3")
            unaskable Some("why") None
            not_found None None
            reversed Some("taken back") None
        "#]]
        .assert_eq(&shown(outcomes.into_iter().map(Outcome::from).collect()));
    }

    #[test]
    fn only_an_upstream_that_reverses_can_say_so() {
        assert_eq!(capabilities(false).reversals(), None);
        assert!(capabilities(true).reversals().is_some());
    }
}
