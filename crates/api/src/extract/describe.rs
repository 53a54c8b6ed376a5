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
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
    ServerBuilder,
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
    for (name, kind, description) in [
        ("X-RateLimit-Limit", Type::Integer, "Calls a minute."),
        ("X-RateLimit-Remaining", Type::Integer, "Calls left."),
        ("X-RateLimit-Reset", Type::Integer, "Seconds until all calls are back."),
        (
            "RateLimit-Policy",
            Type::String,
            "The same limit in the IETF's form: `\"default\";q=120;w=60`.",
        ),
        ("RateLimit", Type::String, "What is left, in the IETF's form: `\"default\";r=42;t=13`."),
        ("X-Saldo-Simulated", Type::String, "`true` where purchases are played by a simulator."),
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

/// Adds the introduction, the tags and the schema of errors.
pub(crate) fn complete<E: ToSchema>(
    document: &mut OpenApi,
    title: &str,
    description: &str,
    tags: Option<Vec<Tag>>,
) {
    document.info = InfoBuilder::new()
        .title(title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(description))
        .build();
    document.tags = tags;
    let mut schemas = vec![(E::name().into_owned(), E::schema())];
    E::schemas(&mut schemas);
    document.components.get_or_insert_default().schemas.extend(schemas);
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
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Compares the codes of a document's errors with the table in its introduction; `elsewhere`
    /// are those that no operation answers.
    pub(crate) fn assert_lists_every_code(document: &Value, text: &str, elsewhere: &[&str]) {
        let mut answered: BTreeSet<&str> = elsewhere.iter().copied().collect();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for response in operation["responses"].as_object().unwrap().values() {
                    let examples = &response["content"]["application/json"]["examples"];
                    answered.extend(examples.as_object().into_iter().flatten().map(|(c, _)| &**c));
                }
            }
        }
        // A row of the table: `| 422 | `NO_WALLET` | no wallet in this currency |`.
        let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | `"));
        let errors = rows.filter(|(status, _)| status.parse::<u16>().is_ok());
        let listed: BTreeSet<_> = errors.map(|(_, rest)| rest.split('`').next().unwrap()).collect();
        assert_eq!(answered, listed);
    }
}
