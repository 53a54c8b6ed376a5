//! The OpenAPI 3.1 document: the descriptions of the routes, and what all routes have in common.
//!
//! The examples of errors are real answers: they come from `refusals`.

use super::BASE;
use super::headers::Channel;
use super::refusals::{self, ApiError, ErrorBody};
use super::wire::request::InvalidFields;
use crate::Settings;
use crate::extract::describe::{self, Document, DocumentedError};
use crate::extract::error::examples;
use crate::wire::fields::BodyError;
use domain::FieldError;
use domain::refusal::{
    AcceptRefused, ConfirmRefused, FindRefused, Invalid, LogInRefused, NotPossible,
    PasswordRefused, QuoteRefused, ResendRefused, ResetRefused, SessionRefused, SignUpRefused,
    StoreRefused, TokenRefused, TooFast, WalletRefused,
};
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Response};

/// The document in one line. The guide is on the pages at `/docs`.
const LINE: &str = "Pay for airtime, data, electricity and other bills from your own wallet.";

/// The name of the access token's security scheme.
const TOKEN: &str = "bearerAuth";

/// The whole document, serialized once.
pub(super) fn document(mut api: OpenApi, settings: &Settings) -> Document {
    let mut errors: Vec<_> = describe::operations(&mut api).flat_map(complete).collect();
    errors.push(ApiError::route_not_found());
    let mut document = OpenApi::default().nest(BASE, api);
    let tags = describe::tags([
        ("Log-in", "Who you are: access tokens, accounts, passwords."),
        ("Products", "What can be bought."),
        ("Payments", "First a price that holds (pre-auth), then the charge (auth)."),
        ("Wallet", "What there is to spend, and where it went."),
    ]);
    let errors =
        DocumentedError::list(errors.iter().map(refusals::answer), &settings.server_errors);
    let texts = ["Saldo wallet API", LINE];
    describe::complete::<ErrorBody<'_>>(&mut document, texts, tags, &errors);
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `accessToken` of a log-in. Expires after one hour."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    Document { openapi: describe::serialize(document, &settings.base_url), errors }
}

/// Who may call an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Who has an access token.
    Token,
    /// Everybody.
    Public,
    /// Everybody; calls are counted for each client address.
    Counted,
}

impl Access {
    fn of(operation: &str) -> Access {
        match operation {
            "search" => Access::Counted,
            "authenticate"
            | "register"
            | "confirm_registration"
            | "forgot_password"
            | "reset_password" => Access::Public,
            _ => Access::Token,
        }
    }
}

/// Adds the token, the channel, errors and headers to an operation; gives the errors.
fn complete(operation: &mut Operation) -> Vec<ApiError> {
    let id = operation.operation_id.clone().unwrap_or_default();
    let access = Access::of(&id);
    let token: [&str; 0] = [];
    operation.security = Some(match access {
        Access::Token => vec![SecurityRequirement::new(TOKEN, token)],
        Access::Public | Access::Counted => vec![],
    });
    operation.parameters.get_or_insert_default().push(RefOr::T(channel()));
    let mut errors = vec![ApiError::duplicate_header("X-Channel-Id"), ApiError::invalid_channel()];
    errors.extend([ApiError::method_not_allowed(), ApiError::internal()]);
    if access == Access::Token {
        errors.extend(examples::<TokenRefused, _>());
    }
    if operation.request_body.is_some() {
        errors.extend(BodyError::ALL.map(ApiError::from));
    }
    errors.extend(errors_of(&id));
    describe::add_errors(operation, errors.iter().map(refusals::answer), &ErrorBody::name());
    for (status, response) in describe::responses(operation) {
        add_headers(status, response, access);
    }
    errors
}

/// The example of what is not possible: the engine's own words.
const NOT_DELIVERED: &str = "Nothing was delivered, so there is nothing to send again.";

/// The errors that belong to an operation's own fields and use cases.
fn errors_of(operation: &str) -> Vec<ApiError> {
    let field_error = sample_field_error(operation);
    let mut all: Vec<ApiError> =
        field_error.into_iter().map(|error| Invalid { errors: vec![error] }.into()).collect();
    all.extend(required_field(operation).map(|field| {
        let field_errors = vec![FieldError { field, message: "is required.".to_owned() }];
        ApiError::from(InvalidFields { is_any_missing: true, field_errors })
    }));
    // Beside those of a use case.
    all.extend(match operation {
        "pre_auth" => vec![ApiError::product_not_found()],
        "products" => vec![ApiError::category_not_found()],
        "providers" => vec![ApiError::provider_not_found()],
        "resend" => vec![NotPossible { because: NOT_DELIVERED.to_owned() }.into()],
        // A movement's payment is looked up.
        "statement" => examples::<FindRefused, _>(),
        _ => vec![],
    });
    all.extend(match operation {
        "authenticate" => examples::<LogInRefused, _>(),
        "register" => examples::<SignUpRefused, _>(),
        "confirm_registration" => examples::<ConfirmRefused, _>(),
        "reset_password" => examples::<ResetRefused, _>(),
        "change_password" => examples::<PasswordRefused, _>(),
        "log_out" => examples::<SessionRefused, _>(),
        "search" => examples::<TooFast, _>(),
        "pre_auth" => examples::<QuoteRefused, _>(),
        "auth" => examples::<AcceptRefused, _>(),
        "payment" => examples::<FindRefused, _>(),
        "resend" => examples::<ResendRefused, _>(),
        "balances" | "statement" => examples::<WalletRefused, _>(),
        "forgot_password" | "payments" => examples::<StoreRefused, _>(),
        _ => vec![],
    });
    all
}

/// A field that the operation requires.
fn required_field(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "authenticate" => "fcmToken",
        "register" | "forgot_password" => "email",
        "confirm_registration" | "reset_password" => "code",
        "change_password" => "newPassword",
        "search" => "query",
        "pre_auth" => "amount",
        "auth" => "preAuthToken",
        "statement" => "currency",
        _ => return None,
    })
}

/// An error that the operation may answer about one of its fields.
fn sample_field_error(operation: &str) -> Option<FieldError> {
    let (field, message) = match operation {
        "authenticate" => ("fcmToken", "must be a string, not a number."),
        "register" | "forgot_password" => ("email", "must be a string, not a number."),
        "confirm_registration" | "reset_password" => ("code", "must be a string, not a number."),
        "change_password" => ("newPassword", "A password has 8 to 128 characters."),
        "search" => ("query", "must be 1 to 100 characters, without control characters."),
        "pre_auth" => ("amount", "must be more than 0."),
        "auth" => ("preAuthToken", "must be a string, not a number."),
        "payments" => ("limit", "must be 1 to 100."),
        "balances" | "statement" => ("currency", "must be an ISO 4217 code, like USD."),
        _ => return None,
    };
    Some(FieldError { field, message: message.to_owned() })
}

fn add_headers(status: &str, response: &mut Response, access: Access) {
    let is_counted = match access {
        Access::Token => !matches!(status, "401" | "405" | "500"),
        Access::Counted => status == "200",
        Access::Public => false,
    };
    if is_counted {
        describe::add_account_headers(response);
    }
    describe::add_header(response, "Cache-Control", Type::String, "`no-store`.");
    if status == "401" {
        let text = "`Bearer`: log in again.";
        describe::add_header(response, "WWW-Authenticate", Type::String, text);
    }
    if matches!(status, "429" | "503") {
        describe::add_header(response, "Retry-After", Type::Integer, "Seconds to wait.");
    }
}

fn channel() -> Parameter {
    let channels = Channel::ALL.map(Channel::as_str);
    ParameterBuilder::new()
        .name("X-Channel-Id")
        .parameter_in(ParameterIn::Header)
        .description(Some("By what the customer came; `WEB` unless you say so."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(channels))))
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::wire::request;
    use crate::Settings;
    use crate::extract::describe;
    use crate::wire::fields::RawFields;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        let base_url = "https://saldo.example".to_owned();
        let settings = Settings { base_url, ..Settings::default() };
        serde_json::from_slice(&super::super::document(&settings).openapi).unwrap()
    }

    #[test]
    fn the_errors_are_listed_and_it_is_fit_for_generators_of_clients() {
        let document = document();
        describe::tests::assert_lists_every_code(&document, &["ROUTE_NOT_FOUND"]);
        describe::tests::assert_fit_for_generators(&document);
    }

    /// Every operation lists its answers, each with a schema and every error with an example.
    #[test]
    fn every_operation_is_described_completely() {
        let document = document();
        let mut ids = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/api/wallet/v1/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(!ids.contains(&id), "{id}");
                ids.push(id);
                let is_public = operation["security"] == serde_json::json!([]);
                let responses = operation["responses"].as_object().unwrap();
                for status in ["200", "400", "405", "500"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
                // Too many mails are not told from none; a search reads nothing from the store.
                assert_eq!(responses.contains_key("429"), id != "forgot_password", "{id}");
                assert_eq!(responses.contains_key("503"), id != "search", "{id}");
                assert!(is_public || responses.contains_key("401"), "{method} {path}");
                for (status, response) in responses {
                    let content = &response["content"]["application/json"];
                    assert!(content["schema"].is_object(), "{method} {path} {status}");
                    let is_ok = status == "200";
                    assert_eq!(is_ok, content["examples"].is_null(), "{method} {path} {status}");
                }
            }
        }
        assert_eq!(ids.len(), 18, "{ids:?}");
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name]["description"].is_string(), "{name}");
        }
    }

    /// The forms require exactly the fields whose absence is an error.
    #[test]
    fn forms_require_the_required_fields() {
        let document = document();
        let none = RawFields::default();
        for (form, error) in [
            ("LogInRequest", request::log_in(&none).err()),
            ("PreAuthRequest", request::pre_auth(&none, None).err()),
            ("AuthRequest", request::auth(&none).err()),
            ("RegisterRequest", request::registration(&none).err()),
            ("ConfirmRequest", request::confirmation(&none).err()),
            ("PasswordChangeRequest", request::password_change(&none).err()),
            ("PasswordForgotRequest", request::forgotten_password(&none).err()),
            ("PasswordResetRequest", request::password_reset(&none).err()),
        ] {
            let missing: BTreeSet<_> =
                error.unwrap().field_errors.iter().map(|c| c.field).collect();
            let required = &document["components"]["schemas"][form]["required"];
            let required = required.as_array().unwrap().iter();
            assert_eq!(required.map(|f| f.as_str().unwrap()).collect::<BTreeSet<_>>(), missing);
        }
    }
}
