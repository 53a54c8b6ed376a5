//! A request's body: read within limits, not yet parsed.
//!
//! No field is known here. Invariant: a body that leaves here is UTF-8 text, declared as JSON, and
//! within the limit.

use crate::limits::BODY_BYTES_MAX;
use crate::wire::fields::{BodyError, RawFields};
use axum::extract::{Query, Request};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Reads a body that must be JSON; returns it with the request's head.
pub(crate) async fn read(request: Request) -> Result<(Parts, String), BodyError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(BodyError::NotJson);
    }
    let text = text(collect(body).await?)?;
    Ok((parts, text))
}

/// Reads a body that may be missing or empty; any other must be JSON.
pub(crate) async fn read_optional(request: Request) -> Result<Option<String>, BodyError> {
    let (parts, body) = request.into_parts();
    let bytes = collect(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(&parts.headers) {
        return Err(BodyError::NotJson);
    }
    text(bytes).map(Some)
}

/// Reads the pairs of a query; a query that cannot be parsed has none.
pub(crate) fn query(uri: &Uri) -> RawFields<'static> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    RawFields::from_query(pairs.map(|Query(pairs)| pairs).unwrap_or_default())
}

async fn collect(body: axum::body::Body) -> Result<Vec<u8>, BodyError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Err(_) => Err(BodyError::NotAnObject),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, BodyError> {
    String::from_utf8(bytes).map_err(|_| BodyError::NotAnObject)
}

/// Whether every `Content-Type` line says JSON in UTF-8 and no `Content-Encoding` is applied.
fn is_json(headers: &HeaderMap) -> bool {
    let is_json = |value: &http::HeaderValue| {
        let mut parts = value.as_bytes().splitn(2, |b| *b == b';');
        let essence = parts.next().unwrap_or_default().trim_ascii();
        essence.eq_ignore_ascii_case(b"application/json") && parts.next().is_none_or(is_utf8)
    };
    let mut types = headers.get_all(CONTENT_TYPE).iter().peekable();
    let is_plain = |v: &http::HeaderValue| v.as_bytes().eq_ignore_ascii_case(b"identity");
    types.peek().is_some()
        && types.all(is_json)
        && headers.get_all(CONTENT_ENCODING).iter().all(is_plain)
}

/// JSON is UTF-8 (RFC 8259); any other parameter is ignored.
fn is_utf8(parameters: &[u8]) -> bool {
    parameters.split(|b| *b == b';').all(|parameter| {
        let parameter = parameter.trim_ascii().to_ascii_lowercase();
        match parameter.strip_prefix(b"charset=") {
            Some(charset) => matches!(charset, b"utf-8" | b"utf8" | b"\"utf-8\"" | b"us-ascii"),
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn only_json_is_json() {
        let check = |types: &[&str], expected| {
            let mut headers = HeaderMap::new();
            for value in types {
                headers.append(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(is_json(&headers), expected, "{types:?}");
        };
        check(&["application/json"], true);
        check(&["Application/JSON"], true);
        check(&["application/json; charset=utf-8"], true);
        check(&["application/json;charset=UTF-8"], true);
        check(&["application/json; charset=\"UTF-8\"; x=y"], true);
        check(&["application/json", "application/json"], true);
        check(&[], false);
        check(&[""], false);
        check(&["text/plain"], false);
        check(&["application/jsonp"], false);
        check(&["application/json, text/plain"], false);
        check(&["application/json", "text/plain"], false);
        check(&["application/x-www-form-urlencoded"], false);
        check(&["application/json; charset=utf-16"], false);
    }

    fn request(headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
        let mut request = http::Request::post("/api/billing/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.into()).unwrap()
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[tokio::test]
    async fn a_body_has_a_limit_and_an_encoding() {
        let longest = "x".repeat(BODY_BYTES_MAX);
        assert_eq!(read(request(&[JSON], longest.clone())).await.unwrap().1, longest);
        let too_long = read(request(&[JSON], longest + "x")).await;
        assert!(matches!(too_long, Err(BodyError::TooLong)));
        assert!(matches!(read(request(&[JSON], &b"\xff"[..])).await, Err(BodyError::NotAnObject)));
        let zipped = read(request(&[JSON, ("content-encoding", "gzip")], "{}")).await;
        assert!(matches!(zipped, Err(BodyError::NotJson)));
        assert!(matches!(read(request(&[], "{}")).await, Err(BodyError::NotJson)));
        assert!(matches!(read_optional(request(&[], "")).await, Ok(None)));
        assert!(matches!(read_optional(request(&[], "{}")).await, Err(BodyError::NotJson)));
    }
}
