//! One request: its body is read completely, then the router handles it, and it is always answered.
//!
//! Not here: framing (`framing.rs`), routes, authentication. Invariant: a handler never waits for
//! its client, and every request that hyper parsed gets an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;
use tower::ServiceExt;

use super::limits::Limits;
use super::refuse::Refused;

/// Answers one request from `peer`.
pub(super) async fn answer(
    request: Request<Incoming>,
    router: Router,
    peer: SocketAddr,
    limits: &Limits,
) -> Result<Response, Infallible> {
    let handled = AssertUnwindSafe(handle(request, router, peer, limits)).catch_unwind();
    let mut answer = match timeout(limits.answer_timeout, handled).await {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(refused))) => {
            refused.count(peer.ip());
            refused.answer()
        }
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
    router: Router,
    peer: SocketAddr,
    limits: &Limits,
) -> Result<Response, Refused> {
    let mut request = admit(request, limits).await?;
    request.extensions_mut().insert(ConnectInfo(peer));
    let Ok(answer) = router.oneshot(request).await;
    Ok(answer)
}

/// Reads the whole body, within its limits: hyper passes on a request once its head is complete.
async fn admit(request: Request<Incoming>, limits: &Limits) -> Result<Request<Body>, Refused> {
    let (head, body) = request.into_parts();
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
        return Ok(Request::from_parts(head, Body::empty()));
    }
    let whole = Limited::new(body, limits.body_bytes).collect();
    match timeout(limits.body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(head, Body::from(whole.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::body_too_large(limits)),
        Ok(Err(_)) => Err(Refused::BadFraming("The body broke off or its chunks are malformed")),
        Err(_) => Err(Refused::RequestTimeout),
    }
}

/// Nothing is decompressed here, so that a small body cannot become a large one.
fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
