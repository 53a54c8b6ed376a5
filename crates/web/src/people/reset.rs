//! A forgotten password: a code by mail, then a new password.
//!
//! Invariant: the answer is the same whether an address has a login or not.

use super::form::{FormPage, Wrong};
use crate::parts::Field;
use crate::view::{Allowed, Problem, View, done};
use axum::extract::Form;
use axum::response::Response;
use domain::act;
use domain::refusal::ResetRefused;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct AskFields {
    #[serde(default)]
    email: String,
}

#[derive(Default, Deserialize)]
pub(super) struct ResetFields {
    #[serde(default)]
    email: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
}

pub(super) async fn show(view: View) -> Response {
    let words = view.words;
    FormPage::new(&view, words.t("reset.title"), &view.at("/reset"), words.t("reset.send"))
        .intro(words.t("reset.text"))
        .field(&Field::email("email", words.t("log-in.email")).focused())
        .link(&view.at("/log-in"), words.t("log-in.title"))
        .show(&view)
}

pub(super) async fn ask(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<AskFields>,
) -> Result<Response, Problem> {
    view.site.engine.forgot_password(permit, &fields.email, view.from).await?;
    let fields = ResetFields { email: fields.email, ..ResetFields::default() };
    Ok(page(&view, &fields, &Wrong::default()))
}

pub(super) async fn set(
    view: View,
    Allowed(permit): Allowed<act::EnterBySecret>,
    Form(fields): Form<ResetFields>,
) -> Result<Response, Problem> {
    let ResetFields { email, code, password } = &fields;
    let set = view.site.engine.reset_password(permit, email, code, password, view.from).await;
    match set {
        Ok(()) => Ok(done(&view.at("/log-in"), "password-set")),
        Err(ResetRefused::CodeInvalid(_)) => Ok(page(&view, &fields, &Wrong::whole("wrong.code"))),
        Err(ResetRefused::Invalid(wrong)) => Ok(page(&view, &fields, &Wrong::fields(wrong.errors))),
        Err(ResetRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(ResetRefused::Unavailable(_) | ResetRefused::Uncertain(_)) => Err(Problem::Unavailable),
    }
}

fn page(view: &View, fields: &ResetFields, wrong: &Wrong) -> Response {
    let words = view.words;
    let code = Field::code("code", words.t("reset.code")).value(&fields.code);
    let password = Field::password("password", words.t("reset.password"), "new-password")
        .hint(words.t("sign-up.password-hint"));
    let (code, password) = (wrong.mark(view, code), wrong.mark(view, password));
    let action = view.at("/reset/code");
    FormPage::new(view, words.t("reset.title"), &action, words.t("reset.set"))
        .intro(words.t("reset.sent"))
        .summary(wrong.summary(view, &[&code, &password]))
        .hidden("email", &fields.email)
        .field(&code)
        .field(&password)
        .link(&view.at("/reset"), words.t("reset.again"))
        .show(view)
}
