//! An answer before it is HTTP: status, body, and what its headers need to know.

use axum::response::{IntoResponse, Response};
use domain::Environment;
use engine::{Engine, Quota, Replay};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON.
    pub body: String,
    /// Whether it was said before (CONTRACT A-09).
    pub is_replay: bool,
    /// When to come again.
    pub retry_after_s: Option<u64>,
    /// The error's code, for the log.
    pub code: Option<&'static str>,
}

impl Answer {
    /// Yes.
    pub(crate) fn ok(body: String) -> Answer {
        let status = StatusCode::OK;
        Answer { status, body, is_replay: false, retry_after_s: None, code: None }
    }

    /// The first answer once more, to the byte.
    pub(crate) fn replay(first: Replay) -> Answer {
        let status = StatusCode::from_u16(first.status).unwrap_or(StatusCode::OK);
        Answer { status, is_replay: true, ..Answer::ok(first.body) }
    }

    /// As HTTP, without the headers of a known account.
    pub(crate) fn respond(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.is_replay {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Says how many calls are left, in the older and in the IETF's headers
/// (draft-ietf-httpapi-ratelimit-headers); resets are seconds from now.
pub(crate) fn add_quota(headers: &mut HeaderMap, quota: Quota) {
    let Quota { limit, remaining, reset_s } = quota;
    headers.insert(HeaderName::from_static("x-ratelimit-limit"), limit.into());
    headers.insert(HeaderName::from_static("x-ratelimit-remaining"), remaining.into());
    headers.insert(HeaderName::from_static("x-ratelimit-reset"), reset_s.into());
    let ietf = [
        ("ratelimit-policy", format!("\"default\";q={limit};w=60")),
        ("ratelimit", format!("\"default\";r={remaining};t={reset_s}")),
    ];
    for (name, value) in ietf {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Says that purchases of this environment are played.
pub(crate) fn add_simulated(headers: &mut HeaderMap, engine: &Engine, environment: Environment) {
    if engine.is_simulated(environment) {
        let name = HeaderName::from_static("x-saldo-simulated");
        headers.insert(name, HeaderValue::from_static("true"));
    }
}
