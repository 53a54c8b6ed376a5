//! Simulated services with their real wire formats: what `saldo simulate` serves.
//!
//! The course of an order is that of the simulator: the last digits of the recipient decide, the
//! truth log says who was credited. Here each kind's requests become orders, and states become its
//! replies. Not here: sockets (`saldo simulate`). Invariant: a reply that is lost was decided and
//! recorded before; a request that is lost was not read.

mod generic;
mod irecharge;
mod rechargely;
mod reloadly;

use super::script::Script;
use super::truth_log::{Record, read_truth};
use super::{SimulatedUpstream, Simulator, SimulatorSettings, random};
use domain::{
    Answer, AttemptRef, Currency, Details, EnquiryOutcome, Environment, Kind, Money, Order,
    PurchaseNumber, ServiceType, Timestamp, UpstreamCode,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A request to a simulated service.
#[derive(Clone, Debug, Default)]
pub struct SimulatedCall {
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Raw, without its question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What a simulated service does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimulatedReply {
    /// Answers.
    Answer {
        /// The HTTP status.
        status: u16,
        /// JSON, or whatever the kind sends.
        body: String,
    },
    /// Closes the connection without an answer.
    Nothing,
}

/// A simulated service of one kind.
pub trait SimulatedService: Send + Sync {
    /// Decides, records, and answers.
    fn answer(&self, call: &SimulatedCall) -> SimulatedReply;

    /// Whether a request may be lost on purpose: what buys and what asks, but no login.
    fn may_be_lost(&self, call: &SimulatedCall) -> bool;
}

/// Settings of a simulated service.
#[derive(Clone)]
pub struct ServiceSettings {
    /// Seed, truth file, clock and times.
    pub simulator: SimulatorSettings,
    /// For how long the same number may not be recharged again, where the kind has such a window.
    pub repeat_window: Duration,
    /// What the account has at the start, in whole units of its currency.
    pub float_units: i64,
    /// The kind's own file, if it has one.
    pub file: String,
}

type OpenService = fn(ServiceSettings) -> io::Result<Box<dyn SimulatedService>>;

/// The kinds that can be simulated: one line each.
pub const SERVICES: &[(&str, OpenService)] = &[
    ("generic", generic::open),
    ("irecharge", irecharge::open),
    ("rechargely", rechargely::open),
    ("reloadly", reloadly::open),
];

/// Opens the simulated service of this kind. An unknown kind and a truth file that cannot be read
/// are errors. Must be called within a tokio runtime.
pub fn open_service(
    kind: &str,
    settings: ServiceSettings,
) -> io::Result<Box<dyn SimulatedService>> {
    let known = SERVICES.iter().find(|(name, _)| *name == kind);
    let names = || SERVICES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (_, open) = known.ok_or_else(|| {
        let text = format!("{kind} cannot be simulated; there are: {}", names());
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    open(settings)
}

/// Loses requests and replies at random, the same ones for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// Decides which.
    pub seed: u64,
    /// Of a hundred requests, how many are not read.
    pub requests_percent: u64,
    /// Of a hundred replies, how many are not sent.
    pub replies_percent: u64,
}

impl Losses {
    /// Whether the request of this number is lost, and whether its reply is.
    pub fn of(&self, number: u64) -> (bool, bool) {
        let is = |what: &[u8], percent| {
            random::random(self.seed, &[what, &number.to_be_bytes()]) % 100 < percent
        };
        (is(b"request", self.requests_percent), is(b"reply", self.replies_percent))
    }
}

/// The orders of a simulated service, by our reference.
struct Book {
    upstream: SimulatedUpstream,
    simulator: Simulator,
    settings: ServiceSettings,
    orders: Mutex<BTreeMap<AttemptRef, Booked>>,
}

/// An order that the service has.
#[derive(Clone, Debug)]
struct Booked {
    order: Order,
    at: Timestamp,
    script: Script,
}

/// More than a purchase has attempts.
const IDS_PER_PURCHASE: i64 = 16;

/// The result of a new order.
enum Placed {
    /// It is booked and has this course.
    New(Box<Booked>, EnquiryOutcome),
    /// Its reference was used before.
    Used,
    /// The service does not read it, or is down: nothing is booked.
    NotRead(Script),
    /// The truth file fails.
    Broken,
}

impl Book {
    fn open(settings: ServiceSettings, code: &str) -> io::Result<Book> {
        let simulator = Simulator::open(settings.simulator.clone())?;
        let records = match &settings.simulator.truth_file {
            Some(path) if path.exists() => read_truth(path)?,
            Some(_) | None => Vec::new(),
        };
        let orders = records.into_iter().map(|record| (record.attempt, Booked::of(record)));
        let upstream = SimulatedUpstream {
            code: UpstreamCode::new(code),
            position: 0,
            shared: Arc::clone(&simulator.shared),
        };
        Ok(Book { upstream, simulator, settings, orders: Mutex::new(orders.collect()) })
    }

    fn now(&self) -> Timestamp {
        self.settings.simulator.clock.now()
    }

    /// Books an order, once.
    fn place(&self, order: Order) -> Placed {
        let script = self.upstream.script(&order);
        if matches!(script, Script::Down | Script::LoseRequest) {
            return Placed::NotRead(script);
        }
        // Held over the write, so that an order that is booked is also found.
        let mut orders = self.orders.lock();
        let at = self.now();
        let record = Record::of(&order, &self.upstream.code, script, at);
        let accepted = self.simulator.shared.truth_log.lock().accept(&record);
        match accepted {
            Ok(true) => {
                if let Some(change) = script.late_change() {
                    let delay = self.settings.simulator.delay_of(change);
                    self.simulator.shared.send_update_after(delay, record);
                }
                let booked = Booked { order: order.clone(), at, script };
                orders.insert(order.attempt, booked.clone());
                let state = self.state(&booked);
                Placed::New(Box::new(booked), state)
            }
            Ok(false) => Placed::Used,
            Err(error) => {
                tracing::error!(%error, "the truth file fails");
                Placed::Broken
            }
        }
    }

    fn find(&self, reference: &str) -> Option<Booked> {
        self.orders.lock().get(&AttemptRef::parse(reference)?).cloned()
    }

    /// The order of one of the ids that [`Booked::theirs`] makes.
    fn find_theirs(&self, theirs: &str) -> Option<Booked> {
        let theirs: i64 = theirs.parse().ok()?;
        let number = u32::try_from(theirs % IDS_PER_PURCHASE).ok()?;
        let purchase = PurchaseNumber(theirs / IDS_PER_PURCHASE);
        self.orders.lock().get(&AttemptRef { purchase, number }).cloned()
    }

    /// How an order stands now.
    fn state(&self, booked: &Booked) -> EnquiryOutcome {
        self.upstream.state(&booked.order)
    }

    /// Whether an order to this number is younger than the window.
    fn is_recent(&self, order: &Order) -> bool {
        let now = self.now();
        let is_same = |booked: &&Booked| {
            booked.order.recipient == order.recipient
                && booked.order.operator == order.operator
                && booked.order.attempt != order.attempt
                && now.since(booked.at) < self.settings.repeat_window
        };
        let recent = self.orders.lock().values().find(is_same).cloned();
        recent.is_some_and(|booked| booked.script.credits(false))
    }

    /// What is left, in minor units: what there was, without what each delivery took, as the
    /// replies tell it.
    fn float_minor(&self, cost: impl Fn(&Booked) -> Money) -> i64 {
        let orders: Vec<Booked> = self.orders.lock().values().cloned().collect();
        let is_credited = |booked: &&Booked| {
            let state = self.state(booked);
            matches!(state, EnquiryOutcome::Answered(Answer::Delivered { .. }))
                || matches!(booked.script, Script::Mute)
        };
        let spent = orders.iter().filter(is_credited).map(|booked| cost(booked).minor());
        self.settings.float_units.saturating_mul(100) - spent.sum::<i64>()
    }
}

impl Booked {
    fn of(record: Record) -> Booked {
        let order = order(
            record.attempt,
            record.environment,
            Bought { kind: record.kind, operator: &record.operator },
            &record.recipient,
            record.amount,
        );
        Booked { order, at: record.at, script: record.script }
    }

    /// Their id of it: a number, unique for each attempt.
    const fn theirs(&self) -> i64 {
        let attempt = self.order.attempt;
        attempt.purchase.0.wrapping_mul(IDS_PER_PURCHASE).wrapping_add(attempt.number as i64)
    }
}

/// What an order is for.
#[derive(Clone, Copy)]
struct Bought<'a> {
    kind: Kind,
    operator: &'a str,
}

fn order(
    attempt: AttemptRef,
    environment: Environment,
    bought: Bought<'_>,
    recipient: &str,
    amount: Money,
) -> Order {
    let Bought { kind, operator } = bought;
    Order {
        attempt,
        started_at: Timestamp(0),
        environment,
        operator: operator.to_owned(),
        product: None,
        kind,
        recipient: recipient.to_owned(),
        amount,
        service_type: ServiceType::Prepaid,
        details: Details::new(),
        reference: attempt.to_string(),
        country: None,
        international: None,
        upstream_reference: None,
        is_acknowledged: false,
    }
}

/// The reply to a new order; none if its script loses it, garbage if it garbles it.
fn reply_or_lost(booked: &Booked, reply: impl FnOnce() -> SimulatedReply) -> SimulatedReply {
    match booked.script {
        Script::LoseReply | Script::Mute => SimulatedReply::Nothing,
        Script::Garble => garbage(),
        Script::Deliver
        | Script::RefuseNumber
        | Script::RefuseAtRandom
        | Script::WorkThenDeliver
        | Script::WorkThenRefuse
        | Script::LoseRequest
        | Script::DeliverThenReverse
        | Script::Down
        | Script::RefuseThenDeliver => reply(),
    }
}

/// How an order stands, as services show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrderStatus {
    Done,
    Failed,
    Working,
    TakenBack,
}

impl OrderStatus {
    const fn of(state: &EnquiryOutcome) -> OrderStatus {
        match state {
            EnquiryOutcome::Answered(answer) => match answer {
                Answer::Delivered { .. } => OrderStatus::Done,
                Answer::Refused { .. } | Answer::RefusedAsRepeat { .. } => OrderStatus::Failed,
                Answer::Accepted { .. }
                | Answer::Unknown { .. }
                | Answer::Unclear { .. }
                | Answer::Unaskable { .. } => OrderStatus::Working,
            },
            EnquiryOutcome::NotFound => OrderStatus::Working,
            EnquiryOutcome::Reversed { .. } => OrderStatus::TakenBack,
        }
    }
}

/// The tokens of a service's logins. Those of an earlier process are not valid any more.
#[derive(Default)]
struct SimulatedTokens(AtomicU64);

impl SimulatedTokens {
    const PREFIX: &str = "simulated.";

    /// A new token, if the log-in has a text in each of these fields.
    fn log_in(&self, body: &serde_json::Value, fields: [&str; 3]) -> Option<String> {
        let is_given = |name: &str| text_of(body, name).is_some_and(|text| !text.is_empty());
        let is_complete = fields.into_iter().all(is_given);
        is_complete.then(|| format!("{}{}", Self::PREFIX, self.0.fetch_add(1, Ordering::SeqCst)))
    }

    /// Whether a call has a valid one.
    fn admit(&self, call: &SimulatedCall) -> bool {
        let token = call.header("authorization").strip_prefix("Bearer ");
        let number = token.and_then(|token| token.strip_prefix(Self::PREFIX)?.parse::<u64>().ok());
        number.is_some_and(|number| number < self.0.load(Ordering::SeqCst))
    }
}

/// A JSON answer.
fn json(status: u16, body: &serde_json::Value) -> SimulatedReply {
    SimulatedReply::Answer { status, body: body.to_string() }
}

/// What a proxy in front of a service answers: no JSON.
fn garbage() -> SimulatedReply {
    let body = "<html><head><title>502 Bad Gateway</title></head></html>".to_owned();
    SimulatedReply::Answer { status: 502, body }
}

/// An amount as an exact JSON number.
fn number(amount: Money) -> serde_json::Value {
    serde_json::from_str(&amount.shortest()).unwrap_or_default()
}

/// A text or a number of a JSON body, as text.
fn text_of(body: &serde_json::Value, name: &str) -> Option<String> {
    match body.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

/// `10`, `10.0` and `"10.00"` as money; none if it is no amount of this currency.
fn money_of(body: &serde_json::Value, name: &str, currency: Currency) -> Option<Money> {
    let text = text_of(body, name)?;
    super::super::kit::decimal::Decimal::parse(&text)?.to_money(currency)
}

impl SimulatedCall {
    fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(header, _)| header == name);
        header.map_or("", |(_, value)| value.as_str())
    }

    /// A value of the query. The services' own values need no escaping.
    fn value(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
