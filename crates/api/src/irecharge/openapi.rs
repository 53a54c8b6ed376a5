//! The OpenAPI 3.1 document: the descriptions of the routes, and what all routes have in common.
//!
//! The examples of errors are real answers: they come from `refusals`.

use super::BASE;
use super::refusals::{self, ApiError, ErrorBody};
use super::wire::request::InvalidFields;
use crate::extract::describe;
use crate::wire::fields::BodyError;
use bytes::Bytes;
use domain::{Currency, FieldError, Money, Refusal};
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Response};

/// The document's introduction: how the API works, its codes, its known quirks.
const DESCRIPTION: &str = include_str!("openapi.md");

const OPEN_KEY: &str = "openKey";
const SECRET_KEY: &str = "secretKey";

/// The whole document, serialized once.
pub(super) fn document(mut api: OpenApi, logos: OpenApi, base_url: &str) -> Bytes {
    for operation in describe::operations(&mut api) {
        complete(operation, Actions::of(operation));
    }
    let mut document = OpenApi::default().nest(BASE, api);
    document.merge(logos);
    let tags = describe::tags([
        ("Wallet", "What there is to spend."),
        ("Operators", "Who can be bought from."),
        ("Purchases", "Recharges and mobile banking."),
        ("Offers", "What an operator quotes for one number, and buying it."),
        ("Status", "How a purchase stands."),
    ]);
    describe::complete::<ErrorBody<'_>>(&mut document, "Saldo billing API", DESCRIPTION, tags);
    let components = document.components.get_or_insert_default();
    let header = |name, text| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)))
    };
    let open = header("X-Open-Key", "The public key: `ok_test_…` (sandbox) or `ok_live_…`.");
    let secret =
        header("X-Authorization", "The secret key of the same pair: `sk_test_…`, `sk_live_…`.");
    components.add_security_scheme(OPEN_KEY, open);
    components.add_security_scheme(SECRET_KEY, secret);
    describe::serialize(document, base_url)
}

/// What an operation does, as far as its errors and headers depend on it.
#[derive(Clone, Copy, Default)]
struct Actions {
    read_body: bool,
    buy: bool,
    quote: bool,
    check_status: bool,
    show_balance: bool,
}

impl Actions {
    fn of(operation: &Operation) -> Actions {
        let nothing = Actions::default();
        let buys = Actions { read_body: true, buy: true, ..nothing };
        match operation.operation_id.as_deref() {
            Some("recharge" | "banking") => buys,
            Some("buy_offer") => Actions { quote: true, ..buys },
            Some("offers") => Actions { quote: true, ..nothing },
            Some("check_status" | "post_check_status") => {
                Actions { read_body: true, check_status: true, ..nothing }
            }
            Some("balance" | "wallet_balance") => Actions { show_balance: true, ..nothing },
            Some(_) | None => nothing,
        }
    }
}

/// Adds keys, errors and headers to an operation.
fn complete(operation: &mut Operation, actions: Actions) {
    let both: [(&str, [&str; 0]); 2] = [(OPEN_KEY, []), (SECRET_KEY, [])];
    let requirement = both
        .into_iter()
        .fold(SecurityRequirement::default(), |all, (name, scopes)| all.add(name, scopes));
    operation.security = Some(vec![requirement]);
    if actions.buy {
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
    let errors = errors_of_every_request().into_iter().chain(errors_of_actions(actions));
    let answers = errors.map(|error| refusals::answer(&error));
    describe::add_errors(operation, answers, &ErrorBody::name());
    for (status, response) in describe::responses(operation) {
        add_headers(status, response, actions.buy);
    }
}

/// The errors that are possible before a field is read, or at any time.
fn errors_of_every_request() -> Vec<ApiError> {
    let refusals = [
        Refusal::KeysMissing,
        Refusal::KeysInvalid,
        Refusal::NoSubscription,
        Refusal::AddressNotAllowed,
        Refusal::AccountInactive,
        Refusal::TooFast { retry_after_s: 13 },
        Refusal::Unavailable { retry_after_s: 1 },
        Refusal::Uncertain,
    ];
    refusals
        .into_iter()
        .map(ApiError::Refusal)
        .chain([ApiError::MethodNotAllowed, ApiError::Internal])
        .collect()
}

/// The errors that are possible after the fields are read.
fn errors_of_actions(actions: Actions) -> Vec<ApiError> {
    let Actions { read_body, buy, quote, check_status, show_balance } = actions;
    let field_error = FieldError { field: "amount", message: "must be more than 0.".into() };
    let mut refusals = vec![Refusal::Invalid(vec![field_error.clone()])];
    if check_status {
        refusals.extend([Refusal::PurchaseUnknown, Refusal::IdentifiersDisagree]);
    }
    if buy || show_balance {
        refusals.push(Refusal::NoWallet);
    }
    if quote {
        refusals.push(Refusal::OffersUnavailable { reason: String::new() });
    }
    if buy && quote {
        let costs = Money::new(6_800, Currency::BDT);
        refusals.extend([Refusal::OfferUnknown, Refusal::OfferAmount { costs }]);
    }
    if buy {
        refusals.extend([
            Refusal::ReferenceKnown(None),
            Refusal::InsufficientBalance { available: Money::zero(Currency::BDT) },
            Refusal::IdempotencyMismatch,
            Refusal::IdempotencyRunning,
        ]);
    }
    let mut all: Vec<ApiError> = refusals.into_iter().map(ApiError::Refusal).collect();
    if buy {
        all.push(ApiError::Fields(InvalidFields {
            is_reference_missing: true,
            field_errors: vec![field_error],
        }));
    }
    if read_body {
        let errors = [BodyError::NotAnObject, BodyError::NotJson, BodyError::TooLong];
        all.extend(errors.map(ApiError::Body));
    }
    all
}

fn add_headers(status: &str, response: &mut Response, buys: bool) {
    if !matches!(status, "401" | "405" | "500") {
        describe::add_account_headers(response);
    }
    if matches!(status, "409" | "429" | "503") {
        describe::add_header(response, "Retry-After", Type::Integer, "Seconds to wait.");
    }
    if buys && status == "200" {
        let text = "`true` where this is the first answer once more.";
        describe::add_header(response, "Idempotent-Replayed", Type::String, text);
    }
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Optional, added to the document: 1 to 128 printable ASCII characters. The same key \
             with the same request gets the first answer again.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(128))))
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::described;
    use serde_json::Value;

    fn document() -> Value {
        serde_json::from_slice(&described("https://saldo.example").1).unwrap()
    }

    #[test]
    fn it_is_openapi_3_1_and_has_every_route() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let mut found: Vec<String> = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                found.push(format!("{method} {path}"));
            }
        }
        found.sort();
        assert_eq!(
            found,
            [
                "get /api/billing/balance",
                "get /api/billing/operators",
                "get /api/billing/recharge/offers",
                "get /api/billing/transactions/status/check",
                "get /api/billing/wallet/balance",
                "get /operator_logo/{file}",
                "post /api/billing/recharge/offers/purchase",
                "post /api/billing/service-requests/banking",
                "post /api/billing/service-requests/recharge/normal",
                "post /api/billing/transactions/status/check",
            ]
        );
    }

    #[test]
    fn every_operation_needs_both_keys_and_lists_its_errors() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                if path.starts_with("/operator_logo") {
                    assert_eq!(operation["security"], serde_json::json!([{}]), "{at}");
                    continue;
                }
                let keys = serde_json::json!([{"openKey": [], "secretKey": []}]);
                assert_eq!(operation["security"], keys, "{at}");
                let statuses: Vec<&str> = operation["responses"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(String::as_str)
                    .collect();
                let is_status = path.ends_with("/check");
                let expected: &[&str] = match (method.as_str(), is_status) {
                    ("get", false) => {
                        &["200", "401", "402", "403", "405", "422", "429", "500", "503"]
                    }
                    (_, true) => &[
                        "200", "400", "401", "402", "403", "404", "405", "413", "415", "422",
                        "429", "500", "503",
                    ],
                    _ => &[
                        "200", "400", "401", "402", "403", "405", "409", "413", "415", "422",
                        "429", "500", "503",
                    ],
                };
                assert_eq!(statuses, expected, "{at}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{at} {parameter}");
                }
            }
        }
    }

    #[test]
    fn every_reference_resolves_and_every_field_is_described() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        assert_eq!(schemas["Amount"]["oneOf"].as_array().map(Vec::len), Some(2));
        for (name, schema) in schemas {
            for (field, description) in schema["properties"].as_object().into_iter().flatten() {
                let described = description.to_string();
                assert!(
                    described.contains("description")
                        || described.contains("$ref")
                        || name == "UsimActiveStatus",
                    "{name}.{field}: {described}"
                );
            }
        }
    }

    #[test]
    fn every_code_is_listed() {
        let text = super::DESCRIPTION;
        for code in super::super::refusals::CODES {
            assert!(text.contains(&format!("`{code}`")), "{code}");
        }
        assert!(text.contains("Known quirks"));
    }
}
