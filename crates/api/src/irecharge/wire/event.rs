//! The body of a webhook, field by field as the document defines it.
//!
//! Invariant: a body is rendered once, when the event happens; every delivery sends these bytes.

use super::response::Decision;
use super::status::{DecisionAction, DecisionMode, PurchaseStatus, status};
use crate::wire::amount::Amount;
use crate::wire::json::rfc3339;
use domain::{AccountId, Currency, Money, Purchase, Timestamp};
use engine::{AccountEvent, Endpoint};
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
    /// The purchase; only of a `billing.` event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    transaction: Option<EventTransaction<'a>>,
    /// Who decided, and how; only of a `billing.` event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decision: Option<EventDecision>,
    /// Added to the document: the wallet whose balance is low, only of `account.low_balance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    wallet: Option<EventWallet>,
    /// Added to the document: what was paid in, only of `deposit.paid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deposit: Option<EventDeposit<'a>>,
}

/// A wallet whose balance is low.
#[derive(Serialize, ToSchema)]
struct EventWallet {
    /// ISO 4217.
    #[schema(example = "BDT")]
    currency: &'static str,
    /// What it could spend when that was noticed.
    #[schema(value_type = f64, example = 489.5)]
    available: Amount,
    /// The amount that was set.
    #[schema(value_type = f64, example = 500.0)]
    below: Amount,
}

/// Money that was paid in.
#[derive(Serialize, ToSchema)]
struct EventDeposit<'a> {
    /// ISO 4217.
    #[schema(example = "BDT")]
    currency: &'static str,
    /// How much.
    #[schema(value_type = f64, example = 1500.0)]
    amount: Amount,
    /// How it came: `bkash`, `bank`, `manual`.
    #[schema(example = "bkash")]
    rail: &'a str,
    /// The TrxID, or the bank's or the receipt's number, in capitals.
    #[schema(example = "DKT5A1B2C3")]
    reference: &'a str,
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
        let is_of_purchase = event.starts_with("billing.");
        let taka = |minor| Money::new(minor, Currency::BDT);
        let low = AccountEvent::LowBalance { available: taka(48_950), below: taka(50_000) };
        let (rail, reference) = ("bkash", "DKT5A1B2C3");
        let paid = AccountEvent::DepositPaid { amount: taka(150_000), rail, reference };
        let about = match event.split_once('.') {
            Some(("account", _)) => Some(low),
            Some(("deposit", _)) => Some(paid),
            Some(_) | None => None,
        };
        let (wallet, deposit) = about.map_or((None, None), parts_of);
        Event {
            event,
            timestamp: "2026-02-04T20:10:12.000000Z".to_owned(),
            api_key_id: about.is_none().then_some(3),
            user_id: 5,
            transaction: is_of_purchase.then_some(EventTransaction {
                id: 21,
                reference: "BILL-20260204-0001",
                status,
            }),
            decision: is_of_purchase.then_some(EventDecision {
                action: Some(decision),
                mode: Some(DecisionMode::Auto),
            }),
            wallet,
            deposit,
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
        wallet: None,
        deposit: None,
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
        wallet: None,
        deposit: None,
    })
}

/// An event about an account.
pub(crate) fn of_account(
    event: &str,
    account: AccountId,
    about: AccountEvent<'_>,
    at: Timestamp,
) -> String {
    let (wallet, deposit) = parts_of(about);
    serialize(&Event {
        event,
        timestamp: rfc3339(at),
        api_key_id: None,
        user_id: account.0,
        transaction: None,
        decision: None,
        wallet,
        deposit,
    })
}

/// The fields that an event about an account has of its own.
fn parts_of(event: AccountEvent<'_>) -> (Option<EventWallet>, Option<EventDeposit<'_>>) {
    match event {
        AccountEvent::LowBalance { available, below } => {
            let currency = below.currency().code();
            let (available, below) = (Amount(available), Amount(below));
            (Some(EventWallet { currency, available, below }), None)
        }
        AccountEvent::DepositPaid { amount, rail, reference } => {
            let currency = amount.currency().code();
            (None, Some(EventDeposit { currency, amount: Amount(amount), rail, reference }))
        }
    }
}

fn serialize(event: &Event<'_>) -> String {
    // Numbers and texts can always be serialized.
    serde_json::to_string(event).unwrap_or_default()
}
