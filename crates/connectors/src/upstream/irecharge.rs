//! `irecharge`: iRecharge Pro, and every Saldo, as an upstream.
//!
//! Facts: docs/upstreams/irecharge.md. Not here: sending (`kit/driver.rs`). Invariant: a refusal is
//! one of the closed list there, or a request that was refused and then is not known.

use super::kit::decimal::{AnyText, Decimal};
use super::kit::echo::{Echo, Sent};
use super::kit::protocol::{Next, Protocol, Unsendable, reported_balance};
use super::kit::settings::{Maps, Secret, UpstreamSettings, UpstreamUnusable};
use super::kit::shown::Shown;
use super::kit::wire::{CallResult, WireReply, WireRequest, json_number};
use domain::{
    Answer, AskedBy, AttemptRef, BalanceAnswer, Callback, CallbackRead, Capabilities, Currency,
    Details, EnquiryOutcome, Kind, Money, NoOffers, Offer, OfferEnquiry, Order, ServiceType,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

const RECHARGE: &str = "/service-requests/recharge/normal";
const BUY_OFFER: &str = "/recharge/offers/purchase";
const CHECK: &str = "/transactions/status/check";

/// What answers a check about a reference that it does not know; exactly this (the document).
const NOT_FOUND: &str = "Transaction not found for provided identifier.";
/// What refuses a reference that was used before (the document; Saldo has a code besides).
const REFERENCE_EXISTS: &str = "Reference already exists";
const DUPLICATE_REFERENCE: &str = "DUPLICATE_REFERENCE";

/// The engine waits 20 s for a submit; a reply after that is found by a check.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// From the end of a submit: its longest time, and a margin (120 s after the connection ended).
const NOT_FOUND_FINAL_AFTER: Duration = Duration::from_secs(180);

/// Where its replies have its own id of an order.
const IDS: [&str; 3] = ["/billing/transactionId", "/data/transactionId", "/transactionId"];

/// The identifiers of an offer that its purchase repeats.
const OFFER_FIELDS: [&str; 6] =
    ["offerId", "ticketId", "campaignId", "sessionContext", "optInKeyword", "tranId"];

/// The secrets without which it does not open.
pub(super) const SECRETS: &[&str] = &["open_key", "secret_key"];

/// Its own settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OwnSettings {
    /// Where it shall call back: our `/callbacks/CODE/` with the secret `callback_path` at its end.
    webhook_url: Option<String>,
    /// After a final failure another upstream may still deliver: not so, unless it is said here.
    failed_elsewhere: bool,
    /// Waits for a check of an order without a reply, where not 180 s and 60 s: for tests.
    not_found_final_after_s: Option<u64>,
    not_found_gap_s: Option<u64>,
}

/// The protocol of one account there.
struct Irecharge {
    open_key: Secret,
    secret_key: Secret,
    callback_path: Option<Secret>,
    maps: Maps,
    own: OwnSettings,
}

/// Makes the protocol; the secrets are `open_key` and `secret_key`, and `callback_path` if it calls
/// back.
pub(super) fn open(settings: &UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable> {
    Ok(Box::new(Irecharge {
        open_key: settings.secret("open_key")?,
        secret_key: settings.secret("secret_key")?,
        callback_path: settings.secrets.get("callback_path").cloned(),
        maps: settings.maps.clone(),
        own: settings.own()?,
    }))
}

#[derive(Serialize)]
struct RechargeBody<'a> {
    number: &'a str,
    amount: Box<RawValue>,
    operator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_type: Option<&'static str>,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<&'a str>,
    #[serde(flatten)]
    offer: Details,
}

#[derive(Deserialize)]
struct SubmitReply {
    success: bool,
    message: Option<String>,
    billing: Option<Billing>,
    provider: Option<Provider>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Billing {
    reference: String,
    status: String,
    number: Option<AnyText>,
    amount: Option<Decimal>,
    fee: Option<Decimal>,
    /// Saldo adds it.
    transaction_id: Option<AnyText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    success: Option<bool>,
    is_successful: Option<bool>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct CheckReply {
    success: bool,
    data: Option<Checked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    transaction_id: Option<AnyText>,
    reference: String,
    status: String,
    is_final: bool,
    amount: Option<Decimal>,
    fee: Option<Decimal>,
    service: Option<CheckedService>,
}

#[derive(Deserialize)]
struct CheckedService {
    status: Option<String>,
    number: Option<AnyText>,
}

/// A refusal of a request.
#[derive(Deserialize)]
struct Refusal {
    success: bool,
    message: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct BalanceReply {
    balance: Decimal,
    currency: String,
}

#[derive(Deserialize)]
struct OffersReply {
    operator: Option<String>,
    offers: Vec<QuotedOffer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuotedOffer {
    amount: Decimal,
    title: String,
    title_bn: Option<String>,
    validity: Option<String>,
    category: Option<String>,
    #[serde(default)]
    highlighted: bool,
    offer_id: Option<AnyText>,
    ticket_id: Option<AnyText>,
    campaign_id: Option<AnyText>,
    session_context: Option<AnyText>,
    opt_in_keyword: Option<AnyText>,
    tran_id: Option<AnyText>,
}

#[derive(Deserialize)]
struct CallbackBody {
    event: String,
    transaction: CallbackTransaction,
}

#[derive(Deserialize)]
struct CallbackTransaction {
    reference: String,
}

impl Irecharge {
    fn with_keys(&self, request: WireRequest) -> WireRequest {
        request
            .header("x-open-key", self.open_key.reveal())
            .header("x-authorization", self.secret_key.reveal())
    }

    /// Their code of our operator: ours in lower case, unless a map says otherwise.
    fn operator(&self, ours: &str) -> String {
        self.maps.operators.get(ours).cloned().unwrap_or_else(|| ours.to_lowercase())
    }

    fn check(&self, step: &'static str, order: &Order) -> WireRequest {
        let request = WireRequest::get(step, CHECK);
        self.with_keys(request.query("reference", &order.attempt.to_string()))
    }

    fn read_first_reply(&self, order: &Order, reply: &WireReply) -> Next<Answer> {
        match reply.status {
            200 => match reply.json::<SubmitReply>() {
                Some(answer) => self.read_success(order, answer),
                None => Next::Done(unreadable(reply)),
            },
            // Checked before anything is booked.
            401 | 402 | 403 | 429 => Next::Done(match refusal(reply) {
                Some(refusal) => {
                    Answer::Refused { reason: text_of(&refusal, reply), try_elsewhere: true }
                }
                None => unreadable(reply),
            }),
            400 | 422 => match refusal(reply) {
                Some(refusal) => {
                    let step = if is_duplicate(&refusal) { "check-used" } else { "check-refused" };
                    Next::then(self.check(step, order).noting(&text_of(&refusal, reply)))
                }
                None => Next::Done(unreadable(reply)),
            },
            _ => Next::Done(unreadable(reply)),
        }
    }

    fn read_success(&self, order: &Order, answer: SubmitReply) -> Next<Answer> {
        let unknown = |reason: &str| Next::Done(Answer::Unknown { reason: reason.to_owned() });
        let (true, Some(billing)) = (answer.success, answer.billing) else {
            return unknown("HTTP 200 without success");
        };
        let reference = order.attempt.to_string();
        let echo = Echo {
            reference: Some(&billing.reference),
            recipient: billing.number.as_ref().map(|number| number.0.as_str()),
            amount: billing.amount,
        };
        if let Some(alarm) = echo.alarm(&sent(order, &reference)) {
            return Next::Done(alarm);
        }
        if billing.number.is_none() || billing.amount.is_none() {
            return unknown("a reply without number or amount");
        }
        let provider = answer.provider.as_ref();
        let is_denied =
            provider.is_some_and(|p| p.success == Some(false) || p.is_successful == Some(false));
        let own_reference = billing.transaction_id.map(|id| id.0);
        match billing.status.as_str() {
            "success" if is_denied => unknown("success, although the operator says otherwise"),
            "success" => {
                let text = provider.and_then(|p| p.message.clone()).or(answer.message);
                let cost = cost(order, billing.amount, billing.fee);
                Next::Done(Answer::Delivered { reference: own_reference, text, slip: None, cost })
            }
            "pending" | "processing" | "approved" => {
                Next::Done(Answer::Accepted { reference: own_reference })
            }
            // Only a final status counts, and only a check has one.
            "failed" | "rejected" | "reversed" => Next::then(self.check("check", order)),
            other => unknown(&format!("the status {other}")),
        }
    }

    fn read_check(&self, order: &Order, got: &CallResult) -> EnquiryOutcome {
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) => return Answer::Unknown { reason: lost.reason.clone() }.into(),
        };
        match reply.status {
            200 => match reply.json::<CheckReply>() {
                Some(CheckReply { success: true, data: Some(data) }) => {
                    self.read_checked(order, data)
                }
                Some(_) | None => unreadable(reply).into(),
            },
            404 if refusal(reply).is_some_and(|r| r.message.as_deref() == Some(NOT_FOUND)) => {
                EnquiryOutcome::NotFound
            }
            // About the check, not about the order.
            _ => unreadable(reply).into(),
        }
    }

    fn read_checked(&self, order: &Order, data: Checked) -> EnquiryOutcome {
        let unknown = |reason: &str| Answer::Unknown { reason: reason.to_owned() }.into();
        let reference = order.attempt.to_string();
        let service = data.service.as_ref();
        let number = service.and_then(|service| service.number.as_ref());
        let echo = Echo {
            reference: Some(&data.reference),
            recipient: number.map(|number| number.0.as_str()),
            amount: data.amount,
        };
        if let Some(alarm) = echo.alarm(&sent(order, &reference)) {
            return alarm.into();
        }
        if number.is_none() || data.amount.is_none() {
            return unknown("a status without number or amount");
        }
        let own_reference = data.transaction_id.map(|id| id.0);
        let service_status = service.and_then(|service| service.status.as_deref());
        let service_failed = matches!(service_status, Some("failed" | "rejected" | "reversed"));
        match (data.status.as_str(), data.is_final) {
            ("success" | "approved", true) if service_failed => {
                unknown("success, although the service says otherwise")
            }
            ("success" | "approved", true) => Answer::Delivered {
                reference: own_reference,
                text: None,
                slip: None,
                cost: cost(order, data.amount, data.fee),
            }
            .into(),
            ("failed" | "rejected", true) if service_status == Some("success") => {
                unknown("a failure, although the service says otherwise")
            }
            ("failed" | "rejected", true) => self.refused(&data.status).into(),
            ("reversed", _) => match self.capabilities().reversals() {
                Some(reversals) => {
                    let reason = "the upstream took it back".to_owned();
                    EnquiryOutcome::Reversed { reason, reversals }
                }
                None => unknown("it was reversed"),
            },
            ("pending" | "processing" | "success" | "approved" | "failed" | "rejected", _) => {
                Answer::Accepted { reference: own_reference }.into()
            }
            (other, _) => unknown(&format!("the status {other}")),
        }
    }

    fn refused(&self, text: &str) -> Answer {
        let try_elsewhere = self.own.failed_elsewhere;
        Answer::Refused { reason: format!("the upstream's final status: {text}"), try_elsewhere }
    }
}

impl Protocol for Irecharge {
    fn capabilities(&self) -> Capabilities {
        let or = |own: Option<u64>, usual| own.map_or(usual, Duration::from_secs);
        Capabilities {
            not_found_final_after: or(self.own.not_found_final_after_s, NOT_FOUND_FINAL_AFTER),
            not_found_gap: or(self.own.not_found_gap_s, domain::upstream::NOT_FOUND_GAP),
            enquiries: domain::retry::ENQUIRIES,
            quotes_offers: true,
            looks_up_bills: false,
            reverses_deliveries: true,
            is_simulated: false,
            asked_by: AskedBy::OurReference,
            tells_balance: true,
            calls_back: self.callback_path.is_some(),
            refusals_shown: 0,
            staff_after: None,
            balance_gap: None,
            // It tells that with the balance.
            currency: None,
            // A success may be taken back without a word.
            rechecks: &[1],
        }
    }

    fn submit(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        let (path, offer, service_type) = match order.kind {
            Kind::Recharge => (RECHARGE, Details::new(), Some(service_type(order.service_type))),
            Kind::Offer => (BUY_OFFER, offer_fields(&order.details), None),
            Kind::Banking | Kind::Bundle | Kind::Bill => {
                let kind = order.kind.code();
                return Err(Unsendable::because(format!("{kind} is not sold by this upstream")));
            }
        };
        let amount = json_number(order.amount)
            .ok_or_else(|| Unsendable::because("the amount cannot be written"))?;
        let body = RechargeBody {
            number: &order.recipient,
            amount,
            operator: self.operator(&order.operator),
            service_type,
            reference: order.attempt.to_string(),
            webhook_url: self.own.webhook_url.as_deref(),
            offer,
        };
        let request = WireRequest::post_json("submit", path, &body).within(SUBMIT_TIMEOUT);
        Ok(self.with_keys(request).buying())
    }

    fn read_submit(&self, order: &Order, asked: &WireRequest, got: &CallResult) -> Next<Answer> {
        if asked.step == "submit" {
            return match got {
                Ok(reply) => self.read_first_reply(order, reply),
                Err(lost) => Next::Done(Answer::Unknown { reason: lost.reason.clone() }),
            };
        }
        Next::Done(match self.read_check(order, got) {
            EnquiryOutcome::Answered(answer) => answer,
            EnquiryOutcome::NotFound if asked.step == "check-refused" => {
                Answer::Refused { reason: asked.note.clone(), try_elsewhere: false }
            }
            EnquiryOutcome::NotFound | EnquiryOutcome::Reversed { .. } => {
                let reason = format!("a check contradicts the reply to the submit: {}", asked.note);
                Answer::Unknown { reason }
            }
        })
    }

    fn enquiry(&self, order: &Order) -> Option<WireRequest> {
        Some(self.check("query", order))
    }

    fn shown(&self, order: &Order, _asked: &WireRequest, reply: &WireReply) -> Shown {
        Shown::in_json(reply, &order.attempt.to_string(), &IDS)
    }

    fn read_enquiry(
        &self,
        order: &Order,
        _asked: &WireRequest,
        got: &CallResult,
    ) -> Next<EnquiryOutcome> {
        Next::Done(self.read_check(order, got))
    }

    fn offers(&self, enquiry: &OfferEnquiry) -> Option<WireRequest> {
        let request = WireRequest::get("offers", "/recharge/offers")
            .query("number", &enquiry.recipient)
            .query("operator", &self.operator(&enquiry.operator))
            .within(Duration::from_secs(20));
        Some(self.with_keys(request))
    }

    fn read_offers(
        &self,
        enquiry: &OfferEnquiry,
        got: &CallResult,
    ) -> Result<Vec<Offer>, NoOffers> {
        let no_offers = |reason: String| NoOffers { reason };
        let reply = got.as_ref().map_err(|lost| no_offers(lost.reason.clone()))?;
        let read = reply.json::<OffersReply>().filter(|_| reply.status == 200);
        let quoted = read.ok_or_else(|| no_offers(reply.shown()))?;
        let ours = self.operator(&enquiry.operator);
        if quoted.operator.is_some_and(|theirs| !is_operator(&theirs, &ours)) {
            return Err(no_offers("the offers are of another operator".to_owned()));
        }
        Ok(quoted.offers.into_iter().filter_map(QuotedOffer::offer).collect())
    }

    fn balance(&self) -> Option<WireRequest> {
        Some(self.with_keys(WireRequest::get("balance", "/wallet/balance")))
    }

    fn read_balance(&self, asked: &WireRequest, got: &CallResult) -> Next<BalanceAnswer> {
        // The document's first sample has the short path.
        if asked.step == "balance" && got.as_ref().is_ok_and(|reply| reply.status == 404) {
            return Next::then(self.with_keys(WireRequest::get("balance-short", "/balance")));
        }
        Next::Done(reported_balance(got, |reply| {
            let read = reply.json::<BalanceReply>()?;
            read.balance.to_money_floor(Currency::from_code(&read.currency)?)
        }))
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        let Some(secret) = &self.callback_path else { return CallbackRead::NotOffered };
        let forged = |reason: &str| CallbackRead::Forged { reason: reason.to_owned() };
        let (path, secret) = (callback.path.as_bytes(), secret.reveal().as_bytes());
        if !bool::from(path.ct_eq(secret)) {
            return forged("it is not at the secret path");
        }
        let Ok(body) = serde_json::from_slice::<CallbackBody>(&callback.body) else {
            return forged("it cannot be read");
        };
        match AttemptRef::parse(&body.transaction.reference) {
            Some(attempt) => CallbackRead::Genuine { attempt, text: body.event, answer: None },
            None => forged("it names no attempt"),
        }
    }
}

impl QuotedOffer {
    /// None if its amount has decimals that its currency lacks.
    fn offer(self) -> Option<Offer> {
        let fields = [
            self.offer_id,
            self.ticket_id,
            self.campaign_id,
            self.session_context,
            self.opt_in_keyword,
            self.tran_id,
        ];
        let named = OFFER_FIELDS.iter().zip(fields);
        let identifiers =
            named.filter_map(|(name, value)| Some(((*name).to_owned(), value?.0))).collect();
        Some(Offer {
            amount: self.amount.to_money(Currency::BDT)?,
            title_local: self.title_bn.unwrap_or_else(|| self.title.clone()),
            title: self.title,
            validity: self.validity.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            is_highlighted: self.highlighted,
            identifiers,
        })
    }
}

const fn service_type(service_type: ServiceType) -> &'static str {
    service_type.code()
}

/// The identifiers of an offer, as they were quoted.
fn offer_fields(details: &Details) -> Details {
    let known: BTreeSet<&str> = OFFER_FIELDS.into();
    let fields = details.iter().filter(|(name, _)| known.contains(name.as_str()));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether two names of an operator are one: the offers know `robi` and `rb`.
fn is_operator(theirs: &str, ours: &str) -> bool {
    const NAMES: [[&str; 2]; 4] =
        [["gp", "grameenphone"], ["rb", "robi"], ["at", "airtel"], ["bl", "banglalink"]];
    let theirs = theirs.to_lowercase();
    theirs == ours || NAMES.iter().any(|n| n.contains(&theirs.as_str()) && n.contains(&ours))
}

fn sent<'a>(order: &'a Order, reference: &'a str) -> Sent<'a> {
    Sent { reference, recipient: &order.recipient, amount: order.amount }
}

/// Amount and fee: so much the float falls. The commission gathers in a balance of its own.
fn cost(order: &Order, amount: Option<Decimal>, fee: Option<Decimal>) -> Option<Money> {
    let currency = order.amount.currency();
    amount?.to_money(currency)?.plus(fee?.to_money(currency)?)
}

/// A refusal is JSON that says so; a page of a firewall is none.
fn refusal(reply: &WireReply) -> Option<Refusal> {
    reply.json::<Refusal>().filter(|refusal| !refusal.success)
}

fn is_duplicate(refusal: &Refusal) -> bool {
    refusal.code.as_deref() == Some(DUPLICATE_REFERENCE)
        || refusal.message.as_deref().is_some_and(|m| m.starts_with(REFERENCE_EXISTS))
}

fn text_of(refusal: &Refusal, reply: &WireReply) -> String {
    refusal.message.clone().unwrap_or_else(|| format!("HTTP {}", reply.status))
}

fn unreadable(reply: &WireReply) -> Answer {
    Answer::Unknown { reason: reply.shown() }
}
