//! Decides one step of one purchase: from its current version and an event, or from a draft and its
//! opening, to everything that the step's commit writes.
//!
//! The next state comes from the lifecycle table, journal and job follow from the state. Not here:
//! writing (store), learning of events (engine). Invariant: only this module creates a [`Move`].

use crate::clock::Timestamp;
use crate::ledger::journal::Journal;
use crate::money::Money;
use crate::purchase::lifecycle::{self, Event, FundsAt, Job, Opening, State, Step};
use crate::purchase::slip::Slip;
use crate::purchase::{Attempt, Decider, Purchase, PurchaseDraft};
use crate::retry::ENQUIRIES;
use crate::upstream::UpstreamCode;
use crate::webhook::schedule::PendingWebhook;
use std::sync::Arc;
use std::time::Duration;

/// The timeout of a submit; without an answer by then the outcome is unknown (RELIABILITY 1.4,
/// rule 9).
pub const SUBMIT_WITHIN: Duration = Duration::from_secs(20);
/// An attempt without an outcome is queried after this time. It is longer than [`SUBMIT_WITHIN`],
/// so that there is no enquiry while the submit is in flight.
pub const ASK_AFTER: Duration = Duration::from_secs(25);
/// Staff approve a purchase within this time, or it is rejected.
pub const APPROVE_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How long a quote is valid (CONTRACT B-11).
pub const QUOTE_VALID_FOR: Duration = Duration::from_secs(15 * 60);
/// The request that holds the money also submits the order; after this time a worker does it.
pub const SUBMIT_BY_REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// After this time in doubt a case for staff opens; enquiries go on, at longer intervals.
pub const DOUBT_BEFORE_STAFF: Duration = Duration::from_secs(24 * 3600);

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An upstream, about one attempt.
    Upstream {
        /// The attempt's number.
        attempt: u32,
        /// The attempt's upstream.
        upstream: UpstreamCode,
    },
    /// Staff, with the person's name.
    Staff(String),
    /// The account that buys.
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

    /// The number of the attempt that it is about, if any.
    pub const fn attempt(&self) -> Option<u32> {
        match self {
            Source::Upstream { attempt, .. } => Some(*attempt),
            Source::Staff(_) | Source::Owner | Source::Clock => None,
        }
    }
}

/// The evidence of an event; stored with the decision that it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who reported the event.
    pub source: Source,
    /// An outcome's code, or the verb of what staff or the owner did.
    pub code: String,
    /// The text that came with it: an upstream's, or staff's evidence.
    pub text: Option<String>,
    /// The upstream's own reference of the order.
    pub upstream_reference: Option<String>,
    /// The slip of a delivery.
    pub slip: Option<Box<Slip>>,
    /// What the upstream took from our float for the attempt, or gave back; none: the amount.
    pub cost: Option<Money>,
}

impl Proof {
    /// A proof without text, reference or slip.
    pub fn new(source: Source, code: &str) -> Proof {
        let (text, upstream_reference, slip, cost) = (None, None, None, None);
        Proof { source, code: code.to_owned(), text, upstream_reference, slip, cost }
    }

    /// The same proof with this text.
    pub fn with_text(self, text: &str) -> Proof {
        Proof { text: Some(text.to_owned()), ..self }
    }
}

/// What a step changes in the attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptChange {
    /// A new attempt goes on record.
    Start(Attempt),
    /// The outcome of an attempt goes on record.
    RecordOutcome {
        /// The attempt's number.
        number: u32,
        /// The outcome and its source.
        proof: Proof,
    },
}

/// Everything that one commit writes for one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The version before the step; if another one is stored, the step is denied. 0: it opens.
    pub from_version: u32,
    /// The state before the step; if it opens, the first one.
    pub from: State,
    /// The purchase after the step.
    pub after: Purchase,
    /// The money that moves.
    pub journal: Option<Journal>,
    /// The attempt that starts, or whose outcome is recorded.
    pub attempt: Option<AttemptChange>,
    /// The job that the new state requires, and when it is due. `Notify` is the event itself.
    pub job: (Job, Timestamp),
    /// The case that opens for staff.
    pub case: Option<Case>,
    /// The evidence of a step that no attempt's row records.
    pub evidence: Option<Proof>,
    /// The slip of a delivery.
    pub slip: Option<Box<Slip>>,
    /// The events of the step, one for each endpoint.
    pub webhooks: Vec<Arc<PendingWebhook>>,
}

/// Something that staff must decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Clash or doubt.
    pub why: CaseKind,
    /// The evidence of the event that opened it.
    pub proof: Proof,
}

/// Why a case opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseKind {
    /// An upstream's outcome contradicts the ledger.
    Clash,
    /// No enquiry can tell the outcome.
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

/// The result of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A step to write.
    Move(Box<Move>),
    /// Nothing changes.
    Stay,
    /// A case for staff opens; no money moves.
    Clash(Case),
    /// The event cannot happen in this state.
    Impossible,
}

/// The job of a state, and when it is due after a step into that state.
pub fn due(state: State, now: Timestamp) -> (Job, Timestamp) {
    let wait = match state {
        State::Quoted => QUOTE_VALID_FOR,
        State::Awaiting => APPROVE_WITHIN,
        State::Sent => ASK_AFTER,
        State::InDoubt => ENQUIRIES.wait(0),
        State::WithStaff => ENQUIRIES.longest(),
        State::Held | State::Delivered | State::Failed | State::Rejected | State::Refunded => {
            Duration::ZERO
        }
    };
    (state.job(), now.after(wait))
}

/// The same, for a step that `event` caused.
fn due_after(event: Event, to: State, now: Timestamp) -> (Job, Timestamp) {
    match (event, to) {
        (Event::Authorise, State::Held) => (to.job(), now.after(SUBMIT_BY_REQUEST_WITHIN)),
        (_, to) => due(to, now),
    }
}

/// Decides what `event` does to `purchase`. For [`Event::Submit`] the source of `proof` names the
/// upstream and the number of the attempt that starts.
pub fn decide(purchase: &Purchase, event: Event, proof: Proof, now: Timestamp) -> Decision {
    let to = match lifecycle::step(purchase.state, event) {
        Step::To(to) => to,
        Step::Stay => return Decision::Stay,
        Step::Impossible => return Decision::Impossible,
        Step::Clash => {
            return Decision::Clash(Case { why: CaseKind::Clash, proof });
        }
    };
    let mut after = purchase.clone();
    after.state = to;
    after.version += 1;
    after.updated_at = now;
    let attempt = follow_source(&mut after, event, &proof, now);
    if to == State::Delivered {
        after.delivered_at = Some(now);
        // Customers are shown an upstream's text only, never staff's evidence.
        after.text = proof.text.clone().filter(|_| proof.source.attempt().is_some());
    }
    if to.is_final() {
        after.decider = Some(decider(purchase, &proof));
    }
    if event == Event::Approve {
        after.decider = Some(Decider::Staff);
    }
    let float = after.upstream.clone().unwrap_or_else(UpstreamCode::staff);
    let (from, cost) = (purchase.state.funds_at(), proof.cost);
    let journal = Journal::of_step(&after, &float, from, to.funds_at(), cost);
    let case =
        (to == State::WithStaff).then(|| Case { why: CaseKind::Doubt, proof: proof.clone() });
    let slip = proof.slip.clone();
    let evidence = attempt.is_none().then_some(proof);
    Decision::Move(Box::new(Move {
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

/// Who decided a purchase: staff if this event is theirs, or if they approved it before.
const fn decider(before: &Purchase, proof: &Proof) -> Decider {
    match (&proof.source, before.decider) {
        (Source::Staff(_), _) | (_, Some(Decider::Staff)) => Decider::Staff,
        (Source::Upstream { .. } | Source::Owner | Source::Clock, Some(Decider::Auto) | None) => {
            Decider::Auto
        }
    }
}

/// Sets the upstream of the purchase and returns the change of its attempt.
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
            Some(AttemptChange::Start(Attempt::start(*attempt, upstream.clone(), now)))
        }
        Source::Upstream { attempt, upstream } => {
            after.upstream = Some(upstream.clone());
            Some(AttemptChange::RecordOutcome { number: *attempt, proof: proof.clone() })
        }
        Source::Staff(_) | Source::Owner | Source::Clock => None,
    }
}

/// The first commit of a new purchase: its state comes from the lifecycle table, journal and job
/// follow from the state. If it opens as sent, the commit contains the first attempt: on record
/// before the first byte is sent.
pub fn open(draft: PurchaseDraft, opening: Opening) -> Move {
    let state = lifecycle::first_state(&opening);
    let now = draft.opened_at;
    let upstream = match opening {
        Opening::Sent(upstream) => Some(upstream),
        Opening::Quoted | Opening::Awaiting => None,
    };
    let attempt = upstream.clone().map(|upstream| Attempt::start(1, upstream, now));
    let float = upstream.clone().unwrap_or_else(UpstreamCode::staff);
    let after = Purchase {
        key: draft.key,
        scope: draft.scope,
        reference: draft.reference,
        api_key: draft.api_key,
        kind: draft.kind,
        operator: draft.operator,
        product: draft.product,
        recipient: draft.recipient,
        service_type: draft.service_type,
        amount: draft.amount,
        fee: draft.fee,
        commission: draft.commission,
        available_after: Money::zero(draft.amount.currency()),
        details: draft.details,
        webhook_url: draft.webhook_url,
        state,
        version: 1,
        attempts: u32::from(attempt.is_some()),
        upstream,
        text: None,
        decider: None,
        opened_at: now,
        updated_at: now,
        delivered_at: None,
    };
    let journal = Journal::of_step(&after, &float, FundsAt::Wallet, state.funds_at(), None);
    Move {
        from_version: 0,
        from: state,
        job: due(state, now),
        after,
        journal,
        attempt: attempt.map(AttemptChange::Start),
        case: None,
        evidence: None,
        slip: None,
        webhooks: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Environment};
    use crate::catalog::kind::{Kind, ServiceType};
    use crate::ids::PurchaseId;
    use crate::money::Currency;
    use crate::purchase::{Details, PurchaseKey, ReferenceScope};
    use expect_test::expect;
    use std::fmt::Write as _;

    fn draft() -> PurchaseDraft {
        let taka = |minor| Money::new(minor, Currency::BDT);
        let key = PurchaseKey {
            account: AccountId(2),
            environment: Environment::Live,
            id: PurchaseId(7),
        };
        PurchaseDraft {
            key,
            scope: ReferenceScope::Irecharge,
            reference: "R7".to_owned(),
            api_key: None,
            kind: Kind::Recharge,
            operator: "GP".to_owned(),
            product: None,
            recipient: "01712345678".to_owned(),
            service_type: ServiceType::Prepaid,
            amount: taka(1_000),
            fee: taka(50),
            commission: taka(150),
            details: Details::new(),
            webhook_url: None,
            opened_at: Timestamp(0),
        }
    }

    /// State, version, attempts, upstream; job and its wait; what is held; the attempt.
    #[test]
    fn each_opening_has_its_first_commit() {
        let mut out = String::new();
        for opening in
            [Opening::Quoted, Opening::Awaiting, Opening::Sent(UpstreamCode::new("simulator-a"))]
        {
            let Move { after, journal, job, attempt, .. } = open(draft(), opening);
            let upstream = after.upstream.as_ref().map_or("none", UpstreamCode::as_str);
            let state = (after.state, after.version, after.attempts);
            let entries = journal.map_or(0, |journal| journal.entries().len());
            let wait_s = job.1.since(after.opened_at).as_secs();
            writeln!(out, "{state:?} {upstream}, {:?} {wait_s} s, {entries} entries", job.0)
                .unwrap();
            if let Some(AttemptChange::Start(attempt)) = attempt {
                writeln!(out, "    attempt {} {}", attempt.number, attempt.upstream).unwrap();
            }
        }
        expect![[r#"
            (Quoted, 1, 0) none, Expire 900 s, 0 entries
            (Awaiting, 1, 0) none, Expire 86400 s, 1 entries
            (Sent, 1, 1) simulator-a, Query 25 s, 1 entries
                attempt 1 simulator-a
        "#]]
        .assert_eq(&out);
    }
}
