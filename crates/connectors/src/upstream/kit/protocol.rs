//! What a connector implements: pure functions that make requests and read replies.
//!
//! Not here: sending, tokens, time (`driver.rs`). Invariant: a reading sees one reply and the
//! order; it neither sends nor waits, so each of its decisions is a line of a test.

use super::settings::Secret;
use super::shown::Shown;
use super::wire::{CallResult, WireReply, WireRequest};
use domain::{
    Answer, BalanceAnswer, BillAnswer, BillEnquiry, Callback, CallbackRead, Capabilities, Currency,
    EnquiryOutcome, Money, NoOffers, Offer, OfferEnquiry, Order,
};
use std::time::Duration;

/// Where a reading leads.
#[derive(Clone, Debug)]
pub enum Next<T> {
    /// This is the result.
    Done(T),
    /// Another request, whose reply decides.
    Then(Box<WireRequest>),
}

impl<T> Next<T> {
    /// Another request, whose reply decides.
    pub fn then(request: WireRequest) -> Next<T> {
        Next::Then(Box::new(request))
    }
}

/// An order cannot be written as a request: a map has no entry, or a value does not fit. Nothing
/// was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable {
    /// For staff.
    pub reason: String,
}

impl Unsendable {
    /// For this reason.
    pub fn because(reason: impl Into<String>) -> Unsendable {
        Unsendable { reason: reason.into() }
    }
}

/// A token, as a login gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The value of the header that carries it.
    pub token: Secret,
    /// How long it is used.
    pub lifetime: Duration,
}

impl Login {
    /// A login's reply that has this bearer token; without one it is refused.
    pub fn bearer(
        reply: &WireReply,
        token: Option<&str>,
        lifetime: Duration,
    ) -> Result<Login, String> {
        match token.filter(|token| reply.status == 200 && !token.is_empty()) {
            Some(token) => Ok(Login { token: Secret::new(&format!("Bearer {token}")), lifetime }),
            None => Err(format!("the login was answered with HTTP {}", reply.status)),
        }
    }
}

/// A balance as `read` finds it in a whole reply.
pub fn reported_balance(
    got: &CallResult,
    read: impl FnOnce(&WireReply) -> Option<Money>,
) -> BalanceAnswer {
    let reply = match got {
        Ok(reply) => reply,
        Err(lost) => return BalanceAnswer::Unavailable { reason: lost.reason.clone() },
    };
    match Some(reply).filter(|reply| reply.status == 200).and_then(read) {
        Some(balance) => BalanceAnswer::Reported(balance),
        None => BalanceAnswer::Unavailable { reason: reply.shown() },
    }
}

/// What a protocol's connection needs besides its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionNeeds {
    /// Further hosts that requests go to.
    pub hosts: Vec<String>,
    /// A CA to trust in addition, as PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// How long a connection may take to open, if not as long as usual.
    pub connect_timeout: Option<Duration>,
    /// How many requests may run at one time; none: as many as there are.
    pub in_flight_max: Option<usize>,
    /// How many requests may begin in a minute; none: as many as there are.
    pub per_minute_max: Option<u32>,
    /// How many requests one order makes, without log-ins and enquiries; 0 is 1.
    pub per_order: u32,
}

/// How often, and how far apart, an enquiry must say a refusal before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedRefusals {
    /// At least two.
    pub times: u32,
    /// Between two that count.
    pub gap: Duration,
}

impl RepeatedRefusals {
    /// The same with its gap divided by this, at least 1: for tests.
    pub(super) fn with_gap_divided_by(self, time_divisor: u32) -> RepeatedRefusals {
        RepeatedRefusals { gap: self.gap / time_divisor.max(1), ..self }
    }
}

/// The two pure halves of a connector: `order → request` and `reply → outcome`.
///
/// Each question has a first request and a reading of replies; a reading may ask for a further
/// request. A reading is given the request that was answered.
pub trait Protocol: Send + Sync {
    /// What the upstream offers.
    fn capabilities(&self) -> Capabilities;

    /// The only currency of its orders; none: any that its maps and its account take.
    fn currency(&self) -> Option<Currency> {
        None
    }

    /// The first request of a submit.
    fn submit(&self, order: &Order) -> Result<WireRequest, Unsendable>;

    /// Reads a reply to a request of a submit. Once a request that buys was written, no other one
    /// that buys follows.
    fn read_submit(&self, order: &Order, asked: &WireRequest, got: &CallResult) -> Next<Answer>;

    /// What a reply about an order shows of it, however it is read: the driver lets *not found*
    /// count for nothing after that. It is asked only about replies to what buys and to an enquiry.
    fn shown(&self, order: &Order, asked: &WireRequest, reply: &WireReply) -> Shown;

    /// The first request of an enquiry; none if the upstream cannot be asked about this order.
    fn enquiry(&self, order: &Order) -> Option<WireRequest>;

    /// Reads a reply to an enquiry.
    fn read_enquiry(
        &self,
        order: &Order,
        asked: &WireRequest,
        got: &CallResult,
    ) -> Next<EnquiryOutcome>;

    /// The first request of a look-up; none without bills.
    fn look_up(&self, _: &BillEnquiry) -> Option<WireRequest> {
        None
    }

    /// Reads a reply to a look-up.
    fn read_look_up(&self, _: &BillEnquiry, _: &WireRequest, _: &CallResult) -> Next<BillAnswer> {
        Next::Done(BillAnswer::Unavailable { reason: "it looks up no bills".to_owned() })
    }

    /// The request for offers; none without offers.
    fn offers(&self, _: &OfferEnquiry) -> Option<WireRequest> {
        None
    }

    /// Reads a reply with offers.
    fn read_offers(&self, _: &OfferEnquiry, _: &CallResult) -> Result<Vec<Offer>, NoOffers> {
        Err(NoOffers { reason: "it quotes no offers".to_owned() })
    }

    /// The first request for the balance; none if it is not offered.
    fn balance(&self) -> Option<WireRequest>;

    /// Reads a reply with the balance.
    fn read_balance(&self, asked: &WireRequest, got: &CallResult) -> Next<BalanceAnswer>;

    /// Reads a callback and verifies its sender.
    fn read_callback(&self, _: &Callback) -> CallbackRead {
        CallbackRead::NotOffered
    }

    /// The request that logs in; none without logins of this name.
    fn login(&self, _: &str) -> Option<WireRequest> {
        None
    }

    /// Reads the reply to a login. The error is for people and has no secret.
    fn read_login(&self, _: &str, _: &WireReply) -> Result<Login, String> {
        Err("it has no logins".to_owned())
    }

    /// Puts a login's token into a request that asks for it: as the authorization header, unless
    /// the upstream wants it elsewhere.
    fn place_token(&self, request: &mut WireRequest, token: &str) {
        request.headers.push(("authorization".to_owned(), token.to_owned()));
    }

    /// When a refusal of an enquiry counts; none: at once.
    fn repeated_refusals(&self) -> Option<RepeatedRefusals> {
        None
    }

    /// What has read a reply about an order, for staff: the rule of a file, and which file. None
    /// where that is the program itself.
    fn read_by(&self, _: &Order, _: &WireRequest, _: &WireReply) -> Option<String> {
        None
    }

    /// An order that it could sell; none: any that fits its maps and its currency.
    fn trial_order(&self) -> Option<Order> {
        None
    }

    /// What its connection needs besides the settings.
    fn connection(&self) -> ConnectionNeeds {
        ConnectionNeeds::default()
    }

    /// Whether a reply says that the token is not valid (any more), which proves that nothing ran:
    /// the request is then repeated once with a new one.
    fn is_token_refused(&self, _asked: &WireRequest, reply: &WireReply) -> bool {
        reply.status == 401
    }
}
