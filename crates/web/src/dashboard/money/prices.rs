//! What the account pays and earns now, by operator and kind.

use super::super::common;
use super::super::transactions::kind;
use crate::parts::{Cell, Column, Empty, Markup, Row, Table, format, money};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use domain::PriceRule;

#[derive(Template)]
#[template(
    source = "<h1>{{ title }}</h1><p class=\"soft\">{{ note }}</p>{{ table }}",
    ext = "html"
)]
struct Prices<'a> {
    title: &'a str,
    note: &'a str,
    table: Markup,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let prices = view.site.engine.prices(&caller, common::is_sold_here).await?;
    let columns = vec![
        Column::new(words.t("transactions.operator")),
        Column::new(words.t("transactions.kind")),
        Column::number(words.t("prices.fee")),
        Column::number(words.t("prices.commission")),
    ];
    let row = |price: &engine::AccountPrice| {
        Row(vec![
            Cell::text(price.operator.name.clone()),
            Cell::text(kind(words, price.kind)),
            Cell::text(rule(words, price.fee.as_ref())),
            Cell::text(rule(words, price.commission.as_ref())),
        ])
    };
    let table = Table::new(words, words.t("prices.caption"), columns)
        .rows(prices.iter().map(row).collect())
        .empty(&Empty::new(words.t("prices.none")));
    let title = words.t("dashboard.prices");
    let page = Prices { title, note: words.t("prices.note"), table: Markup::of(&table) };
    Ok(view.page(title, &page))
}

/// A rule in one line: the fixed part, the share, the bounds.
fn rule(words: Words, rule: Option<&PriceRule>) -> String {
    let Some(rule) = rule else { return "–".to_owned() };
    let mut parts = Vec::new();
    if rule.flat.is_positive() || rule.share_ppm == 0 {
        parts.push(money(words, rule.flat));
    }
    if rule.share_ppm > 0 {
        let text = format!("{}.{:04}", rule.share_ppm / 10_000, rule.share_ppm % 10_000);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        parts.push(format!("{} %", format::in_digits(words, text)));
    }
    let mut text = parts.join(" + ");
    if let Some(min) = rule.min {
        text = format!("{text}, {}", words.with("prices.min", &[("amount", &money(words, min))]));
    }
    if let Some(max) = rule.max {
        text = format!("{text}, {}", words.with("prices.max", &[("amount", &money(words, max))]));
    }
    text
}
