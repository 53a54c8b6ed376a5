//! Calls by browsers from pages of other origins, where the operator lists them (`wallet_origins`).
//!
//! A customer's access token lives an hour and is that customer's own, so a page that the operator
//! trusts may hold it. The billing API has nothing of this: a key pair in a page is public, and
//! whoever reads the page spends from the reseller's wallet. Invariant: an origin that is not
//! listed gets the same answers as without this file.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// What a page may send; no cookies.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-channel-id");
/// What a page may read.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, ratelimit, \
     ratelimit-policy, x-saldo-simulated",
);
/// For how many seconds a browser need not ask again.
const ASKED_FOR_S: HeaderValue = HeaderValue::from_static("3600");

/// The routes, which pages of these origins may call.
pub(super) fn allow<S: Clone + Send + Sync + 'static>(
    routes: axum::Router<S>,
    origins: &[String],
) -> axum::Router<S> {
    if origins.is_empty() {
        return routes;
    }
    let origins: Arc<[String]> = origins.into();
    routes.layer(from_fn_with_state(origins, answer))
}

async fn answer(State(origins): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_listed =
        |origin: &HeaderValue| origins.iter().any(|o| o.as_bytes() == origin.as_bytes());
    let Some(origin) = origin.filter(is_listed) else {
        let mut response = next.run(request).await;
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
        return response;
    };
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match asks_first {
        true => {
            let allowed = [
                (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
                (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
                (ACCESS_CONTROL_MAX_AGE, ASKED_FOR_S),
            ];
            (StatusCode::NO_CONTENT, allowed).into_response()
        }
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    headers.append(VARY, HeaderValue::from_static("origin"));
    response
}
