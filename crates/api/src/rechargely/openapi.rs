//! The OpenAPI 3.1 document: the descriptions of the routes, and what all routes have in common.
//!
//! The examples of errors are real answers: they come from `refusals`.

use super::BASE;
use super::headers::Channel;
use super::refusals::{self, ApiError, ErrorBody};
use crate::extract::describe;
use crate::wire::fields::BodyError;
use bytes::Bytes;
use domain::{Currency, FieldError, Money, Refusal};
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Response};

/// The document's introduction: how the API works, its codes, its known quirks.
const DESCRIPTION: &str = include_str!("openapi.md");

/// The name of the access token's security scheme.
const TOKEN: &str = "bearerAuth";

/// The whole document, serialized once.
pub(super) fn document(mut api: OpenApi, base_url: &str) -> Bytes {
    for operation in describe::operations(&mut api) {
        complete(operation, Actions::of(operation));
    }
    let mut document = OpenApi::default().nest(BASE, api);
    let tags = describe::tags([
        ("Log-in", "Who you are: access tokens, accounts, passwords."),
        ("Products", "What can be bought."),
        ("Payments", "First a price that holds (pre-auth), then the charge (auth)."),
        ("Wallet", "What there is to spend, and where it went."),
    ]);
    describe::complete::<ErrorBody<'_>>(&mut document, "Saldo wallet API", DESCRIPTION, tags);
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `accessToken` of a log-in. Expires after one hour."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    describe::serialize(document, base_url)
}

/// What an operation does, as far as its errors and headers depend on it.
#[derive(Clone, Copy, Default)]
struct Actions {
    is_public: bool,
    read_fields: bool,
    read_body: bool,
    log_in: bool,
    type_code: bool,
    quote: bool,
    charge: bool,
    find_payment: bool,
    send_again: bool,
    find_category: bool,
    find_provider: bool,
    show_wallet: bool,
}

impl Actions {
    fn of(operation: &Operation) -> Actions {
        let nothing = Actions::default();
        let body = Actions { read_fields: true, read_body: true, ..nothing };
        let query = Actions { read_fields: true, ..nothing };
        let open = Actions { is_public: true, ..body };
        match operation.operation_id.as_deref() {
            Some("authenticate") => Actions { log_in: true, ..open },
            Some("register" | "forgot_password") => open,
            Some("confirm_registration" | "reset_password") => Actions { type_code: true, ..open },
            Some("change_password") => Actions { log_in: true, ..body },
            Some("search") => Actions { is_public: true, ..query },
            Some("products") => Actions { find_category: true, ..nothing },
            Some("providers") => Actions { find_provider: true, ..nothing },
            Some("pre_auth") => Actions { quote: true, ..body },
            Some("auth") => Actions { charge: true, find_payment: true, ..body },
            Some("payments") => query,
            Some("payment") => Actions { find_payment: true, ..nothing },
            Some("resend") => Actions { find_payment: true, send_again: true, ..nothing },
            Some("balances" | "statement") => Actions { show_wallet: true, ..query },
            Some(_) | None => nothing,
        }
    }
}

impl Actions {
    /// Whether it is the public search, whose calls are counted for each client address.
    const fn is_search(self) -> bool {
        self.is_public && !self.read_body
    }
}

/// Adds the token, the channel, errors and headers to an operation.
fn complete(operation: &mut Operation, actions: Actions) {
    let token: [&str; 0] = [];
    operation.security = Some(match actions.is_public {
        true => vec![SecurityRequirement::default()],
        false => vec![SecurityRequirement::new(TOKEN, token)],
    });
    operation.parameters.get_or_insert_default().push(RefOr::T(channel()));
    let errors = errors_of_every_request(actions).into_iter().chain(errors_of_actions(actions));
    let answers = errors.map(|error| refusals::answer(&error));
    describe::add_errors(operation, answers, &ErrorBody::name());
    for (status, response) in describe::responses(operation) {
        add_headers(status, response, actions);
    }
}

/// The errors that are possible before a field is read, or at any time.
fn errors_of_every_request(actions: Actions) -> Vec<ApiError> {
    let mut all = vec![
        ApiError::DuplicateHeader("X-Channel-Id"),
        ApiError::InvalidChannel,
        ApiError::MethodNotAllowed,
        ApiError::Internal,
    ];
    let mut refusals =
        vec![Refusal::TooFast { retry_after_s: 13 }, Refusal::Unavailable { retry_after_s: 2 }];
    if !actions.is_public {
        refusals.extend([Refusal::TokenInvalid, Refusal::AccountInactive]);
    }
    all.extend(refusals.into_iter().map(ApiError::Refusal));
    all
}

/// The errors that are possible after the fields are read.
fn errors_of_actions(actions: Actions) -> Vec<ApiError> {
    let Actions { read_fields, read_body, log_in, type_code, quote, charge, .. } = actions;
    let mut refusals = Vec::new();
    if read_fields {
        refusals.push(Refusal::Invalid(vec![sample_field_error(actions)]));
    }
    if log_in {
        refusals.push(Refusal::LogInFailed);
    }
    // With a token this error is possible before the fields are read, and already listed.
    if log_in && actions.is_public {
        refusals.push(Refusal::AccountInactive);
    }
    if type_code {
        refusals.push(Refusal::CodeInvalid);
    }
    if quote {
        refusals.extend([
            Refusal::ProductUnknown,
            Refusal::BillUnknown,
            Refusal::BillUnavailable { reason: String::new() },
            Refusal::ReferenceKnown(None),
        ]);
    }
    if charge {
        let available = Money::new(1_234, Currency::USD);
        refusals.extend([Refusal::InsufficientBalance { available }, Refusal::QuoteExpired]);
    }
    if quote || charge || actions.send_again {
        refusals.push(Refusal::Uncertain);
    }
    if actions.send_again {
        let because = "Nothing was delivered, so there is nothing to send again.".to_owned();
        refusals.push(Refusal::NotPossible { because });
    }
    if actions.find_payment {
        refusals.push(Refusal::PurchaseUnknown);
    }
    if quote || charge || actions.show_wallet {
        refusals.push(Refusal::NoWallet);
    }
    let mut all: Vec<ApiError> = refusals.into_iter().map(ApiError::Refusal).collect();
    if actions.find_category {
        all.push(ApiError::CategoryNotFound);
    }
    if actions.find_provider {
        all.push(ApiError::ProviderNotFound);
    }
    if read_body {
        all.extend(
            [BodyError::NotAnObject, BodyError::NotJson, BodyError::TooLong].map(ApiError::Body),
        );
    }
    all
}

/// An error that the operation may answer about one of its fields.
fn sample_field_error(actions: Actions) -> FieldError {
    let (field, message) = match actions {
        Actions { quote: true, .. } => ("amount", "must be more than 0."),
        Actions { charge: true, .. } => ("preAuthToken", "is required."),
        Actions { log_in: true, is_public: true, .. } => ("fcmToken", "is required."),
        Actions { log_in: true, .. } => ("newPassword", "A password has 8 to 128 characters."),
        Actions { type_code: true, .. } => ("code", "is required."),
        Actions { read_body: true, .. } => ("email", "is required."),
        Actions { is_public: true, .. } => ("query", "is required."),
        Actions { show_wallet: true, .. } => ("currency", "must be an ISO 4217 code, like USD."),
        Actions { .. } => ("limit", "must be 1 to 100."),
    };
    FieldError { field, message: message.to_owned() }
}

fn add_headers(status: &str, response: &mut Response, actions: Actions) {
    if !actions.is_public && !matches!(status, "401" | "405" | "500") {
        describe::add_account_headers(response);
    }
    if actions.is_search() && status == "200" {
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
    use crate::wire::fields::RawFields;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_listed() {
        let text = super::DESCRIPTION;
        for code in super::super::refusals::CODES {
            assert!(text.contains(&format!("`{code}`")), "{code}");
        }
        assert!(text.contains("Known quirks"));
    }

    /// Every operation lists its answers, each with a schema and every error with an example.
    #[test]
    fn every_operation_is_described_completely() {
        let (_, document) = super::super::described("https://saldo.example");
        let document: Value = serde_json::from_slice(&document).unwrap();
        let mut ids = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/api/wallet/v1/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(!ids.contains(&id), "{id}");
                ids.push(id);
                let is_public = operation["security"] == serde_json::json!([{}]);
                let responses = operation["responses"].as_object().unwrap();
                for status in ["200", "400", "405", "429", "500", "503"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
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
        let (_, document) = super::super::described("");
        let document: Value = serde_json::from_slice(&document).unwrap();
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
            let missing: BTreeSet<_> = error.unwrap().0.iter().map(|c| c.field).collect();
            let required = &document["components"]["schemas"][form]["required"];
            let required = required.as_array().unwrap().iter();
            assert_eq!(required.map(|f| f.as_str().unwrap()).collect::<BTreeSet<_>>(), missing);
        }
    }
}
