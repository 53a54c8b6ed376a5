//! `generic`: a panel that is described by a TOML file instead of code.
//!
//! `file` has the tables as they are written, `panel` loads them, `template`, `request` and `sign`
//! write calls, `read` and `judge` read replies, `cases` runs what the file must pass before it is
//! used. Invariants (no file can change them): what no rule matches is unknown; two rules that
//! disagree are unknown; a reply that is not shown to be about our order decides nothing; an order
//! is submitted once.

mod cases;
pub(crate) mod file;
mod judge;
mod panel;
mod read;
mod request;
mod sending;
pub(crate) mod served;
mod sign;
mod template;
#[cfg(test)]
mod tests;
mod times;
mod token_place;
mod values;

pub use cases::FileReport;

use super::kit::protocol::{ConnectionNeeds, Login, Next, Protocol, RepeatedRefusals, Unsendable};
use super::kit::settings::{Secret, UpstreamSettings, UpstreamUnusable};
use super::kit::shown::{self, Shown};
use super::kit::wire::{CallResult, WireReply, WireRequest};
use domain::money::decimals;
use domain::{
    Answer, AskedBy, BalanceAnswer, Callback, CallbackAnswer, CallbackRead, Capabilities, Clock,
    Currency, EnquiryOutcome, Money, Order,
};
use file::{HookBody, Method, PanelFile, Take, Unit};
use judge::{Found, Known, Reading};
use panel::{Additions, Panel};
use read::Fields;
use request::{ReadyCall, WireCall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use template::{EscapeContext, Unfit};
use times::duration;
use token_place::TOKEN_PLACE;
use values::OrderValues;

/// The one login of a file.
const LOGIN: &str = "login";
/// The protocol of one file.
pub struct Generic {
    panel: Panel,
    clock: Arc<dyn Clock>,
}

/// A file that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFile {
    /// The file's own name for the panel.
    pub code: String,
    /// For people.
    pub title: String,
    /// The address that the panel must let in, if the file names one.
    pub source_ip: Option<String>,
    /// What became of its cases and of the hostile replies.
    pub report: FileReport,
}

/// Loads a file and runs its cases and the hostile replies. Refused: a file that is not safe. The
/// secrets may be missing: nothing is sent.
pub fn check(text: &str) -> Result<CheckedFile, String> {
    let panel = Panel::load(text, Additions::default())?;
    let report = cases::run(&panel);
    let PanelFile { code, title, base, .. } = panel.file;
    Ok(CheckedFile { code, title, source_ip: base.source_ip, report })
}

/// The names of the secrets that a file uses; none if it cannot be read.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let file = toml::from_str::<PanelFile>(text);
    file.map(|file| file.secrets.names).unwrap_or_default()
}

/// The protocol of the file in `settings`. Refused unless the file passes everything.
pub(super) fn open(settings: &UpstreamSettings) -> Result<Box<dyn Protocol>, UpstreamUnusable> {
    let secrets = settings.secrets.iter();
    let maps = [
        ("operator", &settings.maps.operators),
        ("product", &settings.maps.products),
        ("offer", &settings.maps.offers),
    ];
    let maps = maps.into_iter().filter(|(_, entries)| !entries.is_empty());
    let additions = Additions {
        url: (!settings.url.is_empty()).then(|| settings.url.clone()),
        secrets: secrets.map(|(name, secret)| (name.clone(), secret.reveal().to_owned())).collect(),
        maps: maps.map(|(name, entries)| (name.to_owned(), entries.clone())).collect(),
    };
    let panel = Panel::load(&settings.file, additions).map_err(UpstreamUnusable::File)?;
    if let Some(name) =
        panel.file.secrets.names.iter().find(|name| !panel.secrets.contains_key(*name))
    {
        return Err(UpstreamUnusable::File(format!("the secret {name} is missing")));
    }
    let report = cases::run(&panel);
    if !report.failed.is_empty() {
        return Err(UpstreamUnusable::File(report.failed.join("; ")));
    }
    let clock = settings.clock.clone();
    Ok(Box::new(Generic { panel, clock }))
}

impl Generic {
    fn values<'a>(&'a self, order: &'a Order) -> Result<OrderValues<'a>, Unfit> {
        let mut values = OrderValues::of(&self.panel, order, self.clock.now())?;
        values.put("token", TOKEN_PLACE.to_owned());
        if let Some(form) = self.panel.fresh_reference() {
            let fresh = form.render(&values, EscapeContext::Plain)?;
            values.put("fresh_reference", fresh);
        }
        Ok(values)
    }

    /// The values that need no order.
    fn own(&self) -> OrderValues<'_> {
        OrderValues::without_order(&self.panel, self.clock.now())
    }

    fn wire(
        &self,
        step: &'static str,
        call: &ReadyCall,
        values: &OrderValues<'_>,
    ) -> Result<WireRequest, Unfit> {
        let WireCall { method, url, headers, body, timeout } = call.write(values)?;
        let mut request = WireRequest::get(step, url.as_str()).within(timeout);
        request.method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        for header in &headers {
            request = request.header(&header.name, &header.value);
        }
        request.body = body;
        request.buys = step == "submit";
        // A call of the log-in itself carries no token.
        request.login = (self.panel.login.is_some() && call.uses("token")).then_some(LOGIN);
        Ok(request)
    }

    /// What a reply means; a contradiction is logged.
    fn reading(
        &self,
        call: &ReadyCall,
        reply: &WireReply,
        order: &Order,
        known: Known<'_>,
    ) -> Heeded {
        let heeded = self.judged(call, reply, order, known);
        if let Found::Unknown { reason, is_alarm: true } = &heeded.reading.found {
            tracing::error!(
                attempt = %order.attempt,
                file = %self.panel.digest,
                "an upstream's reply contradicts itself or our order: {reason}"
            );
        }
        heeded
    }

    fn judged(
        &self,
        call: &ReadyCall,
        reply: &WireReply,
        order: &Order,
        known: Known<'_>,
    ) -> Heeded {
        if reply.body.len() > self.panel.body_max {
            return Heeded::unknown("the reply is larger than max_body");
        }
        let sent = match OrderValues::of(&self.panel, order, self.clock.now()) {
            Ok(values) => values.sent(),
            Err(error) => return Heeded::unknown(&error.to_string()),
        };
        let reading = cases::read(call, reply.status, &reply.body, &sent, known);
        Heeded { reading, fields: call.read(&reply.body).unwrap_or_default() }
    }

    fn delivered(&self, fields: &Fields) -> Answer {
        let cost = fields.get("cost").and_then(|text| {
            let unit = self.panel.file.amount.unit;
            judge::minor(text, unit, decimals(self.panel.currency))
        });
        Answer::Delivered {
            reference: fields.get("id").cloned(),
            text: None,
            slip: None,
            cost: cost.map(|minor| Money::new(minor, self.panel.currency)),
        }
    }

    fn submit_answer(&self, order: &Order, reply: &WireReply) -> Answer {
        let Heeded { reading, fields } =
            self.reading(&self.panel.submit, reply, order, Known::default());
        match reading.found {
            Found::Delivered => self.delivered(&fields),
            Found::Accepted => Answer::Accepted { reference: fields.get("id").cloned() },
            Found::Refused { reason, try_elsewhere } => Answer::Refused { reason, try_elsewhere },
            Found::Unknown { reason, .. } => self.doubt(order, reason),
            // The loader refuses such rules of a submit.
            Found::Reversed | Found::NotFound => {
                self.doubt(order, "not an answer to a submit".to_owned())
            }
        }
    }

    /// An unknown outcome; nobody but staff can find out where the panel cannot be asked.
    fn doubt(&self, order: &Order, reason: String) -> Answer {
        match self.panel.asked_by() {
            AskedBy::OurReference => Answer::Unknown { reason },
            AskedBy::TheirReference if order.upstream_reference.is_some() => {
                Answer::Unknown { reason }
            }
            AskedBy::TheirReference | AskedBy::Nothing => Answer::Unaskable { reason },
        }
    }

    fn enquiry_outcome(
        &self,
        call: &ReadyCall,
        order: &Order,
        reply: &WireReply,
    ) -> EnquiryOutcome {
        let Heeded { reading, fields } = self.reading(call, reply, order, known_of(order));
        match &reading.found {
            Found::Delivered => self.delivered(&fields).into(),
            Found::Accepted => Answer::Accepted { reference: fields.get("id").cloned() }.into(),
            Found::Refused { reason, try_elsewhere } => {
                let (reason, try_elsewhere) = (reason.clone(), *try_elsewhere);
                Answer::Refused { reason, try_elsewhere }.into()
            }
            Found::Reversed => match self.capabilities().reversals() {
                Some(reversals) => {
                    let reason = "the panel took it back".to_owned();
                    EnquiryOutcome::Reversed { reason, reversals }
                }
                None => {
                    Answer::Unknown { reason: "reversed, without such a rule".to_owned() }.into()
                }
            },
            Found::NotFound => EnquiryOutcome::NotFound,
            Found::Unknown { reason, .. } => Answer::Unknown { reason: reason.clone() }.into(),
        }
    }
}

/// So many refusals of live orders are shown to staff before one counts by itself: the file may be
/// wrong about what the panel means.
const REFUSALS_SHOWN: u32 = 20;

/// What is known of an order when it is asked about. What contradicts that the panel has shown that
/// it has the order is for the driver, as for every connector.
fn known_of(order: &Order) -> Known<'_> {
    Known { their_id: order.upstream_reference.as_deref(), is_acknowledged: false }
}

/// A reading with the values that it rests on.
struct Heeded {
    reading: Reading,
    fields: Fields,
}

impl Heeded {
    fn unknown(reason: &str) -> Heeded {
        Heeded { reading: Reading::unknown(reason), fields: Fields::new() }
    }
}

impl Protocol for Generic {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            not_found_final_after: self.panel.grace.unwrap_or(Duration::MAX),
            not_found_gap: self.panel.not_found_gap,
            enquiries: self.panel.enquiries,
            quotes_offers: false,
            looks_up_bills: false,
            reverses_deliveries: self.panel.reverses(),
            is_simulated: false,
            asked_by: self.panel.asked_by(),
            tells_balance: self.panel.balance.is_some(),
            calls_back: self.panel.file.hook.is_some(),
            refusals_shown: REFUSALS_SHOWN,
            staff_after: self.panel.staff_after,
            balance_gap: self.panel.balance_gap,
            currency: Some(self.panel.currency),
            rechecks: self.panel.rechecks,
        }
    }

    fn currency(&self) -> Option<Currency> {
        Some(self.panel.currency)
    }

    fn submit(&self, order: &Order) -> Result<WireRequest, Unsendable> {
        let written = self.values(order).and_then(|values| match &self.panel.prepare {
            Some(call) => self.wire("prepare", call, &values),
            None => self.wire("submit", &self.panel.submit, &values),
        });
        written.map_err(|error| Unsendable::because(error.to_string()))
    }

    fn read_submit(&self, order: &Order, asked: &WireRequest, got: &CallResult) -> Next<Answer> {
        let is_preparing = asked.step == "prepare";
        let reply = match got {
            Ok(reply) => reply,
            Err(lost) if is_preparing => return Next::Done(not_prepared(&lost.reason)),
            Err(lost) => return Next::Done(self.doubt(order, lost.reason.clone())),
        };
        let Some(call) = self.panel.prepare.as_ref().filter(|_| is_preparing) else {
            return Next::Done(self.submit_answer(order, reply));
        };
        let Heeded { reading, fields } = self.reading(call, reply, order, Known::default());
        match reading.found {
            Found::Accepted | Found::Delivered => {}
            Found::Refused { reason, try_elsewhere } => {
                return Next::Done(Answer::Refused { reason, try_elsewhere });
            }
            Found::Unknown { reason, .. } => return Next::Done(not_prepared(&reason)),
            Found::Reversed | Found::NotFound => return Next::Done(not_prepared("no such order")),
        }
        let written = self.values(order).and_then(|mut values| {
            for (name, value) in fields {
                values.put(&format!("prepare.{name}"), value);
            }
            self.wire("submit", &self.panel.submit, &values)
        });
        match written {
            Ok(request) => Next::then(request),
            Err(error) => Next::Done(not_prepared(&error.to_string())),
        }
    }

    fn shown(&self, order: &Order, asked: &WireRequest, reply: &WireReply) -> Shown {
        let call = if asked.step == "query" { self.panel.query.as_ref() } else { None };
        let call = call.unwrap_or(&self.panel.submit);
        let Ok(values) = OrderValues::of(&self.panel, order, self.clock.now()) else {
            return Shown::default();
        };
        let ours = values.sent().reference;
        let in_text = || shown::is_in_text(&reply.body, &ours);
        match call.read(&reply.body) {
            Ok(fields) => Shown {
                has_ours: call.judge.repeats(&fields, &ours).unwrap_or_else(in_text),
                theirs: fields.get("id").filter(|id| !id.is_empty() && *id != "0").cloned(),
            },
            Err(_) => Shown { has_ours: in_text(), theirs: None },
        }
    }

    fn enquiry(&self, order: &Order) -> Option<WireRequest> {
        let call = self.panel.query.as_ref()?;
        if self.panel.asked_by() == AskedBy::TheirReference && order.upstream_reference.is_none() {
            return None;
        }
        let written = self.values(order).and_then(|values| self.wire("query", call, &values));
        match written {
            Ok(request) => Some(request),
            Err(error) => {
                tracing::error!(attempt = %order.attempt, "an enquiry cannot be written: {error}");
                None
            }
        }
    }

    fn read_enquiry(
        &self,
        order: &Order,
        _: &WireRequest,
        got: &CallResult,
    ) -> Next<EnquiryOutcome> {
        Next::Done(match (got, &self.panel.query) {
            (Ok(reply), Some(call)) => self.enquiry_outcome(call, order, reply),
            (Err(lost), _) => Answer::Unknown { reason: lost.reason.clone() }.into(),
            (Ok(_), None) => {
                Answer::Unaskable { reason: "the file has no [query]".to_owned() }.into()
            }
        })
    }

    fn balance(&self) -> Option<WireRequest> {
        let call = self.panel.balance.as_ref()?;
        let mut values = self.own();
        values.put("token", TOKEN_PLACE.to_owned());
        values.put_own().and_then(|()| self.wire("balance", call, &values)).ok()
    }

    fn read_balance(&self, _: &WireRequest, got: &CallResult) -> Next<BalanceAnswer> {
        let unavailable = |reason: &str| BalanceAnswer::Unavailable { reason: reason.to_owned() };
        let (Ok(reply), Some(call)) = (got, &self.panel.balance) else {
            return Next::Done(unavailable("no reply"));
        };
        let unit =
            self.panel.file.balance.as_ref().and_then(|form| form.unit).unwrap_or(Unit::Major);
        let read = call.read(&reply.body).ok().filter(|_| reply.status == 200);
        let minor = read.and_then(|fields| {
            let text = fields.get("amount")?;
            let (sign, text) = match text.strip_prefix('-') {
                Some(rest) => (-1, rest.to_owned()),
                None => (1, text.clone()),
            };
            Some(sign * judge::minor_floor(&text, unit, decimals(self.panel.currency))?)
        });
        Next::Done(match minor {
            Some(minor) => BalanceAnswer::Reported(Money::new(minor, self.panel.currency)),
            None => unavailable(&format!("HTTP {}: no balance in the reply", reply.status)),
        })
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        let Some(hook) = &self.panel.file.hook else { return CallbackRead::NotOffered };
        let forged = |reason: &str| CallbackRead::Forged { reason: reason.to_owned() };
        let method = if callback.method == "GET" { Method::Get } else { Method::Post };
        if !hook.methods.contains(&method) {
            return forged("not a method of the file");
        }
        let path = self
            .panel
            .hook_path
            .as_ref()
            .map(|path| path.render(&self.own(), EscapeContext::Plain));
        let is_path = match path {
            None => true,
            Some(Ok(path)) => bool::from(path.as_bytes().ct_eq(callback.path.as_bytes())),
            Some(Err(_)) => false,
        };
        if !is_path {
            return forged("not at the path of the file");
        }
        let networks = &self.panel.hook_networks;
        let is_from_there =
            callback.peer.is_some_and(|ip| networks.iter().any(|n| n.contains(&ip)));
        if !networks.is_empty() && !is_from_there {
            return forged("not from a network of the file");
        }
        let take =
            BTreeMap::from([("reference".to_owned(), Take::At(hook.take.reference.clone()))]);
        let query = callback.query.as_bytes();
        let (form, body) = match hook.from {
            HookBody::Json => (file::ReplyForm::Json, callback.body.as_slice()),
            HookBody::Xml => (file::ReplyForm::Xml, callback.body.as_slice()),
            HookBody::Form => (file::ReplyForm::Form, callback.body.as_slice()),
            HookBody::Query => (file::ReplyForm::Form, query),
        };
        let fields = read::fields(form, &take, None, body).unwrap_or_default();
        let attempt = fields.get("reference").and_then(|text| self.panel.attempt_of(text));
        match attempt {
            Some(attempt) => {
                let answer = hook.answer.as_ref().map(|answer| CallbackAnswer {
                    status: answer.status,
                    body: answer.body.clone(),
                });
                CallbackRead::Genuine { attempt, text: "called back".to_owned(), answer }
            }
            None => forged("it names no attempt of ours"),
        }
    }

    fn login(&self, _: &str) -> Option<WireRequest> {
        let call = self.panel.login.as_ref()?;
        let mut values = self.own();
        values.put_own().and_then(|()| self.wire(LOGIN, call, &values)).ok()
    }

    fn read_login(&self, _: &str, reply: &WireReply) -> Result<Login, String> {
        let form = self.panel.file.login.as_ref().ok_or("the file has no [login]")?;
        let (Some(token), Some(lifetime)) = (&form.token, &form.lifetime) else {
            return Err("[login] needs token and lifetime".to_owned());
        };
        let mut take = BTreeMap::from([("token".to_owned(), Take::At(token.clone()))]);
        let fixed = duration(lifetime).ok();
        if fixed.is_none() {
            take.insert("lifetime".to_owned(), Take::At(lifetime.clone()));
        }
        let status = reply.status;
        if !(200..300).contains(&status) {
            return Err(format!("HTTP {status} to the log-in"));
        }
        let fields = read::fields(form.reply, &take, None, &reply.body)
            .map_err(|_| format!("HTTP {status}: the reply to the log-in cannot be read"))?;
        let token = fields.get("token").ok_or("the reply to the log-in has no token")?;
        let said = fields.get("lifetime").and_then(|text| text.parse().ok());
        let lifetime = fixed.or(said.map(Duration::from_secs));
        let lifetime =
            lifetime.ok_or("the reply to the log-in does not say how long it is valid")?;
        Ok(Login { token: Secret::new(token), lifetime })
    }

    fn repeated_refusals(&self) -> Option<RepeatedRefusals> {
        Some(self.panel.repeated_refusals)
    }

    fn read_by(&self, order: &Order, asked: &WireRequest, reply: &WireReply) -> Option<String> {
        let is_query = asked.step == "query";
        let call = match asked.step {
            "prepare" => self.panel.prepare.as_ref(),
            _ if is_query => self.panel.query.as_ref(),
            _ => Some(&self.panel.submit),
        };
        let known = if is_query { known_of(order) } else { Known::default() };
        let reading = self.judged(call?, reply, order, known).reading;
        let rule = reading.rule.map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
        Some(format!("{rule} of the file with SHA-256 {}", self.panel.digest))
    }

    fn trial_order(&self) -> Option<Order> {
        cases::order(&self.panel).ok()
    }

    fn connection(&self) -> ConnectionNeeds {
        let base = &self.panel.file.base;
        ConnectionNeeds {
            hosts: self.panel.hosts.iter().cloned().collect(),
            connect_timeout: self.panel.connect_timeout,
            extra_ca_pem: base.ca_pem.as_ref().map(|pem| pem.clone().into_bytes()),
            in_flight_max: base.max_in_flight.and_then(|count| usize::try_from(count).ok()),
            per_minute_max: base.per_minute,
            per_order: if self.panel.prepare.is_some() { 2 } else { 1 },
        }
    }

    fn place_token(&self, request: &mut WireRequest, token: &str) {
        token_place::put(request, token);
    }

    fn is_token_refused(&self, _: &WireRequest, reply: &WireReply) -> bool {
        let Some(login) = &self.panel.file.login else { return false };
        login.renew_on.iter().any(|renewal| {
            let fields = read::fields(login.reply, &renewal.take, None, &reply.body);
            let fields = fields.unwrap_or_default();
            renewal.http.contains(&reply.status) && judge::all_hold(&renewal.when, &fields)
        })
    }
}

/// What was to buy nothing has failed: nothing was bought.
fn not_prepared(reason: &str) -> Answer {
    Answer::Refused { reason: format!("it could not be prepared: {reason}"), try_elsewhere: true }
}
