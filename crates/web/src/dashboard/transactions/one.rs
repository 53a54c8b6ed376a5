//! One purchase: how it stands, what happens next, and everything that happened.

use super::super::common;
use super::list::{kind, stream};
use super::timeline::moments;
use crate::parts::{Badge, Button, Markup, Timeline, money, time_tag};
use crate::view::{Allowed, Problem, Session, View, done, go};
use crate::words::Words;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use domain::refusal::ResendRefused;
use domain::{Act, PurchaseNumber, State, act};
use engine::NOT_RECEIVED;

#[derive(Template)]
#[template(path = "dashboard/transactions/one.html")]
struct One {
    words: Words,
    title: String,
    all: String,
    here: String,
    stream: String,
    timeline: Markup,
    csrf: String,
    report_to: String,
    /// Only a delivery that was not reported yet can be.
    report: Option<Button>,
}

#[derive(Template)]
#[template(path = "dashboard/transactions/timeline.html")]
struct TimelineOf {
    words: Words,
    badge: Badge,
    next: String,
    facts: Vec<Fact>,
    timeline: Timeline,
    zone: String,
}

struct Fact {
    label: String,
    value: Markup,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(&view, &session)?;
    let id = PurchaseNumber(id.parse().map_err(|_| Problem::NotFound)?);
    let history = view.site.engine.history_of(&caller, id).await?;
    let webhooks = view.site.engine.deliveries_of(&caller, id)?;
    let zone = common::zone_of(&view, &[history.purchase.amount.currency()]);
    let purchase = &history.purchase;
    let timeline = TimelineOf {
        words,
        badge: Badge::of_state(words, purchase.state),
        next: next(words, purchase.state),
        facts: facts(&view, purchase, zone),
        timeline: Timeline {
            detail: words.t("one.detail").to_owned(),
            moments: moments(words, zone, &history, &webhooks),
        },
        zone: words.with("one.zone", &[("zone", &zone.name)]),
    };
    if view.query.split('&').any(|pair| pair == "part=timeline") {
        return Ok(view.part(&timeline));
    }
    let was_reported = history.evidence.iter().any(|line| line.word == NOT_RECEIVED);
    let can_report = purchase.state == State::Delivered
        && !was_reported
        && common::may(&session, Act::ReportPurchase, view.environment);
    let page = One {
        words,
        title: purchase.reference.clone(),
        all: view.here("/transactions"),
        here: view.path.clone(),
        stream: stream(&view, std::slice::from_ref(purchase)),
        timeline: Markup::of(&timeline),
        csrf: view.csrf.clone(),
        report_to: format!("{}/report", view.path),
        report: can_report.then(|| Button::danger(words, words.t("report.button"))),
    };
    Ok(view.page(&purchase.reference, &page))
}

/// Reports that a delivery was not received.
pub(super) async fn report(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::ReportPurchase>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let purchase = PurchaseNumber(id.parse().map_err(|_| Problem::NotFound)?);
    let one = view.here(&format!("/transactions/{purchase}"));
    match view.site.engine.report_not_received(permit, &caller, purchase).await {
        Ok(_) => Ok(done(&one, "reported")),
        // It was reported before, or has changed meanwhile: the page shows it.
        Err(ResendRefused::NotPossible(_)) => Ok(go(&one)),
        Err(ResendRefused::PurchaseUnknown(_)) => Err(Problem::NotFound),
        Err(ResendRefused::Unavailable(_) | ResendRefused::Uncertain(_)) => {
            Err(Problem::Unavailable)
        }
    }
}

/// What happens next, without a promise of time.
fn next(words: Words, state: State) -> String {
    let key = match state {
        State::Quoted => "next.quoted",
        State::Awaiting => "next.awaiting",
        State::Held => "next.held",
        State::Sent => "next.sent",
        State::InDoubt => "next.in-doubt",
        State::WithStaff => "next.with-staff",
        State::Delivered => "next.delivered",
        State::Failed => "next.failed",
        State::Rejected => "next.rejected",
        State::Refunded => "next.refunded",
    };
    words.t(key).to_owned()
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct Text<'a> {
    text: &'a str,
}

#[derive(Template)]
#[template(source = "<code>{{ text }}</code>", ext = "html")]
struct CodeText<'a> {
    text: &'a str,
}

fn facts(view: &View, purchase: &domain::Purchase, zone: crate::parts::Zone) -> Vec<Fact> {
    let words = view.words;
    let text = |text: &str| Markup::of(&Text { text });
    let amount = |amount| Markup::of(&Text { text: &money(words, amount) });
    let fact = |key: &str, value| Fact { label: words.t(key).to_owned(), value };
    let total = purchase.total().unwrap_or(purchase.amount);
    vec![
        fact("transactions.number", Markup::of(&CodeText { text: &purchase.recipient })),
        fact("transactions.operator", text(&common::operator_name(view, purchase))),
        fact("transactions.kind", text(&kind(words, purchase.kind))),
        fact("transactions.amount", amount(purchase.amount)),
        fact("transactions.fee", amount(purchase.fee)),
        fact("one.total", amount(total)),
        fact("one.commission", amount(purchase.commission)),
        fact("transactions.time", time_tag(words, purchase.opened_at, zone)),
        fact("one.id", Markup::of(&CodeText { text: &purchase.key.id.to_string() })),
    ]
}
