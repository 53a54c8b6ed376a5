//! The offer explorer: operators, the offers for a number, and every request that buys one.
//!
//! Who is logged in asks the own sandbox; everybody else sees the answers that the sandbox gave
//! when they were recorded. Invariant: looking buys nothing.

mod recorded;

use super::facts::Facts;
use super::fields;
use super::run::{Answered, Call, call};
use super::sample::{Sample, SampleLanguage, query_text};
use super::{keys_of, tabs};
use crate::parts::{Code, Markup};
use crate::view::{Problem, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use domain::{OfferForm, Operator, Service};
use recorded::RECORDED;
use serde::Deserialize;
use serde_json::Value;

/// Where offers are asked for, and where they are bought.
const OFFERS: &str = "/api/billing/recharge/offers";
const PURCHASE: &str = "/api/billing/recharge/offers/purchase";
/// The operator that is chosen first.
const FIRST_OPERATOR: &str = "BL";
/// Every identifier that an offer may have, as its purchase wants it (CONTRACT A-07).
const IDENTIFIERS: [&str; 6] =
    ["ticketId", "offerId", "campaignId", "sessionContext", "optInKeyword", "tranId"];

/// What the address asks for.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    offer: String,
    #[serde(default)]
    lang: String,
}

struct ListedOperator {
    name: String,
    code: String,
    logo: String,
    href: String,
    is_current: bool,
}

struct ListedOffer {
    title: String,
    amount: String,
    validity: String,
    category: String,
    commission: String,
    href: String,
    is_current: bool,
}

/// The chosen offer, and how it is bought.
struct Chosen {
    heading: String,
    identifiers: Vec<&'static str>,
    body: Code,
    code: Code,
    answer: Option<Code>,
    refused: Option<Code>,
    /// What the refused request lacks.
    without: String,
    run: String,
}

#[derive(Template)]
#[template(path = "docs/offers/offers.html")]
struct Explorer {
    words: Words,
    menu: Markup,
    asked: Asked,
    operators: Vec<ListedOperator>,
    operator_name: String,
    operator_line: String,
    operator_sent: String,
    number: String,
    has_offers: bool,
    is_recorded: bool,
    recorded_line: String,
    none_line: String,
    log_in: &'static str,
    request: Code,
    response: Option<Code>,
    offers: Vec<ListedOffer>,
    chosen: Option<Chosen>,
}

/// `GET /docs/offers`
pub(super) async fn show(view: View, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let catalog = view.site.engine.catalog();
    let sold = catalog.operators.iter().filter(|operator| {
        operator.service == Service::MobileRecharge
            && operator.is_active
            && operator.country == "BD"
    });
    let all: Vec<&Operator> = sold.collect();
    let wanted = if asked.operator.is_empty() { FIRST_OPERATOR } else { &asked.operator };
    let chosen = all.iter().find(|operator| operator.is_called(wanted)).or(all.first());
    let operator = *chosen.ok_or(Problem::NotFound)?;
    let page = Page { view: &view, operator, all: &all, asked };
    let explorer = page.explorer().await;
    Ok(view.page(view.words.t("docs.offers"), &explorer))
}

struct Page<'a> {
    view: &'a View,
    operator: &'a Operator,
    all: &'a [&'a Operator],
    asked: Asked,
}

impl Page<'_> {
    fn facts(&self) -> &Facts {
        &self.view.site.facts
    }

    fn language(&self) -> SampleLanguage {
        SampleLanguage::of(&self.asked.lang)
    }

    /// This page with one parameter changed. Another operator has other offers.
    fn href(&self, name: &str, value: &str) -> String {
        let Asked { q, operator: _, number, offer, lang } = &self.asked;
        let mut pairs = Vec::new();
        let others = [
            ("q", q.as_str()),
            ("operator", &self.operator.code),
            ("number", number),
            ("offer", if name == "operator" { "" } else { offer }),
            ("lang", lang),
        ];
        for (key, old) in others {
            let value = if key == name { value } else { old };
            if !value.is_empty() {
                pairs.push((key.to_owned(), value.to_owned()));
            }
        }
        format!("/docs/offers{}", query_text(&pairs))
    }

    async fn explorer(self) -> Explorer {
        let words = self.view.words;
        let typed = crate::parts::format::latin_digits(self.asked.number.trim());
        let is_recorded = self.view.caller().is_none();
        let number = match typed.as_str() {
            "" => RECORDED.number.clone(),
            _ if is_recorded => RECORDED.number.clone(),
            typed => typed.to_owned(),
        };
        let has_offers = self.operator.offers.is_some();
        let sent = self.operator.aliases.first().cloned();
        let sent = sent.unwrap_or_else(|| self.operator.code.to_lowercase());
        let answered = match (has_offers, is_recorded) {
            (false, _) => None,
            (true, true) => RECORDED.offers(&self.operator.code),
            (true, false) => Some(self.ask(&sent, &number).await),
        };
        let request = self.code("request", &self.offers_request(&sent, &number));
        let mut page = Explorer {
            words,
            menu: super::menu_of(self.view, "offers"),
            operators: self.operators(),
            operator_name: self.operator.name.clone(),
            operator_line: format!("Bangladesh / {sent}"),
            operator_sent: sent,
            number,
            has_offers,
            is_recorded,
            recorded_line: words.with("offers.recorded", &[("number", &RECORDED.number)]),
            none_line: words.with("offers.has-none", &[("operator", &self.operator.name)]),
            log_in: "/dashboard/log-in",
            request,
            response: answered.as_ref().map(|answered| self.json("response", answered)),
            offers: Vec::new(),
            chosen: None,
            asked: Asked::default(),
        };
        if let Some(answered) = answered {
            let offers = answered.json["offers"].as_array().cloned().unwrap_or_default();
            let named = offers.iter().find(|offer| offer["id"] == self.asked.offer.as_str());
            let chosen = named.or(offers.first());
            page.offers = offers.iter().map(|offer| self.listed(offer, chosen)).collect();
            if let (Some(offer), Some(form)) = (chosen, self.operator.offers) {
                page.chosen = Some(self.chosen(offer, form).await);
            }
        }
        page.asked = self.asked;
        page
    }

    fn operators(&self) -> Vec<ListedOperator> {
        let filter = self.asked.q.trim().to_lowercase();
        let fits = |operator: &&&Operator| {
            let texts = operator.aliases.iter().chain([&operator.code, &operator.name]);
            filter.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(&filter))
        };
        let listed = self.all.iter().filter(fits).map(|operator| ListedOperator {
            name: operator.name.clone(),
            code: operator.code.clone(),
            logo: format!("/operator_logo/{}", operator.logo),
            href: self.href("operator", &operator.code),
            is_current: operator.code == self.operator.code,
        });
        listed.collect()
    }

    fn offers_request(&self, operator: &str, number: &str) -> Sample {
        let pairs = [("number", number), ("operator", operator)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let keys = keys_of(self.view);
        Sample {
            method: "GET".to_owned(),
            url: format!("{}{OFFERS}{}", self.facts().base_url, query_text(&pairs)),
            headers: keys_headers(keys.open_key, keys.secret_key),
            body: None,
        }
    }

    async fn ask(&self, operator: &str, number: &str) -> Answered {
        let pairs = [("number", number), ("operator", operator)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        call(self.view, Call::get(format!("{OFFERS}{}", query_text(&pairs)))).await
    }

    fn listed(&self, offer: &Value, chosen: Option<&Value>) -> ListedOffer {
        let text = |name: &str| offer[name].as_str().unwrap_or_default().to_owned();
        let title = match self.view.words.language {
            crate::words::Language::Bangla => text("titleBn"),
            crate::words::Language::English => text("title"),
        };
        ListedOffer {
            title,
            amount: offer["amount"].to_string(),
            validity: text("validity"),
            category: text("category"),
            commission: offer["commission"].to_string(),
            href: format!("{}#purchase", self.href("offer", &text("id"))),
            is_current: chosen.is_some_and(|chosen| chosen["id"] == offer["id"]),
        }
    }

    async fn chosen(&self, offer: &Value, form: OfferForm) -> Chosen {
        let body = body_of(offer);
        let keys = keys_of(self.view);
        let mut headers = keys_headers(keys.open_key, keys.secret_key);
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        let sample = Sample {
            method: "POST".to_owned(),
            url: format!("{}{PURCHASE}", self.facts().base_url),
            headers,
            body: Some(body.clone()),
        };
        let id = offer["id"].as_str().unwrap_or_default();
        let naming = form.required().first().copied().unwrap_or_default();
        let without = body.iter().filter(|(name, _)| name != naming).cloned().collect();
        let refused = match self.view.caller() {
            // Nothing is bought without the identifier that names the offer.
            Some(_) => Some(call(self.view, Call::post(PURCHASE, object(without))).await),
            None => RECORDED.refused(&self.operator.code),
        };
        let recorded = RECORDED.purchase(&self.operator.code, id);
        let (words, title) = (self.view.words, offer["title"].as_str().unwrap_or_default());
        let json = sample.json().unwrap_or_default();
        let run =
            [("operation".to_owned(), "buy_offer".to_owned()), ("body".to_owned(), json.clone())];
        Chosen {
            heading: words.with("offers.buy", &[("offer", &title)]),
            identifiers: form.required().to_vec(),
            body: Code::new(self.view.words, "purchase-body", "JSON", &json),
            code: self.code("purchase-request", &sample),
            answer: recorded.map(|answered| self.json("purchase-response", &answered)),
            refused: refused.map(|answered| self.json("purchase-error", &answered)),
            without: words.with("offers.without", &[("name", &naming)]),
            run: format!("/docs/run{}", query_text(&run)),
        }
    }

    fn code(&self, id: &str, sample: &Sample) -> Code {
        let language = self.language();
        let text = sample.in_language(language);
        let code = Code::new(self.view.words, id, language.name(), &text);
        let href =
            |language: SampleLanguage| format!("{}#{id}", self.href("lang", language.code()));
        Code { tabs: tabs(language, href), ..code }
    }

    fn json(&self, id: &str, answered: &Answered) -> Code {
        let api = &self.facts().billing;
        let operation = if id == "response" { "offers" } else { "buy_offer" };
        let answer = api.operation(operation).map(|found| found.answer());
        let error = &api.document["components"]["schemas"]["Error"];
        let schema = if answered.status == 200 { answer.unwrap_or(&Value::Null) } else { error };
        let text = fields::pretty(api, schema, &answered.json);
        Code::new(self.view.words, id, &format!("HTTP {}", answered.status), &text)
    }
}

fn keys_headers(open_key: String, secret_key: String) -> Vec<(String, String)> {
    vec![("X-Open-Key".to_owned(), open_key), ("X-Authorization".to_owned(), secret_key)]
}

/// What buys this offer: its own fields, and a reference.
fn body_of(offer: &Value) -> Vec<(String, Value)> {
    let mut body: Vec<(String, Value)> = Vec::new();
    let names = ["operator", "number", "amount"].into_iter().chain(IDENTIFIERS);
    for name in names {
        if !offer[name].is_null() {
            body.push((name.to_owned(), offer[name].clone()));
        }
    }
    body.push(("reference".to_owned(), Value::from("BILL-20260204-0003")));
    body
}

fn object(fields: Vec<(String, Value)>) -> String {
    Value::Object(fields.into_iter().collect()).to_string()
}
