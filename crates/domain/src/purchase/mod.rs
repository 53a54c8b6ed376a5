//! The business object: a purchase, its references, its attempts.
//!
//! A purchase is a value as read from the store. Invariant: only [`settle`] opens one, from a
//! draft, and only a step that it decided changes it.

pub mod lifecycle;
pub mod sandbox;
pub mod settle;
pub mod slip;

use crate::account::{AccountId, Environment};
use crate::catalog::Country;
use crate::catalog::kind::{Kind, ServiceType};
use crate::catalog::routing::PassedOver;
use crate::clock::Timestamp;
use crate::ids::{KeyId, PurchaseId};
use crate::money::Money;
use crate::purchase::lifecycle::State;
use crate::upstream::{AttemptRef, Order, UpstreamCode};
use std::collections::BTreeMap;

/// Further fields of an offer or a payment: `offerId`, `ticketId`, `type`, …
pub type Details = BTreeMap<String, String>;

/// The detail with the name of the bill's customer, from the operator.
pub const CUSTOMER_NAME: &str = "customerName";
/// The detail with the address of the bill's customer, from the operator.
pub const CUSTOMER_ADDRESS: &str = "customerAddress";
/// The detail with the mobile number of the person who pays.
pub const CUSTOMER_MOBILE: &str = "customerMobile";

/// The key of a purchase. It contains account and environment, so that a query which forgets the
/// tenant does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurchaseKey {
    /// The account that buys.
    pub account: AccountId,
    /// The environment of the key pair or login that buys.
    pub environment: Environment,
    /// Unique by itself already.
    pub id: PurchaseId,
}

/// Who issued a reference: references of different scopes never collide (RELIABILITY Q6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceScope {
    /// `reference` of the irecharge dialect.
    Irecharge,
    /// `Idempotency-Key` of the irecharge dialect.
    IrechargeKey,
    /// The reference of a deposit or withdrawal, issued by staff.
    Staff,
    /// `requestId` of the rechargely dialect.
    Rechargely,
}

codes! {
    ReferenceScope {
        Irecharge => "irecharge",
        IrechargeKey => "irecharge-key",
        Staff => "desk",
        Rechargely => "rechargely",
    }
}

/// A reference: unique for ever within account, environment and scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceKey {
    /// The account whose request has it.
    pub account: AccountId,
    /// The environment of that request.
    pub environment: Environment,
    /// Who issued it.
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

/// Who decided the result of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decider {
    /// An upstream's outcome, a deadline, or the account.
    Auto,
    /// Staff decided the result, or approved the purchase before.
    Staff,
}

codes! {
    Decider {
        Auto => "auto",
        Staff => "staff",
    }
}

/// What is known of a purchase before it opens; it has no state yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseDraft {
    /// Account, environment and id.
    pub key: PurchaseKey,
    /// The scope of its reference.
    pub scope: ReferenceScope,
    /// The account's own reference.
    pub reference: String,
    /// The key pair of the request; none if a user buys it in a session.
    pub api_key: Option<KeyId>,
    /// Recharge, offer, banking, bundle or bill.
    pub kind: Kind,
    /// The operator's code.
    pub operator: String,
    /// The product's name, if it is bought by name.
    pub product: Option<String>,
    /// The end customer: a number in national form, or a bill reference.
    pub recipient: String,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// What the end customer gets.
    pub amount: Money,
    /// What the account pays on top.
    pub fee: Money,
    /// What the account earns at delivery.
    pub commission: Money,
    /// Further fields of an offer or a payment.
    pub details: Details,
    /// The endpoint of its events, if the request named one.
    pub webhook_url: Option<String>,
    /// The time of its pricing, and of its first commit.
    pub opened_at: Timestamp,
}

/// A purchase in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Account, environment and id.
    pub key: PurchaseKey,
    /// The scope of its reference; it identifies the dialect of the request.
    pub scope: ReferenceScope,
    /// The account's own reference.
    pub reference: String,
    /// The key pair of the request; none if a user bought it in a session.
    pub api_key: Option<KeyId>,
    /// Recharge, offer, banking, bundle or bill.
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
    /// What the account pays on top.
    pub fee: Money,
    /// What the account earns at delivery.
    pub commission: Money,
    /// The wallet's available balance right after the hold.
    pub available_after: Money,
    /// Further fields of an offer or a payment.
    pub details: Details,
    /// The endpoint of its events, if the request named one.
    pub webhook_url: Option<String>,
    /// The current state in the lifecycle.
    pub state: State,
    /// Counts its steps: a step is written only if the stored version is the one that was read.
    pub version: u32,
    /// The number of attempts on record.
    pub attempts: u32,
    /// The upstream of the latest attempt, or of the one that delivered.
    pub upstream: Option<UpstreamCode>,
    /// The upstream's text for the end customer.
    pub text: Option<String>,
    /// Set once the result is decided, or staff approved it.
    pub decider: Option<Decider>,
    /// The time of its first commit.
    pub opened_at: Timestamp,
    /// The time of its latest step.
    pub updated_at: Timestamp,
    /// The time of the step to `Delivered`.
    pub delivered_at: Option<Timestamp>,
}

impl Purchase {
    /// Amount and fee: what is held. `None` on overflow, which no stored purchase has.
    pub fn total(&self) -> Option<Money> {
        self.amount.plus(self.fee)
    }

    /// Our reference of the latest attempt, if there is one.
    pub fn latest_attempt(&self) -> Option<AttemptRef> {
        (self.attempts > 0)
            .then_some(AttemptRef { purchase: self.key.id.number(), number: self.attempts })
    }

    /// The order to an upstream for attempt `number`, whose record is this step of the purchase.
    /// The country is the operator's, as the catalog has it.
    pub fn order(&self, number: u32, country: Option<&Country>) -> Order {
        let is_bill = self.kind == Kind::Bill;
        let numbering = country.filter(|_| !is_bill).map(|country| &country.numbering);
        Order {
            attempt: AttemptRef { purchase: self.key.id.number(), number },
            started_at: self.updated_at,
            environment: self.key.environment,
            operator: self.operator.clone(),
            product: self.product.clone(),
            kind: self.kind,
            recipient: self.recipient.clone(),
            amount: self.amount,
            service_type: self.service_type,
            details: self.details.clone(),
            reference: self.reference.clone(),
            country: country.map(|country| country.code.clone()),
            international: numbering.and_then(|form| form.international(&self.recipient)),
            upstream_reference: None,
            is_acknowledged: false,
        }
    }
}

/// One attempt to fulfil a purchase at one upstream, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// The upstream that gets the order.
    pub upstream: UpstreamCode,
    /// The time of its commit, before the first byte is sent.
    pub started_at: Timestamp,
    /// The latest outcome ([`crate::outcome::Outcome::code`]); none as long as there is none.
    pub outcome: Option<String>,
    /// The upstream's own reference of the order.
    pub upstream_reference: Option<String>,
    /// The text or reason that came with the outcome.
    pub text: Option<String>,
    /// The upstreams of the route that came before this one, and what each was passed over for.
    pub passed_over: Vec<PassedOver>,
    /// What the upstream took for it, if it said so.
    pub cost: Option<Money>,
}

impl Attempt {
    const fn start(number: u32, upstream: UpstreamCode, started_at: Timestamp) -> Attempt {
        let (outcome, upstream_reference, text, cost) = (None, None, None, None);
        let passed_over = Vec::new();
        Attempt {
            number,
            upstream,
            started_at,
            outcome,
            upstream_reference,
            text,
            passed_over,
            cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_plain_and_never_normalised() {
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
