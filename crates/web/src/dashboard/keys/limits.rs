//! What limits a key pair: the fields of its scopes and its end, and its rotation.

use super::super::common::{self, moment_until};
use super::list::made_page;
use super::one::{own, page};
use crate::parts::{Field, Zone};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::response::Response;
use domain::{KeyScope, KeyScopes, Timestamp, act};
use serde::Deserialize;
use std::time::Duration;

/// The words of each scope.
const SCOPES: [(KeyScope, &str, &str); 3] = [
    (KeyScope::Read, "scope_read", "keys.scope-read"),
    (KeyScope::Buy, "scope_buy", "keys.scope-buy"),
    (KeyScope::Money, "scope_money", "keys.scope-money"),
];

/// What the form of limits sends; a box that is not ticked is not sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LimitFields {
    /// `yes`: the form has fields of limits at all.
    limited: String,
    scope_read: String,
    scope_buy: String,
    scope_money: String,
    pub(super) expires: String,
    /// Hours that the old pair works beside the new one.
    overlap: String,
}

/// The limits that were sent, or what is wrong: the field, what was typed, the words.
pub(super) type SentLimits = Result<(KeyScopes, Option<Timestamp>), (&'static str, String)>;

impl LimitFields {
    pub(super) fn limits(&self, words: Words, zone: Zone, now: Timestamp) -> SentLimits {
        if self.limited != "yes" {
            return Ok((KeyScopes::ALL, None));
        }
        let sent = [&self.scope_read, &self.scope_buy, &self.scope_money];
        let ticked = SCOPES.iter().zip(sent).filter(|(_, value)| !value.is_empty());
        let scopes: Vec<KeyScope> = ticked.map(|((scope, ..), _)| *scope).collect();
        if scopes.is_empty() {
            return Err(("scope_read", words.t("keys.scope-none").to_owned()));
        }
        let wrong = || ("expires", words.t("transactions.time-wrong").to_owned());
        let expires_at = moment_until(&self.expires, zone).map_err(|()| wrong())?;
        match expires_at.is_some_and(|end| end <= now) {
            true => Err(("expires", words.t("keys.expires-past").to_owned())),
            false => Ok((KeyScopes::of(scopes), expires_at)),
        }
    }
}

struct ScopeBox {
    name: &'static str,
    label: String,
    is_ticked: bool,
}

/// A box for each scope.
#[derive(Template)]
#[template(path = "dashboard/keys/scopes.html")]
pub(super) struct ScopeBoxes {
    legend: String,
    error: String,
    boxes: Vec<ScopeBox>,
}

// A part: its template escapes what it shows.
impl askama::filters::HtmlSafe for ScopeBoxes {}

impl ScopeBoxes {
    pub(super) fn new(words: Words, ticked: KeyScopes, error: &str) -> ScopeBoxes {
        let one = |(scope, name, key): &(KeyScope, &'static str, &str)| ScopeBox {
            name,
            label: words.t(key).to_owned(),
            is_ticked: ticked.allows(*scope),
        };
        ScopeBoxes {
            legend: words.t("keys.scopes").to_owned(),
            error: error.to_owned(),
            boxes: SCOPES.iter().map(one).collect(),
        }
    }
}

/// The field of a pair's end.
pub(super) fn expires(words: Words, zone: Zone) -> Field {
    let hint = words.with("keys.expires-hint", &[("zone", &zone.name)]);
    Field::new("expires", words.t("keys.expires")).optional().hint(&hint).autocomplete("off")
}

/// The scopes of a pair in words.
pub(super) fn scopes_text(words: Words, scopes: KeyScopes) -> String {
    if scopes.is_all() {
        return words.t("keys.scopes-all").to_owned();
    }
    let own = SCOPES.iter().filter(|(scope, ..)| scopes.allows(*scope));
    own.map(|(.., key)| words.t(key)).collect::<Vec<_>>().join(", ")
}

pub(super) async fn limit(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageKeys>,
    Path(id): Path<String>,
    Form(sent): Form<LimitFields>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let engine = &view.site.engine;
    let sent = LimitFields { limited: "yes".to_owned(), ..sent };
    let (scopes, expires_at) = match sent.limits(view.words, zone, engine.now()) {
        Ok(limits) => limits,
        Err((field, text)) => {
            return page(&view, &session, &key, Some((field, &sent.expires, text))).await;
        }
    };
    match engine.limit_key(permit, &key.open_key, scopes, expires_at).await {
        Ok(_) => Ok(done(&view.here(&format!("/keys/{id}")), "saved")),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, &key, Some(("expires", &sent.expires, text))).await
        }
    }
}

/// Makes a pair in the place of this one, and shows its secrets once.
pub(super) async fn rotate(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageKeys>,
    Path(id): Path<String>,
    Form(sent): Form<LimitFields>,
) -> Result<Response, Problem> {
    let key = own(&view, &session, &id)?;
    let hours: u64 = sent.overlap.parse().map_err(|_| Problem::Unreadable)?;
    let overlap = Duration::from_secs(hours.saturating_mul(3600));
    match view.site.engine.rotate_key(permit, &key.open_key, overlap).await {
        Ok((id, pair)) => made_page(&view, id, &pair),
        Err(refused) => {
            let text = common::wrong_field(refused)?;
            page(&view, &session, &key, Some(("overlap", "", text))).await
        }
    }
}
