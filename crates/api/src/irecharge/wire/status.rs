//! The words of the document for how a purchase stands, and what it is.
//!
//! Invariant: every state has exactly one status (CONTRACT section 4).

use domain::State;
use utoipa::ToSchema;

/// A purchase's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum PurchaseStatus {
    /// Waits to be sent, or for a decision.
    Pending,
    /// Sent; the outcome is not known yet.
    Processing,
    /// Delivered.
    Success,
    /// Not delivered; the money is back.
    Failed,
    /// Called off before it was sent; the money is back.
    Rejected,
    /// Delivered, then taken back; the money is back.
    Reversed,
}

/// What was bought. `normal` is a recharge; `bundle` and `bill` are bought through the wallet API
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum RechargeType {
    /// A recharge of an amount.
    Normal,
    /// An offer.
    Offer,
    /// Mobile banking.
    Banking,
    /// A data bundle.
    Bundle,
    /// A bill.
    Bill,
}

/// The kind of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum ServiceKind {
    /// A recharge or an offer.
    Recharge,
    /// Mobile banking.
    Banking,
    /// A bill.
    Bill,
}

/// Who decided: the machine by the operator's word, or staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum DecisionMode {
    /// The operator's word.
    Auto,
    /// Staff.
    Admin,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum DecisionAction {
    /// It was delivered.
    Approved,
    /// It failed, or was called off.
    Rejected,
    /// It was taken back.
    Reversed,
}

/// The document's status of a state (CONTRACT section 4).
pub(crate) const fn status(state: State) -> PurchaseStatus {
    match state {
        State::Quoted | State::Awaiting | State::Held => PurchaseStatus::Pending,
        State::Sent | State::InDoubt | State::WithStaff => PurchaseStatus::Processing,
        State::Delivered => PurchaseStatus::Success,
        State::Failed => PurchaseStatus::Failed,
        State::Rejected => PurchaseStatus::Rejected,
        State::Refunded => PurchaseStatus::Reversed,
    }
}

/// The field `success` of a state (CONTRACT A-11).
pub(super) const fn is_success(state: State) -> bool {
    match status(state) {
        PurchaseStatus::Pending | PurchaseStatus::Processing | PurchaseStatus::Success => true,
        PurchaseStatus::Failed | PurchaseStatus::Rejected | PurchaseStatus::Reversed => false,
    }
}
