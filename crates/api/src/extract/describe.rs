//! What the faces' OpenAPI documents describe alike: errors by their real answers, quotas, tags.
//!
//! Not here: any route, any schema, any code.

use super::answer::Answer;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema, ServerBuilder,
};

/// Adds the errors that an operation may answer, each with its real answer as the example;
/// `schema` names the body they share.
pub(crate) fn add_errors(
    operation: &mut Operation,
    answers: impl Iterator<Item = Answer>,
    schema: &str,
) {
    let mut errors: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
    for answer in answers {
        errors.entry(answer.status.as_u16()).or_default().push(answer);
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

/// Adds a header to an answer.
pub(crate) fn add_header(response: &mut Response, name: &str, kind: Type, says: &str) {
    let schema: RefOr<Schema> = ObjectBuilder::new().schema_type(kind).into();
    let mut header = Header::new(schema);
    header.description = Some(says.into());
    response.headers.insert(name.into(), RefOr::T(header));
}

/// Adds the headers that every answer to a known account carries.
pub(crate) fn add_quota(response: &mut Response) {
    for (name, kind, says) in [
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
        add_header(response, name, kind, says);
    }
}

/// Tags with what they say, in this order.
pub(crate) fn tags<const N: usize>(tags: [(&str, &str); N]) -> Option<Vec<Tag>> {
    let tag = |(name, says)| TagBuilder::new().name(name).description(Some(says)).build();
    Some(tags.map(tag).into())
}

/// Writes a document, once it says how this server is reached.
pub(crate) fn written(mut document: OpenApi, base_url: &str) -> Bytes {
    if !base_url.is_empty() {
        document.servers = Some(vec![ServerBuilder::new().url(base_url).build()]);
    }
    // A document of plain values can always be written.
    serde_json::to_vec(&document).unwrap_or_default().into()
}

/// Serves a document to everybody, pages of other places too.
pub(crate) fn served(document: Bytes) -> axum::response::Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, document).into_response()
}
