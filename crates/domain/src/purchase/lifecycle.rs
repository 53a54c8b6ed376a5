//! The life of a purchase: ten states, fifteen events, one table.
//!
//! A state says two things: where the money rests, and which job is owed. A step names only the
//! next state; the journal and the job follow from it and are never chosen by hand. Invariant:
//! doubt never moves money, and after a submit is on record nothing sends it again.

use crate::upstream::Outcome;

/// Where a purchase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Priced, with an expiry; no money is touched.
    Quoted,
    /// Money is held; staff must approve before anything is sent, or deliver by hand.
    Awaiting,
    /// Money is held; no upstream has the order.
    Held,
    /// An attempt is on record, so an upstream may have the order.
    Sent,
    /// The attempt's end is unknown; only the upstream's answer or staff with evidence settle it.
    InDoubt,
    /// As in doubt, and the upstream cannot or does not tell: a case for staff is open.
    WithStaff,
    /// Delivered, confirmed by the upstream or by staff with evidence.
    Delivered,
    /// Nothing was delivered; the money is back.
    Failed,
    /// Called off before anything was sent; the money is back (or never left).
    Rejected,
    /// It was delivered and then undone; the money is back by a new entry.
    Refunded,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The customer accepted the quote: hold the money.
    Authorise,
    /// The customer accepted the quote, and staff must approve: hold the money.
    Refer,
    /// Staff let it go out to the upstream.
    Approve,
    /// Staff, or its owner, called it off.
    Reject,
    /// The time to accept, approve or send is over.
    Expire,
    /// A worker recorded an attempt and is about to call the upstream.
    Submit,
    /// The upstream has the order and is working on it.
    Pend,
    /// The upstream, or staff with evidence, say delivered.
    Deliver,
    /// Refused for good: no other route remains.
    Refuse,
    /// Refused here, and another route remains.
    Reroute,
    /// No answer, or one we cannot read.
    LoseTrack,
    /// Asking leads nowhere: staff must find out.
    GiveUp,
    /// An attempt we had given up turned out delivered.
    Straggle,
    /// The upstream or staff took it back.
    Reverse,
    /// Staff deny delivery, with evidence.
    Deny,
}

/// What the table answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take the state, move the money if it rests elsewhere, owe the state's job.
    To(State),
    /// Nothing new: a repeat, or asked too late. The job already owed stays owed.
    Stay,
    /// The outside world contradicts our books: nothing moves, staff are called.
    Clash,
    /// Asked of a purchase that this cannot happen to: refuse the asker, or raise an alarm.
    Never,
}

/// THE table. A new state or event does not compile until every pair is answered.
#[rustfmt::skip]
pub const fn step(state: State, event: Event) -> Step {
    use {Event::*, State::*, Step::*};
    match (state, event) {
        (Quoted,    Authorise)                 => To(Held),
        (Quoted,    Refer)                     => To(Awaiting),
        (Quoted,    Reject | Expire)           => To(Rejected),
        (Quoted,    Approve | Submit | Pend | Deliver | Refuse | Reroute | LoseTrack | GiveUp
                  | Straggle | Reverse | Deny) => Never,

        (Awaiting,  Approve)                   => To(Held),
        (Awaiting,  Reject | Expire | Deny)    => To(Rejected),
        (Awaiting,  Deliver)                   => To(Delivered), // by hand, with evidence
        (Awaiting,  Authorise | Refer)         => Stay,
        (Awaiting,  Submit | Pend | Refuse | Reroute | LoseTrack | GiveUp | Straggle
                  | Reverse)                   => Never,

        (Held,      Submit)                    => To(Sent),
        (Held,      Reject | Expire)           => To(Rejected),
        (Held,      Refuse)                    => To(Failed),    // every route is gone
        (Held,      Straggle)                  => To(Delivered), // no later attempt is out yet
        (Held,      Authorise | Refer | Approve)       => Stay,
        (Held,      Pend | Deliver | Reroute | LoseTrack | GiveUp | Reverse | Deny) => Never,

        (Sent,      Authorise | Refer | Approve | Pend | Reject | Expire) => Stay,
        (Sent,      Deliver)                   => To(Delivered),
        (Sent,      Refuse | Reverse)          => To(Failed),
        (Sent,      Reroute)                   => To(Held),
        (Sent,      LoseTrack)                 => To(InDoubt),
        (Sent,      GiveUp)                    => To(WithStaff),
        (Sent,      Straggle)                  => Clash,         // two upstreams may deliver
        (Sent,      Submit | Deny)             => Never,

        (InDoubt,   Pend)                      => To(Sent),
        (InDoubt,   Deliver)                   => To(Delivered),
        (InDoubt,   Refuse | Reverse | Deny)   => To(Failed),
        (InDoubt,   Reroute)                   => To(Held),
        (InDoubt,   Authorise | Refer | Approve | LoseTrack | Reject | Expire) => Stay,
        (InDoubt,   GiveUp)                    => To(WithStaff),
        (InDoubt,   Straggle)                  => Clash,
        (InDoubt,   Submit)                    => Never,

        (WithStaff, Deliver)                   => To(Delivered),
        (WithStaff, Refuse | Reverse | Deny)   => To(Failed),
        (WithStaff, Reroute)                   => To(Held),
        (WithStaff, Authorise | Refer | Approve | Pend | LoseTrack | GiveUp | Reject | Expire) => Stay,
        (WithStaff, Straggle)                  => Clash,
        (WithStaff, Submit)                    => Never,

        (Delivered, Reverse)                   => To(Refunded),
        (Delivered, Authorise | Refer | Approve | Deliver | Pend | LoseTrack | GiveUp | Reject | Expire) => Stay,
        (Delivered, Refuse | Reroute | Straggle) => Clash,
        (Delivered, Submit | Deny)             => Never,

        (Failed,    Authorise | Refer | Refuse | Reroute | Reverse | Deny | Pend | LoseTrack | GiveUp | Reject
                  | Expire)                    => Stay,
        (Failed,    Deliver | Straggle)        => Clash,         // we already gave the money back
        (Failed,    Submit | Approve)          => Never,

        (Rejected,  Reject | Expire | Deny | Refuse | Reroute | Reverse | Pend | LoseTrack | GiveUp) => Stay,
        (Rejected,  Straggle)                  => Clash,
        (Rejected,  Authorise | Refer | Approve | Submit | Deliver) => Never,

        (Refunded,  Authorise | Refer | Reverse | Refuse | Reroute | Pend | LoseTrack | GiveUp | Reject | Expire
                  | Deliver)                   => Stay,
        (Refunded,  Straggle)                  => Clash,
        (Refunded,  Submit | Approve | Deny)   => Never,
    }
}

/// Where the money rests. The journal of a step moves it from one place to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With its owner, free to spend.
    Wallet,
    /// Set aside for the purchase.
    Hold,
    /// The upstream's, and our fee.
    Spent,
}

/// The one job owed. A purchase that holds money always owes a job, so it cannot be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// End it when its time is over.
    Expire,
    /// Record an attempt and call the upstream.
    Submit,
    /// Ask the upstream what became of the attempt.
    Query,
    /// Tell the account: the event in the outbox is this job.
    Tell,
}

impl State {
    /// Each.
    pub const ALL: [State; 10] = [
        State::Quoted,
        State::Awaiting,
        State::Held,
        State::Sent,
        State::InDoubt,
        State::WithStaff,
        State::Delivered,
        State::Failed,
        State::Rejected,
        State::Refunded,
    ];

    /// Where the money rests.
    pub const fn rests(self) -> Place {
        match self {
            State::Awaiting | State::Held | State::Sent | State::InDoubt | State::WithStaff => {
                Place::Hold
            }
            State::Delivered => Place::Spent,
            State::Quoted | State::Failed | State::Rejected | State::Refunded => Place::Wallet,
        }
    }

    /// Which job is owed.
    pub const fn owes(self) -> Job {
        match self {
            State::Quoted | State::Awaiting => Job::Expire,
            State::Held => Job::Submit,
            // Never Submit: a crash must not send twice.
            State::Sent | State::InDoubt | State::WithStaff => Job::Query,
            State::Delivered | State::Failed | State::Rejected | State::Refunded => Job::Tell,
        }
    }

    /// Whether the account has been told a last word (which only a reversal may change).
    pub const fn is_final(self) -> bool {
        matches!(self.owes(), Job::Tell)
    }

    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            State::Quoted => "quoted",
            State::Awaiting => "awaiting",
            State::Held => "held",
            State::Sent => "sent",
            State::InDoubt => "in_doubt",
            State::WithStaff => "with_staff",
            State::Delivered => "delivered",
            State::Failed => "failed",
            State::Rejected => "rejected",
            State::Refunded => "refunded",
        }
    }

    /// Reads [`State::code`].
    pub fn from_code(code: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.code() == code)
    }
}

impl Job {
    /// Each.
    pub const ALL: [Job; 4] = [Job::Expire, Job::Submit, Job::Query, Job::Tell];

    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            Job::Expire => "expire",
            Job::Submit => "submit",
            Job::Query => "query",
            Job::Tell => "tell",
        }
    }

    /// Reads [`Job::code`].
    pub fn from_code(code: &str) -> Option<Job> {
        Job::ALL.into_iter().find(|j| j.code() == code)
    }
}

impl Event {
    /// Each.
    pub const ALL: [Event; 15] = [
        Event::Authorise,
        Event::Refer,
        Event::Approve,
        Event::Reject,
        Event::Expire,
        Event::Submit,
        Event::Pend,
        Event::Deliver,
        Event::Refuse,
        Event::Reroute,
        Event::LoseTrack,
        Event::GiveUp,
        Event::Straggle,
        Event::Reverse,
        Event::Deny,
    ];
}

/// What is known of the attempt that an upstream's word is about.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The purchase's latest attempt, and still out.
    pub is_current: bool,
    /// The upstream has had time to know what it was sent, so that "not found" counts.
    pub grace_is_over: bool,
    /// Upstreams of the route that were not tried yet.
    pub routes_left: usize,
}

/// Reads an upstream's word about one attempt. `None`: no news.
pub const fn event_of(outcome: &Outcome, standing: Standing) -> Option<Event> {
    if !standing.is_current {
        return match outcome {
            Outcome::Delivered { .. } => Some(Event::Straggle),
            Outcome::Accepted { .. }
            | Outcome::Refused { .. }
            | Outcome::NotSent { .. }
            | Outcome::NotFound
            | Outcome::Reversed { .. }
            | Outcome::Unknown { .. }
            | Outcome::Unaskable { .. } => None,
        };
    }
    let elsewhere = if standing.routes_left > 0 { Event::Reroute } else { Event::Refuse };
    Some(match outcome {
        Outcome::Delivered { .. } => Event::Deliver,
        Outcome::Accepted { .. } => Event::Pend,
        Outcome::Refused { try_elsewhere: false, .. } => Event::Refuse,
        Outcome::Refused { try_elsewhere: true, .. } | Outcome::NotSent { .. } => elsewhere,
        // An upstream may not know yet what it was just sent.
        Outcome::NotFound if !standing.grace_is_over => Event::LoseTrack,
        Outcome::NotFound => elsewhere,
        Outcome::Reversed { .. } => Event::Reverse,
        Outcome::Unknown { .. } => Event::LoseTrack,
        Outcome::Unaskable { .. } => Event::GiveUp,
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

    /// docs/lifecycle.md is this table; `UPDATE_EXPECT=1 cargo test -p domain` prints it anew.
    #[test]
    fn the_grid_in_the_documentation_is_the_table() {
        let mut out = String::from(
            "# The life of a purchase\n\nPrinted by a test from `crates/domain/src/lifecycle.rs`; do not edit by hand.\n\n\
             A row is a state, a column an event, a cell the next state. `·` nothing new, **clash** the world contradicts the\n\
             books (nothing moves, a case for staff opens), blank: cannot happen, and whoever asks is refused.\n\n| state | money rests | job owed |",
        );
        for event in Event::ALL {
            out += &format!(" {event:?} |");
        }
        out += &format!("\n{}\n", "|---".repeat(Event::ALL.len() + 3) + "|");
        for state in State::ALL {
            out += &format!("| **{state:?}** | {:?} | {:?} |", state.rests(), state.owes());
            for event in Event::ALL {
                out += &match step(state, event) {
                    Step::To(to) => format!(" {to:?} |"),
                    Step::Stay => " · |".into(),
                    Step::Clash => " **clash** |".into(),
                    Step::Never => "  |".into(),
                };
            }
            out += "\n";
        }
        out += "\n## Rules that the tests hold it to\n\n\
                * Money moves only on a certain word: an upstream's or staff's, an owner's, or the clock's before anything was sent.\n\
                * The account is told exactly when a purchase closes, and again when it is reversed.\n\
                * Money that is held always owes a job, so a worker comes for it.\n\
                * Only a reversal leaves a closed state, and every open state can close both ways.\n\
                * No word of an upstream, about any attempt, in any state it can meet, is refused as impossible.\n\
                * Nothing leads from an attempt on record to a second submit but a definite refusal.\n";
        expect_file!["../../../docs/lifecycle.md"].assert_eq(&out);
    }

    #[test]
    fn doubt_never_moves_money() {
        each(|from, event, step| {
            if let Step::To(to) = step {
                let is_doubt = matches!(
                    event,
                    Event::Submit
                        | Event::Pend
                        | Event::Reroute
                        | Event::LoseTrack
                        | Event::GiveUp
                        | Event::Approve
                );
                assert!(from.rests() == to.rests() || !is_doubt, "{from:?} {event:?}");
            }
        });
    }

    /// The clock may end what nobody sent; it never decides what became of something sent.
    #[test]
    fn the_clock_decides_nothing_that_was_sent() {
        for state in [State::Sent, State::InDoubt, State::WithStaff, State::Delivered] {
            assert_eq!(step(state, Event::Expire), Step::Stay);
            assert_eq!(step(state, Event::Reject), Step::Stay);
        }
    }

    #[test]
    fn the_account_is_told_exactly_when_it_closes_or_is_reversed() {
        each(|from, event, step| {
            if let Step::To(to) = step {
                let closes = !from.is_final() && to.is_final();
                let reverses = (from, to) == (State::Delivered, State::Refunded);
                assert_eq!(closes || reverses, to.owes() == Job::Tell, "{from:?} {event:?}");
            }
        });
    }

    #[test]
    fn held_money_is_never_forgotten() {
        for state in State::ALL {
            assert!(state.rests() != Place::Hold || state.owes() != Job::Tell, "{state:?}");
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

    #[test]
    fn open_closes_and_closed_stays() {
        each(|from, event, step| {
            if let Step::To(_) = step
                && from.is_final()
            {
                assert_eq!((from, event), (State::Delivered, Event::Reverse));
            }
        });
        for start in State::ALL.into_iter().filter(|s| !s.is_final()) {
            let mut seen = vec![start];
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
            assert!(
                seen.contains(&State::Delivered)
                    && (seen.contains(&State::Failed) || seen.contains(&State::Rejected))
            );
        }
    }

    fn outcomes() -> Vec<Outcome> {
        let text = String::new;
        vec![
            Outcome::Delivered { reference: None, text: None, slip: None },
            Outcome::Accepted { reference: None },
            Outcome::Refused { reason: text(), try_elsewhere: false },
            Outcome::Refused { reason: text(), try_elsewhere: true },
            Outcome::NotSent { reason: text() },
            Outcome::NotFound,
            Outcome::Reversed { reason: text() },
            Outcome::Unknown { reason: text() },
            Outcome::Unaskable { reason: text() },
        ]
    }

    #[test]
    fn no_outside_word_is_our_bug() {
        for outcome in &outcomes() {
            for (is_current, grace_is_over, routes_left) in [true, false]
                .iter()
                .flat_map(|a| [true, false].map(|b| (*a, b)))
                .flat_map(|(a, b)| [0, 1].map(|c| (a, b, c)))
            {
                let standing = Standing { is_current, grace_is_over, routes_left };
                for state in State::ALL {
                    // Words are about attempts: none was made before Held, and Held has none that is current.
                    let has_attempt = !matches!(state, State::Quoted | State::Awaiting);
                    if !has_attempt
                        || (is_current && matches!(state, State::Held | State::Rejected))
                    {
                        continue;
                    }
                    if let Some(event) = event_of(outcome, standing) {
                        assert_ne!(step(state, event), Step::Never, "{state:?} {event:?}");
                    }
                }
            }
        }
    }

    proptest! {
        /// Whatever happens in whatever order: money is where the state says it is, it is spent or
        /// returned once, and a closed purchase moves again only by a reversal.
        #[test]
        fn any_history_is_sound(events in proptest::collection::vec(0..Event::ALL.len(), 0..60)) {
            let mut state = State::Quoted;
            let mut left_wallet = 0;
            let mut came_back = 0;
            for event in events.into_iter().map(|i| Event::ALL[i]) {
                if let Step::To(to) = step(state, event) {
                    left_wallet += u32::from(state.rests() == Place::Wallet && to.rests() != Place::Wallet);
                    came_back += u32::from(state.rests() != Place::Wallet && to.rests() == Place::Wallet);
                    state = to;
                }
            }
            prop_assert!(left_wallet <= 1 && came_back <= left_wallet);
            prop_assert_eq!(left_wallet > came_back, state.rests() != Place::Wallet);
        }
    }
}
