//! What a handler knows of its request, and what it answers with: a page, a redirect, a problem.
//!
//! Invariant: a handler renders only through its view, so each page has the frame and its headers.

use crate::area::AreaKind;
use crate::frame;
use crate::guard::Cookie;
use crate::parts::{Markup, Zone};
use crate::site::Site;
use crate::words::Words;
use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::refusal::{NotPossible, StoreRefused};
use domain::{Currency, Environment, Permitted};
use engine::{Caller, Permit, PersonSession};
use std::net::IpAddr;
use std::sync::Arc;

/// A request to a page, as the guard let it through.
#[derive(Clone)]
pub(crate) struct View(pub(crate) Arc<Known>);

/// What is known of a request.
pub(crate) struct Known {
    pub(crate) site: Site,
    pub(crate) area: AreaKind,
    pub(crate) words: Words,
    /// `light`, `dark`, or empty: as the browser likes it.
    pub(crate) theme: &'static str,
    /// The path, and the query if there is one.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) environment: Option<Environment>,
    /// Who is logged in; always somebody where the act is not everybody's.
    pub(crate) session: Option<PersonSession>,
    /// The token for the forms of the page; empty where there is none.
    pub(crate) csrf: String,
    pub(crate) from: IpAddr,
    pub(crate) agent: String,
    /// What the browser keeps to be known again; may be empty.
    pub(crate) device: String,
    /// The ticket between the password and the second factor; may be empty.
    pub(crate) step: String,
    /// By https or on a loopback address: somebody can log in.
    pub(crate) is_safe: bool,
    /// How cookies are called and kept here.
    pub(crate) cookie: Cookie,
    /// The session's cookie as it came.
    pub(crate) session_cookie: Option<String>,
}

impl std::ops::Deref for View {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<View, Problem> {
        parts.extensions.get::<View>().cloned().ok_or(Problem::Unavailable)
    }
}

/// Who is logged in, for handlers of pages that need somebody.
#[derive(Clone)]
pub(crate) struct Session(pub(crate) PersonSession);

impl std::ops::Deref for Session {
    type Target = PersonSession;

    fn deref(&self) -> &PersonSession {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Session, Problem> {
        let view = parts.extensions.get::<View>().ok_or(Problem::Unavailable)?;
        view.session.clone().map(Session).ok_or(Problem::NotAllowed)
    }
}

/// The one-time right to what the route's act is, for the handler to hand to the engine.
pub(crate) struct Allowed<A>(pub(crate) Permit<A>);

impl<S: Sync, A: Permitted> FromRequestParts<S> for Allowed<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Allowed<A>, Problem> {
        let view = parts.extensions.get::<View>().ok_or(Problem::Unavailable)?;
        Ok(Allowed(view.permit()?))
    }
}

/// Why there is no page; the guard renders it in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// There is nothing of this name, or it is somebody else's.
    NotFound,
    /// Not for this role.
    NotAllowed,
    /// The form is not from our own page, or is too old.
    FormRefused,
    /// Too many of these at once.
    TooMany {
        /// Seconds until it may be tried again.
        retry_after_s: u64,
    },
    /// The store does not answer.
    Unavailable,
    /// The request cannot be read.
    Unreadable,
}

impl Problem {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::NotAllowed | Problem::FormRefused => StatusCode::FORBIDDEN,
            Problem::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Unreadable => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreRefused> for Problem {
    fn from(_: StoreRefused) -> Problem {
        Problem::Unavailable
    }
}

impl From<NotPossible> for Problem {
    fn from(_: NotPossible) -> Problem {
        Problem::NotAllowed
    }
}

impl Known {
    /// The caller that whoever is logged in is, in the page's environment; the sandbox elsewhere.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let environment = self.environment.unwrap_or(Environment::Sandbox);
        self.session.as_ref().map(|session| session.caller(environment))
    }

    /// The right to do an act once: of whoever is logged in, else of anybody.
    pub(crate) fn permit<A: Permitted>(&self) -> Result<Permit<A>, Problem> {
        match self.caller() {
            Some(caller) => Ok(self.site.engine.permit(&caller)?),
            None => Ok(self.site.engine.permit_anybody()?),
        }
    }

    /// Whether the session that this request came with is still open.
    pub(crate) fn still_logged_in(&self) -> bool {
        let Some(cookie) = &self.session_cookie else { return false };
        let read = self.site.engine.person_session(self.cookie.audience, cookie);
        // A store that does not answer ends no session.
        read.map_or(true, |session| session.is_some())
    }

    /// The zone of the country of these currencies; without one, that of the installation's first
    /// country.
    pub(crate) fn zone_of(&self, currencies: &[Currency]) -> Zone {
        let catalog = self.site.engine.catalog();
        let country = catalog.countries.iter().find(|c| currencies.contains(&c.currency));
        let country = country.or(catalog.countries.first());
        country.map_or(Zone::UTC, |country| Zone::of_country(&country.code))
    }

    /// The zone of whoever is logged in: that of the country whose currency their account has.
    pub(crate) fn own_zone(&self) -> Result<Zone, Problem> {
        let Some(session) = &self.session else { return Ok(self.zone_of(&[])) };
        Ok(self.zone_of(&self.site.engine.wallet_currencies(session.account)?))
    }

    /// An address in this area: `/keys` is `/dashboard/keys`.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.area.prefix())
    }

    /// An address in this area and environment: `/keys` is `/dashboard/sandbox/keys`.
    pub(crate) fn here(&self, path: &str) -> String {
        let environment = self.environment.unwrap_or(Environment::Sandbox);
        format!("{}/{}{path}", self.area.prefix(), environment.code())
    }

    /// The page with this title and body.
    pub(crate) fn page(&self, title: &str, body: &impl Template) -> Response {
        self.page_with(StatusCode::OK, title, body)
    }

    /// The same page with wrong fields: 422, and the title says so.
    pub(crate) fn wrong(&self, title: &str, body: &impl Template) -> Response {
        let title = format!("{} {title}", self.words.t("error.title"));
        self.page_with(StatusCode::UNPROCESSABLE_ENTITY, &title, body)
    }

    pub(crate) fn page_with(
        &self,
        status: StatusCode,
        title: &str,
        body: &impl Template,
    ) -> Response {
        frame::render(self, status, title, &Markup::of(body))
    }

    /// A part of a page alone, for a script that asked for it (`X-Part`).
    pub(crate) fn part(&self, body: &impl Template) -> Response {
        frame::headers(self, StatusCode::OK, Markup::of(body).0)
    }
}

/// Done: look there now (303). `said` is the end of a word's key `said.…` that the next page says.
pub(crate) fn done(to: &str, said: &str) -> Response {
    let joint = if to.contains('?') { '&' } else { '?' };
    match said {
        "" => go(to),
        said => go(&format!("{to}{joint}said={said}")),
    }
}

/// Look there now (303).
pub(crate) fn go(to: &str) -> Response {
    let mut headers = HeaderMap::new();
    // An address of ours; one that cannot be a header leads to the start.
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, to);
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Adds a cookie to a response.
pub(crate) fn keep(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}
