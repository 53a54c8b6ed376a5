//! Saldo's types and rules: values, and pure functions on values.
//!
//! Here: money, accounts, the catalog, prices, routes, the lifecycle table, journals, admission,
//! and the traits of an upstream, a push service, a mailer and a webhook sender. Not here: I/O,
//! clocks, serialisation, SQL, HTTP. Invariant: every decision about money is a pure function of
//! this crate.

/// The words that the variants of an enum are stored and shown as.
#[macro_export]
macro_rules! codes {
    ($name:ident { $($variant:ident => $code:literal,)+ }) => {
        impl $name {
            /// All of them.
            pub const ALL: [$name; [$($code),+].len()] = [$($name::$variant),+];

            /// As stored and shown.
            pub const fn code(self) -> &'static str {
                match self {
                    $($name::$variant => $code,)+
                }
            }

            /// Reads the code.
            pub fn from_code(code: &str) -> Option<$name> {
                $name::ALL.into_iter().find(|one| one.code() == code)
            }
        }
    };
}

pub mod account;
pub mod acts;
pub mod catalog;
pub mod clock;
pub mod ids;
pub mod ledger;
pub mod mail;
pub mod money;
pub mod month;
pub mod outcome;
pub mod purchase;
pub mod push;
pub mod rate;
pub mod refusal;
pub mod retry;
mod scopes;
pub mod upstream;
pub mod webhook;

pub use account::plan::{Plan, PlanKind, PlanTerms, Subscription};
pub use account::{
    Account, AccountId, AllowList, BadRange, DuplicatePolicy, Environment, Key, Role,
};
pub use acts::{Act, Grant, Holder, Permitted, Rule, act};
pub use catalog::check::{CatalogFault, CheckedAgainst, rows_of};
pub use catalog::kind::{Kind, ServiceType};
pub use catalog::number::{NotANumber, Numbering};
pub use catalog::pricing::{Price, PriceComponent, PriceQuery, PriceRule, best_rule};
pub use catalog::product::{
    BillFormat, Category, CategoryId, Field, Part, Pricing, Product, ProductId, ReceiptContext,
    ReceiptLine, WrongAmount,
};
pub use catalog::routing::{PassedOver, Path, Route};
pub use catalog::{AmountRange, Catalog, Country, OfferForm, Operator, OutOfLimits, Service};
pub use clock::{Clock, NoRandom, Random, Timestamp};
pub use ids::{
    Day, DeviceId, EndpointId, JournalSeq, KeyId, PurchaseId, PurchaseNumber, Sequence, SessionId,
    UserId,
};
pub use ledger::admission::{Balance, Needs, PurchaseStep, ReferenceOwner, View};
pub use ledger::denial::{
    Denial, DeniedBy, MoneyDenial, MonthClosed, OpeningDenied, PostingDenied, StepDenied,
    UsedReference,
};
pub use ledger::journal::{Entry, Journal, LedgerAccount, Purpose, Reason};
pub use ledger::payment::{PaymentKey, PaymentOwner, Rail};
pub use mail::{Mail, Mailer};
pub use money::{AmountError, Currency, Money};
pub use month::{Month, NotAMonth};
pub use outcome::{Answer, EnquiryOutcome, Outcome, SubmitOutcome};
pub use purchase::lifecycle::{Event, FundsAt, Job, Opening, OutcomeContext, State, Step};
pub use purchase::settle::{AttemptChange, Case, CaseKind, Decision, Move, Proof, Source};
pub use purchase::slip::{Charge, Slip, Token, TokenKind};
pub use purchase::{
    Attempt, Decider, Details, Purchase, PurchaseDraft, PurchaseKey, ReferenceKey, ReferenceScope,
};
pub use push::{Push, Pushed, Pusher};
pub use rate::Minute;
pub use refusal::{FieldError, Refused};
pub use scopes::{KeyScope, KeyScopes};
pub use upstream::{
    AskedBy, AttemptRef, BalanceAnswer, BillAnswer, BillCustomer, BillEnquiry, BoxFuture,
    CallPlace, Callback, CallbackAnswer, CallbackRead, Capabilities, Exchange, Listener, NoOffers,
    NoPlace, Offer, OfferEnquiry, Order, PauseCause, Reversals, StatusUpdate, Upstream,
    UpstreamCode,
};
pub use webhook::schedule::{PendingWebhook, Retry, SuccessEvent};
pub use webhook::{
    AddressPolicy, Delivery, DeliveryResult, WebhookAddress, WebhookPost, WebhookSender,
};
