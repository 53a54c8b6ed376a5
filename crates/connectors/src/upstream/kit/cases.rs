//! Cases as data: what a connector must answer for each reply, run through its two halves.
//!
//! The form is that of the conformance cases in docs/upstreams/: an order, and for each case a
//! step, a reply or a fault, and the outcome. Not here: sockets; a case is about a reading only.

use super::super::kind_of;
use super::driver::without_contradiction;
use super::protocol::{Next, Protocol};
use super::settings::{Secret, UpstreamSettings, UpstreamUnusable};
use super::wire::{CallResult, Lost, WireReply, WireRequest};
use domain::{
    Answer, AttemptRef, BalanceAnswer, BillAnswer, BillEnquiry, Currency, Details, Kind, Money,
    Order, Outcome, ServiceType, SubmitOutcome, Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How many readings one case has at most: each leads to a result or to a further request.
const STEPS_MAX: usize = 4;

/// A file of cases. Other fields are for readers.
#[derive(Deserialize)]
struct CaseFile {
    our_reference: String,
    order: CaseOrder,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct CaseOrder {
    recipient: String,
    amount: String,
    currency: String,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    step: String,
    response: CaseReply,
    outcome: String,
    order: Option<CaseOrder>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct CaseReply {
    status: Option<u16>,
    body: Option<Box<RawValue>>,
    fault: Option<String>,
}

/// A case whose outcome was another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// Its name in the file.
    pub case: String,
    /// What the file says.
    pub expected: String,
    /// What the connector said.
    pub found: String,
}

/// The result of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseReport {
    /// How many cases were as expected.
    pub passed: usize,
    /// All others.
    pub failed: Vec<CaseFailure>,
}

/// Why a file of cases cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CasesUnusable {
    /// It is not JSON of the form, or an order in it is none.
    #[error("the cases cannot be read: {0}")]
    Unreadable(String),
    /// The connector does not open.
    #[error(transparent)]
    Unusable(#[from] UpstreamUnusable),
}

/// Runs a file of cases through the connector of this kind. Nothing is sent. Secrets and map
/// entries that are missing are made up.
pub fn check_cases(
    kind: &str,
    cases: &str,
    settings: &UpstreamSettings,
) -> Result<CaseReport, CasesUnusable> {
    let file: CaseFile =
        serde_json::from_str(cases).map_err(|e| CasesUnusable::Unreadable(e.to_string()))?;
    let mut report = CaseReport::default();
    for case in &file.cases {
        let protocol = protocol_of(kind, settings, &file.settings, &case.settings)?;
        let order = case.order.as_ref().unwrap_or(&file.order);
        let order = order_of(&file.our_reference, order, settings)?;
        let found = found(protocol.as_ref(), &order, case);
        if found == case.outcome {
            report.passed += 1;
        } else {
            let (case, expected) = (case.id.clone(), case.outcome.clone());
            report.failed.push(CaseFailure { case, expected, found });
        }
    }
    Ok(report)
}

/// Our operator and product of all cases.
const OPERATOR: &str = "OPERATOR";
const PRODUCT: &str = "Product";

fn protocol_of(
    kind: &str,
    settings: &UpstreamSettings,
    of_file: &BTreeMap<String, toml::Value>,
    of_case: &BTreeMap<String, toml::Value>,
) -> Result<Box<dyn Protocol>, CasesUnusable> {
    let kind = kind_of(kind)?;
    let mut settings = settings.clone();
    for name in kind.needed_secrets(&settings.file) {
        let made_up = || Secret::new("made-up");
        settings.secrets.entry(name).or_insert_with(made_up);
    }
    let maps = &mut settings.maps;
    maps.operators.entry(OPERATOR.to_owned()).or_insert_with(|| "1".to_owned());
    maps.products.entry(PRODUCT.to_owned()).or_insert_with(|| "1".to_owned());
    if !(of_file.is_empty() && of_case.is_empty()) {
        let unreadable = |e: toml::de::Error| CasesUnusable::Unreadable(e.to_string());
        let mut own: toml::Table = settings.file.parse().map_err(unreadable)?;
        own.extend(of_file.iter().chain(of_case).map(|(n, v)| (n.clone(), v.clone())));
        settings.file = own.to_string();
    }
    Ok((kind.open)(&settings)?)
}

fn order_of(
    reference: &str,
    order: &CaseOrder,
    settings: &UpstreamSettings,
) -> Result<Order, CasesUnusable> {
    let unreadable = |what: &str| CasesUnusable::Unreadable(format!("{what} of an order"));
    let attempt = AttemptRef::parse(reference).ok_or_else(|| unreadable("the reference"))?;
    let currency = Currency::from_code(&order.currency);
    let currency = currency.ok_or_else(|| unreadable("the currency"))?;
    let amount = Money::parse(&order.amount, currency).map_err(|_| unreadable("the amount"))?;
    Ok(Order {
        attempt,
        started_at: Timestamp(0),
        environment: settings.environment,
        operator: OPERATOR.to_owned(),
        product: None,
        kind: Kind::Recharge,
        recipient: order.recipient.clone(),
        amount,
        service_type: ServiceType::Prepaid,
        details: Details::new(),
        reference: reference.to_owned(),
        country: Some("BD".to_owned()),
        international: None,
        upstream_reference: None,
        is_acknowledged: false,
    })
}

/// What the connector says about a case, in the words of the files.
fn found(protocol: &dyn Protocol, order: &Order, case: &Case) -> String {
    let got = match &case.response.fault {
        Some(fault) => Err(Lost { reason: fault.clone() }),
        None => Ok(case.response.reply()),
    };
    match case.step.as_str() {
        "query" => enquiry(protocol, order, got),
        "balance" => balance(protocol, got),
        "lookup" => look_up(protocol, order, got),
        "login" => match &got {
            Ok(reply) => word(protocol.read_login("", reply).is_ok(), "token", "refused"),
            Err(_) => "refused".to_owned(),
        },
        step => submit(protocol, order, step, case, got),
    }
}

fn submit(
    protocol: &dyn Protocol,
    order: &Order,
    step: &str,
    case: &Case,
    got: CallResult,
) -> String {
    if case.response.fault.as_deref() == Some("connect-refused") {
        return Outcome::from(SubmitOutcome::NotSent { reason: String::new() }).code().to_owned();
    }
    let first = protocol.submit(order).unwrap_or_else(|_| WireRequest::get("submit", "/"));
    let step = if step == "submit" { first.step } else { known_step(step) };
    let asked = WireRequest { step, ..first };
    if is_token_refused(protocol, &asked, &got) {
        return "retry-once".to_owned();
    }
    let read = |asked: &WireRequest, got: &CallResult| protocol.read_submit(order, asked, got);
    match end_of(asked, got, read) {
        End::Result(answer) => outcome_word(&Outcome::from(SubmitOutcome::from(answer))),
        End::GoesOn(step) => format!("go on to {step}"),
    }
}

fn enquiry(protocol: &dyn Protocol, order: &Order, got: CallResult) -> String {
    let Some(asked) = protocol.enquiry(order) else {
        let outcome = Outcome::Answered(Answer::Unaskable { reason: String::new() });
        return outcome.code().to_owned();
    };
    if is_token_refused(protocol, &asked, &got) {
        return "retry-once".to_owned();
    }
    let read = |asked: &WireRequest, got: &CallResult| protocol.read_enquiry(order, asked, got);
    match end_of(asked, got, read) {
        End::Result(outcome) => outcome_word(&Outcome::from(without_contradiction(order, outcome))),
        End::GoesOn(step) => format!("go on to {step}"),
    }
}

fn balance(protocol: &dyn Protocol, got: CallResult) -> String {
    let Some(asked) = protocol.balance() else { return "not offered".to_owned() };
    let read = |asked: &WireRequest, got: &CallResult| protocol.read_balance(asked, got);
    match end_of(asked, got, read) {
        End::Result(BalanceAnswer::Reported(balance)) => balance.to_string(),
        End::Result(BalanceAnswer::NotOffered) => "not offered".to_owned(),
        End::Result(BalanceAnswer::Unavailable { .. }) => "unknown".to_owned(),
        End::GoesOn(step) => format!("go on to {step}"),
    }
}

fn look_up(protocol: &dyn Protocol, order: &Order, got: CallResult) -> String {
    let enquiry = BillEnquiry {
        environment: order.environment,
        operator: order.operator.clone(),
        product: PRODUCT.to_owned(),
        recipient: order.recipient.clone(),
        amount: order.amount,
    };
    let Some(asked) = protocol.look_up(&enquiry) else { return "not offered".to_owned() };
    let read = |asked: &WireRequest, got: &CallResult| protocol.read_look_up(&enquiry, asked, got);
    match end_of(asked, got, read) {
        End::Result(BillAnswer::Known(_)) => "found".to_owned(),
        End::Result(BillAnswer::Unknown) => "not_found".to_owned(),
        End::Result(BillAnswer::Unavailable { .. }) => "unknown".to_owned(),
        End::GoesOn(step) => format!("go on to {step}"),
    }
}

/// Where the readings of a case end.
enum End<T> {
    Result(T),
    /// A request that buys would follow.
    GoesOn(&'static str),
}

/// Reads the case's reply. A further request that buys nothing gets no reply: the case has only
/// one.
fn end_of<T>(
    asked: WireRequest,
    got: CallResult,
    read: impl Fn(&WireRequest, &CallResult) -> Next<T>,
) -> End<T> {
    let (mut asked, mut got) = (asked, got);
    for _ in 0..STEPS_MAX {
        match read(&asked, &got) {
            Next::Done(result) => return End::Result(result),
            Next::Then(next) if next.buys => return End::GoesOn(next.step),
            Next::Then(next) => {
                asked = *next;
                got = Err(Lost { reason: "the case has one reply".to_owned() });
            }
        }
    }
    End::GoesOn(asked.step)
}

fn is_token_refused(protocol: &dyn Protocol, asked: &WireRequest, got: &CallResult) -> bool {
    asked.login.is_some() && got.as_ref().is_ok_and(|reply| protocol.is_token_refused(asked, reply))
}

/// The files have one word for both refusals.
fn outcome_word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Answer::RefusedAsRepeat { .. }) => "refused".to_owned(),
        Outcome::Answered(_)
        | Outcome::NotSent { .. }
        | Outcome::NotFound
        | Outcome::Reversed { .. } => outcome.code().to_owned(),
    }
}

/// The steps that files name besides the first one.
fn known_step(step: &str) -> &'static str {
    const STEPS: [&str; 6] = ["pre-auth", "auth", "prepare", "status", "check", "submit"];
    STEPS.into_iter().find(|known| *known == step).unwrap_or("submit")
}

fn word(is: bool, yes: &str, no: &str) -> String {
    if is { yes.to_owned() } else { no.to_owned() }
}

impl CaseReply {
    /// A body that is a JSON text is sent as the text itself, anything else as it stands.
    fn reply(&self) -> WireReply {
        let raw = self.body.as_ref().map_or("", |body| body.get());
        let text = serde_json::from_str::<String>(raw);
        let body = text.unwrap_or_else(|_| if raw == "null" { String::new() } else { raw.into() });
        let status = self.status.unwrap_or(200);
        WireReply { status, body: body.into_bytes(), ..WireReply::default() }
    }
}
