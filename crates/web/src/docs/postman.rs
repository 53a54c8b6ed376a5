//! A Postman collection (version 2.1) of both APIs, from their OpenAPI documents.
//!
//! Addresses and keys are variables of the collection, so that nobody's secrets are in the file.

use super::facts::{Api, Facts};
use super::sample::{Keys, Sample};
use serde_json::{Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// The variables of the collection: name, and what a reader finds there.
const VARIABLES: [(&str, &str); 3] = [
    ("open_key", "ok_test_YOUR_OPEN_KEY"),
    ("secret_key", "sk_test_YOUR_SECRET_KEY"),
    ("access_token", "YOUR_ACCESS_TOKEN"),
];

/// The collection, in JSON.
pub(super) fn collection(facts: &Facts) -> String {
    let placed = Facts {
        base_url: "{{base_url}}".to_owned(),
        billing: Api { document: facts.billing.document.clone(), errors: Vec::new() },
        wallet: Api { document: facts.wallet.document.clone(), errors: Vec::new() },
    };
    let variable = |(name, value): (&str, &str)| json!({"key": name, "value": value});
    let base = ("base_url", facts.base_url.as_str());
    let variables: Vec<Value> = [base].into_iter().chain(VARIABLES).map(variable).collect();
    let collection = json!({
        "info": {
            "name": "Saldo",
            "description": format!("Both APIs of {}. Set the variables of the collection first.",
                facts.base_url),
            "schema": SCHEMA,
        },
        "item": [folder(&placed, &placed.billing), folder(&placed, &placed.wallet)],
        "variable": variables,
    });
    collection.to_string()
}

fn folder(facts: &Facts, api: &Api) -> Value {
    let keys = Keys { open_key: "{{open_key}}".into(), secret_key: "{{secret_key}}".into() };
    let items = api.operations().map(|operation| {
        let sample = Sample::of(facts, api, &operation, &keys);
        let header = |(name, value): &(String, String)| {
            json!({"key": name, "value": value.replace("YOUR_ACCESS_TOKEN", "{{access_token}}")})
        };
        let mut request = json!({
            "method": sample.method,
            "header": sample.headers.iter().map(header).collect::<Vec<_>>(),
            "url": sample.url,
            "description": operation.described["description"],
        });
        if let Some(body) = sample.json() {
            request["body"] =
                json!({"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}});
        }
        json!({"name": operation.described["summary"], "request": request})
    });
    let items: Vec<Value> = items.collect();
    json!({"name": api.document["info"]["title"], "item": items})
}
