//! The OpenAPI 3.1 document: what all routes share, added to what each says of itself.
//!
//! The errors' examples are the real answers: they come from `refusals`.

use super::BASE;
use super::headers::Channel;
use super::refusals::{self, ApiError, ErrorBody};
use crate::extract::body::BodyError;
use crate::extract::describe;
use bytes::Bytes;
use domain::refusal::{FieldError, Refusal};
use domain::{Currency, Money};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, RefOr, Response};
use utoipa::{PartialSchema, ToSchema};

/// What the document says first: how the API works, its codes, its known quirks.
const DESCRIPTION: &str = include_str!("openapi.md");

/// The access token, as the document of OpenAPI calls it.
const TOKEN: &str = "bearerAuth";

/// The whole document, written once.
pub(super) fn document(api: OpenApi, base_url: &str) -> Bytes {
    let mut document = OpenApi::default().nest(BASE, shared(api));
    document.info = InfoBuilder::new()
        .title("Saldo wallet API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    document.tags = describe::tags([
        ("Log-in", "Who you are: access tokens, accounts, passwords."),
        ("Products", "What can be bought."),
        ("Payments", "First a price that holds (pre-auth), then the charge (auth)."),
        ("Wallet", "What there is to spend, and where it went."),
    ]);
    let mut components = document.components.take().unwrap_or_default();
    let mut more = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut more);
    components.schemas.extend(more);
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `accessToken` of a log-in. Expires after one hour."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    document.components = Some(components);
    describe::written(document, base_url)
}

/// What an operation does, as far as its errors depend on it.
#[derive(Clone, Copy, Default)]
struct Does {
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

impl Does {
    fn of(operation: &Operation) -> Does {
        let nothing = Does::default();
        let body = Does { read_fields: true, read_body: true, ..nothing };
        let query = Does { read_fields: true, ..nothing };
        let open = Does { is_public: true, ..body };
        match operation.operation_id.as_deref() {
            Some("authenticate") => Does { log_in: true, ..open },
            Some("register" | "forgot_password") => open,
            Some("confirm_registration" | "reset_password") => Does { type_code: true, ..open },
            Some("change_password") => Does { log_in: true, ..body },
            Some("search") => Does { is_public: true, ..query },
            Some("products") => Does { find_category: true, ..nothing },
            Some("providers") => Does { find_provider: true, ..nothing },
            Some("pre_auth") => Does { quote: true, ..body },
            Some("auth") => Does { charge: true, find_payment: true, ..body },
            Some("payments") => query,
            Some("payment") => Does { find_payment: true, ..nothing },
            Some("resend") => Does { find_payment: true, send_again: true, ..nothing },
            Some("balances" | "statement") => Does { show_wallet: true, ..query },
            Some(_) | None => nothing,
        }
    }
}

impl Does {
    /// Whether it is the search, whose calls are counted though nobody is logged in.
    const fn is_search(self) -> bool {
        self.is_public && !self.read_body
    }
}

/// Adds the token, the channel, errors and headers to every operation.
fn shared(mut api: OpenApi) -> OpenApi {
    for item in api.paths.paths.values_mut() {
        let PathItem { get, post, .. } = item;
        for operation in [get, post].into_iter().flatten() {
            finish(operation, Does::of(operation));
        }
    }
    api
}

fn finish(operation: &mut Operation, does: Does) {
    let token: [&str; 0] = [];
    operation.security = Some(match does.is_public {
        true => vec![SecurityRequirement::default()],
        false => vec![SecurityRequirement::new(TOKEN, token)],
    });
    operation.parameters.get_or_insert_default().push(RefOr::T(channel()));
    let answers = door(does).into_iter().chain(fields(does)).map(|no| refusals::answer(&no));
    describe::add_errors(operation, answers, &ErrorBody::name());
    for (status, response) in operation.responses.responses.iter_mut() {
        if let RefOr::T(response) = response {
            add_headers(status, response, does);
        }
    }
}

/// What can be answered before a field is read, and whatever happens.
fn door(does: Does) -> Vec<ApiError> {
    let mut all = vec![
        ApiError::HeaderTwice("X-Channel-Id"),
        ApiError::Channel,
        ApiError::Method,
        ApiError::InternalError,
    ];
    let mut refusals =
        vec![Refusal::TooFast { retry_after_s: 13 }, Refusal::Unavailable { retry_after_s: 2 }];
    if !does.is_public {
        refusals.extend([Refusal::TokenInvalid, Refusal::AccountInactive]);
    }
    all.extend(refusals.into_iter().map(ApiError::Refusal));
    all
}

/// What can be answered once fields are read.
fn fields(does: Does) -> Vec<ApiError> {
    let Does { read_fields, read_body, log_in, type_code, quote, charge, .. } = does;
    let mut refusals = Vec::new();
    if read_fields {
        refusals.push(Refusal::Invalid(vec![complaint(does)]));
    }
    if log_in {
        refusals.push(Refusal::LogInFailed);
    }
    // Whoever has a token was told at the door.
    if log_in && does.is_public {
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
        refusals.extend([Refusal::Short { available }, Refusal::QuoteExpired]);
    }
    if quote || charge || does.send_again {
        refusals.push(Refusal::Uncertain);
    }
    if does.send_again {
        let because = "Nothing was delivered, so there is nothing to send again.".to_owned();
        refusals.push(Refusal::NotPossible { because });
    }
    if does.find_payment {
        refusals.push(Refusal::PurchaseUnknown);
    }
    if quote || charge || does.show_wallet {
        refusals.push(Refusal::NoWallet);
    }
    let mut all: Vec<ApiError> = refusals.into_iter().map(ApiError::Refusal).collect();
    if does.find_category {
        all.push(ApiError::Category);
    }
    if does.find_provider {
        all.push(ApiError::Provider);
    }
    if read_body {
        all.extend(
            [BodyError::NotAnObject, BodyError::NotJson, BodyError::TooLong]
                .map(ApiError::BodyError),
        );
    }
    all
}

/// A field that the operation may find wrong.
fn complaint(does: Does) -> FieldError {
    let (field, says) = match does {
        Does { quote: true, .. } => ("amount", "must be more than 0."),
        Does { charge: true, .. } => ("preAuthToken", "is required."),
        Does { log_in: true, is_public: true, .. } => ("fcmToken", "is required."),
        Does { log_in: true, .. } => ("newPassword", "A password has 8 to 128 characters."),
        Does { type_code: true, .. } => ("code", "is required."),
        Does { read_body: true, .. } => ("email", "is required."),
        Does { is_public: true, .. } => ("query", "is required."),
        Does { show_wallet: true, .. } => ("currency", "must be an ISO 4217 code, like USD."),
        Does { .. } => ("limit", "must be 1 to 100."),
    };
    FieldError { field, says: says.to_owned() }
}

fn add_headers(status: &str, response: &mut Response, does: Does) {
    if !does.is_public && !matches!(status, "401" | "405" | "500") {
        describe::add_quota(response);
    }
    if does.is_search() && status == "200" {
        describe::add_quota(response);
    }
    describe::add_header(response, "Cache-Control", Type::String, "`no-store`.");
    if status == "401" {
        let says = "`Bearer`: log in again.";
        describe::add_header(response, "WWW-Authenticate", Type::String, says);
    }
    if matches!(status, "429" | "503") {
        describe::add_header(response, "Retry-After", Type::Integer, "Seconds to wait.");
    }
}

fn channel() -> Parameter {
    let words = Channel::ALL.map(Channel::word);
    ParameterBuilder::new()
        .name("X-Channel-Id")
        .parameter_in(ParameterIn::Header)
        .description(Some("By what the customer came; `WEB` unless you say so."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))))
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::wire::request;
    use crate::wire::fields::SentFields;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_listed() {
        let says = super::DESCRIPTION;
        for code in super::super::refusals::CODES {
            assert!(says.contains(&format!("`{code}`")), "{code}");
        }
        assert!(says.contains("Known quirks"));
    }

    /// Every operation has its answers, each with a schema and a real example.
    #[test]
    fn every_operation_is_described_whole() {
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
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    /// The forms require what the readers miss, no more and no less.
    #[test]
    fn forms_require_the_fields_that_are_missed() {
        let (_, document) = super::super::described("");
        let document: Value = serde_json::from_slice(&document).unwrap();
        let none = SentFields::default();
        for (form, wrong) in [
            ("LogInRequest", request::log_in(&none).err()),
            ("PreAuthRequest", request::pre_auth(&none, None).err()),
            ("AuthRequest", request::auth(&none).err()),
            ("RegisterRequest", request::registration(&none).err()),
            ("ConfirmRequest", request::confirmation(&none).err()),
            ("PasswordChangeRequest", request::password_change(&none).err()),
            ("PasswordForgotRequest", request::forgotten(&none).err()),
            ("PasswordResetRequest", request::password_reset(&none).err()),
        ] {
            let missed: BTreeSet<_> = wrong.unwrap().0.iter().map(|c| c.field).collect();
            let required = &document["components"]["schemas"][form]["required"];
            let required = required.as_array().unwrap().iter();
            assert_eq!(required.map(|f| f.as_str().unwrap()).collect::<BTreeSet<_>>(), missed);
        }
    }
}
