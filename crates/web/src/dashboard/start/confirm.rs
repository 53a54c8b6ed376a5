//! The confirmation of one's address by a mailed code.

use crate::parts::{Button, Field, Markup};
use crate::people::form::{FormPage, Wrong};
use crate::view::{Allowed, Problem, Session, View, done, go};
use askama::Template;
use axum::extract::Form;
use axum::response::Response;
use domain::act;
use domain::refusal::{ConfirmRefused, SignUpRefused};
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct CodeTyped {
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(
    source = "<form method=\"post\" action=\"/dashboard/confirm/again\"><input type=\"hidden\" \
              name=\"csrf\" value=\"{{ csrf }}\">{{ button }}</form>",
    ext = "html"
)]
struct SendAgain<'a> {
    csrf: &'a str,
    button: Button,
}

pub(super) async fn show(view: View, session: Session) -> Response {
    match session.is_confirmed {
        true => go("/dashboard"),
        false => page(&view, &session, &Wrong::default()),
    }
}

pub(super) async fn enter(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<CodeTyped>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    match view.site.engine.confirm_email(permit, &caller, &fields.code, view.from).await {
        Ok(()) => Ok(done("/dashboard/sandbox", "confirmed")),
        Err(ConfirmRefused::CodeInvalid(_)) => {
            Ok(page(&view, &session, &Wrong::whole("wrong.code")))
        }
        Err(ConfirmRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(ConfirmRefused::Unavailable(_) | ConfirmRefused::Uncertain(_)) => {
            Err(Problem::Unavailable)
        }
    }
}

pub(super) async fn again(
    view: View,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    match view.site.engine.send_confirmation(permit, &caller, view.from).await {
        Ok(()) => Ok(done("/dashboard/confirm", "code-sent")),
        Err(SignUpRefused::TooFast(wait)) => {
            Err(Problem::TooMany { retry_after_s: wait.retry_after_s })
        }
        Err(
            SignUpRefused::Invalid(_) | SignUpRefused::Unavailable(_) | SignUpRefused::Uncertain(_),
        ) => Err(Problem::Unavailable),
    }
}

fn page(view: &View, session: &Session, wrong: &Wrong) -> Response {
    let words = view.words;
    let text = words.with("confirm.text", &[("email", &session.email)]);
    let button = Button::other(words, words.t("confirm.again"));
    let again = Markup::of(&SendAgain { csrf: &view.csrf, button });
    FormPage::new(view, words.t("confirm.title"), "/dashboard/confirm", words.t("confirm.button"))
        .intro(&text)
        .summary(wrong.summary(view, &[]))
        .above(again)
        .field(&Field::code("code", words.t("reset.code")).focused())
        .show(view)
}
