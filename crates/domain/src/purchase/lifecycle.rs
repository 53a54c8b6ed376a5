//! The lifecycle of a purchase: three openings, ten states, fifteen events, one table.
//!
//! A state determines where the money is and which job is required. A step names only the next
//! state; journal and job follow from it. Invariants: doubt never moves money; once a submit is on
//! record, the order is never submitted again without a definite refusal.

use crate::outcome::{Answer, Outcome};
use crate::upstream::UpstreamCode;

/// The state of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Priced, with an expiry; no money is held.
    Quoted,
    /// Money is held; staff must approve before anything is sent, or deliver by hand.
    Awaiting,
    /// Money is held; no upstream has the order.
    Held,
    /// An attempt is on record, so an upstream may have the order.
    Sent,
    /// The attempt's outcome is unknown; only an upstream's answer, or staff with evidence, settles
    /// it.
    InDoubt,
    /// In doubt, and enquiries give no outcome: a case for staff is open.
    WithStaff,
    /// Delivered, confirmed by the upstream or by staff with evidence.
    Delivered,
    /// Nothing was delivered; the money is back in the wallet.
    Failed,
    /// Cancelled before anything was sent; the money is back in the wallet (or was never held).
    Rejected,
    /// Delivered and then reversed; a new journal returned the money to the wallet.
    Refunded,
}

/// How a purchase opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With a price only; the customer has yet to accept it.
    Quoted,
    /// The money is held, and staff must approve.
    Awaiting,
    /// The money is held, and the first attempt goes on record, at this upstream.
    Sent(UpstreamCode),
}

/// What happens to a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The customer accepts the quote: the money is held.
    Authorise,
    /// The customer accepts the quote, and staff must approve: the money is held.
    RequestApproval,
    /// Staff allow the submit.
    Approve,
    /// Staff or the account cancel it.
    Reject,
    /// The time to accept, approve or submit is over.
    Expire,
    /// An attempt goes on record; the call to the upstream follows.
    Submit,
    /// The upstream has the order and processes it.
    Acknowledge,
    /// The upstream, or staff with evidence, report delivery.
    Deliver,
    /// A definite refusal, and no other upstream remains.
    Refuse,
    /// A definite refusal, and another upstream remains.
    Reroute,
    /// No answer, or one that we cannot read.
    Doubt,
    /// Enquiries give no outcome: staff must find out.
    Escalate,
    /// An earlier attempt turns out to be delivered.
    DeliverLate,
    /// The upstream or staff reverse the delivery.
    Reverse,
    /// Staff report, with evidence, that nothing was delivered.
    Deny,
}

/// A cell of the table: what an event does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The purchase takes this state; its money and its job follow.
    To(State),
    /// Nothing changes: a repeat, or too late. The required job remains.
    Stay,
    /// The event contradicts the ledger: no money moves, a case for staff opens.
    Clash,
    /// The event cannot happen in this state: the request is refused, or an alarm is raised.
    Impossible,
}

/// How the table is entered: the state that a purchase opens in.
pub const fn first_state(opening: &Opening) -> State {
    match opening {
        Opening::Quoted => State::Quoted,
        Opening::Awaiting => State::Awaiting,
        Opening::Sent(_) => State::Sent,
    }
}

/// The table. A new state or event does not compile until every pair has a cell.
#[rustfmt::skip]
pub const fn step(state: State, event: Event) -> Step {
    use {Event::*, State::*, Step::*};
    match (state, event) {
        (Quoted,    Authorise)                 => To(Held),
        (Quoted,    RequestApproval)           => To(Awaiting),
        (Quoted,    Reject | Expire)           => To(Rejected),
        (Quoted,    Approve | Submit | Acknowledge | Deliver | Refuse | Reroute | Doubt | Escalate
                  | DeliverLate | Reverse | Deny) => Impossible,

        (Awaiting,  Approve)                   => To(Held),
        (Awaiting,  Reject | Expire | Deny)    => To(Rejected),
        (Awaiting,  Deliver)                   => To(Delivered), // by hand, with evidence
        (Awaiting,  Authorise | RequestApproval) => Stay,
        (Awaiting,  Submit | Acknowledge | Refuse | Reroute | Doubt | Escalate | DeliverLate
                  | Reverse)                   => Impossible,

        (Held,      Submit)                    => To(Sent),
        (Held,      Reject | Expire)           => To(Rejected),
        (Held,      Refuse)                    => To(Failed),    // no upstream remains
        (Held,      DeliverLate)               => To(Delivered), // no later attempt was sent yet
        (Held,      Authorise | RequestApproval | Approve) => Stay,
        (Held,      Acknowledge | Deliver | Reroute | Doubt | Escalate | Reverse
                  | Deny)                      => Impossible,

        (Sent,      Authorise | RequestApproval | Approve | Acknowledge | Reject
                  | Expire)                    => Stay,
        (Sent,      Deliver)                   => To(Delivered),
        (Sent,      Refuse | Reverse)          => To(Failed),
        (Sent,      Reroute)                   => To(Held),
        (Sent,      Doubt)                     => To(InDoubt),
        (Sent,      Escalate)                  => To(WithStaff),
        (Sent,      DeliverLate)               => Clash,         // two upstreams may deliver
        (Sent,      Submit | Deny)             => Impossible,

        (InDoubt,   Acknowledge)               => To(Sent),
        (InDoubt,   Deliver)                   => To(Delivered),
        (InDoubt,   Refuse | Reverse | Deny)   => To(Failed),
        (InDoubt,   Reroute)                   => To(Held),
        (InDoubt,   Authorise | RequestApproval | Approve | Doubt | Reject | Expire) => Stay,
        (InDoubt,   Escalate)                  => To(WithStaff),
        (InDoubt,   DeliverLate)               => Clash,
        (InDoubt,   Submit)                    => Impossible,

        (WithStaff, Deliver)                   => To(Delivered),
        (WithStaff, Refuse | Reverse | Deny)   => To(Failed),
        (WithStaff, Reroute)                   => To(Held),
        (WithStaff, Authorise | RequestApproval | Approve | Acknowledge | Doubt | Escalate | Reject
                  | Expire)                    => Stay,
        (WithStaff, DeliverLate)               => Clash,
        (WithStaff, Submit)                    => Impossible,

        (Delivered, Reverse)                   => To(Refunded),
        (Delivered, Authorise | RequestApproval | Approve | Deliver | Acknowledge | Doubt | Escalate
                  | Reject | Expire)           => Stay,
        (Delivered, Refuse | Reroute | DeliverLate) => Clash,
        (Delivered, Submit | Deny)             => Impossible,

        (Failed,    Authorise | RequestApproval | Refuse | Reroute | Reverse | Deny | Acknowledge
                  | Doubt | Escalate | Reject | Expire) => Stay,
        (Failed,    Deliver | DeliverLate)     => Clash,         // the money is back already
        (Failed,    Submit | Approve)          => Impossible,

        (Rejected,  Reject | Expire | Deny | Refuse | Reroute | Reverse | Acknowledge | Doubt
                  | Escalate)                  => Stay,
        (Rejected,  DeliverLate)               => Clash,
        (Rejected,  Authorise | RequestApproval | Approve | Submit | Deliver) => Impossible,

        (Refunded,  Authorise | RequestApproval | Reverse | Refuse | Reroute | Acknowledge | Doubt
                  | Escalate | Reject | Expire | Deliver) => Stay,
        (Refunded,  DeliverLate)               => Clash,
        (Refunded,  Submit | Approve | Deny)   => Impossible,
    }
}

/// Where a purchase's money is. The journal of a step moves it from one place to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FundsAt {
    /// Available in the account's wallet.
    Wallet,
    /// Held for the purchase.
    Hold,
    /// Paid: the amount to the upstream, the fee to the house.
    Spent,
}

/// The job that a state requires. A purchase with held money always has one, so a worker finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Expire the purchase when its time is over.
    Expire,
    /// Record an attempt and call the upstream.
    Submit,
    /// Query the attempt's outcome at the upstream.
    Query,
    /// Send the account an event; the event's row in the outbox is this job.
    Notify,
}

codes! {
    State {
        Quoted => "quoted",
        Awaiting => "awaiting",
        Held => "held",
        Sent => "sent",
        InDoubt => "in_doubt",
        WithStaff => "with_staff",
        Delivered => "delivered",
        Failed => "failed",
        Rejected => "rejected",
        Refunded => "refunded",
    }
}

impl State {
    /// Where the money is.
    pub const fn funds_at(self) -> FundsAt {
        match self {
            State::Awaiting | State::Held | State::Sent | State::InDoubt | State::WithStaff => {
                FundsAt::Hold
            }
            State::Delivered => FundsAt::Spent,
            State::Quoted | State::Failed | State::Rejected | State::Refunded => FundsAt::Wallet,
        }
    }

    /// The required job.
    pub const fn job(self) -> Job {
        match self {
            State::Quoted | State::Awaiting => Job::Expire,
            State::Held => Job::Submit,
            // Not Submit: after a crash the order must not be submitted twice.
            State::Sent | State::InDoubt | State::WithStaff => Job::Query,
            State::Delivered | State::Failed | State::Rejected | State::Refunded => Job::Notify,
        }
    }

    /// Whether the purchase is closed; only a reversal can change it then.
    pub const fn is_final(self) -> bool {
        matches!(self.job(), Job::Notify)
    }
}

codes! {
    Job {
        Expire => "expire",
        Submit => "submit",
        Query => "query",
        Notify => "tell",
    }
}

impl Event {
    /// All events.
    pub const ALL: [Event; 15] = [
        Event::Authorise,
        Event::RequestApproval,
        Event::Approve,
        Event::Reject,
        Event::Expire,
        Event::Submit,
        Event::Acknowledge,
        Event::Deliver,
        Event::Refuse,
        Event::Reroute,
        Event::Doubt,
        Event::Escalate,
        Event::DeliverLate,
        Event::Reverse,
        Event::Deny,
    ];
}

/// What is known about the attempt of an outcome.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeContext {
    /// The purchase's state is about this attempt, not about another one or none.
    pub is_current: bool,
    /// The upstream's grace period is over, so "not found" is believed.
    pub grace_is_over: bool,
    /// An earlier attempt of the purchase was written off.
    pub is_repeat: bool,
    /// The number of upstreams of the route that have not been tried.
    pub routes_left: usize,
}

/// The event that an outcome of one attempt means. `None`: it changes nothing.
pub const fn event_of(outcome: &Outcome, context: OutcomeContext) -> Option<Event> {
    if !context.is_current {
        return match outcome {
            Outcome::Answered(Answer::Delivered { .. }) => Some(Event::DeliverLate),
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
        };
    }
    let elsewhere = if context.routes_left > 0 { Event::Reroute } else { Event::Refuse };
    Some(match outcome {
        Outcome::Answered(answer) => match answer {
            Answer::Delivered { .. } => Event::Deliver,
            Answer::Accepted { .. } => Event::Acknowledge,
            Answer::Refused { try_elsewhere: false, .. } => Event::Refuse,
            Answer::Refused { try_elsewhere: true, .. } => elsewhere,
            // An attempt that was written off was perhaps delivered: nothing is refunded.
            Answer::RefusedAsRepeat { .. } if context.is_repeat => Event::Escalate,
            Answer::RefusedAsRepeat { .. } => Event::Refuse,
            Answer::Unknown { .. } | Answer::Unclear { .. } => Event::Doubt,
            Answer::Unaskable { .. } => Event::Escalate,
        },
        Outcome::NotSent { .. } => elsewhere,
        // The upstream may not have stored yet what it was just sent.
        Outcome::NotFound if !context.grace_is_over => Event::Doubt,
        Outcome::NotFound => elsewhere,
        Outcome::Reversed { .. } => Event::Reverse,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;
    use proptest::prelude::*;

    fn each(mut check: impl FnMut(State, Event, Step)) {
        for state in State::ALL {
            for event in Event::ALL {
                check(state, event, step(state, event));
            }
        }
    }

    fn openings() -> [Opening; 3] {
        [Opening::Quoted, Opening::Awaiting, Opening::Sent(UpstreamCode::new("a"))]
    }

    const INTRODUCTION: &str = "# The lifecycle of a purchase

Printed by a test from `crates/domain/src/purchase/lifecycle.rs`; do not edit by hand.

A row is a state, a column is an event, a cell is the next state. `·`: nothing changes. **clash**:
the event contradicts the ledger; no money moves, and a case for staff opens. Blank: impossible; the
request is refused.

";

    const RULES: &str = "
## Rules that the tests check

* Money moves only on a certain outcome: from an upstream, from staff, from the account, or from a
  deadline before anything was sent.
* The account is sent an event exactly when a purchase closes, and again when it is reversed.
* A purchase with held money always has a job, so a worker finds it.
* Only a reversal leaves a closed state, and every open state can close both ways.
* No outcome of an upstream, about any attempt, in any state in which it can arrive, is impossible.
* Once an attempt is on record, only a definite refusal leads to another submit.
";

    /// docs/lifecycle.md is this table; `UPDATE_EXPECT=1 cargo test -p domain` prints it again.
    #[test]
    fn the_documentation_shows_this_table() {
        let [quoted, awaiting, sent] = openings().map(|opening| first_state(&opening));
        let opens =
            format!("A purchase opens as **{quoted:?}**, **{awaiting:?}** or **{sent:?}**.");
        let mut out = format!("{INTRODUCTION}{opens}\n\n| state | money at | job |");
        for event in Event::ALL {
            out += &format!(" {event:?} |");
        }
        out += &format!("\n{}\n", "|---".repeat(Event::ALL.len() + 3) + "|");
        for state in State::ALL {
            out += &format!("| **{state:?}** | {:?} | {:?} |", state.funds_at(), state.job());
            for event in Event::ALL {
                out += &match step(state, event) {
                    Step::To(to) => format!(" {to:?} |"),
                    Step::Stay => " · |".into(),
                    Step::Clash => " **clash** |".into(),
                    Step::Impossible => "  |".into(),
                };
            }
            out += "\n";
        }
        out += RULES;
        expect_file!["../../../../docs/lifecycle.md"].assert_eq(&out);
    }

    #[test]
    fn doubt_never_moves_money() {
        each(|from, event, step| {
            if let Step::To(to) = step {
                let is_doubt = matches!(
                    event,
                    Event::Submit
                        | Event::Acknowledge
                        | Event::Reroute
                        | Event::Doubt
                        | Event::Escalate
                        | Event::Approve
                );
                assert!(from.funds_at() == to.funds_at() || !is_doubt, "{from:?} {event:?}");
            }
        });
    }

    /// A deadline may close a purchase that was not sent; it never decides about one that was.
    #[test]
    fn deadlines_decide_nothing_that_was_sent() {
        for state in [State::Sent, State::InDoubt, State::WithStaff, State::Delivered] {
            assert_eq!(step(state, Event::Expire), Step::Stay);
            assert_eq!(step(state, Event::Reject), Step::Stay);
        }
    }

    #[test]
    fn an_event_is_sent_exactly_when_it_closes_or_is_reversed() {
        each(|from, event, step| {
            if let Step::To(to) = step {
                let closes = !from.is_final() && to.is_final();
                let reverses = (from, to) == (State::Delivered, State::Refunded);
                assert_eq!(closes || reverses, to.job() == Job::Notify, "{from:?} {event:?}");
            }
        });
    }

    #[test]
    fn held_money_always_has_a_job() {
        for state in State::ALL {
            assert!(state.funds_at() != FundsAt::Hold || state.job() != Job::Notify, "{state:?}");
        }
    }

    #[test]
    fn only_a_definite_refusal_leads_back_to_submit() {
        each(|from, event, step| {
            if step == Step::To(State::Held) {
                let before_any = matches!(
                    (from, event),
                    (State::Quoted, Event::Authorise) | (State::Awaiting, Event::Approve)
                );
                assert!(before_any || event == Event::Reroute, "{from:?} {event:?}");
            }
            if event == Event::Submit {
                assert_eq!(step == Step::To(State::Sent), from == State::Held);
            }
        });
    }

    /// The states that events lead to from these, and these.
    fn reachable(mut seen: Vec<State>) -> Vec<State> {
        let mut i = 0;
        while i < seen.len() {
            for event in Event::ALL {
                if let Step::To(to) = step(seen[i], event)
                    && !seen.contains(&to)
                {
                    seen.push(to);
                }
            }
            i += 1;
        }
        seen
    }

    #[test]
    fn every_state_is_reached_from_an_opening() {
        let seen = reachable(openings().iter().map(first_state).collect());
        assert!(State::ALL.iter().all(|state| seen.contains(state)), "{seen:?}");
    }

    #[test]
    fn open_states_can_close_and_closed_ones_stay() {
        each(|from, event, step| {
            if let Step::To(_) = step
                && from.is_final()
            {
                assert_eq!((from, event), (State::Delivered, Event::Reverse));
            }
        });
        for start in State::ALL.into_iter().filter(|s| !s.is_final()) {
            let seen = reachable(vec![start]);
            assert!(
                seen.contains(&State::Delivered)
                    && (seen.contains(&State::Failed) || seen.contains(&State::Rejected))
            );
        }
    }

    fn outcomes() -> Vec<Outcome> {
        let text = String::new;
        vec![
            Outcome::Answered(Answer::Delivered {
                reference: None,
                text: None,
                slip: None,
                cost: None,
            }),
            Outcome::Answered(Answer::Accepted { reference: None }),
            Outcome::Answered(Answer::Refused { reason: text(), try_elsewhere: false }),
            Outcome::Answered(Answer::Refused { reason: text(), try_elsewhere: true }),
            Outcome::Answered(Answer::RefusedAsRepeat { reason: text() }),
            Outcome::Answered(Answer::Unknown { reason: text() }),
            Outcome::Answered(Answer::Unclear { reference: None, reason: text() }),
            Outcome::Answered(Answer::Unaskable { reason: text() }),
            Outcome::NotSent { reason: text() },
            Outcome::NotFound,
            Outcome::Reversed { reason: text() },
        ]
    }

    #[test]
    fn no_outcome_is_impossible() {
        for outcome in &outcomes() {
            for bits in 0..16_usize {
                let is = |bit: usize| bits & (1 << bit) != 0;
                let (is_current, routes_left) = (is(0), usize::from(is(1)));
                let (grace_is_over, is_repeat) = (is(2), is(3));
                let context = OutcomeContext { is_current, grace_is_over, is_repeat, routes_left };
                for state in State::ALL {
                    // An outcome is about an attempt: before Held there is none, and in Held none
                    // is current.
                    let has_attempt = !matches!(state, State::Quoted | State::Awaiting);
                    if !has_attempt
                        || (is_current && matches!(state, State::Held | State::Rejected))
                    {
                        continue;
                    }
                    if let Some(event) = event_of(outcome, context) {
                        assert_ne!(step(state, event), Step::Impossible, "{state:?} {event:?}");
                    }
                }
            }
        }
    }

    proptest! {
        /// For any sequence of events: the money is where the state says, it leaves the wallet
        /// once and returns at most once.
        #[test]
        fn any_history_is_sound(
            opening in 0..3_usize,
            events in proptest::collection::vec(0..Event::ALL.len(), 0..60),
        ) {
            let is_in_wallet = |state: State| state.funds_at() == FundsAt::Wallet;
            let mut state = first_state(&openings()[opening]);
            let mut left_wallet = u32::from(!is_in_wallet(state));
            let mut came_back = 0;
            for event in events.into_iter().map(|i| Event::ALL[i]) {
                if let Step::To(to) = step(state, event) {
                    left_wallet += u32::from(is_in_wallet(state) && !is_in_wallet(to));
                    came_back += u32::from(!is_in_wallet(state) && is_in_wallet(to));
                    state = to;
                }
            }
            prop_assert!(left_wallet <= 1 && came_back <= left_wallet);
            prop_assert_eq!(left_wallet > came_back, state.funds_at() != FundsAt::Wallet);
        }
    }
}
