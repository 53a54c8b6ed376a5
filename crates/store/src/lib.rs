//! The only SQL: one writer that makes every commit, connections that read beside it, the audit.
//!
//! Not here: prices, upstreams, HTTP, and any rule (those are `domain`'s). Invariants: nothing is
//! acknowledged before it is durable; no network call happens while a Tx is open, because nothing
//! here can make one.

mod accounts;
mod archive;
mod backend;
mod backup;
mod calls;
mod catalog;
mod change;
mod fault;
#[cfg(test)]
mod growth;
mod halts;
mod ledger;
mod people;
mod purchases;
mod queries;
mod read;
mod store;
mod verify;
mod webhooks;
mod writer;

pub use accounts::{KeyHolder, User};
pub use archive::{
    Archive, ArchiveChange, ArchiveDone, ArchiveFile, ArchivesAudit, Closing, LateOutcome,
    MonthAudit, audit_month,
};
pub use backend::postgres::CatalogChanges;
pub use backend::sqlite::ensure_alone;
pub use backup::{HeldFolder, LedgerEnd, audit_file};
pub use calls::CallGrant;
pub use change::{Change, DeadRun, Done, Posting, Setting};
pub use fault::{Fault, OpenError};
pub use halts::{Halt, HaltChange};
pub use ledger::{Page, StatementLine, Wallet};
pub use people::{
    Code, CodeDigest, Device, DeviceMark, EnteredCode, NewDevice, NewSession, PendingSignUp,
    PeopleChange, PeopleDone, Session, SessionHolder, SignUp, UserHolder,
};
pub use purchases::{DueJob, Evidence, OpenCase, OutboxEvent, StoredReference};
pub use store::Store;
pub use verify::AuditReport;
pub use webhooks::{
    DeliveryAttempt, Destination, DuePush, DueWebhook, EndedLease, Endpoint, EndpointChange,
    EndpointHealth, LeaseEnd, LogPage, LoggedWebhook, PushChange, ReplayScope, WebhookChange,
};
