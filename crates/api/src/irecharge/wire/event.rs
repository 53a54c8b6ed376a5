//! The body of a webhook, field by field as the document defines it.
//!
//! Invariant: a body is rendered once, when the event happens; every delivery sends these bytes.

use super::response::{Decision, status};
use crate::wire::json::rfc3339;
use domain::{Purchase, Timestamp};
use engine::Endpoint;
use serde::Serialize;

#[derive(Serialize)]
struct Event<'a> {
    event: &'a str,
    timestamp: String,
    api_key_id: Option<i64>,
    user_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Transaction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<EventDecision>,
}

/// A [`Decision`] with its fields in the order of the document's example.
#[derive(Serialize)]
struct EventDecision {
    action: Option<&'static str>,
    mode: Option<&'static str>,
}

#[derive(Serialize)]
struct Transaction<'a> {
    id: i64,
    reference: &'a str,
    status: &'static str,
}

/// The event of a purchase in its current state.
pub(crate) fn of_purchase(event: &str, purchase: &Purchase) -> String {
    serialize(&Event {
        event,
        timestamp: rfc3339(purchase.updated_at),
        api_key_id: purchase.api_key.map(|key| key.0),
        user_id: purchase.key.account.0,
        transaction: Some(Transaction {
            id: purchase.key.id.0,
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
