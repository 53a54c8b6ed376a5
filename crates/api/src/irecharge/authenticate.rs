//! Authentication by key pair and client address, and the headers of every answer to an account.
//!
//! Invariant: the body and the fields of a request are read only after the engine has authenticated
//! the caller; an anonymous caller learns nothing about them (CONTRACT A-24).

use super::refusals::{self, ApiError};
use super::{ApiState, BASE};
use crate::extract::address;
use crate::extract::answer::{self, Answer, add_quota_headers, add_simulated_header};
use crate::extract::work;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use domain::KeyScope;
use domain::refusal::KeyPairRefused;
use engine::{AccessResult, Caller, PageCaller, Quota, RequestOwner};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use std::convert::Infallible;
use std::net::IpAddr;
use tracing::{field, info_span};

/// An authenticated caller: the extractor of every route with keys.
pub(super) struct Authenticated {
    /// The engine and the settings.
    pub api: ApiState,
    /// Account, environment and key.
    pub caller: Caller,
    quota: Option<Quota>,
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Response> {
        let sent = Sent::of(parts, api);
        let known = Authenticated::of(sent.access(api).await, api, sent.from);
        known.map_err(|refused| *refused)
    }
}

/// An authenticated caller with a subscription: the extractor of the offers (CONTRACT A-41).
pub(super) struct Subscribed(pub Authenticated);

impl FromRequestParts<ApiState> for Subscribed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Response> {
        let known = Authenticated::from_request_parts(parts, api).await?;
        known.subscribed().map(Subscribed).map_err(|refused| *refused)
    }
}

/// An authenticated caller that may buy in its environment, with a subscription: the extractor of
/// every route that sells (CONTRACT ).
pub(super) struct Buyer(pub Authenticated);

impl FromRequestParts<ApiState> for Buyer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Response> {
        let Sent { open_key, secret_key, page, from } = Sent::of(parts, api);
        let access = match page {
            Some(page) => api.engine.admit_buyer_from_pages(page).await,
            None => api.engine.authenticate_buyer(open_key, secret_key, from).await,
        };
        let known = Authenticated::of(access, api, from).and_then(Authenticated::subscribed);
        known.map(Buyer).map_err(|refused| *refused)
    }
}

/// What the answer to a request without a route tells of the rate limit: the extractor of those
/// answers. A call with right keys counts as any other does.
pub(super) struct Unrouted {
    quota: Option<Quota>,
    owner: Option<RequestOwner>,
}

impl FromRequestParts<ApiState> for Unrouted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Infallible> {
        let AccessResult { quota, owner, .. } = Sent::of(parts, api).access(api).await;
        Ok(Unrouted { quota, owner })
    }
}

/// The headers about the rate limit for an answer that the server gives before a route is reached,
/// as to a body that is too long; `parts` carry the client's address. None outside of this API.
pub(super) async fn limit_headers(api: &ApiState, mut parts: Parts) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let path = parts.uri.path();
    if path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let Ok(Unrouted { quota, owner }) = Unrouted::from_request_parts(&mut parts, api).await;
        add_quota_headers(&mut headers, policy_of(owner), quota);
    }
    headers
}

impl Unrouted {
    /// The answer of this error.
    pub(super) fn refuse(self, error: &ApiError) -> Response {
        with_account(refusals::answer(error), self.quota, self.owner)
    }
}

/// Who a request says that it is from.
struct Sent<'p> {
    open_key: Option<&'p str>,
    secret_key: Option<&'p str>,
    page: Option<PageCaller>,
    from: IpAddr,
}

impl Sent<'_> {
    fn of<'p>(parts: &'p Parts, api: &ApiState) -> Sent<'p> {
        Sent {
            open_key: key(&parts.headers, "x-open-key"),
            secret_key: key(&parts.headers, "x-authorization").map(without_bearer),
            page: parts.extensions.get::<PageCaller>().copied(),
            from: address::of_client(parts, &api.settings),
        }
    }

    async fn access(&self, api: &ApiState) -> AccessResult<KeyPairRefused> {
        match self.page {
            Some(page) => api.engine.admit_from_pages(page).await,
            None => api.engine.authenticate(self.open_key, self.secret_key, self.from).await,
        }
    }
}

impl Authenticated {
    fn of<R>(access: AccessResult<R>, api: &ApiState, from: IpAddr) -> Result<Self, Box<Response>>
    where
        ApiError: From<R>,
    {
        let AccessResult { caller, quota, owner } = access;
        match caller {
            Ok(caller) => Ok(Authenticated { api: api.clone(), caller, quota }),
            Err(refused) => {
                let answer = refusals::answer(&ApiError::from(refused));
                answer.count_refusal(from);
                Err(Box::new(with_account(answer, quota, owner)))
            }
        }
    }

    /// Refuses an account without a subscription.
    fn subscribed(self) -> Result<Self, Box<Response>> {
        match self.api.engine.is_subscribed(&self.caller) {
            Ok(()) => Ok(self),
            Err(none) => Err(Box::new(self.refuse(none.into()))),
        }
    }
}

impl Authenticated {
    /// The answer of an error, with the account's headers.
    fn refuse(&self, error: ApiError) -> Response {
        self.with_headers(refusals::answer(&error))
    }

    /// Runs the handler's `work` in a tracing span with this `route`, if the key pair has the
    /// scope, and adds the account's headers to its answer.
    pub(super) async fn respond(
        &self,
        scope: KeyScope,
        route: &'static str,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        if let Err(refused) = self.api.engine.is_in_scope(&self.caller, scope) {
            return self.refuse(refused.into());
        }
        let Caller { account, environment, key, .. } = self.caller;
        let span = || {
            info_span!(
                "irecharge",
                route,
                account = account.0,
                environment = environment.code(),
                key = key.map(|k| k.0),
                number = field::Empty,
            )
        };
        self.with_headers(work::answer(work, span, ApiError::internal(), refusals::answer).await)
    }

    fn with_headers(&self, answer: Answer) -> Response {
        let owner = Some(RequestOwner::from(&self.caller));
        let mut response = with_account(answer, self.quota, owner);
        let environment = self.caller.environment;
        add_simulated_header(response.headers_mut(), &self.api.engine, environment);
        response
    }
}

/// The answer with the headers about the rate limit: the account's, or without right keys that of
/// failed authentications from the client's address (CONTRACT A-26).
fn with_account(answer: Answer, quota: Option<Quota>, owner: Option<RequestOwner>) -> Response {
    let mut response = answer.into_response();
    add_quota_headers(response.headers_mut(), policy_of(owner), quota);
    if let Some(owner) = owner {
        response.extensions_mut().insert(owner);
    }
    response
}

const fn policy_of(owner: Option<RequestOwner>) -> &'static str {
    match owner {
        Some(_) => answer::CALLS,
        None => answer::FAILED_AUTHENTICATIONS,
    }
}

/// The value of a key's header; `None` if it is missing or empty. A value that is not text, or that
/// was sent twice with different values, is read as the empty key, which no account has.
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
    fn a_key_that_is_sent_twice_with_two_values_is_invalid() {
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
    fn a_bearer_prefix_is_removed() {
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
