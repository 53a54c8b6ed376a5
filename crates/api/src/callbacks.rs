//! The callbacks of upstreams: `POST` and `GET /callbacks/<upstream>`, and below that path.
//!
//! The upstream's connector parses and verifies a callback; this file only passes it on. Invariant:
//! the answer to a forged callback says only that it was refused.

use crate::Settings;
use crate::extract::address;
use crate::limits::BODY_BYTES_MAX;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::{MethodFilter, on};
use domain::{Callback, CallbackAnswer};
use engine::{CallbackResult, Engine};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use std::borrow::Cow;
use std::sync::Arc;

/// The route of all upstreams' callbacks.
pub(crate) fn router(engine: Engine, settings: Arc<Settings>) -> axum::Router {
    let methods = || on(MethodFilter::GET.or(MethodFilter::POST), receive);
    axum::Router::new()
        .route("/callbacks/{upstream}", methods())
        .route("/callbacks/{upstream}/{*rest}", methods())
        .with_state(Receiver { engine, settings })
}

/// Who receives callbacks.
#[derive(Clone)]
struct Receiver {
    engine: Engine,
    settings: Arc<Settings>,
}

/// What is in the path of a callback.
#[derive(serde::Deserialize)]
struct CallbackPath {
    upstream: String,
    #[serde(default)]
    rest: String,
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(path): Path<CallbackPath>,
    request: Request<Body>,
) -> (StatusCode, Cow<'static, str>) {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "a callback is 64 KiB at most\n".into());
    };
    let callback = Callback {
        method: parts.method.as_str().to_owned(),
        path: path.rest,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        peer: Some(address::of_client(&parts, &receiver.settings)),
        headers: headers(&parts.headers),
        body: body.to_bytes().to_vec(),
    };
    match receiver.engine.receive_callback(&path.upstream, &callback).await {
        CallbackResult::Accepted(Some(CallbackAnswer { status, body })) => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body.into())
        }
        CallbackResult::Accepted(None) => (StatusCode::ACCEPTED, "heard\n".into()),
        CallbackResult::NotKept => {
            (StatusCode::SERVICE_UNAVAILABLE, "it could not be kept: send it again\n".into())
        }
        CallbackResult::Forged => (StatusCode::UNAUTHORIZED, "refused\n".into()),
        CallbackResult::UnknownUpstream => {
            (StatusCode::NOT_FOUND, "nobody of this name calls back\n".into())
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
