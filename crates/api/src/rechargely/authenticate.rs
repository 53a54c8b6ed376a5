//! The door: what the headers say, who calls, and the headers that each answer carries.
//!
//! Order: headers that contradict themselves and the channel (400), the token (401), the rate
//! (429), then fields. Invariant: nothing about its fields is told to a stranger, and no password,
//! token or code is ever logged.

use super::Face;
use super::headers::{self, Channel};
use super::refusals::{self, No};
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
pub(super) struct Visitor {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub from: IpAddr,
    channel: Channel,
    quota: Option<Quota>,
}

/// Somebody who needs no access token.
#[derive(Debug)]
pub(super) struct Stranger {
    /// From where.
    pub from: IpAddr,
    channel: Channel,
}

impl FromRequestParts<Face> for Stranger {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Stranger, Response> {
        let channel = headers::agree(&parts.headers)
            .and_then(|()| headers::channel(&parts.headers))
            .map_err(|no| responded(refusals::answer(&no)))?;
        let from = address::of(parts, &face.settings.trusted_proxies);
        Ok(Stranger { from, channel })
    }
}

impl FromRequestParts<Face> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Visitor, Response> {
        let Stranger { from, channel } = Stranger::from_request_parts(parts, face).await?;
        let token = headers::token(&parts.headers);
        let visit = face.engine.enter_with_token(token).await;
        let quota = visit.quota;
        visit.caller.map(|caller| Visitor { caller, from, channel, quota }).map_err(|refusal| {
            tracing::info!(code = refusal.code(), %from, "not let in");
            let mut response = responded(refusals::answer(&No::Refusal(refusal)));
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
        let answer = work::answered(work, span, No::Broken, refusals::answer).await;
        let mut response = responded(answer);
        if let Some(quota) = self.quota {
            add_quota(response.headers_mut(), quota);
        }
        add_simulated(response.headers_mut(), &face.engine, environment);
        response
    }
}

impl Stranger {
    /// Does the work within a span of the log, and dresses its answer. `route` names the work.
    pub(super) async fn serve(
        self,
        face: &Face,
        route: &'static str,
        work: impl Future<Output = Result<Answer, No>>,
    ) -> Response {
        let span = self.span(route);
        let answer = work::answered(work, span, No::Broken, refusals::answer).await;
        let mut response = responded(answer);
        // Whoever is not logged in looks at what is sold live.
        add_simulated(response.headers_mut(), &face.engine, Environment::Live);
        response
    }

    /// As [`Stranger::serve`], counted against the searches of its address.
    pub(super) async fn search(
        self,
        face: &Face,
        work: impl Future<Output = Result<Answer, No>>,
    ) -> Response {
        let quota = match face.engine.may_search(self.from) {
            Ok(quota) => quota,
            Err(refusal) => return responded(refusals::answer(&No::Refusal(refusal))),
        };
        let mut response = self.serve(face, "search", work).await;
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
