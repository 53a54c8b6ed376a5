//! The fields of requests and the requests that list them: for parsing, and for the OpenAPI
//! document.
//!
//! Not here: the rules that a schema cannot say.

use super::super::super::limits::{
    CODE_CHARS_MAX, FCM_TOKEN_CHARS_MAX, MOBILE_CHARS_MAX, PAGE_LINES, PAGE_LINES_MAX,
    PASSWORD_BYTES_MAX, SEARCH_CHARS_MAX, USERNAME_CHARS_MAX,
};
use super::super::status::Status;
use crate::wire::form::{Field, Kind, Optional, Required, form};
use domain::Environment;
use domain::catalog::product::BILL_REFERENCE_MAX;
use domain::purchase::CUSTOMER_MOBILE;

/// The largest integer that every client can represent, 2^53 - 1. Our ids are not larger
/// (CONTRACT A-21).
const NUMBER_MAX: i64 = 9_007_199_254_740_991;

const AMOUNT: Kind = Kind::Fitting(
    r#"{"description": "As a number, or as a string of one.", "anyOf": [
    {"type": "integer", "minimum": 1, "maximum": 999999999},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 999999999,
        "description": "With at most 2 decimals."},
    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,2})?$"}]}"#,
);
const PRODUCT: Kind = Kind::Fitting(
    r#"{"description": "As a number, or as a string.", "anyOf": [
    {"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(prod_)?[0-9]{1,20}$"}]}"#,
);
const ENVIRONMENTS: Kind = Kind::Codes(
    || [Environment::Live, Environment::Sandbox].map(Environment::code).into(),
    "Which of the two worlds a token is for.",
);
const STATUSES: Kind = Kind::Codes(
    || Status::ALL.map(Status::as_str).into(),
    "A payment's status as the document knows it.",
);
const REQUEST_ID: Field = Field::text("requestId")
    .length(1, 128)
    .pattern("^[!-~]([ -~]{0,126}[!-~])?$")
    .example("R-20260204-0001");
/// Added to the document, whose log-in calls it `username`.
const EMAIL: Field = text("email", USERNAME_CHARS_MAX)
    .aliases(&["username"])
    .says("As it was registered.")
    .example("user@example.com");
const NEW_PASSWORD: Field = password("newPassword").says("The new one.").example("yourNewPassword");
const CODE: Field = text("code", CODE_CHARS_MAX).says("From the mail.").example("7K2M4-9XQ0B");
const CURRENCY: Field =
    Field::text("currency").pattern("^([A-Za-z]{3})?$").says("ISO 4217.").example("USD");
const LIMIT: Field = Field::of(Kind::Integer { min: 1, max: PAGE_LINES_MAX }, "limit")
    .says("At most so many: 1 to 100, 20 unless you say so.")
    .default(PAGE_LINES)
    .example(PAGE_LINES);
const BEFORE: Field = Field::of(Kind::Integer { min: 0, max: NUMBER_MAX }, "before")
    .says("Only what is older than this: the last page's `nextBefore`.");

/// A text that is not empty.
const fn text(name: &'static str, chars_max: usize) -> Field {
    Field::text(name).length(1, chars_max)
}

const fn password(name: &'static str) -> Field {
    Field::of(Kind::Password, name).length(1, PASSWORD_BYTES_MAX).example("yourPassword")
}

form! {
    /// Who wants to log in.
    LogInRequest {
        /// The customer's registered e-mail address.
        username: Required = text("username", USERNAME_CHARS_MAX).example("user@example.com"),
        /// The customer's password.
        password: Required = password("password"),
        /// Where pushes go: Firebase's token of this device; empty for nowhere.
        fcm_token: Required = Field::text("fcmToken").length(0, FCM_TOKEN_CHARS_MAX)
            .example("firebase_token_here"),
        /// Added to the document. Where to: `live` (default) or `sandbox`, whose money is play
        /// money.
        environment: Optional = Field::of(ENVIRONMENTS, "environment").named("Environment")
            .default("live"),
    }

    /// What is to be paid.
    PreAuthRequest {
        /// How much, in the product's currency, as a number or a string of one: at most 9 digits
        /// and 2 decimals, more than 0. A `FIXED` product takes its `productPrice` only.
        amount: Required = Field::of(AMOUNT, "amount").named("PaidAmount").example("10"),
        /// The product: its `productId` (1), that number as a string, or its `id` (`prod_001`).
        product_id: Required = Field::of(PRODUCT, "productId").named("ProductSent")
            .example("1"),
        /// Yours, unique for ever: 1 to 128 printable ASCII characters, no space at either end.
        request_id: Required = REQUEST_ID,
        /// Who or what is paid for, as the product's `billFormat` says: a phone, a meter, an
        /// account.
        bill_reference: Required = text("billReference", BILL_REFERENCE_MAX)
            .pattern("^[ -~]*[!-~][ -~]*$").example("0771234567"),
        /// The customer's mobile number: in national form of the product's country, or of any
        /// country with a plus and 8 to 15 digits.
        customer_mobile: Required = Field::text(CUSTOMER_MOBILE).length(0, MOBILE_CHARS_MAX)
            .pattern("^[+]?[0-9 ()-]{8,31}$").example("0771234567"),
        /// What the product's `fields` ask for: strings, numbers, true or false. `{}` for nothing.
        additional_data: Required = Field::of(Kind::Object, "additionalData").example("{}"),
    }

    /// Which quote is accepted.
    AuthRequest {
        /// From the answer to `pre-auth`.
        pre_auth_token: Required = text("preAuthToken", CODE_CHARS_MAX).example("preauth_abc123"),
        /// The same as in `pre-auth`.
        request_id: Required = REQUEST_ID,
    }

    /// Who wants an account.
    RegisterRequest {
        /// What the login will be: a code is sent there.
        email: Required = EMAIL,
        /// 8 to 128 characters, not among the first that are guessed.
        password: Required = password("password"),
        /// How the customer is called.
        name: Optional = Field::text("name").length(0, 100).example("Tendai Moyo"),
        /// The customer's mobile number: in any usual form of a country that something is sold in,
        /// else in national form.
        mobile: Optional = Field::text("mobile").aliases(&[CUSTOMER_MOBILE])
            .length(0, MOBILE_CHARS_MAX).example("0771234567"),
    }

    /// The code that was sent by mail.
    ConfirmRequest {
        email: Required = EMAIL,
        code: Required = CODE,
        /// The password that was registered: a code is good beside it only.
        password: Required = password("password"),
    }

    /// A new password for the old one.
    PasswordChangeRequest {
        /// The old one.
        current_password: Required = password("currentPassword"),
        new_password: Required = NEW_PASSWORD,
    }

    /// Whose password is forgotten.
    PasswordForgotRequest {
        email: Required = EMAIL,
    }

    /// A new password for a code that was sent by mail.
    PasswordResetRequest {
        email: Required = EMAIL,
        code: Required = CODE,
        new_password: Required = NEW_PASSWORD,
    }

    /// What is looked for.
    SearchQuery {
        /// Part of a product's name or description, in any case.
        query: Required = text("query", SEARCH_CHARS_MAX).example("airtime"),
    }

    /// Which page of payments.
    TransactionsQuery {
        limit: Optional = LIMIT,
        before: Optional = BEFORE,
        /// Only these.
        status: Optional = Field::of(STATUSES, "status").named("Status"),
    }

    /// Which wallet.
    BalanceQuery {
        /// ISO 4217; all wallets unless you say so.
        currency: Optional = CURRENCY,
    }

    /// Which page of which wallet.
    StatementQuery {
        currency: Required = CURRENCY,
        limit: Optional = LIMIT,
        before: Optional = BEFORE,
    }
}
