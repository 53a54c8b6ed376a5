//! What people and the command line did on the account, its keys and its endpoints.

use super::super::common;
use crate::parts::{Cell, Column, Empty, Markup, Row, Table, time_tag};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use engine::ActRecord;
use serde_json::Value;

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
            Cell::text(act_in_words(words, act.act.code())),
            Cell::text(act.object.clone()),
            Cell::part(&After { fields: fields(act.after.as_deref().unwrap_or_default()) }),
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

/// What somebody did, in words where the catalog has some: acts that are rare here keep their code.
fn act_in_words(words: Words, code: &str) -> String {
    let key = format!("act.{code}");
    match words.t(&key) {
        text if text == key => code.to_owned(),
        text => text.to_owned(),
    }
}

/// How something stands since then, a line for each field.
#[derive(Template)]
#[template(
    source = "{% if fields.is_empty() %}–{% else %}<ul class=\"fields\">{% for field in fields %}\
              <li><span class=\"soft\">{{ field.name }}</span> <code>{{ field.value }}</code></li>\
              {% endfor %}</ul>{% endif %}",
    ext = "html"
)]
struct After {
    fields: Vec<AfterField>,
}

struct AfterField {
    name: String,
    value: String,
}

/// The fields of a JSON object; what is no object is one field without a name. What is empty says
/// nothing.
fn fields(json: &str) -> Vec<AfterField> {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => String::new(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let all = match serde_json::from_str(json) {
        Ok(Value::Object(object)) => object
            .iter()
            .map(|(name, value)| AfterField { name: name.replace('_', " "), value: shown(value) })
            .collect(),
        Ok(_) | Err(_) => vec![AfterField { name: String::new(), value: json.to_owned() }],
    };
    all.into_iter().filter(|field| !field.value.is_empty()).collect()
}
