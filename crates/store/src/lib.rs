//! The only SQL: one writer that makes every commit, connections that read beside it, the audit.
//!
//! Not here: prices, upstreams, HTTP, and any rule (those are `domain`'s). Invariants: nothing is
//! acknowledged before it is durable; no network call happens while a Tx is open, because nothing
//! here can make one.

mod acts;
mod archive;
mod backend;
mod backup;
mod caches;
mod calls;
mod clock;
mod commit;
mod fault;
#[cfg(test)]
mod growth;
mod halts;
mod ledger;
mod numbers;
mod people;
mod plans;
mod purchases;
mod queries;
mod queue;
mod read;
mod requests;
mod settings;
mod store;
mod verify;
mod webhooks;
mod writer;

pub use acts::{ActRecord, Recorded};
pub use archive::{
    Archive, ArchiveDone, ArchiveFile, ArchivedPurchase, ArchivesAudit, CloseLateOutcomes,
    CloseMonth, Closing, KeepLateOutcome, LateOutcome, MonthAudit, PruneArchived, RecordFile,
    archived_purchase, audit_month, find_archived,
};
pub use backend::postgres::CatalogChanges;
pub use backend::sqlite::ensure_alone;
pub use backup::{HeldFolder, LedgerEnd, audit_file};
pub use calls::{CallGrant, GrantCalls};
pub use clock::{ClockJump, ClockRecord, NoteTime, RecordClockJump, ServerTime};
pub use commit::Commit;
pub use fault::{Fault, OpenError};
pub use halts::{BeginHalt, EndHalts, Halt};
pub use ledger::{
    AccountList, Balance, BalanceAlert, CommissionRule, CrossedBalance, DueCommission, FillList,
    NoteCrossing, Page, Payment, Posting, SetBalanceAlert, SetCommissionRule, StatementLine,
    StatementOf, Wallet,
};
pub use numbers::{TakeNumbers, TakenNumbers};
pub use people::{
    Audience, Code, CodeDigest, CodeDone, ConfirmEmail, ConfirmFactor, Device, DeviceMark,
    EnteredCode, ForgetDevice, GivePassword, JoinAccount, JoinDone, ListedSession, LogOut, Login,
    LoginDone, MailCode, MailCodePurpose, NewDevice, NewSession, OfferCode, OfferFactor,
    OfferMailCode, OpenMerchant, PendingSignUp, ProveSession, RemoveFactor, ResetPassword,
    SecondFactor, Session, SessionHolder, SetActive, SetPassword, SetRole, SignUp, UseFactor,
    UserHolder, WithdrawMailCode,
};
pub use plans::{StatementPlan, statement_plans};
pub use purchases::{
    CallbackOnRecord, CloseCase, DueJob, EndedAttempt, Evidence, Jobs, KeepAcknowledgement,
    KeepEvidence, KeepExchanges, KeepResponse, KeepSlip, MoveRecheckMark, OpenCase, OpenPurchase,
    OutboxEvent, PruneExchanges, PurchaseFilter, PurchaseOwners, RecentPurchase, StoredReference,
    TakeStep, WaitForTurn,
};
pub use queue::{DeadRun, Lease, PutOff, Queue, TakeOver};
pub use requests::{ErrorGroup, KeepRequests, LoggedRequest, PruneRequests, RequestFilter};
pub use settings::accounts::{KeyHolder, KeyUse, NoteKeyUses, ReviseAccount, User};
pub use settings::floats::{
    AddSpending, AskBalance, FundUpstream, HourSpent, KeepBalance, LedgerFloat, NoteFloatLevel,
    PaidToUpstream, ReportedBalance,
};
pub use settings::plans::{
    BoughtPlan, BuyPlan, DueRenewal, PlanPrice, SetPlanRenewal, SetPlanTerms,
};
pub use settings::upstreams::{
    NoteRefusal, Pause, SetUpstream, StoredUpstream, UpstreamMaps, UpstreamSet,
};
pub use settings::{ReviseCatalog, SetAll, Setting};
use settings::{accounts, catalog, floats, plans as plan_terms, upstreams};
pub use store::Store;
pub use verify::AuditReport;
pub use webhooks::replay::{BeginReplay, ContinueReplay, ReplayFilter, WebhookReplay};
pub use webhooks::{
    DeliveryAttempt, DeliveryFilter, Destination, DuePush, DueWebhook, EndPush, EndedLease,
    Endpoint, EndpointHealth, EnqueueWebhook, LeaseEnd, LogPage, LoggedWebhook, PruneWebhooks,
    Pushes, ReplayScope, ReplayWebhooks, Reported, ResendPushes, SetEndpoint, SetEndpointHealth,
    TrustHost, Webhooks,
};
