//! What the writer can be asked, and what it answers.
//!
//! A change is admitted whole or not at all. Not here: how it is written.

use crate::archive::{ArchiveChange, ArchiveDone};
use crate::calls::Allowed;
use crate::endpoints::{Endpoint, EndpointChange};
use crate::halts::HaltChange;
use crate::people::{PeopleChange, PeopleDone};
use crate::pushes::{DuePush, PushChange};
use crate::webhooks::{DueWebhook, WebhookChange};
use domain::account::{Account, AccountId, Key};
use domain::catalog::pricing::PriceRule;
use domain::catalog::product::{Category, Product};
use domain::catalog::routing::Route;
use domain::catalog::{Country, Operator};
use domain::clock::Timestamp;
use domain::ids::UserId;
use domain::ledger::admission::{Needs, PurchaseStep};
use domain::ledger::journal::Journal;
use domain::money::Currency;
use domain::purchase::lifecycle::Job;
use domain::purchase::settle::{Case, CaseKind, Move, Proof};
use domain::purchase::slip::Slip;
use domain::purchase::{PurchaseKey, ReferenceKey};
use domain::upstream::UpstreamCode;
use domain::{Environment, PurchaseId};
use std::time::Duration;

/// One change that wants into a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// A purchase that begins: references, purchase, hold, first attempt, job.
    Open {
        /// What it is named by; all must be free. The first is its own reference.
        reference_keys: Vec<ReferenceKey>,
        /// The digest of the request, kept with the references.
        digest: Option<[u8; 32]>,
        /// What is written.
        opening: Box<Move>,
    },
    /// A purchase's next step: state by compare-and-swap, journal, attempt, job, event.
    Step(Box<Move>),
    /// Money paid in or out.
    PostJournal(Box<Posting>),
    /// A word that moves nothing, kept as evidence; with a case if staff must look.
    Keep {
        /// About which purchase.
        key: PurchaseKey,
        /// What was said.
        proof: Proof,
        /// Why staff are called.
        case: Option<Case>,
        /// When.
        at: Timestamp,
    },
    /// Closes a purchase's case, with what was found.
    CloseCase {
        /// Of which purchase.
        key: PurchaseKey,
        /// Which case.
        why: CaseKind,
        /// Who closes it, and what was found.
        proof: Proof,
        /// When.
        at: Timestamp,
    },
    /// Takes jobs that are due, under a lease: nobody else gets them before it ends.
    LeaseJobs {
        /// Now.
        now: Timestamp,
        /// How long the taker has.
        lease: Duration,
        /// At most this many.
        limit: u32,
    },
    /// Puts off a job that was claimed; does nothing if somebody claimed it since, or it is done.
    PutOff {
        /// The job, as it was claimed.
        job: DueJob,
        /// Until when.
        until: Timestamp,
    },
    /// Keeps a slip that an upstream gave apart from the word that decided.
    KeepSlip {
        /// Of which purchase.
        key: PurchaseKey,
        /// Who gave it.
        upstream: UpstreamCode,
        /// What it says.
        slip: Box<Slip>,
        /// When.
        at: Timestamp,
    },
    /// Forgets runs of nodes whose lease has ended, if it still has, and makes due now what nobody who
    /// lives has in hand: after a start, what the process before it left.
    TakeOver {
        /// Runs that were seen dead.
        dead: Vec<DeadRun>,
        /// Whether this run's own workers start only now: what it wrote before is in nobody's hands.
        is_start: bool,
        /// Now.
        now: Timestamp,
    },
    /// Takes calls of an account's minute ahead, counted over all nodes.
    Allow {
        /// Whose.
        account: AccountId,
        /// Where.
        environment: Environment,
        /// Calls a minute.
        limit: u32,
        /// As many are wanted.
        want: u32,
        /// As many as were taken at that second were not made.
        back: (u32, u64),
        /// Now, in seconds.
        now_s: u64,
    },
    /// Keeps the first answer to a request with an idempotency key.
    Remember {
        /// The key, claimed by its purchase.
        reference: ReferenceKey,
        /// HTTP status.
        status: u16,
        /// The body, to the byte.
        body: String,
    },
    /// What devices are told.
    Push(PushChange),
    /// What accounts' servers are told.
    Webhook(WebhookChange),
    /// Where they are.
    Endpoint(EndpointChange),
    /// Sets rows that are not money, each made or replaced whole: all of them or none.
    Set(Vec<Setting>),
    /// What happens to logins.
    People(PeopleChange),
    /// Nothing is sent from now on, or everything again.
    Halt(HaltChange),
    /// What happens to months that are over.
    Archive(ArchiveChange),
}

/// A node's run whose lease has ended, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadRun {
    /// Which.
    pub run: i64,
    /// When its lease ended, by the database's clock: whoever has renewed it since lives.
    pub lease_until: i64,
}

/// Money paid into or out of a wallet.
#[derive(Clone, Debug)]
pub struct Posting {
    /// What moves.
    pub journal: Journal,
    /// Staff's own reference: the same payment is never booked twice.
    pub reference: ReferenceKey,
    /// Who booked it and why.
    pub note: String,
    /// When.
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
    /// A place that events are told to.
    Endpoint(Endpoint),
    /// The mark of the master key; the first one stays.
    MasterKey([u8; 32]),
    /// A country.
    Country(Country),
    /// An operator.
    Operator(Operator),
    /// A family of products.
    Category(Category),
    /// A product.
    Product(Product),
    /// A price rule.
    Price(PriceRule),
    /// A route.
    Route(Route),
}

impl Setting {
    /// The topic under which every node must know of it.
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

/// A login, as stored: the password's hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Which.
    pub id: UserId,
    /// Of which account.
    pub account: AccountId,
    /// What it logs in with: without spaces around it, in small letters.
    pub email: String,
    /// Its mobile number, in national form.
    pub mobile: Option<String>,
    /// How the person is called.
    pub name: Option<String>,
    /// What it may do: `owner`, `operator`, `approver`, …
    pub role: String,
    /// Argon2id, PHC string.
    pub password_hash: String,
    /// One that is not may not come in.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A job that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueJob {
    /// Of which purchase.
    pub key: PurchaseKey,
    /// What is owed.
    pub job: Job,
    /// As which version the purchase owed it; a later one owes another job.
    pub version: u32,
    /// How often it was put off.
    pub tries: u32,
    /// The claim's number: whoever holds an older one has lost the job.
    pub epoch: i64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The purchase is open; its wallet's available minor units right after the hold.
    Opened {
        /// Minor units.
        available_after: i64,
    },
    /// The step is taken, the word kept, the row set.
    Written,
    /// The money is booked; the wallet's available minor units right after.
    Posted {
        /// Minor units.
        available_after: i64,
    },
    /// As many calls may be made.
    Allowed(Allowed),
    /// The jobs that were claimed.
    Leased(Vec<DueJob>),
    /// The pushes that were claimed.
    Pushes(Vec<DuePush>),
    /// The webhooks that were claimed.
    Webhooks(Vec<DueWebhook>),
    /// How many rows it was.
    Counted(usize),
    /// What became of a change of logins.
    People(PeopleDone),
    /// What became of a month.
    Archive(ArchiveDone),
}

impl Change {
    /// Whether all that it builds on is in what it [`needs`](Change::needs), and whatever of that is
    /// not so makes what it writes fail: a reference that is used, a version that has passed.
    pub(crate) const fn says_what_it_builds_on(&self) -> bool {
        match self {
            // Counts of calls are remembered as balances are.
            Change::Open { .. }
            | Change::Step(_)
            | Change::PostJournal(_)
            | Change::Allow { .. } => true,
            Change::Keep { .. }
            | Change::CloseCase { .. }
            | Change::LeaseJobs { .. }
            | Change::PutOff { .. }
            | Change::KeepSlip { .. }
            | Change::TakeOver { .. }
            | Change::Remember { .. }
            | Change::Push(_)
            | Change::Set(_)
            | Change::People(_)
            | Change::Halt(_)
            | Change::Archive(_)
            | Change::Webhook(_)
            | Change::Endpoint(_) => false,
        }
    }

    /// What must be true for this change, for [`domain::ledger::admission::admit`].
    pub(crate) fn needs(&self) -> Needs<'_> {
        match self {
            Change::Open { reference_keys, opening, .. } => Needs {
                reference_keys,
                step: Some(PurchaseStep {
                    key: opening.after.key,
                    from_version: None,
                    to: (opening.after.state, opening.after.version),
                }),
                journal: opening.journal.as_ref(),
            },
            Change::Step(step) => Needs {
                reference_keys: &[],
                step: Some(PurchaseStep {
                    key: step.after.key,
                    from_version: Some(step.from_version),
                    to: (step.after.state, step.after.version),
                }),
                journal: step.journal.as_ref(),
            },
            Change::PostJournal(posting) => Needs {
                reference_keys: std::slice::from_ref(&posting.reference),
                step: None,
                journal: Some(&posting.journal),
            },
            Change::Keep { .. }
            | Change::CloseCase { .. }
            | Change::LeaseJobs { .. }
            | Change::PutOff { .. }
            | Change::KeepSlip { .. }
            | Change::TakeOver { .. }
            | Change::Allow { .. }
            | Change::Remember { .. }
            | Change::Push(_)
            | Change::Webhook(_)
            | Change::Endpoint(_)
            | Change::Set(_)
            | Change::People(_)
            | Change::Halt(_)
            | Change::Archive(_) => Needs::default(),
        }
    }

    /// The purchase whose rows it writes, if they are such that stay.
    pub(crate) fn purchase(&self) -> Option<PurchaseId> {
        match self {
            Change::Open { opening: step, .. } | Change::Step(step) => Some(step.after.key.id),
            Change::Keep { key, .. }
            | Change::CloseCase { key, .. }
            | Change::KeepSlip { key, .. }
            | Change::Push(PushChange::Again { key, .. }) => Some(key.id),
            Change::PostJournal(_)
            | Change::LeaseJobs { .. }
            | Change::PutOff { .. }
            | Change::TakeOver { .. }
            | Change::Allow { .. }
            | Change::Remember { .. }
            | Change::Push(
                PushChange::Lease { .. } | PushChange::End(_) | PushChange::PutOff { .. },
            )
            | Change::Webhook(_)
            | Change::Endpoint(_)
            | Change::Set(_)
            | Change::People(_)
            | Change::Halt(_)
            | Change::Archive(_) => None,
        }
    }

    /// When it moves money, if it does.
    pub(crate) fn moves_at(&self) -> Option<Timestamp> {
        match self {
            Change::Open { opening: step, .. } | Change::Step(step) => Some(step.after.updated_at),
            Change::PostJournal(posting) => Some(posting.at),
            Change::Keep { .. }
            | Change::CloseCase { .. }
            | Change::LeaseJobs { .. }
            | Change::PutOff { .. }
            | Change::KeepSlip { .. }
            | Change::TakeOver { .. }
            | Change::Allow { .. }
            | Change::Remember { .. }
            | Change::Push(_)
            | Change::Webhook(_)
            | Change::Endpoint(_)
            | Change::Set(_)
            | Change::People(_)
            | Change::Halt(_)
            | Change::Archive(_) => None,
        }
    }
}
