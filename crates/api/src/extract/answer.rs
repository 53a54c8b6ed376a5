//! An answer before it is an HTTP response: status, body, and what its headers are made of.

use crate::wire::json::{InternalError, serialize};
use axum::response::{IntoResponse, Response};
use domain::Environment;
use engine::{Engine, Quota, Replay};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::fmt::{Arguments, Write as _};
use std::net::IpAddr;

/// The answer of a handler, in any dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON.
    pub body: String,
    /// Whether this is the stored answer of an earlier request (CONTRACT A-09).
    pub is_replay: bool,
    /// Seconds for the header `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// The error's code, for the log.
    pub code: Option<&'static str>,
}

impl Answer {
    /// 200 with this body.
    pub(crate) fn ok(body: &impl Serialize) -> Result<Answer, InternalError> {
        Ok(Answer::stored(StatusCode::OK, serialize(body)?))
    }

    /// The stored answer of the first request, to the byte.
    pub(crate) fn replay(first: Replay) -> Answer {
        let status = StatusCode::from_u16(first.status).unwrap_or(StatusCode::OK);
        Answer { is_replay: true, ..Answer::stored(status, first.body) }
    }

    /// Counts this refusal of a client at `from` for the log, which says once a second how many
    /// there were of each (the target `counted`): anybody can cause them in plenty.
    pub(crate) fn count_refusal(&self, from: IpAddr) {
        let (status, code) = (self.status.as_u16(), self.code.unwrap_or("no code"));
        tracing::info!(target: "counted", status, code, %from, "access refused");
    }

    fn stored(status: StatusCode, body: String) -> Answer {
        Answer { status, body, is_replay: false, retry_after_s: None, code: None }
    }
}

/// Without the headers that depend on the account.
impl IntoResponse for Answer {
    fn into_response(self) -> Response {
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

/// The policy of the calls that an account, or a customer, may make.
pub(crate) const CALLS: &str = "default";
/// The policy of the failed authentications from one address.
pub(crate) const FAILED_AUTHENTICATIONS: &str = "failed-authentications";

/// Adds the rate-limit headers of a policy: the usual `X-RateLimit-…` and the IETF's
/// (draft-ietf-httpapi-ratelimit-headers). Resets are seconds from now.
pub(crate) fn add_quota_headers(headers: &mut HeaderMap, policy: &str, quota: Option<Quota>) {
    let Some(Quota { limit, remaining, reset_s }) = quota else { return };
    headers.insert(HeaderName::from_static("x-ratelimit-limit"), limit.into());
    headers.insert(HeaderName::from_static("x-ratelimit-remaining"), remaining.into());
    headers.insert(HeaderName::from_static("x-ratelimit-reset"), reset_s.into());
    let mut text = String::with_capacity(64);
    let mut insert = |name, value: Arguments<'_>| {
        text.clear();
        if text.write_fmt(value).is_ok()
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    insert("ratelimit-policy", format_args!("\"{policy}\";q={limit};w=60"));
    insert("ratelimit", format_args!("\"{policy}\";r={remaining};t={reset_s}"));
}

/// Adds `X-Saldo-Simulated` if a simulator fulfils the purchases of this environment.
pub(crate) fn add_simulated_header(
    headers: &mut HeaderMap,
    engine: &Engine,
    environment: Environment,
) {
    if engine.is_simulated(environment) {
        let name = HeaderName::from_static("x-saldo-simulated");
        headers.insert(name, HeaderValue::from_static("true"));
    }
}
