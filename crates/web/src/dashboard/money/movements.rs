//! What moved a wallet's available money, with the balance after each line; the commission's page
//! has tables of the same kind. Here an account says below which amount its balance is low.

use super::super::common::{self, ROWS, query};
use crate::parts::format::latin_digits;
use crate::parts::{
    Button, Cell, Column, Empty, ErrorSummary, Field, Row, Table, Tile, Zone, money, time_tag,
};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::{Act, Currency, Money, act};
use engine::{Balance, Page, StatementLine};
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
    words: Words,
    csrf: &'a str,
    summary: ErrorSummary,
    title: &'a str,
    note: &'a str,
    tiles: Vec<Tile>,
    tables: Vec<Table>,
    /// One for each currency; none for those who may not set it.
    alerts: Vec<AlertForm>,
    /// Where the forms go.
    to: String,
}

/// Below which amount the account is told that the balance is low.
struct AlertForm {
    currency: &'static str,
    below: Field,
    save: Button,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    currency: String,
    below: String,
}

/// What was sent and cannot be taken, and why.
struct Wrong {
    sent: Sent,
    text: String,
}

pub(super) async fn statement(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    page(&view, &session, &asked, None).await
}

/// Sets below which amount the account is told that the balance is low; nothing typed: never.
pub(super) async fn alert(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::RequestMoney>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let own = common::currencies(&view, &caller).await?;
    let currency = own.into_iter().find(|own| own.code() == sent.currency);
    let currency = currency.ok_or(Problem::NotFound)?;
    let typed = latin_digits(sent.below.trim());
    let below = match typed.as_str() {
        "" => Ok(Money::zero(currency)),
        typed => Money::parse(typed, currency),
    };
    let text = match below {
        Ok(below) => match view.site.engine.set_own_balance_alert(permit, &caller, below).await {
            Ok(()) => return Ok(done(&view.here("/statement"), "saved")),
            Err(refused) => common::wrong_field(refused)?,
        },
        Err(_) => view.words.t("new.amount-form").to_owned(),
    };
    page(&view, &session, &Asked::default(), Some(Wrong { sent, text })).await
}

async fn page(
    view: &View,
    session: &Session,
    asked: &Asked,
    wrong: Option<Wrong>,
) -> Result<Response, Problem> {
    let caller = common::caller(view, session)?;
    let (words, engine) = (view.words, &view.site.engine);
    let may_set = common::may(session, Act::RequestMoney, view.environment);
    let set = engine.own_balance_alerts(&caller)?;
    let (mut tiles, mut tables, mut alerts) = (Vec::new(), Vec::new(), Vec::new());
    for currency in chosen(view, &caller, asked).await? {
        let wallet = engine.wallet(&caller, currency).await?;
        tiles.push(tile(words, "overview.available", wallet.available));
        tiles.push(tile(words, "money.held", wallet.held));
        let page = page_of(asked);
        let lines = engine.statement(&caller, currency, Balance::Available, page).await?;
        tables.push(table(view, "/statement", currency, lines, asked));
        if may_set {
            let below = set.iter().find(|below| below.currency() == currency);
            let wrong = wrong.as_ref().filter(|wrong| wrong.sent.currency == currency.code());
            alerts.push(alert_form(words, currency, below.copied(), wrong));
        }
    }
    let title = words.t("dashboard.statement");
    let fields: Vec<&Field> = alerts.iter().map(|form| &form.below).collect();
    let body = Movements {
        words,
        csrf: &view.csrf,
        summary: match wrong.is_some() {
            true => ErrorSummary::of(words, &fields),
            false => ErrorSummary::default(),
        },
        title,
        note: words.t("money.statement-note"),
        tiles,
        tables,
        alerts,
        to: view.here("/statement"),
    };
    Ok(if wrong.is_some() { view.wrong(title, &body) } else { view.page(title, &body) })
}

fn alert_form(
    words: Words,
    currency: Currency,
    below: Option<Money>,
    wrong: Option<&Wrong>,
) -> AlertForm {
    let set = below.map_or(String::new(), |below| below.exact());
    let typed = wrong.map_or(set, |wrong| wrong.sent.below.clone());
    let label = words.with("alert.below", &[("currency", &currency.code())]);
    let below = Field::new("below", &label).optional().inputmode("decimal").autocomplete("off");
    AlertForm {
        currency: currency.code(),
        below: below.value(&typed).error(wrong.map_or("", |wrong| wrong.text.as_str())),
        save: Button::other(words, words.t("keys.save")),
    }
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
