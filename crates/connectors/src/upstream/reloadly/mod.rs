//! `reloadly`: airtime by Reloadly's top-ups, bills by its utilities.
//!
//! Facts: docs/upstreams/reloadly.md. Here: the requests. Not here: what replies mean
//! (`read.rs`), the closed list of refusals (`errors.rs`). Invariant: only an asynchronous top-up
//! is sent, because a reply that comes at once is seldom lost.

mod errors;
mod read;

use super::kit::protocol::{Login, Next, Protocol, Unsendable, reported_balance};
use super::kit::settings::{Maps, Secret, UpstreamSettings, UpstreamUnusable};
use super::kit::shown::Shown;
use super::kit::wire::{CallResult, WireReply, WireRequest, json_number};
use domain::{
    Answer, AskedBy, AttemptRef, BalanceAnswer, Callback, CallbackRead, Capabilities, Currency,
    EnquiryOutcome, Kind, Order,
};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;

/// The secrets without which it does not open.
pub(super) const SECRETS: &[&str] = &["client_id", "client_secret"];
/// Where it logs in, and where it pays bills.
pub(super) const HOSTS: &[&str] =
    &["auth.reloadly.com", "utilities.reloadly.com", "utilities-sandbox.reloadly.com"];

const AUTH_URL: &str = "https://auth.reloadly.com";
const TOPUPS_ACCEPT: &str = "application/com.reloadly.topups-v1+json";
const UTILITIES_ACCEPT: &str = "application/com.reloadly.utilities-v1+json";

/// The two products, each with a token of its own.
const TOPUPS: &str = "topups";
const UTILITIES: &str = "utilities";

/// Calls of up to 52 s were seen.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(90);
/// From the end of a submit: a synchronous call can run 90 s, and a margin.
const NOT_FOUND_FINAL_AFTER: Duration = Duration::from_secs(180);
/// A token without a life is used so long: the sandbox's life.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Where its replies have its own id of a transaction.
const IDS: [&str; 4] = ["/transactionId", "/id", "/transaction/transactionId", "/transaction/id"];

/// The header with the hexadecimal HMAC-SHA256 of body, colon and time stamp.
const SIGNATURE: &str = "x-reloadly-signature";
const SIGNED_AT: &str = "x-reloadly-request-timestamp";

/// Its own settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OwnSettings {
    /// The account's currency: an order in another one is sent as a local amount.
    currency: String,
    /// Where it logs in, if not at Reloadly's own address or at the URL itself.
    auth_url: Option<String>,
    /// Where bills are paid, if not at Reloadly's own address or at the URL itself.
    utilities_url: Option<String>,
    /// Waits for an order that is not found, where not 180 s and 60 s: for tests.
    not_found_final_after_s: Option<u64>,
    not_found_gap_s: Option<u64>,
}

impl Default for OwnSettings {
    fn default() -> OwnSettings {
        OwnSettings {
            currency: "USD".to_owned(),
            auth_url: None,
            utilities_url: None,
            not_found_final_after_s: None,
            not_found_gap_s: None,
        }
    }
}

/// The protocol of one account there.
struct Reloadly {
    client_id: Secret,
    client_secret: Secret,
    webhook_secret: Option<Secret>,
    /// Without a slash at the end: it is also the audience of its token.
    topups_url: String,
    utilities_url: String,
    auth_url: String,
    currency: Currency,
    maps: Maps,
    own: OwnSettings,
}

/// Makes the protocol; the secrets are `client_id` and `client_secret`, and `webhook_secret` if it
/// calls back.
pub(super) fn open(settings: &UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable> {
    let own: OwnSettings = settings.own()?;
    let currency = Currency::from_code(&own.currency)
        .ok_or_else(|| UpstreamUnusable::File(format!("{} is no currency", own.currency)))?;
    let topups_url = settings.url.trim_end_matches('/').to_owned();
    // At any other address there is a simulator, which has everything in one place.
    let is_theirs = topups_url.ends_with(".reloadly.com");
    let or = |own: &Option<String>, theirs: String| match own {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if is_theirs => theirs,
        None => topups_url.clone(),
    };
    Ok(Box::new(Reloadly {
        client_id: settings.secret("client_id")?,
        client_secret: settings.secret("client_secret")?,
        webhook_secret: settings.secrets.get("webhook_secret").cloned(),
        utilities_url: or(&own.utilities_url, topups_url.replace("//topups", "//utilities")),
        auth_url: or(&own.auth_url, AUTH_URL.to_owned()),
        topups_url,
        currency,
        maps: settings.maps.clone(),
        own,
    }))
}

/// The first of their names that is no number as theirs are.
pub(super) fn wrong_name(maps: &Maps) -> Option<String> {
    let is_id = |text: &str| id(text).is_ok();
    let operator = maps.operators.iter().find(|(_, theirs)| !is_id(theirs));
    let product = maps.products.iter().find(|(_, theirs)| match theirs.split_once('/') {
        Some((biller, amount)) => !is_id(biller) || !is_id(amount),
        None => !is_id(theirs),
    });
    let (ours, theirs) = operator.or(product)?;
    Some(format!("{ours}={theirs}: reloadly names by numbers, such as 174, or 5/12 for an amount"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopupBody<'a> {
    operator_id: Box<RawValue>,
    amount: Box<RawValue>,
    use_local_amount: bool,
    custom_identifier: String,
    recipient_phone: Phone<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Phone<'a> {
    country_code: &'a str,
    number: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PayBody<'a> {
    subscriber_account_number: &'a str,
    amount: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_id: Option<Box<RawValue>>,
    biller_id: Box<RawValue>,
    use_local_amount: bool,
    reference_id: String,
}

#[derive(Serialize)]
struct LoginBody<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    grant_type: &'static str,
    audience: &'a str,
}

#[derive(Deserialize)]
struct LoginReply {
    access_token: String,
    expires_in: Option<super::kit::decimal::AnyText>,
}

impl Reloadly {
    fn topup(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        let of_product = order.product.as_ref().and_then(|name| self.maps.products.get(name));
        let operator = of_product.or_else(|| self.maps.operators.get(&order.operator));
        let operator = operator.ok_or_else(|| missing("operator", &order.operator))?;
        let number = order.international.as_deref().or_else(|| as_digits(&order.recipient));
        let (Some(number), Some(country)) = (number, &order.country) else {
            return Err(Unsendable::because("the recipient is no number of a known country"));
        };
        let body = TopupBody {
            operator_id: id(operator)?,
            amount: amount(order)?,
            use_local_amount: self.is_local(order),
            custom_identifier: order.attempt.to_string(),
            recipient_phone: Phone {
                country_code: country,
                number: number.trim_start_matches('+'),
            },
        };
        let path = format!("{}/topups-async", self.topups_url);
        Ok(topups(WireRequest::post_json("submit", &path, &body)))
    }

    fn payment(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        let name = order.product.as_deref().unwrap_or(&order.operator);
        let biller = self.maps.products.get(name).ok_or_else(|| missing("product", name))?;
        // A biller with fixed amounts also wants the id of the amount: `5/12`.
        let (biller, amount_id) = match biller.split_once('/') {
            Some((biller, amount_id)) => (biller, Some(id(amount_id)?)),
            None => (biller.as_str(), None),
        };
        let body = PayBody {
            subscriber_account_number: &order.recipient,
            amount: amount(order)?,
            amount_id,
            biller_id: id(biller)?,
            use_local_amount: self.is_local(order),
            reference_id: order.attempt.to_string(),
        };
        let path = format!("{}/pay", self.utilities_url);
        Ok(utilities(WireRequest::post_json("submit", &path, &body)))
    }

    fn is_local(&self, order: &Order) -> bool {
        order.amount.currency() != self.currency
    }

    /// Asks how one of their transactions is.
    fn by_their_id(&self, order: &Order, theirs: &str) -> WireRequest {
        match order.kind {
            Kind::Bill => {
                let path = format!("{}/transaction/{theirs}", self.utilities_url);
                utilities(WireRequest::get("status", &path))
            }
            Kind::Recharge | Kind::Offer | Kind::Banking | Kind::Bundle => {
                let path = format!("{}/topups/{theirs}/status", self.topups_url);
                topups(WireRequest::get("status", &path))
            }
        }
    }
}

impl Protocol for Reloadly {
    fn capabilities(&self) -> Capabilities {
        let or = |own: Option<u64>, usual| own.map_or(usual, Duration::from_secs);
        Capabilities {
            not_found_final_after: or(self.own.not_found_final_after_s, NOT_FOUND_FINAL_AFTER),
            not_found_gap: or(self.own.not_found_gap_s, domain::upstream::NOT_FOUND_GAP),
            enquiries: domain::retry::ENQUIRIES,
            quotes_offers: false,
            looks_up_bills: false,
            reverses_deliveries: false,
            is_simulated: false,
            asked_by: AskedBy::OurReference,
            tells_balance: true,
            calls_back: self.webhook_secret.is_some(),
            refusals_shown: 0,
            staff_after: None,
            balance_gap: None,
            currency: Some(self.currency),
            rechecks: &[],
        }
    }

    fn submit(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        let request = match order.kind {
            Kind::Recharge | Kind::Bundle => self.topup(order)?,
            Kind::Bill => self.payment(order)?,
            Kind::Offer | Kind::Banking => {
                let kind = order.kind.code();
                return Err(Unsendable::because(format!("{kind} is not sold by this upstream")));
            }
        };
        Ok(request.within(SUBMIT_TIMEOUT).buying())
    }

    fn read_submit(&self, order: &Order, _asked: &WireRequest, got: &CallResult) -> Next<Answer> {
        Next::Done(match got {
            Ok(reply) => read::submit(order, self.currency, reply),
            Err(lost) => Answer::Unknown { reason: lost.reason.clone() },
        })
    }

    fn enquiry(&self, order: &Order) -> Option<WireRequest> {
        let is_id = |id: &&String| id.bytes().all(|b| b.is_ascii_digit());
        if let Some(theirs) = order.upstream_reference.as_ref().filter(is_id) {
            return Some(self.by_their_id(order, theirs));
        }
        let ours = order.attempt.to_string();
        Some(match order.kind {
            Kind::Bill => {
                let path = format!("{}/transactions", self.utilities_url);
                utilities(WireRequest::get("query", &path)).query("referenceId", &ours)
            }
            Kind::Recharge | Kind::Offer | Kind::Banking | Kind::Bundle => {
                let path = format!("{}/topups/reports/transactions", self.topups_url);
                let request = topups(WireRequest::get("query", &path));
                request.query("customIdentifier", &ours).query("page", "1").query("size", "200")
            }
        })
    }

    fn shown(&self, order: &Order, _asked: &WireRequest, reply: &WireReply) -> Shown {
        Shown::in_json(reply, &order.attempt.to_string(), &IDS)
    }

    fn read_enquiry(
        &self,
        order: &Order,
        asked: &WireRequest,
        got: &CallResult,
    ) -> Next<EnquiryOutcome> {
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) => {
                return Next::Done(Answer::Unknown { reason: lost.reason.clone() }.into());
            }
        };
        match read::enquiry(order, self.currency, asked, reply) {
            read::Found::Outcome(outcome) => Next::Done(outcome),
            read::Found::WithoutStatus(theirs) if asked.step == "query" => {
                Next::then(self.by_their_id(order, &theirs))
            }
            read::Found::WithoutStatus(theirs) => {
                Next::Done(Answer::Accepted { reference: Some(theirs) }.into())
            }
        }
    }

    fn balance(&self) -> Option<WireRequest> {
        let path = format!("{}/accounts/balance", self.topups_url);
        Some(topups(WireRequest::get("balance", &path)))
    }

    fn read_balance(&self, _asked: &WireRequest, got: &CallResult) -> Next<BalanceAnswer> {
        Next::Done(reported_balance(got, read::balance))
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        let Some(secret) = &self.webhook_secret else { return CallbackRead::NotOffered };
        let forged = |reason: &str| CallbackRead::Forged { reason: reason.to_owned() };
        let signature = callback.header(SIGNATURE).and_then(decode_hex);
        let (Some(signature), Some(at)) = (signature, callback.header(SIGNED_AT)) else {
            return forged("it has no signature");
        };
        let signed = [callback.body.as_slice(), b":", at.as_bytes()].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        if hmac::verify(&key, &signed, &signature).is_err() {
            return forged("its signature is wrong");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&callback.body) else {
            return forged("it cannot be read");
        };
        match reference_in(&body) {
            Some(attempt) => {
                let text = "status changed".to_owned();
                CallbackRead::Genuine { attempt, text, answer: None }
            }
            None => forged("it names no attempt"),
        }
    }

    fn login(&self, login: &str) -> Option<WireRequest> {
        let audience = match login {
            TOPUPS => &self.topups_url,
            UTILITIES => &self.utilities_url,
            _ => return None,
        };
        let body = LoginBody {
            client_id: self.client_id.reveal(),
            client_secret: self.client_secret.reveal(),
            grant_type: "client_credentials",
            audience,
        };
        let path = format!("{}/oauth/token", self.auth_url);
        Some(WireRequest::post_json("login", &path, &body))
    }

    fn read_login(&self, _login: &str, reply: &WireReply) -> Result<Login, String> {
        let read = reply.json::<LoginReply>();
        let said = read.as_ref().and_then(|read| read.expires_in.as_ref()?.0.parse().ok());
        let lifetime = said.map_or(TOKEN_LIFETIME, Duration::from_secs);
        Login::bearer(reply, read.as_ref().map(|read| read.access_token.as_str()), lifetime)
    }
}

fn topups(request: WireRequest) -> WireRequest {
    request.header("accept", TOPUPS_ACCEPT).with_token(TOPUPS)
}

fn utilities(request: WireRequest) -> WireRequest {
    request.header("accept", UTILITIES_ACCEPT).with_token(UTILITIES)
}

fn missing(what: &str, name: &str) -> Unsendable {
    Unsendable::because(format!("the {what} {name} is not in the map of this upstream"))
}

/// Their ids are JSON numbers.
fn id(text: &str) -> Result<Box<RawValue>, Unsendable> {
    let is_id = (1..=18).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    let raw = RawValue::from_string(text.to_owned()).ok().filter(|_| is_id);
    raw.ok_or_else(|| Unsendable::because(format!("{text} in a map is no id of theirs")))
}

fn amount(order: &Order) -> Result<Box<RawValue>, Unsendable> {
    json_number(order.amount).ok_or_else(|| Unsendable::because("the amount cannot be written"))
}

/// A recipient that is in international form already, without its plus.
fn as_digits(recipient: &str) -> Option<&str> {
    let is_international = recipient.len() >= 10
        && !recipient.starts_with('0')
        && recipient.bytes().all(|b| b.is_ascii_digit());
    is_international.then_some(recipient)
}

/// Payloads have several shapes: the reference is wherever one of its two names is.
fn reference_in(body: &Value) -> Option<AttemptRef> {
    match body {
        Value::Object(fields) => ["customIdentifier", "referenceId"]
            .iter()
            .find_map(|name| AttemptRef::parse(fields.get(*name)?.as_str()?))
            .or_else(|| fields.values().find_map(reference_in)),
        Value::Array(items) => items.iter().find_map(reference_in),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}
