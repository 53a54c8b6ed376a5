//! The errors of the irecharge document: status and text of each refusal that it may get.
//!
//! Invariant: every error has the four documented fields and a stable `code`; its text says what
//! happened, what it means for the money and what to do next.

use super::limits::OFFERS_RETRY_S;
use super::wire::request::{InvalidFields, LookupError};
use super::wire::response::Billing;
use crate::extract::answer::Answer;
use crate::extract::error::{error_texts, use_case_errors};
use crate::wire::fields::BodyError;
use crate::wire::json::InternalError;
use domain::refusal::{
    AccountInactive, AccountNotApproved, AddressNotAllowed, BuyRefused, BuyerRefused, FindRefused,
    Halted, IdempotencyMismatch, IdempotencyRunning, InsufficientBalance, Invalid, KeyExpired,
    KeyPairRefused, KeysInvalid, KeysMissing, NoRoute, NoSubscription, NoWallet, NotPossible,
    OfferAmount, OfferRefused, OfferUnknown, OffersRefused, OffersUnavailable, PossibleDuplicate,
    PurchaseUnknown, ReferenceKnown, ScopeMissing, StoreRefused, TooFast, Unavailable, Uncertain,
    UpstreamUnavailable, WalletRefused,
};
use domain::{FieldError, Purchase, Refused as _};
use http::StatusCode;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use utoipa::ToSchema;

/// An error as it is answered.
#[derive(Debug)]
pub(super) struct ApiError {
    /// Stable; in the body, and for the log.
    pub code: &'static str,
    status: StatusCode,
    message: Cow<'static, str>,
    error: Cow<'static, str>,
    retry_after_s: Option<u64>,
    field_errors: Vec<FieldError>,
    first: Option<Box<Purchase>>,
    ip: Option<IpAddr>,
    earlier: Option<String>,
}

impl ApiError {
    fn new(
        code: &'static str,
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
        error: impl Into<Cow<'static, str>>,
    ) -> ApiError {
        ApiError {
            code,
            status,
            message: message.into(),
            error: error.into(),
            retry_after_s: None,
            field_errors: Vec::new(),
            first: None,
            ip: None,
            earlier: None,
        }
    }

    fn after(self, seconds: u64) -> ApiError {
        ApiError { retry_after_s: Some(seconds), ..self }
    }

    fn about(self, field_errors: Vec<FieldError>) -> ApiError {
        ApiError { field_errors, ..self }
    }

    fn seen_at(self, ip: IpAddr) -> ApiError {
        ApiError { ip: Some(ip), ..self }
    }

    fn like(self, earlier: String) -> ApiError {
        ApiError { earlier: Some(earlier), ..self }
    }

    fn showing(self, first: Option<Box<Purchase>>) -> ApiError {
        ApiError { first, ..self }
    }

    /// The path does not take this method.
    pub(super) fn method_not_allowed() -> ApiError {
        ApiError::new(
            "METHOD_NOT_ALLOWED",
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not take this method.",
            "Nothing was charged. The header Allow names the methods it takes; the reference is at \
             /docs.",
        )
    }

    /// There is no such path.
    pub(super) fn route_not_found() -> ApiError {
        ApiError::new(
            "ROUTE_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such endpoint.",
            "Nothing was charged. All endpoints are listed at /docs.",
        )
    }

    /// A failure of ours.
    pub(super) fn internal() -> ApiError {
        ApiError::new(
            "INTERNAL_ERROR",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal Server Error",
            "Whether a purchase was made is not known. Check the status of its reference before \
             you send anything again; a known reference is never charged twice.",
        )
    }

    /// No reference was sent.
    pub(super) fn reference_missing() -> ApiError {
        ApiError::new(
            "REFERENCE_REQUIRED",
            StatusCode::UNPROCESSABLE_ENTITY,
            "Billing recharge requires a unique reference in body (reference/client_reference).",
            "Nothing was charged. Send a reference of your own that was never used before.",
        )
    }

    /// Two identifiers of the request belong to different purchases.
    pub(super) fn identifiers_disagree() -> ApiError {
        ApiError::new(
            "IDENTIFIER_MISMATCH",
            StatusCode::UNPROCESSABLE_ENTITY,
            "The identifiers name different transactions.",
            "Nothing was changed. Send one identifier, or several of the same purchase.",
        )
    }
}

error_texts! { ApiError:
    KeysMissing => UNAUTHORIZED,
        "Missing headers: X-Open-Key and X-Authorization are required.",
        "Nothing was charged. Send both headers of one key pair.";
    KeysInvalid => UNAUTHORIZED,
        "Invalid API credentials.",
        "Nothing was charged. X-Open-Key and X-Authorization must be one pair, complete, of \
         one environment, and not revoked.";
    AddressNotAllowed { seen } => FORBIDDEN,
        "Your IP address is not whitelisted",
        "Nothing was charged. Add your server's IP address to the key's whitelist in the \
         developer dashboard."
        => seen_at(seen);
    KeyExpired => UNAUTHORIZED,
        "This key pair has expired.",
        "Nothing was charged and the reference is not used up. Send the pair that took its place, \
         or make a new one on the dashboard.";
    ScopeMissing { scope } => FORBIDDEN,
        format!("This key pair is not for this: it lacks the scope {}.", scope.code()),
        "Nothing was charged and the reference is not used up. Use another key pair, or add the \
         scope on the dashboard.";
    AccountInactive => FORBIDDEN,
        "Your account is inactive.",
        "Nothing was charged. Ask support to activate the account.";
    AccountNotApproved => FORBIDDEN,
        "Your account is not approved for live mode yet.",
        "Nothing was charged and the reference is not used up. Confirm your e-mail on the \
         dashboard; then support approves the account. The sandbox works.";
    NoSubscription => PAYMENT_REQUIRED,
        "No active API subscription found.",
        "Nothing was charged and the reference is not used up. Subscribe to a package, then \
         send the request again.";
    TooFast { retry_after_s } => TOO_MANY_REQUESTS,
        "Rate limit exceeded.",
        format!(
            "Nothing was charged and the reference is not used up. Send the request again in \
             {retry_after_s} seconds."
        )
        => after(retry_after_s);
    Invalid { errors } => UNPROCESSABLE_ENTITY,
        "Some fields are missing or wrong.",
        "Nothing was charged and the reference is not used up. Correct the fields named in \
         errors and send the request again."
        => about(errors);
    ReferenceKnown { first } => UNPROCESSABLE_ENTITY,
        "Reference already exists. Please send a unique reference.",
        "Nothing was charged this time. The first purchase with this reference counts: check \
         its status before you send another."
        => showing(first);
    PossibleDuplicate { earlier } => UNPROCESSABLE_ENTITY,
        format!("The same sale was made a moment ago under the reference {earlier}."),
        "Nothing was charged and the reference is not used up. If it is meant to be sold again, \
         send it with allow_duplicate: true."
        => like(earlier);
    InsufficientBalance { .. } => PAYMENT_REQUIRED,
        "Insufficient balance",
        "Your account balance is insufficient for this transaction";
    NoWallet => UNPROCESSABLE_ENTITY,
        "Your account has no wallet in this currency.",
        "Nothing was charged and the reference is not used up. Ask support to open one, or \
         choose an operator whose currency you hold.";
    NoRoute => UNPROCESSABLE_ENTITY,
        "Nothing is set up to deliver this.",
        "Nothing was charged and the reference is not used up. Sending it again does not help: \
         ask support, who see in their log what is missing, or choose another operator.";
    OfferUnknown => UNPROCESSABLE_ENTITY,
        "The operator does not quote this offer for this number now.",
        "Nothing was charged and the reference is not used up. Fetch the offers again and \
         choose one of them.";
    OfferAmount { costs } => UNPROCESSABLE_ENTITY,
        format!("The offer costs {}.", costs.shortest()),
        "Nothing was charged and the reference is not used up. Send the offer's own amount.";
    OffersUnavailable { .. } => SERVICE_UNAVAILABLE,
        "The operator's offers cannot be had just now.",
        "Nothing was charged and the reference is not used up. Send the request again in a few \
         seconds."
        => after(OFFERS_RETRY_S);
    IdempotencyMismatch => UNPROCESSABLE_ENTITY,
        "This Idempotency-Key came before with another request.",
        "Nothing was charged this time. Use a new key for a new request, or repeat the first \
         request unchanged.";
    IdempotencyRunning => CONFLICT,
        "The first request with this Idempotency-Key is still running.",
        "Nothing was charged a second time. Send the request again in a few seconds to get the \
         first answer."
        => after(1);
    PurchaseUnknown => NOT_FOUND,
        "Transaction not found for provided identifier.",
        "No purchase of this account and environment has this identifier. Check the identifier \
         and the keys.";
    NotPossible { because } => CONFLICT,
        "This is not possible now.",
        format!("Nothing was changed: {because}");
    Uncertain => SERVICE_UNAVAILABLE,
        "The outcome is not known yet.",
        "The store failed while it wrote, so this may or may not have been stored. Check its \
         status with your reference, or send the same request again with the same reference: \
         it cannot be charged twice."
        => after(5);
    Halted { retry_after_s } => SERVICE_UNAVAILABLE,
        "The service is temporarily unavailable.",
        "It was restored from a backup and sells nothing until its staff have checked what was \
         sent before. This request charged nothing and used up no reference. Send the same \
         request again later with the same reference."
        => after(retry_after_s);
    UpstreamUnavailable { retry_after_s } => SERVICE_UNAVAILABLE,
        "No upstream can take this order for now.",
        "Nothing was charged and the reference is not used up. Send the same request again with \
         the same reference, or another one."
        => after(retry_after_s);
    Unavailable { retry_after_s } => SERVICE_UNAVAILABLE,
        "The service is temporarily unavailable.",
        "Nothing was charged and the reference is not used up. Send the same request again \
         with the same reference."
        => after(retry_after_s);
}

use_case_errors! { ApiError:
    KeyPairRefused, BuyerRefused, BuyRefused, OffersRefused, OfferRefused, FindRefused,
    WalletRefused, StoreRefused
}

/// A missing reference has its own message, even if other fields are invalid too.
impl From<InvalidFields> for ApiError {
    fn from(invalid: InvalidFields) -> ApiError {
        let InvalidFields { is_reference_missing, field_errors } = invalid;
        match is_reference_missing {
            true => ApiError::reference_missing().about(field_errors),
            false => Invalid { errors: field_errors }.into(),
        }
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> ApiError {
        match error {
            LookupError::Fields(error) => error.into(),
            LookupError::Disagree => ApiError::identifiers_disagree(),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let (code, status, message, error) = match error {
            BodyError::NotAnObject => (
                "INVALID_JSON",
                StatusCode::BAD_REQUEST,
                "The body is not a readable JSON object.",
                "Nothing was charged and the reference is not used up. Send one JSON object in \
                 UTF-8, nested at most 32 levels deep.",
            ),
            BodyError::NotJson => (
                "UNSUPPORTED_MEDIA_TYPE",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON.",
                "Nothing was charged and the reference is not used up. Send the header \
                 Content-Type: application/json and no Content-Encoding.",
            ),
            BodyError::TooLong => (
                "BODY_TOO_LARGE",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large.",
                "Nothing was charged and the reference is not used up. Send at most 64 KiB.",
            ),
        };
        ApiError::new(code, status, message, error)
    }
}

impl From<InternalError> for ApiError {
    fn from(_: InternalError) -> ApiError {
        ApiError::internal()
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
    /// Added to the document, on `IP_NOT_WHITELISTED`: the address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, nullable = false, example = "203.0.113.7")]
    ip: Option<IpAddr>,
    /// Added to the document, on `POSSIBLE_DUPLICATE`: the reference of the earlier purchase.
    #[serde(rename = "possibleDuplicateOf", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "BILL-026400")]
    possible_duplicate_of: Option<&'a str>,
}

/// The answer of an error.
pub(super) fn answer(error: &ApiError) -> Answer {
    let ApiError { code, status, message, retry_after_s, .. } = error;
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field_error in &error.field_errors {
        errors.entry(field_error.field).or_default().push(&field_error.message);
    }
    let body = ErrorBody {
        success: false,
        message: Cow::Borrowed(message),
        error: Cow::Borrowed(&error.error),
        code,
        errors,
        billing: error.first.as_deref().map(Billing::of),
        ip: error.ip,
        possible_duplicate_of: error.earlier.as_deref(),
    };
    // Texts and integers can always be serialized.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let (status, retry_after_s, code) = (*status, *retry_after_s, Some(*code));
    Answer { status, body, is_replay: false, retry_after_s, code }
}

#[cfg(test)]
mod tests;
