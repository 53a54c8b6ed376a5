//! The business object: a purchase, the references that name it, its attempts.
//!
//! A value as it was read from the store. Invariant: it changes only by a [`crate::settle`] step.

pub mod lifecycle;
pub mod settle;
pub mod slip;

use crate::account::{AccountId, Environment};
use crate::catalog::kind::{Kind, ServiceType};
use crate::clock::Timestamp;
use crate::ids::{KeyId, PurchaseId};
use crate::money::Money;
use crate::purchase::lifecycle::State;
use crate::upstream::{AttemptRef, Order, UpstreamCode};
use std::collections::BTreeMap;

/// An offer's or a payment's particulars: `offerId`, `ticketId`, `type`, …
pub type Details = BTreeMap<String, String>;

/// The detail that says whom the operator knows by the bill reference.
pub const CUSTOMER_NAME: &str = "customerName";
/// The detail that says where the operator knows that customer to be.
pub const CUSTOMER_ADDRESS: &str = "customerAddress";

/// The detail that says how to reach whoever paid.
pub const CUSTOMER_MOBILE: &str = "customerMobile";

/// Names a purchase with its account and environment: forgetting the tenant does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurchaseKey {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub environment: Environment,
    /// Which.
    pub id: PurchaseId,
}

/// Who gave a reference: references of different spaces never meet (RELIABILITY Q6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceScope {
    /// `reference` of the irecharge face.
    Irecharge,
    /// `Idempotency-Key` of the irecharge face.
    IrechargeKey,
    /// A deposit's or withdrawal's reference, given by staff.
    Staff,
    /// `requestId` of the rechargely face.
    Rechargely,
}

impl ReferenceScope {
    /// Each.
    pub const ALL: [ReferenceScope; 4] = [
        ReferenceScope::Irecharge,
        ReferenceScope::IrechargeKey,
        ReferenceScope::Staff,
        ReferenceScope::Rechargely,
    ];

    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            ReferenceScope::Irecharge => "irecharge",
            ReferenceScope::IrechargeKey => "irecharge-key",
            ReferenceScope::Staff => "desk",
            ReferenceScope::Rechargely => "rechargely",
        }
    }

    /// Reads [`ReferenceScope::code`].
    pub fn from_code(code: &str) -> Option<ReferenceScope> {
        ReferenceScope::ALL.into_iter().find(|s| s.code() == code)
    }
}

/// A reference: unique for ever within account, environment and space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceKey {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub environment: Environment,
    /// Who gave it.
    pub scope: ReferenceScope,
    /// 1 to 128 bytes of printable ASCII, no space at either end; compared byte by byte.
    pub text: String,
}

/// Whether a text can be a reference (RELIABILITY Q5); never trimmed or normalised.
pub fn is_reference(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

/// Who decided a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decider {
    /// An upstream's word or a clock.
    Auto,
    /// Staff.
    Staff,
}

impl Decider {
    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            Decider::Auto => "auto",
            Decider::Staff => "staff",
        }
    }

    /// Reads [`Decider::code`].
    pub fn from_code(code: &str) -> Option<Decider> {
        [Decider::Auto, Decider::Staff].into_iter().find(|d| d.code() == code)
    }
}

/// A purchase as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Which, whose, where.
    pub key: PurchaseKey,
    /// Which face it came in by.
    pub scope: ReferenceScope,
    /// Its account's own reference.
    pub reference: String,
    /// The key pair that bought it; none for a login.
    pub api_key: Option<KeyId>,
    /// What was bought.
    pub kind: Kind,
    /// The operator's code.
    pub operator: String,
    /// The product's name, if it was bought by name.
    pub product: Option<String>,
    /// The end customer: a number in national form, or a bill reference.
    pub recipient: String,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// What the end customer gets.
    pub amount: Money,
    /// What its account pays on top.
    pub fee: Money,
    /// What its account earns at delivery.
    pub commission: Money,
    /// Its account's available money right after the hold.
    pub available_after: Money,
    /// An offer's or a payment's particulars.
    pub details: Details,
    /// Where its events go, if the request said so.
    pub webhook_url: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Counts its steps: a step is taken only from the version that was read.
    pub version: u32,
    /// How many attempts are on record.
    pub attempts: u32,
    /// The upstream of the attempt that counts: the latest, or the one that delivered.
    pub upstream: Option<UpstreamCode>,
    /// The upstream's words for the end customer.
    pub text: Option<String>,
    /// Who decided, once it is decided.
    pub decider: Option<Decider>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last took a step.
    pub updated_at: Timestamp,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

impl Purchase {
    /// What is held: amount and fee. `None` on overflow, which no stored purchase has.
    pub fn total(&self) -> Option<Money> {
        self.amount.plus(self.fee)
    }

    /// Our reference of its latest attempt, if there is one.
    pub fn latest_attempt(&self) -> Option<AttemptRef> {
        (self.attempts > 0).then_some(AttemptRef { purchase: self.key.id, number: self.attempts })
    }

    /// What an upstream is told about attempt `number`.
    pub fn order(&self, number: u32) -> Order {
        Order {
            attempt: AttemptRef { purchase: self.key.id, number },
            environment: self.key.environment,
            operator: self.operator.clone(),
            product: self.product.clone(),
            kind: self.kind,
            recipient: self.recipient.clone(),
            amount: self.amount,
            service_type: self.service_type,
            details: self.details.clone(),
            reference: self.reference.clone(),
        }
    }
}

/// One try of a purchase at one upstream, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Where.
    pub upstream: UpstreamCode,
    /// When it went on record, before the first byte went out.
    pub started_at: Timestamp,
    /// The last word about it ([`crate::upstream::Outcome::code`]); none: nobody heard anything.
    pub outcome: Option<String>,
    /// The upstream's own number for it.
    pub upstream_reference: Option<String>,
    /// What came with the word.
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_plain_and_never_mended() {
        for good in ["BILL-026401", "a", "with space inside", "~!@#$%^&*()", &"x".repeat(128)] {
            assert!(is_reference(good), "{good:?}");
        }
        for bad in [
            "",
            " ",
            " a",
            "a ",
            "a\n",
            "a\0b",
            "ä",
            "a\u{a0}b",
            "\u{200d}",
            "%00\r\n",
            "😀",
            &"x".repeat(129),
        ] {
            assert!(!is_reference(bad), "{bad:?}");
        }
    }
}
