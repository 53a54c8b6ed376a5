//! One's own login: second factor, password, sessions.
//!
//! Invariant: what changes the way in asks for the password.

use super::form::Wrong;
use super::prove::wrong_of;
use crate::parts::{
    Button, Cell, Column, ErrorSummary, Field, Markup, Row, Secret, Table, Zone, time_tag,
};
use crate::view::{Allowed, Problem, Session, View, done, go};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use domain::refusal::{PasswordRefused, ResetRefused};
use domain::{SessionId, act};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct PasswordFields {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
}

#[derive(Default, Deserialize)]
pub(super) struct CodeField {
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(path = "people/security.html")]
struct Security<'a> {
    words: Words,
    summary: ErrorSummary,
    csrf: &'a str,
    base: String,
    /// How it stands with the second factor, and the form that changes that.
    factor: String,
    factor_action: String,
    factor_password: Field,
    factor_button: Button,
    current: Field,
    password: Field,
    change: Button,
    sessions: Table,
}

#[derive(Template)]
#[template(path = "people/factor.html")]
struct Factor<'a> {
    words: Words,
    summary: ErrorSummary,
    csrf: &'a str,
    action: String,
    picture: String,
    secret: Secret,
    code: Field,
    button: Button,
}

#[derive(Template)]
#[template(path = "people/recovery.html")]
struct Recovery {
    words: Words,
    codes: String,
    copy: crate::parts::show::Copy,
    base: String,
}

#[derive(Template)]
#[template(
    source = "<form method=\"post\" action=\"{{ action }}\"><input type=\"hidden\" name=\"csrf\" \
              value=\"{{ csrf }}\">{{ button }}</form>",
    ext = "html"
)]
struct OneButton<'a> {
    action: String,
    csrf: &'a str,
    button: Button,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    page(&view, &session, &Wrong::default())
}

pub(super) async fn add_factor(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<PasswordFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    let offered = engine.offer_factor(permit, &caller, &fields.password, view.from).await;
    or_page(&view, &session, offered, |_| go(&view.at("/security/factor")))
}

pub(super) async fn show_factor(view: View) -> Result<Response, Problem> {
    factor_page(&view, &Wrong::default())
}

/// The picture for apps. It is a secret of whoever is logged in, so it is stored nowhere.
pub(super) async fn picture(view: View) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let offer = view.site.engine.offered_factor(&caller).map_err(|_| Problem::Unavailable)?;
    let offer = offer.ok_or(Problem::NotFound)?;
    let code = QrCode::new(offer.url.as_bytes()).map_err(|_| Problem::Unavailable)?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-store")];
    Ok((headers, drawn).into_response())
}

pub(super) async fn confirm_factor(
    view: View,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<CodeField>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    match engine.confirm_factor(permit, &caller, &fields.code, view.from).await {
        Ok(codes) => {
            let words = view.words;
            let page = Recovery {
                words,
                codes: codes.join("\n"),
                copy: crate::parts::show::Copy::new(words, "codes", words.t("factor.codes")),
                base: view.at(""),
            };
            Ok(view.page(words.t("factor.done"), &page))
        }
        Err(ResetRefused::CodeInvalid(_) | ResetRefused::Invalid(_)) => {
            factor_page(&view, &Wrong::whole("log-in.code-failed"))
        }
        Err(ResetRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(ResetRefused::Unavailable(_) | ResetRefused::Uncertain(_)) => Err(Problem::Unavailable),
    }
}

pub(super) async fn remove_factor(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<PasswordFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    let removed = engine.remove_factor(permit, &caller, &fields.password, view.from).await;
    or_page(&view, &session, removed, |()| done(&view.at("/security"), "factor-removed"))
}

pub(super) async fn set_password(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<PasswordFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let PasswordFields { current, password } = &fields;
    let engine = &view.site.engine;
    let changed = engine.change_password(permit, &caller, current, password, view.from).await;
    // Every session has ended, this one too.
    or_page(&view, &session, changed, |()| done(&view.at("/log-in"), "password-set"))
}

pub(super) async fn end_session(
    view: View,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    view.site.engine.end_own_session(permit, &caller, SessionId(id)).await?;
    Ok(done(&view.at("/security"), "session-ended"))
}

/// What follows an act that asked for the password, or the page with what was wrong.
fn or_page<T>(
    view: &View,
    session: &Session,
    outcome: Result<T, PasswordRefused>,
    then: impl FnOnce(T) -> Response,
) -> Result<Response, Problem> {
    match outcome {
        Ok(given) => Ok(then(given)),
        Err(refused) => page(view, session, &wrong_of(refused, "security.password-wrong")?),
    }
}

fn factor_page(view: &View, wrong: &Wrong) -> Result<Response, Problem> {
    let words = view.words;
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let offer = view.site.engine.offered_factor(&caller).map_err(|_| Problem::Unavailable)?;
    let Some(offer) = offer else { return Ok(go(&view.at("/security"))) };
    let page = Factor {
        words,
        summary: wrong.summary(view, &[]),
        csrf: &view.csrf,
        action: view.at("/security/factor/code"),
        picture: view.at("/security/factor.svg"),
        secret: Secret::shown(words, "factor", words.t("factor.secret"), &offer.secret),
        code: Field::code("code", words.t("log-in.code")).inputmode("numeric"),
        button: Button::main(words, words.t("factor.confirm")),
    };
    let title = words.t("security.factor");
    Ok(if page.summary.is_empty() { view.page(title, &page) } else { view.wrong(title, &page) })
}

fn page(view: &View, session: &Session, wrong: &Wrong) -> Result<Response, Problem> {
    let words = view.words;
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let engine = &view.site.engine;
    let own = |name, label| Field::password(name, label, "current-password");
    let password = Field::password("password", words.t("reset.password"), "new-password")
        .hint(words.t("sign-up.password-hint"));
    let password = wrong.mark(view, password);
    let (factor, path, factor_button) = if session.has_second_factor {
        let left = engine.recovery_left(&caller).map_err(|_| Problem::Unavailable)?;
        let left = words.count("security.recovery-left", u64::try_from(left).unwrap_or(0));
        let remove = Button::danger(words, words.t("security.factor-remove"));
        (format!("{} {left}", words.t("security.factor-on")), "/security/factor/remove", remove)
    } else {
        let add = Button::other(words, words.t("security.factor-add"));
        (words.t("security.factor-off").to_owned(), "/security/factor", add)
    };
    let page = Security {
        words,
        summary: wrong.summary(view, &[&password]),
        csrf: &view.csrf,
        base: view.at("/security"),
        factor,
        factor_action: view.at(path),
        factor_password: own("password", words.t("log-in.password")),
        factor_button,
        current: own("current", words.t("security.current")),
        password,
        change: Button::other(words, words.t("security.password-set")),
        sessions: sessions(view, session, &engine.own_sessions(&caller)?, view.own_zone()?),
    };
    let title = words.t("frame.security");
    Ok(if page.summary.is_empty() { view.page(title, &page) } else { view.wrong(title, &page) })
}

fn sessions(view: &View, session: &Session, open: &[engine::ListedSession], zone: Zone) -> Table {
    let words = view.words;
    let columns = vec![
        Column::new(words.t("security.browser")),
        Column::new(words.t("security.address")),
        Column::new(words.t("security.since")),
        Column::new(words.t("security.end")),
    ];
    let row = |one: &engine::ListedSession| {
        let button = Button::danger(words, words.t("security.end-button"));
        let action = view.at(&format!("/security/sessions/{}/end", one.id));
        let end = match one.id == session.session {
            true => Cell::text(words.t("security.this")),
            false => Cell::Part(Markup::of(&OneButton { action, csrf: &view.csrf, button })),
        };
        Row(vec![
            Cell::text(browser_name(&one.agent)),
            Cell::Code(one.address.clone()),
            Cell::Part(time_tag(words, one.opened_at, zone)),
            end,
        ])
    };
    let caption = words.with("security.sessions", &[("zone", &zone.name)]);
    Table::new(words, &caption, columns).rows(open.iter().map(row).collect())
}

/// A browser by the names that its users know: `Chrome, Windows`. What says neither is shown as it
/// named itself.
fn browser_name(agent: &str) -> String {
    // In this order: most browsers name others as well.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let named = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.is_empty() => "–".to_owned(),
        (None, None) => agent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser_name;

    #[test]
    fn browsers_have_names() {
        let chrome = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/131.0.0.0 Mobile Safari/537.36";
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
        for (agent, name) in [
            (chrome, "Chrome, Android"),
            (&chrome.replace("Mobile", "Edg/131.0"), "Edge, Android"),
            (iphone, "Safari, iPhone"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Firefox/132.0", "Firefox, Linux"),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "–"),
        ] {
            assert_eq!(browser_name(agent), name, "{agent}");
        }
    }
}
