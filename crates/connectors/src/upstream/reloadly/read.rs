//! What Reloadly's replies mean: transactions in several shapes, reports, error bodies, balances.
//!
//! Invariant: a transaction decides only with a final status, and only if what it repeats of
//! reference, recipient and amount is ours.

use super::super::kit::decimal::{AnyText, Decimal};
use super::super::kit::echo::{Echo, Sent};
use super::super::kit::wire::{WireReply, WireRequest};
use super::errors::{Refusal, refusal};
use domain::{Answer, Currency, EnquiryOutcome, Kind, Money, Order, Slip, Token, TokenKind};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A transaction: flat as in a report or a reply to a top-up, or the inner one of another shape.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Row {
    #[serde(alias = "id")]
    transaction_id: Option<AnyText>,
    status: Option<String>,
    custom_identifier: Option<AnyText>,
    reference_id: Option<AnyText>,
    recipient_phone: Option<AnyText>,
    requested_amount: Option<Decimal>,
    requested_amount_currency_code: Option<String>,
    delivered_amount: Option<Decimal>,
    delivered_amount_currency_code: Option<String>,
    amount: Option<Decimal>,
    amount_currency_code: Option<String>,
    pin_detail: Option<PinDetail>,
    balance_info: Option<BalanceInfo>,
    bill_details: Option<BillDetails>,
}

#[derive(Deserialize)]
struct PinDetail {
    serial: Option<AnyText>,
    code: Option<AnyText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BalanceInfo {
    cost: Option<Decimal>,
    currency_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BillDetails {
    pin_details: Option<PinDetails>,
    subscriber_details: Option<SubscriberDetails>,
}

#[derive(Deserialize)]
struct PinDetails {
    token: Option<AnyText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriberDetails {
    account_number: Option<AnyText>,
}

/// Around a transaction, with a status of its own or without.
#[derive(Deserialize)]
struct Wrapped {
    status: Option<String>,
    code: Option<AnyText>,
    message: Option<String>,
    transaction: Option<Box<RawValue>>,
}

/// A page of a report.
#[derive(Deserialize)]
struct ReportPage {
    content: Vec<Box<RawValue>>,
    last: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    error_code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BalanceReply {
    balance: Decimal,
    currency_code: String,
}

/// One transaction of a reply, whatever its shape was.
struct Transaction {
    /// The outer status, where there is one; it decides.
    status: Option<String>,
    text: Option<String>,
    row: Row,
}

/// What an enquiry found.
pub(super) enum Found {
    /// This.
    Outcome(EnquiryOutcome),
    /// A transaction of this id whose status the report does not say.
    WithoutStatus(String),
}

/// Reads the reply to a top-up or a payment.
pub(super) fn submit(order: &Order, account: Currency, reply: &WireReply) -> Answer {
    if (200..300).contains(&reply.status) {
        let Some(found) = transaction(&reply.body) else { return unknown(&reply.shown()) };
        return match judged(order, account, &found) {
            Some(answer) => answer,
            None => match found.row.transaction_id {
                Some(id) => Answer::Accepted { reference: Some(id.0) },
                None => unknown(&reply.shown()),
            },
        };
    }
    let body = reply.json::<ErrorBody>();
    let text = body.as_ref().and_then(|body| body.message.clone());
    let refused = |try_elsewhere| {
        let reason = text.clone().unwrap_or_else(|| format!("HTTP {}", reply.status));
        Answer::Refused { reason, try_elsewhere }
    };
    // A second 401, after a new token, proves that nothing ran; so does the limit of calls.
    if matches!(reply.status, 401 | 429) {
        return refused(true);
    }
    let code = body.as_ref().and_then(|body| body.error_code.as_deref()).unwrap_or_default();
    match refusal(reply.status, code) {
        Some(Refusal::Order) => refused(false),
        Some(Refusal::Upstream) => refused(true),
        Some(Refusal::Repeat) => Answer::RefusedAsRepeat { reason: text.unwrap_or_default() },
        None => unknown(&reply.shown()),
    }
}

/// Reads the reply to an enquiry, of any shape. An error is about the enquiry, never about the
/// order.
pub(super) fn enquiry(
    order: &Order,
    account: Currency,
    asked: &WireRequest,
    reply: &WireReply,
) -> Found {
    let outcome = |answer: Answer| Found::Outcome(answer.into());
    if reply.status == 404 && asked.step == "status" {
        let reason = "it does not know an id that it gave".to_owned();
        return outcome(Answer::Unaskable { reason });
    }
    if reply.status != 200 {
        return outcome(unknown(&reply.shown()));
    }
    let page = match reply.json::<Vec<Box<RawValue>>>() {
        Some(content) => Some(ReportPage { content, last: None }),
        None => reply.json::<ReportPage>(),
    };
    if let Some(page) = page {
        return report(order, account, &page);
    }
    match transaction(&reply.body) {
        Some(found) => match judged(order, account, &found) {
            Some(answer) => outcome(answer),
            None => match found.row.transaction_id {
                Some(id) => Found::WithoutStatus(id.0),
                None => outcome(unknown(&reply.shown())),
            },
        },
        None => outcome(unknown(&reply.shown())),
    }
}

/// Reads a report about our reference. Its search ignores case, so only equal rows count.
fn report(order: &Order, account: Currency, page: &ReportPage) -> Found {
    let outcome = |answer: Answer| Found::Outcome(answer.into());
    let ours = order.attempt.to_string();
    let mut rows = Vec::new();
    for raw in &page.content {
        let Some(row) = transaction(raw.get().as_bytes()) else {
            return outcome(unknown("a row of the report cannot be read"));
        };
        match row.row.reference() {
            Some(reference) if reference == ours => rows.push(row),
            Some(reference) if reference.eq_ignore_ascii_case(&ours) => {}
            Some(_) | None => return outcome(unknown("the report is not about our reference")),
        }
    }
    if rows.is_empty() {
        return match page.last {
            Some(false) => outcome(unknown("the report has further pages")),
            Some(true) | None => Found::Outcome(EnquiryOutcome::NotFound),
        };
    }
    let judged: Vec<Option<Answer>> = rows.iter().map(|row| judged(order, account, row)).collect();
    let is_delivered = |answer: &&Option<Answer>| matches!(answer, Some(Answer::Delivered { .. }));
    if judged.iter().filter(is_delivered).count() > 1 {
        tracing::error!(reference = ours, "an upstream delivered one attempt twice");
    }
    if let Some(Some(delivered)) = judged.iter().find(is_delivered) {
        return outcome(delivered.clone());
    }
    // Several rows that are not all refused: the first that is open decides, and is asked again.
    let is_open = |answer: &&Option<Answer>| !matches!(answer, Some(Answer::Refused { .. }));
    match judged.iter().find(is_open).or_else(|| judged.first()) {
        Some(Some(answer)) => outcome(answer.clone()),
        Some(None) | None => {
            let mut ids = rows.into_iter().filter_map(|row| row.row.transaction_id);
            match ids.next_back() {
                Some(id) => Found::WithoutStatus(id.0),
                None => outcome(unknown("a row without id and status")),
            }
        }
    }
}

/// Reads one transaction of any shape.
fn transaction(body: &[u8]) -> Option<Transaction> {
    let wrapped: Wrapped = serde_json::from_slice(body).ok()?;
    let row: Row = match &wrapped.transaction {
        Some(inner) => serde_json::from_str(inner.get()).ok()?,
        None => serde_json::from_slice(body).ok()?,
    };
    let text = wrapped.message.or(wrapped.code.map(|code| code.0));
    Some(Transaction { status: wrapped.status, text, row })
}

/// The outcome of a transaction; none if it has no status.
fn judged(order: &Order, account: Currency, found: &Transaction) -> Option<Answer> {
    let Transaction { status, text, row } = found;
    let statuses = (status.as_deref(), row.status.as_deref());
    let status = match statuses {
        (Some(outer), Some(inner)) if outer != inner => {
            return Some(unknown(&format!("the statuses {outer} and {inner}")));
        }
        (outer, inner) => outer.or(inner)?,
    };
    let reference = order.attempt.to_string();
    let sent = Sent { reference: &reference, recipient: &order.recipient, amount: order.amount };
    if let Some(alarm) = row.echo(order, account).alarm(&sent) {
        return Some(alarm);
    }
    Some(match status {
        "SUCCESSFUL" => {
            row.warn_of_amount(order);
            Answer::Delivered {
                reference: row.transaction_id.as_ref().map(|id| id.0.clone()),
                text: row.pin_text(),
                slip: row.slip(order).map(Box::new),
                cost: row.cost(),
            }
        }
        "PROCESSING" => {
            Answer::Accepted { reference: row.transaction_id.as_ref().map(|id| id.0.clone()) }
        }
        // Nothing was delivered, and the money is back: another upstream may try.
        "FAILED" | "REFUNDED" => Answer::Refused {
            reason: text.clone().unwrap_or_else(|| format!("its status is {status}")),
            try_elsewhere: true,
        },
        other => unknown(&format!("the status {other}")),
    })
}

impl Row {
    fn reference(&self) -> Option<&str> {
        let reference = self.custom_identifier.as_ref().or(self.reference_id.as_ref());
        reference.map(|text| text.0.as_str())
    }

    /// What it repeats. An amount counts in the currency in which it was sent: what is delivered of
    /// a local amount moves with the rate.
    fn echo(&self, order: &Order, account: Currency) -> Echo<'_> {
        let code = order.amount.currency().code();
        let is_sent = |currency: &Option<String>| currency.as_deref() == Some(code);
        let requested = self.requested_amount.filter(|_| {
            order.amount.currency() == account && is_sent(&self.requested_amount_currency_code)
        });
        let paid = self.amount.filter(|_| is_sent(&self.amount_currency_code));
        let subscriber = self
            .bill_details
            .as_ref()
            .and_then(|bill| bill.subscriber_details.as_ref()?.account_number.as_ref());
        let recipient = self.recipient_phone.as_ref().or(subscriber);
        Echo {
            reference: self.reference(),
            recipient: recipient.map(|text| text.0.as_str()),
            amount: requested.or(paid),
        }
    }

    fn warn_of_amount(&self, order: &Order) {
        let code = order.amount.currency().code();
        let is_ours = self.delivered_amount_currency_code.as_deref() == Some(code);
        if is_ours && self.delivered_amount.is_some_and(|amount| !amount.is(order.amount)) {
            tracing::error!(
                attempt = %order.attempt,
                "an upstream says that it delivered another amount than was ordered"
            );
        }
    }

    fn cost(&self) -> Option<Money> {
        let info = self.balance_info.as_ref()?;
        info.cost?.to_money_nearest(Currency::from_code(info.currency_code.as_deref()?)?)
    }

    fn pin_text(&self) -> Option<String> {
        let pin = self.pin_detail.as_ref()?;
        let code = &pin.code.as_ref()?.0;
        Some(match &pin.serial {
            Some(serial) => format!("PIN {code}, serial {}", serial.0),
            None => format!("PIN {code}"),
        })
    }

    fn slip(&self, order: &Order) -> Option<Slip> {
        let details = self.bill_details.as_ref().filter(|_| order.kind == Kind::Bill)?;
        let token = &details.pin_details.as_ref()?.token.as_ref()?.0;
        Some(Slip::of_tokens(vec![Token::new(token, None, TokenKind::Credit)?]))
    }
}

/// What our money there is.
pub(super) fn balance(reply: &WireReply) -> Option<Money> {
    let read = reply.json::<BalanceReply>()?;
    read.balance.to_money_floor(Currency::from_code(&read.currency_code)?)
}

fn unknown(reason: &str) -> Answer {
    Answer::Unknown { reason: reason.to_owned() }
}
