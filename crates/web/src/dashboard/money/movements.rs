//! What moved a wallet's available money, with the balance after each line; the commission's page
//! has tables of the same kind.

use super::super::common::{self, ROWS, query};
use crate::parts::{Cell, Column, Empty, Row, Table, Tile, Zone, money, time_tag};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use domain::{Currency, Money};
use engine::{Page, StatementLine};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Only lines below this journal, of one currency.
    before: String,
    currency: String,
}

#[derive(Template)]
#[template(path = "dashboard/money/movements.html")]
struct Movements<'a> {
    title: &'a str,
    note: &'a str,
    tiles: Vec<Tile>,
    tables: Vec<Table>,
}

pub(super) async fn statement(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let (words, engine) = (view.words, &view.site.engine);
    let (mut tiles, mut tables) = (Vec::new(), Vec::new());
    for currency in chosen(&view, &caller, &asked).await? {
        let wallet = engine.wallet(&caller, currency).await?;
        tiles.push(tile(words, "overview.available", wallet.available));
        tiles.push(tile(words, "money.held", wallet.held));
        let page = page_of(&asked);
        let lines = engine.statement(&caller, currency, page).await?;
        tables.push(table(&view, "/statement", currency, lines, &asked));
    }
    let title = words.t("dashboard.statement");
    let body = Movements { title, note: words.t("money.statement-note"), tiles, tables };
    Ok(view.page(title, &body))
}

/// The currencies that are shown: all, or the one whose page is asked for.
pub(super) async fn chosen(
    view: &View,
    caller: &engine::Caller,
    asked: &Asked,
) -> Result<Vec<Currency>, Problem> {
    let mut all = common::currencies(view, caller).await?;
    if let Some(one) = Currency::from_code(&asked.currency) {
        all.retain(|currency| *currency == one);
    }
    Ok(all)
}

pub(super) fn page_of(asked: &Asked) -> Page {
    Page { before: asked.before.parse().ok(), limit: ROWS + 1 }
}

pub(super) fn tile(words: Words, key: &str, amount: Money) -> Tile {
    Tile {
        label: words.t(key).to_owned(),
        value: money(words, amount),
        context: String::new(),
        href: String::new(),
        link: String::new(),
    }
}

pub(super) fn table(
    view: &View,
    path: &str,
    currency: Currency,
    mut lines: Vec<StatementLine>,
    asked: &Asked,
) -> Table {
    let words = view.words;
    let zone = common::zone_of(view, &[currency]);
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_older = lines.len() > rows;
    lines.truncate(rows);
    let columns = vec![
        Column::new(words.t("transactions.time")),
        Column::new(words.t("money.what")),
        Column::new(words.t("money.purchase")),
        Column::number(words.t("money.change")),
        Column::number(words.t("money.balance")),
    ];
    let caption =
        words.with("money.caption", &[("currency", &currency.code()), ("zone", &zone.name)]);
    let address = |before: &str| {
        let code = currency.code();
        format!("{}{}", view.here(path), query(&[("currency", code), ("before", before)]))
    };
    let shown = lines.iter().map(|line| row(view, zone, line)).collect();
    let mut table =
        Table::new(words, &caption, columns).rows(shown).empty(&Empty::new(words.t("money.none")));
    if let Some(last) = lines.last().filter(|_| has_older) {
        table.older = address(&last.journal.to_string());
    }
    if !asked.before.is_empty() {
        table.newer = address("");
    }
    table
}

fn row(view: &View, zone: Zone, line: &StatementLine) -> Row {
    let words = view.words;
    let key = format!("reason.{}", line.reason.code());
    let purchase = match line.purchase {
        Some(id) => Cell::link(view.here(&format!("/transactions/{id}")), id.to_string()),
        None => Cell::text("–"),
    };
    Row(vec![
        Cell::Part(time_tag(words, line.at, zone)),
        Cell::text(words.t(&key)),
        purchase,
        Cell::text(money(words, line.change)),
        Cell::text(money(words, line.available_after)),
    ])
}
