//! The list of key pairs, and a new one.

use super::super::common;
use super::limits::{LimitFields, ScopeBoxes, expires, scopes_text};
use crate::parts::{
    Badge, Button, Cell, Column, Empty, ErrorSummary, Field, Row, Secret, Table, Tone, time_tag,
};
use crate::view::{Allowed, Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Form;
use axum::response::Response;
use domain::{Key, KeyId, KeyScopes, Timestamp, act};
use engine::{KeyPair, KeyTerms};

#[derive(Template)]
#[template(path = "dashboard/keys/list.html")]
struct Keys<'a> {
    words: Words,
    csrf: &'a str,
    make: String,
    button: Button,
    summary: ErrorSummary,
    is_open: bool,
    scopes: ScopeBoxes,
    expires: Field,
    limited: Button,
    table: Table,
}

#[derive(Template)]
#[template(path = "dashboard/keys/made.html")]
struct Made {
    words: Words,
    open: Secret,
    secret: Secret,
    webhook: Secret,
    one: String,
}

pub(super) async fn show(view: View, session: Session) -> Result<Response, Problem> {
    page(&view, &session, None).await
}

/// The page; `wrong` is a field of a new pair, what was typed as its end, and the words.
async fn page(
    view: &View,
    session: &Session,
    wrong: Option<(&'static str, &str, String)>,
) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let caller = common::caller(view, session)?;
    let zone = common::zone(view, &caller).await?;
    let (mut keys, uses) = (engine.own_keys(&caller)?, engine.key_uses(&caller)?);
    let now = engine.now();
    keys.sort_by_key(|key| (!key.is_valid_at(now), std::cmp::Reverse(key.id)));
    let columns = vec![
        Column::wide(words.t("keys.open-key")),
        Column::new(words.t("keys.secret")),
        Column::new(words.t("keys.scopes")),
        Column::new(words.t("keys.addresses")),
        Column::new(words.t("keys.last-used")),
        Column::new(words.t("transactions.state")),
    ];
    let row = |key: &Key| {
        let lines = key.allow_list.lines();
        let addresses =
            if lines.is_empty() { words.t("keys.anywhere").to_owned() } else { lines.join(", ") };
        let last_used = match uses.get(&key.id) {
            Some(used) => Cell::Part(time_tag(words, used.used_at, zone)),
            None => Cell::text(words.t("keys.never")),
        };
        Row(vec![
            Cell::link(view.here(&format!("/keys/{}", key.id)), key.open_key.clone()),
            Cell::part(&Secret::masked(&format!("s-{}", key.id), &key.secret_tail)),
            Cell::text(scopes_text(words, key.scopes)),
            Cell::text(addresses),
            last_used,
            Cell::part(&state(words, key, now)),
        ])
    };
    let caption = words.with("keys.caption", &[("zone", &zone.name)]);
    let table = Table::new(words, &caption, columns)
        .rows(keys.iter().map(row).collect())
        .empty(&Empty::new(words.t("keys.none")));
    let error = |name: &str| match &wrong {
        Some((field, _, text)) if *field == name => text.clone(),
        Some(_) | None => String::new(),
    };
    let typed = wrong.as_ref().map_or("", |(_, typed, _)| typed);
    let scope_error = error("scope_read");
    let expires = expires(words, zone).value(typed).error(&error("expires"));
    let boxes = Field { name: "scope_read", error: scope_error.clone(), ..Field::default() };
    let page = Keys {
        words,
        csrf: &view.csrf,
        make: view.here("/keys"),
        button: Button::main(words, words.t("keys.make")),
        summary: match wrong {
            Some(_) => ErrorSummary::of(words, &[&boxes, &expires]),
            None => ErrorSummary::default(),
        },
        is_open: wrong.is_some(),
        scopes: ScopeBoxes::new(words, KeyScopes::ALL, &scope_error),
        expires,
        limited: Button::other(words, words.t("keys.make")),
        table,
    };
    let title = words.t("dashboard.keys");
    Ok(if wrong.is_some() { view.wrong(title, &page) } else { view.page(title, &page) })
}

/// How a pair stands.
pub(super) fn state(words: Words, key: &Key, now: Timestamp) -> Badge {
    match (key.revoked_at, key.is_over_at(now)) {
        (Some(_), _) => Badge::new(Tone::Off, words.t("keys.revoked")),
        (None, true) => Badge::new(Tone::Off, words.t("keys.expired")),
        (None, false) => Badge::new(Tone::Ok, words.t("keys.active")),
    }
}

/// Makes a pair, and shows its secrets: once, on a page that is not stored.
pub(super) async fn make(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageKeys>,
    Form(sent): Form<LimitFields>,
) -> Result<Response, Problem> {
    let engine = &view.site.engine;
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let (scopes, expires_at) = match sent.limits(view.words, zone, engine.now()) {
        Ok(limits) => limits,
        Err((field, text)) => {
            return page(&view, &session, Some((field, &sent.expires, text))).await;
        }
    };
    let environment = common::environment(&view);
    let terms = KeyTerms { scopes, expires_at, ..KeyTerms::default() };
    match engine.make_key_with(permit, session.account, environment, terms).await {
        Ok((id, pair)) => made_page(&view, id, &pair),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, Some(("expires", &sent.expires, text))).await
        }
    }
}

/// The secrets of a new pair: once, on a page that is not stored.
pub(super) fn made_page(view: &View, id: KeyId, pair: &KeyPair) -> Result<Response, Problem> {
    let words = view.words;
    let webhook = view.site.engine.webhook_secret_of(id).map_err(|_| Problem::Unavailable)?;
    let page = Made {
        words,
        open: Secret::shown(words, "open", words.t("keys.open-key"), &pair.open),
        secret: Secret::shown(words, "secret", words.t("keys.secret"), &pair.secret),
        webhook: Secret::shown(words, "webhook", words.t("keys.webhook-secret"), &webhook),
        one: view.here(&format!("/keys/{id}")),
    };
    Ok(view.page(words.t("keys.made"), &page))
}
