//! The overview: what there is to spend, how sales go, how fast operators deliver, the latest.

use super::common;
use super::search::SearchBox;
use super::transactions::{stream, table};
use crate::parts::{
    Cell, Chart, Column, Empty, Markup, Row, Series, Table, Tile, format, money, number,
};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use domain::{Act, Environment, Plan};
use engine::{Activity, Caller, Page, PurchaseFilter};
use std::time::Duration;

/// Purchases that the overview lists.
const LATEST: u32 = 10;

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Overview {
    words: Words,
    new: String,
    search: Markup,
    tiles: Vec<Tile>,
    has_any: bool,
    is_cut: bool,
    chart: Chart,
    speeds: Table,
    stream: String,
    table: Table,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let page = Page { before: None, limit: LATEST };
    let latest = engine.list_purchases(&caller, PurchaseFilter::default(), page).await?;
    let buys = match common::environment(&view) {
        Environment::Sandbox => Act::BuyInSandbox,
        Environment::Live => Act::BuyLive,
    };
    let may_buy = common::may(&session, buys, view.environment);
    let none = Empty::new(words.t("transactions.none"));
    let none = if may_buy { none.with(&view.here("/new"), words.t("new.title")) } else { none };
    let table = table(&view, zone, &latest).empty(&none);
    if view.query.split('&').any(|pair| pair == "part=rows") {
        return Ok(view.part(&table));
    }
    let activity = engine.activity(&caller, zone.seconds()).await?;
    let page = Overview {
        words,
        new: if may_buy { view.here("/new") } else { String::new() },
        search: Markup::of(&SearchBox::new(&view, "")),
        tiles: tiles(&view, &session, &caller, &activity).await?,
        has_any: activity.purchases > 0,
        is_cut: activity.is_cut,
        chart: chart(words, &activity),
        speeds: speeds(&view, &activity),
        stream: stream(&view, &latest),
        table,
    };
    Ok(view.page(words.t("dashboard.overview"), &page))
}

async fn tiles(
    view: &View,
    session: &Session,
    caller: &Caller,
    activity: &Activity,
) -> Result<Vec<Tile>, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let sees_money = common::may(session, Act::SeeMoney, view.environment);
    let mut tiles = Vec::new();
    for currency in common::currencies(view, caller).await? {
        let wallet = engine.wallet(caller, currency).await?;
        let held = money(words, wallet.held);
        tiles.push(Tile {
            label: words.t("overview.available").to_owned(),
            value: money(words, wallet.available),
            context: words.with("overview.held", &[("held", &held)]),
            href: if sees_money { view.here("/statement") } else { String::new() },
            link: words.t("dashboard.statement").to_owned(),
        });
    }
    let tile = |key: &str, value: String, context: String| Tile {
        label: words.t(key).to_owned(),
        value,
        context,
        href: String::new(),
        link: String::new(),
    };
    let days = words.t("overview.fortnight").to_owned();
    let volume: Vec<String> = activity.volume.iter().map(|sum| money(words, *sum)).collect();
    let volume = if volume.is_empty() { "–".to_owned() } else { volume.join(" · ") };
    tiles.push(tile("overview.volume", volume, days.clone()));
    let ended = activity.delivered + activity.failed;
    let rate = match (activity.delivered * 1000).checked_div(ended) {
        Some(rate) => format::in_digits(words, &format!("{}.{} %", rate / 10, rate % 10)),
        None => "–".to_owned(),
    };
    let of = words.with("overview.of", &[("n", &number(words, ended))]);
    tiles.push(tile("overview.success", rate, of));
    let per_minute = caller.plan.map(Plan::per_minute);
    let limit = number(words, per_minute.unwrap_or_else(|| engine.calls_without_plan()).into());
    let limit = tile("overview.limit", limit, words.t("overview.a-minute").to_owned());
    let link = words.t("dashboard.plan").to_owned();
    tiles.push(Tile { href: view.here("/plan"), link, ..limit });
    Ok(tiles)
}

fn chart(words: Words, activity: &Activity) -> Chart {
    let day = |day: i64| {
        let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
        format::in_digits(words, &format!("{}.{}.", date.day(), date.month()))
    };
    let series = |key: &str, value: fn(&(i64, u64, u64)) -> u64| Series {
        name: words.t(key).to_owned(),
        values: activity.days.iter().map(value).collect(),
    };
    Chart {
        words,
        sentence: words.with(
            "overview.sentence",
            &[("ok", &number(words, activity.delivered)), ("bad", &number(words, activity.failed))],
        ),
        labels: activity.days.iter().map(|(number, ..)| day(*number)).collect(),
        series: vec![series("state.delivered", |d| d.1), series("state.failed", |d| d.2)],
        shown: number,
    }
}

fn speeds(view: &View, activity: &Activity) -> Table {
    let words = view.words;
    let catalog = view.site.engine.catalog();
    let columns = vec![
        Column::new(words.t("transactions.operator")),
        Column::number(words.t("overview.deliveries")),
        Column::number("p50"),
        Column::number("p95"),
    ];
    let row = |speed: &engine::OperatorSpeed| {
        let name = catalog.operator_by_code(&speed.operator).map(|o| o.name.clone());
        Row(vec![
            Cell::text(name.unwrap_or_else(|| speed.operator.clone())),
            Cell::text(number(words, speed.count)),
            Cell::text(duration(words, speed.p50)),
            Cell::text(duration(words, speed.p95)),
        ])
    };
    let rows = activity.speeds.iter().map(row).collect();
    Table::new(words, words.t("overview.speeds"), columns)
        .rows(rows)
        .empty(&Empty::new(words.t("overview.no-speeds")))
}

/// `340 ms`, `1.2 s`, `3 min`.
fn duration(words: Words, time: Duration) -> String {
    let ms = time.as_millis();
    let text = match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min", ms / 60_000),
    };
    format::in_digits(words, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Zone;
    use crate::words::Language;

    #[test]
    fn durations_are_short() {
        let words = Words { language: Language::English };
        for (ms, text) in [(0, "0 ms"), (340, "340 ms"), (1_250, "1.2 s"), (180_000, "3 min")] {
            assert_eq!(duration(words, Duration::from_millis(ms)), text);
        }
        assert_eq!(Zone::DHAKA.seconds(), 6 * 3600);
    }
}
