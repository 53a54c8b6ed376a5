//! A request's body and its idempotency key, read within limits but not understood.

use super::limits::BODY_BYTES_MOST;
use super::refusals::No;
use axum::extract::{Query, Request};
use domain::purchase::{Space, is_reference};
use domain::refusal::Complaint;
use engine::Idempotency;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ring::digest;

use super::wire::sent::Sent;

/// What came with a request.
#[derive(Debug)]
pub(super) struct Read {
    /// The body.
    pub text: String,
    /// The idempotency key with the request's digest, or what is wrong with the key.
    pub idempotency: Result<Option<Idempotency>, Complaint>,
}

/// Reads a body that must be JSON.
pub(super) async fn read(request: Request) -> Result<Read, No> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(No::NotJson);
    }
    let bytes = collect(body).await?;
    let digest = || {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes()] {
            context.update(part);
            context.update(b"\n");
        }
        context.update(&bytes);
        context.finish()
    };
    let idempotency = idempotency(&parts.headers, digest);
    let text = String::from_utf8(bytes).map_err(|_| No::NotAnObject)?;
    Ok(Read { text, idempotency })
}

/// Reads a body that may be missing; one that is there must be JSON.
pub(super) async fn read_if_any(request: Request) -> Result<Option<String>, No> {
    let (parts, body) = request.into_parts();
    let bytes = collect(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(&parts.headers) {
        return Err(No::NotJson);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| No::NotAnObject)
}

/// Reads a query's pairs.
pub(super) fn query(uri: &Uri) -> Sent<'static> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    Sent::from_query(pairs.map(|Query(pairs)| pairs).unwrap_or_default())
}

async fn collect(body: axum::body::Body) -> Result<Vec<u8>, No> {
    match Limited::new(body, BODY_BYTES_MOST).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(No::TooLong),
        Err(_) => Err(No::NotAnObject),
    }
}

/// Whether every line of `Content-Type` says JSON, in UTF-8, and nothing is encoded once more.
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

fn idempotency(
    headers: &HeaderMap,
    digest: impl FnOnce() -> digest::Digest,
) -> Result<Option<Idempotency>, Complaint> {
    let wrong = |says: &str| Complaint { field: "Idempotency-Key", says: says.to_owned() };
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(wrong("was sent twice with different values; send it once."));
    }
    let key = first.to_str().ok().filter(|k| is_reference(k));
    let key = key.ok_or_else(|| wrong("must be 1 to 128 printable ASCII characters."))?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest().as_ref());
    Ok(Some(Idempotency { space: Space::IrechargeKey, key: key.to_owned(), digest: bytes }))
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
        let longest = "x".repeat(BODY_BYTES_MOST);
        assert_eq!(read(request(&[JSON], longest.clone())).await.unwrap().text, longest);
        let too_long = read(request(&[JSON], longest + "x")).await;
        assert!(matches!(too_long, Err(No::TooLong)));
        assert!(matches!(read(request(&[JSON], &b"\xff"[..])).await, Err(No::NotAnObject)));
        let zipped = read(request(&[JSON, ("content-encoding", "gzip")], "{}")).await;
        assert!(matches!(zipped, Err(No::NotJson)));
        assert!(matches!(read(request(&[], "{}")).await, Err(No::NotJson)));
        assert!(matches!(read_if_any(request(&[], "")).await, Ok(None)));
        assert!(matches!(read_if_any(request(&[], "{}")).await, Err(No::NotJson)));
    }

    #[tokio::test]
    async fn a_key_comes_with_the_digest_of_its_request() {
        let read = async |keys: &[&str], body: &'static str| {
            let mut headers = vec![JSON];
            headers.extend(keys.iter().map(|k| ("idempotency-key", *k)));
            read(request(&headers, body)).await.unwrap().idempotency
        };
        assert_eq!(read(&[], "{}").await, Ok(None));
        let first = read(&["k 1"], "{}").await.unwrap().unwrap();
        assert_eq!((first.key.as_str(), first.space), ("k 1", Space::IrechargeKey));
        assert_eq!(read(&["k 1", "k 1"], "{}").await.unwrap().unwrap(), first);
        assert_ne!(read(&["k 1"], "{ }").await.unwrap().unwrap().digest, first.digest);
        assert!(read(&["k 1", "k 2"], "{}").await.is_err());
        assert!(read(&[""], "{}").await.is_err());
        assert!(read(&[&"k".repeat(129)], "{}").await.is_err());
    }
}
