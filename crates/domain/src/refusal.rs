//! Refusals: the values that say why a request was not done.
//!
//! Not here: faults, which are our own failures (`store`). Invariant: a refusal charges nothing,
//! stores nothing and uses up no reference; only after [`Refusal::Uncertain`] that is not known.
//! Each dialect translates refusals in one `match`.

use crate::money::Money;
use crate::purchase::Purchase;

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name in the dialect.
    pub field: &'static str,
    /// What is wrong, without the field's name: `is required.`
    pub message: String,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No key pair was sent.
    KeysMissing,
    /// Unknown, revoked or mismatched keys: one refusal for all.
    KeysInvalid,
    /// No access token, or one that is expired, forged or revoked: one refusal for all.
    TokenInvalid,
    /// Unknown user, wrong password, or a user without access here: one refusal for all.
    LogInFailed,
    /// A one-time code that is wrong, used or expired: one refusal for all.
    CodeInvalid,
    /// The key may not be used from this address.
    AddressNotAllowed,
    /// The account is switched off.
    AccountInactive,
    /// The account has no subscription, or it has expired.
    NoSubscription,
    /// More calls than the plan allows.
    TooFast {
        /// Seconds until the next call may succeed.
        retry_after_s: u64,
    },
    /// All invalid fields.
    Invalid(Vec<FieldError>),
    /// No reference was sent.
    ReferenceMissing,
    /// The reference is used up, by this purchase if there is one.
    ReferenceKnown(Option<Box<Purchase>>),
    /// The wallet's balance is less than amount and fee.
    InsufficientBalance {
        /// The wallet's available balance.
        available: Money,
    },
    /// The account has no wallet in this currency and environment.
    NoWallet,
    /// No such product is sold.
    ProductUnknown,
    /// The operator has no customer with this bill reference.
    BillUnknown,
    /// The enquiry about the bill reference failed for now; nothing was quoted.
    BillUnavailable {
        /// For people.
        reason: String,
    },
    /// The quote was not accepted in time, or was cancelled.
    QuoteExpired,
    /// The operator quotes no such offer for this number now.
    OfferUnknown,
    /// The offer has another price.
    OfferAmount {
        /// Its price.
        costs: Money,
    },
    /// The operator's offers are not available for now; nothing was bought.
    OffersUnavailable {
        /// For people.
        reason: String,
    },
    /// The same idempotency key came with another body.
    IdempotencyMismatch,
    /// A request with the same idempotency key is in progress.
    IdempotencyRunning,
    /// No such purchase of this account and environment.
    PurchaseUnknown,
    /// Two identifiers of the request belong to different purchases.
    IdentifiersDisagree,
    /// The purchase's state does not allow the action.
    NotPossible {
        /// The reason, for people.
        because: String,
    },
    /// Our store failed during the write: it is not known whether the request was stored. The
    /// caller may repeat it with the same reference; it is never charged twice.
    Uncertain,
    /// Selling is halted until staff resume it; nothing was charged.
    Halted {
        /// Seconds until the next call may succeed.
        retry_after_s: u64,
    },
    /// Our store is not available for now; nothing was charged.
    Unavailable {
        /// Seconds until the next call may succeed.
        retry_after_s: u64,
    },
}

impl Refusal {
    /// The stable code that programs decide by; each dialect documents it.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::KeysMissing => "MISSING_API_KEYS",
            Refusal::KeysInvalid => "INVALID_API_KEYS",
            Refusal::TokenInvalid => "TOKEN_INVALID",
            Refusal::LogInFailed => "LOGIN_FAILED",
            Refusal::CodeInvalid => "CODE_INVALID",
            Refusal::AddressNotAllowed => "IP_NOT_WHITELISTED",
            Refusal::AccountInactive => "ACCOUNT_INACTIVE",
            Refusal::NoSubscription => "NO_ACTIVE_SUBSCRIPTION",
            Refusal::TooFast { .. } => "RATE_LIMIT_EXCEEDED",
            Refusal::Invalid(_) => "VALIDATION_ERROR",
            Refusal::ReferenceMissing => "REFERENCE_REQUIRED",
            Refusal::ReferenceKnown(_) => "DUPLICATE_REFERENCE",
            Refusal::InsufficientBalance { .. } => "INSUFFICIENT_BALANCE",
            Refusal::NoWallet => "NO_WALLET",
            Refusal::ProductUnknown => "PRODUCT_NOT_FOUND",
            Refusal::BillUnknown => "BILL_REFERENCE_NOT_FOUND",
            Refusal::BillUnavailable { .. } => "BILLER_UNAVAILABLE",
            Refusal::QuoteExpired => "QUOTE_EXPIRED",
            Refusal::OfferUnknown => "OFFER_NOT_FOUND",
            Refusal::OfferAmount { .. } => "OFFER_AMOUNT_MISMATCH",
            Refusal::OffersUnavailable { .. } => "OFFERS_UNAVAILABLE",
            Refusal::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Refusal::IdempotencyRunning => "IDEMPOTENCY_RUNNING",
            Refusal::PurchaseUnknown => "TRANSACTION_NOT_FOUND",
            Refusal::IdentifiersDisagree => "IDENTIFIER_MISMATCH",
            Refusal::NotPossible { .. } => "NOT_POSSIBLE",
            Refusal::Uncertain => "OUTCOME_UNKNOWN",
            Refusal::Halted { .. } | Refusal::Unavailable { .. } => "TEMPORARILY_UNAVAILABLE",
        }
    }
}
