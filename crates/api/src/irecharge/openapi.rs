//! The OpenAPI 3.1 document: the descriptions of the routes, and what all routes have in common.
//!
//! The examples of errors are real answers: they come from `refusals`.

use super::BASE;
use super::events;
use super::refusals::{self, ApiError, ErrorBody};
use super::wire::event::Event;
use super::wire::request::InvalidFields;
use crate::Settings;
use crate::extract::describe::{self, Document, DocumentedError};
use crate::extract::error::examples;
use crate::wire::fields::BodyError;
use domain::Refused as _;
use domain::refusal::{
    BuyRefused, FindRefused, Invalid, KeyPairRefused, NoSubscription, OfferRefused, OffersRefused,
    StoreRefused, WalletRefused,
};
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
    Paths, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponsesBuilder};

/// The document in one line. The guide is on the pages at `/docs`.
const LINE: &str = "Sell mobile recharges, data offers and mobile banking from a prepaid wallet.";

const OPEN_KEY: &str = "openKey";
const SECRET_KEY: &str = "secretKey";

/// What the headers about the limit tell of without right keys.
const LIMITS_WITHOUT_KEYS: [&str; 2] = [
    "Failed authentications a minute from one address (the policy `failed-authentications`); with \
     right keys calls a minute.",
    "Failed authentications left to this address; with right keys calls left.",
];

/// The whole document, serialized once.
pub(super) fn document(mut api: OpenApi, mut logos: OpenApi, settings: &Settings) -> Document {
    let mut errors: Vec<_> = describe::operations(&mut api).flat_map(complete).collect();
    errors.push(ApiError::route_not_found());
    describe::operations(&mut logos).for_each(|logo| logo.security = Some(vec![]));
    let mut document = OpenApi::default().nest(BASE, api);
    document.merge(logos);
    let tags = describe::tags([
        ("Wallet", "What there is to spend."),
        ("Operators", "Who can be bought from."),
        ("Purchases", "Recharges and mobile banking."),
        ("Offers", "What an operator quotes for one number, and buying it."),
        ("Status", "How a purchase stands."),
        ("Lists", "Purchases, movements of money, prices: added to the document."),
    ]);
    let errors =
        DocumentedError::list(errors.iter().map(refusals::answer), &settings.server_errors);
    let texts = ["Saldo billing API", LINE];
    describe::complete::<ErrorBody<'_>>(&mut document, texts, tags, &errors);
    describe::add_schema::<Event<'_>>(&mut document);
    document.webhooks = Some(webhooks());
    let components = document.components.get_or_insert_default();
    let header = |name, text| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)))
    };
    let open = header("X-Open-Key", "The public key: `ok_test_…` (sandbox) or `ok_live_…`.");
    let secret =
        header("X-Authorization", "The secret key of the same pair: `sk_test_…`, `sk_live_…`.");
    components.add_security_scheme(OPEN_KEY, open);
    components.add_security_scheme(SECRET_KEY, secret);
    Document { openapi: describe::serialize(document, &settings.base_url), errors }
}

/// Adds keys, errors and headers to an operation; gives the errors.
fn complete(operation: &mut Operation) -> Vec<ApiError> {
    let both: [(&str, [&str; 0]); 2] = [(OPEN_KEY, []), (SECRET_KEY, [])];
    let requirement = both
        .into_iter()
        .fold(SecurityRequirement::default(), |all, (name, scopes)| all.add(name, scopes));
    operation.security = Some(vec![requirement]);
    let id = operation.operation_id.clone().unwrap_or_default();
    let (buys, errors) = (is_purchase(&id), errors_of(&id));
    if buys {
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
    describe::add_errors(operation, errors.iter().map(refusals::answer), &ErrorBody::name());
    for (status, response) in describe::responses(operation) {
        add_headers(status, response, buys);
    }
    errors
}

fn is_purchase(operation: &str) -> bool {
    matches!(operation, "recharge" | "banking" | "buy_offer")
}

/// The errors that an operation may answer: those of every request, then of its own use cases.
fn errors_of(operation: &str) -> Vec<ApiError> {
    let mut all = examples::<KeyPairRefused, _>();
    all.extend([ApiError::method_not_allowed(), ApiError::internal()]);
    all.extend(examples::<Invalid, _>());
    let is_status_check = operation.ends_with("check_status");
    if is_purchase(operation) {
        let field_errors = Invalid::examples().into_iter().flat_map(|one| one.errors).collect();
        all.push(InvalidFields { is_reference_missing: true, field_errors }.into());
        all.extend(examples::<BuyRefused, _>());
    }
    if is_purchase(operation) || operation == "offers" {
        all.extend(examples::<NoSubscription, _>());
    }
    if is_status_check {
        all.push(ApiError::identifiers_disagree());
    }
    if is_purchase(operation) || is_status_check {
        all.extend(BodyError::ALL.map(ApiError::from));
    }
    all.extend(match operation {
        "recharge" | "banking" => vec![],
        "buy_offer" => examples::<OfferRefused, _>(),
        "offers" => examples::<OffersRefused, _>(),
        "balance" | "wallet_balance" | "statement" | "commission" => examples::<WalletRefused, _>(),
        "check_status" | "post_check_status" => examples::<FindRefused, _>(),
        _ => examples::<StoreRefused, _>(),
    });
    all
}

fn add_headers(status: &str, response: &mut Response, buys: bool) {
    match status {
        "401" | "405" => describe::add_limit_headers(response, LIMITS_WITHOUT_KEYS),
        _ => describe::add_account_headers(response),
    }
    if matches!(status, "409" | "429" | "503") {
        describe::add_header(response, "Retry-After", Type::Integer, "Seconds to wait.");
    }
    if buys && status == "200" {
        let text = "`true` where this is the first answer once more.";
        describe::add_header(response, "Idempotent-Replayed", Type::String, text);
    }
}

/// The webhooks: what each event's body is, and what may be answered.
fn webhooks() -> Paths {
    let schema = RefOr::Ref(Ref::from_schema_name(Event::name()));
    let webhook = |event: &'static str| {
        let example = serde_json::to_value(Event::example(event)).ok();
        let content = ContentBuilder::new().schema(Some(schema.clone())).example(example).build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
        let responses = [
            ("2XX", "Received. Answer within 15 seconds."),
            ("410", "Send nothing more to this address."),
            ("default", "Sent again later, for three days."),
        ];
        let responses = responses.map(|(status, text)| (status, Response::new(text)));
        let operation = OperationBuilder::new()
            .operation_id(Some(format!("on_{}", event.replace('.', "_"))))
            .summary(Some(events::words(event)))
            .parameters(Some(WEBHOOK_HEADERS.map(|(name, text)| {
                let schema = ObjectBuilder::new().schema_type(Type::String);
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Header)
                    .required(Required::True)
                    .description(Some(text))
                    .schema(Some(schema))
                    .build()
            })))
            .request_body(Some(body.build()))
            .responses(ResponsesBuilder::new().responses_from_iter(responses).build());
        (event, PathItem::new(HttpMethod::Post, operation.build()))
    };
    let all = events::EVENTS.into_iter().map(webhook);
    all.fold(PathsBuilder::new(), |paths, (name, item)| paths.path(name, item)).build()
}

/// The headers of a webhook.
const WEBHOOK_HEADERS: [(&str, &str); 4] = [
    ("webhook-id", "The event's name: the same whenever it is sent again."),
    ("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
    ("webhook-signature", "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."),
    ("saldo-sequence", "Counts the events of one purchase from 1."),
];

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
    use crate::Settings;
    use crate::extract::describe;
    use serde_json::Value;

    fn document() -> Value {
        let base_url = "https://saldo.example".to_owned();
        let settings = Settings { base_url, ..Settings::default() };
        serde_json::from_slice(&described(&settings).1.openapi).unwrap()
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
                "get /api/billing/commission",
                "get /api/billing/operators",
                "get /api/billing/prices",
                "get /api/billing/recharge/offers",
                "get /api/billing/transactions",
                "get /api/billing/transactions/status/check",
                "get /api/billing/wallet/balance",
                "get /api/billing/wallet/statement",
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
                    assert_eq!(operation["security"], serde_json::json!([]), "{at}");
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
                    ("get", false) if path.ends_with("/offers") => {
                        &["200", "401", "402", "403", "405", "422", "429", "500", "503"]
                    }
                    ("get", false) => &["200", "401", "403", "405", "422", "429", "500", "503"],
                    (_, true) => &[
                        "200", "400", "401", "403", "404", "405", "413", "415", "422", "429",
                        "500", "503",
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
    fn the_errors_are_listed() {
        describe::tests::assert_lists_every_code(&document(), &["ROUTE_NOT_FOUND"]);
    }

    #[test]
    fn it_is_fit_for_generators_of_clients() {
        describe::tests::assert_fit_for_generators(&document());
    }

    /// Each event has an example that fits its schema's fields.
    #[test]
    fn the_webhooks_are_described() {
        let document = document();
        let webhooks = document["webhooks"].as_object().unwrap();
        let names: Vec<&str> = webhooks.keys().map(String::as_str).collect();
        let mut known = super::events::EVENTS;
        known.sort_unstable();
        assert_eq!(names, known);
        let fields = &document["components"]["schemas"]["WebhookEvent"]["properties"];
        for (name, item) in webhooks {
            let operation = &item["post"];
            let content = &operation["requestBody"]["content"]["application/json"];
            assert_eq!(content["example"]["event"], name.as_str());
            for field in content["example"].as_object().unwrap().keys() {
                assert!(fields[field].is_object(), "{name}: {field}");
            }
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{name}");
        }
        let rejected = &webhooks["billing.recharge.rejected"]["post"]["requestBody"];
        let rejected = &rejected["content"]["application/json"]["example"];
        assert_eq!(rejected["transaction"]["status"], "failed");
        assert_eq!(rejected["decision"]["action"], "rejected");
    }
}
