//! Step-up: the second factor once more (without one: the password), before what asks for it.

use super::form::{FormPage, Wrong};
use super::log_in::{Next, next_of};
use crate::parts::Field;
use crate::view::{Allowed, Problem, Session, View, go};
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::act;
use domain::refusal::PasswordRefused;
use serde::Deserialize;

#[derive(Default, Deserialize)]
pub(super) struct ProveFields {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(view: View, session: Session, Query(asked): Query<Next>) -> Response {
    page(&view, &session, &asked.next, &Wrong::default())
}

pub(super) async fn enter(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageOwnLogin>,
    Form(fields): Form<ProveFields>,
) -> Result<Response, Problem> {
    let caller = view.caller().ok_or(Problem::NotAllowed)?;
    match view.site.engine.prove(permit, &caller, &fields.secret, view.from).await {
        Ok(()) => Ok(go(&next_of(&view, &fields.next))),
        Err(refused) => {
            let wrong = wrong_of(refused, "prove.failed")?;
            Ok(page(&view, &session, &fields.next, &wrong))
        }
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

fn page(view: &View, session: &Session, next: &str, wrong: &Wrong) -> Response {
    let words = view.words;
    let field = match session.has_second_factor {
        true => Field::code("secret", words.t("log-in.code")),
        false => Field::password("secret", words.t("log-in.password"), "current-password"),
    };
    FormPage::new(view, words.t("prove.title"), &view.at("/prove"), words.t("prove.button"))
        .intro(words.t("prove.text"))
        .summary(wrong.summary(view, &[]))
        .hidden("next", next)
        .field(&field.focused())
        .show(view)
}
