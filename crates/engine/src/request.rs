//! What a dialect asks the engine to buy, and what it gets.
//!
//! Invariant: a request is parsed and valid; the engine does not check its fields again.

use crate::access::Caller;
use crate::purchase::KeyInUse;
use domain::{
    Details, Kind, Money, PriceQuery, Purchase, ReferenceKey, ReferenceScope, ServiceType,
    Timestamp,
};

/// A request to buy something. Its fields were checked when it was parsed.
#[derive(Clone, Debug)]
pub struct PurchaseRequest {
    /// Pays for it.
    pub caller: Caller,
    /// Its reference is unique within this scope.
    pub scope: ReferenceScope,
    /// Recharge, offer, bundle, mobile banking or bill.
    pub kind: Kind,
    /// The operator's code: `GP`.
    pub operator: String,
    /// The product's name, if it is bought by name.
    pub product: Option<String>,
    /// A number in national form, or a bill reference as the product's format writes it.
    pub recipient: String,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// Without the fee; within the operator's limits.
    pub amount: Money,
    /// The account's own reference; a valid one.
    pub reference: String,
    /// An offer's or a payment's particulars.
    pub details: Details,
    /// Where the purchase's events are sent, instead of the key pair's own address.
    pub webhook_url: Option<String>,
    /// SHA-256 of what the request means: the same reference with another digest is refused.
    pub digest: Option<[u8; 32]>,
    /// Whether it may be the same sale again (CONTRACT A-42).
    pub allow_duplicate: bool,
    /// The idempotency key and the digest of the request's body, if a key came with it.
    pub idempotency: Option<Idempotency>,
}

impl PurchaseRequest {
    pub(crate) fn reference_key(&self) -> ReferenceKey {
        self.caller.reference(self.scope, &self.reference)
    }

    pub(crate) fn price_query(&self, at: Timestamp) -> PriceQuery<'_> {
        let (product, recipient) = (self.product.as_deref(), &self.recipient);
        let query = self.caller.price_query(&self.operator, self.kind, self.amount, at);
        PriceQuery { product, recipient, ..query }
    }
}

/// An idempotency key (CONTRACT A-09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key is unique within this scope.
    pub scope: ReferenceScope,
    /// The key; a valid reference.
    pub key: String,
    /// SHA-256 of the request: another body under the same key is refused.
    pub digest: [u8; 32],
}

/// The first answer to a request, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// HTTP status.
    pub status: u16,
    /// The body, to the byte.
    pub body: String,
}

/// The result of a [`PurchaseRequest`].
#[derive(Clone, Debug)]
pub enum PurchaseOutcome {
    /// Bought now.
    Bought {
        /// The purchase after the upstream's first answer.
        purchase: Box<Purchase>,
        /// The reference of an earlier purchase that looks the same (CONTRACT A-42).
        possible_duplicate_of: Option<String>,
        /// The request's idempotency key, for [`Engine::remember`](crate::Engine::remember).
        key: Option<KeyInUse>,
    },
    /// Bought before, under the same idempotency key.
    Repeated {
        /// The purchase in its current state.
        purchase: Box<Purchase>,
        /// The first answer; none if it was lost in a crash: render the purchase instead.
        replay: Option<Replay>,
    },
}
