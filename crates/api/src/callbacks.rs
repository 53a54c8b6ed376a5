//! The callbacks of upstreams: `POST /callbacks/<upstream>`.
//!
//! The upstream's connector parses and verifies a callback; this file only passes it on. Invariant:
//! the answer to a forged callback says only that it was refused.

use crate::limits::BODY_BYTES_MAX;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::post;
use domain::Callback;
use engine::{CallbackResult, Engine};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};

/// The route of all upstreams' callbacks.
pub(crate) fn router(engine: Engine) -> axum::Router {
    axum::Router::new().route("/callbacks/{upstream}", post(receive)).with_state(engine)
}

async fn receive(
    State(engine): State<Engine>,
    Path(upstream): Path<String>,
    request: Request<Body>,
) -> (StatusCode, &'static str) {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "a callback is 64 KiB at most\n");
    };
    let callback = Callback { headers: headers(&parts.headers), body: body.to_bytes().to_vec() };
    match engine.receive_callback(&upstream, &callback).await {
        CallbackResult::Accepted => (StatusCode::ACCEPTED, "heard\n"),
        CallbackResult::Forged => (StatusCode::UNAUTHORIZED, "refused\n"),
        CallbackResult::UnknownUpstream => {
            (StatusCode::NOT_FOUND, "nobody of this name calls back\n")
        }
    }
}

/// Header names are lower case; a value that is not text is left out.
fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    map.iter().filter_map(text).collect()
}
