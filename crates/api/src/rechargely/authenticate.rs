//! Authentication by access token, the channel, and the headers of every answer.
//!
//! Checks run in this order: contradictory headers and the channel (400), the token (401), the rate
//! (429), then the fields. Invariant: a caller without a valid token learns nothing about its
//! fields, and no password, token or code is ever logged.

use super::ApiState;
use super::headers::{self, Channel};
use super::refusals::{self, ApiError};
use crate::extract::answer::{self, Answer, add_quota_headers, add_simulated_header};
use crate::extract::{address, work};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use domain::Environment;
use engine::{Caller, Quota};
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use std::net::IpAddr;
use tracing::{Span, field, info_span};

/// A customer with a valid access token: the extractor of the routes that need one.
pub(super) struct Authenticated {
    /// The engine and the settings.
    pub api: ApiState,
    /// Account, environment and session.
    pub caller: Caller,
    /// The client's address.
    pub from: IpAddr,
    channel: Channel,
    quota: Option<Quota>,
}

/// A caller without an access token: the extractor of the public routes.
pub(super) struct Anonymous {
    /// The engine and the settings.
    pub api: ApiState,
    /// The client's address.
    pub from: IpAddr,
    channel: Channel,
}

impl FromRequestParts<ApiState> for Anonymous {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Response> {
        let from = address::of_client(parts, &api.settings);
        let channel = headers::check_duplicates(&parts.headers)
            .and_then(|()| headers::channel(&parts.headers))
            .map_err(|error| refuse(&error, from))?;
        Ok(Anonymous { api: api.clone(), from, channel })
    }
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, Response> {
        let Anonymous { api, from, channel } = Anonymous::from_request_parts(parts, api).await?;
        let token = headers::token(&parts.headers);
        let access = api.engine.authenticate_token(token).await;
        let quota = access.quota;
        access.caller.map(|caller| Authenticated { api, caller, from, channel, quota }).map_err(
            |refused| {
                let mut response = refuse(&ApiError::from(refused), from);
                add_quota_headers(response.headers_mut(), answer::CALLS, quota);
                response
            },
        )
    }
}

impl Authenticated {
    /// Runs the handler's `work` in a tracing span with this `route`, and adds the account's
    /// headers to its answer.
    pub(super) async fn respond(
        &self,
        route: &'static str,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let Caller { account, environment, session, .. } = self.caller;
        let span = || {
            info_span!(
                "rechargely",
                route,
                channel = self.channel.as_str(),
                account = account.0,
                environment = environment.code(),
                session = session.map(|s| s.0),
                number = field::Empty,
            )
        };
        let answer = work::answer(work, span, ApiError::internal(), refusals::answer).await;
        let mut response = to_response(answer);
        add_quota_headers(response.headers_mut(), answer::CALLS, self.quota);
        add_simulated_header(response.headers_mut(), &self.api.engine, environment);
        response
    }
}

impl Anonymous {
    /// Runs the handler's `work` in a tracing span with this `route`, and renders its answer.
    pub(super) async fn respond(
        &self,
        route: &'static str,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let span = || self.span(route);
        let answer = work::answer(work, span, ApiError::internal(), refusals::answer).await;
        if answer.status.is_client_error() {
            answer.count_refusal(self.from);
        }
        let mut response = to_response(answer);
        // A public route shows the live environment.
        add_simulated_header(response.headers_mut(), &self.api.engine, Environment::Live);
        response
    }

    /// As [`Anonymous::respond`], for the route `search`, whose calls are limited for each client
    /// address.
    pub(super) async fn respond_to_search(
        &self,
        work: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Response {
        let quota = match self.api.engine.may_search(self.from) {
            Ok(quota) => quota,
            Err(too_fast) => return refuse(&too_fast.into(), self.from),
        };
        let mut response = self.respond("search", work).await;
        add_quota_headers(response.headers_mut(), answer::CALLS, Some(quota));
        response
    }

    fn span(&self, route: &'static str) -> Span {
        info_span!("rechargely", route, channel = self.channel.as_str(), from = %self.from)
    }
}

fn refuse(error: &ApiError, from: IpAddr) -> Response {
    let answer = refusals::answer(error);
    answer.count_refusal(from);
    to_response(answer)
}

/// The response; a 401 has the header `WWW-Authenticate` (RFC 9110, 15.5.2).
fn to_response(answer: Answer) -> Response {
    let mut response = answer.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    response
}
