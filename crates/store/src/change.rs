//! What the writer can be asked, and what it answers.
//!
//! A change is admitted whole or not at all. Not here: how it is written (`writer/`).

use crate::accounts::User;
use crate::archive::{ArchiveChange, ArchiveDone};
use crate::calls::CallGrant;
use crate::halts::HaltChange;
use crate::people::{PeopleChange, PeopleDone};
use crate::purchases::DueJob;
use crate::webhooks::{DuePush, DueWebhook, Endpoint, EndpointChange, PushChange, WebhookChange};
use domain::{
    Account, AccountId, Case, CaseKind, Category, Country, Currency, Environment, Journal, Key,
    Move, Needs, Operator, PriceRule, Product, Proof, Purchase, PurchaseId, PurchaseKey,
    PurchaseStep, ReferenceKey, Route, Slip, Timestamp, UpstreamCode,
};
use std::time::Duration;

/// One change to be committed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A purchase that opens: references, purchase, hold, first attempt, job.
    Open {
        /// The references that name it; all must be free. The first is the purchase's own.
        reference_keys: Vec<ReferenceKey>,
        /// The digest of the request, kept with the references.
        digest: Option<[u8; 32]>,
        /// The purchase and everything that is written with it.
        opening: Box<Move>,
    },
    /// A purchase's next step: state by compare-and-swap, journal, attempt, job, event.
    Step(Box<Move>),
    /// Money paid in or out.
    PostJournal(Box<Posting>),
    /// Evidence that moves nothing; with a case if staff must look into it.
    KeepEvidence {
        /// The purchase that the evidence is about.
        key: PurchaseKey,
        /// The evidence.
        proof: Proof,
        /// The case that opens for staff.
        case: Option<Case>,
        /// When the evidence came in.
        at: Timestamp,
    },
    /// Closes a purchase's case, with what was found.
    CloseCase {
        /// The purchase of the case.
        key: PurchaseKey,
        /// The kind of the case: a purchase has at most one open case of each kind.
        why: CaseKind,
        /// Who closes it, and what was found.
        proof: Proof,
        /// When it is closed.
        at: Timestamp,
    },
    /// Leases jobs that are due: nobody else gets them before the lease ends.
    LeaseJobs {
        /// The present time.
        now: Timestamp,
        /// The duration of the lease.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// Puts off a leased job; does nothing if it was leased again since, or is done.
    PutOff {
        /// The job, as it was leased.
        job: DueJob,
        /// When it is due again.
        until: Timestamp,
    },
    /// Keeps a slip that an upstream gave apart from the outcome that decided.
    KeepSlip {
        /// The purchase that the slip is about.
        key: PurchaseKey,
        /// The upstream that gave it.
        upstream: UpstreamCode,
        /// The slip.
        slip: Box<Slip>,
        /// When it was given.
        at: Timestamp,
    },
    /// Removes runs whose lease has ended, if it still has, and makes everything due that no live
    /// run works on: after a start, what the process before it left.
    TakeOver {
        /// Runs whose lease was seen to have ended.
        dead: Vec<DeadRun>,
        /// Whether this run's own workers start only now: they do not work on its rows yet.
        is_start: bool,
        /// The present time.
        now: Timestamp,
    },
    /// Takes calls of an account's minute in advance, counted over all nodes.
    GrantCalls {
        /// The caller.
        account: AccountId,
        /// The environment that is called.
        environment: Environment,
        /// Calls a minute.
        limit: u32,
        /// How many calls are wanted.
        calls: u32,
        /// How many of the calls taken before were not made.
        unused: u32,
        /// The second in which those were taken.
        taken_s: u64,
        /// The present time, in seconds.
        now_s: u64,
    },
    /// Keeps the first response to a request with an idempotency key.
    KeepResponse {
        /// The key, used up by its purchase.
        reference: ReferenceKey,
        /// The HTTP status.
        status: u16,
        /// The body, to the byte.
        body: String,
    },
    /// A change of pushes to devices.
    Push(PushChange),
    /// A change of webhooks to accounts' servers.
    Webhook(WebhookChange),
    /// A change of endpoints and of their addresses' health.
    Endpoint(EndpointChange),
    /// Sets rows that are not money, each made or replaced whole: all of them or none.
    Set(Vec<Setting>),
    /// A change of consumers' logins.
    People(PeopleChange),
    /// Begins or ends a halt.
    Halt(HaltChange),
    /// A change of months that are over.
    Archive(ArchiveChange),
}

/// A node's run whose lease has ended, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadRun {
    /// The run's number.
    pub run: i64,
    /// When its lease ended, by the database's clock. A run that has renewed it since is alive.
    pub lease_until: i64,
}

/// Money paid into or out of a wallet.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The movement of money.
    pub journal: Journal,
    /// Staff's own reference: the same payment is never booked twice.
    pub reference: ReferenceKey,
    /// Who booked it and why.
    pub note: String,
    /// When it is booked.
    pub at: Timestamp,
}

/// A row that is not money.
#[derive(Clone, Debug)]
pub enum Setting {
    /// An account.
    Account(Account),
    /// A login.
    User(User),
    /// A wallet: three ledger accounts of an account.
    Wallet(AccountId, Environment, Currency),
    /// A key pair, and when it was made.
    Key(Key, Timestamp),
    /// An endpoint that events are sent to.
    Endpoint(Endpoint),
    /// The tag of the master key; the first one stays.
    MasterKey([u8; 32]),
    /// A country.
    Country(Country),
    /// An operator.
    Operator(Operator),
    /// A category of products.
    Category(Category),
    /// A product.
    Product(Product),
    /// A price rule.
    Price(PriceRule),
    /// A route.
    Route(Route),
}

impl Setting {
    /// The topic under which other nodes are notified of it; `None`: they are not.
    pub(crate) const fn topic(&self) -> Option<&'static str> {
        match self {
            Setting::Country(_)
            | Setting::Operator(_)
            | Setting::Category(_)
            | Setting::Product(_)
            | Setting::Price(_)
            | Setting::Route(_) => Some("catalog"),
            Setting::Account(_) | Setting::Key(..) => Some("keys"),
            Setting::User(_)
            | Setting::Wallet(..)
            | Setting::Endpoint(_)
            | Setting::MasterKey(_) => None,
        }
    }
}

/// What the writer answers once a change is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The purchase is open.
    Opened {
        /// The wallet's available minor units right after the hold.
        available_after: i64,
    },
    /// The change is written; there is nothing more to report.
    Written,
    /// The journal is posted.
    Posted {
        /// The wallet's available minor units right after.
        available_after: i64,
    },
    /// How many calls may be made.
    Calls(CallGrant),
    /// The jobs that were leased.
    Leased(Vec<DueJob>),
    /// The pushes that were leased.
    Pushes(Vec<DuePush>),
    /// The webhooks that were leased.
    Webhooks(Vec<DueWebhook>),
    /// How many rows were changed.
    Counted(usize),
    /// The result of a change of logins.
    People(PeopleDone),
    /// The result of a change of months.
    Archive(ArchiveDone),
}

/// What decides whether a change is admitted.
#[derive(Default)]
pub(crate) struct Admission<'a> {
    /// What must be true for it, for [`domain::ledger::admission::admit`].
    pub(crate) needs: Needs<'a>,
    /// The purchase whose history it changes. It is refused if that purchase's month is closed.
    /// Jobs, leases and webhooks are not history.
    pub(crate) purchase: Option<PurchaseId>,
    /// The time of its journal, if it has one.
    pub(crate) moves_at: Option<Timestamp>,
}

impl<'a> Admission<'a> {
    fn of_move(
        reference_keys: &'a [ReferenceKey],
        step: &'a Move,
        from_version: Option<u32>,
    ) -> Admission<'a> {
        let Purchase { key, state, version, updated_at, .. } = step.after;
        let to = (state, version);
        let journal = step.journal.as_ref();
        let step = Some(PurchaseStep { key, from_version, to });
        let needs = Needs { reference_keys, step, journal };
        Admission { needs, purchase: Some(key.id), moves_at: Some(updated_at) }
    }
}

impl Change {
    /// Whether it may be in an optimistic batch: everything that it relies on is in its
    /// [`Admission::needs`], and the database rejects its rows if any of that does not hold, such
    /// as a reference that is used up or a version that has passed.
    pub(crate) const fn can_be_optimistic(&self) -> bool {
        // Counts of calls are cached as balances are.
        matches!(
            self,
            Change::Open { .. }
                | Change::Step(_)
                | Change::PostJournal(_)
                | Change::GrantCalls { .. }
        )
    }

    /// What decides whether it is admitted.
    pub(crate) fn admission(&self) -> Admission<'_> {
        match self {
            Change::Open { reference_keys, opening, .. } => {
                Admission::of_move(reference_keys, opening, None)
            }
            Change::Step(step) => Admission::of_move(&[], step, Some(step.from_version)),
            Change::PostJournal(posting) => {
                let reference_keys = std::slice::from_ref(&posting.reference);
                let journal = Some(&posting.journal);
                let needs = Needs { reference_keys, step: None, journal };
                Admission { needs, purchase: None, moves_at: Some(posting.at) }
            }
            Change::KeepEvidence { key, .. }
            | Change::CloseCase { key, .. }
            | Change::KeepSlip { key, .. }
            | Change::Push(PushChange::Resend { key, .. }) => {
                Admission { purchase: Some(key.id), ..Admission::default() }
            }
            Change::LeaseJobs { .. }
            | Change::PutOff { .. }
            | Change::TakeOver { .. }
            | Change::GrantCalls { .. }
            | Change::KeepResponse { .. }
            | Change::Push(
                PushChange::Lease { .. } | PushChange::End(_) | PushChange::PutOff { .. },
            )
            | Change::Webhook(_)
            | Change::Endpoint(_)
            | Change::Set(_)
            | Change::People(_)
            | Change::Halt(_)
            | Change::Archive(_) => Admission::default(),
        }
    }
}
