//! One box that finds a purchase by its reference, id, number or webhook. One hit opens its page.

use super::common;
use super::transactions::table;
use crate::parts::{Empty, Markup};
use crate::view::{Problem, Session, View, go};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

/// What is looked for at most: a reference has 128 characters.
const TEXT_CHARS_MAX: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
}

/// The box.
#[derive(Template)]
#[template(path = "dashboard/search.html")]
pub(crate) struct SearchBox {
    words: Words,
    action: String,
    value: String,
}

impl SearchBox {
    pub(crate) fn new(view: &View, value: &str) -> SearchBox {
        let (words, action) = (view.words, view.here("/search"));
        SearchBox { words, action, value: value.to_owned() }
    }
}

#[derive(Template)]
#[template(source = "<h1>{{ title }}</h1>{{ form }}{{ found }}", ext = "html")]
struct Found<'a> {
    title: &'a str,
    form: Markup,
    found: Markup,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let text: String = asked.q.trim().chars().take(TEXT_CHARS_MAX).collect();
    let typed = crate::parts::format::latin_digits(&text);
    let found = match typed.is_empty() {
        true => Vec::new(),
        false => view.site.engine.find(&caller, &typed).await?,
    };
    if let [one] = &found[..] {
        return Ok(go(&view.here(&format!("/transactions/{}", one.key.id))));
    }
    let zone = common::zone(&view, &caller).await?;
    let nothing = Empty::new(words.t("search.none"))
        .with(&view.here("/transactions"), words.t("dashboard.transactions"));
    let page = Found {
        title: words.t("search.title"),
        form: Markup::of(&SearchBox::new(&view, &text)),
        found: Markup::of(&table(&view, zone, &found).empty(&nothing)),
    };
    Ok(view.page(words.t("search.title"), &page))
}
