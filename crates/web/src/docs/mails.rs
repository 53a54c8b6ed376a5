//! The mails of a demo, which are sent to nobody: everybody may read them, in a demo only.

use crate::parts::Empty;
use crate::site::ShownMail;
use crate::view::{Problem, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "docs/mails.html")]
struct Mails {
    words: Words,
    mails: Vec<ShownMail>,
    empty: Empty,
}

pub(super) async fn show(view: View) -> Result<Response, Problem> {
    if view.site.settings.mails.is_none() {
        return Err(Problem::NotFound);
    }
    let site = view.site.clone();
    let read = move || site.settings.mails.as_ref().map_or(Vec::new(), |mails| mails());
    let mails = tokio::task::spawn_blocking(read).await.map_err(|_| Problem::Unavailable)?;
    let words = view.words;
    let page = Mails { words, mails, empty: Empty::new(words.t("mails.none")) };
    Ok(view.page(words.t("mails.title"), &page))
}
