//! One key pair: from where it may be used, where its events go, and its end.

use super::super::common;
use crate::parts::{Badge, Button, ErrorSummary, Field, Secret, Select, SelectOption, Tone};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use domain::account::AllowList;
use domain::{Key, SuccessEvent, act};
use engine::Endpoint;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    addresses: String,
    url: String,
    success: String,
}

#[derive(Template)]
#[template(path = "dashboard/keys/one.html")]
struct One<'a> {
    words: Words,
    csrf: &'a str,
    all: String,
    at: String,
    summary: ErrorSummary,
    open: Secret,
    secret: Secret,
    state: Badge,
    is_active: bool,
    addresses: Field,
    url: Field,
    success: Select,
    save: Button,
    revoke: Button,
}

/// What is wrong with a field: its name, what was typed, the words.
type Wrong<'a> = (&'static str, &'a str, String);

pub(super) async fn show(
    view: View,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    page(&view, &session, &key, None)
}

/// The key of this number, if it is the account's and of this environment.
fn own(view: &View, session: &Session, id: &str) -> Result<Key, Problem> {
    let caller = common::caller(view, session)?;
    let keys = view.site.engine.own_keys(&caller)?;
    keys.into_iter().find(|key| key.id.to_string() == id).ok_or(Problem::NotFound)
}

pub(super) async fn set_addresses(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageKeys>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    let lines = sent.addresses.split([' ', ',', '\n', '\r']).filter(|line| !line.is_empty());
    let allowed = match AllowList::parse(lines) {
        Ok(allowed) => allowed,
        Err(bad) => {
            let text = view.words.with("keys.address-wrong", &[("line", &bad.0)]);
            return page(&view, &session, &key, Some(("addresses", &sent.addresses, text)));
        }
    };
    match view.site.engine.allow_addresses(permit, &key.open_key, allowed).await {
        Ok(_) => Ok(done(&view.here(&format!("/keys/{id}")), "saved")),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, &key, Some(("addresses", &sent.addresses, text)))
        }
    }
}

pub(super) async fn set_webhook(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageEndpoints>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    let url = Some(sent.url.trim().to_owned()).filter(|url| !url.is_empty());
    let success = SuccessEvent::from_code(&sent.success).unwrap_or_default();
    let endpoint = own_endpoint(&view, &session, &key)?.ok_or(Problem::NotFound)?;
    let changed = view
        .site
        .engine
        .change_endpoint(permit, endpoint.id, |endpoint| {
            endpoint.url = url;
            endpoint.success_event = success;
        })
        .await;
    match changed {
        Ok(_) => Ok(done(&view.here(&format!("/keys/{id}")), "saved")),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, &key, Some(("url", &sent.url, text)))
        }
    }
}

pub(super) async fn revoke(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::RevokeKeys>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    match view.site.engine.revoke_key(permit, &key.open_key).await {
        Ok(_) => Ok(done(&view.here("/keys"), "key-revoked")),
        Err(refused) => {
            common::wrong_field(refused)?;
            Err(Problem::NotAllowed)
        }
    }
}

/// The endpoint of a key pair's own webhooks.
fn own_endpoint(view: &View, session: &Session, key: &Key) -> Result<Option<Endpoint>, Problem> {
    let endpoints = view.site.engine.endpoints_of(session.account)?;
    let own = endpoints.into_iter().find(|view| view.endpoint.key == Some(key.id));
    Ok(own.map(|view| view.endpoint))
}

fn page(
    view: &View,
    session: &Session,
    key: &Key,
    wrong: Option<Wrong<'_>>,
) -> Result<Response, Problem> {
    let words = view.words;
    let own = own_endpoint(view, session, key)?;
    let url = own.as_ref().and_then(|endpoint| endpoint.url.clone()).unwrap_or_default();
    let success = own.map(|endpoint| endpoint.success_event).unwrap_or_default();
    let filled = |field: Field, stored: &str| match &wrong {
        Some((name, typed, text)) if *name == field.name => field.value(typed).error(text),
        _ => field.value(stored),
    };
    let addresses = Field::new("addresses", words.t("keys.addresses-label")).optional().long();
    let addresses = addresses.hint(words.t("keys.addresses-hint"));
    let addresses = filled(addresses, &key.allow_list.lines().join("\n"));
    let url_field = Field { kind: "url", ..Field::new("url", words.t("keys.url")) }.optional();
    let url = filled(url_field.hint(words.t("keys.url-hint")).inputmode("url"), &url);
    let option = |event: SuccessEvent, key: &str| SelectOption::new(event.code(), words.t(key));
    let success = Select {
        name: "success",
        label: words.t("keys.success").to_owned(),
        options: vec![
            option(SuccessEvent::OnFinal, "keys.on-final"),
            option(SuccessEvent::OnAccept, "keys.on-accept"),
        ],
        chosen: success.code().to_owned(),
        error: String::new(),
    };
    let is_active = key.revoked_at.is_none();
    let state = match is_active {
        true => Badge::new(Tone::Ok, words.t("keys.active")),
        false => Badge::new(Tone::Off, words.t("keys.revoked")),
    };
    let is_wrong = wrong.is_some();
    let page = One {
        words,
        csrf: &view.csrf,
        all: view.here("/keys"),
        at: view.here(&format!("/keys/{}", key.id)),
        summary: match is_wrong {
            true => ErrorSummary::of(words, &[&addresses, &url]),
            false => ErrorSummary::default(),
        },
        open: Secret::shown(words, "open", words.t("keys.open-key"), &key.open_key),
        secret: Secret::masked("secret", &key.secret_tail),
        state,
        is_active,
        addresses,
        url,
        success,
        save: Button::other(words, words.t("keys.save")),
        revoke: Button::danger(words, words.t("keys.revoke")),
    };
    let title = words.t("keys.settings");
    if is_wrong {
        return Ok(view.wrong(title, &page));
    }
    Ok(view.page_with(StatusCode::OK, title, &page))
}
