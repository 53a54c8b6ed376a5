//! One request: its body is read completely, then the router handles it, and it is always answered.
//! A path with a slash at its end is served as the same path without it.
//!
//! Not here: framing (`framing.rs`), routes, authentication. Invariant: a handler never waits for
//! its client, and every request that hyper parsed gets an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use tower::ServiceExt;

use super::Service;
use super::limits::Limits;
use super::refuse::Refused;

/// Answers one request from `peer`.
pub(super) async fn answer(
    request: Request<Incoming>,
    service: Service,
    peer: SocketAddr,
    limits: &Limits,
) -> Result<Response, Infallible> {
    let handled = AssertUnwindSafe(handle(request, service, peer, limits)).catch_unwind();
    let mut answer = match timeout(limits.answer_timeout, handled).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            Refused::HandlerPanicked.count(peer.ip());
            Refused::HandlerPanicked.answer()
        }
        Err(_) => {
            Refused::AnswerTimeout.count(peer.ip());
            Refused::AnswerTimeout.answer()
        }
    };
    let nosniff = HeaderValue::from_static("nosniff");
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(answer)
}

async fn handle(
    request: Request<Incoming>,
    service: Service,
    peer: SocketAddr,
    limits: &Limits,
) -> Response {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(ConnectInfo(peer));
    if let Some(uri) = without_slash_at_the_end(&head.uri) {
        head.uri = uri;
    }
    match admit(&head, body, limits).await {
        Ok(body) => {
            let Ok(answer) = service.router.oneshot(Request::from_parts(head, body)).await;
            answer
        }
        Err(refused) => {
            refused.count(peer.ip());
            let mut answer = refused.answer();
            if let Some(headers) = &service.refusal_headers {
                answer.headers_mut().extend(headers(head).await);
            }
            answer
        }
    }
}

/// Reads the whole body, within its limits: hyper passes on a request once its head is complete.
async fn admit(head: &Parts, body: Incoming, limits: &Limits) -> Result<Body, Refused> {
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        return Err(Refused::MethodNotAllowed);
    }
    if !is_plain(&head.headers) {
        return Err(Refused::UnsupportedEncoding);
    }
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(Refused::body_too_large(limits));
    }
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let whole = Limited::new(body, limits.body_bytes).collect();
    match timeout(limits.body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(Body::from(whole.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::body_too_large(limits)),
        Ok(Err(_)) => Err(Refused::BadFraming("The body broke off or its chunks are malformed")),
        Err(_) => Err(Refused::RequestTimeout),
    }
}

/// The same address without the slash at the end of its path, if there is one.
pub(crate) fn without_slash_at_the_end(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

/// Nothing is decompressed here, so that a small body cannot become a large one.
fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_removed_from_the_path_only() {
        for (sent, served) in [
            ("/", None),
            ("/docs", None),
            ("/docs/", Some("/docs")),
            ("/docs/?a=b/", Some("/docs?a=b/")),
            ("/x?a=/", None),
        ] {
            let trimmed = without_slash_at_the_end(&sent.parse().unwrap());
            assert_eq!(trimmed.map(|uri| uri.to_string()).as_deref(), served, "{sent}");
        }
    }
}
