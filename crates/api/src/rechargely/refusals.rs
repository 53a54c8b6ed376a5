//! The errors of the rechargely document: one match from refusals to status and text.
//!
//! Invariant: every error has the documented `message` and a stable `code`; the message says what
//! happened, what it means for the money and what to do next.

use super::limits::BILLER_RETRY_S;
use super::wire::request::InvalidFields;
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
    /// A refusal of the engine, or invalid fields.
    Refusal(Refusal),
    /// The body cannot be read.
    Body(BodyError),
    /// A header was sent twice with different values.
    DuplicateHeader(&'static str),
    /// `X-Channel-Id` names no channel.
    InvalidChannel,
    /// There is no such category.
    CategoryNotFound,
    /// No product has this reference name.
    ProviderNotFound,
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
    fn from(InvalidFields(field_errors): InvalidFields) -> ApiError {
        ApiError::Refusal(Refusal::Invalid(field_errors))
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
    /// What happened, what it means for the money, and what to do next.
    #[schema(example = "The wallet does not hold amount and fee. Nothing was charged.")]
    message: Cow<'a, str>,
    /// Added to the document. Stable: decide by this.
    #[schema(example = "INSUFFICIENT_BALANCE")]
    code: &'a str,
    /// Added to the document, on 422: every wrong field with its complaints.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    errors: BTreeMap<&'a str, Vec<&'a str>>,
}

/// Every code of an error: the documentation lists them.
#[cfg(test)]
pub(super) const CODES: [&str; 27] = [
    "INVALID_JSON",
    "DUPLICATE_HEADER",
    "INVALID_CHANNEL",
    "TOKEN_INVALID",
    "LOGIN_FAILED",
    "ACCOUNT_INACTIVE",
    "PRODUCT_NOT_FOUND",
    "CATEGORY_NOT_FOUND",
    "PROVIDER_NOT_FOUND",
    "TRANSACTION_NOT_FOUND",
    "ROUTE_NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "DUPLICATE_REFERENCE",
    "QUOTE_EXPIRED",
    "NOT_POSSIBLE",
    "BODY_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "VALIDATION_ERROR",
    "BILL_REFERENCE_NOT_FOUND",
    "INSUFFICIENT_BALANCE",
    "NO_WALLET",
    "CODE_INVALID",
    "RATE_LIMIT_EXCEEDED",
    "INTERNAL_ERROR",
    "OUTCOME_UNKNOWN",
    "TEMPORARILY_UNAVAILABLE",
    "BILLER_UNAVAILABLE",
];

/// Status and text of an error.
struct ErrorText {
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

impl ErrorText {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> ErrorText {
        ErrorText { status, message: message.into(), retry_after_s: None }
    }

    fn after(self, seconds: u64) -> ErrorText {
        ErrorText { retry_after_s: Some(seconds), ..self }
    }
}

/// The answer of an error.
pub(super) fn answer(error: &ApiError) -> Answer {
    let (code, status, message) = match error {
        ApiError::Refusal(refusal) => return of_refusal(refusal),
        ApiError::Body(error) => of_body_error(*error),
        ApiError::DuplicateHeader(name) => {
            let message = format!(
                "The header {name} came twice with different values. Nothing was charged. Send it \
                 once."
            );
            let text = ErrorText::new(StatusCode::BAD_REQUEST, message);
            return render("DUPLICATE_HEADER", text, &[]);
        }
        ApiError::InvalidChannel => (
            "INVALID_CHANNEL",
            StatusCode::BAD_REQUEST,
            "X-Channel-Id names no channel. Nothing was charged. Send WEB, APP, API, POS or USSD, \
             or leave the header out.",
        ),
        ApiError::CategoryNotFound => (
            "CATEGORY_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such category. GET /products/categories lists them.",
        ),
        ApiError::ProviderNotFound => (
            "PROVIDER_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "No product goes by this reference name. Send the refName of a product.",
        ),
        ApiError::MethodNotAllowed => (
            "METHOD_NOT_ALLOWED",
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not take this method. Nothing was charged. The header Allow names the \
             methods it takes; the reference is at /docs.",
        ),
        ApiError::RouteNotFound => (
            "ROUTE_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such endpoint. Nothing was charged. All endpoints are listed at /docs.",
        ),
        ApiError::Internal => (
            "INTERNAL_ERROR",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something of ours broke, and whether a payment was made is not known. Send the same \
             request again with the same requestId, or ask for its status: it is never charged \
             twice.",
        ),
    };
    render(code, ErrorText::new(status, message), &[])
}

const fn of_body_error(error: BodyError) -> (&'static str, StatusCode, &'static str) {
    match error {
        BodyError::NotAnObject => (
            "INVALID_JSON",
            StatusCode::BAD_REQUEST,
            "The body is not a readable JSON object. Nothing was charged. Send one JSON object in \
             UTF-8, nested at most 32 levels deep.",
        ),
        BodyError::NotJson => (
            "UNSUPPORTED_MEDIA_TYPE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON. Nothing was charged. Send the header Content-Type: \
             application/json and no Content-Encoding.",
        ),
        BodyError::TooLong => (
            "BODY_TOO_LARGE",
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body is too large. Nothing was charged. Send at most 64 KiB.",
        ),
    }
}

/// The match of all refusals: each one's status and text. Its code is defined in the domain.
#[expect(clippy::too_many_lines, reason = "one entry per refusal; a table, not a procedure")]
fn text_of(refusal: &Refusal) -> ErrorText {
    match refusal {
        // This dialect has no key pairs: a caller with one has no token.
        Refusal::TokenInvalid | Refusal::KeysMissing | Refusal::KeysInvalid => ErrorText::new(
            StatusCode::UNAUTHORIZED,
            "The access token is missing, invalid or expired. Nothing was charged. Log in again \
             and send Authorization: Bearer with the new token.",
        ),
        Refusal::LogInFailed => ErrorText::new(
            StatusCode::UNAUTHORIZED,
            "The username or the password is wrong. Correct them, or ask for a new password.",
        ),
        Refusal::AddressNotAllowed => ErrorText::new(
            StatusCode::FORBIDDEN,
            "This login may not be used from your address. Nothing was charged. Contact support.",
        ),
        Refusal::AccountInactive => ErrorText::new(
            StatusCode::FORBIDDEN,
            "Your account is inactive. Nothing was charged. Contact support to activate it.",
        ),
        Refusal::NoSubscription => ErrorText::new(
            StatusCode::FORBIDDEN,
            "Your account may not do this. Nothing was charged. Contact support.",
        ),
        Refusal::ProductUnknown => ErrorText::new(
            StatusCode::NOT_FOUND,
            "There is no such product. Nothing was charged. GET \
             /products/products-list-category/{categoryId} lists them; send a productId or an id \
             of the list.",
        ),
        Refusal::PurchaseUnknown => ErrorText::new(
            StatusCode::NOT_FOUND,
            "You have no such payment. Nothing was charged. Check the requestId and the \
             preAuthToken: they must belong together.",
        ),
        Refusal::ReferenceKnown(_) => ErrorText::new(
            StatusCode::CONFLICT,
            "This requestId is used up: its payment was authorized, has expired, or had other \
             fields. Nothing was charged this time. GET /transactions/{requestId} tells how it \
             stands; start a new payment with a new requestId.",
        ),
        Refusal::IdempotencyMismatch => ErrorText::new(
            StatusCode::CONFLICT,
            "This requestId came before with other fields. Nothing was charged this time. Repeat \
             the first request unchanged, or start a new payment with a new requestId.",
        ),
        Refusal::IdempotencyRunning => ErrorText::new(
            StatusCode::CONFLICT,
            "The first request with this requestId is still running. Nothing was charged a second \
             time. Send the request again in a few seconds.",
        )
        .after(1),
        Refusal::QuoteExpired => ErrorText::new(
            StatusCode::CONFLICT,
            "The payment was not authorized in time, or was called off. Nothing was charged. Start \
             a new payment with a new requestId.",
        ),
        Refusal::NotPossible { because } => ErrorText::new(
            StatusCode::CONFLICT,
            format!("This is not possible now. Nothing was changed. {because}"),
        ),
        Refusal::Invalid(_) => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Some fields are missing or wrong. Nothing was charged. Correct the fields named in \
             errors and send the request again.",
        ),
        Refusal::ReferenceMissing => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The requestId is missing. Nothing was charged. Send one of your own that was never \
             used before.",
        ),
        Refusal::BillUnknown => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The biller knows nobody by this billReference. Nothing was charged. Correct it and \
             send the request again.",
        ),
        Refusal::InsufficientBalance { available } => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "The wallet holds {available}, which is less than amount and fee. Nothing was \
                 charged. Top the wallet up and authorize the payment again before it expires."
            ),
        ),
        Refusal::NoWallet => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "You have no wallet in this currency. Nothing was charged. Choose a product whose \
             currency you hold.",
        ),
        Refusal::CodeInvalid => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The code is wrong, used or too old. Nothing was changed. Ask for a new one.",
        ),
        // This dialect sells no offers.
        Refusal::OfferUnknown => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The provider does not offer this now. Nothing was charged. Choose something else.",
        ),
        Refusal::OfferAmount { costs } => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("This costs {costs}. Nothing was charged. Send exactly that amount."),
        ),
        Refusal::IdentifiersDisagree => ErrorText::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The identifiers name different payments. Nothing was changed. Send one identifier.",
        ),
        Refusal::TooFast { retry_after_s } => ErrorText::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "Too many requests. Nothing was charged. Send the request again in {retry_after_s} \
                 seconds."
            ),
        )
        .after(*retry_after_s),
        Refusal::BillUnavailable { .. } | Refusal::OffersUnavailable { .. } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The biller cannot be asked just now. Nothing was charged and the requestId is not \
             used up. Send the same request again in a few seconds.",
        )
        .after(BILLER_RETRY_S),
        Refusal::Uncertain => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The outcome is not known yet: the store failed while it wrote. Send the same request \
             again with the same requestId: it is never charged twice.",
        )
        .after(5),
        Refusal::Halted { retry_after_s } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service was restored from a backup and sells nothing until its staff have checked \
             what was sent before. This request charged nothing. Send the same request again later \
             with the same requestId.",
        )
        .after(*retry_after_s),
        Refusal::Unavailable { retry_after_s } => ErrorText::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable. Nothing was charged. Send the same request \
             again.",
        )
        .after(*retry_after_s),
    }
}

fn of_refusal(refusal: &Refusal) -> Answer {
    let field_errors =
        if let Refusal::Invalid(field_errors) = refusal { &field_errors[..] } else { &[] };
    let is_about_keys = matches!(refusal, Refusal::KeysMissing | Refusal::KeysInvalid);
    let code = if is_about_keys { Refusal::TokenInvalid.code() } else { refusal.code() };
    render(code, text_of(refusal), field_errors)
}

fn render(code: &'static str, text: ErrorText, field_errors: &[FieldError]) -> Answer {
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field_error in field_errors {
        errors.entry(field_error.field).or_default().push(&field_error.message);
    }
    let ErrorText { status, message, retry_after_s } = text;
    let body = ErrorBody { message, code, errors };
    // Texts can always be serialized.
    let body = serde_json::to_string(&body).unwrap_or_default();
    Answer { status, body, is_replay: false, retry_after_s, code: Some(code) }
}

#[cfg(test)]
mod tests;
