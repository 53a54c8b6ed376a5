//! The frame around every page: head, menu, environment bar, footer; and the headers of pages.
//!
//! Invariants: one frame, rendered once, around a body that is rendered already; no page loads
//! anything from another host, and its policy enforces that.

use crate::area::AreaKind;
use crate::parts::{Empty, Markup};
use crate::site::Served;
use crate::view::{Known, Problem, View, go, keep};
use crate::words::{Language, Words};
use crate::{admin, dashboard, docs};
use askama::Template;
use axum::extract::Query;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::acts::grant;
use domain::{Act, Environment, Grant};
use serde::Deserialize;

/// The policy of our pages (RELIABILITY K12): nothing inline, nothing from elsewhere.
pub(crate) const STRICT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                                 img-src 'self'; connect-src 'self'; form-action 'self'; \
                                 base-uri 'none'; object-src 'none'; frame-ancestors 'none'";
const PERMISSIONS: &str = "camera=(), clipboard-read=(), clipboard-write=(self), \
    display-capture=(), \
                           fullscreen=(), geolocation=(), microphone=(), payment=(), usb=()";
const HTML: &str = "text/html; charset=utf-8";
/// A year (ASVS V3.4.1).
const HTTPS_ONLY: &str = "max-age=31536000; includeSubDomains";

/// An entry of a menu.
pub(crate) struct MenuItem {
    pub(crate) href: String,
    pub(crate) label: String,
    pub(crate) is_current: bool,
}

impl MenuItem {
    /// An entry to `href`; current if the page is there or below.
    pub(crate) fn new(view: &Known, href: String, label: &str) -> MenuItem {
        let below = format!("{href}/");
        let is_current = view.path == href || view.path.starts_with(&below);
        MenuItem { href, label: label.to_owned(), is_current }
    }
}

struct PersonShown {
    name: String,
    email: String,
    account: String,
    security: String,
    /// Empty: not for this role.
    people: String,
    log_out: String,
}

struct Bar {
    code: &'static str,
    name: String,
    text: String,
    other: String,
    switch: String,
}

struct Choice {
    href: String,
    label: String,
    lang: &'static str,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    words: Words,
    lang: &'static str,
    theme: &'static str,
    title: &'a str,
    area: &'static str,
    home: String,
    is_public: bool,
    menu: Vec<MenuItem>,
    person: Option<PersonShown>,
    csrf: &'a str,
    bar: Option<Bar>,
    said: String,
    must_confirm: bool,
    body: &'a Markup,
    version: &'static str,
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(
    source = "<!doctype html>\n<html lang=\"{{ lang }}\"><head><meta charset=\"utf-8\">\
              <meta http-equiv=\"refresh\" content=\"0\"><title>Saldo</title></head>\
              <body><h1>Saldo</h1></body></html>\n",
    ext = "html"
)]
struct Again {
    lang: &'static str,
}

#[derive(Template)]
#[template(source = "<h1>{{ title }}</h1><p>{{ text }}</p>{{ act }}", ext = "html")]
struct ProblemPage<'a> {
    title: &'a str,
    text: &'a str,
    act: Empty,
}

/// The page as a response.
pub(crate) fn render(view: &Known, status: StatusCode, title: &str, body: &Markup) -> Response {
    let words = view.words;
    let frame = Frame {
        words,
        lang: words.language.code(),
        theme: view.theme,
        title,
        area: match view.area {
            AreaKind::Public => "public",
            AreaKind::Dashboard => "dashboard",
            AreaKind::Admin => "admin",
        },
        home: match (view.area, &view.session) {
            (AreaKind::Public, _) | (_, None) => "/".to_owned(),
            (AreaKind::Dashboard | AreaKind::Admin, Some(_)) => view.area.prefix().to_owned(),
        },
        is_public: view.area == AreaKind::Public,
        menu: match view.area {
            AreaKind::Public => docs::menu(view),
            AreaKind::Dashboard => dashboard::menu(view),
            AreaKind::Admin => admin::menu(view),
        },
        person: person(view),
        csrf: &view.csrf,
        bar: bar(view),
        said: said(view),
        must_confirm: must_confirm(view),
        body,
        version: env!("CARGO_PKG_VERSION"),
        choices: choices(view),
    };
    match frame.render() {
        Ok(html) => headers(view, status, html),
        Err(error) => {
            tracing::error!(target: "counted", code = %error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// HTML with the headers of pages.
pub(crate) fn headers(view: &Known, status: StatusCode, html: String) -> Response {
    // Whoever is logged in sees what is theirs; a form has a token.
    let is_open = view.area == AreaKind::Public && view.session.is_none();
    let caching = if is_open { "no-cache" } else { "no-store" };
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(CONTENT_TYPE, HTML),
        fixed(CACHE_CONTROL, caching),
        fixed(CONTENT_SECURITY_POLICY, STRICT),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(REFERRER_POLICY, "same-origin"),
        fixed(VARY, "cookie, accept-language"),
        fixed(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        fixed(HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    let mut response = (status, headers, html).into_response();
    if view.cookie.served == Served::Https {
        let value = HeaderValue::from_static(HTTPS_ONLY);
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// A page that only loads itself again: the second request brings a Strict cookie.
pub(crate) fn again(view: &Known) -> Response {
    let page = Markup::of(&Again { lang: view.words.language.code() });
    headers(view, StatusCode::OK, page.0)
}

/// Why there is no page, in the frame.
pub(crate) fn problem(view: &Known, problem: Problem) -> Response {
    let words = view.words;
    let (title, text) = match problem {
        Problem::NotFound => (words.t("problem.not-found"), words.t("problem.not-found-text")),
        Problem::NotAllowed => {
            (words.t("problem.not-allowed"), words.t("problem.not-allowed-text"))
        }
        Problem::FormRefused => (words.t("problem.form"), words.t("problem.form-text")),
        Problem::TooMany { .. } => (words.t("problem.too-many"), words.t("problem.too-many-text")),
        Problem::Unavailable => {
            (words.t("problem.unavailable"), words.t("problem.unavailable-text"))
        }
        Problem::Unreadable => (words.t("problem.unreadable"), words.t("problem.form-text")),
    };
    let start = if view.session.is_some() { view.area.prefix() } else { "/" };
    let act = Empty::act(start, words.t("problem.start"));
    let body = Markup::of(&ProblemPage { title, text, act });
    let mut response = render(view, problem.status(), title, &body);
    if let Problem::TooMany { retry_after_s } = problem {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
    }
    response
}

fn person(view: &Known) -> Option<PersonShown> {
    let session = view.session.as_ref()?;
    let base = if view.area == AreaKind::Admin { "/admin" } else { "/dashboard" };
    Some(PersonShown {
        name: session.name.clone().unwrap_or_else(|| session.email.clone()),
        email: session.email.clone(),
        account: session.account_name.clone(),
        security: format!("{base}/security"),
        people: match grant(Act::ManagePeople, session.holder, Environment::Live) {
            Grant::Yes | Grant::StepUp => format!("{base}/people"),
            Grant::No | Grant::Masked | Grant::TwoPeople => String::new(),
        },
        log_out: format!("{base}/log-out"),
    })
}

/// Whether to remind somebody of the mail with the code; not on the page where it is typed.
fn must_confirm(view: &Known) -> bool {
    let is_open = view.session.as_ref().is_some_and(|session| !session.is_confirmed);
    is_open && view.area == AreaKind::Dashboard && view.path != "/dashboard/confirm"
}

/// Which environment the page is in, and the way to the same page in the other one.
fn bar(view: &Known) -> Option<Bar> {
    let (words, environment) = (view.words, view.environment?);
    let other = match environment {
        Environment::Sandbox => Environment::Live,
        Environment::Live => Environment::Sandbox,
    };
    let (from, to) = (format!("/{}", environment.code()), format!("/{}", other.code()));
    let is_locked = view.session.as_ref().is_some_and(|session| !session.is_approved);
    let (name, text, switch) = match environment {
        Environment::Sandbox => {
            (words.t("sandbox.name"), words.t("sandbox.text"), words.t("sandbox.switch"))
        }
        Environment::Live if is_locked => {
            (words.t("live.name"), words.t("live.locked"), words.t("live.switch"))
        }
        Environment::Live => (words.t("live.name"), words.t("live.text"), words.t("live.switch")),
    };
    let prefix = view.area.prefix();
    let rest = view.path.strip_prefix(&format!("{prefix}{from}")).unwrap_or("");
    // A page of one thing exists in its own environment only.
    let rest = if rest.matches('/').count() > 1 { "" } else { rest };
    Some(Bar {
        code: environment.code(),
        name: name.to_owned(),
        text: text.to_owned(),
        other: format!("{prefix}{to}{rest}"),
        switch: switch.to_owned(),
    })
}

/// What the last POST has done, by `?said=KEY`: only words of the catalog can be said.
fn said(view: &Known) -> String {
    let mut pairs = view.query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, name)) = pairs.find(|(key, _)| *key == "said") else { return String::new() };
    let key = format!("said.{name}");
    let text = view.words.t(&key);
    if text == key { String::new() } else { text.to_owned() }
}

fn choices(view: &Known) -> Vec<Choice> {
    let here = &view.path;
    let language = |language: Language| Choice {
        href: format!("/preferences?language={}&next={here}", language.code()),
        label: language.name().to_owned(),
        lang: language.code(),
        is_current: language == view.words.language,
    };
    let theme = |code: &'static str, label: &str| Choice {
        href: format!("/preferences?theme={code}&next={here}"),
        label: label.to_owned(),
        lang: "",
        is_current: (if code == "auto" { "" } else { code }) == view.theme,
    };
    let words = view.words;
    let mut all: Vec<Choice> = Language::ALL.into_iter().map(language).collect();
    all.push(theme("light", words.t("frame.light")));
    all.push(theme("dark", words.t("frame.dark")));
    all.push(theme("auto", words.t("frame.auto")));
    all
}

/// The query of [`prefer`].
#[derive(Deserialize)]
pub(crate) struct Preferred {
    language: Option<String>,
    theme: Option<String>,
    next: Option<String>,
}

/// `GET /preferences`: keeps the reader's language and colours in cookies for a year.
pub(crate) async fn prefer(view: View, Query(asked): Query<Preferred>) -> Response {
    let mut response = go(&own_path(asked.next.as_deref()));
    let kept = "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax";
    if let Some(language) = asked.language.as_deref().and_then(Language::of) {
        response = keep(response, &format!("language={}; {kept}", language.code()));
    }
    if let Some(theme) = asked.theme.filter(|t| ["light", "dark", "auto"].contains(&t.as_str())) {
        response = keep(response, &format!("theme={theme}; {kept}"));
    }
    let _ = view;
    response
}

/// A path on this server that somebody sent us, so that nobody is led elsewhere; else the start.
pub(crate) fn own_path(sent: Option<&str>) -> String {
    let is_own = |path: &&str| {
        let mut bytes = path.bytes();
        let is_path = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
        is_path && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    sent.filter(is_own).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (sent, expected) in [
            ("/dashboard/keys?x=1", "/dashboard/keys?x=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("", "/"),
            ("/a\r\nSet-Cookie: x=1", "/"),
            ("/a b", "/"),
        ] {
            assert_eq!(own_path(Some(sent)), expected, "{sent:?}");
        }
        assert_eq!(own_path(None), "/");
    }
}
