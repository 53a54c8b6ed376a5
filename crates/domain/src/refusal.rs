//! Refusals: the values that say why a request was not done, and the use cases that they belong to.
//!
//! Each refusal is a type of its own, with its code and an example for documents. Each use case has
//! an enum of the refusals that can happen there: `?` widens one of them, or the enum of a narrower
//! use case, and does not compile for what cannot happen. A dialect turns each single refusal into
//! its own error once, and the enums follow by `widen`.
//!
//! A quote that was not accepted in time is no answer to a request for a quote:
//!
//! ```compile_fail,E0277
//! use domain::refusal::{QuoteExpired, QuoteRefused};
//! fn quote() -> Result<(), QuoteRefused> {
//!     Err(QuoteExpired)?
//! }
//! ```
//!
//! Not here: faults, which are our own failures (`store`). Invariant: a refusal charges nothing,
//! stores nothing and uses up no reference; only after [`Uncertain`] that is not known.

use crate::account::AccountId;
use crate::clock::Timestamp;
use crate::money::{Currency, Money};
use crate::purchase::Purchase;
use crate::scopes::KeyScope;
use std::net::{IpAddr, Ipv4Addr};

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name in the dialect.
    pub field: &'static str,
    /// What is wrong, without the field's name: `is required.`
    pub message: String,
}

/// A refusal, or the enum of a use case's refusals.
pub trait Refused: Sized {
    /// The stable code that programs decide by; each dialect documents it.
    fn code(&self) -> &'static str;

    /// One of each, for documents and tests.
    fn examples() -> Vec<Self>;
}

/// Declares single refusals: name, code, and fields, each with the value of the example.
macro_rules! refusals {
    (@type [$($attribute:tt)+] $name:ident) => {
        $($attribute)+
        pub struct $name;
    };
    (@type [$($attribute:tt)+] $name:ident { $($field:tt)+ }) => {
        $($attribute)+
        pub struct $name { $($field)+ }
    };
    ($(
        $(#[$doc:meta])+
        $name:ident = $code:literal
        $({ $($(#[$about:meta])+ $field:ident: $type:ty = $example:expr,)+ })?;
    )+) => {$(
        refusals!(
            @type [$(#[$doc])+ #[derive(Clone, Debug, PartialEq, Eq)]]
            $name $({ $($(#[$about])+ pub $field: $type,)+ })?
        );

        impl Refused for $name {
            fn code(&self) -> &'static str {
                $code
            }

            fn examples() -> Vec<$name> {
                vec![$name $({ $($field: $example,)+ })?]
            }
        }
    )+};
}

/// Declares the refusals of use cases: an enum of single refusals, `from` those of narrower ones.
macro_rules! use_cases {
    ($(
        $(#[$doc:meta])+
        $name:ident $(from $($narrow:ident),+)? { $($one:ident),+ }
    )+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("See [`struct@", stringify!($one), "`].")] $one($one),)+
        }

        impl $name {
            /// The same refusal as a type that has a place for each of these.
            pub fn widen<W: $(From<$one> +)+>(self) -> W {
                match self {
                    $($name::$one(one) => one.into(),)+
                }
            }
        }

        impl Refused for $name {
            fn code(&self) -> &'static str {
                match self {
                    $($name::$one(one) => one.code(),)+
                }
            }

            fn examples() -> Vec<$name> {
                let mut all = Vec::new();
                $(all.extend($one::examples().into_iter().map($name::$one));)+
                all
            }
        }

        $(impl From<$one> for $name {
            fn from(one: $one) -> $name {
                $name::$one(one)
            }
        })+

        $($(impl From<$narrow> for $name {
            fn from(narrow: $narrow) -> $name {
                narrow.widen()
            }
        })+)?
    )+};
}

refusals! {
    /// No key pair was sent.
    KeysMissing = "MISSING_API_KEYS";
    /// Unknown, revoked or mismatched keys: one refusal for all.
    KeysInvalid = "INVALID_API_KEYS";
    /// No access token, or one that is expired, forged or revoked: one refusal for all.
    TokenInvalid = "TOKEN_INVALID";
    /// Unknown user, wrong password, or a user without access here: one refusal for all.
    LogInFailed = "LOGIN_FAILED";
    /// A one-time code that is wrong, used or expired: one refusal for all.
    CodeInvalid = "CODE_INVALID";
    /// The key may not be used from this address.
    AddressNotAllowed = "IP_NOT_WHITELISTED" {
        /// The address that the request came from.
        seen: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
    };
    /// The end of the key pair has come. Only who has the secret learns it.
    KeyExpired = "API_KEY_EXPIRED";
    /// The key pair is not for this.
    ScopeMissing = "SCOPE_NOT_ALLOWED" {
        /// What it would need.
        scope: KeyScope = KeyScope::Buy,
    };
    /// The account is switched off.
    AccountInactive = "ACCOUNT_INACTIVE";
    /// Staff have not approved the account: nothing is sold for real money.
    AccountNotApproved = "ACCOUNT_NOT_APPROVED";
    /// The account has no subscription, or it has expired: nothing is sold to it (CONTRACT A-41).
    NoSubscription = "NO_ACTIVE_SUBSCRIPTION";
    /// More calls than the plan allows.
    TooFast = "RATE_LIMIT_EXCEEDED" {
        /// Seconds until the next call may succeed.
        retry_after_s: u64 = 13,
    };
    /// Fields are missing or wrong.
    Invalid = "VALIDATION_ERROR" {
        /// All invalid fields.
        errors: Vec<FieldError> =
            vec![FieldError { field: "amount", message: "must be more than 0.".to_owned() }],
    };
    /// The reference is used up.
    ReferenceKnown = "DUPLICATE_REFERENCE" {
        /// By this purchase, if there is one.
        first: Option<Box<Purchase>> = None,
    };
    /// The payment with this reference is booked already.
    PaymentKnown = "PAYMENT_KNOWN" {
        /// The account that it was booked for.
        account: AccountId = AccountId(2),
        /// When it was booked.
        at: Timestamp = Timestamp(0),
    };
    /// The same was sold a moment ago, and the account refuses that (CONTRACT A-42).
    PossibleDuplicate = "POSSIBLE_DUPLICATE" {
        /// The reference of the earlier sale.
        earlier: String = "BILL-026401".to_owned(),
    };
    /// The wallet's balance is less than amount and fee.
    InsufficientBalance = "INSUFFICIENT_BALANCE" {
        /// The wallet's available balance.
        available: Money = Money::new(1_234, Currency::USD),
    };
    /// The account has no wallet in this currency and environment.
    NoWallet = "NO_WALLET";
    /// The operator has no customer with this bill reference.
    BillUnknown = "BILL_REFERENCE_NOT_FOUND";
    /// The enquiry about the bill reference failed for now; nothing was quoted.
    BillUnavailable = "BILLER_UNAVAILABLE" {
        /// For people.
        reason: String = String::new(),
    };
    /// No upstream is set up to deliver it, and no route leaves it to staff.
    NoRoute = "NO_ROUTE";
    /// The product, or its operator, was switched off after it was quoted.
    NotSold = "NOT_SOLD_ANY_MORE";
    /// The quote was not accepted in time, or was cancelled.
    QuoteExpired = "QUOTE_EXPIRED";
    /// The operator quotes no such offer for this number now.
    OfferUnknown = "OFFER_NOT_FOUND";
    /// The offer has another price.
    OfferAmount = "OFFER_AMOUNT_MISMATCH" {
        /// Its price.
        costs: Money = Money::new(6_800, Currency::BDT),
    };
    /// The operator's offers are not available for now; nothing was bought.
    OffersUnavailable = "OFFERS_UNAVAILABLE" {
        /// For people.
        reason: String = String::new(),
    };
    /// The same idempotency key came with another body.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH";
    /// A request with the same idempotency key is in progress.
    IdempotencyRunning = "IDEMPOTENCY_RUNNING";
    /// No such purchase of this account and environment.
    PurchaseUnknown = "TRANSACTION_NOT_FOUND";
    /// The state of the purchase, or the permit, does not allow the action.
    NotPossible = "NOT_POSSIBLE" {
        /// The reason, for people.
        because: String = "The permit is of another caller.".to_owned(),
    };
    /// Our store failed during the write: it is not known whether the request was stored. The
    /// caller may repeat it with the same reference; it is never charged twice.
    Uncertain = "OUTCOME_UNKNOWN";
    /// Selling is halted until staff resume it; nothing was charged.
    Halted = "TEMPORARILY_UNAVAILABLE" {
        /// Seconds until the next call may succeed.
        retry_after_s: u64 = 300,
    };
    /// Every upstream of the route is paused, failing, full or short of float; nothing was charged.
    UpstreamUnavailable = "UPSTREAM_UNAVAILABLE" {
        /// Seconds until the next call may succeed.
        retry_after_s: u64 = 60,
    };
    /// Our store is not available for now; nothing was charged.
    Unavailable = "TEMPORARILY_UNAVAILABLE" {
        /// Seconds until the next call may succeed.
        retry_after_s: u64 = 2,
    };
}

use_cases! {
    /// Why the store did not read or write something.
    StoreRefused { Unavailable, Uncertain }
    /// Why the ledger does not move money.
    MoneyRefused { InsufficientBalance, NoWallet, Invalid }
    /// Why a password is not hashed or compared.
    BusyRefused from StoreRefused { TooFast, Unavailable, Uncertain }

    /// Why a key pair gives no access.
    KeyPairRefused from StoreRefused {
        KeysMissing, KeysInvalid, KeyExpired, AddressNotAllowed, ScopeMissing, AccountInactive,
        TooFast, Unavailable, Uncertain
    }
    /// Why a key pair does not buy.
    BuyerRefused from StoreRefused, KeyPairRefused {
        KeysMissing, KeysInvalid, KeyExpired, AddressNotAllowed, ScopeMissing, AccountInactive,
        AccountNotApproved, TooFast, Unavailable, Uncertain
    }
    /// Why an access token gives no access.
    TokenRefused from StoreRefused, SessionRefused {
        TokenInvalid, AccountInactive, TooFast, Unavailable, Uncertain
    }
    /// Why a caller's session is not ended.
    SessionRefused from StoreRefused { TokenInvalid, Unavailable, Uncertain }

    /// Why nothing is sold for now.
    SellingRefused { Unavailable, Halted }
    /// Why a purchase is not priced and numbered.
    DraftRefused { Invalid, Unavailable }
    /// Why something is not bought.
    BuyRefused from StoreRefused, MoneyRefused, SellingRefused, DraftRefused {
        AccountNotApproved, NoSubscription, Invalid, NoWallet, ReferenceKnown, PossibleDuplicate,
        InsufficientBalance, IdempotencyMismatch, IdempotencyRunning, NoRoute, NotPossible,
        UpstreamUnavailable, Unavailable, Halted, Uncertain
    }
    /// Why something is not quoted.
    QuoteRefused from StoreRefused, SellingRefused, DraftRefused {
        AccountNotApproved, Invalid, BillUnknown, BillUnavailable, ReferenceKnown, NoRoute,
        NotPossible, NoWallet, TooFast, Unavailable, Halted, Uncertain
    }
    /// Why a quote is not accepted.
    AcceptRefused from StoreRefused, MoneyRefused, FindRefused, SellingRefused {
        AccountNotApproved, Invalid, PurchaseUnknown, QuoteExpired, NotSold, NoRoute, NotPossible,
        InsufficientBalance, NoWallet, UpstreamUnavailable, Unavailable, Halted, Uncertain
    }
    /// Why a purchase is not shown.
    FindRefused from StoreRefused { PurchaseUnknown, Unavailable, Uncertain }
    /// Why a delivery is not sent again.
    ResendRefused from StoreRefused, FindRefused {
        PurchaseUnknown, NotPossible, Unavailable, Uncertain
    }
    /// Why a wallet is not shown.
    WalletRefused from StoreRefused { NoWallet, Unavailable, Uncertain }
    /// Why offers are not listed.
    OffersRefused { NoSubscription, NoRoute, OffersUnavailable }
    /// Why an offer is not found.
    OfferRefused from OffersRefused {
        NoSubscription, Invalid, NoRoute, OffersUnavailable, OfferUnknown, OfferAmount
    }

    /// Why a log-in opens no session.
    LogInRefused from StoreRefused, BusyRefused {
        Invalid, LogInFailed, AccountInactive, TooFast, Unavailable, Uncertain
    }
    /// Why a sign-up is not taken.
    SignUpRefused from StoreRefused, BusyRefused { Invalid, TooFast, Unavailable, Uncertain }
    /// Why a sign-up is not confirmed.
    ConfirmRefused from StoreRefused { CodeInvalid, TooFast, Unavailable, Uncertain }
    /// Why a password is not set by a code.
    ResetRefused from StoreRefused, BusyRefused, ConfirmRefused {
        Invalid, CodeInvalid, TooFast, Unavailable, Uncertain
    }
    /// Why a password is not set by the current one.
    PasswordRefused from StoreRefused, BusyRefused, SessionRefused {
        Invalid, TokenInvalid, LogInFailed, TooFast, Unavailable, Uncertain
    }

    /// Why the command line does not do something: decide about a purchase, book money, set up
    /// accounts, logins and endpoints, halt, archive.
    StaffRefused from StoreRefused, MoneyRefused, BusyRefused {
        Invalid, NotPossible, PaymentKnown, InsufficientBalance, NoWallet, PurchaseUnknown,
        KeysInvalid, LogInFailed, TooFast, Unavailable, Uncertain
    }
}
