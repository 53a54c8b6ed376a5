//! Decides one step of one purchase: from what it is and what happened, to everything one commit
//! must write.
//!
//! The next state comes from the table, the journal and the job from the state. Not here: writing
//! (store) and learning what happened (engine). Invariant: nothing else makes a [`Move`].

use crate::clock::Timestamp;
use crate::ledger::journal::Journal;
use crate::purchase::lifecycle::{self, Event, Job, State, Step};
use crate::purchase::slip::Slip;
use crate::purchase::{Attempt, Decider, Purchase};
use crate::upstream::UpstreamCode;
use crate::webhook::schedule::PendingWebhook;
use std::sync::Arc;
use std::time::Duration;

/// An upstream answers within this, or its answer is unknown (RELIABILITY 1.4, rule 9).
pub const SUBMIT_WITHIN: Duration = Duration::from_secs(20);
/// An attempt without an outcome is asked about after this: longer than [`SUBMIT_WITHIN`], so that
/// nobody asks while the call is still out.
pub const ASK_AFTER: Duration = Duration::from_secs(25);
/// Staff decide, or the customer accepts approval's end, within this.
pub const APPROVE_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// A quote holds this long (CONTRACT B-11).
pub const QUOTE_HOLDS: Duration = Duration::from_secs(15 * 60);
/// Whoever has a purchase held sends it too; if that did not happen within this, a worker does.
pub const SENT_BY_ASKER_WITHIN: Duration = Duration::from_secs(5);
/// After this much doubt, staff are called; asking goes on, slowly.
pub const DOUBT_BEFORE_STAFF: Duration = Duration::from_secs(24 * 3600);

/// How long to wait before asking again, after `tries` enquiries (RELIABILITY 1.4, rule 5).
pub const fn ask_again_after(tries: u32) -> Duration {
    Duration::from_secs(match tries {
        0 => 5,
        1 => 15,
        2 => 60,
        3..=7 => 5 * 60,
        _ => 30 * 60,
    })
}

/// Who says that something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream, about one attempt.
    Upstream {
        /// Which attempt.
        attempt: u32,
        /// At which upstream.
        upstream: UpstreamCode,
    },
    /// Staff, by name.
    Staff(String),
    /// The account itself.
    Owner,
    /// A deadline of ours.
    Clock,
}

impl Source {
    /// For records: `upstream simulator-a`, `staff rahim@…`.
    pub fn label(&self) -> String {
        match self {
            Source::Upstream { upstream, .. } => format!("upstream {upstream}"),
            Source::Staff(name) => format!("staff {name}"),
            Source::Owner => "owner".to_owned(),
            Source::Clock => "clock".to_owned(),
        }
    }

    /// Which attempt it is about, if it is about one.
    pub const fn attempt(&self) -> Option<u32> {
        match self {
            Source::Upstream { attempt, .. } => Some(*attempt),
            Source::Staff(_) | Source::Owner | Source::Clock => None,
        }
    }
}

/// What somebody said happened: kept with the decision it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who.
    pub source: Source,
    /// One word: an outcome's code, or staff's verb.
    pub word: String,
    /// What came with it.
    pub text: Option<String>,
    /// The upstream's own number.
    pub upstream_reference: Option<String>,
    /// What came with it for the end customer to keep.
    pub slip: Option<Box<Slip>>,
}

impl Proof {
    /// Somebody's bare word.
    pub fn new(source: Source, word: &str) -> Proof {
        Proof { source, word: word.to_owned(), text: None, upstream_reference: None, slip: None }
    }

    /// With what came with it.
    pub fn saying(self, text: &str) -> Proof {
        Proof { text: Some(text.to_owned()), ..self }
    }
}

/// What the step does to the attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptChange {
    /// A new one goes on record.
    Start(Attempt),
    /// A word about one is kept with it.
    Heard {
        /// Which.
        number: u32,
        /// What was said.
        proof: Proof,
    },
}

/// Everything one commit writes for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// From which version; another one means that somebody else was faster.
    pub from_version: u32,
    /// From which state.
    pub from: State,
    /// The purchase as it will be.
    pub after: Purchase,
    /// The money that moves.
    pub journal: Option<Journal>,
    /// The attempt that starts or was heard of.
    pub attempt: Option<AttemptChange>,
    /// The job that is owed, and when. `Tell` is the event itself.
    pub job: (Job, Timestamp),
    /// What staff must look into.
    pub case: Option<Case>,
    /// What is kept as evidence, for steps that no attempt's row records.
    pub evidence: Option<Proof>,
    /// What the end customer keeps of it.
    pub slip: Option<Box<Slip>>,
    /// What its account's servers are told of it.
    pub webhooks: Vec<Arc<PendingWebhook>>,
}

/// Something that staff must look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Why.
    pub why: CaseKind,
    /// What was said.
    pub proof: Proof,
}

/// Why staff are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseKind {
    /// The world contradicts our books.
    Clash,
    /// Nobody can tell what became of it.
    Doubt,
}

impl CaseKind {
    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            CaseKind::Clash => "clash",
            CaseKind::Doubt => "doubt",
        }
    }
}

/// What comes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Write this.
    Move(Box<Move>),
    /// Nothing new.
    Stay,
    /// Keep this and call staff; no money moves.
    Clash(Case),
    /// Impossible in this state.
    Never,
}

/// When the job of a state is due, counted from the step into it.
pub fn due(state: State, now: Timestamp) -> (Job, Timestamp) {
    let wait = match state {
        State::Quoted => QUOTE_HOLDS,
        State::Awaiting => APPROVE_WITHIN,
        State::Sent => ASK_AFTER,
        State::InDoubt => ask_again_after(0),
        State::WithStaff => ask_again_after(u32::MAX),
        State::Held | State::Delivered | State::Failed | State::Rejected | State::Refunded => {
            Duration::ZERO
        }
    };
    (state.owes(), now.after(wait))
}

/// When the job is due that a state owes after this very event.
fn due_after(event: Event, to: State, now: Timestamp) -> (Job, Timestamp) {
    match (event, to) {
        (Event::Authorise, State::Held) => (to.owes(), now.after(SENT_BY_ASKER_WITHIN)),
        (_, to) => due(to, now),
    }
}

/// Decides what `event` does to `purchase`. `proof` says who says so; for `Submit` its source
/// names the upstream and the number of the attempt that starts.
pub fn decide(purchase: &Purchase, event: Event, proof: Proof, now: Timestamp) -> Decided {
    let to = match lifecycle::step(purchase.state, event) {
        Step::To(to) => to,
        Step::Stay => return Decided::Stay,
        Step::Never => return Decided::Never,
        Step::Clash => {
            return Decided::Clash(Case { why: CaseKind::Clash, proof });
        }
    };
    let mut after = purchase.clone();
    after.state = to;
    after.version += 1;
    after.updated_at = now;
    let attempt = follow_source(&mut after, event, &proof, now);
    if to == State::Delivered {
        after.delivered_at = Some(now);
        // Only an operator's own words are shown to customers, never staff's evidence.
        after.text = proof.text.clone().filter(|_| proof.source.attempt().is_some());
    }
    if to.is_final() {
        after.decider = Some(decider(purchase, &proof));
    }
    if event == Event::Approve {
        after.decider = Some(Decider::Staff);
    }
    let float = after.upstream.clone().unwrap_or_else(UpstreamCode::staff);
    let journal = Journal::of_step(&after, &float, purchase.state.rests(), to.rests());
    let case =
        (to == State::WithStaff).then(|| Case { why: CaseKind::Doubt, proof: proof.clone() });
    let slip = proof.slip.clone();
    let evidence = attempt.is_none().then_some(proof);
    Decided::Move(Box::new(Move {
        from_version: purchase.version,
        from: purchase.state,
        job: due_after(event, to, now),
        after,
        journal,
        attempt,
        case,
        evidence,
        slip,
        webhooks: Vec::new(),
    }))
}

/// Who decided: staff if they say so now, or let it go out before.
const fn decider(before: &Purchase, proof: &Proof) -> Decider {
    match (&proof.source, before.decider) {
        (Source::Staff(_), _) | (_, Some(Decider::Staff)) => Decider::Staff,
        (Source::Upstream { .. } | Source::Owner | Source::Clock, Some(Decider::Auto) | None) => {
            Decider::Auto
        }
    }
}

/// Records which upstream counts, and what happens to its attempt.
fn follow_source(
    after: &mut Purchase,
    event: Event,
    proof: &Proof,
    now: Timestamp,
) -> Option<AttemptChange> {
    match &proof.source {
        Source::Upstream { attempt, upstream } if event == Event::Submit => {
            after.attempts = *attempt;
            after.upstream = Some(upstream.clone());
            Some(AttemptChange::Start(Attempt {
                number: *attempt,
                upstream: upstream.clone(),
                started_at: now,
                outcome: None,
                upstream_reference: None,
                text: None,
            }))
        }
        Source::Upstream { attempt, upstream } => {
            after.upstream = Some(upstream.clone());
            Some(AttemptChange::Heard { number: *attempt, proof: proof.clone() })
        }
        Source::Staff(_) | Source::Owner | Source::Clock => None,
    }
}

/// The rest of a new purchase: which journal and job it opens with. Opened as `Sent`, it carries
/// its first attempt, which is on record before the first byte goes out.
pub fn open(purchase: Purchase, now: Timestamp) -> Move {
    let float = purchase.upstream.clone().unwrap_or_else(UpstreamCode::staff);
    let journal =
        Journal::of_step(&purchase, &float, State::Quoted.rests(), purchase.state.rests());
    let attempt = purchase.upstream.clone().map(|upstream| {
        AttemptChange::Start(Attempt {
            number: purchase.attempts,
            upstream,
            started_at: now,
            outcome: None,
            upstream_reference: None,
            text: None,
        })
    });
    Move {
        from_version: 0,
        from: State::Quoted,
        job: due(purchase.state, now),
        after: purchase,
        journal,
        attempt,
        case: None,
        evidence: None,
        slip: None,
        webhooks: Vec::new(),
    }
}
