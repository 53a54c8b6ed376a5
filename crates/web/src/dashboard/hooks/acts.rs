//! What is done with endpoints and deliveries.

use super::super::common::{self, moment};
use super::list::{Asked, WrongField, own_endpoints, page};
use crate::parts::Secret;
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Path};
use axum::response::Response;
use domain::act;
use domain::refusal::StaffRefused;
use domain::webhook::schedule::parse_webhook_id;
use engine::{Endpoint, NewEndpoint, Permit, ReplayFilter, ReplayScope};
use serde::Deserialize;
use std::time::Duration;

/// For how long the old secret signs beside the new one.
const KEEP_OLD: Duration = Duration::from_secs(24 * 3600);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    url: String,
    event: String,
    #[serde(alias = "from")]
    since: String,
    outcome: String,
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
            let wrong = WrongField { name: "url", typed: sent.url, text: why };
            page(&view, &session, &Asked::default(), Some(wrong)).await
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

/// Everything of an endpoint since a moment, in the background.
pub(super) async fn replay_since(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReplayWebhooks>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let endpoint = own(&view, &session, &id)?;
    let filter = ReplayFilter { endpoint: Some(endpoint.id), ..ReplayFilter::default() };
    begin(&view, &session, permit, Begin { filter, sent, needs_since: true }).await
}

/// All that pass the filter of the list, of any endpoint, in the background.
pub(super) async fn replay_all(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReplayWebhooks>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let (state, event) = (sent.outcome.clone(), sent.event.clone());
    let filter = ReplayFilter { state, event, ..ReplayFilter::default() };
    begin(&view, &session, permit, Begin { filter, sent, needs_since: false }).await
}

/// A replay that is asked for.
struct Begin {
    filter: ReplayFilter,
    sent: Sent,
    needs_since: bool,
}

async fn begin(
    view: &View,
    session: &Session,
    permit: Permit<act::ReplayWebhooks>,
    begin: Begin,
) -> Result<Response, Problem> {
    let Begin { filter, sent, needs_since } = begin;
    let words = view.words;
    let caller = common::caller(view, session)?;
    let zone = common::zone(view, &caller).await?;
    let asked = Asked::of(&sent.outcome, &sent.event);
    let again = |why: &str| {
        let (typed, text) = (sent.since.clone(), words.t(why).to_owned());
        page(view, session, &asked, Some(WrongField { name: "from", typed, text }))
    };
    let since = match moment(&sent.since, zone) {
        Ok(None) if needs_since => return again("hooks.since-missing").await,
        Ok(since) => since,
        Err(()) => return again("transactions.time-wrong").await,
    };
    let filter = ReplayFilter { since, ..filter };
    match view.site.engine.begin_replay(permit, &caller, filter).await {
        Ok(()) => Ok(done(&view.here("/webhooks"), "replaying")),
        Err(StaffRefused::NotPossible(_)) => again("hooks.one-replay").await,
        Err(refused) => Err(failed(refused)),
    }
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
