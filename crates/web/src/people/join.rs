//! Joining an account by a mailed link; and the first owner of the staff by a printed one.

use super::form::{FormPage, Wrong};
use super::log_in::{device, log_in_form, welcome};
use crate::area::AreaKind;
use crate::parts::Field;
use crate::view::{Allowed, Problem, View, keep};
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::act;
use domain::refusal::ResetRefused;
use engine::JoinForm;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct JoinFields {
    #[serde(default)]
    email: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    /// Of the first owner's link; anything.
    #[serde(default)]
    first: String,
}

pub(super) async fn show(view: View, Query(fields): Query<JoinFields>) -> Response {
    page(&view, &fields, &Wrong::default())
}

pub(super) async fn enter(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<JoinFields>,
) -> Result<Response, Problem> {
    if !view.is_safe {
        return Ok(page(&view, &fields, &Wrong::whole("log-in.unsafe")));
    }
    let (device, keep_device) = device(&view)?;
    let form = JoinForm {
        log_in: log_in_form(&view, &fields.email, &fields.password, &device),
        code: &fields.code,
        is_first_owner: is_first(&view, &fields),
        name: &fields.name,
        language: view.words.language.code(),
    };
    match view.site.engine.join(permit, form).await {
        Ok(cookie) => Ok(keep(welcome(&view, &cookie, ""), &keep_device)),
        Err(ResetRefused::CodeInvalid(_)) => Ok(page(&view, &fields, &Wrong::whole("join.failed"))),
        Err(ResetRefused::Invalid(wrong)) => Ok(page(&view, &fields, &Wrong::fields(wrong.errors))),
        Err(ResetRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(ResetRefused::Unavailable(_) | ResetRefused::Uncertain(_)) => Err(Problem::Unavailable),
    }
}

/// Only the staff have a first owner.
fn is_first(view: &View, fields: &JoinFields) -> bool {
    view.area == AreaKind::Admin && !fields.first.is_empty()
}

fn page(view: &View, fields: &JoinFields, wrong: &Wrong) -> Response {
    let words = view.words;
    let email = Field::email("email", words.t("log-in.email")).value(&fields.email);
    let name = Field::new("name", words.t("join.name"))
        .value(&fields.name)
        .autocomplete("name")
        .optional();
    let password = Field::password("password", words.t("log-in.password"), "new-password")
        .hint(words.t("sign-up.password-hint"));
    let code = Field::code("code", words.t("reset.code")).value(&fields.code);
    let (email, password) = (wrong.mark(view, email), wrong.mark(view, password));
    let form =
        FormPage::new(view, words.t("join.title"), &view.at("/join"), words.t("join.button"))
            .intro(words.t("join.text"))
            .summary(wrong.summary(view, &[&email, &password]));
    let form = if fields.first.is_empty() { form } else { form.hidden("first", &fields.first) };
    let form = match fields.code.is_empty() {
        true => form.field(&code),
        false => form.hidden("code", &fields.code),
    };
    form.field(&email).field(&name).field(&password).show(view)
}
