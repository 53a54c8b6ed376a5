//! The body of a webhook, field by field as the document defines it.
//!
//! Invariant: a body is rendered once, when the event happens; every delivery sends these bytes.

use super::response::Decision;
use super::status::{DecisionAction, DecisionMode, PurchaseStatus, status};
use crate::wire::json::rfc3339;
use domain::{Purchase, Timestamp};
use engine::Endpoint;
use serde::Serialize;
use utoipa::ToSchema;

/// The body of a webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEvent)]
pub(in super::super) struct Event<'a> {
    /// What happened: the name of the webhook.
    #[schema(example = "billing.recharge.approved")]
    event: &'a str,
    /// When it happened; UTC.
    #[schema(format = DateTime, example = "2026-02-04T20:10:12.000000Z")]
    timestamp: String,
    /// The key pair that bought; null where nobody's key did.
    #[schema(example = 3)]
    api_key_id: Option<i64>,
    /// The account.
    #[schema(example = 5)]
    user_id: i64,
    /// The purchase; a test has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    transaction: Option<EventTransaction<'a>>,
    /// Who decided, and how; a test has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decision: Option<EventDecision>,
}

/// A [`Decision`] with its fields in the order of the document's example.
#[derive(Serialize, ToSchema)]
struct EventDecision {
    /// Null while undecided.
    action: Option<DecisionAction>,
    /// Null while undecided.
    mode: Option<DecisionMode>,
}

/// The purchase that an event is about.
#[derive(Serialize, ToSchema)]
struct EventTransaction<'a> {
    /// Its id: the status check takes it as `transaction_id`.
    #[schema(example = 21)]
    id: i64,
    /// Your reference.
    #[schema(example = "BILL-20260204-0001")]
    reference: &'a str,
    /// How it stood when the event happened.
    status: PurchaseStatus,
}

impl Event<'_> {
    /// An example of the event with this name.
    pub(in super::super) fn example(event: &str) -> Event<'_> {
        let (status, decision) = match event.rsplit_once('.') {
            Some((_, "rejected")) => (PurchaseStatus::Failed, DecisionAction::Rejected),
            _ => (PurchaseStatus::Success, DecisionAction::Approved),
        };
        let is_test = event.starts_with("webhook.");
        Event {
            event,
            timestamp: "2026-02-04T20:10:12.000000Z".to_owned(),
            api_key_id: Some(3),
            user_id: 5,
            transaction: (!is_test).then_some(EventTransaction {
                id: 21,
                reference: "BILL-20260204-0001",
                status,
            }),
            decision: (!is_test).then_some(EventDecision {
                action: Some(decision),
                mode: Some(DecisionMode::Auto),
            }),
        }
    }
}

/// The event of a purchase in its current state.
pub(crate) fn of_purchase(event: &str, purchase: &Purchase) -> String {
    serialize(&Event {
        event,
        timestamp: rfc3339(purchase.updated_at),
        api_key_id: purchase.api_key.map(|key| key.0),
        user_id: purchase.key.account.0,
        transaction: Some(EventTransaction {
            id: purchase.key.id.number().0,
            reference: &purchase.reference,
            status: status(purchase.state),
        }),
        decision: Some(decision(purchase)),
    })
}

fn decision(purchase: &Purchase) -> EventDecision {
    let Decision { mode, action } = Decision::of(purchase);
    EventDecision { action, mode }
}

/// The test event, about no purchase.
pub(crate) fn test(event: &str, endpoint: &Endpoint, at: Timestamp) -> String {
    serialize(&Event {
        event,
        timestamp: rfc3339(at),
        api_key_id: endpoint.key.map(|key| key.0),
        user_id: endpoint.account.0,
        transaction: None,
        decision: None,
    })
}

fn serialize(event: &Event<'_>) -> String {
    // Numbers and texts can always be serialized.
    serde_json::to_string(event).unwrap_or_default()
}
