//! What a face asks for, already parsed and valid; and what it gets.

use crate::access::Caller;
use domain::catalog::kind::{Kind, ServiceType};
use domain::purchase::{Details, ReferenceScope};
use domain::{Money, Purchase};

/// A purchase that somebody wants, in types that cannot be wrong.
#[derive(Clone, Debug)]
pub struct PurchaseRequest {
    /// Who wants it.
    pub caller: Caller,
    /// Which face it came by; references are unique within it.
    pub scope: ReferenceScope,
    /// What.
    pub kind: Kind,
    /// The operator's code: `GP`.
    pub operator: String,
    /// The product's name, if it is bought by name.
    pub product: Option<String>,
    /// For whom: a number in national form, or a bill reference as the product's format writes it.
    pub recipient: String,
    /// Prepaid or postpaid.
    pub service_type: ServiceType,
    /// For how much; within the operator's limits.
    pub amount: Money,
    /// The account's own reference; a valid one.
    pub reference: String,
    /// An offer's or a payment's particulars.
    pub details: Details,
    /// Where its events go.
    pub webhook_url: Option<String>,
    /// SHA-256 of what the request means: the same reference with another one is refused.
    pub digest: Option<[u8; 32]>,
    /// The idempotency key and the digest of the request's body, if a key came with it.
    pub idempotency: Option<Idempotency>,
}

/// An idempotency key (CONTRACT A-09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// In which space it is unique.
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

/// What came of a wish.
#[derive(Clone, Debug)]
pub enum PurchaseOutcome {
    /// Bought now; the purchase as it stands after the upstream's first word.
    Bought(Box<Purchase>),
    /// Bought before under the same idempotency key.
    Before {
        /// The purchase as it stands.
        purchase: Box<Purchase>,
        /// The first answer; none if it was lost with a crash: render the purchase instead.
        replay: Option<Replay>,
    },
}
