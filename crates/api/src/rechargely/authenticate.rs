//! The door: what the headers say, who calls, and the headers that each answer carries.
//!
//! Order: headers that contradict themselves and the channel (400), the token (401), the rate
//! (429), then fields. Invariant: nothing about its fields is told to a stranger, and no password,
//! token or code is ever logged.

use super::ApiState;
use super::headers::{self, Channel};
use super::refusals::{self, ApiError};
use crate::extract::answer::{Answer, add_quota, add_simulated};
use crate::extract::{address, work};
use axum::extract::FromRequestParts;
use axum::response::Response;
use domain::Environment;
use engine::{Caller, Quota};
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use std::net::IpAddr;
use tracing::{Span, field, info_span};

/// A customer who was let in with an access token.
#[derive(Debug)]
pub(super) struct Authenticated {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub from: IpAddr,
    channel: Channel,
    quota: Option<Quota>,
}

/// Somebody who needs no access token.
#[derive(Debug)]
pub(super) struct Anonymous {
    /// From where.
    pub from: IpAddr,
    channel: Channel,
}

impl FromRequestParts<ApiState> for Anonymous {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Anonymous, Response> {
        let channel = headers::agree(&parts.headers)
            .and_then(|()| headers::channel(&parts.headers))
            .map_err(|no| responded(refusals::answer(&no)))?;
        let from = address::of(parts, &api.settings.trusted_proxies);
        Ok(Anonymous { from, channel })
    }
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &ApiState,
    ) -> Result<Authenticated, Response> {
        let Anonymous { from, channel } = Anonymous::from_request_parts(parts, api).await?;
        let token = headers::token(&parts.headers);
        let access = api.engine.authenticate_token(token).await;
        let quota = access.quota;
        access.caller.map(|caller| Authenticated { caller, from, channel, quota }).map_err(
            |refusal| {
                tracing::info!(code = refusal.code(), %from, "not let in");
                let mut response = responded(refusals::answer(&ApiError::Refusal(refusal)));
                if let Some(quota) = quota {
                    add_quota(response.headers_mut(), quota);
                }
                response
            },
        )
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
        let Caller { account, environment, key: _, session, plan: _ } = self.caller;
        let span = info_span!(
            "rechargely",
            route,
            channel = self.channel.word(),
            account = account.0,
            environment = environment.code(),
            session = session.map(|s| s.0),
            number = field::Empty,
        );
        let answer = work::answered(work, span, ApiError::InternalError, refusals::answer).await;
        let mut response = responded(answer);
        if let Some(quota) = self.quota {
            add_quota(response.headers_mut(), quota);
        }
        add_simulated(response.headers_mut(), &api.engine, environment);
        response
    }
}

impl Anonymous {
    /// Does the work within a span of the log, and dresses its answer. `route` names the work.
    pub(super) async fn serve(
        self,
        api: &ApiState,
        route: &'static str,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let span = self.span(route);
        let answer = work::answered(work, span, ApiError::InternalError, refusals::answer).await;
        let mut response = responded(answer);
        // Whoever is not logged in looks at what is sold live.
        add_simulated(response.headers_mut(), &api.engine, Environment::Live);
        response
    }

    /// As [`Anonymous::serve`], counted against the searches of its address.
    pub(super) async fn search(
        self,
        api: &ApiState,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let quota = match api.engine.may_search(self.from) {
            Ok(quota) => quota,
            Err(refusal) => return responded(refusals::answer(&ApiError::Refusal(refusal))),
        };
        let mut response = self.serve(api, "search", work).await;
        add_quota(response.headers_mut(), quota);
        response
    }

    fn span(&self, route: &'static str) -> Span {
        info_span!("rechargely", route, channel = self.channel.word(), from = %self.from)
    }
}

/// As HTTP; whoever must log in (again) is told how (RFC 9110, 15.5.2).
fn responded(answer: Answer) -> Response {
    let mut response = answer.respond();
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    response
}
