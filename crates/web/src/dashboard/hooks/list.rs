//! Endpoints and deliveries over all of them.

use super::super::common::{self, ROWS, query};
use crate::parts::format::time;
use crate::parts::{
    Badge, Button, Cell, Column, Empty, ErrorSummary, Field, Filter, Filters, Markup, Row, Select,
    SelectOption, Table, Tone, Zone, number, time_tag,
};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use domain::webhook::schedule::{host_of, webhook_id};
use domain::{Act, Timestamp};
use engine::{DeliveryFilter, EndpointView, LoggedWebhook, WebhookReplay};
use serde::Deserialize;
use std::fmt::Display;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    outcome: String,
    event: String,
    /// A time in microseconds and how many of it were shown: `1795961100000000.2`.
    before: String,
}

impl Asked {
    /// The list of an outcome and an event.
    pub(super) fn of(outcome: &str, event: &str) -> Asked {
        let (outcome, event) = (outcome.to_owned(), event.to_owned());
        Asked { outcome, event, before: String::new() }
    }
}

/// A field that cannot be taken.
pub(super) struct WrongField {
    /// `url`, `from`.
    pub(super) name: &'static str,
    pub(super) typed: String,
    pub(super) text: String,
}

/// The form that sends again all that pass the filter.
struct ReplayAll {
    outcome: String,
    event: String,
    since: Field,
    button: Button,
}

#[derive(Template)]
#[template(path = "dashboard/hooks/list.html")]
struct Hooks<'a> {
    words: Words,
    csrf: &'a str,
    here: String,
    summary: ErrorSummary,
    endpoints: Table,
    may_manage: bool,
    is_open: bool,
    url: Field,
    add: Button,
    filters: Filters,
    /// How the last replay stands; empty: there is none.
    replay: String,
    is_replaying: bool,
    replay_all: Option<ReplayAll>,
    deliveries: Table,
}

/// The outcomes of the filter: as stored, and in words.
const OUTCOMES: [(&str, &str); 5] = [
    ("taken", "hooks.taken"),
    ("owed", "hooks.owed"),
    ("waits", "hooks.waits"),
    ("given_up", "hooks.given-up"),
    ("off", "hooks.off"),
];
const EVENTS: [&str; 8] = [
    "billing.recharge.success",
    "billing.recharge.approved",
    "billing.recharge.rejected",
    "billing.banking.success",
    "billing.banking.approved",
    "billing.banking.rejected",
    "account.low_balance",
    "deposit.paid",
];

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    page(&view, &session, &asked, None).await
}

/// The page; `wrong` is a field that was refused, and why.
pub(super) async fn page(
    view: &View,
    session: &Session,
    asked: &Asked,
    wrong: Option<WrongField>,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(view, session)?;
    let zone = common::zone(view, &caller).await?;
    let (until, skipped) = position(&asked.before);
    let filter = DeliveryFilter {
        state: asked.outcome.clone(),
        event: asked.event.clone(),
        until,
        skipped,
        limit: ROWS + 1,
    };
    let sent = view.site.engine.list_webhooks(&caller, filter).await?;
    let url = Field { kind: "url", ..Field::new("url", words.t("hooks.url")) }
        .hint(words.t("keys.url-hint"))
        .inputmode("url");
    let filled = |field: Field| match &wrong {
        Some(wrong) if wrong.name == field.name => field.value(&wrong.typed).error(&wrong.text),
        Some(_) | None => field,
    };
    let url = filled(url);
    let since = Field::new("from", words.t("hooks.since")).optional();
    let hint = words.with("hooks.since-optional", &[("zone", &zone.name)]);
    let since = filled(since.hint(&hint));
    let replays = common::may(session, Act::ReplayWebhooks, view.environment);
    let last = view.site.engine.last_replay(&caller).await?;
    let is_empty = sent.is_empty();
    let page = Hooks {
        words,
        csrf: &view.csrf,
        here: view.here("/webhooks"),
        summary: match wrong {
            Some(_) => ErrorSummary::of(words, &[&url, &since]),
            None => ErrorSummary::default(),
        },
        endpoints: endpoints(view, session)?,
        may_manage: common::may(session, Act::ManageEndpoints, view.environment),
        is_open: wrong.as_ref().is_some_and(|wrong| wrong.name == "url"),
        url,
        add: Button::other(words, words.t("hooks.add")),
        filters: filters(view, asked),
        is_replaying: last.as_ref().is_some_and(|replay| replay.ended_at.is_none()),
        replay: last.map_or_else(String::new, |replay| replay_text(words, &replay, zone)),
        replay_all: (replays && (!is_empty || wrong.is_some())).then(|| ReplayAll {
            outcome: asked.outcome.clone(),
            event: asked.event.clone(),
            since,
            button: Button::other(words, words.t("hooks.replay-matching")),
        }),
        deliveries: deliveries(view, session, zone, asked, sent),
    };
    let (title, status) = match wrong {
        None => (words.t("dashboard.webhooks").to_owned(), StatusCode::OK),
        Some(_) => {
            let title = format!("{} {}", words.t("error.title"), words.t("dashboard.webhooks"));
            (title, StatusCode::UNPROCESSABLE_ENTITY)
        }
    };
    Ok(view.page_with(status, &title, &page))
}

/// How a replay stands, in words.
fn replay_text(words: Words, replay: &WebhookReplay, zone: Zone) -> String {
    let begun = time(words, Timestamp(replay.id), zone);
    let counts = [
        ("at", &begun as &dyn Display),
        ("zone", &zone.name),
        ("sent", &number(words, replay.sent)),
        ("most", &number(words, replay.sent_max)),
    ];
    match replay.ended_at {
        None => words.with("hooks.replay-going", &counts),
        Some(_) if replay.sent >= replay.sent_max => words.with("hooks.replay-cut", &counts),
        Some(_) => words.with("hooks.replay-done", &counts),
    }
}

/// The endpoints of the environment that have an address.
pub(super) fn own_endpoints(view: &View, session: &Session) -> Result<Vec<EndpointView>, Problem> {
    let mut all = view.site.engine.endpoints_of(session.account)?;
    all.retain(|one| {
        one.endpoint.environment == common::environment(view) && one.endpoint.url.is_some()
    });
    Ok(all)
}

#[derive(Template)]
#[template(path = "dashboard/hooks/endpoint.html")]
struct Acts<'a> {
    csrf: &'a str,
    acts: Vec<FormAct>,
}

struct FormAct {
    to: String,
    event: String,
    field: Option<Field>,
    button: Button,
}

fn endpoints(view: &View, session: &Session) -> Result<Table, Problem> {
    let words = view.words;
    let manages = common::may(session, Act::ManageEndpoints, view.environment);
    let replays = common::may(session, Act::ReplayWebhooks, view.environment);
    let columns = vec![
        Column::wide(words.t("hooks.url")),
        Column::new(words.t("hooks.events")),
        Column::new(words.t("transactions.state")),
        Column::new(words.t("hooks.acts")),
    ];
    let row = |one: EndpointView| {
        let endpoint = one.endpoint;
        let health = one.health;
        let is_off = health.as_ref().is_some_and(|health| health.off.is_some());
        let state = match &health {
            Some(health) if health.off.is_some() => Badge::new(Tone::Bad, words.t("hooks.is-off")),
            Some(health) if health.since.is_some() => {
                Badge::new(Tone::Doubt, words.t("hooks.failing"))
            }
            Some(_) | None => Badge::new(Tone::Ok, words.t("keys.active")),
        };
        let at = |path: &str| view.here(&format!("/webhooks/{}/{path}", endpoint.id));
        let act = |to: &str, button: Button| FormAct {
            to: at(to),
            event: String::new(),
            field: None,
            button,
        };
        let mut acts = Vec::new();
        if replays {
            acts.push(act("test", Button::other(words, words.t("hooks.test"))));
            let since = Field::new("since", words.t("hooks.since"));
            acts.push(FormAct {
                field: Some(Field { name: "since", ..since }.hint(words.t("hooks.since-hint"))),
                ..act("replay", Button::other(words, words.t("hooks.replay-all")))
            });
        }
        if manages && is_off {
            acts.push(act("on", Button::other(words, words.t("hooks.switch-on"))));
        }
        if manages {
            acts.push(act("secret", Button::other(words, words.t("hooks.rotate"))));
        }
        if manages && endpoint.key.is_none() {
            acts.push(act("remove", Button::danger(words, words.t("hooks.remove"))));
        }
        let events = if endpoint.events.is_empty() {
            words.t("hooks.all-events").to_owned()
        } else {
            endpoint.events.join(", ")
        };
        let url = endpoint.url.clone().unwrap_or_default();
        let forms = Markup::of(&Acts { csrf: &view.csrf, acts });
        let more = Markup::of(&More { label: words.t("hooks.acts"), forms });
        Row(vec![Cell::Code(url), Cell::text(events), Cell::part(&state), Cell::Part(more)])
    };
    let rows = own_endpoints(view, session)?.into_iter().map(row).collect();
    Ok(Table::new(words, words.t("hooks.endpoints"), columns)
        .rows(rows)
        .empty(&Empty::new(words.t("hooks.none"))))
}

#[derive(Template)]
#[template(source = "<details><summary>{{ label }}</summary>{{ forms }}</details>", ext = "html")]
struct More<'a> {
    label: &'a str,
    forms: Markup,
}

fn filters(view: &View, asked: &Asked) -> Filters {
    let words = view.words;
    let path = view.here("/webhooks");
    let all = || SelectOption::new("", words.t("transactions.all"));
    let mut outcomes = vec![all()];
    outcomes.extend(OUTCOMES.map(|(code, key)| SelectOption::new(code, words.t(key))));
    let mut events = vec![all()];
    events.extend(EVENTS.map(|event| SelectOption::new(event, event)));
    let select = |name, key: &str, options, chosen: &str| Select {
        name,
        label: words.t(key).to_owned(),
        options,
        chosen: chosen.to_owned(),
        error: String::new(),
    };
    let mut set = Vec::new();
    if !asked.outcome.is_empty() {
        let without = format!("{path}{}", query(&[("event", &asked.event)]));
        let word = OUTCOMES.iter().find(|(code, _)| *code == asked.outcome);
        let word = word.map_or(asked.outcome.as_str(), |(_, key)| words.t(key));
        set.push(Filter { label: format!("{}: {word}", words.t("hooks.outcome")), without });
    }
    if !asked.event.is_empty() {
        let without = format!("{path}{}", query(&[("outcome", &asked.outcome)]));
        let label = format!("{}: {}", words.t("hooks.event"), asked.event);
        set.push(Filter { label, without });
    }
    Filters {
        words,
        action: path.clone(),
        selects: vec![
            select("outcome", "hooks.outcome", outcomes, &asked.outcome),
            select("event", "hooks.event", events, &asked.event),
        ],
        fields: Vec::new(),
        set,
    }
}

fn position(before: &str) -> (Option<Timestamp>, u32) {
    let Some((at, skipped)) = before.split_once('.') else { return (None, 0) };
    match (at.parse(), skipped.parse()) {
        (Ok(at), Ok(skipped)) => (Some(Timestamp(at)), skipped),
        _ => (None, 0),
    }
}

fn deliveries(
    view: &View,
    session: &Session,
    zone: Zone,
    asked: &Asked,
    mut sent: Vec<LoggedWebhook>,
) -> Table {
    let words = view.words;
    let replays = common::may(session, Act::ReplayWebhooks, view.environment);
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_older = sent.len() > rows;
    sent.truncate(rows);
    let columns = vec![
        Column::new(words.t("transactions.time")),
        Column::new(words.t("hooks.event")),
        Column::new(words.t("hooks.outcome")),
        Column::new("HTTP"),
        Column::new(words.t("hooks.to")),
        Column::new(words.t("money.purchase")),
        Column::new(words.t("hooks.acts")),
    ];
    let row = |webhook: &LoggedWebhook| {
        let id = webhook_id(webhook.key.id.number(), &webhook.event);
        let status = webhook.accepted.as_ref().and_then(|accepted| accepted.status);
        let act = FormAct {
            to: view.here("/webhooks/replay"),
            event: id,
            field: None,
            button: Button::other(words, words.t("hooks.replay")),
        };
        let acts = if replays { vec![act] } else { Vec::new() };
        Row(vec![
            Cell::Part(time_tag(words, webhook.at, zone)),
            Cell::Code(webhook.event.clone()),
            Cell::part(&outcome(words, &webhook.state)),
            Cell::text(status.map_or_else(|| "–".to_owned(), |status| status.to_string())),
            Cell::text(host_of(&webhook.url)),
            purchase(view, webhook),
            Cell::part(&Acts { csrf: &view.csrf, acts }),
        ])
    };
    let caption = words.with("hooks.caption", &[("zone", &zone.name)]);
    let mut table = Table::new(words, &caption, columns)
        .rows(sent.iter().map(row).collect())
        .empty(&Empty::new(words.t("hooks.nothing")));
    let path = view.here("/webhooks");
    let address = |before: &str| {
        let pairs = [("outcome", &*asked.outcome), ("event", &*asked.event), ("before", before)];
        format!("{path}{}", query(&pairs))
    };
    if let Some(last) = sent.last().filter(|_| has_older) {
        let same = sent.iter().filter(|webhook| webhook.at == last.at).count();
        let (until, skipped) = position(&asked.before);
        let before = if until == Some(last.at) { skipped } else { 0 };
        let shown = u32::try_from(same).unwrap_or(u32::MAX).saturating_add(before);
        table.older = address(&format!("{}.{shown}", last.at.0));
    }
    if !asked.before.is_empty() {
        table.newer = address("");
    }
    table
}

/// The purchase that an event is about; those about the account and tests have none.
fn purchase(view: &View, webhook: &LoggedWebhook) -> Cell {
    let id = webhook.key.id;
    match webhook.event.starts_with("billing.") {
        true => Cell::link(view.here(&format!("/transactions/{id}")), id.to_string()),
        false => Cell::text("–"),
    }
}

fn outcome(words: Words, state: &str) -> Badge {
    let tone = match state {
        "taken" => Tone::Ok,
        "given_up" => Tone::Bad,
        "off" => Tone::Off,
        _ => Tone::Wait,
    };
    let word = OUTCOMES.iter().find(|(code, _)| *code == state);
    Badge::new(tone, word.map_or(state, |(_, key)| words.t(key)))
}
