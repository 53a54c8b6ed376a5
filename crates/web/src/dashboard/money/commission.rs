//! The commission: what was earned, and how it is paid out to the wallet: by hand, or by a rule.

use super::super::common;
use super::movements::{Asked, chosen, page_of, table, tile};
use crate::parts::format::latin_digits;
use crate::parts::{Button, ErrorSummary, Field, Select, SelectOption, Table, Tile, money};
use crate::view::{Allowed, Problem, Session, View, done};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Query};
use axum::response::Response;
use domain::{Act, Currency, Money, act};
use engine::{Balance, Caller, CommissionPaid};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    #[serde(alias = "pay-currency", alias = "rule-currency")]
    currency: String,
    /// `never`, `daily`, `from`.
    when: String,
    least: String,
}

/// The forms, for those who may have it paid out.
struct PayOut {
    pay_to: String,
    rule_to: String,
    /// In which currency.
    pay_currency: Select,
    rule_currency: Select,
    /// There is one currency only, so none is asked for.
    currency: Option<String>,
    pay: Button,
    when: Select,
    least: Field,
    save: Button,
}

#[derive(Template)]
#[template(path = "dashboard/money/commission.html")]
struct Commission<'a> {
    words: Words,
    csrf: &'a str,
    summary: ErrorSummary,
    tiles: Vec<Tile>,
    pay_out: Option<PayOut>,
    tables: Vec<Table>,
}

/// What cannot be taken: what was sent, at which field (empty: the whole form), and the words.
struct Wrong {
    sent: Sent,
    field: &'static str,
    text: String,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    page(&view, &session, &asked, None).await
}

/// Pays out all that was earned in a currency.
pub(super) async fn pay(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::RequestMoney>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let currency = own_currency(&view, &caller, &sent).await?;
    let paid = view.site.engine.pay_own_commission(permit, &caller, currency).await;
    let to = view.here("/commission");
    match paid {
        Ok(CommissionPaid::Paid { .. }) => Ok(done(&to, "paid-out")),
        Ok(CommissionPaid::PaidBefore(_)) => Ok(done(&to, "paid-before")),
        Ok(CommissionPaid::Nothing) => Ok(done(&to, "nothing-to-pay")),
        Err(refused) => {
            let wrong = Wrong { sent, field: "", text: common::wrong_field(refused)? };
            page(&view, &session, &Asked::default(), Some(wrong)).await
        }
    }
}

/// Sets when a currency's commission is paid out by itself.
pub(super) async fn rule(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::RequestMoney>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let currency = own_currency(&view, &caller, &sent).await?;
    let least = match sent.when.as_str() {
        "daily" => Money::smallest(currency),
        "from" => match Money::parse(latin_digits(sent.least.trim()).as_str(), currency) {
            Ok(least) => least,
            Err(_) => {
                let text = view.words.t("new.amount-form").to_owned();
                let wrong = Wrong { sent, field: "least", text };
                return page(&view, &session, &Asked::default(), Some(wrong)).await;
            }
        },
        _ => Money::zero(currency),
    };
    match view.site.engine.set_own_commission_rule(permit, &caller, least).await {
        Ok(()) => Ok(done(&view.here("/commission"), "saved")),
        Err(refused) => {
            let wrong = Wrong { sent, field: "least", text: common::wrong_field(refused)? };
            page(&view, &session, &Asked::default(), Some(wrong)).await
        }
    }
}

/// The currency that was sent, if the account has a wallet in it.
async fn own_currency(view: &View, caller: &Caller, sent: &Sent) -> Result<Currency, Problem> {
    let own = common::currencies(view, caller).await?;
    own.into_iter().find(|own| own.code() == sent.currency).ok_or(Problem::NotFound)
}

async fn page(
    view: &View,
    session: &Session,
    asked: &Asked,
    wrong: Option<Wrong>,
) -> Result<Response, Problem> {
    let caller = common::caller(view, session)?;
    let (words, engine) = (view.words, &view.site.engine);
    let rules = engine.commission_rules(session.account)?;
    let (mut tiles, mut tables) = (Vec::new(), Vec::new());
    for currency in chosen(view, &caller, asked).await? {
        let wallet = engine.wallet(&caller, currency).await?;
        let rule = rules.iter().map(|rule| rule.least).find(|l| l.currency() == currency);
        let rule = match rule {
            None => words.t("payout.by-hand").to_owned(),
            Some(least) if least == Money::smallest(currency) => {
                words.t("payout.each-day").to_owned()
            }
            Some(least) => words.with("payout.each-day-from", &[("least", &money(words, least))]),
        };
        let context = words.with("payout.rule-now", &[("rule", &rule)]);
        tiles.push(Tile { context, ..tile(words, "money.commission", wallet.commission) });
        let lines =
            engine.statement(&caller, currency, Balance::Commission, page_of(asked)).await?;
        tables.push(table(view, "/commission", currency, lines, asked));
    }
    let may_pay = common::may(session, Act::RequestMoney, view.environment);
    let currencies = common::currencies(view, &caller).await?;
    let (sent, field, text) = match wrong {
        Some(Wrong { sent, field, text }) => (sent, field, text),
        None => (Sent::default(), "", String::new()),
    };
    let error = if field == "least" { text.as_str() } else { "" };
    let least = Field::new("least", words.t("payout.least")).optional().inputmode("decimal");
    let least = least.autocomplete("off").value(&sent.least).error(error);
    let page = Commission {
        words,
        csrf: &view.csrf,
        summary: match (text.is_empty(), field) {
            (true, _) => ErrorSummary::default(),
            (false, "") => ErrorSummary::whole(words, &text),
            (false, _) => ErrorSummary::of(words, &[&least]),
        },
        tiles,
        pay_out: (may_pay && !currencies.is_empty())
            .then(|| pay_out(view, &currencies, &sent, least)),
        tables,
    };
    let title = words.t("dashboard.commission");
    Ok(if text.is_empty() { view.page(title, &page) } else { view.wrong(title, &page) })
}

fn pay_out(view: &View, currencies: &[Currency], sent: &Sent, least: Field) -> PayOut {
    let words = view.words;
    let options = || currencies.iter().map(|c| SelectOption::new(c.code(), c.code())).collect();
    let select = |name| Select {
        name,
        label: words.t("payout.currency").to_owned(),
        options: options(),
        chosen: sent.currency.clone(),
        error: String::new(),
    };
    let when = [("never", "payout.by-hand"), ("daily", "payout.each-day"), ("from", "payout.from")];
    PayOut {
        pay_to: view.here("/commission/pay"),
        rule_to: view.here("/commission/rule"),
        pay_currency: select("pay-currency"),
        rule_currency: select("rule-currency"),
        currency: match currencies {
            [one] => Some(one.code().to_owned()),
            _ => None,
        },
        pay: Button::main(words, words.t("payout.pay")),
        when: Select {
            name: "when",
            label: words.t("payout.when").to_owned(),
            options: when.iter().map(|(code, key)| SelectOption::new(code, words.t(key))).collect(),
            chosen: sent.when.clone(),
            error: String::new(),
        },
        least,
        save: Button::other(words, words.t("keys.save")),
    }
}
