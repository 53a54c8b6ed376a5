//! The list of purchases: filters in the address, the latest first.

use super::super::common::{self, ROWS};
use super::super::search::SearchBox;
use super::filter::Asked;
use crate::parts::{
    Badge, Cell, Column, Empty, Filters, Markup, Row, Table, Zone, money, time_tag,
};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Act, Environment, Kind, Purchase};
use engine::Page;

#[derive(Template)]
#[template(path = "dashboard/transactions/list.html")]
struct List {
    words: Words,
    new: String,
    csv: String,
    here: String,
    stream: String,
    search: Markup,
    filters: Filters,
    table: Table,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let engine = &view.site.engine;
    let catalog = engine.catalog();
    let path = view.here("/transactions");
    let (filter, wrong) = match asked.filter(&catalog, zone) {
        Ok(filter) => (Some(filter), Vec::new()),
        Err(wrong) => (None, wrong),
    };
    let before = asked.before.parse().ok();
    let mut purchases = match filter {
        Some(filter) => {
            engine.list_purchases(&caller, filter, Page { before, limit: ROWS + 1 }).await?
        }
        None => Vec::new(),
    };
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_older = purchases.len() > rows;
    purchases.truncate(rows);
    let buys = match common::environment(&view) {
        Environment::Sandbox => Act::BuyInSandbox,
        Environment::Live => Act::BuyLive,
    };
    let may_buy = common::may(&session, buys, view.environment);
    let mut table = table(&view, zone, &purchases).empty(&nothing(&view, &asked, may_buy));
    if let Some(last) = purchases.last().filter(|_| has_older) {
        let before = last.key.id.to_string();
        table.older = asked.address(&path, &[("before", &before)]);
    }
    if before.is_some() {
        table.newer = asked.address(&path, &[]);
    }
    if view.query.split('&').any(|pair| pair == "part=rows") {
        return Ok(view.part(&table));
    }
    let page = List {
        words,
        new: if may_buy { view.here("/new") } else { String::new() },
        csv: asked.address(&view.here("/transactions.csv"), &[]),
        here: asked.address(&path, &[("before", &asked.before)]),
        stream: stream(&view, &purchases),
        search: Markup::of(&SearchBox::new(&view, "")),
        filters: asked.form(&view, &catalog, zone, &wrong),
        table,
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(view.page_with(status, words.t("dashboard.transactions"), &page))
}

/// The stream that tells of changes of those that are not final; empty: all are.
pub(crate) fn stream(view: &View, purchases: &[Purchase]) -> String {
    let open = purchases.iter().filter(|purchase| !purchase.state.is_final());
    let ids: Vec<String> = open.map(|p| format!("{}.{}", p.key.id, p.version)).collect();
    match ids.is_empty() {
        true => String::new(),
        false => format!("{}?p={}", view.here("/stream"), ids.join(",")),
    }
}

/// A table of purchases.
pub(crate) fn table(view: &View, zone: Zone, purchases: &[Purchase]) -> Table {
    let words = view.words;
    let columns = vec![
        Column::new(words.t("transactions.reference")),
        Column::new(words.t("transactions.state")),
        Column::new(words.t("transactions.number")),
        Column::new(words.t("transactions.operator")),
        Column::new(words.t("transactions.kind")),
        Column::number(words.t("transactions.amount")),
        Column::number(words.t("transactions.fee")),
        Column::new(words.t("transactions.time")),
    ];
    let row = |purchase: &Purchase| {
        Row(vec![
            Cell::link(
                view.here(&format!("/transactions/{}", purchase.key.id)),
                purchase.reference.clone(),
            ),
            Cell::part(&Badge::of_state(words, purchase.state)),
            Cell::text(purchase.recipient.clone()),
            Cell::text(common::operator_name(view, purchase)),
            Cell::text(kind(words, purchase.kind)),
            Cell::text(money(words, purchase.amount)),
            Cell::text(money(words, purchase.fee)),
            Cell::Part(time_tag(words, purchase.opened_at, zone)),
        ])
    };
    let caption = words.with("transactions.caption", &[("zone", &zone.name)]);
    Table::new(words, &caption, columns).rows(purchases.iter().map(row).collect())
}

/// A kind of purchase in words.
pub(crate) fn kind(words: Words, kind: Kind) -> String {
    let key = match kind {
        Kind::Recharge => "kind.recharge",
        Kind::Offer => "kind.offer",
        Kind::Banking => "kind.banking",
        Kind::Bundle => "kind.bundle",
        Kind::Bill => "kind.bill",
    };
    words.t(key).to_owned()
}

fn nothing(view: &View, asked: &Asked, may_buy: bool) -> Empty {
    let words = view.words;
    if asked.is_set() || !asked.before.is_empty() {
        let all = view.here("/transactions");
        return Empty::new(words.t("transactions.none-fits"))
            .with(&all, words.t("transactions.clear"));
    }
    let none = Empty::new(words.t("transactions.none"));
    if may_buy { none.with(&view.here("/new"), words.t("new.title")) } else { none }
}
