//! The errors of the rechargely document: status and text of each refusal that it may get.
//!
//! Invariant: every error has the documented `message` and a stable `code`; the message says what
//! happened, what it means for the money and what to do next.

use super::limits::BILLER_RETRY_S;
use super::wire::request::InvalidFields;
use crate::extract::answer::Answer;
use crate::extract::error::{error_texts, use_case_errors};
use crate::wire::fields::BodyError;
use crate::wire::json::InternalError;
use domain::refusal::{
    AcceptRefused, AccountInactive, AccountNotApproved, BillUnavailable, BillUnknown, CodeInvalid,
    ConfirmRefused, FindRefused, Halted, InsufficientBalance, Invalid, LogInFailed, LogInRefused,
    NoRoute, NoWallet, NotPossible, NotSold, PasswordRefused, PurchaseUnknown, QuoteExpired,
    QuoteRefused, ReferenceKnown, ResendRefused, ResetRefused, SessionRefused, SignUpRefused,
    StoreRefused, TokenInvalid, TokenRefused, TooFast, Unavailable, Uncertain, UpstreamUnavailable,
    WalletRefused,
};
use domain::{FieldError, Refused as _};
use http::StatusCode;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An error as it is answered.
#[derive(Debug)]
pub(super) struct ApiError {
    /// Stable; in the body, and for the log.
    pub code: &'static str,
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after_s: Option<u64>,
    field_errors: Vec<FieldError>,
}

impl ApiError {
    fn new(
        code: &'static str,
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
    ) -> ApiError {
        let message = message.into();
        ApiError { code, status, message, retry_after_s: None, field_errors: Vec::new() }
    }

    fn after(self, seconds: u64) -> ApiError {
        ApiError { retry_after_s: Some(seconds), ..self }
    }

    fn about(self, field_errors: Vec<FieldError>) -> ApiError {
        ApiError { field_errors, ..self }
    }

    /// The same error with other names of fields: pairs of the old one and the new one.
    pub(super) fn renamed(mut self, names: &[(&str, &'static str)]) -> ApiError {
        for error in &mut self.field_errors {
            let name = names.iter().find(|(engine, _)| *engine == error.field);
            error.field = name.map_or(error.field, |(_, wire)| *wire);
        }
        self
    }

    /// A header was sent twice with different values.
    pub(super) fn duplicate_header(name: &'static str) -> ApiError {
        let message = format!(
            "The header {name} came twice with different values. Nothing was charged. Send it once."
        );
        ApiError::new("DUPLICATE_HEADER", StatusCode::BAD_REQUEST, message)
    }

    /// `X-Channel-Id` names no channel.
    pub(super) fn invalid_channel() -> ApiError {
        ApiError::new(
            "INVALID_CHANNEL",
            StatusCode::BAD_REQUEST,
            "X-Channel-Id names no channel. Nothing was charged. Send WEB, APP, API, POS or USSD, \
             or leave the header out.",
        )
    }

    /// No such product is sold.
    pub(super) fn product_not_found() -> ApiError {
        ApiError::new(
            "PRODUCT_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such product. Nothing was charged. GET \
             /products/products-list-category/{categoryId} lists them; send a productId or an id \
             of the list.",
        )
    }

    /// There is no such category.
    pub(super) fn category_not_found() -> ApiError {
        ApiError::new(
            "CATEGORY_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such category. GET /products/categories lists them.",
        )
    }

    /// No product and no category has this name.
    pub(super) fn provider_not_found() -> ApiError {
        ApiError::new(
            "PROVIDER_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "No product and no category goes by this name. Send the refName or the name of a \
             product, or the name of a category.",
        )
    }

    /// The path does not take this method.
    pub(super) fn method_not_allowed() -> ApiError {
        ApiError::new(
            "METHOD_NOT_ALLOWED",
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not take this method. Nothing was charged. The header Allow names the \
             methods it takes; the reference is at /docs.",
        )
    }

    /// There is no such path.
    pub(super) fn route_not_found() -> ApiError {
        ApiError::new(
            "ROUTE_NOT_FOUND",
            StatusCode::NOT_FOUND,
            "There is no such endpoint. Nothing was charged. All endpoints are listed at /docs.",
        )
    }

    /// A failure of ours.
    pub(super) fn internal() -> ApiError {
        ApiError::new(
            "INTERNAL_ERROR",
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something of ours broke, and whether a payment was made is not known. Send the same \
             request again with the same requestId, or ask for its status: it is never charged \
             twice.",
        )
    }
}

error_texts! { ApiError:
    TokenInvalid => UNAUTHORIZED,
        "The access token is missing, invalid or expired. Nothing was charged. Log in again \
         and send Authorization: Bearer with the new token.";
    LogInFailed => UNAUTHORIZED,
        "The username or the password is wrong. Correct them, or ask for a new password.";
    AccountInactive => FORBIDDEN,
        "Your account is inactive. Nothing was charged. Contact support to activate it.";
    AccountNotApproved => FORBIDDEN,
        "Your account is not approved for live mode yet. Nothing was charged. Contact support.";
    PurchaseUnknown => NOT_FOUND,
        "You have no such payment. Nothing was charged. Check the requestId and the \
         preAuthToken: they must belong together.";
    ReferenceKnown { .. } => CONFLICT,
        "This requestId is used up: its payment was authorized, has expired, or had other \
         fields. Nothing was charged this time. GET /transactions/{requestId} tells how it \
         stands; start a new payment with a new requestId.";
    QuoteExpired => CONFLICT,
        "The payment was not authorized in time, or was called off. Nothing was charged. Start \
         a new payment with a new requestId.";
    NotPossible { because } => CONFLICT,
        format!("This is not possible now. Nothing was changed. {because}");
    Invalid { errors } => UNPROCESSABLE_ENTITY,
        "Some fields are missing or wrong. Nothing was charged. Correct the fields named in \
         errors and send the request again."
        => about(errors);
    BillUnknown => UNPROCESSABLE_ENTITY,
        "The biller knows nobody by this billReference. Nothing was charged. Correct it and \
         send the request again.";
    InsufficientBalance { available } => UNPROCESSABLE_ENTITY,
        format!(
            "The wallet holds {available}, which is less than amount and fee. Nothing was \
             charged. Top the wallet up and authorize the payment again before it expires."
        );
    NoRoute => UNPROCESSABLE_ENTITY,
        "Nothing is set up to deliver this. Nothing was charged and the requestId is not used up. \
         Sending it again does not help: ask support, or choose another product.";
    NotSold => UNPROCESSABLE_ENTITY,
        "This product is not sold any more. Nothing was charged. Start a new payment for another \
         product.";
    NoWallet => UNPROCESSABLE_ENTITY,
        "You have no wallet in this currency. Nothing was charged. Choose a product whose \
         currency you hold.";
    CodeInvalid => UNPROCESSABLE_ENTITY,
        "The code is wrong, used or too old. Nothing was changed. Ask for a new one.";
    TooFast { retry_after_s } => TOO_MANY_REQUESTS,
        format!(
            "Too many requests. Nothing was charged. Send the request again in {retry_after_s} \
             seconds."
        )
        => after(retry_after_s);
    BillUnavailable { .. } => SERVICE_UNAVAILABLE,
        "The biller cannot be asked just now. Nothing was charged and the requestId is not \
         used up. Send the same request again in a few seconds."
        => after(BILLER_RETRY_S);
    Uncertain => SERVICE_UNAVAILABLE,
        "The outcome is not known yet: the store failed while it wrote. Send the same request \
         again with the same requestId: it is never charged twice."
        => after(5);
    Halted { retry_after_s } => SERVICE_UNAVAILABLE,
        "The service was restored from a backup and sells nothing until its staff have checked \
         what was sent before. This request charged nothing. Send the same request again later \
         with the same requestId."
        => after(retry_after_s);
    UpstreamUnavailable { retry_after_s } => SERVICE_UNAVAILABLE,
        "No upstream can take this order for now. Nothing was charged. Send the same request \
         again."
        => after(retry_after_s);
    Unavailable { retry_after_s } => SERVICE_UNAVAILABLE,
        "The service is temporarily unavailable. Nothing was charged. Send the same request \
         again."
        => after(retry_after_s);
}

use_case_errors! { ApiError:
    TokenRefused, LogInRefused, SignUpRefused, ConfirmRefused, ResetRefused, PasswordRefused,
    SessionRefused, QuoteRefused, AcceptRefused, FindRefused, ResendRefused, WalletRefused,
    StoreRefused
}

/// 400 if a required field was not sent, else 422 (CONTRACT B-05a).
impl From<InvalidFields> for ApiError {
    fn from(invalid: InvalidFields) -> ApiError {
        let error = ApiError::from(Invalid { errors: invalid.field_errors });
        match invalid.is_any_missing {
            true => ApiError { status: StatusCode::BAD_REQUEST, ..error },
            false => error,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let (code, status, message) = match error {
            BodyError::NotAnObject => (
                "INVALID_JSON",
                StatusCode::BAD_REQUEST,
                "The body is not a readable JSON object. Nothing was charged. Send one JSON \
                 object in UTF-8, nested at most 32 levels deep.",
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
        };
        ApiError::new(code, status, message)
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
    /// What happened, what it means for the money, and what to do next.
    #[schema(example = "The wallet does not hold amount and fee. Nothing was charged.")]
    message: Cow<'a, str>,
    /// Added to the document. Stable: decide by this.
    #[schema(example = "INSUFFICIENT_BALANCE")]
    code: &'a str,
    /// Added to the document, on 400 and 422: every wrong field with its complaints.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    errors: BTreeMap<&'a str, Vec<&'a str>>,
}

/// The answer of an error.
pub(super) fn answer(error: &ApiError) -> Answer {
    let ApiError { code, status, message, retry_after_s, field_errors } = error;
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field_error in field_errors {
        errors.entry(field_error.field).or_default().push(&field_error.message);
    }
    let body = ErrorBody { message: Cow::Borrowed(message), code, errors };
    // Texts can always be serialized.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let (status, retry_after_s, code) = (*status, *retry_after_s, Some(*code));
    Answer { status, body, is_replay: false, retry_after_s, code }
}

#[cfg(test)]
mod tests;
