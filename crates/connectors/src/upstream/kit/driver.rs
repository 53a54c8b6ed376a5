//! The driver: sends what a protocol makes, and hands it the replies.
//!
//! Not here: what replies mean. Invariants: an attempt is submitted once, and of its requests one
//! buys; each request gets a connection of its own, is sent once, and again only after its token
//! was refused; *not sent* is said only if no byte of a request that buys was written.

use super::address::Addresses;
use super::call_limits::CallLimits;
use super::protocol::{Login, Next, Protocol, Unsendable};
use super::redact::Redactor;
use super::repeats::RefusalCounts;
use super::settings::{UpstreamSettings, UpstreamUnusable};
use super::shown::Shown;
use super::token::{Token, Tokens};
use super::wire::{CallResult, Lost, WireReply, WireRequest};
use crate::http::{self, RequestError};
use crate::webhook_sender::SystemLookup;
use crate::webhook_sender::public_resolver::PublicResolver;
use domain::{
    Answer, AttemptRef, BalanceAnswer, BillAnswer, BillEnquiry, BoxFuture, CallPlace, Callback,
    CallbackRead, Capabilities, Clock, Currency, EnquiryOutcome, Environment, Exchange, Listener,
    NoOffers, NoPlace, Offer, OfferEnquiry, Order, SubmitOutcome, Upstream, UpstreamCode,
};
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A server that needs longer for the TCP and TLS handshakes counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Far more than any request limits itself to; only a request without a limit would need it.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// Requests of one question: a login is not among them. The longest that is known has three.
const STEPS_MAX: usize = 4;

/// Submitted attempts that are remembered, against a second submit: some hours of a busy upstream.
/// The engine itself never submits an attempt twice; this is the second check.
const SUBMITTED_KEPT: usize = 65_536;

/// A connector: a protocol with a connection.
pub struct Connector {
    code: UpstreamCode,
    environment: Environment,
    protocol: Box<dyn Protocol>,
    addresses: Addresses,
    client: Client,
    limits: CallLimits,
    repeats: RefusalCounts,
    time_divisor: u32,
    tokens: Tokens,
    submitted: Mutex<Submitted>,
    redactor: Redactor,
    listener: Arc<dyn Listener>,
    clock: Arc<dyn Clock>,
}

/// What became of a request.
enum Sent {
    Reply(WireReply),
    /// The upstream may have it.
    Lost(String),
    /// No byte was written, or what was written did nothing.
    NotWritten(String),
}

impl Sent {
    fn got(self) -> CallResult {
        match self {
            Sent::Reply(reply) => Ok(reply),
            Sent::Lost(reason) | Sent::NotWritten(reason) => Err(Lost { reason }),
        }
    }
}

impl Connector {
    /// Opens no connection yet.
    pub fn open(
        protocol: Box<dyn Protocol>,
        mut settings: UpstreamSettings,
    ) -> Result<Connector, UpstreamUnusable> {
        let needs = protocol.connection();
        settings.hosts.extend(needs.hosts);
        settings.extra_ca_pem = settings.extra_ca_pem.or(needs.extra_ca_pem);
        let addresses = Addresses::of(&settings)?;
        let resolver = PublicResolver {
            lookup: Arc::new(SystemLookup::default()),
            allow_loopback: settings.allow_loopback,
            denied_networks: settings.denied_networks.clone().into(),
        };
        let tls = http::tls(settings.extra_ca_pem.as_deref())?;
        let client = http::builder(tls, TIMEOUT_MAX)
            .connect_timeout(needs.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
            .dns_resolver(resolver)
            // A request on a kept connection that the server is just closing is lost, or repeated.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(http::ClientError::from)?;
        let time_divisor = settings.time_divisor.max(1);
        let rule = protocol.repeated_refusals().map(|rule| rule.with_gap_divided_by(time_divisor));
        let repeats = RefusalCounts::new(rule, settings.clock.clone());
        Ok(Connector {
            code: settings.code,
            environment: settings.environment,
            protocol,
            addresses,
            client,
            limits: CallLimits::new(
                needs.in_flight_max,
                needs.per_minute_max,
                needs.per_order,
                settings.clock.clone(),
            ),
            repeats,
            time_divisor,
            tokens: Tokens::new(settings.clock.clone()),
            submitted: Mutex::default(),
            redactor: Redactor::new(settings.secrets.into_values()),
            listener: settings.listener,
            clock: settings.clock,
        })
    }

    async fn submit_once(&self, order: &Order) -> SubmitOutcome {
        if order.environment != self.environment {
            return not_sent("the order is of the other environment");
        }
        if !self.submitted.lock().is_first(order.attempt) {
            let reason = "it was submitted before: it is asked about, not sent again".to_owned();
            return Answer::Unknown { reason }.into();
        }
        let mut request = match self.protocol.submit(order) {
            Ok(request) => request,
            Err(Unsendable { reason }) => return not_sent(&reason),
        };
        let (mut has_bought, mut shown) = (false, Shown::default());
        for _ in 0..STEPS_MAX {
            let sent = self.exchange(&request, Some(order)).await;
            if let (Sent::NotWritten(reason), false) = (&sent, has_bought) {
                return not_sent(reason);
            }
            has_bought |= request.buys;
            if let (Sent::Reply(reply), true) = (&sent, has_bought) {
                let seen = self.protocol.shown(order, &request, reply);
                shown.add(if request.buys { seen } else { seen.of_enquiry(reply) });
            }
            request = match self.protocol.read_submit(order, &request, &sent.got()) {
                Next::Done(answer) => return shown.marked(answer).into(),
                Next::Then(next) if has_bought && next.buys => break,
                Next::Then(next) => *next,
            };
        }
        shown.marked(nowhere()).into()
    }

    /// Sends the requests of a question that buys nothing, until a reading has its result; none if
    /// there is no end.
    async fn ask<T>(
        &self,
        first: WireRequest,
        order: Option<&Order>,
        read: impl Fn(&WireRequest, &CallResult) -> Next<T> + Send,
    ) -> Option<T> {
        let mut request = first;
        for _ in 0..STEPS_MAX {
            if request.buys {
                return None;
            }
            let got = self.exchange(&request, order).await.got();
            request = match read(&request, &got) {
                Next::Done(result) => return Some(result),
                Next::Then(next) => *next,
            };
        }
        None
    }

    /// Sends a request with its token. If the token is refused, which proves that nothing ran, it
    /// is sent once more with a new one.
    /// What is about an order is kept for staff.
    async fn exchange(&self, request: &WireRequest, order: Option<&Order>) -> Sent {
        let Some(login) = request.login else {
            return self.send_kept(request, None, order).await;
        };
        let attempt = order.map(|order| order.attempt);
        let token = match self.token(login, None, attempt).await {
            Ok(token) => token,
            Err(reason) => return Sent::NotWritten(format!("no token: {reason}")),
        };
        let first = self.send_kept(request, Some(&token), order).await;
        match &first {
            Sent::Reply(reply) if self.protocol.is_token_refused(request, reply) => {}
            Sent::Reply(_) | Sent::Lost(_) | Sent::NotWritten(_) => return first,
        }
        let Ok(fresh) = self.token(login, Some(&token), attempt).await else { return first };
        match self.send_kept(request, Some(&fresh), order).await {
            Sent::NotWritten(_) => first,
            second @ (Sent::Reply(_) | Sent::Lost(_)) => second,
        }
    }

    async fn token(
        &self,
        login: &'static str,
        refused: Option<&Token>,
        attempt: Option<AttemptRef>,
    ) -> Result<Token, String> {
        self.tokens.token(login, refused, || self.log_in(login, attempt)).await
    }

    async fn log_in(
        &self,
        login: &'static str,
        attempt: Option<AttemptRef>,
    ) -> Result<Login, String> {
        let request = self.protocol.login(login).ok_or("there is no such login")?;
        match self.send(&request, None, attempt).await {
            Sent::Reply(reply) => self.protocol.read_login(login, &reply),
            Sent::Lost(reason) | Sent::NotWritten(reason) => Err(reason),
        }
    }

    /// Sends a request once, and passes on what was sent, what came back, and how that was read.
    async fn send_kept(
        &self,
        request: &WireRequest,
        token: Option<&Token>,
        order: Option<&Order>,
    ) -> Sent {
        let sent_at = self.clock.now();
        let attempt = order.map(|order| order.attempt);
        let sent = self.send(request, token, attempt).await;
        let Some(order) = order else { return sent };
        let secret = token.map(|token| &token.value);
        let address = match self.addresses.url(&request.path, &request.query) {
            Ok(url) => url.to_string(),
            Err(_) => request.path.clone(),
        };
        let body = String::from_utf8_lossy(&request.body);
        let reply = match &sent {
            Sent::Reply(reply) => {
                let read_by = self.protocol.read_by(order, request, reply);
                let read_by = read_by.map_or_else(String::new, |rule| format!(", {rule}"));
                let body = String::from_utf8_lossy(&reply.body);
                format!("HTTP {}{read_by}\n{body}", reply.status)
            }
            Sent::Lost(reason) => format!("no reply: {reason}"),
            Sent::NotWritten(reason) => format!("not sent: {reason}"),
        };
        self.listener.on_exchange(Exchange {
            attempt: order.attempt,
            upstream: self.code.clone(),
            step: request.step.to_owned(),
            sent_at,
            request: self.redactor.kept(&format!("{} {address}\n{body}", request.method), secret),
            reply: self.redactor.kept(&reply, secret),
        });
        sent
    }

    /// Sends a request once; of an order that has a place it does not wait for one.
    async fn send(
        &self,
        request: &WireRequest,
        token: Option<&Token>,
        attempt: Option<AttemptRef>,
    ) -> Sent {
        let mut with_token = None;
        if let Some(token) = token {
            let request = with_token.insert(request.clone());
            self.protocol.place_token(request, token.value.reveal());
        }
        let request = with_token.as_ref().unwrap_or(request);
        let Ok(_slot) = self.limits.begin(attempt) else {
            return Sent::NotWritten(
                "as many calls as this upstream takes are under way".to_owned(),
            );
        };
        let url = match self.addresses.url(&request.path, &request.query) {
            Ok(url) => url,
            Err(reason) => return Sent::NotWritten(reason),
        };
        let mut builder = self.client.request(request.method.clone(), url).timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = with_header(builder, name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        match http::send(builder).await {
            Ok(reply) => Sent::Reply(WireReply {
                status: reply.status.as_u16(),
                headers: reply.headers,
                body: reply.body,
            }),
            Err(RequestError::NotSent { reason }) => Sent::NotWritten(reason),
            Err(RequestError::Unknown { reason }) => Sent::Lost(reason),
        }
    }
}

impl Upstream for Connector {
    fn code(&self) -> &UpstreamCode {
        &self.code
    }

    fn capabilities(&self) -> Capabilities {
        self.protocol.capabilities().with_waits_divided_by(self.time_divisor)
    }

    fn has_place(&self) -> Result<(), NoPlace> {
        self.limits.has_place()
    }

    fn take_place(&self, attempt: AttemptRef) -> Result<Option<Box<dyn CallPlace>>, NoPlace> {
        self.limits.place(attempt)
    }

    fn sells_only_in(&self) -> Option<Currency> {
        self.protocol.currency()
    }

    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, SubmitOutcome> {
        Box::pin(self.submit_once(order))
    }

    fn trial_order(&self) -> Option<Order> {
        let order = self.protocol.trial_order()?;
        Some(Order { environment: self.environment, ..order })
    }

    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, EnquiryOutcome> {
        Box::pin(async move {
            let unaskable = "it cannot be asked about this order".to_owned();
            let Some(first) = self.protocol.enquiry(order) else {
                return Answer::Unaskable { reason: unaskable }.into();
            };
            let shown = Mutex::new(Shown::default());
            let read = |asked: &WireRequest, got: &CallResult| {
                if let Ok(reply) = got {
                    let seen = self.protocol.shown(order, asked, reply);
                    shown.lock().add(seen.of_enquiry(reply));
                }
                self.protocol.read_enquiry(order, asked, got)
            };
            let outcome = self.ask(first, Some(order), read).await;
            let outcome = outcome.unwrap_or_else(|| nowhere().into());
            let outcome = self.repeats.counted(order.attempt, outcome);
            without_contradiction(order, shown.into_inner().marked_enquiry(outcome))
        })
    }

    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer> {
        Box::pin(async move {
            let unavailable = |reason: &str| BillAnswer::Unavailable { reason: reason.to_owned() };
            let Some(first) = self.protocol.look_up(enquiry) else {
                return unavailable("this upstream looks up no bills");
            };
            let read = |asked: &WireRequest, got: &CallResult| {
                self.protocol.read_look_up(enquiry, asked, got)
            };
            let answer = self.ask(first, None, read).await;
            answer.unwrap_or_else(|| unavailable("its replies lead nowhere"))
        })
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        self.protocol.read_callback(callback)
    }

    fn offers<'a>(
        &'a self,
        enquiry: &'a OfferEnquiry,
    ) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>> {
        Box::pin(async move {
            let Some(request) = self.protocol.offers(enquiry) else {
                return Err(NoOffers { reason: "this upstream quotes no offers".to_owned() });
            };
            let got = self.exchange(&request, None).await.got();
            self.protocol.read_offers(enquiry, &got)
        })
    }

    fn balance(&self) -> BoxFuture<'_, BalanceAnswer> {
        Box::pin(async move {
            let Some(first) = self.protocol.balance() else { return BalanceAnswer::NotOffered };
            let read =
                |asked: &WireRequest, got: &CallResult| self.protocol.read_balance(asked, got);
            let reason = "its replies lead nowhere".to_owned();
            self.ask(first, None, read).await.unwrap_or(BalanceAnswer::Unavailable { reason })
        })
    }
}

/// An upstream that once had the order and now does not know it contradicts itself: nothing may be
/// sent elsewhere for it, and staff find out.
pub(crate) fn without_contradiction(order: &Order, outcome: EnquiryOutcome) -> EnquiryOutcome {
    match outcome {
        EnquiryOutcome::NotFound if order.is_acknowledged => {
            let reason = "it once had this order and now does not know it".to_owned();
            tracing::error!(attempt = %order.attempt, "an upstream contradicts itself: {reason}");
            Answer::Unaskable { reason }.into()
        }
        other @ (EnquiryOutcome::Answered(_)
        | EnquiryOutcome::NotFound
        | EnquiryOutcome::Reversed { .. }) => other,
    }
}

fn nowhere() -> Answer {
    Answer::Unknown { reason: "its replies lead nowhere".to_owned() }
}

fn not_sent(reason: &str) -> SubmitOutcome {
    SubmitOutcome::NotSent { reason: reason.to_owned() }
}

/// A value that is no header leaves the builder with an error: nothing is sent then.
fn with_header(builder: RequestBuilder, name: &str, value: &str) -> RequestBuilder {
    match HeaderValue::try_from(value) {
        Ok(mut value) => {
            value.set_sensitive(true);
            builder.header(name, value)
        }
        Err(_) => builder.header(name, value),
    }
}

/// The attempts that were submitted last.
#[derive(Default)]
struct Submitted {
    known: HashSet<AttemptRef>,
    in_order: VecDeque<AttemptRef>,
}

impl Submitted {
    /// Whether an attempt is submitted for the first time; from now on it is not.
    fn is_first(&mut self, attempt: AttemptRef) -> bool {
        if !self.known.insert(attempt) {
            return false;
        }
        self.in_order.push_back(attempt);
        if self.in_order.len() > SUBMITTED_KEPT
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
