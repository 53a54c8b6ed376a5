//! Reloadly as a server: tokens, top-ups, utilities, reports, status, balance.
//!
//! One address is all of its hosts. A used reference is refused; a refusal before the operator
//! leaves no trace; a number cannot be recharged again within the window; operator 1213 fails.

use super::{
    Book, Booked, Bought, OrderStatus, Placed, ServiceSettings, SimulatedCall, SimulatedReply,
    SimulatedService, SimulatedTokens, json, money_of, number, order, reply_or_lost, text_of,
};
use crate::upstream::simulator::script::Script;
use domain::{AttemptRef, Currency, EnquiryOutcome, Environment, Kind, Money};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;

/// Fails after long work, as in the sandbox.
const FAILING_OPERATOR: &str = "1213";
/// The life of a sandbox's token, in seconds.
const TOKEN_SECONDS: u64 = 3600;

struct ReloadlyService {
    book: Book,
    /// The account's currency.
    currency: Currency,
    tokens: SimulatedTokens,
}

/// What it reads of the connector's own file.
#[derive(Deserialize)]
struct AccountFile {
    currency: Option<String>,
}

/// The account is in the currency that the connector's own file names, or in USD.
pub(super) fn open(settings: ServiceSettings) -> io::Result<Box<dyn SimulatedService>> {
    let unusable = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let file: AccountFile =
        toml::from_str(&settings.file).map_err(|error| unusable(error.to_string()))?;
    let code = file.currency.as_deref().unwrap_or("USD");
    let currency = Currency::from_code(code);
    let currency = currency.ok_or_else(|| unusable(format!("{code} is no currency")))?;
    let book = Book::open(settings, "reloadly")?;
    Ok(Box::new(ReloadlyService { book, currency, tokens: SimulatedTokens::default() }))
}

impl SimulatedService for ReloadlyService {
    fn answer(&self, call: &SimulatedCall) -> SimulatedReply {
        if call.path == "/oauth/token" {
            return self.token(call);
        }
        if !self.tokens.admit(call) {
            return refused(401, "INVALID_TOKEN", call);
        }
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("POST", ["topups-async"]) => self.top_up(call, false),
            ("POST", ["topups"]) => self.top_up(call, true),
            ("POST", ["pay"]) => self.pay(call),
            ("GET", ["topups", "reports", "transactions"]) => {
                self.report(call, "customIdentifier", Kind::Recharge)
            }
            ("GET", ["topups", "reports", "transactions", theirs]) => match self.theirs(theirs) {
                Some(booked) => json(200, &self.row(&booked, &self.book.state(&booked))),
                None => refused(404, "TRANSACTION_NOT_FOUND", call),
            },
            ("GET", ["topups", theirs, "status"]) => self.status(call, theirs),
            ("GET", ["transactions"]) => self.report(call, "referenceId", Kind::Bill),
            ("GET", ["transaction", theirs]) => self.status(call, theirs),
            ("GET", ["accounts", "balance"]) => {
                let balance =
                    number(Money::new(self.book.float_minor(|b| self.cost_of(b)), self.currency));
                let body = json!({
                    "balance": balance,
                    "currencyCode": self.currency.code(),
                    "currencyName": self.currency.code(),
                    "updatedAt": "2026-10-08 13:12:44",
                });
                json(200, &body)
            }
            _ => json(404, &json!({ "status": 404, "error": "Not Found", "path": call.path })),
        }
    }

    fn may_be_lost(&self, call: &SimulatedCall) -> bool {
        call.path != "/oauth/token"
    }
}

impl ReloadlyService {
    fn token(&self, call: &SimulatedCall) -> SimulatedReply {
        let fields = ["client_id", "client_secret", "audience"];
        let Some(token) = self.tokens.log_in(&call.json(), fields) else {
            return refused(401, "INVALID_CREDENTIALS", call);
        };
        let body = json!({
            "access_token": token,
            "scope": "send-topups",
            "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
        });
        json(200, &body)
    }

    fn top_up(&self, call: &SimulatedCall, waits: bool) -> SimulatedReply {
        let body = call.json();
        let phone = body.get("recipientPhone").cloned().unwrap_or_default();
        let country = text_of(&phone, "countryCode").unwrap_or_default();
        let is_local = body.get("useLocalAmount").and_then(Value::as_bool).unwrap_or(false);
        let currency = if is_local { currency_of(&country) } else { self.currency };
        let fields = (
            text_of(&body, "customIdentifier").and_then(|text| AttemptRef::parse(&text)),
            text_of(&body, "operatorId"),
            text_of(&phone, "number"),
            money_of(&body, "amount", currency).filter(|amount| amount.is_positive()),
        );
        let (Some(attempt), Some(operator), Some(recipient), Some(amount)) = fields else {
            return refused(400, "INVALID_INPUT_PROVIDED", call);
        };
        if operator == FAILING_OPERATOR {
            return refused(400, "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT", call);
        }
        let order = order(
            attempt,
            Environment::Live,
            Bought { kind: Kind::Recharge, operator: &operator },
            &recipient,
            amount,
        );
        if self.book.find(&attempt.to_string()).is_none() && self.book.is_recent(&order) {
            return refused(400, "PHONE_RECENTLY_RECHARGED", call);
        }
        if recipient.ends_with("102") {
            return refused(400, "INVALID_RECIPIENT_PHONE", call);
        }
        match self.book.place(order) {
            Placed::New(booked, state) => reply_or_lost(&booked, || match waits {
                true => json(200, &self.row(&booked, &state)),
                false => json(200, &json!({ "transactionId": booked.theirs() })),
            }),
            placed @ (Placed::Used | Placed::NotRead(_) | Placed::Broken) => {
                self.not_placed(call, &placed, "CUSTOM_IDENTIFIER_ALREADY_USED")
            }
        }
    }

    fn pay(&self, call: &SimulatedCall) -> SimulatedReply {
        let body = call.json();
        let is_local = body.get("useLocalAmount").and_then(Value::as_bool).unwrap_or(false);
        let currency = if is_local { Currency::NGN } else { self.currency };
        let fields = (
            text_of(&body, "referenceId").and_then(|text| AttemptRef::parse(&text)),
            text_of(&body, "billerId"),
            text_of(&body, "subscriberAccountNumber"),
            money_of(&body, "amount", currency).filter(|amount| amount.is_positive()),
        );
        let (Some(attempt), Some(biller), Some(account), Some(amount)) = fields else {
            return refused(400, "INVALID_INPUT_PROVIDED", call);
        };
        let order = order(
            attempt,
            Environment::Live,
            Bought { kind: Kind::Bill, operator: &biller },
            &account,
            amount,
        );
        match self.book.place(order) {
            Placed::New(booked, _) => reply_or_lost(&booked, || {
                let body = json!({
                    "id": booked.theirs(),
                    "status": "PROCESSING",
                    "referenceId": booked.order.attempt.to_string(),
                    "code": "PAYMENT_PROCESSING_IN_PROGRESS",
                    "message": "The payment is being processed",
                });
                json(200, &body)
            }),
            placed @ (Placed::Used | Placed::NotRead(_) | Placed::Broken) => {
                self.not_placed(call, &placed, "REFERENCE_ID_ALREADY_USED")
            }
        }
    }

    fn not_placed(&self, call: &SimulatedCall, placed: &Placed, used: &str) -> SimulatedReply {
        match placed {
            Placed::Used => refused(400, used, call),
            Placed::NotRead(Script::Down) => {
                refused(503, "OPERATOR_UNAVAILABLE_OR_CURRENTLY_INACTIVE", call)
            }
            Placed::NotRead(_) => SimulatedReply::Nothing,
            Placed::New(..) | Placed::Broken => refused(500, "INTERNAL_ERROR", call),
        }
    }

    fn theirs(&self, theirs: &str) -> Option<Booked> {
        self.book.find_theirs(theirs)
    }

    fn status(&self, call: &SimulatedCall, theirs: &str) -> SimulatedReply {
        let Some(booked) = self.theirs(theirs) else {
            return refused(404, "TRANSACTION_NOT_FOUND", call);
        };
        if booked.script == Script::Mute {
            return refused(500, "INTERNAL_ERROR", call);
        }
        json(200, &self.wrapped(&booked, &self.book.state(&booked)))
    }

    fn report(&self, call: &SimulatedCall, name: &str, kind: Kind) -> SimulatedReply {
        // The search ignores case.
        let reference = call.value(name).unwrap_or_default().to_uppercase();
        let found = self.book.find(&reference).filter(|booked| booked.order.kind == kind);
        if found.as_ref().is_some_and(|booked| booked.script == Script::Mute) {
            return refused(500, "INTERNAL_ERROR", call);
        }
        let rows: Vec<Value> = found
            .iter()
            .map(|booked| {
                let state = self.book.state(booked);
                if kind == Kind::Bill {
                    self.wrapped(booked, &state)
                } else {
                    self.row(booked, &state)
                }
            })
            .collect();
        let count = rows.len();
        let body = json!({
            "content": rows,
            "totalElements": count,
            "totalPages": count,
            "last": true,
            "number": 1,
            "size": 200,
        });
        json(200, &body)
    }

    /// What an order takes from the account: a local amount at the service's rate, to the cent.
    fn cost_of(&self, booked: &Booked) -> Money {
        let amount = booked.order.amount;
        if amount.currency() == self.currency {
            return amount;
        }
        let (ours, local) = (per_dollar(self.currency), per_dollar(amount.currency()));
        let minor = amount.minor().saturating_mul(ours).div_euclid(local).max(1);
        Money::new(minor, self.currency)
    }

    /// A transaction as a report shows it.
    fn row(&self, booked: &Booked, state: &EnquiryOutcome) -> Value {
        let status = status_of(state);
        let (order, code) = (&booked.order, booked.order.amount.currency().code());
        let is_done = status == "SUCCESSFUL";
        let nothing = Money::zero(order.amount.currency());
        let mut row = json!({
            "transactionId": booked.theirs(),
            "status": status,
            "operatorTransactionId": null,
            "customIdentifier": order.attempt.to_string(),
            "recipientPhone": order.recipient,
            "operatorId": order.operator.parse::<u64>().unwrap_or_default(),
            "requestedAmount": number(order.amount),
            "requestedAmountCurrencyCode": code,
            "deliveredAmount": number(if is_done { order.amount } else { nothing }),
            "deliveredAmountCurrencyCode": code,
            "pinDetail": null,
            "balanceInfo": null,
        });
        if is_done {
            let cost = number(self.cost_of(booked));
            row["balanceInfo"] = json!({ "cost": cost, "currencyCode": self.currency.code() });
        }
        row
    }

    /// A transaction as a status call shows it, and as utilities do everywhere.
    fn wrapped(&self, booked: &Booked, state: &EnquiryOutcome) -> Value {
        let status = status_of(state);
        if booked.order.kind != Kind::Bill {
            let transaction = match status {
                "SUCCESSFUL" | "FAILED" => self.row(booked, state),
                // Not yet, or taken back.
                _ => Value::Null,
            };
            return json!({
                "code": null, "message": null, "status": status, "transaction": transaction
            });
        }
        let (order, code) = (&booked.order, booked.order.amount.currency().code());
        let token = format!("{:020}", booked.theirs());
        let token = (status == "SUCCESSFUL").then_some(token);
        json!({
            "code": format!("PAYMENT_{status}"),
            "message": null,
            "transaction": {
                "id": booked.theirs(),
                "status": status,
                "referenceId": order.attempt.to_string(),
                "amount": number(order.amount),
                "amountCurrencyCode": code,
                "billDetails": {
                    "pinDetails": { "token": token, "info1": null, "info2": null, "info3": null },
                    "subscriberDetails": { "accountNumber": order.recipient },
                },
            },
        })
    }
}

fn currency_of(country: &str) -> Currency {
    match country {
        "BD" => Currency::BDT,
        "NG" => Currency::NGN,
        "ZM" => Currency::ZMW,
        "KE" => Currency::KES,
        _ => Currency::USD,
    }
}

/// How much of a currency one dollar buys here: fixed, so that a run can be repeated.
const PER_DOLLAR: [(Currency, i64); 4] =
    [(Currency::BDT, 120), (Currency::NGN, 1_500), (Currency::ZMW, 25), (Currency::KES, 130)];

fn per_dollar(currency: Currency) -> i64 {
    PER_DOLLAR.iter().find(|(code, _)| *code == currency).map_or(1, |(_, rate)| *rate)
}

const fn status_of(state: &EnquiryOutcome) -> &'static str {
    match OrderStatus::of(state) {
        OrderStatus::Done => "SUCCESSFUL",
        OrderStatus::Failed => "FAILED",
        OrderStatus::Working => "PROCESSING",
        OrderStatus::TakenBack => "REFUNDED",
    }
}

fn refused(status: u16, code: &str, call: &SimulatedCall) -> SimulatedReply {
    let body = json!({
        "timeStamp": "2026-10-08 09:12:44",
        "message": code.replace('_', " ").to_lowercase(),
        "path": call.path,
        "errorCode": code,
        "infoLink": null,
        "details": [],
    });
    json(status, &body)
}
