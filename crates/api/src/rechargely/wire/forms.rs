//! The bodies and queries of requests, as the OpenAPI document describes them.
//!
//! These types only describe: `request` reads the fields itself, to keep the literal text of
//! amounts and to report every invalid field at once. A test checks that both require the same
//! fields.

#![expect(dead_code, reason = "read by utoipa's derives, not by us")]

use super::status::Status;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

/// Who wants to log in.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"username": "user@example.com", "password": "yourPassword",
    "fcmToken": "firebase_token_here"}))]
pub(in super::super) struct LogInRequest {
    /// The customer's registered e-mail address.
    #[schema(min_length = 1, max_length = 254, example = "user@example.com")]
    username: String,
    /// The customer's password.
    #[schema(format = Password, min_length = 1, max_length = 1024, example = "yourPassword")]
    password: String,
    /// Where pushes go: Firebase's token of this device; empty for nowhere.
    #[schema(max_length = 4096, example = "firebase_token_here")]
    fcm_token: String,
    /// Added to the document. Where to: `live` (default) or `sandbox`, whose money is play money.
    #[schema(required = false)]
    environment: EnvironmentSent,
}

/// Which of the two worlds a token is for.
#[derive(ToSchema)]
#[schema(as = Environment)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum EnvironmentSent {
    /// Real money.
    Live,
    /// Play money.
    Sandbox,
}

/// What is to be paid.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"amount": 10, "productId": 1, "requestId": "R-20260204-0001",
    "billReference": "0771234567", "customerMobile": "0771234567", "additionalData": {}}))]
pub(in super::super) struct PreAuthRequest {
    /// How much, in the product's currency, as a number or a string of one: at most 9 digits and 2
    /// decimals, more than 0. A `FIXED` product takes its `productPrice` only.
    #[schema(value_type = PaidAmount, example = 10)]
    amount: (),
    /// The product: its `productId` (1), that number as a string, or its `id` (`prod_001`).
    #[schema(value_type = ProductSent, example = 1)]
    product_id: (),
    /// Yours, unique for ever: 1 to 128 printable ASCII characters, no space at either end.
    #[schema(min_length = 1, max_length = 128, example = "R-20260204-0001")]
    #[schema(pattern = "^[!-~]([ -~]{0,126}[!-~])?$")]
    request_id: String,
    /// Who or what is paid for, as the product's `billFormat` says: a phone, a meter, an account.
    #[schema(min_length = 1, max_length = 64, example = "0771234567")]
    #[schema(pattern = "^[ -~]*[!-~][ -~]*$")]
    bill_reference: String,
    /// The customer's mobile number: in national form of the product's country, or of any country
    /// with a plus and 8 to 15 digits.
    #[schema(max_length = 32, pattern = "^[+]?[0-9 ()-]{8,31}$", example = "0771234567")]
    customer_mobile: String,
    /// What the product's `fields` ask for: strings, numbers, true or false. `{}` for nothing.
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({}))]
    additional_data: (),
}

/// A JSON number or a string of one; its literal text must have at most 9 digits and 2 decimals.
pub(in super::super) struct PaidAmount;

impl ToSchema for PaidAmount {}

impl utoipa::PartialSchema for PaidAmount {
    fn schema() -> RefOr<Schema> {
        let number = |kind| ObjectBuilder::new().schema_type(kind);
        let whole = number(Type::Integer).minimum(Some(1)).maximum(Some(999_999_999));
        let number = number(Type::Number)
            .exclusive_minimum(Some(0))
            .maximum(Some(999_999_999))
            .description(Some("With at most 2 decimals."));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,2})?$"));
        let any = AnyOfBuilder::new().item(whole).item(number).item(text);
        any.description(Some("As a number, or as a string of one.")).into()
    }
}

/// A product's number, or its string.
pub(in super::super) struct ProductSent;

impl ToSchema for ProductSent {}

impl utoipa::PartialSchema for ProductSent {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let text =
            ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(prod_)?[0-9]{1,20}$"));
        let any = AnyOfBuilder::new().item(number).item(text);
        any.description(Some("As a number, or as a string.")).into()
    }
}

/// Which quote is accepted.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"preAuthToken": "preauth_abc123", "requestId": "R-20260204-0001"}))]
pub(in super::super) struct AuthRequest {
    /// From the answer to `pre-auth`.
    #[schema(min_length = 1, max_length = 256, example = "preauth_abc123")]
    pre_auth_token: String,
    /// The same as in `pre-auth`.
    #[schema(min_length = 1, max_length = 128, example = "R-20260204-0001")]
    #[schema(pattern = "^[!-~]([ -~]{0,126}[!-~])?$")]
    request_id: String,
}

/// Who wants an account.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct RegisterRequest {
    /// What the login will be: a code is sent there. Also accepted as `username`.
    #[schema(min_length = 1, max_length = 254, example = "user@example.com")]
    email: String,
    /// 8 to 128 characters, not among the first that are guessed.
    #[schema(format = Password, min_length = 1, max_length = 1024, example = "yourPassword")]
    password: String,
    /// How the customer is called.
    #[schema(required = false, max_length = 100, example = "Tendai Moyo")]
    name: String,
    /// The customer's mobile number in national form. Also accepted as `customerMobile`.
    #[schema(required = false, max_length = 32, example = "0771234567")]
    mobile: String,
}

/// The code that was sent by mail.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ConfirmRequest {
    /// As it was registered. Also accepted as `username`.
    #[schema(min_length = 1, max_length = 254, example = "user@example.com")]
    email: String,
    /// From the mail.
    #[schema(min_length = 1, max_length = 256, example = "7K2M4-9XQ0B")]
    code: String,
    /// The password that was registered: a code is good beside it only.
    #[schema(format = Password, example = "yourPassword")]
    password: String,
}

/// A new password for the old one.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PasswordChangeRequest {
    /// The old one.
    #[schema(format = Password, min_length = 1, max_length = 1024, example = "yourPassword")]
    current_password: String,
    /// The new one.
    #[schema(format = Password, min_length = 1, max_length = 1024, example = "yourNewPassword")]
    new_password: String,
}

/// Whose password is forgotten.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PasswordForgotRequest {
    /// As it was registered. Also accepted as `username`.
    #[schema(min_length = 1, max_length = 254, example = "user@example.com")]
    email: String,
}

/// A new password for a code that was sent by mail.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PasswordResetRequest {
    /// As it was registered. Also accepted as `username`.
    #[schema(min_length = 1, max_length = 254, example = "user@example.com")]
    email: String,
    /// From the mail.
    #[schema(min_length = 1, max_length = 256, example = "7K2M4-9XQ0B")]
    code: String,
    /// The new one.
    #[schema(format = Password, min_length = 1, max_length = 1024, example = "yourNewPassword")]
    new_password: String,
}

/// What is looked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct SearchQuery {
    /// Part of a product's name or description, in any case.
    #[param(min_length = 1, max_length = 64, example = "airtime")]
    query: String,
}

/// Which page of payments.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct TransactionsQuery {
    /// At most so many: 1 to 100, 20 unless you say so.
    #[param(required = false, minimum = 1, maximum = 100, example = 20)]
    limit: u32,
    /// Only what is older than this: the last page's `nextBefore`.
    #[param(required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    before: i64,
    /// Only these.
    #[param(required = false, inline)]
    status: Status,
}

/// Which wallet.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct BalanceQuery {
    /// ISO 4217; all wallets unless you say so.
    #[param(required = false, pattern = "^[A-Za-z]{3}$", example = "USD")]
    currency: String,
}

/// Which page of which wallet.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct StatementQuery {
    /// ISO 4217.
    #[param(pattern = "^[A-Za-z]{3}$", example = "USD")]
    currency: String,
    /// At most so many: 1 to 100, 20 unless you say so.
    #[param(required = false, minimum = 1, maximum = 100, example = 20)]
    limit: u32,
    /// Only what is older than this: the last page's `nextBefore`.
    #[param(required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    before: i64,
}
