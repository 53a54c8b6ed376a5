//! The list of key pairs, and a new one.

use super::super::common;
use crate::parts::{Badge, Button, Cell, Column, Empty, Row, Secret, Table, Tone};
use crate::view::{Allowed, Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::response::Response;
use domain::{Key, act};

#[derive(Template)]
#[template(path = "dashboard/keys/list.html")]
struct Keys<'a> {
    words: Words,
    csrf: &'a str,
    make: String,
    button: Button,
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
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let mut keys = view.site.engine.own_keys(&caller)?;
    keys.sort_by_key(|key| (key.revoked_at.is_some(), std::cmp::Reverse(key.id)));
    let columns = vec![
        Column::new(words.t("keys.open-key")),
        Column::new(words.t("keys.secret")),
        Column::new(words.t("keys.addresses")),
        Column::new(words.t("transactions.state")),
    ];
    let row = |key: &Key| {
        let state = match key.revoked_at {
            None => Badge::new(Tone::Ok, words.t("keys.active")),
            Some(_) => Badge::new(Tone::Off, words.t("keys.revoked")),
        };
        let lines = key.allow_list.lines();
        let addresses =
            if lines.is_empty() { words.t("keys.anywhere").to_owned() } else { lines.join(", ") };
        Row(vec![
            Cell::link(view.here(&format!("/keys/{}", key.id)), key.open_key.clone()),
            Cell::part(&Secret::masked(&format!("s-{}", key.id), &key.secret_tail)),
            Cell::text(addresses),
            Cell::part(&state),
        ])
    };
    let table = Table::new(words, words.t("keys.caption"), columns)
        .rows(keys.iter().map(row).collect())
        .empty(&Empty::new(words.t("keys.none")));
    let page = Keys {
        words,
        csrf: &view.csrf,
        make: view.here("/keys"),
        button: Button::main(words, words.t("keys.make")),
        table,
    };
    Ok(view.page(words.t("dashboard.keys"), &page))
}

/// Makes a pair, and shows its secrets: once, on a page that is not stored.
pub(super) async fn make(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageKeys>,
) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let environment = common::environment(&view);
    let made = engine.make_key(permit, session.account, environment).await;
    let (id, pair) = match made {
        Ok(made) => made,
        Err(refused) => {
            common::wrong_field(refused)?;
            return Err(Problem::NotAllowed);
        }
    };
    let webhook = engine.webhook_secret_of(id).map_err(|_| Problem::Unavailable)?;
    let page = Made {
        words,
        open: Secret::shown(words, "open", words.t("keys.open-key"), &pair.open),
        secret: Secret::shown(words, "secret", words.t("keys.secret"), &pair.secret),
        webhook: Secret::shown(words, "webhook", words.t("keys.webhook-secret"), &webhook),
        one: view.here(&format!("/keys/{id}")),
    };
    Ok(view.page(words.t("keys.made"), &page))
}
