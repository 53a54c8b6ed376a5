//! One key pair: from where it may be used, where its events go, and its end.

use super::super::common;
use super::limits::{self, ScopeBoxes};
use super::list::state;
use crate::parts::{
    Badge, Button, ErrorSummary, Field, Markup, Secret, Select, SelectOption, Zone, time_tag,
};
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

struct Fact {
    label: String,
    value: Markup,
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
    facts: Vec<Fact>,
    is_active: bool,
    scopes: ScopeBoxes,
    expires: Field,
    overlap: Select,
    rotate: Button,
    addresses: Field,
    url: Field,
    success: Select,
    save: Button,
    revoke: Button,
}

/// What is wrong with a field: its name, what was typed, the words.
pub(super) type Wrong<'a> = (&'static str, &'a str, String);

pub(super) async fn show(
    view: View,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    page(&view, &session, &key, None).await
}

/// The key of this number, if it is the account's and of this environment.
pub(super) fn own(view: &View, session: &Session, id: &str) -> Result<Key, Problem> {
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
            return page(&view, &session, &key, Some(("addresses", &sent.addresses, text))).await;
        }
    };
    match view.site.engine.allow_addresses(permit, &key.open_key, allowed).await {
        Ok(_) => Ok(done(&view.here(&format!("/keys/{id}")), "saved")),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, &key, Some(("addresses", &sent.addresses, text))).await
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
            page(&view, &session, &key, Some(("url", &sent.url, text))).await
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

pub(super) async fn page(
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
    let success = success_select(words, success);
    let now = view.site.engine.now();
    let caller = common::caller(view, session)?;
    let zone = common::zone(view, &caller).await?;
    let error = |name: &str| match &wrong {
        Some((field, _, text)) if *field == name => text.clone(),
        Some(_) | None => String::new(),
    };
    let expires = filled(limits::expires(words, zone), &end_text(key, zone));
    let overlap = overlap(words, error("overlap"));
    let scope_error = error("scope_read");
    let as_field = |name, error: &str| Field { name, error: error.to_owned(), ..Field::default() };
    let boxes = as_field("scope_read", &scope_error);
    let hours = as_field("overlap", &overlap.error);
    let is_wrong = wrong.is_some();
    let page = One {
        words,
        csrf: &view.csrf,
        all: view.here("/keys"),
        at: view.here(&format!("/keys/{}", key.id)),
        summary: match is_wrong {
            true => ErrorSummary::of(words, &[&addresses, &url, &boxes, &expires, &hours]),
            false => ErrorSummary::default(),
        },
        open: Secret::shown(words, "open", words.t("keys.open-key"), &key.open_key),
        secret: Secret::masked("secret", &key.secret_tail),
        state: state(words, key, now),
        facts: facts(view, session, key, zone)?,
        is_active: key.is_valid_at(now),
        scopes: ScopeBoxes::new(words, key.scopes, &scope_error),
        expires,
        overlap,
        rotate: Button::other(words, words.t("keys.rotate-button")),
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

/// Who made it, when it was last used and from where, what limits it.
fn facts(view: &View, session: &Session, key: &Key, zone: Zone) -> Result<Vec<Fact>, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let caller = common::caller(view, session)?;
    let plain = |label: &str, value: &str| Fact {
        label: words.t(label).to_owned(),
        value: Markup::of(&Plain { text: value }),
    };
    let when = |label: &str, at| Fact {
        label: format!("{} ({})", words.t(label), zone.name),
        value: time_tag(words, at, zone),
    };
    let mut facts = vec![plain("keys.scopes", &limits::scopes_text(words, key.scopes))];
    facts.push(match key.expires_at {
        Some(end) => when("keys.expires", end),
        None => plain("keys.expires", words.t("keys.no-end")),
    });
    match engine.key_uses(&caller)?.get(&key.id) {
        Some(used) => {
            facts.push(when("keys.last-used", used.used_at));
            facts.push(plain("keys.last-from", &used.address));
        }
        None => facts.push(plain("keys.last-used", words.t("keys.never"))),
    }
    if let Some(maker) = engine.maker_of(&caller, key)? {
        facts.push(plain("keys.made-by", &maker));
    }
    Ok(facts)
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct Plain<'a> {
    text: &'a str,
}

/// A pair's end as its field takes it: at midnight it is the day that ends then.
fn end_text(key: &Key, zone: Zone) -> String {
    let end = key.expires_at.and_then(|end| jiff::Timestamp::from_microsecond(end.0).ok());
    let Some(there) = end.map(|end| zone.offset().to_datetime(end)) else { return String::new() };
    let is_midnight = there.time() == jiff::civil::Time::midnight();
    match there.date().yesterday() {
        Ok(day) if is_midnight => day.to_string(),
        Ok(_) | Err(_) => there.strftime("%Y-%m-%d %H:%M").to_string(),
    }
}

fn overlap(words: Words, error: String) -> Select {
    let hours =
        [("0", "keys.overlap-none"), ("24", "keys.overlap-day"), ("168", "keys.overlap-week")];
    Select {
        name: "overlap",
        label: words.t("keys.overlap").to_owned(),
        options: hours.iter().map(|(h, key)| SelectOption::new(h, words.t(key))).collect(),
        chosen: "24".to_owned(),
        error,
    }
}

fn success_select(words: Words, chosen: SuccessEvent) -> Select {
    let option = |event: SuccessEvent, key: &str| SelectOption::new(event.code(), words.t(key));
    Select {
        name: "success",
        label: words.t("keys.success").to_owned(),
        options: vec![
            option(SuccessEvent::OnFinal, "keys.on-final"),
            option(SuccessEvent::OnAccept, "keys.on-accept"),
        ],
        chosen: chosen.code().to_owned(),
        error: String::new(),
    }
}
