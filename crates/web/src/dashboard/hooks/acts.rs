//! What is done with endpoints and deliveries.

use super::super::common;
use super::list::{Asked, own_endpoints, page};
use crate::parts::{Secret, format};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::response::Response;
use domain::refusal::StaffRefused;
use domain::webhook::schedule::parse_webhook_id;
use domain::{Timestamp, act};
use engine::{Endpoint, NewEndpoint, ReplayScope};
use serde::Deserialize;
use std::time::Duration;

/// For how long the old secret signs beside the new one.
const KEEP_OLD: Duration = Duration::from_secs(24 * 3600);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    url: String,
    event: String,
    since: String,
}

#[derive(Template)]
#[template(path = "dashboard/hooks/secret.html")]
struct SecretPage {
    words: Words,
    secret: Secret,
    back: String,
}

pub(super) async fn add(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageEndpoints>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let new = NewEndpoint {
        account: session.account,
        environment: common::environment(&view),
        url: sent.url.trim(),
        events: Vec::new(),
    };
    match view.site.engine.add_endpoint(permit, new).await {
        Ok((_, secret)) => Ok(shown(&view, &secret)),
        Err(refused) => {
            let why = common::wrong_field(refused)?;
            page(&view, &session, &Asked::default(), Some((&sent.url, &why))).await
        }
    }
}

/// A secret on a page that is not stored.
fn shown(view: &View, secret: &str) -> Response {
    let words = view.words;
    let page = SecretPage {
        words,
        secret: Secret::shown(words, "secret", words.t("keys.webhook-secret"), secret),
        back: view.here("/webhooks"),
    };
    view.page(words.t("hooks.secret-made"), &page)
}

/// The endpoint of this number, if it is the account's and of this environment.
fn own(view: &View, session: &Session, id: &str) -> Result<Endpoint, Problem> {
    let endpoints = own_endpoints(view, session)?;
    let found = endpoints.into_iter().find(|one| one.endpoint.id.to_string() == id);
    found.map(|one| one.endpoint).ok_or(Problem::NotFound)
}

fn failed(refused: StaffRefused) -> Problem {
    match common::wrong_field(refused) {
        Ok(_) => Problem::NotAllowed,
        Err(problem) => problem,
    }
}

pub(super) async fn remove(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageEndpoints>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    if endpoint.key.is_some() {
        return Err(Problem::NotFound);
    }
    let engine = &view.site.engine;
    let now = engine.now();
    let removed = engine
        .change_endpoint(permit, endpoint.id, |endpoint| endpoint.removed_at = Some(now))
        .await;
    removed.map_err(failed)?;
    Ok(done(&view.here("/webhooks"), "endpoint-removed"))
}

pub(super) async fn switch_on(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageEndpoints>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    view.site.engine.switch_on(permit, endpoint.id).await.map_err(failed)?;
    Ok(done(&view.here("/webhooks"), "switched-on"))
}

pub(super) async fn rotate(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ManageEndpoints>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    let rotated = view.site.engine.rotate_secret(permit, endpoint.id, KEEP_OLD).await;
    Ok(shown(&view, &rotated.map_err(failed)?))
}

pub(super) async fn test(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReplayWebhooks>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    view.site.engine.send_test(permit, endpoint.id).await.map_err(failed)?;
    Ok(done(&view.here("/webhooks"), "test-sent"))
}

/// Everything of an endpoint since a moment.
pub(super) async fn replay_since(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReplayWebhooks>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    let typed = format::latin_digits(sent.since.trim());
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let there: jiff::civil::DateTime = typed.parse().map_err(|_| Problem::Unreadable)?;
    let since = zone.offset().to_timestamp(there).map_err(|_| Problem::Unreadable)?;
    let since = Timestamp(since.as_microsecond());
    let which = ReplayScope::Since(session.account, since, Some(endpoint.id));
    view.site.engine.replay_webhooks(permit, which).await?;
    Ok(done(&view.here("/webhooks"), "replayed"))
}

/// One event of one purchase.
pub(super) async fn replay_one(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReplayWebhooks>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let (id, tail) = parse_webhook_id(&sent.event).ok_or(Problem::NotFound)?;
    // Only what is the caller's: the id may be anybody's.
    let own = view.site.engine.deliveries_of(&caller, id)?;
    let is_own = own.iter().any(|(webhook, _)| webhook.event.rsplit('.').next() == Some(tail));
    if !is_own {
        return Err(Problem::NotFound);
    }
    let which = ReplayScope::One(id, tail.to_owned());
    view.site.engine.replay_webhooks(permit, which).await?;
    Ok(done(&view.here("/webhooks"), "replayed"))
}
