//! The door: who calls, from where; and the headers that each answer to a known account carries.
//!
//! Invariant: a request is read further only after the engine let its caller in, so nothing about
//! its fields is told to a stranger (CONTRACT A-24).

use super::Face;
use super::answer::{Answer, add_quota, add_simulated};
use super::refusals::{self, No};
use super::{Settings, address};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::response::Response;
use engine::{Caller, Quota};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use tracing::{Instrument, Span, field, info_span};

/// A caller who was let in.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Who.
    pub caller: Caller,
    quota: Option<Quota>,
}

impl FromRequestParts<Face> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Visitor, Response> {
        let from = client(parts, &face.settings);
        let open_key = key(&parts.headers, "x-open-key");
        let secret_key = key(&parts.headers, "x-authorization").map(without_bearer);
        let visit = face.engine.enter(open_key, secret_key, from).await;
        let quota = visit.quota;
        visit.caller.map(|caller| Visitor { caller, quota }).map_err(|refusal| {
            tracing::info!(code = refusal.code(), %from, "not let in");
            let mut response = refusals::answer(&No::Refusal(refusal)).respond();
            if let Some(quota) = quota {
                add_quota(response.headers_mut(), quota);
            }
            response
        })
    }
}

impl Visitor {
    /// Does the work within a span of the log, and dresses its answer. `route` names the work.
    pub(super) async fn serve(
        self,
        face: &Face,
        route: &'static str,
        work: impl Future<Output = Result<Answer, No>>,
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
        let answer = async {
            // A panic leaves nothing of ours half done: the engine's state is its own matter, and
            // the caller still learns its quota. The text may name data, so it goes no further.
            let done = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!("a request panicked");
                Err(No::Broken)
            });
            let answer = done.unwrap_or_else(|no| refusals::answer(&no));
            tracing::debug!(status = answer.status.as_u16(), code = answer.code, "answered");
            answer
        };
        let mut response = answer.instrument(span).await.respond();
        if let Some(quota) = self.quota {
            add_quota(response.headers_mut(), quota);
        }
        add_simulated(response.headers_mut(), &face.engine, environment);
        response
    }
}

/// Notes in the log whom a purchase is for, masked.
pub(super) fn note_recipient(recipient: &str) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("number", domain::number::masked(recipient));
    }
}

/// A connection without an address is one of a test; an address list never lets it in.
fn client(parts: &Parts, settings: &Settings) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
    let lines = parts.headers.get_all(HeaderName::from_static("x-forwarded-for"));
    address::client(peer, lines.iter().map(|v| v.as_bytes()), &settings.trusted_proxies)
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
