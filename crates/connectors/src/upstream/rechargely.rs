//! `rechargely`: Rechargely's wallet API, and every Saldo, as an upstream.
//!
//! Facts: docs/upstreams/rechargely.md. Two steps: the pre-auth moves no money, the auth charges.
//! Invariants: an auth leaves once; without a peer that can be asked, what an auth's reply does not
//! plainly say is for staff.

use super::kit::decimal::{AnyText, Decimal};
use super::kit::echo::{Echo, Sent};
use super::kit::protocol::{Login, Next, Protocol, Unsendable, reported_balance};
use super::kit::settings::{Maps, Secret, UpstreamSettings, UpstreamUnusable};
use super::kit::shown::Shown;
use super::kit::wire::{CallResult, WireReply, WireRequest, json_number};
use domain::purchase::{CUSTOMER_ADDRESS, CUSTOMER_MOBILE, CUSTOMER_NAME};
use domain::{
    Answer, AskedBy, BalanceAnswer, Capabilities, Currency, Details, EnquiryOutcome, Kind, Money,
    Order, Slip, Token, TokenKind,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// The secrets without which it does not open.
pub(super) const SECRETS: &[&str] = &["username", "password"];

const LOGIN: &str = "customer";
const PRE_AUTH: &str = "pre-auth";
const AUTH: &str = "auth";

/// A login is valid for an hour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// A pre-auth that takes longer is given up: no money has moved, and the auth needs its time too.
const PRE_AUTH_TIMEOUT: Duration = Duration::from_secs(10);
const AUTH_TIMEOUT: Duration = Duration::from_secs(90);
/// From the end of an auth: its longest time, and a margin. For a peer that can be asked.
const NOT_FOUND_FINAL_AFTER: Duration = Duration::from_secs(180);

/// What Saldo's refusals of an auth say of the charge: there is none.
const PEER_REFUSALS: [&str; 4] =
    ["INSUFFICIENT_BALANCE", "NO_WALLET", "QUOTE_EXPIRED", "RATE_LIMIT_EXCEEDED"];

/// What a device's token would be; the document requires one.
const FCM_TOKEN: &str = "server";

/// Its own settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OwnSettings {
    /// `saldo`: it can be asked about a payment, and tells its balance.
    peer: Option<Peer>,
    /// The currency of the wallet whose balance is asked for, of a peer.
    currency: Option<String>,
    /// Payments are below `/v1/` once more.
    double_v1: bool,
    /// Whole messages of 400, 404 and 422 after which nothing was charged.
    refused_messages: Vec<String>,
    /// Who pays, where the order does not say it.
    customer_mobile: Option<String>,
    /// Waits for a payment that is not found, where not 180 s and 60 s: for tests.
    not_found_final_after_s: Option<u64>,
    not_found_gap_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Peer {
    Saldo,
}

/// The protocol of one account there.
struct Rechargely {
    username: Secret,
    password: Secret,
    maps: Maps,
    own: OwnSettings,
}

/// Makes the protocol; the secrets are `username` and `password`.
pub(super) fn open(settings: &UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable> {
    let own: OwnSettings = settings.own()?;
    if let Some(code) = own.currency.as_deref().filter(|code| Currency::from_code(code).is_none()) {
        return Err(UpstreamUnusable::File(format!("{code} is no currency")));
    }
    Ok(Box::new(Rechargely {
        username: settings.secret("username")?,
        password: settings.secret("password")?,
        maps: settings.maps.clone(),
        own,
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginBody<'a> {
    username: &'a str,
    password: &'a str,
    fcm_token: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginReply {
    access_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PreAuthBody<'a> {
    amount: Box<RawValue>,
    product_id: Box<RawValue>,
    request_id: String,
    bill_reference: &'a str,
    customer_mobile: &'a str,
    additional_data: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreAuthReply {
    response_code: AnyText,
    response_message: Option<String>,
    pre_auth_token: Option<String>,
    request_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthBody<'a> {
    pre_auth_token: &'a str,
    request_id: String,
}

/// The reply to an auth; a peer's status reply has the same fields and more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PaymentReply {
    response_code: AnyText,
    response_message: Option<String>,
    transaction_reference: Option<String>,
    status: String,
    request_id: String,
    /// A peer adds these.
    amount: Option<Decimal>,
    fee: Option<Decimal>,
    bill_reference: Option<AnyText>,
    #[serde(default)]
    tokens: Vec<ReplyToken>,
}

#[derive(Deserialize)]
struct ReplyToken {
    token: String,
    units: Option<String>,
    kind: String,
}

#[derive(Deserialize)]
struct RefusalBody {
    message: String,
    code: Option<String>,
}

#[derive(Deserialize)]
struct WalletReply {
    currency: String,
    balance: Decimal,
}

impl Rechargely {
    const fn is_saldo(&self) -> bool {
        matches!(self.own.peer, Some(Peer::Saldo))
    }

    /// What is not known: a peer is asked, of another one staff find out.
    fn doubt(&self, reason: &str) -> Answer {
        let reason = reason.to_owned();
        if self.is_saldo() { Answer::Unknown { reason } } else { Answer::Unaskable { reason } }
    }

    fn payments(&self, rest: &str) -> String {
        let twice = if self.own.double_v1 { "/v1" } else { "" };
        format!("{twice}/transactions{rest}")
    }

    fn read_pre_auth(&self, order: &Order, got: &CallResult) -> Next<Answer> {
        let refused =
            |reason: String, try_elsewhere| Next::Done(Answer::Refused { reason, try_elsewhere });
        // Nothing is charged without an auth, and none was sent.
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) => return refused(lost.reason.clone(), true),
        };
        if reply.status != 200 {
            let is_theirs = !matches!(reply.status, 400 | 404 | 409 | 422);
            return refused(message(reply), is_theirs);
        }
        let ours = order.attempt.to_string();
        let Some(read) = reply.json::<PreAuthReply>() else { return refused(reply.shown(), true) };
        let token = read.pre_auth_token.filter(|token| {
            let is_usable = read.response_code.0 == "200" && !token.is_empty();
            is_usable && read.request_id.as_deref() == Some(&ours)
        });
        let Some(token) = token else {
            return refused(read.response_message.unwrap_or_else(|| reply.shown()), false);
        };
        Next::then(self.auth(order, &token))
    }

    fn auth(&self, order: &Order, token: &str) -> WireRequest {
        let body = AuthBody { pre_auth_token: token, request_id: order.attempt.to_string() };
        let path = self.payments("/bill-payment/auth");
        let request = WireRequest::post_json(AUTH, &path, &body);
        with_login(request).within(AUTH_TIMEOUT).buying()
    }

    fn read_auth(&self, order: &Order, got: &CallResult) -> Answer {
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) => return self.doubt(&lost.reason),
        };
        let refusal = reply.json::<RefusalBody>();
        let refused = |try_elsewhere| Answer::Refused { reason: message(reply), try_elsewhere };
        match (reply.status, refusal) {
            (200, _) => match reply.json::<PaymentReply>() {
                Some(payment) => self.read_payment(order, payment),
                None => self.doubt(&reply.shown()),
            },
            // The second one, after a new login: it comes before anything runs.
            (401, _) => refused(true),
            // Without a message it is the page of a firewall.
            (403, Some(_)) => refused(true),
            (409 | 422 | 429, Some(body)) if self.is_saldo() && is_peer_refusal(&body) => {
                refused(true)
            }
            (400 | 404 | 422, Some(body)) if self.own.refused_messages.contains(&body.message) => {
                refused(true)
            }
            _ => self.doubt(&reply.shown()),
        }
    }

    /// Whether a peer has our pre-auth and not its auth: it never got the order to pay.
    fn is_only_quoted(&self, order: &Order, payment: &PaymentReply) -> bool {
        self.is_saldo()
            && payment.request_id == order.attempt.to_string()
            && (payment.status.as_str(), payment.response_code.0.as_str()) == ("PENDING", "200")
    }

    fn read_payment(&self, order: &Order, payment: PaymentReply) -> Answer {
        let reference = order.attempt.to_string();
        let sent =
            Sent { reference: &reference, recipient: &order.recipient, amount: order.amount };
        let echo = Echo {
            reference: Some(&payment.request_id),
            recipient: payment.bill_reference.as_ref().map(|text| text.0.as_str()),
            amount: payment.amount,
        };
        if let Some(alarm) = echo.alarm(&sent) {
            return match alarm {
                Answer::Unknown { reason } => self.doubt(&reason),
                other @ (Answer::Delivered { .. }
                | Answer::Accepted { .. }
                | Answer::Refused { .. }
                | Answer::RefusedAsRepeat { .. }
                | Answer::Unclear { .. }
                | Answer::Unaskable { .. }) => other,
            };
        }
        let own_reference = payment.transaction_reference.clone();
        let text = payment.response_message.clone().unwrap_or_else(|| payment.status.clone());
        match (payment.status.as_str(), payment.response_code.0.as_str()) {
            ("COMPLETED", "200") => Answer::Delivered {
                reference: own_reference,
                text: payment.response_message.clone(),
                slip: payment.slip().map(Box::new),
                cost: payment.cost(order),
            },
            ("FAILED" | "CANCELLED", "200" | "409" | "422") => {
                Answer::Refused { reason: text, try_elsewhere: false }
            }
            ("PENDING" | "PROCESSING", "200" | "202") if self.is_saldo() => {
                Answer::Accepted { reference: own_reference }
            }
            (status, code) => self.doubt(&format!("the status {status} with the code {code}")),
        }
    }
}

impl Protocol for Rechargely {
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
            asked_by: if self.is_saldo() { AskedBy::OurReference } else { AskedBy::Nothing },
            tells_balance: self.is_saldo() && self.own.currency.is_some(),
            calls_back: false,
            refusals_shown: 0,
            staff_after: None,
            balance_gap: None,
            currency: self.own.currency.as_deref().and_then(Currency::from_code),
            rechecks: &[],
        }
    }

    fn submit(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        if matches!(order.kind, Kind::Offer | Kind::Banking) {
            let kind = order.kind.code();
            return Err(Unsendable::because(format!("{kind} is not sold by this upstream")));
        }
        let of_product = order.product.as_ref().and_then(|name| self.maps.products.get(name));
        let product = of_product.or_else(|| self.maps.operators.get(&order.operator));
        let product = product.ok_or_else(|| {
            let name = order.product.as_deref().unwrap_or(&order.operator);
            Unsendable::because(format!("{name} is not in the maps of this upstream"))
        })?;
        let is_number = matches!(order.kind, Kind::Recharge | Kind::Bundle);
        let own = if is_number { Some(&order.recipient) } else { None };
        let mobile = order.details.get(CUSTOMER_MOBILE).or(own);
        let mobile = mobile.or(self.own.customer_mobile.as_ref()).ok_or_else(|| {
            Unsendable::because("nobody's mobile number: set customer_mobile for this upstream")
        })?;
        let unwritable = || Unsendable::because("the amount or the product cannot be written");
        let body = PreAuthBody {
            amount: json_number(order.amount).ok_or_else(unwritable)?,
            product_id: product_id(product).ok_or_else(unwritable)?,
            request_id: order.attempt.to_string(),
            bill_reference: &order.recipient,
            customer_mobile: mobile,
            additional_data: if self.is_saldo() { fields(&order.details) } else { Details::new() },
        };
        let path = self.payments("/bill-payment/pre-auth");
        Ok(with_login(WireRequest::post_json(PRE_AUTH, &path, &body)).within(PRE_AUTH_TIMEOUT))
    }

    fn read_submit(&self, order: &Order, asked: &WireRequest, got: &CallResult) -> Next<Answer> {
        match asked.step {
            AUTH => Next::Done(self.read_auth(order, got)),
            _ => self.read_pre_auth(order, got),
        }
    }

    fn enquiry(&self, order: &Order) -> Option<WireRequest> {
        let path = self.payments(&format!("/{}", order.attempt));
        self.is_saldo().then(|| with_login(WireRequest::get("query", &path)))
    }

    fn shown(&self, order: &Order, _asked: &WireRequest, reply: &WireReply) -> Shown {
        Shown::in_json(reply, &order.attempt.to_string(), &["/transactionReference"])
    }

    fn read_enquiry(
        &self,
        order: &Order,
        _asked: &WireRequest,
        got: &CallResult,
    ) -> Next<EnquiryOutcome> {
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) => return Next::Done(self.doubt(&lost.reason).into()),
        };
        let refusal = reply.json::<RefusalBody>();
        let is_unknown_there =
            refusal.is_some_and(|body| body.code.as_deref() == Some("TRANSACTION_NOT_FOUND"));
        Next::Done(match reply.status {
            200 => match reply.json::<PaymentReply>() {
                Some(payment) if self.is_only_quoted(order, &payment) => EnquiryOutcome::NotFound,
                Some(payment) => self.read_payment(order, payment).into(),
                None => self.doubt(&reply.shown()).into(),
            },
            404 if is_unknown_there => EnquiryOutcome::NotFound,
            // About the enquiry, not about the order.
            _ => self.doubt(&reply.shown()).into(),
        })
    }

    fn balance(&self) -> Option<WireRequest> {
        let is_offered = self.capabilities().tells_balance;
        is_offered.then(|| with_login(WireRequest::get("balance", "/wallet/balance")))
    }

    fn read_balance(&self, _asked: &WireRequest, got: &CallResult) -> Next<BalanceAnswer> {
        Next::Done(reported_balance(got, |reply| {
            let wanted = self.own.currency.as_deref()?;
            let mut wallets = reply.json::<Vec<WalletReply>>()?.into_iter();
            let wallet = wallets.find(|wallet| wallet.currency == wanted)?;
            wallet.balance.to_money_floor(Currency::from_code(wanted)?)
        }))
    }

    fn login(&self, login: &str) -> Option<WireRequest> {
        let body = LoginBody {
            username: self.username.reveal(),
            password: self.password.reveal(),
            fcm_token: FCM_TOKEN,
        };
        let request = WireRequest::post_json("login", "/authenticate/customers", &body);
        (login == LOGIN).then(|| request.header("x-channel-id", "WEB"))
    }

    fn read_login(&self, _login: &str, reply: &WireReply) -> Result<Login, String> {
        let read = reply.json::<LoginReply>();
        Login::bearer(reply, read.as_ref().map(|read| read.access_token.as_str()), TOKEN_LIFETIME)
    }
}

impl PaymentReply {
    fn slip(&self) -> Option<Slip> {
        let tokens: Vec<Token> = self.tokens.iter().filter_map(ReplyToken::token).collect();
        (!tokens.is_empty()).then(|| Slip::of_tokens(tokens))
    }

    /// Amount and fee, where a peer says them.
    fn cost(&self, order: &Order) -> Option<Money> {
        let currency = order.amount.currency();
        self.amount?.to_money(currency)?.plus(self.fee?.to_money(currency)?)
    }
}

impl ReplyToken {
    fn token(&self) -> Option<Token> {
        Token::new(&self.token, self.units.clone(), TokenKind::from_code(&self.kind)?)
    }
}

fn with_login(request: WireRequest) -> WireRequest {
    request.header("x-channel-id", "WEB").with_token(LOGIN)
}

/// Digits as a number, anything else as a text.
fn product_id(theirs: &str) -> Option<Box<RawValue>> {
    let is_number = theirs.bytes().all(|b| b.is_ascii_digit()) && !theirs.starts_with('0');
    match is_number {
        true => RawValue::from_string(theirs.to_owned()).ok(),
        false => serde_json::value::to_raw_value(theirs).ok(),
    }
}

/// What the product asked for, without what we added to an order ourselves.
fn fields(details: &Details) -> Details {
    let is_ours = |name: &str| [CUSTOMER_NAME, CUSTOMER_ADDRESS, CUSTOMER_MOBILE].contains(&name);
    let fields = details.iter().filter(|(name, _)| !is_ours(name));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_peer_refusal(body: &RefusalBody) -> bool {
    body.code.as_deref().is_some_and(|code| PEER_REFUSALS.contains(&code))
}

fn message(reply: &WireReply) -> String {
    reply.json::<RefusalBody>().map_or_else(|| reply.shown(), |body| body.message)
}
