//! A new purchase: the price first, then the purchase.
//!
//! The form has a reference that the server made: sent twice, it is one purchase. What was sold a
//! moment ago is sold again only after a question. Invariant: what is bought is what the form of
//! the price said; it is checked anew.

use super::super::common;
use crate::parts::{Button, ErrorSummary, Field, Select, SelectOption, format, money};
use crate::view::{Allowed, Problem, Session, View, done, go};
use crate::words::Words;
use askama::Template;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::response::Response;
use domain::purchase::is_reference;
use domain::refusal::BuyRefused;
use domain::{
    AmountError, Catalog, Details, DuplicatePolicy, Environment, Kind, Money, Operator,
    OutOfLimits, ReferenceScope, Refused as _, Service, ServiceType, act,
};
use engine::{Caller, PurchaseOutcome, PurchaseRequest};
use serde::Deserialize;

/// Characters of a reference that the form has: no two are alike.
const REFERENCE_CHARS: usize = 16;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    reference: String,
    operator: String,
    number: String,
    amount: String,
    service: String,
    /// `yes`: the reader was asked about the same sale a moment ago, and wants it once more.
    again: String,
}

impl Asked {
    fn wants_again(&self) -> bool {
        self.again == "yes"
    }
}

/// The same sale a moment ago.
struct Earlier {
    text: String,
    reference: String,
    href: String,
}

struct Fact {
    label: String,
    value: String,
}

#[derive(Template)]
#[template(path = "dashboard/transactions/new.html")]
struct New {
    words: Words,
    csrf: String,
    ask: String,
    buy: String,
    again: String,
    is_sandbox: bool,
    summary: ErrorSummary,
    asked: Asked,
    price: Option<Vec<Fact>>,
    earlier: Option<Earlier>,
    operator: Select,
    number: Field,
    amount: Field,
    service: Select,
    button: Button,
}

/// What is wrong with a field: its name and the words.
type Wrong = (&'static str, String);

pub(super) async fn show(
    view: View,
    session: Session,
    Query(mut asked): Query<Asked>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let random = view.site.engine.random_text(REFERENCE_CHARS);
    asked.reference = format!("web-{}", random.map_err(|_| Problem::Unavailable)?);
    let page = page(&view, &caller, asked, &[]).await?;
    Ok(view.page(view.words.t("new.title"), &page))
}

pub(super) async fn price(
    view: View,
    session: Session,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let caller = common::caller(&view, &session)?;
    let request = match request(&view, caller, &asked) {
        Ok(request) => request,
        Err(wrong) => return refused(&view, &caller, asked, &wrong).await,
    };
    let mut page = page(&view, &caller, asked, &[]).await?;
    page.price = Some(facts(&view, &request).await?);
    page.button = Button::main(view.words, view.words.t("new.buy"));
    Ok(view.page(view.words.t("new.check"), &page))
}

pub(super) async fn buy(
    view: View,
    session: Session,
    Allowed(permit): Allowed<act::Buy>,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let seen = common::caller(&view, &session)?;
    let caller = match common::buyer(&view, &session).await {
        Ok(caller) => ask_about_duplicates(caller),
        Err(Problem::TooMany { .. }) => {
            return not_bought(&view, &seen, asked, "RATE_LIMIT_EXCEEDED").await;
        }
        Err(problem) => return Err(problem),
    };
    let request = match request(&view, caller, &asked) {
        Ok(request) => request,
        Err(wrong) => return refused(&view, &caller, asked, &wrong).await,
    };
    let one = |id: &domain::PurchaseId| view.here(&format!("/transactions/{id}"));
    match view.site.engine.purchase(permit, request.clone()).await {
        Ok(PurchaseOutcome::Bought { purchase, .. }) => Ok(done(&one(&purchase.key.id), "bought")),
        Ok(PurchaseOutcome::Repeated { purchase, .. }) => Ok(go(&one(&purchase.key.id))),
        // The form was sent twice: both lead to the one purchase.
        Err(BuyRefused::ReferenceKnown(known)) => match known.first {
            Some(first) => Ok(go(&one(&first.key.id))),
            None => Ok(go(&view.here("/new"))),
        },
        Err(BuyRefused::PossibleDuplicate(same)) => {
            warn(&view, &request, asked, same.earlier).await
        }
        Err(refusal) => not_bought(&view, &caller, asked, refusal.code()).await,
    }
}

/// A person is asked before the same is sold again, unless the account wants to hear nothing of it.
fn ask_about_duplicates(caller: Caller) -> Caller {
    let duplicates = match caller.duplicates {
        DuplicatePolicy::Off => DuplicatePolicy::Off,
        DuplicatePolicy::Mark | DuplicatePolicy::Refuse => DuplicatePolicy::Refuse,
    };
    Caller { duplicates, ..caller }
}

/// The same was sold a moment ago: asks whether it is to be sold once more.
async fn warn(
    view: &View,
    request: &PurchaseRequest,
    asked: Asked,
    reference: String,
) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let found = engine.purchase_by_reference(&request.caller, request.scope, &reference).await;
    let href = found.map_or_else(
        |_| view.here("/transactions"),
        |earlier| view.here(&format!("/transactions/{}", earlier.key.id)),
    );
    let again = Asked { again: "yes".to_owned(), ..asked };
    let mut page = page(view, &request.caller, again, &[]).await?;
    page.price = Some(facts(view, request).await?);
    page.earlier = Some(Earlier { text: words.t("new.same-text").to_owned(), reference, href });
    page.button = Button::main(words, words.t("new.buy-again"));
    Ok(view.page(words.t("new.same"), &page))
}

/// The form with the reason why nothing was bought.
async fn not_bought(
    view: &View,
    caller: &Caller,
    asked: Asked,
    code: &str,
) -> Result<Response, Problem> {
    let status = match code {
        "NO_ACTIVE_SUBSCRIPTION" => StatusCode::PAYMENT_REQUIRED,
        "RATE_LIMIT_EXCEEDED" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let text = why(view.words, code).to_owned();
    let page = page(view, caller, asked, &[("", text)]).await?;
    let title = format!("{} {}", view.words.t("error.title"), view.words.t("new.title"));
    Ok(view.page_with(status, &title, &page))
}

/// Why nothing was bought, in words.
fn why(words: Words, code: &str) -> &str {
    match code {
        "INSUFFICIENT_BALANCE" => words.t("new.too-poor"),
        "NO_ACTIVE_SUBSCRIPTION" => words.t("new.no-plan"),
        "ACCOUNT_NOT_APPROVED" => words.t("new.not-approved"),
        "NO_WALLET" => words.t("new.no-wallet"),
        "RATE_LIMIT_EXCEEDED" => words.t("new.too-fast"),
        "OUTCOME_UNKNOWN" => words.t("new.unknown"),
        "TEMPORARILY_UNAVAILABLE" => words.t("new.unavailable"),
        _ => words.t("new.refused"),
    }
}

async fn refused(
    view: &View,
    caller: &Caller,
    asked: Asked,
    wrong: &[Wrong],
) -> Result<Response, Problem> {
    let page = page(view, caller, asked, wrong).await?;
    let title = format!("{} {}", view.words.t("error.title"), view.words.t("new.title"));
    Ok(view.page_with(StatusCode::UNPROCESSABLE_ENTITY, &title, &page))
}

/// The purchase that the form asks for, or every wrong field.
fn request(view: &View, caller: Caller, asked: &Asked) -> Result<PurchaseRequest, Vec<Wrong>> {
    let words = view.words;
    let catalog = view.site.engine.catalog();
    let mut wrong = Vec::new();
    let operator = sold(&catalog).find(|operator| operator.code == asked.operator);
    if operator.is_none() {
        wrong.push(("operator", words.t("new.choose-operator").to_owned()));
    }
    let country = operator.and_then(|operator| catalog.country_of(operator));
    let number = format::latin_digits(&asked.number);
    let recipient = country.and_then(|country| country.numbering.national(&number).ok());
    if recipient.is_none() && country.is_some() {
        wrong.push(("number", words.t("new.number-wrong").to_owned()));
    }
    let service = ServiceType::from_code(&asked.service).unwrap_or(ServiceType::Prepaid);
    let typed = format::latin_digits(asked.amount.trim());
    let amount = country.map(|country| Money::parse(&typed, country.currency));
    let amount = match (amount, operator) {
        (Some(Ok(amount)), Some(operator)) => match limits(words, operator, amount, service) {
            None => Some(amount),
            Some(text) => {
                wrong.push(("amount", text));
                None
            }
        },
        (Some(Err(AmountError::Form | AmountError::Decimals)), _) => {
            wrong.push(("amount", words.t("new.amount-form").to_owned()));
            None
        }
        (Some(Err(AmountError::Zero)), _) => {
            wrong.push(("amount", words.t("new.amount-zero").to_owned()));
            None
        }
        (Some(Err(AmountError::TooLarge)), _) => {
            wrong.push(("amount", words.t("new.amount-large").to_owned()));
            None
        }
        (Some(Ok(_)) | None, _) => None,
    };
    if !is_reference(&asked.reference) {
        wrong.push(("", words.t("problem.form-text").to_owned()));
    }
    match (operator, recipient, amount) {
        (Some(operator), Some(recipient), Some(amount)) if wrong.is_empty() => {
            Ok(PurchaseRequest {
                caller,
                scope: ReferenceScope::Irecharge,
                kind: match operator.service {
                    Service::MobileBanking => Kind::Banking,
                    Service::MobileRecharge | Service::BillPayment => Kind::Recharge,
                },
                operator: operator.code.clone(),
                product: None,
                recipient,
                service_type: service,
                amount,
                reference: asked.reference.clone(),
                details: Details::new(),
                webhook_url: None,
                digest: None,
                idempotency: None,
                allow_duplicate: asked.wants_again(),
            })
        }
        _ => Err(wrong),
    }
}

/// Who sells recharges here.
fn sold(catalog: &Catalog) -> impl Iterator<Item = &Operator> {
    catalog.operators.iter().filter(|o| o.is_active && o.service == Service::MobileRecharge)
}

fn limits(
    words: Words,
    operator: &Operator,
    amount: Money,
    service: ServiceType,
) -> Option<String> {
    match operator.check(amount, service) {
        Ok(()) => None,
        Err(OutOfLimits::Below(least)) => {
            Some(words.with("new.too-little", &[("least", &money(words, least))]))
        }
        Err(OutOfLimits::Above(most)) => {
            Some(words.with("new.too-much", &[("most", &money(words, most))]))
        }
        Err(OutOfLimits::NotSold) => Some(words.t("new.not-sold").to_owned()),
    }
}

/// What it costs, earns and leaves.
async fn facts(view: &View, request: &PurchaseRequest) -> Result<Vec<Fact>, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let PurchaseRequest { caller, operator, kind, amount, recipient, .. } = request;
    let price = engine.price_now(caller, operator, *kind, *amount).ok_or(Problem::Unreadable)?;
    let total = amount.plus(price.fee).ok_or(Problem::Unreadable)?;
    let available = engine.balance(caller, amount.currency()).await?;
    let left = available.minus(total).unwrap_or(Money::zero(amount.currency()));
    let fact = |key: &str, value: String| Fact { label: words.t(key).to_owned(), value };
    let name = engine.catalog().operator_by_code(operator).map(|o| o.name.clone());
    Ok(vec![
        fact("transactions.operator", name.unwrap_or_else(|| operator.clone())),
        fact("transactions.number", recipient.clone()),
        fact("transactions.amount", money(words, *amount)),
        fact("transactions.fee", money(words, price.fee)),
        fact("one.total", money(words, total)),
        fact("one.commission", money(words, price.commission)),
        fact("new.left", money(words, left)),
    ])
}

/// Prepaid or postpaid.
fn service(words: Words, chosen: &str) -> Select {
    Select {
        name: "service",
        label: words.t("new.service").to_owned(),
        options: vec![
            SelectOption::new("prepaid", words.t("new.prepaid")),
            SelectOption::new("postpaid", words.t("new.postpaid")),
        ],
        chosen: chosen.to_owned(),
        error: String::new(),
    }
}

async fn page(view: &View, caller: &Caller, asked: Asked, wrong: &[Wrong]) -> Result<New, Problem> {
    let words = view.words;
    let catalog = view.site.engine.catalog();
    let currencies = common::currencies(view, caller).await?;
    let error = |name: &str| {
        let found = wrong.iter().find(|(field, _)| *field == name);
        found.map_or_else(String::new, |(_, text)| text.clone())
    };
    let can_buy = |operator: &&Operator| {
        catalog.country_of(operator).is_some_and(|c| currencies.contains(&c.currency))
    };
    let mut operators = vec![SelectOption::new("", words.t("new.choose"))];
    operators.extend(sold(&catalog).filter(can_buy).map(|o| SelectOption::new(&o.code, &o.name)));
    let operator = Select {
        name: "operator",
        label: words.t("transactions.operator").to_owned(),
        options: operators,
        chosen: asked.operator.clone(),
        error: error("operator"),
    };
    let number = Field { kind: "tel", ..Field::new("number", words.t("transactions.number")) }
        .hint(words.t("new.number-hint"))
        .inputmode("tel")
        .autocomplete("off")
        .value(&asked.number)
        .error(&error("number"));
    let amount = Field::new("amount", words.t("transactions.amount"))
        .inputmode("decimal")
        .autocomplete("off")
        .value(&asked.amount)
        .error(&error("amount"));
    let service = service(words, &asked.service);
    let whole = error("");
    let as_field = Field { name: "operator", error: operator.error.clone(), ..Field::default() };
    let summary = match whole.is_empty() {
        false => ErrorSummary::whole(words, &whole),
        true if wrong.is_empty() => ErrorSummary::default(),
        true => ErrorSummary::of(words, &[&as_field, &number, &amount]),
    };
    let (operator_code, to, typed) = (&asked.operator, &asked.number, &asked.amount);
    let same = [
        ("operator", operator_code),
        ("number", to),
        ("amount", typed),
        ("service", &asked.service),
    ];
    let same: Vec<(&str, &str)> = same.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Ok(New {
        words,
        csrf: view.csrf.clone(),
        ask: view.here("/new/price"),
        buy: view.here("/new"),
        again: format!("{}{}", view.here("/new"), common::query(&same)),
        is_sandbox: common::environment(view) == Environment::Sandbox,
        summary,
        price: None,
        earlier: None,
        operator,
        number,
        amount,
        service,
        button: Button::main(words, words.t("new.price")),
        asked,
    })
}
