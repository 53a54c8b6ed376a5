//! The fields of requests and the requests that list them: for parsing, and for the OpenAPI
//! document.
//!
//! Not here: the rules that a schema cannot say.

use super::super::super::limits::{
    CODE_CHARS_MAX, FCM_TOKEN_CHARS_MAX, MOBILE_CHARS_MAX, PAGE_LINES, PAGE_LINES_MAX,
    PASSWORD_BYTES_MAX, SEARCH_CHARS_MAX, USERNAME_CHARS_MAX,
};
use super::super::status::Status;
use crate::wire::form::{Field, Kind, NamedSchema, Optional, Required, Values, form};
use domain::Environment;
use domain::catalog::product::BILL_REFERENCE_MAX;
use domain::purchase::CUSTOMER_MOBILE;
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The largest integer that every client can represent, 2^53 - 1. Our ids are not larger
/// (CONTRACT A-21).
const NUMBER_MAX: i64 = 9_007_199_254_740_991;

const AMOUNT: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "PaidAmount",
        description: "As a number, or as a string of one.",
        values: Values::AnyOf(|| {
            let of = |kind| ObjectBuilder::new().schema_type(kind);
            vec![
                of(Type::Integer).minimum(Some(1)).maximum(Some(999_999_999)),
                of(Type::Number)
                    .exclusive_minimum(Some(0))
                    .maximum(Some(999_999_999))
                    .description(Some("With at most 2 decimals.")),
                of(Type::String).pattern(Some("^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,2})?$")),
            ]
        }),
    }),
    "amount",
);
const PRODUCT_ID: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "ProductSent",
        description: "As a number, or as a string.",
        values: Values::AnyOf(|| {
            let of = |kind| ObjectBuilder::new().schema_type(kind);
            let number = of(Type::Integer).minimum(Some(0));
            vec![number, of(Type::String).pattern(Some("^(prod_)?[0-9]{1,20}$"))]
        }),
    }),
    "productId",
);
const REQUEST_ID: Field = Field::text("requestId")
    .length(1, 128)
    .pattern("^[!-~]([ -~]{0,126}[!-~])?$")
    .example("R-20260204-0001");
const ENVIRONMENT: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "Environment",
        description: "Which of the two worlds a token is for.",
        values: Values::Codes(|| {
            [Environment::Live, Environment::Sandbox].map(Environment::code).into()
        }),
    }),
    "environment",
);
const STATUS: Field = Field::of(
    Kind::Named(&NamedSchema {
        name: "Status",
        description: "A payment's status as the document knows it.",
        values: Values::Codes(|| Status::ALL.map(Status::as_str).into()),
    }),
    "status",
);
/// Added to the document, whose log-in calls it `username`.
const EMAIL: Field = Field::text("email")
    .aliases(&["username"])
    .length(1, USERNAME_CHARS_MAX)
    .says("As it was registered.")
    .example("user@example.com");
const PASSWORD: Field = password("password");
const NEW_PASSWORD: Field = password("newPassword").says("The new one.").example("yourNewPassword");
const CODE: Field =
    Field::text("code").length(1, CODE_CHARS_MAX).says("From the mail.").example("7K2M4-9XQ0B");
const CURRENCY: Field =
    Field::text("currency").pattern("^[A-Za-z]{3}$").says("ISO 4217.").example("USD");
const LIMIT: Field = Field::of(Kind::Integer { min: 1, max: PAGE_LINES_MAX }, "limit")
    .says("At most so many: 1 to 100, 20 unless you say so.")
    .default(PAGE_LINES)
    .example("20");
const BEFORE: Field = Field::of(Kind::Integer { min: 0, max: NUMBER_MAX }, "before")
    .says("Only what is older than this: the last page's `nextBefore`.");

const fn password(name: &'static str) -> Field {
    Field::of(Kind::Password, name).length(1, PASSWORD_BYTES_MAX).example("yourPassword")
}

form! { LogInRequest: "Who wants to log in." {
    username: Required = Field::text("username").length(1, USERNAME_CHARS_MAX)
        .says("The customer's registered e-mail address.").example("user@example.com"),
    password: Required = PASSWORD.says("The customer's password."),
    fcm_token: Required = Field::text("fcmToken").length(0, FCM_TOKEN_CHARS_MAX)
        .says("Where pushes go: Firebase's token of this device; empty for nowhere.")
        .example("firebase_token_here"),
    environment: Optional = ENVIRONMENT.default("live").says(
        "Added to the document. Where to: `live` (default) or `sandbox`, whose money is play \
         money."),
} }

form! { PreAuthRequest: "What is to be paid." {
    amount: Required = AMOUNT.example("10").says(
        "How much, in the product's currency, as a number or a string of one: at most 9 digits \
         and 2 decimals, more than 0. A `FIXED` product takes its `productPrice` only."),
    product_id: Required = PRODUCT_ID.example("1").says(
        "The product: its `productId` (1), that number as a string, or its `id` (`prod_001`)."),
    request_id: Required = REQUEST_ID.says(
        "Yours, unique for ever: 1 to 128 printable ASCII characters, no space at either end."),
    bill_reference: Required = Field::text("billReference").length(1, BILL_REFERENCE_MAX)
        .pattern("^[ -~]*[!-~][ -~]*$").example("0771234567")
        .says("Who or what is paid for, as the product's `billFormat` says: a phone, a meter, an \
               account."),
    customer_mobile: Required = Field::text(CUSTOMER_MOBILE).length(0, MOBILE_CHARS_MAX)
        .pattern("^[+]?[0-9 ()-]{8,31}$").example("0771234567")
        .says("The customer's mobile number: in national form of the product's country, or of any \
               country with a plus and 8 to 15 digits."),
    additional_data: Required = Field::of(Kind::Object, "additionalData").example("{}").says(
        "What the product's `fields` ask for: strings, numbers, true or false. `{}` for nothing."),
} }

form! { AuthRequest: "Which quote is accepted." {
    pre_auth_token: Required = Field::text("preAuthToken").length(1, CODE_CHARS_MAX)
        .says("From the answer to `pre-auth`.").example("preauth_abc123"),
    request_id: Required = REQUEST_ID.says("The same as in `pre-auth`."),
} }

form! { RegisterRequest: "Who wants an account." {
    email: Required = EMAIL.says("What the login will be: a code is sent there."),
    password: Required = PASSWORD
        .says("8 to 128 characters, not among the first that are guessed."),
    name: Optional = Field::text("name").length(0, 100)
        .says("How the customer is called.").example("Tendai Moyo"),
    // Added to the document, whose payments call it `customerMobile`.
    mobile: Optional = Field::text("mobile").aliases(&[CUSTOMER_MOBILE])
        .length(0, MOBILE_CHARS_MAX).example("0771234567")
        .says("The customer's mobile number in national form."),
} }

form! { ConfirmRequest: "The code that was sent by mail." {
    email: Required = EMAIL,
    code: Required = CODE,
    password: Required = PASSWORD
        .says("The password that was registered: a code is good beside it only."),
} }

form! { PasswordChangeRequest: "A new password for the old one." {
    current_password: Required = password("currentPassword").says("The old one."),
    new_password: Required = NEW_PASSWORD,
} }

form! { PasswordForgotRequest: "Whose password is forgotten." { email: Required = EMAIL } }

form! { PasswordResetRequest: "A new password for a code that was sent by mail." {
    email: Required = EMAIL,
    code: Required = CODE,
    new_password: Required = NEW_PASSWORD,
} }

form! { SearchQuery: "What is looked for." {
    query: Required = Field::text("query").length(1, SEARCH_CHARS_MAX).example("airtime")
        .says("Part of a product's name or description, in any case."),
} }

form! { TransactionsQuery: "Which page of payments." {
    limit: Optional = LIMIT,
    before: Optional = BEFORE,
    status: Optional = STATUS.says("Only these."),
} }

form! { BalanceQuery: "Which wallet." {
    currency: Optional = CURRENCY.says("ISO 4217; all wallets unless you say so."),
} }

form! { StatementQuery: "Which page of which wallet." {
    currency: Required = CURRENCY,
    limit: Optional = LIMIT,
    before: Optional = BEFORE,
} }
