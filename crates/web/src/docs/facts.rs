//! What the pages know of the two APIs: their OpenAPI documents and their errors, as the program
//! itself makes them.
//!
//! Not here: how it is shown. Invariant: nothing here is written by hand, so it cannot go stale.

use bytes::Bytes;
use serde_json::Value;

/// An API as the pages describe it.
#[derive(Clone, Debug, Default)]
pub struct ApiDocument {
    /// Its OpenAPI 3.1 document, in JSON.
    pub openapi: Bytes,
    /// Every error that it answers, by status.
    pub errors: Vec<ListedError>,
}

/// An error of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedError {
    /// HTTP status.
    pub status: u16,
    /// Stable: programs decide by it.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What it means for the money and what to do next; empty where the message says it.
    pub advice: String,
}

/// Both APIs, and where they are.
pub(crate) struct Facts {
    /// The public URL of this server, without a slash at the end.
    pub(crate) base_url: String,
    /// `/api/billing`: for resellers with a key pair.
    pub(crate) billing: Api,
    /// `/api/wallet/v1`: for customers with a login.
    pub(crate) wallet: Api,
}

/// One API.
pub(crate) struct Api {
    pub(crate) document: Value,
    pub(crate) errors: Vec<ListedError>,
}

/// An operation of an API.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// As the document calls it: `recharge`.
    pub(crate) id: &'a str,
    /// In lower case: `post`.
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The rest of what the document says.
    pub(crate) described: &'a Value,
}

impl Facts {
    pub(crate) fn new(base_url: String, [billing, wallet]: &[ApiDocument; 2]) -> Facts {
        let api = |ApiDocument { openapi, errors }: &ApiDocument| Api {
            document: serde_json::from_slice(openapi).unwrap_or_default(),
            errors: errors.clone(),
        };
        Facts { base_url, billing: api(billing), wallet: api(wallet) }
    }
}

impl Api {
    /// Every operation, by path.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let items = self.document["paths"].as_object().into_iter().flatten();
        items.flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(|(method, described)| Operation {
                id: described["operationId"].as_str().unwrap_or_default(),
                method,
                path,
                described,
            })
        })
    }

    pub(crate) fn operation(&self, id: &str) -> Option<Operation<'_>> {
        self.operations().find(|operation| operation.id == id)
    }

    /// Every webhook: its name, and what the document says of it.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.document["webhooks"].as_object().into_iter().flatten();
        all.map(|(name, item)| (name.as_str(), &item["post"]))
    }

    /// A schema itself, where the value refers to one; `null` in a choice does not count.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema["$ref"].as_str();
        if let Some(name) = reference.and_then(|r| r.strip_prefix("#/components/schemas/")) {
            return &self.document["components"]["schemas"][name];
        }
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        let mut filled = choices.filter(|choice| choice["type"] != "null");
        match (filled.next(), filled.next()) {
            (Some(only), None) => self.resolve(only),
            _ => schema,
        }
    }
}

impl<'a> Operation<'a> {
    /// The schema of its body, if it has one.
    pub(crate) fn body(&self) -> Option<&'a Value> {
        let schema = &self.described["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then_some(schema)
    }

    /// The schema of its answer.
    pub(crate) fn answer(&self) -> &'a Value {
        &self.described["responses"]["200"]["content"]["application/json"]["schema"]
    }

    /// Its parameters in this place: `query`, `path`, `header`.
    pub(crate) fn parameters(&self, place: &str) -> impl Iterator<Item = &'a Value> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == place)
    }
}
