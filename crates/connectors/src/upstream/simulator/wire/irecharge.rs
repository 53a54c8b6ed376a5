//! iRecharge Pro as a server: recharges, offers, status checks, balance.
//!
//! It takes any keys. `ok_test_` keys are the sandbox: ordinary numbers succeed by random choice.

use super::{
    Book, Booked, Bought, OrderStatus, Placed, ServiceSettings, SimulatedCall, SimulatedReply,
    SimulatedService, json, money_of, number, order, reply_or_lost, text_of,
};
use crate::upstream::simulator::script::Script;
use domain::{
    Answer, AttemptRef, Currency, EnquiryOutcome, Environment, Kind, Money, OfferEnquiry,
};
use serde_json::{Value, json};
use std::io;

/// Of an amount, in millionths: as the document's samples charge.
const FEE_PPM: i64 = 50_000;

struct IrechargeService {
    book: Book,
}

pub(super) fn open(settings: ServiceSettings) -> io::Result<Box<dyn SimulatedService>> {
    Ok(Box::new(IrechargeService { book: Book::open(settings, "irecharge")? }))
}

impl SimulatedService for IrechargeService {
    fn answer(&self, call: &SimulatedCall) -> SimulatedReply {
        let Some(environment) = environment_of(call) else {
            let text = "Missing headers: X-Open-Key and X-Authorization are required.";
            return refused(401, text);
        };
        let post = call.method == "POST";
        match call.path.as_str() {
            path if path.ends_with("/service-requests/recharge/normal") && post => {
                self.buy(call, environment, Kind::Recharge)
            }
            path if path.ends_with("/recharge/offers/purchase") && post => {
                self.buy(call, environment, Kind::Offer)
            }
            path if path.ends_with("/recharge/offers") => self.offers(call, environment),
            path if path.ends_with("/transactions/status/check") => self.check(call),
            path if path.ends_with("/balance") => {
                let left = self.book.float_minor(cost);
                let balance = Money::new(left, Currency::BDT).exact();
                json(200, &json!({ "balance": balance, "currency": "BDT" }))
            }
            _ => refused(404, "Not found"),
        }
    }

    fn may_be_lost(&self, call: &SimulatedCall) -> bool {
        !call.path.ends_with("/balance")
    }
}

impl IrechargeService {
    fn buy(&self, call: &SimulatedCall, environment: Environment, kind: Kind) -> SimulatedReply {
        let body = call.json();
        let field = |name| text_of(&body, name);
        let reference = field("reference").or_else(|| field("client_reference"));
        let attempt = reference.as_deref().and_then(AttemptRef::parse);
        let Some(attempt) = attempt else {
            return refused(422, "The reference must be an attempt's, such as S1042-1.");
        };
        let (Some(number), Some(operator)) = (field("number"), field("operator")) else {
            return refused(422, "The number and operator fields are required.");
        };
        let Some(amount) = money_of(&body, "amount", Currency::BDT) else {
            return refused(422, "The amount field must be a number.");
        };
        if !amount.is_positive() {
            return refused(422, "The amount field must be more than 0.");
        }
        let operator = operator.to_uppercase();
        let bought = Bought { kind, operator: &operator };
        let order = order(attempt, environment, bought, &number, amount);
        match self.book.place(order) {
            Placed::New(booked, state) => reply(&booked, &state),
            Placed::Used => {
                refused(422, "Reference already exists. Please send a unique reference.")
            }
            Placed::NotRead(Script::Down) => refused(402, "No active API subscription found."),
            Placed::NotRead(_) => SimulatedReply::Nothing,
            Placed::Broken => refused(500, "Server Error"),
        }
    }

    fn check(&self, call: &SimulatedCall) -> SimulatedReply {
        let body = call.json();
        let own = call.value("reference").map(str::to_owned);
        let reference = own.or_else(|| text_of(&body, "reference")).unwrap_or_default();
        let theirs = call.value("transaction_id").map(str::to_owned);
        let theirs = theirs.or_else(|| text_of(&body, "transaction_id")).unwrap_or_default();
        let found = self.book.find(&reference).or_else(|| self.book.find_theirs(&theirs));
        let Some(booked) = found else {
            return refused(404, "Transaction not found for provided identifier.");
        };
        if booked.script == Script::Mute {
            return refused(500, "Server Error");
        }
        let (status, is_final) = status_of(&self.book.state(&booked));
        json(
            200,
            &json!({
                "success": true,
                "message": "Transaction status fetched successfully.",
                "data": {
                    "transactionId": booked.theirs(),
                    "reference": booked.order.attempt.to_string(),
                    "status": status,
                    "isFinal": is_final,
                    "amount": number(booked.order.amount),
                    "fee": number(fee(&booked)),
                    "commission": 0,
                    "service": {
                        "type": "recharge",
                        "status": status,
                        "number": booked.order.recipient,
                    },
                    "operator": { "code": booked.order.operator, "name": booked.order.operator },
                    "decision": { "mode": "auto" },
                },
            }),
        )
    }

    fn offers(&self, call: &SimulatedCall, environment: Environment) -> SimulatedReply {
        let operator = call.value("operator").unwrap_or_default().to_uppercase();
        let recipient = call.value("number").unwrap_or_default().to_owned();
        let enquiry = OfferEnquiry { environment, operator: operator.clone(), recipient };
        let Ok(offers) = self.book.simulator.shared.offers.quote(&enquiry) else {
            return refused(422, "No offers.");
        };
        let each = offers.iter().enumerate().map(|(index, offer)| {
            let mut fields = json!({
                "id": index + 1,
                "amount": number(offer.amount),
                "title": offer.title,
                "titleBn": offer.title_local,
                "validity": offer.validity,
                "category": offer.category,
                "commission": 0,
                "operator": operator.to_lowercase(),
            });
            if let Value::Object(fields) = &mut fields {
                let named = offer.identifiers.iter();
                fields.extend(named.map(|(name, value)| (name.clone(), json!(value))));
            }
            fields
        });
        let offers: Vec<Value> = each.collect();
        json(200, &json!({ "operator": operator.to_lowercase(), "offers": offers }))
    }
}

fn environment_of(call: &SimulatedCall) -> Option<Environment> {
    let (open, secret) = (call.header("x-open-key"), call.header("x-authorization"));
    match (open.is_empty() || secret.is_empty(), open.starts_with("ok_test_")) {
        (true, _) => None,
        (false, true) => Some(Environment::Sandbox),
        (false, false) => Some(Environment::Live),
    }
}

/// What an order takes from the balance.
fn cost(booked: &Booked) -> Money {
    let amount = booked.order.amount;
    amount.plus(fee(booked)).unwrap_or(amount)
}

fn fee(booked: &Booked) -> Money {
    booked.order.amount.share(FEE_PPM).unwrap_or(booked.order.amount)
}

fn reply(booked: &Booked, state: &EnquiryOutcome) -> SimulatedReply {
    let (status, _) = status_of(state);
    let text = match state {
        EnquiryOutcome::Answered(Answer::Delivered { text, .. }) => text.clone(),
        EnquiryOutcome::Answered(_)
        | EnquiryOutcome::NotFound
        | EnquiryOutcome::Reversed { .. } => None,
    };
    let body = json!({
        "success": true,
        "message": text.unwrap_or_else(|| format!("Recharge {status}")),
        "billing": {
            "reference": booked.order.attempt.to_string(),
            "status": status,
            "rechargeType": if booked.order.kind == Kind::Offer { "offer" } else { "normal" },
            "number": booked.order.recipient,
            "amount": number(booked.order.amount),
            "fee": number(fee(booked)),
            "commission": 0,
        },
    });
    reply_or_lost(booked, || json(200, &body))
}

/// The status, and whether it is final.
const fn status_of(state: &EnquiryOutcome) -> (&'static str, bool) {
    match OrderStatus::of(state) {
        OrderStatus::Done => ("success", true),
        OrderStatus::Failed => ("failed", true),
        OrderStatus::Working => ("processing", false),
        OrderStatus::TakenBack => ("reversed", true),
    }
}

fn refused(status: u16, message: &str) -> SimulatedReply {
    json(status, &json!({ "success": false, "message": message }))
}
