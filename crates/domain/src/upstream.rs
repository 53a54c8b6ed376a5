//! The contract of an upstream: what a connector is asked, and what it may answer.
//!
//! Not here: any connector. Invariant: not knowing is an [`Outcome`], never an error that somebody
//! refunds on. A refusal is definite only if nothing was written to the socket, or if the
//! connector lists that very reply as one.

use crate::account::Environment;
use crate::catalog::kind::{Kind, ServiceType};
use crate::ids::PurchaseId;
use crate::money::Money;
use crate::purchase::Details;
use crate::purchase::slip::Slip;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Names an upstream: `simulator-a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamCode(Arc<str>);

impl UpstreamCode {
    /// Names the company's own hands: what staff deliver without a connector.
    pub fn staff() -> UpstreamCode {
        UpstreamCode::new("staff")
    }

    /// Of this name.
    pub fn new(code: &str) -> UpstreamCode {
        UpstreamCode(code.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UpstreamCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our own reference of one try, unique for ever: what an upstream is asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptRef {
    /// The purchase that is tried.
    pub purchase: PurchaseId,
    /// From 1.
    pub number: u32,
}

impl AttemptRef {
    /// Reads what [`AttemptRef`]'s `Display` wrote: `S1234-1`.
    pub fn parse(text: &str) -> Option<AttemptRef> {
        let (purchase, number) = text.strip_prefix('S')?.split_once('-')?;
        Some(AttemptRef {
            purchase: PurchaseId(purchase.parse().ok()?),
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
    /// Our reference.
    pub attempt: AttemptRef,
    /// Sandbox orders never reach a live upstream.
    pub environment: Environment,
    /// The operator's code: `GP`.
    pub operator: String,
    /// The product's name, if it was bought by name.
    pub product: Option<String>,
    /// What is bought.
    pub kind: Kind,
    /// The end customer: a number in national form, or a bill reference.
    pub recipient: String,
    /// What the end customer gets, without our fee.
    pub amount: Money,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// An offer's or a payment's particulars.
    pub details: Details,
    /// The account's reference: the sandbox's chance comes from it (CONTRACT A-30).
    pub reference: String,
}

/// What an upstream said about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Delivered to the end customer.
    Delivered {
        /// The upstream's own number for it.
        reference: Option<String>,
        /// Its words for the end customer, cleaned of anything about our float.
        text: Option<String>,
        /// What the end customer keeps: tokens and the like.
        slip: Option<Box<Slip>>,
    },
    /// It has the order and works on it.
    Accepted {
        /// The upstream's own number for it.
        reference: Option<String>,
    },
    /// Definitely not delivered, and never will be.
    Refused {
        /// Why, in words for people.
        reason: String,
        /// Whether another upstream could still deliver (its trouble, not the customer's).
        try_elsewhere: bool,
    },
    /// Nothing was written to the socket: definitely not received.
    NotSent {
        /// Why.
        reason: String,
    },
    /// It never received the order; counts only after the upstream's grace.
    NotFound,
    /// It was delivered, and taken back.
    Reversed {
        /// Why.
        reason: String,
    },
    /// No answer, or none that we can read.
    Unknown {
        /// What was seen instead.
        reason: String,
    },
    /// No answer, and no way to ask: only staff can find out.
    Unaskable {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// One word for records.
    pub const fn code(&self) -> &'static str {
        match self {
            Outcome::Delivered { .. } => "delivered",
            Outcome::Accepted { .. } => "accepted",
            Outcome::Refused { .. } => "refused",
            Outcome::NotSent { .. } => "not_sent",
            Outcome::NotFound => "not_found",
            Outcome::Reversed { .. } => "reversed",
            Outcome::Unknown { .. } => "unknown",
            Outcome::Unaskable { .. } => "unaskable",
        }
    }

    /// The words that came with it, if any.
    pub fn text(&self) -> Option<&str> {
        match self {
            Outcome::Delivered { text, .. } => text.as_deref(),
            Outcome::Refused { reason, .. }
            | Outcome::NotSent { reason }
            | Outcome::Reversed { reason }
            | Outcome::Unknown { reason }
            | Outcome::Unaskable { reason } => Some(reason),
            Outcome::Accepted { .. } | Outcome::NotFound => None,
        }
    }

    /// What the end customer keeps of it, if anything.
    pub fn slip(&self) -> Option<&Slip> {
        match self {
            Outcome::Delivered { slip, .. } => slip.as_deref(),
            Outcome::Accepted { .. }
            | Outcome::Refused { .. }
            | Outcome::NotSent { .. }
            | Outcome::NotFound
            | Outcome::Reversed { .. }
            | Outcome::Unknown { .. }
            | Outcome::Unaskable { .. } => None,
        }
    }

    /// The upstream's own number for the order, if it told one.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Outcome::Delivered { reference, .. } | Outcome::Accepted { reference } => {
                reference.as_deref()
            }
            Outcome::Refused { .. }
            | Outcome::NotSent { .. }
            | Outcome::NotFound
            | Outcome::Reversed { .. }
            | Outcome::Unknown { .. }
            | Outcome::Unaskable { .. } => None,
        }
    }
}

/// What an upstream can do, said once and checked at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How long after a submit "not found" is believed.
    pub not_found_final_after: Duration,
    /// Quotes offers for one number.
    pub quotes_offers: bool,
    /// Tells whom a bill reference belongs to, before anything is paid.
    pub looks_up_bills: bool,
    /// Plays: nothing real happens. Answers fulfilled by it say so.
    pub is_simulated: bool,
}

/// An offer that an operator quotes for one number at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the end customer pays the operator.
    pub amount: Money,
    /// Its title in English.
    pub title: String,
    /// Its title in the country's language.
    pub title_local: String,
    /// How long it lasts, as the operator says it.
    pub validity: String,
    /// `INTERNET`, `MINUTES`, `COMBO`, `TALKTIME`.
    pub category: String,
    /// Whether the operator praises it.
    pub is_highlighted: bool,
    /// What the operator wants to hear again at the purchase: `offerId`, `ticketId`, …
    pub identifiers: Details,
}

/// Asks which offers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferEnquiry {
    /// Where.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// For whom, in national form.
    pub recipient: String,
}

/// The upstream gave no offers; nothing was bought, it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOffers {
    /// Why, in words for people.
    pub reason: String,
}

/// Asks whom a bill reference belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillEnquiry {
    /// Where.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// The product's name.
    pub product: String,
    /// The bill reference, as the product's format writes it.
    pub recipient: String,
    /// What somebody wants to pay.
    pub amount: Money,
}

/// What an upstream says about a bill reference. Nothing was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillAnswer {
    /// It belongs to somebody.
    Known(BillCustomer),
    /// The operator knows nobody by it.
    Unknown,
    /// It cannot be had just now; it may be asked again.
    Unavailable {
        /// Why, in words for people.
        reason: String,
    },
}

/// Whom the operator knows by a bill reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillCustomer {
    /// As the operator writes it.
    pub name: String,
    /// As the operator writes it.
    pub address: Option<String>,
    /// What is owed, as the operator says it; taken from the payment by the operator, not by us.
    pub owed: Option<Money>,
}

/// A word that an upstream sends unasked (a callback): about an attempt, at any time, perhaps twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// What it is about.
    pub attempt: AttemptRef,
    /// What it says.
    pub outcome: Outcome,
}

/// A callback, as somebody sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Callback {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Says neither what the headers hold (a secret, perhaps) nor the body (a customer's number).
impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Callback")
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a connector makes of a callback. Whatever it says, the upstream is asked before it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackRead {
    /// This upstream calls nobody.
    NotOffered,
    /// It cannot be told who sent it, or what it is about.
    Forged {
        /// Why; for the log.
        reason: String,
    },
    /// The upstream sent it.
    Genuine {
        /// What it is about.
        attempt: AttemptRef,
        /// What it says, for the record.
        says: String,
    },
}

/// Takes words that upstreams send unasked. Never blocks; a word that is lost is asked for again.
pub trait Listener: Send + Sync {
    /// Takes one.
    fn hear(&self, word: StatusUpdate);
}

/// How operators write about a balance, in lower case.
const ABOUT_BALANCE: [&str; 6] = ["balance", "bal:", "bal.", "bal ", "a/c", "ব্যালেন্স"];

/// An upstream's words made fit for our customers: printable, at most 256 characters, and without
/// any sentence about a balance, which would be *our* float (CONTRACT A-19). A net under the
/// connectors, which know their upstream's sentences and pass on only those they know.
pub fn cleaned(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let kept: Vec<&str> = printable
        .split_inclusive(". ")
        .filter(|sentence| {
            let sentence = sentence.to_lowercase();
            !ABOUT_BALANCE.iter().any(|word| sentence.contains(word))
        })
        .collect();
    kept.concat().trim().chars().take(256).collect()
}

/// An answer on its way.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One connector: translates orders to an upstream and its replies to outcomes.
pub trait Upstream: Send + Sync {
    /// Its name.
    fn code(&self) -> &UpstreamCode;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Sends the order, once. The attempt is already on record.
    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome>;

    /// Asks what became of an order that was perhaps sent. Changes nothing.
    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome>;

    /// Asks whom a bill reference belongs to. Changes nothing.
    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer>;

    /// Reads a callback and verifies who sent it. An upstream that calls nobody says so.
    fn read_callback(&self, callback: &Callback) -> CallbackRead;

    /// Asks which offers the operator quotes for a number.
    fn offers<'a>(
        &'a self,
        enquiry: &'a OfferEnquiry,
    ) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_float_is_nobodys_business() {
        let text = "Recharge 68 Tk to 1614031175 is successful. Transaction number is R260423.2309.36014f. Your new balance is 6814.64 TAKA.";
        assert_eq!(
            cleaned(text),
            "Recharge 68 Tk to 1614031175 is successful. Transaction number is R260423.2309.36014f."
        );
        for leak in ["BALANCE: 5", "New Bal: 6814", "আপনার ব্যালেন্স ৬৮১৪", "a/c 6814 Tk"]
        {
            assert_eq!(cleaned(&format!("Done. {leak}")), "Done.", "{leak}");
        }
        assert_eq!(cleaned("a\u{0}b\r\nc"), "a b  c");
        assert_eq!(cleaned(&"x".repeat(1000)).len(), 256);
    }

    #[test]
    fn an_attempts_reference_reads_back() {
        let attempt = AttemptRef { purchase: PurchaseId(8_123_456_789), number: 2 };
        assert_eq!(attempt.to_string(), "S8123456789-2");
        assert_eq!(AttemptRef::parse("S8123456789-2"), Some(attempt));
        for bad in ["", "S", "8-1", "S8", "S8-", "S-1", "S8-1-1", "S8-x"] {
            assert_eq!(AttemptRef::parse(bad), None, "{bad}");
        }
    }
}
