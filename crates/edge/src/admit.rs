//! One request: its body is read completely, then the router handles it, and it is always answered.
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
use http::{Method, Request};
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

/// Nothing is decompressed here, so that a small body cannot become a large one.
fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
