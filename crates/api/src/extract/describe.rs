//! What the OpenAPI documents of all dialects have in common: errors with their real answers as
//! examples, rate-limit headers, tags.
//!
//! Not here: any route, any schema, any error code.

use super::answer::Answer;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::external_docs::ExternalDocs;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ContactBuilder, ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    Schema, ServerBuilder,
};

/// Adds the errors that an operation may answer, each with its real answer as the example; of two
/// with one code, the first. `schema` is the name of their common body.
pub(crate) fn add_errors(
    operation: &mut Operation,
    answers: impl Iterator<Item = Answer>,
    schema: &str,
) {
    let mut errors: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
    for answer in answers {
        let same_status = errors.entry(answer.status.as_u16()).or_default();
        if !same_status.iter().any(|known| known.code == answer.code) {
            same_status.push(answer);
        }
    }
    for (status, answers) in errors {
        let response = RefOr::T(error(&answers, schema));
        operation.responses.responses.insert(status.to_string(), response);
    }
}

fn error(answers: &[Answer], schema: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name(schema));
    let mut content = ContentBuilder::new().schema(Some(schema));
    for answer in answers {
        let value: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let code = answer.code.unwrap_or_default();
        content =
            content.examples_from_iter([(code, ExampleBuilder::new().value(Some(value)).build())]);
    }
    let codes: Vec<_> = answers.iter().filter_map(|a| a.code).map(|c| format!("`{c}`")).collect();
    ResponseBuilder::new()
        .description(codes.join(", "))
        .content("application/json", content.build())
        .build()
}

/// Describes a header of a response.
pub(crate) fn add_header(response: &mut Response, name: &str, kind: Type, description: &str) {
    let schema: RefOr<Schema> = ObjectBuilder::new().schema_type(kind).into();
    let mut header = Header::new(schema);
    header.description = Some(description.into());
    response.headers.insert(name.into(), RefOr::T(header));
}

/// Describes the headers that every answer to an authenticated account has.
pub(crate) fn add_account_headers(response: &mut Response) {
    add_limit_headers(response, ["Calls a minute.", "Calls left."]);
    let simulated = "`true` where purchases are played by a simulator.";
    add_header(response, "X-Saldo-Simulated", Type::String, simulated);
}

/// Describes the headers about a rate limit: what it counts, and what is left of it.
pub(crate) fn add_limit_headers(response: &mut Response, [limit, left]: [&str; 2]) {
    for (name, kind, description) in [
        ("X-RateLimit-Limit", Type::Integer, limit),
        ("X-RateLimit-Remaining", Type::Integer, left),
        (
            "X-RateLimit-Reset",
            Type::Integer,
            "Seconds until the oldest one counts no more; 0 if there is none.",
        ),
        (
            "RateLimit-Policy",
            Type::String,
            "The same limit in the IETF's form: `\"default\";q=120;w=60`.",
        ),
        ("RateLimit", Type::String, "What is left, in the IETF's form: `\"default\";r=42;t=13`."),
    ] {
        add_header(response, name, kind, description);
    }
}

/// Every operation of the document.
pub(crate) fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|PathItem { get, post, .. }| [get, post].into_iter().flatten())
}

/// Every response of the operation, with its status.
pub(crate) fn responses(operation: &mut Operation) -> impl Iterator<Item = (&str, &mut Response)> {
    operation.responses.responses.iter_mut().filter_map(|(status, response)| match response {
        RefOr::T(response) => Some((status.as_str(), response)),
        RefOr::Ref(_) => None,
    })
}

/// Adds the title, one line about the API, the tags, and the schema of errors with their codes.
pub(crate) fn complete<E: ToSchema>(
    document: &mut OpenApi,
    [title, line]: [&str; 2],
    tags: Option<Vec<Tag>>,
    errors: &[DocumentedError],
) {
    document.info = InfoBuilder::new()
        .title(title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(line))
        .build();
    document.tags = tags;
    add_schema::<E>(document);
    let schemas = &mut document.components.get_or_insert_default().schemas;
    if let Some(RefOr::T(Schema::Object(error))) = schemas.get_mut(&*E::name())
        && let Some(RefOr::T(Schema::Object(code))) = error.properties.get_mut("code")
    {
        code.enum_values = Some(errors.iter().map(|error| error.code.into()).collect());
    }
}

/// Adds a type's schema, and those that it refers to.
pub(crate) fn add_schema<S: ToSchema>(document: &mut OpenApi) {
    let mut schemas = vec![(S::name().into_owned(), S::schema())];
    S::schemas(&mut schemas);
    document.components.get_or_insert_default().schemas.extend(schemas);
}

/// What a dialect says of itself.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The OpenAPI 3.1 document, in JSON.
    pub openapi: Bytes,
    /// Every error that the dialect may answer, by status.
    pub errors: Vec<DocumentedError>,
}

/// An error that a dialect may answer, as its documents list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedError {
    /// HTTP status.
    pub status: u16,
    /// Stable: programs decide by it.
    pub code: &'static str,
    /// What happened, as it is answered.
    pub message: String,
    /// What it means for the money and what to do next; empty where the message says it.
    pub advice: String,
}

impl DocumentedError {
    /// The errors of these answers and the server's own by status, each code once. The body's
    /// `error` is the advice.
    pub(crate) fn list(
        answers: impl Iterator<Item = Answer>,
        server_errors: &[DocumentedError],
    ) -> Vec<DocumentedError> {
        let mut all: Vec<DocumentedError> = Vec::new();
        for answer in answers {
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            let Some(code) = answer.code else { continue };
            if !all.iter().any(|known| known.code == code) {
                let status = answer.status.as_u16();
                let (message, advice) = (text("message"), text("error"));
                all.push(DocumentedError { status, code, message, advice });
            }
        }
        for error in server_errors {
            if !all.iter().any(|known| known.code == error.code) {
                all.push(error.clone());
            }
        }
        all.sort_by_key(|error| error.status);
        all
    }
}

/// A string that has only these values.
pub(crate) fn one_of<const N: usize>(values: [&str; N]) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).build().into()
}

/// Tags with their descriptions, in this order.
pub(crate) fn tags<const N: usize>(tags: [(&str, &str); N]) -> Option<Vec<Tag>> {
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    Some(tags.map(tag).into())
}

/// Serializes a document, with this server's URL in it.
pub(crate) fn serialize(mut document: OpenApi, base_url: &str) -> Bytes {
    if !base_url.is_empty() {
        document.servers = Some(vec![ServerBuilder::new().url(base_url).build()]);
        let docs = format!("{base_url}/docs");
        let contact = ContactBuilder::new().name(Some("Support")).url(Some(&docs)).build();
        document.info.contact = Some(contact);
        document.external_docs = Some(ExternalDocs::new(docs));
    }
    // A document of plain values can always be serialized.
    serde_json::to_vec(&document).unwrap_or_default().into()
}

/// The response with a document; pages of other origins may read it too.
pub(crate) fn serve(document: Bytes) -> axum::response::Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, document).into_response()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// The list of codes is complete: it has those of all operations, and `elsewhere`, which no
    /// operation answers.
    pub(crate) fn assert_lists_every_code(document: &Value, elsewhere: &[&str]) {
        let mut answered: BTreeSet<&str> = elsewhere.iter().copied().collect();
        for operation in operations(document) {
            for response in operation["responses"].as_object().unwrap().values() {
                let examples = &response["content"]["application/json"]["examples"];
                answered.extend(examples.as_object().into_iter().flatten().map(|(c, _)| &**c));
            }
        }
        let codes = &document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let listed = codes.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(answered, listed);
    }

    /// What generators of clients stumble over: a long introduction, an optional log-in where there
    /// is none, times and statuses that are plain strings.
    pub(crate) fn assert_fit_for_generators(document: &Value) {
        let info = &document["info"];
        let line = info["description"].as_str().unwrap();
        assert!(line.len() < 200 && !line.contains('\n'), "{line}");
        assert_eq!(info["contact"]["url"], "https://saldo.example/docs");
        let mut ids = BTreeSet::new();
        for operation in operations(document) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            assert!(operation["security"].is_array(), "{id}");
            assert_ne!(operation["security"], json!([{}]), "{id}: public is an empty list");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let at = format!("{name}.{field}: {property}");
                let is_time = ["At", "_at"].iter().any(|end| field.ends_with(end));
                if is_time || ["at", "timestamp"].contains(&&**field) {
                    assert_eq!(property["format"], "date-time", "{at}");
                }
                if ["status", "rechargeType", "code", "responseCode"].contains(&&**field)
                    && name != "OperatorSummary"
                    && !name.ends_with("Request")
                {
                    let reference =
                        property["$ref"].as_str().map(|r| r.rsplit('/').next().unwrap());
                    let schemas = &document["components"]["schemas"];
                    let values = reference.map_or(property, |name| &schemas[name]);
                    assert!(values["enum"].is_array(), "{at}");
                }
            }
        }
    }

    fn operations(document: &Value) -> impl Iterator<Item = &Value> {
        let items = document["paths"].as_object().unwrap().values();
        items.flat_map(|item| item.as_object().unwrap().values())
    }
}
