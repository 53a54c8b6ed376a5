//! Log-in by address and password, then by a code where there is a second factor; and log-out.

use super::form::{FormPage, Wrong};
use crate::area::AreaKind;
use crate::frame::own_path;
use crate::parts::Field;
use crate::view::{Allowed, Problem, View, go, keep};
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::act;
use domain::refusal::LogInRefused;
use engine::{LogInStep, PersonCookie, PersonLogIn};
use serde::Deserialize;

/// Where to go after the log-in.
#[derive(Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Default, Deserialize)]
pub(super) struct LogInFields {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Default, Deserialize)]
pub(super) struct CodeFields {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(view: View, Query(asked): Query<Next>) -> Response {
    let fields = LogInFields { next: asked.next, ..LogInFields::default() };
    page(&view, &fields, &Wrong::default())
}

pub(super) async fn enter(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<LogInFields>,
) -> Result<Response, Problem> {
    if !view.is_safe {
        return Ok(page(&view, &fields, &Wrong::whole("log-in.unsafe")));
    }
    let (device, keep_device) = device(&view)?;
    let form = log_in_form(&view, &fields.email, &fields.password, &device);
    match view.site.engine.log_in_person(permit, form).await {
        Ok(LogInStep::LoggedIn(cookie)) => {
            Ok(keep(welcome(&view, &cookie, &fields.next), &keep_device))
        }
        Ok(LogInStep::NeedsCode(ticket)) => {
            let to =
                go(&format!("{}?next={}", view.at("/log-in/code"), next_of(&view, &fields.next)));
            Ok(keep(keep(to, &view.cookie.set("step", &ticket)), &keep_device))
        }
        Err(refused) => Ok(page(&view, &fields, &wrong_of(refused, "log-in.failed")?)),
    }
}

pub(super) async fn show_code(view: View, Query(asked): Query<Next>) -> Response {
    if view.step.is_empty() {
        return go(&view.at("/log-in"));
    }
    let fields = CodeFields { next: asked.next, ..CodeFields::default() };
    code_page(&view, &fields, &Wrong::default())
}

pub(super) async fn enter_code(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<CodeFields>,
) -> Result<Response, Problem> {
    let (device, keep_device) = device(&view)?;
    let form = log_in_form(&view, "", "", &device);
    match view.site.engine.log_in_by_code(permit, form, &view.step, &fields.code).await {
        Ok(cookie) => {
            let response = keep(welcome(&view, &cookie, &fields.next), &keep_device);
            Ok(keep(response, &view.cookie.remove("step")))
        }
        Err(refused) => Ok(code_page(&view, &fields, &wrong_of(refused, "log-in.code-failed")?)),
    }
}

pub(super) async fn leave(
    view: View,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    view.site.engine.log_out(permit, &caller).await.map_err(|_| Problem::Unavailable)?;
    Ok(keep(go("/"), &view.cookie.remove("")))
}

/// The first page after a log-in, with the session's cookie.
pub(super) fn welcome(view: &View, cookie: &PersonCookie, next: &str) -> Response {
    keep(go(&next_of(view, next)), &view.cookie.set("", &cookie.0))
}

/// A page of this area or of the documents, which show the reader's keys; or the area's start.
pub(super) fn next_of(view: &View, next: &str) -> String {
    match own_path(Some(next)) {
        path if path.starts_with(view.area.prefix()) || path.starts_with("/docs") => path,
        _ => view.area.prefix().to_owned(),
    }
}

/// What the browser keeps to be known again, and the header that renews it.
pub(crate) fn device(view: &View) -> Result<(String, String), Problem> {
    /// Characters of it.
    const LENGTH: usize = 24;
    let device = match view.device.is_empty() {
        true => view.site.engine.random_text(LENGTH).map_err(|_| Problem::Unavailable)?,
        false => view.device.clone(),
    };
    let header = view.cookie.set_long("device", &device);
    Ok((device, header))
}

/// The form of a log-in in this browser.
pub(crate) fn log_in_form<'a>(
    view: &'a View,
    email: &'a str,
    password: &'a str,
    device: &'a str,
) -> PersonLogIn<'a> {
    let (audience, agent, from) = (view.cookie.audience, view.agent.as_str(), view.from);
    PersonLogIn { audience, email, password, agent, device, from }
}

fn wrong_of(refused: LogInRefused, failed: &'static str) -> Result<Wrong, Problem> {
    match refused {
        LogInRefused::LogInFailed(_) | LogInRefused::Invalid(_) => Ok(Wrong::whole(failed)),
        LogInRefused::AccountInactive(_) => Ok(Wrong::whole("log-in.inactive")),
        LogInRefused::TooFast(wait) => Err(Problem::TooMany { retry_after_s: wait.retry_after_s }),
        LogInRefused::Unavailable(_) | LogInRefused::Uncertain(_) => Err(Problem::Unavailable),
    }
}

fn page(view: &View, fields: &LogInFields, wrong: &Wrong) -> Response {
    let words = view.words;
    let email = Field::email("email", words.t("log-in.email")).value(&fields.email);
    let email = if wrong.whole.is_empty() { email.focused() } else { email };
    let password = Field::password("password", words.t("log-in.password"), "current-password");
    let mut form =
        FormPage::new(view, words.t("log-in.title"), &view.at("/log-in"), words.t("log-in.button"));
    if !view.is_safe && wrong.whole.is_empty() {
        form = form.intro(words.t("log-in.unsafe"));
    }
    form = form
        .summary(wrong.summary(view, &[]))
        .hidden("next", &fields.next)
        .field(&email)
        .field(&password)
        .link(&view.at("/reset"), words.t("log-in.forgotten"));
    if view.area == AreaKind::Dashboard {
        form = form.link("/dashboard/sign-up", words.t("log-in.sign-up"));
    }
    form.show(view)
}

fn code_page(view: &View, fields: &CodeFields, wrong: &Wrong) -> Response {
    let words = view.words;
    let action = view.at("/log-in/code");
    FormPage::new(view, words.t("log-in.code-title"), &action, words.t("log-in.button"))
        .intro(words.t("log-in.code-text"))
        .summary(wrong.summary(view, &[]))
        .hidden("next", &fields.next)
        .field(&Field::code("code", words.t("log-in.code")).focused())
        .link(&view.at("/log-in"), words.t("log-in.again"))
        .show(view)
}
