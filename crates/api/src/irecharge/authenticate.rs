//! The door: who calls, from where; and the headers that each answer to a known account carries.
//!
//! Invariant: a request is read further only after the engine let its caller in, so nothing about
//! its fields is told to a stranger (CONTRACT A-24).

use super::ApiState;
use super::refusals::{self, ApiError};
use crate::extract::address;
use crate::extract::answer::{Answer, add_quota, add_simulated};
use crate::extract::work;
use axum::extract::FromRequestParts;
use axum::response::Response;
use engine::{Caller, Quota};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use tracing::{field, info_span};

/// A caller who was let in.
#[derive(Debug)]
pub(super) struct Authenticated {
    /// Who.
    pub caller: Caller,
    quota: Option<Quota>,
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &ApiState,
    ) -> Result<Authenticated, Response> {
        let from = address::of(parts, &api.settings.trusted_proxies);
        let open_key = key(&parts.headers, "x-open-key");
        let secret_key = key(&parts.headers, "x-authorization").map(without_bearer);
        let access = api.engine.authenticate(open_key, secret_key, from).await;
        let quota = access.quota;
        access.caller.map(|caller| Authenticated { caller, quota }).map_err(|refusal| {
            tracing::info!(code = refusal.code(), %from, "not let in");
            let mut response = refusals::answer(&ApiError::Refusal(refusal)).respond();
            if let Some(quota) = quota {
                add_quota(response.headers_mut(), quota);
            }
            response
        })
    }
}

impl Authenticated {
    /// Does the work within a span of the log, and dresses its answer. `route` names the work.
    pub(super) async fn serve(
        self,
        api: &ApiState,
        route: &'static str,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let Caller { account, environment, key, session: _, plan: _ } = self.caller;
        let span = info_span!(
            "irecharge",
            route,
            account = account.0,
            environment = environment.code(),
            key = key.map(|k| k.0),
            number = field::Empty,
        );
        let answer = work::answered(work, span, ApiError::InternalError, refusals::answer).await;
        let mut response = answer.respond();
        if let Some(quota) = self.quota {
            add_quota(response.headers_mut(), quota);
        }
        add_simulated(response.headers_mut(), &api.engine, environment);
        response
    }
}

/// A key header's value; none if it is missing or empty. What cannot be a key, or was sent twice
/// with different values, is a key that nobody has.
fn key<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    let first = values.next()?;
    if values.any(|other| other != first) {
        return Some("");
    }
    match first.to_str() {
        Ok(text) => Some(text.trim()).filter(|t| !t.is_empty()),
        Err(_) => Some(""),
    }
}

fn without_bearer(secret: &str) -> &str {
    match secret.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest.trim_start(),
        Some(_) | None => secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_their_headers_only_once() {
        let check = |values: &[&[u8]], expected| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-open-key", value.to_vec().try_into().unwrap());
            }
            assert_eq!(key(&headers, "x-open-key"), expected, "{values:?}");
        };
        check(&[], None);
        check(&[b""], None);
        check(&[b"a"], Some("a"));
        check(&[b"a", b"a"], Some("a"));
        check(&[b"a", b"b"], Some(""));
        check(&[b"\xff"], Some(""));
    }

    #[test]
    fn a_bearer_prefix_is_tolerated() {
        for (sent, secret) in [
            ("sk_test_x", "sk_test_x"),
            ("Bearer sk_test_x", "sk_test_x"),
            ("bearer  sk_test_x", "sk_test_x"),
            ("Bearersk_test_x", "Bearersk_test_x"),
            ("Basic sk_test_x", "Basic sk_test_x"),
            ("Bear", "Bear"),
        ] {
            assert_eq!(without_bearer(sent), secret);
        }
    }
}
