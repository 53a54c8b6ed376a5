//! "No" in the words of the irecharge document: one match from refusals to status and text.
//!
//! Invariant: every error has the four documented fields, a stable `code`, and says what happened,
//! what it means for the money and what to do next.

use super::limits::OFFERS_RETRY_S;
use super::wire::request::{InvalidFields, NoLookup};
use super::wire::response::Billing;
use crate::extract::answer::Answer;
use crate::extract::body::BodyError;
use crate::wire::fields::NotAnObject;
use crate::wire::json::InternalError;
use domain::refusal::{FieldError, Refusal};
use http::StatusCode;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Why there is no answer of the wished kind.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The engine's reason.
    Refusal(Refusal),
    /// Fields are wrong.
    InvalidFields(InvalidFields),
    /// The body cannot be read.
    BodyError(BodyError),
    /// The path exists, but not with this method.
    Method,
    /// There is no such path.
    Path,
    /// Our own failure.
    InternalError,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        ApiError::Refusal(refusal)
    }
}

impl From<InvalidFields> for ApiError {
    fn from(wrong: InvalidFields) -> ApiError {
        ApiError::InvalidFields(wrong)
    }
}

impl From<NoLookup> for ApiError {
    fn from(no: NoLookup) -> ApiError {
        match no {
            NoLookup::InvalidFields(wrong) => ApiError::InvalidFields(wrong),
            NoLookup::Disagree => ApiError::Refusal(Refusal::IdentifiersDisagree),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(unread: BodyError) -> ApiError {
        ApiError::BodyError(unread)
    }
}

impl From<NotAnObject> for ApiError {
    fn from(no: NotAnObject) -> ApiError {
        ApiError::BodyError(no.into())
    }
}

impl From<InternalError> for ApiError {
    fn from(_: InternalError) -> ApiError {
        ApiError::InternalError
    }
}

/// The body of every error.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody<'a> {
    /// Always false.
    #[schema(example = false)]
    success: bool,
    /// What happened.
    #[schema(example = "Insufficient balance")]
    message: Cow<'a, str>,
    /// What it means for the money, and what to do next.
    #[schema(example = "Your account balance is insufficient for this transaction")]
    error: Cow<'a, str>,
    /// Stable: decide by this.
    #[schema(example = "INSUFFICIENT_BALANCE")]
    code: &'a str,
    /// Added to the document, on 422: every wrong field with its complaints.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    errors: BTreeMap<&'a str, Vec<&'a str>>,
    /// Added to the document, on `DUPLICATE_REFERENCE`: the first purchase of this reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    billing: Option<Billing<'a>>,
}

/// Every code that can be answered: the documentation lists them.
#[cfg(test)]
pub(super) const CODES: [&str; 27] = [
    "INVALID_JSON",
    "UNSUPPORTED_MEDIA_TYPE",
    "BODY_TOO_LARGE",
    "METHOD_NOT_ALLOWED",
    "ROUTE_NOT_FOUND",
    "INTERNAL_ERROR",
    "MISSING_API_KEYS",
    "INVALID_API_KEYS",
    "IP_NOT_WHITELISTED",
    "ACCOUNT_INACTIVE",
    "NO_ACTIVE_SUBSCRIPTION",
    "RATE_LIMIT_EXCEEDED",
    "VALIDATION_ERROR",
    "REFERENCE_REQUIRED",
    "DUPLICATE_REFERENCE",
    "INSUFFICIENT_BALANCE",
    "NO_WALLET",
    "OFFER_NOT_FOUND",
    "OFFER_AMOUNT_MISMATCH",
    "OFFERS_UNAVAILABLE",
    "IDEMPOTENCY_MISMATCH",
    "IDEMPOTENCY_RUNNING",
    "TRANSACTION_NOT_FOUND",
    "IDENTIFIER_MISMATCH",
    "NOT_POSSIBLE",
    "OUTCOME_UNKNOWN",
    "TEMPORARILY_UNAVAILABLE",
];

/// What an error says.
struct ErrorText {
    status: StatusCode,
    message: Cow<'static, str>,
    error: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

fn says(
    status: StatusCode,
    message: impl Into<Cow<'static, str>>,
    error: impl Into<Cow<'static, str>>,
) -> ErrorText {
    ErrorText { status, message: message.into(), error: error.into(), retry_after_s: None }
}

impl ErrorText {
    fn after(self, seconds: u64) -> ErrorText {
        ErrorText { retry_after_s: Some(seconds), ..self }
    }
}

/// The answer that says no.
pub(super) fn answer(no: &ApiError) -> Answer {
    match no {
        ApiError::Refusal(refusal) => of_refusal(refusal),
        ApiError::InvalidFields(wrong) => of_wrong(wrong),
        ApiError::BodyError(BodyError::NotAnObject) => plain(
            "INVALID_JSON",
            says(
                StatusCode::BAD_REQUEST,
                "The body is not a readable JSON object.",
                "Nothing was charged and the reference is not used up. Send one JSON object in UTF-8, nested at most 32 levels deep.",
            ),
        ),
        ApiError::BodyError(BodyError::NotJson) => plain(
            "UNSUPPORTED_MEDIA_TYPE",
            says(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON.",
                "Nothing was charged and the reference is not used up. Send the header Content-Type: application/json and no Content-Encoding.",
            ),
        ),
        ApiError::BodyError(BodyError::TooLong) => plain(
            "BODY_TOO_LARGE",
            says(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large.",
                "Nothing was charged and the reference is not used up. Send at most 64 KiB.",
            ),
        ),
        ApiError::Method => plain(
            "METHOD_NOT_ALLOWED",
            says(
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not take this method.",
                "Nothing was charged. The header Allow names the methods it takes; the reference is at /docs.",
            ),
        ),
        ApiError::Path => plain(
            "ROUTE_NOT_FOUND",
            says(
                StatusCode::NOT_FOUND,
                "There is no such endpoint.",
                "Nothing was charged. All endpoints are listed at /docs.",
            ),
        ),
        ApiError::InternalError => plain(
            "INTERNAL_ERROR",
            says(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal Server Error",
                "Whether a purchase was made is not known. Check the status of its reference before you send anything again; a known reference is never charged twice.",
            ),
        ),
    }
}

/// THE match: what each refusal is on this wire. Its code is the domain's.
#[expect(clippy::too_many_lines, reason = "one entry per refusal; a table, not a procedure")]
fn entry(refusal: &Refusal) -> ErrorText {
    match refusal {
        Refusal::KeysMissing => says(
            StatusCode::UNAUTHORIZED,
            "Missing headers: X-Open-Key and X-Authorization are required.",
            "Nothing was charged. Send both headers of one key pair.",
        ),
        Refusal::KeysInvalid => says(
            StatusCode::UNAUTHORIZED,
            "Invalid API credentials.",
            "Nothing was charged. X-Open-Key and X-Authorization must be one pair, complete, of one environment, and not revoked.",
        ),
        // Logins, products and quotes are not asked for on this face: their own words, if they ever were.
        Refusal::TokenInvalid | Refusal::LogInFailed | Refusal::CodeInvalid => says(
            StatusCode::UNAUTHORIZED,
            "Invalid API credentials.",
            "Nothing was charged. This API is called with a key pair.",
        ),
        Refusal::ProductUnknown | Refusal::BillUnknown => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The operator does not know this product or customer.",
            "Nothing was charged and the reference is not used up. Correct it and send the request again.",
        ),
        Refusal::BillUnavailable { .. } => says(
            StatusCode::SERVICE_UNAVAILABLE,
            "The operator cannot be asked just now.",
            "Nothing was charged and the reference is not used up. Send the request again in a few seconds.",
        )
        .after(OFFERS_RETRY_S),
        Refusal::QuoteExpired => says(
            StatusCode::CONFLICT,
            "The quote has expired.",
            "Nothing was charged. Ask for a new one.",
        ),
        Refusal::AddressNotAllowed => says(
            StatusCode::FORBIDDEN,
            "Your IP address is not whitelisted",
            "Nothing was charged. Add your server's IP address to the key's whitelist in the developer dashboard.",
        ),
        Refusal::AccountInactive => says(
            StatusCode::FORBIDDEN,
            "Your account is inactive.",
            "Nothing was charged. Ask support to activate the account.",
        ),
        Refusal::NoSubscription => says(
            StatusCode::PAYMENT_REQUIRED,
            "No active API subscription found.",
            "Nothing was charged and the reference is not used up. Subscribe to a package, then send the request again.",
        ),
        Refusal::TooFast { retry_after_s } => says(
            StatusCode::TOO_MANY_REQUESTS,
            "Rate limit exceeded.",
            format!("Nothing was charged and the reference is not used up. Send the request again in {retry_after_s} seconds."),
        )
        .after(*retry_after_s),
        Refusal::Invalid(_) => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Some fields are missing or wrong.",
            "Nothing was charged and the reference is not used up. Correct the fields named in errors and send the request again.",
        ),
        Refusal::ReferenceMissing => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Billing recharge requires a unique reference in body (reference/client_reference).",
            "Nothing was charged. Send a reference of your own that was never used before.",
        ),
        Refusal::ReferenceKnown(_) => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Reference already exists. Please send a unique reference.",
            "Nothing was charged this time. The first purchase with this reference counts: check its status before you send another.",
        ),
        Refusal::Short { .. } => says(
            StatusCode::PAYMENT_REQUIRED,
            "Insufficient balance",
            "Your account balance is insufficient for this transaction",
        ),
        Refusal::NoWallet => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Your account has no wallet in this currency.",
            "Nothing was charged and the reference is not used up. Ask support to open one, or choose an operator whose currency you hold.",
        ),
        Refusal::OfferUnknown => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The operator does not quote this offer for this number now.",
            "Nothing was charged and the reference is not used up. Fetch the offers again and choose one of them.",
        ),
        Refusal::OfferAmount { costs } => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("The offer costs {}.", costs.shortest()),
            "Nothing was charged and the reference is not used up. Send the offer's own amount.",
        ),
        Refusal::OffersUnavailable { .. } => says(
            StatusCode::SERVICE_UNAVAILABLE,
            "The operator's offers cannot be had just now.",
            "Nothing was charged and the reference is not used up. Send the request again in a few seconds.",
        )
        .after(OFFERS_RETRY_S),
        Refusal::IdempotencyMismatch => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key came before with another request.",
            "Nothing was charged this time. Use a new key for a new request, or repeat the first request unchanged.",
        ),
        Refusal::IdempotencyRunning => says(
            StatusCode::CONFLICT,
            "The first request with this Idempotency-Key is still running.",
            "Nothing was charged a second time. Send the request again in a few seconds to get the first answer.",
        )
        .after(1),
        Refusal::PurchaseUnknown => says(
            StatusCode::NOT_FOUND,
            "Transaction not found for provided identifier.",
            "No purchase of this account and environment has this identifier. Check the identifier and the keys.",
        ),
        Refusal::IdentifiersDisagree => says(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The identifiers name different transactions.",
            "Nothing was changed. Send one identifier, or several of the same purchase.",
        ),
        Refusal::NotPossible { because } => says(
            StatusCode::CONFLICT,
            "This is not possible now.",
            format!("Nothing was changed: {because}"),
        ),
        Refusal::Uncertain => says(
            StatusCode::SERVICE_UNAVAILABLE,
            "The outcome is not known yet.",
            "The store failed while it wrote, so this may or may not have been stored. Check its status with your reference, or send the same request again with the same reference: it cannot be charged twice.",
        )
        .after(5),
        Refusal::Halted { retry_after_s } => says(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable.",
            "It was restored from a backup and sells nothing until its staff have checked what was sent before. This request charged nothing and used up no reference. Send the same request again later with the same reference.",
        )
        .after(*retry_after_s),
        Refusal::Unavailable { retry_after_s } => says(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable.",
            "Nothing was charged and the reference is not used up. Send the same request again with the same reference.",
        )
        .after(*retry_after_s),
    }
}

fn of_refusal(refusal: &Refusal) -> Answer {
    let says = entry(refusal);
    match refusal {
        Refusal::Invalid(complaints) => write(refusal.code(), says, complaints, None),
        Refusal::ReferenceKnown(first) => {
            write(refusal.code(), says, &[], first.as_deref().map(Billing::of))
        }
        Refusal::KeysMissing
        | Refusal::KeysInvalid
        | Refusal::TokenInvalid
        | Refusal::LogInFailed
        | Refusal::CodeInvalid
        | Refusal::ProductUnknown
        | Refusal::BillUnknown
        | Refusal::BillUnavailable { .. }
        | Refusal::QuoteExpired
        | Refusal::AddressNotAllowed
        | Refusal::AccountInactive
        | Refusal::NoSubscription
        | Refusal::TooFast { .. }
        | Refusal::ReferenceMissing
        | Refusal::Short { .. }
        | Refusal::NoWallet
        | Refusal::OfferUnknown
        | Refusal::OfferAmount { .. }
        | Refusal::OffersUnavailable { .. }
        | Refusal::IdempotencyMismatch
        | Refusal::IdempotencyRunning
        | Refusal::PurchaseUnknown
        | Refusal::IdentifiersDisagree
        | Refusal::NotPossible { .. }
        | Refusal::Uncertain
        | Refusal::Halted { .. }
        | Refusal::Unavailable { .. } => plain(refusal.code(), says),
    }
}

/// A missing reference has a message of its own, whatever else is wrong.
fn of_wrong(wrong: &InvalidFields) -> Answer {
    let refusal = match wrong.is_reference_missing {
        true => Refusal::ReferenceMissing,
        false => Refusal::Invalid(Vec::new()),
    };
    write(refusal.code(), entry(&refusal), &wrong.complaints, None)
}

fn plain(code: &'static str, says: ErrorText) -> Answer {
    write(code, says, &[], None)
}

fn write(
    code: &'static str,
    says: ErrorText,
    complaints: &[FieldError],
    billing: Option<Billing<'_>>,
) -> Answer {
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for complaint in complaints {
        errors.entry(complaint.field).or_default().push(&complaint.says);
    }
    let ErrorText { status, message, error, retry_after_s } = says;
    let body = ErrorBody { success: false, message, error, code, errors, billing };
    // Texts and integers can always be written.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Answer { status, body, is_replay: false, retry_after_s, code: Some(code) }
}

#[cfg(test)]
mod tests;
