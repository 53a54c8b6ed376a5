//! "No" as a value: what was asked cannot be done, and what that means for the money.
//!
//! A refusal is the asker's matter: it costs nothing, stores nothing, uses up no reference. Our own
//! troubles are faults and live in `store`. Each face translates these in one `match`.

use crate::money::Money;
use crate::purchase::Purchase;

/// A field that is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as the face names it.
    pub field: &'static str,
    /// What is wrong with it, for people.
    pub says: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No key pair was sent.
    KeysMissing,
    /// Unknown, revoked or mixed keys: one answer for all.
    KeysInvalid,
    /// No access token, or one that is expired, forged or revoked: one answer for all.
    TokenInvalid,
    /// Unknown login, wrong password, or a login that may not come in here: one answer for all.
    LogInFailed,
    /// A one-time code that is wrong, used or too old: one answer for all.
    CodeInvalid,
    /// The key may not be used from this address.
    AddressNotAllowed,
    /// The account is switched off.
    AccountInactive,
    /// Nothing was subscribed, or it has run out.
    NoSubscription,
    /// More calls than the plan allows.
    TooFast {
        /// When to come again.
        retry_after_s: u64,
    },
    /// Fields that are wrong, each named.
    Invalid(Vec<FieldError>),
    /// No reference was sent.
    ReferenceMissing,
    /// The reference is used up; its purchase is told.
    ReferenceKnown(Option<Box<Purchase>>),
    /// The wallet does not hold amount and fee.
    Short {
        /// What it holds.
        available: Money,
    },
    /// The account has no wallet in this currency and environment.
    NoWallet,
    /// No such product is sold.
    ProductUnknown,
    /// The operator knows nobody by this bill reference.
    BillUnknown,
    /// The operator could not be asked about the bill reference just now; nothing was quoted.
    BillUnavailable {
        /// Why.
        reason: String,
    },
    /// The quote was not accepted in time, or was called off.
    QuoteExpired,
    /// The operator quotes no such offer for this number now.
    OfferUnknown,
    /// The offer costs something else.
    OfferAmount {
        /// What it costs.
        costs: Money,
    },
    /// The operator's offers could not be had just now; nothing was bought.
    OffersUnavailable {
        /// Why.
        reason: String,
    },
    /// The same idempotency key came with another body.
    IdempotencyMismatch,
    /// The same idempotency key is being worked on.
    IdempotencyRunning,
    /// No such purchase of this account and environment.
    PurchaseUnknown,
    /// Two identifiers name different purchases.
    IdentifiersDisagree,
    /// The purchase's state does not allow that.
    NotPossible {
        /// What it is now, for people.
        because: String,
    },
    /// Our store failed while it wrote: nobody knows yet whether it was stored. Sent again with
    /// the same reference it can never be charged twice.
    Uncertain,
    /// Nothing is sold until staff have looked into something; nothing was charged.
    Halted {
        /// When to come again.
        retry_after_s: u64,
    },
    /// Our store cannot answer just now; nothing was charged.
    Unavailable {
        /// When to come again.
        retry_after_s: u64,
    },
}

impl Refusal {
    /// A stable code: what a program decides by. Listed in the documentation of each face.
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
            Refusal::Short { .. } => "INSUFFICIENT_BALANCE",
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
