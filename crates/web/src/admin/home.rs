//! `/admin`: who is logged in, and as what.

use crate::view::{Session, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct Home<'a> {
    words: Words,
    email: &'a str,
    role: &'static str,
}

pub(super) async fn show(view: View, session: Session) -> Response {
    let page = Home { words: view.words, email: &session.email, role: session.holder.code() };
    view.page(view.words.t("admin.home"), &page)
}
