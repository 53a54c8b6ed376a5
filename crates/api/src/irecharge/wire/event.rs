//! An event as it is sent: the body of a webhook, field by field as the document has it.
//!
//! Invariant: written once, when it happens; what is sent later is this, to the byte.

use super::response::{Decision, status};
use crate::wire::json::moment;
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
    decision: Option<Decided>,
}

/// As [`Decision`], in the order of the document's example.
#[derive(Serialize)]
struct Decided {
    action: Option<&'static str>,
    mode: Option<&'static str>,
}

#[derive(Serialize)]
struct Transaction<'a> {
    id: i64,
    reference: &'a str,
    status: &'static str,
}

/// What is told of a purchase as it stands.
pub(in super::super) fn of_purchase(event: &str, purchase: &Purchase) -> String {
    written(&Event {
        event,
        timestamp: moment(purchase.updated_at),
        api_key_id: purchase.api_key.map(|key| key.0),
        user_id: purchase.key.account.0,
        transaction: Some(Transaction {
            id: purchase.key.id.0,
            reference: &purchase.reference,
            status: status(purchase.state),
        }),
        decision: Some(decided(purchase)),
    })
}

fn decided(purchase: &Purchase) -> Decided {
    let Decision { mode, action } = Decision::of(purchase);
    Decided { action, mode }
}

/// What is told of nothing.
pub(in super::super) fn test(event: &str, endpoint: &Endpoint, at: Timestamp) -> String {
    written(&Event {
        event,
        timestamp: moment(at),
        api_key_id: endpoint.key.map(|key| key.0),
        user_id: endpoint.account.0,
        transaction: None,
        decision: None,
    })
}

fn written(event: &Event<'_>) -> String {
    // It holds numbers and text only, which can always be written.
    serde_json::to_string(event).unwrap_or_default()
}
