//! Rechargely as a server: log-in, pre-auth, auth. It has nothing to ask with, as the document
//! says.
//!
//! A pre-auth moves nothing; an auth decides by the last digits of the bill reference. A
//! `requestId` is charged once: a second auth is refused as a duplicate.

use super::{
    Book, Booked, Bought, OrderStatus, Placed, ServiceSettings, SimulatedCall, SimulatedReply,
    SimulatedService, SimulatedTokens, json, money_of, order, reply_or_lost, text_of,
};
use crate::upstream::simulator::script::Script;
use domain::{AttemptRef, Currency, EnquiryOutcome, Environment, Kind, Order};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;

struct RechargelyService {
    book: Book,
    tokens: SimulatedTokens,
    /// By the token of the pre-auth.
    quotes: Mutex<BTreeMap<String, Order>>,
}

pub(super) fn open(settings: ServiceSettings) -> io::Result<Box<dyn SimulatedService>> {
    let (book, tokens) = (Book::open(settings, "rechargely")?, SimulatedTokens::default());
    Ok(Box::new(RechargelyService { book, tokens, quotes: Mutex::default() }))
}

impl SimulatedService for RechargelyService {
    fn answer(&self, call: &SimulatedCall) -> SimulatedReply {
        let is = |end: &str| call.method == "POST" && call.path.ends_with(end);
        if is("/authenticate/customers") {
            return self.log_in(call);
        }
        if !self.tokens.admit(call) {
            return refused(401, "Token expired");
        }
        if is("/transactions/bill-payment/pre-auth") {
            return self.pre_auth(call);
        }
        if is("/transactions/bill-payment/auth") {
            return self.auth(call);
        }
        refused(404, "Not found")
    }

    fn may_be_lost(&self, call: &SimulatedCall) -> bool {
        call.path.ends_with("auth")
    }
}

impl RechargelyService {
    fn log_in(&self, call: &SimulatedCall) -> SimulatedReply {
        match self.tokens.log_in(&call.json(), ["username", "password", "fcmToken"]) {
            Some(token) => json(200, &json!({ "accessToken": token })),
            None => refused(401, "Invalid credentials"),
        }
    }

    fn pre_auth(&self, call: &SimulatedCall) -> SimulatedReply {
        let body = call.json();
        let fields = (
            text_of(&body, "requestId").and_then(|text| AttemptRef::parse(&text)),
            text_of(&body, "productId"),
            text_of(&body, "billReference"),
            money_of(&body, "amount", Currency::USD).filter(|amount| amount.is_positive()),
        );
        let (Some(attempt), Some(product), Some(bill), Some(amount)) = fields else {
            return refused(422, "Some fields are missing or wrong");
        };
        if self.book.find(&attempt.to_string()).is_some() {
            return refused(409, "Duplicate requestId");
        }
        let order = order(
            attempt,
            Environment::Live,
            Bought { kind: Kind::Bill, operator: &product },
            &bill,
            amount,
        );
        let token = format!("preauth_{attempt}");
        self.quotes.lock().insert(token.clone(), order);
        let body = json!({
            "responseCode": "200",
            "responseMessage": "Payment initiated successfully",
            "preAuthToken": token,
            "requestId": attempt.to_string(),
            "status": "PENDING",
        });
        json(200, &body)
    }

    fn auth(&self, call: &SimulatedCall) -> SimulatedReply {
        let token = text_of(&call.json(), "preAuthToken").unwrap_or_default();
        let Some(order) = self.quotes.lock().remove(&token) else {
            return refused(409, "Duplicate or unknown payment");
        };
        match self.book.place(order) {
            Placed::New(booked, state) => reply(&booked, &state),
            Placed::Used => refused(409, "Duplicate requestId"),
            Placed::NotRead(Script::Down) => refused(502, "Upstream unavailable"),
            Placed::NotRead(_) => SimulatedReply::Nothing,
            Placed::Broken => refused(500, "Internal error"),
        }
    }
}

fn reply(booked: &Booked, state: &EnquiryOutcome) -> SimulatedReply {
    let (status, text) = match OrderStatus::of(state) {
        OrderStatus::Done => ("COMPLETED", "Payment authorized successfully"),
        OrderStatus::Failed | OrderStatus::TakenBack => ("FAILED", "Declined"),
        OrderStatus::Working => ("PROCESSING", "Processing"),
    };
    let body = json!({
        "responseCode": "200",
        "responseMessage": text,
        "transactionReference": format!("TXN-{}", booked.theirs()),
        "status": status,
        "requestId": booked.order.attempt.to_string(),
    });
    reply_or_lost(booked, || json(200, &body))
}

fn refused(status: u16, message: &str) -> SimulatedReply {
    json(status, &json!({ "message": message }))
}
