//! The guard before every page: who asks, whether the form is ours, whether the act is allowed.
//!
//! Invariants: a POST needs the token of its browser's cookie and must not come from another site;
//! an act that is not everybody's needs a session of the area's own audience; whoever may not gets
//! the same answer whatever the page would have been.

use crate::area::AreaKind;
use crate::frame;
use crate::people;
use crate::site::{Served, Site};
use crate::view::{Known, Problem, View, go, keep};
use crate::words::{Language, Words};
use axum::body::{Body, Bytes};
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, USER_AGENT,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::acts::{grant, rule};
use domain::{Act, Environment, Grant, Holder};
use engine::{Audience, KeptForm, PersonSession};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::sync::Arc;

/// A route with what the guard needs to know of it.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) site: Site,
    pub(crate) area: AreaKind,
    pub(crate) act: Act,
    pub(crate) environment: Option<Environment>,
}

/// A form's body: what the edge takes at most.
const BODY_BYTES: usize = 64 * 1024;
/// A browser's own name, as far as it is kept.
const AGENT_CHARS: usize = 200;
/// The characters of the cookie that binds a form to its browser.
const FORM_COOKIE_CHARS: usize = 24;

/// A browser is known for 90 days, as the engine knows devices.
const BROWSER_KNOWN_S: u32 = 90 * 24 * 3600;

/// How the cookies of an area are called and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie {
    pub(crate) audience: Audience,
    pub(crate) served: Served,
}

impl Cookie {
    /// The name of a cookie, by the one word that tells it from the area's others; empty: the
    /// session's.
    pub(crate) fn name(self, which: &str) -> String {
        let prefix = if self.served == Served::Https { "__Host-" } else { "" };
        let joint = if which.is_empty() { "" } else { "-" };
        format!("{prefix}{}{joint}{which}", self.audience.code())
    }

    /// The header that sets it until the browser closes.
    pub(crate) fn set(self, which: &str, value: &str) -> String {
        let secure = if self.served == Served::Https { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}", self.name(which))
    }

    /// The header that sets it for as long as a browser is known.
    pub(crate) fn set_long(self, which: &str, value: &str) -> String {
        format!("{}; Max-Age={BROWSER_KNOWN_S}", self.set(which, value))
    }

    /// The header that removes it.
    pub(crate) fn remove(self, which: &str) -> String {
        format!("{}; Max-Age=0", self.set(which, ""))
    }

    pub(crate) fn read(self, headers: &HeaderMap, which: &str) -> Option<String> {
        read_cookie(headers, &self.name(which))
    }
}

/// A cookie's value; the first of its name counts.
pub(crate) fn read_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The fields of every form that the guard reads.
#[derive(Default, Deserialize)]
struct GuardFields {
    #[serde(default)]
    csrf: String,
}

/// Lets a request through to its handler, or answers why not.
pub(crate) async fn guard(
    State(guarded): State<Guarded>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let host = text(headers, HOST.as_str());
    let served = guarded.site.served(host);
    let audience = match guarded.area {
        AreaKind::Public | AreaKind::Dashboard => Audience::Dashboard,
        AreaKind::Admin => Audience::Admin,
    };
    let cookie = Cookie { audience, served };
    let session = match session_of(&guarded.site, cookie, headers) {
        Ok(session) => session,
        Err(problem) => return problem.into_response(),
    };
    let form_cookie = cookie.read(headers, "form").filter(|text| !text.is_empty());
    let (csrf, new_form_cookie) = match form_token(&guarded, session.as_ref(), form_cookie) {
        Ok(both) => both,
        Err(problem) => return problem.into_response(),
    };
    let is_needless = guarded.area == AreaKind::Public;
    let (parts, body) = request.into_parts();
    let known = Known {
        site: guarded.site.clone(),
        area: guarded.area,
        words: words_of(&parts.headers, session.as_ref()),
        theme: match read_cookie(&parts.headers, "theme").as_deref() {
            Some("light") => "light",
            Some("dark") => "dark",
            Some(_) | None => "",
        },
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        environment: guarded.environment,
        session,
        csrf,
        from: (guarded.site.settings.client_address)(&parts),
        agent: text(&parts.headers, USER_AGENT.as_str()).chars().take(AGENT_CHARS).collect(),
        device: cookie.read(&parts.headers, "device").unwrap_or_default(),
        step: cookie.read(&parts.headers, "step").unwrap_or_default(),
        is_safe: served != Served::Unsafe,
        session_cookie: cookie.read(&parts.headers, ""),
        cookie,
    };
    let view = View(Arc::new(known));
    request = Request::from_parts(parts, body);
    let response = match admit(&guarded, &view, request).await {
        Ok(mut admitted) => {
            admitted.extensions_mut().insert(view.clone());
            next.run(admitted).await
        }
        Err(refused) => refused,
    };
    let response = match response.extensions().get::<Problem>() {
        Some(problem) => frame::problem(&view, *problem),
        None => response,
    };
    let renewed = view.session.as_ref().and_then(|session| session.renewed.as_ref());
    let response = match renewed {
        Some(renewed) if !sets_session(&response, cookie) => {
            keep(response, &cookie.set("", &renewed.0))
        }
        Some(_) | None => response,
    };
    match new_form_cookie {
        Some(value) if !is_needless => keep(response, &cookie.set("form", &value)),
        Some(_) | None => response,
    }
}

/// Whether a response sets or removes the session's cookie itself.
fn sets_session(response: &Response, cookie: Cookie) -> bool {
    let name = format!("{}=", cookie.name(""));
    let set = response.headers().get_all(axum::http::header::SET_COOKIE);
    set.iter().any(|value| value.to_str().is_ok_and(|text| text.starts_with(&name)))
}

fn session_of(
    site: &Site,
    cookie: Cookie,
    headers: &HeaderMap,
) -> Result<Option<PersonSession>, Problem> {
    if cookie.served == Served::Unsafe {
        return Ok(None);
    }
    let Some(value) = cookie.read(headers, "") else { return Ok(None) };
    Ok(site.engine.person_session(cookie.audience, &value)?)
}

/// The token of this browser's forms, and the cookie that it is derived from if it is new. The
/// session's token is derived from the session.
fn form_token(
    guarded: &Guarded,
    session: Option<&PersonSession>,
    form_cookie: Option<String>,
) -> Result<(String, Option<String>), Problem> {
    let engine = &guarded.site.engine;
    if let Some(session) = session {
        return Ok((engine.form_token(&format!("session {}", session.session)), None));
    }
    if let Some(value) = form_cookie {
        return Ok((engine.form_token(&format!("browser {value}")), None));
    }
    if guarded.area == AreaKind::Public {
        return Ok((String::new(), None));
    }
    let value = engine.random_text(FORM_COOKIE_CHARS).map_err(|_| Problem::Unavailable)?;
    Ok((engine.form_token(&format!("browser {value}")), Some(value)))
}

async fn admit(guarded: &Guarded, view: &View, request: Request) -> Result<Request, Response> {
    let is_post = request.method() == Method::POST;
    if is_post && !is_same_origin(request.headers(), view) {
        return Err(Problem::FormRefused.into_response());
    }
    let is_public = grant(guarded.act, Holder::Anybody, Environment::Live) == Grant::Yes;
    if !is_public {
        let Some(session) = &view.session else { return Err(log_in_first(view, &request)) };
        // Outside the environments: live, unless the act is one of the sandbox alone.
        let last = rule(guarded.act).environments.last().copied().unwrap_or(Environment::Live);
        let environment = guarded.environment.unwrap_or(last);
        let is_own = guarded.act == Act::ManageOwnLogin;
        let needs_factor = guarded.area == AreaKind::Admin
            && guarded.site.settings.staff_need_factor
            && !session.has_second_factor;
        if needs_factor && !is_own {
            return Err(go(&format!("{}?said=factor-first", view.at("/security"))));
        }
        match grant(guarded.act, session.holder, environment) {
            Grant::Yes | Grant::Masked => {}
            Grant::StepUp if session.is_proved => {}
            Grant::StepUp if is_post => {
                // Only our own form waits for a password.
                let request = check_token(view, request).await?;
                return Err(keep_and_prove(view, session, request).await);
            }
            Grant::StepUp => return Err(go(&format!("{}?next={}", view.at("/prove"), view.path))),
            Grant::No | Grant::TwoPeople => return Err(Problem::NotAllowed.into_response()),
        }
    }
    if !is_post {
        return Ok(request);
    }
    check_token(view, request).await
}

/// Reads the whole body, so that the form's token is known before the handler runs.
async fn check_token(view: &View, request: Request) -> Result<Request, Response> {
    let refused = |problem: Problem| problem.into_response();
    let (parts, body) = request.into_parts();
    let limited = http_body_util::Limited::new(body, BODY_BYTES);
    let body: Bytes = match limited.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return Err(refused(Problem::Unreadable)),
    };
    let sent = match parts.headers.get("x-csrf").and_then(|value| value.to_str().ok()) {
        Some(sent) => sent.to_owned(),
        None => csrf_field(&parts.headers, body.clone()).await,
    };
    if view.csrf.is_empty() || !is_equal(&sent, &view.csrf) {
        return Err(refused(Problem::FormRefused));
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn csrf_field(headers: &HeaderMap, body: Bytes) -> String {
    let mut request = Request::builder().method(Method::POST);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let Ok(request) = request.body(Body::from(body)) else { return String::new() };
    let read = Form::<GuardFields>::from_request(request, &()).await;
    read.map_or(String::new(), |Form(fields)| fields.csrf)
}

/// In a time that does not say where they differ.
fn is_equal(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differs == 0
}

/// Whether a POST comes from our own pages. A client that is no browser sends neither header, and
/// has no cookies that somebody else could make it send.
fn is_same_origin(headers: &HeaderMap, view: &View) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or("");
    let host = text(headers, HOST.as_str());
    let own = match view.cookie.served {
        Served::Https => view.site.settings.base_url.clone(),
        Served::Loopback | Served::Unsafe => format!("http://{host}"),
    };
    origin == own
}

/// Nobody is logged in. A link from another site comes without a Strict cookie: a page that only
/// loads itself again brings it.
fn log_in_first(view: &View, request: &Request) -> Response {
    let headers = request.headers();
    let is_get = request.method() == Method::GET;
    let comes_from_elsewhere = text(headers, "sec-fetch-site") == "cross-site"
        && text(headers, "sec-fetch-mode") == "navigate";
    if is_get && comes_from_elsewhere {
        return frame::again(view);
    }
    if headers.contains_key("x-part") || headers.contains_key(AUTHORIZATION) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let next = if is_get { view.path.as_str() } else { "" };
    go(&format!("{}?next={next}", view.at("/log-in")))
}

/// The act needs a second factor that was shown a moment ago: asks for it, and keeps the form.
async fn keep_and_prove(view: &View, session: &PersonSession, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // It was read whole a moment ago.
    let Ok(body) = body.collect().await else { return Problem::Unreadable.into_response() };
    let path = parts.uri.path_and_query().map_or(view.path.as_str(), |path| path.as_str());
    let form = KeptForm {
        path: path.to_owned(),
        content_type: text(&parts.headers, CONTENT_TYPE.as_str()).to_owned(),
        body: body.to_bytes().to_vec(),
    };
    // A form's target has no page of its own: the page that it is below has.
    let next = match view.path.strip_prefix(&view.at("/people/")) {
        Some(_) => view.at("/people"),
        None => view.path.clone(),
    };
    people::ask(view, session, &form, next)
}

fn words_of(headers: &HeaderMap, session: Option<&PersonSession>) -> Words {
    let chosen = read_cookie(headers, "language").and_then(|code| Language::of(&code));
    let own = || session.and_then(|session| Language::of(&session.language));
    let accepted = || Language::accepted(text(headers, ACCEPT_LANGUAGE.as_str()));
    Words { language: chosen.or_else(own).unwrap_or_else(accepted) }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
