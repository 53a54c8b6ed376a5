//! The account's plan: what it is, what the plans cost, and months that are bought.
//!
//! Invariant: what is bought is what the page has shown: price, plan and end go with the form, and
//! the form is used once.

use super::super::common;
use crate::parts::{
    Button, Cell, Column, Empty, ErrorSummary, Row, Select, SelectOption, Table, Tile, Zone,
    format, money, number,
};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::refusal::StaffRefused;
use domain::{
    Act, Currency, Environment, Money, PlanKind, PlanTerms, Subscription, Timestamp, act,
};
use engine::{AgreedPlan, PlanOffer, PlanOrder};
use serde::Deserialize;

/// For how many months a plan can be bought here.
const MONTHS: [u32; 4] = [1, 3, 6, 12];
/// Characters of a form's own reference.
const REFERENCE_CHARS: usize = 20;

/// What somebody has chosen.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    plan: String,
    months: String,
    currency: String,
}

/// What was shown, and that it shall be bought.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    plan: String,
    months: String,
    currency: String,
    reference: String,
    /// Minor units.
    price: String,
    /// The end of the plan before, in microseconds; empty without one.
    until: String,
    ends: String,
}

struct Fact {
    label: &'static str,
    value: String,
}

/// Whether the plan shall be renewed by itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SentRenewal {
    /// A currency, or empty.
    renewal: String,
}

/// The form that says whether the plan is renewed by itself.
struct Renewal {
    to: String,
    select: Select,
    save: Button,
}

/// What is bought with the next click.
struct Check {
    facts: Vec<Fact>,
    /// What is left of another plan ends.
    warning: String,
    /// Why it cannot be bought; empty: it can.
    short: String,
    asked: Asked,
    reference: String,
    price: i64,
    until: String,
    ends: &'static str,
    button: Button,
    back: String,
}

/// The form that asks what it shall be.
struct Choose {
    to: String,
    plan: Select,
    months: Select,
    currency: Select,
    has_choice: bool,
    button: Button,
}

#[derive(Template)]
#[template(path = "dashboard/money/plan.html")]
struct PlanPage<'a> {
    words: Words,
    csrf: &'a str,
    summary: ErrorSummary,
    tiles: Vec<Tile>,
    note: &'static str,
    table: Table,
    check: Option<Check>,
    choose: Option<Choose>,
    renewal: Option<Renewal>,
    /// The page in live mode, for those who may buy there.
    live: String,
    here: String,
}

/// What the page says after a refusal.
struct Wrong(String);

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if asked.plan.is_empty() || !may_buy(&view, &session) {
        return page(&view, &session, None, None).await;
    }
    let (kind, months) = chosen(&asked.plan, &asked.months)?;
    let currency = Currency::from_code(&asked.currency).ok_or(Problem::NotFound)?;
    let offer = view.site.engine.plan_offer(session.account, kind, months, currency);
    match offer {
        Ok(offer) => {
            let check = check(&view, offer, asked, kind, months)?;
            page(&view, &session, Some(check), None).await
        }
        Err(refused) => {
            let wrong = Wrong(said(&view, refused)?);
            page(&view, &session, None, Some(wrong)).await
        }
    }
}

/// Buys what was shown.
pub(super) async fn buy(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::BuyPlan>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let (kind, months) = chosen(&sent.plan, &sent.months)?;
    let currency = Currency::from_code(&sent.currency).ok_or(Problem::NotFound)?;
    let price = sent.price.parse().map_err(|_| Problem::Unreadable)?;
    let until = match sent.until.as_str() {
        "" => None,
        until => Some(Timestamp(until.parse().map_err(|_| Problem::Unreadable)?)),
    };
    let order = PlanOrder {
        kind,
        months,
        currency,
        reference: &sent.reference,
        ends_another: sent.ends == "yes",
        agreed: Some(AgreedPlan { price: Money::new(price, currency), until }),
    };
    let to = view.here("/plan");
    match view.site.engine.buy_own_plan(permit, &caller, order).await {
        Ok(_) => Ok(done(&to, "plan-bought")),
        Err(StaffRefused::PaymentKnown(_)) => Ok(done(&to, "plan-bought-before")),
        Err(refused) => {
            let wrong = Wrong(said(&view, refused)?);
            page(&view, &session, None, Some(wrong)).await
        }
    }
}

/// Sets whether the plan is renewed by itself.
pub(super) async fn renew(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::BuyPlan>,
    Form(sent): Form<SentRenewal>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let currency = match sent.renewal.as_str() {
        "" => None,
        code => Some(Currency::from_code(code).ok_or(Problem::NotFound)?),
    };
    match view.site.engine.set_own_plan_renewal(permit, &caller, currency).await {
        Ok(()) => Ok(done(&view.here("/plan"), "saved")),
        Err(refused) => {
            let wrong = Wrong(said(&view, refused)?);
            page(&view, &session, None, Some(wrong)).await
        }
    }
}

fn chosen(plan: &str, months: &str) -> Result<(PlanKind, u32), Problem> {
    let kind = PlanKind::from_code(plan).ok_or(Problem::NotFound)?;
    Ok((kind, months.parse().map_err(|_| Problem::NotFound)?))
}

/// What a refusal says.
fn said(view: &View, refused: StaffRefused) -> Result<String, Problem> {
    if let StaffRefused::InsufficientBalance(short) = &refused {
        let available = money(view.words, short.available);
        return Ok(view.words.with("plan.short", &[("available", &available)]));
    }
    if let StaffRefused::NoWallet(_) = refused {
        return Err(Problem::NotFound);
    }
    common::wrong_field(refused)
}

/// Whether whoever is here may buy plans, in the page's environment.
fn may_buy(view: &View, session: &Session) -> bool {
    common::may(session, Act::BuyPlan, view.environment)
}

async fn page(
    view: &View,
    session: &Session,
    check: Option<Check>,
    wrong: Option<Wrong>,
) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let caller = common::caller(view, session)?;
    let currencies = common::currencies(view, &caller).await?;
    let zone = common::zone_of(view, &currencies);
    let account = engine.account(session.account)?.ok_or(Problem::NotFound)?;
    // As they are now: a price counts for the next buyer.
    let terms = engine.plan_terms();
    let may_buy = may_buy(view, session);
    let is_sandbox = common::environment(view) == Environment::Sandbox;
    let may_live = common::may(session, Act::BuyPlan, Some(Environment::Live));
    let has_wrong = wrong.is_some();
    let renewal = engine.plan_renewal(session.account)?;
    let shows_renewal = may_buy && check.is_none() && account.subscription.is_some();
    let page = PlanPage {
        words,
        csrf: &view.csrf,
        summary: wrong
            .map_or_else(ErrorSummary::default, |Wrong(text)| ErrorSummary::whole(words, &text)),
        tiles: tiles(view, account.subscription, zone),
        note: words.t("plan.note"),
        table: table(view, &terms, &currencies),
        choose: (may_buy && check.is_none())
            .then(|| choose(view, &terms, &currencies, account.subscription))
            .flatten(),
        check,
        renewal: shows_renewal.then(|| renewal_form(view, &currencies, renewal)),
        live: match is_sandbox && may_live {
            true => view.at("/live/plan"),
            false => String::new(),
        },
        here: view.here("/plan"),
    };
    let title = words.t("dashboard.plan");
    Ok(if has_wrong { view.wrong(title, &page) } else { view.page(title, &page) })
}

fn name(words: Words, kind: PlanKind) -> &'static str {
    words.t(match kind {
        PlanKind::Starter => "plan.starter",
        PlanKind::Business => "plan.business",
        PlanKind::Enterprise => "plan.enterprise",
    })
}

fn months_label(words: Words, months: u32) -> String {
    match months {
        1 => words.t("plan.one-month").to_owned(),
        _ => words.with("plan.months", &[("n", &number(words, months.into()))]),
    }
}

fn tiles(view: &View, subscription: Option<Subscription>, zone: Zone) -> Vec<Tile> {
    let words = view.words;
    let running = subscription.filter(|s| s.until > view.site.engine.now());
    let tile = |label, value: String, context: String| Tile {
        label: words.t(label).to_owned(),
        value,
        context,
        href: String::new(),
        link: String::new(),
    };
    let until = |until| {
        let until = format::time(words, until, zone);
        words.with("plan.until", &[("until", &until), ("zone", &zone.name)])
    };
    let (plan, context) = match (running, subscription) {
        (Some(running), _) => (name(words, running.plan.kind), until(running.until)),
        (None, Some(over)) => {
            let ended = format::time(words, over.until, zone);
            let ended = words.with("plan.ended", &[("until", &ended), ("zone", &zone.name)]);
            (words.t("plan.no-plan"), ended)
        }
        (None, None) => (words.t("plan.no-plan"), String::new()),
    };
    let per_minute = running.map(|running| running.plan.per_minute());
    let per_minute = per_minute.unwrap_or_else(|| view.site.engine.calls_without_plan());
    let calls = number(words, per_minute.into());
    vec![
        tile("dashboard.plan", plan.to_owned(), context),
        tile("overview.limit", calls, words.t("overview.a-minute").to_owned()),
    ]
}

fn table(view: &View, terms: &[PlanTerms], currencies: &[Currency]) -> Table {
    let words = view.words;
    let columns = vec![
        Column::new(words.t("dashboard.plan")),
        Column::number(words.t("plan.calls")),
        Column::number(words.t("plan.a-month")),
    ];
    let row = |terms: &PlanTerms| {
        let prices = currencies.iter().filter_map(|currency| terms.price(1, *currency));
        let prices: Vec<String> = prices.map(|price| money(words, price)).collect();
        let agreed = || words.t("plan.ask").to_owned();
        let calls = match terms.kind.is_agreed() {
            true => agreed(),
            false => number(words, terms.per_minute.into()),
        };
        Row(vec![
            Cell::text(name(words, terms.kind)),
            Cell::text(calls),
            Cell::text(if prices.is_empty() { agreed() } else { prices.join(" · ") }),
        ])
    };
    let rows = terms.iter().map(row).collect();
    Table::new(words, words.t("plan.caption"), columns)
        .rows(rows)
        .empty(&Empty::new(words.t("plan.none-sold")))
}

/// `None`: nothing is sold in the account's currencies.
fn choose(
    view: &View,
    terms: &[PlanTerms],
    currencies: &[Currency],
    subscription: Option<Subscription>,
) -> Option<Choose> {
    let words = view.words;
    let select = |name, label, options: Vec<SelectOption>, chosen: String| Select {
        name,
        label: words.t(label).to_owned(),
        options,
        chosen,
        error: String::new(),
    };
    let is_sold = |terms: &&PlanTerms| currencies.iter().any(|c| terms.price(1, *c).is_some());
    let option = |terms: &PlanTerms| SelectOption::new(terms.kind.code(), name(words, terms.kind));
    let plans: Vec<_> = terms.iter().filter(is_sold).map(option).collect();
    if plans.is_empty() {
        return None;
    }
    let months =
        MONTHS.map(|months| SelectOption::new(&months.to_string(), &months_label(words, months)));
    let in_currencies = currencies.iter().map(|c| SelectOption::new(c.code(), c.code()));
    let own = subscription.map_or(String::new(), |s| s.plan.code().to_owned());
    let first = currencies.first().map_or(String::new(), |c| c.code().to_owned());
    Some(Choose {
        to: view.here("/plan"),
        plan: select("plan", "dashboard.plan", plans, own),
        months: select("months", "plan.for", months.into(), "1".to_owned()),
        currency: select("currency", "payout.currency", in_currencies.collect(), first),
        has_choice: currencies.len() > 1,
        button: Button::main(words, words.t("plan.check")),
    })
}

fn renewal_form(view: &View, currencies: &[Currency], renewal: Option<Currency>) -> Renewal {
    let words = view.words;
    let mut options = vec![SelectOption::new("", words.t("plan.not-renewed"))];
    options.extend(currencies.iter().map(|currency| {
        let code = currency.code();
        SelectOption::new(code, &words.with("plan.renewed", &[("currency", &code)]))
    }));
    Renewal {
        to: view.here("/plan/renewal"),
        select: Select {
            name: "renewal",
            label: words.t("plan.renewal").to_owned(),
            options,
            chosen: renewal.map_or(String::new(), |currency| currency.code().to_owned()),
            error: String::new(),
        },
        save: Button::other(words, words.t("keys.save")),
    }
}

fn check(
    view: &View,
    offer: PlanOffer,
    asked: Asked,
    kind: PlanKind,
    months: u32,
) -> Result<Check, Problem> {
    let words = view.words;
    let zone = common::zone_of(view, &[offer.price.currency()]);
    let at = |at| format!("{} ({})", format::time(words, at, zone), zone.name);
    let left = offer.available.minor().checked_sub(offer.price.minor());
    let left = left.filter(|left| *left >= 0);
    let fact = |label, value| Fact { label: words.t(label), value };
    let mut facts = vec![
        fact("dashboard.plan", name(words, kind).to_owned()),
        fact("plan.calls", number(words, offer.after.plan.per_minute().into())),
        fact("plan.for", months_label(words, months)),
        fact("plan.price", money(words, offer.price)),
        fact("overview.available", money(words, offer.available)),
    ];
    if let Some(left) = left {
        let left = Money::new(left, offer.price.currency());
        facts.push(fact("plan.after", money(words, left)));
    }
    facts.push(fact("plan.new-end", at(offer.after.until)));
    let warning = offer.ends.map_or(String::new(), |running| {
        let (plan, until) = (name(words, running.plan.kind), at(running.until));
        words.with("plan.ends-other", &[("plan", &plan), ("until", &until)])
    });
    let short = match left {
        Some(_) => String::new(),
        None => words.with("plan.short", &[("available", &money(words, offer.available))]),
    };
    let reference = view.site.engine.random_text(REFERENCE_CHARS);
    Ok(Check {
        facts,
        warning,
        short,
        asked,
        reference: reference.map_err(|_| Problem::Unavailable)?,
        price: offer.price.minor(),
        until: offer.before.map_or(String::new(), |before| before.until.0.to_string()),
        ends: if offer.ends.is_some() { "yes" } else { "" },
        button: Button::main(words, words.t("plan.buy")),
        back: view.here("/plan"),
    })
}
