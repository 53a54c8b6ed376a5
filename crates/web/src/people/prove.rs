//! Step-up: the second factor once more (without one: the password), before what asks for it.
//!
//! A form that asks for it waits sealed in the page and then goes on, through every check anew.

use super::form::{FormPage, Wrong};
use super::log_in::{Next, next_of};
use crate::parts::Field;
use crate::view::{Allowed, Problem, Session, View, done, go};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Form, Query};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request};
use axum::response::Response;
use domain::act;
use domain::refusal::PasswordRefused;
use engine::{KeptForm, PersonSession};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt as _;

/// The pages themselves, for a form that goes on after a password or code.
#[derive(Clone)]
pub(crate) struct Pages(pub(crate) Arc<Router>);

/// A form that is longer is not kept: with its seal it would pass what a form may have.
const KEPT_BYTES: usize = 40 * 1024;

#[derive(Default, Deserialize)]
pub(super) struct ProveFields {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    next: String,
    /// The form that waits, sealed; empty: none does.
    #[serde(default)]
    kept: String,
}

pub(super) async fn show(view: View, session: Session, Query(asked): Query<Next>) -> Response {
    page(&view, &session, &Waiting::page(asked.next), &Wrong::default())
}

/// Asks for the password or code before a form; its fields wait sealed, so nothing is typed twice.
/// Without a body that can be kept, the page `next` is shown afterwards.
pub(crate) fn ask(view: &View, session: &PersonSession, form: &KeptForm, next: String) -> Response {
    let engine = &view.site.engine;
    let kept = match form.body.len() <= KEPT_BYTES {
        true => engine.keep_form(session.session, form).unwrap_or_default(),
        false => String::new(),
    };
    page(view, &Session(session.clone()), &Waiting { next, kept }, &Wrong::default())
}

pub(super) async fn enter(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    pages: Option<Extension<Pages>>,
    parts: Parts,
    Form(fields): Form<ProveFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    let ProveFields { secret, next, kept } = fields;
    if let Err(refused) = view.site.engine.prove(permit, &caller, &secret, view.from).await {
        let wrong = wrong_of(refused, "prove.failed")?;
        return Ok(page(&view, &session, &Waiting { next, kept }, &wrong));
    }
    let next = next_of(&view, &next);
    if kept.is_empty() {
        return Ok(go(&next));
    }
    let form = view.site.engine.kept_form(session.session, &kept);
    match (form, pages) {
        (Some(form), Some(Extension(pages))) => go_on(pages, parts, form).await,
        (None, _) | (_, None) => Ok(done(&next, "form-too-old")),
    }
}

/// Sends the form that waited, as it would have been sent, through every check.
async fn go_on(pages: Pages, parts: Parts, form: KeptForm) -> Result<Response, Problem> {
    let KeptForm { path, content_type, body } = form;
    let mut request = Request::builder().method(Method::POST).uri(path);
    if let Some(headers) = request.headers_mut() {
        *headers = parts.headers;
        headers.remove(CONTENT_LENGTH);
        if let Ok(kind) = HeaderValue::from_str(&content_type) {
            headers.insert(CONTENT_TYPE, kind);
        }
    }
    let mut request = request.body(Body::from(body)).map_err(|_| Problem::Unreadable)?;
    if let Some(from) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        request.extensions_mut().insert(*from);
    }
    let Ok(response) = Router::clone(&pages.0).oneshot(request).await;
    Ok(response)
}

/// What waits for the password or code.
struct Waiting {
    /// The page that is shown afterwards.
    next: String,
    /// A form, sealed; empty: none.
    kept: String,
}

impl Waiting {
    const fn page(next: String) -> Waiting {
        Waiting { next, kept: String::new() }
    }
}

/// What a page says of a wrong password or code.
pub(super) fn wrong_of(refused: PasswordRefused, failed: &'static str) -> Result<Wrong, Problem> {
    match refused {
        PasswordRefused::LogInFailed(_) => Ok(Wrong::whole(failed)),
        PasswordRefused::Invalid(wrong) => Ok(Wrong::fields(wrong.errors)),
        PasswordRefused::TokenInvalid(_) => Err(Problem::NotAllowed),
        PasswordRefused::TooFast(wait) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        PasswordRefused::Unavailable(_) | PasswordRefused::Uncertain(_) => {
            Err(Problem::Unavailable)
        }
    }
}

fn page(view: &View, session: &Session, waiting: &Waiting, wrong: &Wrong) -> Response {
    let words = view.words;
    let field = match session.has_second_factor {
        true => Field::code("secret", words.t("log-in.code")),
        false => Field::password("secret", words.t("log-in.password"), "current-password"),
    };
    let form =
        FormPage::new(view, words.t("prove.title"), &view.at("/prove"), words.t("prove.button"))
            .intro(words.t("prove.text"))
            .summary(wrong.summary(view, &[]))
            .hidden("next", &waiting.next)
            .field(&field.focused());
    match waiting.kept.is_empty() {
        true => form.show(view),
        false => form.intro(words.t("prove.kept")).hidden("kept", &waiting.kept).show(view),
    }
}
