//! The errors of the irecharge document: one match from refusals to status and text.
//!
//! Invariant: every error has the four documented fields and a stable `code`; its text says what
//! happened, what it means for the money and what to do next.

use super::limits::OFFERS_RETRY_S;
use super::wire::request::{InvalidFields, LookupError};
use super::wire::response::Billing;
use crate::extract::answer::Answer;
use crate::wire::fields::BodyError;
use crate::wire::json::InternalError;
use domain::{FieldError, Refusal};
use http::StatusCode;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Every error that a request of this dialect may get.
#[derive(Debug)]
pub(super) enum ApiError {
    /// A refusal of the engine.
    Refusal(Refusal),
    /// Fields are missing or invalid.
    Fields(InvalidFields),
    /// The body cannot be read.
    Body(BodyError),
    /// The path does not take this method.
    MethodNotAllowed,
    /// There is no such path.
    RouteNotFound,
    /// A failure of ours.
    Internal,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        ApiError::Refusal(refusal)
    }
}

impl From<InvalidFields> for ApiError {
    fn from(error: InvalidFields) -> ApiError {
        ApiError::Fields(error)
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> ApiError {
        match error {
            LookupError::Fields(error) => ApiError::Fields(error),
            LookupError::Disagree => ApiError::Refusal(Refusal::IdentifiersDisagree),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        ApiError::Body(error)
    }
}

impl From<InternalError> for ApiError {
    fn from(_: InternalError) -> ApiError {
        ApiError::Internal
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

/// Every code of an error: the documentation lists them.
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

/// Status and text of an error.
struct ErrorText {
    status: StatusCode,
    message: Cow<'static, str>,
    error: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

impl ErrorText {
    fn new(
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
        error: impl Into<Cow<'static, str>>,
    ) -> ErrorText {
        ErrorText { status, message: message.into(), error: error.into(), retry_after_s: None }
    }

    fn after(self, seconds: u64) -> ErrorText {
        ErrorText { retry_after_s: Some(seconds), ..self }
    }
}

/// The answer of an error.
pub(super) fn answer(error: &ApiError) -> Answer {
    let (code, status, message, error) = match error {
        ApiError::Refusal(refusal) => return of_refusal(refusal),
        ApiError::Fields(error) => return of_invalid_fields(error),
        ApiError::Body(BodyError::NotAnObject) => (
            "INVALID_JSON",
            StatusCode::BAD_REQUEST,
            "The body is not a readable JSON object.",
            "Nothing was charged and the reference is not used up. Send one JSON object in UTF-8, \
             nested at most 32 levels deep.",
        ),
        ApiError::Body(BodyError::NotJson) => (
            "UNSUPPORTED_MEDIA_TYPE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON.",
            "Nothing was charged and the reference is not used up. Send the header Content-Type: \
             application/json and no Content-Encoding.",
        ),
        ApiError::Body(BodyError::TooLong) => (
            "BODY_TOO_LARGE",
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body is too large.",
            "Nothing was charged and the reference is not used up. Send at most 64 KiB.",
        ),
        ApiError::MethodNotAllowed => (
            "METHOD_NOT_ALLOWED",
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not take this method.",
            "Nothing was charged. The header Allow names the methods it takes; the reference is at \
             /docs.",
        ),
        ApiError::RouteNotFound => (
            "ROUTE_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such endpoint.",
            "Nothing was charged. All endpoints are listed at /docs.",
        ),
        ApiError::Internal => (
            "INTERNAL_ERROR",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal Server Error",
            "Whether a purchase was made is not known. Check the status of its reference before \
             you send anything again; a known reference is never charged twice.",
        ),
    };
    render(code, ErrorText::new(status, message, error), &[], None)
}

/// The match of all refusals: each one's status and text. Its code is defined in the domain.
#[expect(clippy::too_many_lines, reason = "one entry per refusal; a table, not a procedure")]
fn text_of(refusal: &Refusal) -> ErrorText {
    match refusal {
        Refusal::KeysMissing => ErrorText::new(
            StatusCode::UNAUTHORIZED,
            "Missing headers: X-Open-Key and X-Authorization are required.",
            "Nothing was charged. Send both headers of one key pair.",
        ),
        Refusal::KeysInvalid => ErrorText::new(
            StatusCode::UNAUTHORIZED,
            "Invalid API credentials.",
            "Nothing was charged. X-Open-Key and X-Authorization must be one pair, complete, of \
             one environment, and not revoked.",
        ),
        // This dialect has no logins, products or quotes; these texts are a safeguard.
        Refusal::TokenInvalid | Refusal::LogInFailed | Refusal::CodeInvalid => ErrorText::new(
            StatusCode::UNAUTHORIZED,
            "Invalid API credentials.",
            "Nothing was charged. This API is called with a key pair.",
        ),
        Refusal::ProductUnknown | Refusal::BillUnknown => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The operator does not know this product or customer.",
            "Nothing was charged and the reference is not used up. Correct it and send the request \
             again.",
        ),
        Refusal::BillUnavailable { .. } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The operator cannot be asked just now.",
            "Nothing was charged and the reference is not used up. Send the request again in a few \
             seconds.",
        )
        .after(OFFERS_RETRY_S),
        Refusal::QuoteExpired => ErrorText::new(
            StatusCode::CONFLICT,
            "The quote has expired.",
            "Nothing was charged. Ask for a new one.",
        ),
        Refusal::AddressNotAllowed => ErrorText::new(
            StatusCode::FORBIDDEN,
            "Your IP address is not whitelisted",
            "Nothing was charged. Add your server's IP address to the key's whitelist in the \
             developer dashboard.",
        ),
        Refusal::AccountInactive => ErrorText::new(
            StatusCode::FORBIDDEN,
            "Your account is inactive.",
            "Nothing was charged. Ask support to activate the account.",
        ),
        Refusal::NoSubscription => ErrorText::new(
            StatusCode::PAYMENT_REQUIRED,
            "No active API subscription found.",
            "Nothing was charged and the reference is not used up. Subscribe to a package, then \
             send the request again.",
        ),
        Refusal::TooFast { retry_after_s } => ErrorText::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Rate limit exceeded.",
            format!(
                "Nothing was charged and the reference is not used up. Send the request again in \
                 {retry_after_s} seconds."
            ),
        )
        .after(*retry_after_s),
        Refusal::Invalid(_) => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Some fields are missing or wrong.",
            "Nothing was charged and the reference is not used up. Correct the fields named in \
             errors and send the request again.",
        ),
        Refusal::ReferenceMissing => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Billing recharge requires a unique reference in body (reference/client_reference).",
            "Nothing was charged. Send a reference of your own that was never used before.",
        ),
        Refusal::ReferenceKnown(_) => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Reference already exists. Please send a unique reference.",
            "Nothing was charged this time. The first purchase with this reference counts: check \
             its status before you send another.",
        ),
        Refusal::InsufficientBalance { .. } => ErrorText::new(
            StatusCode::PAYMENT_REQUIRED,
            "Insufficient balance",
            "Your account balance is insufficient for this transaction",
        ),
        Refusal::NoWallet => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Your account has no wallet in this currency.",
            "Nothing was charged and the reference is not used up. Ask support to open one, or \
             choose an operator whose currency you hold.",
        ),
        Refusal::OfferUnknown => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The operator does not quote this offer for this number now.",
            "Nothing was charged and the reference is not used up. Fetch the offers again and \
             choose one of them.",
        ),
        Refusal::OfferAmount { costs } => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("The offer costs {}.", costs.shortest()),
            "Nothing was charged and the reference is not used up. Send the offer's own amount.",
        ),
        Refusal::OffersUnavailable { .. } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The operator's offers cannot be had just now.",
            "Nothing was charged and the reference is not used up. Send the request again in a few \
             seconds.",
        )
        .after(OFFERS_RETRY_S),
        Refusal::IdempotencyMismatch => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key came before with another request.",
            "Nothing was charged this time. Use a new key for a new request, or repeat the first \
             request unchanged.",
        ),
        Refusal::IdempotencyRunning => ErrorText::new(
            StatusCode::CONFLICT,
            "The first request with this Idempotency-Key is still running.",
            "Nothing was charged a second time. Send the request again in a few seconds to get the \
             first answer.",
        )
        .after(1),
        Refusal::PurchaseUnknown => ErrorText::new(
            StatusCode::NOT_FOUND,
            "Transaction not found for provided identifier.",
            "No purchase of this account and environment has this identifier. Check the identifier \
             and the keys.",
        ),
        Refusal::IdentifiersDisagree => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The identifiers name different transactions.",
            "Nothing was changed. Send one identifier, or several of the same purchase.",
        ),
        Refusal::NotPossible { because } => ErrorText::new(
            StatusCode::CONFLICT,
            "This is not possible now.",
            format!("Nothing was changed: {because}"),
        ),
        Refusal::Uncertain => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The outcome is not known yet.",
            "The store failed while it wrote, so this may or may not have been stored. Check its \
             status with your reference, or send the same request again with the same reference: \
             it cannot be charged twice.",
        )
        .after(5),
        Refusal::Halted { retry_after_s } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable.",
            "It was restored from a backup and sells nothing until its staff have checked what was \
             sent before. This request charged nothing and used up no reference. Send the same \
             request again later with the same reference.",
        )
        .after(*retry_after_s),
        Refusal::Unavailable { retry_after_s } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable.",
            "Nothing was charged and the reference is not used up. Send the same request again \
             with the same reference.",
        )
        .after(*retry_after_s),
    }
}

fn of_refusal(refusal: &Refusal) -> Answer {
    let field_errors = if let Refusal::Invalid(errors) = refusal { &errors[..] } else { &[] };
    let first = if let Refusal::ReferenceKnown(first) = refusal { first.as_deref() } else { None };
    render(refusal.code(), text_of(refusal), field_errors, first.map(Billing::of))
}

/// A missing reference has its own message, even if other fields are invalid too.
fn of_invalid_fields(invalid: &InvalidFields) -> Answer {
    let refusal = match invalid.is_reference_missing {
        true => Refusal::ReferenceMissing,
        false => Refusal::Invalid(Vec::new()),
    };
    render(refusal.code(), text_of(&refusal), &invalid.field_errors, None)
}

fn render(
    code: &'static str,
    text: ErrorText,
    field_errors: &[FieldError],
    billing: Option<Billing<'_>>,
) -> Answer {
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field_error in field_errors {
        errors.entry(field_error.field).or_default().push(&field_error.message);
    }
    let ErrorText { status, message, error, retry_after_s } = text;
    let body = ErrorBody { success: false, message, error, code, errors, billing };
    // Texts and integers can always be serialized.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Answer { status, body, is_replay: false, retry_after_s, code: Some(code) }
}

#[cfg(test)]
mod tests;
