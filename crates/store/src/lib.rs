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
mod people;
mod purchases;
mod queries;
mod queue;
mod read;
mod settings;
mod store;
mod verify;
mod webhooks;
mod writer;

pub use acts::{ActRecord, Recorded};
pub use archive::{
    Archive, ArchiveDone, ArchiveFile, ArchivesAudit, CloseLateOutcomes, CloseMonth, Closing,
    KeepLateOutcome, LateOutcome, MonthAudit, PruneArchived, RecordFile, audit_month,
};
pub use backend::postgres::CatalogChanges;
pub use backend::sqlite::ensure_alone;
pub use backup::{HeldFolder, LedgerEnd, audit_file};
pub use calls::{CallGrant, GrantCalls};
pub use clock::{ClockJump, ClockRecord, NoteTime, RecordClockJump, ServerTime};
pub use commit::Commit;
pub use fault::{Fault, OpenError};
pub use halts::{BeginHalt, EndHalts, Halt};
pub use ledger::{Page, Posting, StatementLine, Wallet};
pub use people::{
    Code, CodeDigest, CodeDone, Device, DeviceMark, EnteredCode, ForgetDevice, LogOut, LoginDone,
    NewDevice, NewSession, OfferCode, PendingSignUp, ResetPassword, Session, SessionHolder,
    SetActive, SetPassword, SignUp, UserHolder,
};
pub use purchases::{
    CloseCase, DueJob, Evidence, Jobs, KeepEvidence, KeepResponse, KeepSlip, OpenCase,
    OpenPurchase, OutboxEvent, StoredReference, TakeStep,
};
pub use queue::{DeadRun, Lease, PutOff, Queue, TakeOver};
pub use settings::accounts::{KeyHolder, User};
pub use settings::{SetAll, Setting};
use settings::{accounts, catalog};
pub use store::Store;
pub use verify::AuditReport;
pub use webhooks::{
    DeliveryAttempt, Destination, DuePush, DueWebhook, EndPush, EndedLease, Endpoint,
    EndpointHealth, EnqueueWebhook, LeaseEnd, LogPage, LoggedWebhook, PruneWebhooks, Pushes,
    ReplayScope, ReplayWebhooks, ResendPushes, SetEndpoint, SetEndpointHealth, TrustHost, Webhooks,
};
