//! What people and the command line did on the account, its keys and its endpoints.

use super::super::common;
use crate::parts::{Cell, Column, Empty, Markup, Row, Table, time_tag};
use crate::view::{Problem, Session, View};
use askama::Template;
use axum::response::Response;
use engine::ActRecord;

/// Acts that are listed.
const ACTS: u32 = 100;

#[derive(Template)]
#[template(
    source = "<h1>{{ title }}</h1><p class=\"soft\">{{ note }}</p>{{ table }}",
    ext = "html"
)]
struct Activity<'a> {
    title: &'a str,
    note: &'a str,
    table: Markup,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let acts = view.site.engine.own_acts(&caller, ACTS).await?;
    let columns = vec![
        Column::new(words.t("transactions.time")),
        Column::new(words.t("activity.who")),
        Column::new(words.t("activity.what")),
        Column::new(words.t("activity.object")),
        Column::new(words.t("activity.after")),
    ];
    let row = |act: &ActRecord| {
        Row(vec![
            Cell::Part(time_tag(words, act.at, zone)),
            Cell::text(act.done_by.clone()),
            Cell::Code(act.act.code().to_owned()),
            Cell::text(act.object.clone()),
            Cell::Code(act.after.clone().unwrap_or_else(|| "–".to_owned())),
        ])
    };
    let caption = words.with("activity.caption", &[("zone", &zone.name)]);
    let table = Table::new(words, &caption, columns)
        .rows(acts.iter().map(row).collect())
        .empty(&Empty::new(words.t("activity.none")));
    let title = words.t("dashboard.activity");
    let page = Activity { title, note: words.t("activity.note"), table: Markup::of(&table) };
    Ok(view.page(title, &page))
}
