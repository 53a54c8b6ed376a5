//! The first recharge in the sandbox, by a form that is filled in already; and the account's keys.
//!
//! Invariant: the reference is made with the page, so a form that is sent twice buys once.

use super::super::common;
use crate::parts::format::latin_digits;
use crate::parts::{Badge, Button, Code, ErrorSummary, Field, Secret, Select, SelectOption, money};
use crate::people::form::Wrong;
use crate::view::{Allowed, Problem, Session, View, go};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::purchase::is_reference;
use domain::refusal::BuyRefused;
use domain::{
    Catalog, Currency, Environment, FieldError, Kind, Money, Operator, Purchase, ReferenceScope,
    Service, ServiceType, State, act,
};
use engine::{Caller, PurchaseOutcome, PurchaseRequest};
use serde::Deserialize;

/// A number that the sandbox always delivers to, by country: its last digits say so.
const DELIVERS: [(&str, &str); 2] = [("BD", "01712345101"), ("ZW", "0771234101")];
/// Random characters of a reference.
const REFERENCE_CHARS: usize = 12;

#[derive(Default, Deserialize)]
pub(super) struct BuyFields {
    #[serde(default)]
    operator: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    reference: String,
}

#[derive(Deserialize)]
pub(super) struct Shown {
    bought: Option<String>,
}

struct Keys {
    open: Secret,
    secret: Secret,
    sample: Code,
}

#[derive(Template)]
#[template(path = "dashboard/start/first.html")]
struct First<'a> {
    words: Words,
    summary: ErrorSummary,
    action: String,
    csrf: &'a str,
    reference: String,
    operator: Select,
    number: Field,
    amount: Field,
    button: Button,
    keys: Option<Keys>,
}

#[derive(Template)]
#[template(path = "dashboard/start/bought.html")]
struct Bought {
    words: Words,
    title: &'static str,
    badge: Badge,
    operator: String,
    number: String,
    amount: String,
    reference: String,
    left: String,
    overview: String,
    again: String,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Shown>,
) -> Result<Response, Problem> {
    if let Some(reference) = asked.bought {
        let caller = session.caller(Environment::Sandbox);
        let engine = &view.site.engine;
        let found =
            engine.purchase_by_reference(&caller, ReferenceScope::Irecharge, &reference).await;
        return Ok(bought(&view, &found.map_err(|_| Problem::NotFound)?));
    }
    page(&view, &session, BuyFields::default(), &Wrong::default()).await
}

pub(super) async fn buy(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::Buy>,
    Form(fields): Form<BuyFields>,
) -> Result<Response, Problem> {
    let engine = &view.site.engine;
    let caller = match common::buyer(&view, &session).await {
        Ok(caller) => caller,
        Err(Problem::TooMany { .. }) => {
            return page(&view, &session, fields, &Wrong::whole("new.too-fast")).await;
        }
        Err(problem) => return Err(problem),
    };
    let request = match request(caller, &fields, &engine.catalog()) {
        Ok(request) => request,
        Err(wrong) => return page(&view, &session, fields, &Wrong::fields(wrong)).await,
    };
    let shown = go(&format!("{}?bought={}", view.here("/first"), request.reference));
    match engine.purchase(permit, request).await {
        Ok(PurchaseOutcome::Bought { .. }) => Ok(shown),
        // The form was sent twice: what it bought is shown.
        Err(BuyRefused::ReferenceKnown(_)) | Ok(_) => Ok(shown),
        Err(BuyRefused::Invalid(wrong)) => {
            page(&view, &session, fields, &Wrong::fields(wrong.errors)).await
        }
        Err(BuyRefused::InsufficientBalance(_) | BuyRefused::NoWallet(_)) => {
            page(&view, &session, fields, &Wrong::whole("first.no-money")).await
        }
        Err(BuyRefused::NoSubscription(_)) => {
            page(&view, &session, fields, &Wrong::whole("new.no-plan")).await
        }
        Err(_) => Err(Problem::Unavailable),
    }
}

/// The request of the form, or every wrong field.
fn request(
    caller: Caller,
    fields: &BuyFields,
    catalog: &Catalog,
) -> Result<PurchaseRequest, Vec<FieldError>> {
    let wrong = |field| vec![FieldError { field, message: String::new() }];
    let operator = catalog.operator_by_code(&fields.operator).filter(|o| is_sold(o));
    let operator = operator.ok_or_else(|| wrong("operator"))?;
    let country = catalog.country_of(operator).ok_or_else(|| wrong("operator"))?;
    let number = country.numbering.national(latin_digits(&fields.number).trim());
    let amount = Money::parse(latin_digits(&fields.amount).trim(), country.currency).ok();
    let amount = amount.filter(|amount| operator.check(*amount, ServiceType::Prepaid).is_ok());
    let (recipient, amount) = match (number, amount) {
        (Ok(number), Some(amount)) => (number, amount),
        (number, amount) => {
            let mut all = Vec::new();
            all.extend(number.is_err().then(|| wrong("number")).into_iter().flatten());
            all.extend(amount.is_none().then(|| wrong("amount")).into_iter().flatten());
            return Err(all);
        }
    };
    if !is_reference(&fields.reference) {
        return Err(wrong("reference"));
    }
    Ok(PurchaseRequest {
        caller,
        scope: ReferenceScope::Irecharge,
        kind: Kind::Recharge,
        operator: operator.code.clone(),
        product: None,
        recipient,
        service_type: ServiceType::Prepaid,
        amount,
        reference: fields.reference.clone(),
        details: Default::default(),
        webhook_url: None,
        digest: None,
        // Who sends the form twice sends its reference twice.
        allow_duplicate: true,
        idempotency: None,
    })
}

fn is_sold(operator: &Operator) -> bool {
    operator.is_active && operator.service == Service::MobileRecharge && operator.prepaid.is_some()
}

async fn page(
    view: &View,
    session: &Session,
    fields: BuyFields,
    wrong: &Wrong,
) -> Result<Response, Problem> {
    let words = view.words;
    let engine = &view.site.engine;
    let caller = session.caller(Environment::Sandbox);
    let balances = engine.balances(&caller).await?;
    let currencies: Vec<Currency> = balances.iter().map(|balance| balance.currency()).collect();
    let catalog = engine.catalog();
    let is_ours = |operator: &&Operator| {
        let country = catalog.country_of(operator);
        is_sold(operator) && country.is_some_and(|c| currencies.contains(&c.currency))
    };
    let operators: Vec<&Operator> = catalog.operators.iter().filter(is_ours).collect();
    let country = operators.first().map_or("BD", |operator| operator.country.as_str());
    let delivers = DELIVERS.iter().find(|(code, _)| *code == country).map_or("", |(_, n)| n);
    let typed = |text: &str, fresh: &str| match text {
        "" => fresh.to_owned(),
        text => text.to_owned(),
    };
    let number = Field::new("number", words.t("first.number"))
        .hint(words.t("first.number-hint"))
        .value(&typed(&fields.number, delivers))
        .inputmode("numeric")
        .autocomplete("off");
    let amount = Field::new("amount", words.t("first.amount"))
        .value(&typed(&fields.amount, "10"))
        .inputmode("decimal")
        .autocomplete("off");
    let (number, amount) = (wrong.mark(view, number), wrong.mark(view, amount));
    let reference = match is_reference(&fields.reference) && !wrong.fields.is_empty() {
        true => fields.reference.clone(),
        false => {
            let random = engine.random_text(REFERENCE_CHARS);
            format!("FIRST-{}", random.map_err(|_| Problem::Unavailable)?)
        }
    };
    let page = First {
        words,
        summary: wrong.summary(view, &[&number, &amount]),
        action: view.here("/first"),
        csrf: &view.csrf,
        reference,
        operator: Select {
            name: "operator",
            label: words.t("first.operator").to_owned(),
            options: operators.iter().map(|o| SelectOption::new(&o.code, &o.name)).collect(),
            chosen: fields.operator,
            error: String::new(),
        },
        number,
        amount,
        button: Button::main(words, words.t("first.button")),
        keys: keys(view, session)?,
    };
    let title = words.t("first.title");
    Ok(if page.summary.is_empty() { view.page(title, &page) } else { view.wrong(title, &page) })
}

fn keys(view: &View, session: &Session) -> Result<Option<Keys>, Problem> {
    let words = view.words;
    let pairs = view.site.engine.sandbox_pairs(session.account)?;
    let Some((_, pair)) = pairs.into_iter().next() else { return Ok(None) };
    let base_url = &view.site.settings.base_url;
    let sample = format!(
        "curl {base_url}/api/billing/wallet/balance \\\n  -H 'X-Open-Key: {}' \\\n  \
         -H 'X-Authorization: {}'",
        pair.open, pair.secret
    );
    Ok(Some(Keys {
        open: Secret::shown(words, "open-key", "X-Open-Key", &pair.open),
        secret: Secret::shown(words, "secret-key", "X-Authorization", &pair.secret),
        sample: Code::new(words, "balance", "curl", &sample),
    }))
}

fn bought(view: &View, purchase: &Purchase) -> Response {
    let words = view.words;
    let title = match purchase.state {
        State::Delivered => words.t("first.delivered"),
        State::Failed | State::Rejected | State::Refunded => words.t("first.failed"),
        State::Quoted
        | State::Awaiting
        | State::Held
        | State::Sent
        | State::InDoubt
        | State::WithStaff => words.t("first.open"),
    };
    let page = Bought {
        words,
        title,
        badge: Badge::of_state(words, purchase.state),
        operator: purchase.operator.clone(),
        number: purchase.recipient.clone(),
        amount: money(words, purchase.amount),
        reference: purchase.reference.clone(),
        left: money(words, purchase.available_after),
        overview: view.here(""),
        again: view.here("/first"),
    };
    view.page(title, &page)
}
