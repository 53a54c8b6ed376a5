//! The contract of an upstream: what the engine requests of a connector, and its possible answers.
//!
//! Not here: any connector; what an upstream can say about an attempt ([`crate::outcome`]).
//! Invariant: a refusal is definite only if nothing was written to the socket, or if the connector
//! lists exactly that reply as a refusal.

use crate::account::Environment;
use crate::catalog::kind::{Kind, ServiceType};
use crate::clock::Timestamp;
use crate::ids::PurchaseNumber;
use crate::money::{Currency, Money};
use crate::outcome::{EnquiryOutcome, SubmitOutcome};
use crate::purchase::Details;
use crate::retry::RetrySchedule;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The name of an upstream: `simulator-a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamCode(Arc<str>);

impl UpstreamCode {
    /// Stands for staff, who deliver by hand, without a connector.
    pub fn staff() -> UpstreamCode {
        UpstreamCode::new("staff")
    }

    /// The upstream of this name, configured or not.
    pub fn new(code: &str) -> UpstreamCode {
        UpstreamCode(code.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UpstreamCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an upstream gets no new orders: what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseCause {
    /// Staff paused it, and resume it.
    Staff,
    /// Its float is too low; the watcher resumes it once there is money again.
    Float,
    /// Its file was changed; another person looks at it and resumes it.
    NewFile,
}

codes! { PauseCause {
    Staff => "staff",
    Float => "float",
    NewFile => "new_file",
} }

/// Our own reference of one attempt, unique for ever. Upstreams are queried by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptRef {
    /// The purchase that the attempt should fulfil.
    pub purchase: PurchaseNumber,
    /// Counts the purchase's attempts from 1.
    pub number: u32,
}

impl AttemptRef {
    /// Parses the `Display` form: `S1234-1`.
    pub fn parse(text: &str) -> Option<AttemptRef> {
        let (purchase, number) = text.strip_prefix('S')?.split_once('-')?;
        Some(AttemptRef {
            purchase: PurchaseNumber(purchase.parse().ok()?),
            number: number.parse().ok()?,
        })
    }
}

impl std::fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S{}-{}", self.purchase, self.number)
    }
}

/// One order to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Our reference, which the upstream must store with the order.
    pub attempt: AttemptRef,
    /// When the attempt went on record, before anything was sent.
    pub started_at: Timestamp,
    /// A sandbox order never reaches a live upstream.
    pub environment: Environment,
    /// The operator's code: `GP`.
    pub operator: String,
    /// The product's name, if it was bought by name.
    pub product: Option<String>,
    /// Recharge, offer, banking, bundle or bill.
    pub kind: Kind,
    /// The end customer: a number in national form, or a bill reference.
    pub recipient: String,
    /// What the end customer gets, without our fee.
    pub amount: Money,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// Further fields of an offer or a payment.
    pub details: Details,
    /// The account's reference: it seeds the sandbox's random outcomes (CONTRACT A-30).
    pub reference: String,
    /// The operator's country, ISO 3166: `BD`; none if the catalog has the operator no longer.
    pub country: Option<String>,
    /// The recipient as `+8801712345678`, if it is a mobile number of that country.
    pub international: Option<String>,
    /// The upstream's own reference of this attempt, if it gave one.
    pub upstream_reference: Option<String>,
    /// The upstream once showed that it has this order: *not found* would contradict that.
    pub is_acknowledged: bool,
}

/// What an upstream can be asked by about one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// By our attempt's reference: an order whose reply was lost can be asked about.
    OurReference,
    /// By the upstream's own reference only: after a lost reply there is none.
    TheirReference,
    /// It cannot be asked: staff find out.
    Nothing,
}

codes! {
    AskedBy {
        OurReference => "our-reference",
        TheirReference => "their-reference",
        Nothing => "nothing",
    }
}

/// What an upstream offers; constant while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The grace period: only this long after a submit is "not found" believed.
    pub not_found_final_after: Duration,
    /// "Not found" counts only if it is said twice, at least this long apart.
    pub not_found_gap: Duration,
    /// When it is asked about an order without an outcome.
    pub enquiries: RetrySchedule,
    /// It quotes offers for one number.
    pub quotes_offers: bool,
    /// It answers whose bill reference it is, before anything is paid.
    pub looks_up_bills: bool,
    /// It may reverse a delivery later, and then says so.
    pub reverses_deliveries: bool,
    /// Nothing real is delivered; our answers about its purchases say so.
    pub is_simulated: bool,
    /// What it is asked by about an order whose outcome is not known.
    pub asked_by: AskedBy,
    /// It tells what our prepaid money there is.
    pub tells_balance: bool,
    /// It calls us about orders.
    pub calls_back: bool,
    /// So many of the first refusals of live orders are shown to staff before money goes back: what
    /// reads its replies was written by somebody who may have misread its document. 0: none.
    pub refusals_shown: u32,
    /// How long an order may be in doubt before staff find out; none: as long as usual.
    pub staff_after: Option<Duration>,
    /// It wants to be asked for our balance no more often than this; none: it does not say.
    pub balance_gap: Option<Duration>,
    /// The currency of our account there, where its settings say it.
    pub currency: Option<Currency>,
    /// How many days after its day an order that has ended is asked about again: it may be taken
    /// back without a word. Never divided.
    pub rechecks: &'static [u32],
}

impl Capabilities {
    /// The same with each wait divided by this, at least 1: for tests.
    pub fn with_waits_divided_by(self, time_divisor: u32) -> Capabilities {
        let time_divisor = time_divisor.max(1);
        Capabilities {
            not_found_final_after: self.not_found_final_after / time_divisor,
            not_found_gap: self.not_found_gap / time_divisor,
            enquiries: self.enquiries.divided_by(time_divisor),
            staff_after: self.staff_after.map(|wait| wait / time_divisor),
            balance_gap: self.balance_gap.map(|gap| gap / time_divisor),
            ..self
        }
    }
}

/// A place among the calls that an upstream takes; given back when it is dropped.
pub trait CallPlace: Send + std::fmt::Debug {}

/// An upstream takes no further order now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace {
    /// For staff: which limit is reached.
    pub why: &'static str,
    /// After this time it may take one.
    pub retry_after: Duration,
}

/// Between two answers "not found" that count, unless an upstream's own facts say otherwise.
pub const NOT_FOUND_GAP: Duration = Duration::from_secs(60);

impl Capabilities {
    /// What [`EnquiryOutcome::Reversed`] needs; `None`: this upstream cannot say *reversed*.
    pub const fn reversals(&self) -> Option<Reversals> {
        match self.reverses_deliveries {
            true => Some(Reversals(())),
            false => None,
        }
    }
}

/// Shows that an upstream reverses deliveries; only [`Capabilities::reversals`] makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversals(());

/// An offer that an operator quotes for one number at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The operator's price for the end customer.
    pub amount: Money,
    /// In English.
    pub title: String,
    /// In the country's language.
    pub title_local: String,
    /// Its validity, as text of the operator.
    pub validity: String,
    /// `INTERNET`, `MINUTES`, `COMBO`, `TALKTIME`.
    pub category: String,
    /// Whether the operator recommends it.
    pub is_highlighted: bool,
    /// What the operator requires at the purchase: `offerId`, `ticketId`, …
    pub identifiers: Details,
}

/// A request for the offers of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferEnquiry {
    /// A sandbox enquiry never reaches a live upstream.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// The end customer's number in national form.
    pub recipient: String,
}

/// The upstream gave no offers. Nothing was bought; a retry is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOffers {
    /// For people.
    pub reason: String,
}

/// The question whose bill reference it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillEnquiry {
    /// A sandbox enquiry never reaches a live upstream.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// The product's name.
    pub product: String,
    /// The bill reference, in the product's format.
    pub recipient: String,
    /// What the end customer would pay.
    pub amount: Money,
}

/// An upstream's answer about a bill reference. Nothing was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillAnswer {
    /// It belongs to this customer.
    Known(BillCustomer),
    /// The operator has no customer with this reference.
    Unknown,
    /// No answer for now; a retry is safe.
    Unavailable {
        /// For people.
        reason: String,
    },
}

/// The operator's customer with a bill reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillCustomer {
    /// As the operator writes it.
    pub name: String,
    /// As the operator writes it.
    pub address: Option<String>,
    /// The arrears that the operator states; the operator deducts them from the payment, not we.
    pub amount_due: Option<Money>,
}

/// What an upstream says about our prepaid balance there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalanceAnswer {
    /// It cannot be asked.
    NotOffered,
    /// What is left of what we paid.
    Reported(Money),
    /// No answer for now; a retry is safe.
    Unavailable {
        /// For people.
        reason: String,
    },
}

/// An outcome that an upstream reports on its own, at any time, perhaps more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The attempt that it is about.
    pub attempt: AttemptRef,
    /// The reported result.
    pub outcome: EnquiryOutcome,
}

/// An HTTP request to our callback address; its sender is not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// `GET` or `POST`.
    pub method: String,
    /// What follows `/callbacks/<upstream>/`; may be a secret.
    pub path: String,
    /// The raw query, without its question mark.
    pub query: String,
    /// The sender's address, as far as it is known.
    pub peer: Option<IpAddr>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most as long as the edge admits.
    pub body: Vec<u8>,
}

impl Callback {
    /// A POST to the upstream's own callback address, from a sender whose address is not known.
    pub fn post(headers: Vec<(String, String)>, body: Vec<u8>) -> Callback {
        let (method, path, query) = ("POST".to_owned(), String::new(), String::new());
        Callback { method, path, query, peer: None, headers, body }
    }

    /// A header's first value; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Shows neither path, query and header values (they may contain a secret) nor the body (a
/// customer's number).
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Callback")
            .field("method", &self.method)
            .field("peer", &self.peer)
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A connector's reading of a callback. A callback never decides: it only triggers an enquiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackRead {
    /// This upstream sends no callbacks.
    NotOffered,
    /// The sender or the attempt cannot be verified.
    Forged {
        /// For the log.
        reason: String,
    },
    /// The upstream sent it.
    Genuine {
        /// The attempt that it is about.
        attempt: AttemptRef,
        /// The upstream's statement, for the record.
        text: String,
        /// What the upstream wants to hear; none: any success.
        answer: Option<CallbackAnswer>,
    },
}

/// How a callback that was kept is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// A success: 2xx.
    pub status: u16,
    /// The whole body.
    pub body: String,
}

/// A request to an upstream about an attempt, and what came back: for staff, for some weeks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The attempt that it was about.
    pub attempt: AttemptRef,
    /// The upstream.
    pub upstream: UpstreamCode,
    /// What was asked, in the connector's words: `submit`, `query`.
    pub step: String,
    /// When the request was sent.
    pub sent_at: Timestamp,
    /// Method, address and body, short and without secrets.
    pub request: String,
    /// Status and body, or why there are none; short and without secrets.
    pub reply: String,
}

/// Receives what connectors report. A lost update does no harm: an enquiry finds the outcome.
pub trait Listener: Send + Sync {
    /// Keeps what was sent and came back; must not block. A lost one is missed by staff only.
    fn on_exchange(&self, exchange: Exchange);

    /// Passes an update on; must not block.
    fn on_update(&self, update: StatusUpdate);
}

/// How operators write about a balance, in lower case.
const ABOUT_BALANCE: [&str; 6] = ["balance", "bal:", "bal.", "bal ", "a/c", "ব্যালেন্স"];

/// An upstream's text, made fit for our customers: printable, at most 256 characters, without any
/// sentence about a balance, which would be *our* float (CONTRACT A-19). This is the second check:
/// connectors already pass on only the sentences that they know.
pub fn cleaned(text: &str) -> String {
    let mut text = text.replace(char::is_control, " ");
    let is_about_balance = |part: &str| {
        let part = part.to_lowercase();
        ABOUT_BALANCE.iter().any(|word| part.contains(word))
    };
    if is_about_balance(&text) {
        text = text.split_inclusive(". ").filter(|sentence| !is_about_balance(sentence)).collect();
    }
    let text = text.trim();
    let end = text.char_indices().nth(256).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default().to_owned()
}

/// A boxed future: what an async method of a `dyn` trait returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One connector: translates orders to requests of an upstream, and its replies to outcomes.
pub trait Upstream: Send + Sync {
    /// Its name; unique among the configured upstreams.
    fn code(&self) -> &UpstreamCode;

    /// What it offers.
    fn capabilities(&self) -> Capabilities;

    /// Whether it takes one more order now, as far as its own limits of calls go.
    fn has_place(&self) -> Result<(), NoPlace> {
        Ok(())
    }

    /// Takes a place among the calls that it takes, for an order that will be submitted: it then
    /// is not held back. None: it has no such limits. The place ends with its drop.
    fn take_place(&self, _attempt: AttemptRef) -> Result<Option<Box<dyn CallPlace>>, NoPlace> {
        Ok(None)
    }

    /// The only currency in which it takes orders; none: it says of none that it does not.
    fn sells_only_in(&self) -> Option<Currency> {
        None
    }

    /// Sends the order, once: no retries. The attempt is already on record.
    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, SubmitOutcome>;

    /// An order that it could sell, to ask about one that it never got; none: any that fits it.
    fn trial_order(&self) -> Option<Order> {
        None
    }

    /// Queries the outcome of an order that may have been sent. Read-only.
    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, EnquiryOutcome>;

    /// Queries whose bill reference it is. Read-only.
    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer>;

    /// Queries our prepaid balance. Read-only.
    fn balance(&self) -> BoxFuture<'_, BalanceAnswer> {
        Box::pin(async { BalanceAnswer::NotOffered })
    }

    /// Reads a callback and verifies its sender.
    fn read_callback(&self, callback: &Callback) -> CallbackRead;

    /// Queries the offers that the operator quotes for a number. Read-only.
    fn offers<'a>(
        &'a self,
        enquiry: &'a OfferEnquiry,
    ) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_float_is_not_shown() {
        let kept = "Recharge 68 Tk to 1614031175 is successful. \
                    Transaction number is R260423.2309.36014f.";
        assert_eq!(cleaned(&format!("{kept} Your new balance is 6814.64 TAKA.")), kept);
        for leak in ["BALANCE: 5", "New Bal: 6814", "আপনার ব্যালেন্স ৬৮১৪", "a/c 6814 Tk"]
        {
            assert_eq!(cleaned(&format!("Done. {leak}")), "Done.", "{leak}");
        }
        assert_eq!(cleaned("a\u{0}b\r\nc"), "a b  c");
        assert_eq!(cleaned(&"x".repeat(1000)).len(), 256);
    }

    #[test]
    fn parsing_an_attempts_reference_reverses_writing() {
        let attempt = AttemptRef { purchase: PurchaseNumber(8_123_456_789), number: 2 };
        assert_eq!(attempt.to_string(), "S8123456789-2");
        assert_eq!(AttemptRef::parse("S8123456789-2"), Some(attempt));
        for bad in ["", "S", "8-1", "S8", "S8-", "S-1", "S8-1-1", "S8-x"] {
            assert_eq!(AttemptRef::parse(bad), None, "{bad}");
        }
    }
}
