//! The webhook events of a purchase, as the document defines them, and ours of an account.
//!
//! `success` and then `approved` when the purchase is delivered; `rejected` when it failed, was
//! cancelled or was reversed (CONTRACT A-14). Invariant: an event contains no text of the operator
//! and no number of a customer.

use super::wire::event;
use domain::{AccountId, Kind, Purchase, ReferenceScope, State, SuccessEvent, Timestamp};
use engine::{AccountEvent, Endpoint, RenderedEvent};

/// Every event of this dialect.
pub(super) const EVENTS: [&str; 9] = [
    "billing.recharge.success",
    "billing.recharge.approved",
    "billing.recharge.rejected",
    "billing.banking.success",
    "billing.banking.approved",
    "billing.banking.rejected",
    LOW_BALANCE,
    DEPOSIT_PAID,
    TEST,
];
/// What a wallet can spend has fallen below an amount that was set (CONTRACT A-43).
const LOW_BALANCE: &str = "account.low_balance";
/// Money that was paid in is booked (CONTRACT A-43).
const DEPOSIT_PAID: &str = "deposit.paid";
/// Sent only when an account asks for a test; it is about no purchase.
const TEST: &str = "webhook.test";

/// When each event is sent, for people.
pub(super) fn words(event: &str) -> &'static str {
    match event {
        "billing.recharge.success" => "A recharge or an offer was delivered.",
        "billing.recharge.approved" => {
            "The same delivery was approved, by the operator's word or by staff."
        }
        "billing.recharge.rejected" => {
            "A recharge or an offer failed, was called off or was taken back."
        }
        "billing.banking.success" => "Mobile banking was done.",
        "billing.banking.approved" => "The same was approved, by the operator's word or by staff.",
        "billing.banking.rejected" => "Mobile banking failed, was called off or was taken back.",
        LOW_BALANCE => "What a wallet can spend has fallen below the amount that was set.",
        DEPOSIT_PAID => "Money that you paid in is in the wallet.",
        _ => "You asked for a test; it is about no purchase.",
    }
}

/// Renders the events of purchases that were made in this dialect; other purchases have none.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookEvents;

/// The events of a kind of purchase: its success, its approval, its rejection.
const fn names(kind: Kind) -> Option<[&'static str; 3]> {
    match kind {
        Kind::Recharge | Kind::Offer => Some([EVENTS[0], EVENTS[1], EVENTS[2]]),
        Kind::Banking => Some([EVENTS[3], EVENTS[4], EVENTS[5]]),
        Kind::Bundle | Kind::Bill => None,
    }
}

impl engine::WebhookRenderer for WebhookEvents {
    fn render(&self, purchase: &Purchase, success: SuccessEvent) -> Vec<RenderedEvent> {
        match purchase.scope {
            ReferenceScope::Irecharge => {}
            ReferenceScope::IrechargeKey | ReferenceScope::Staff | ReferenceScope::Rechargely => {
                return Vec::new();
            }
        }
        let Some([accepted, approved, rejected]) = names(purchase.kind) else { return Vec::new() };
        let events = match (purchase.state, success) {
            (State::Quoted, SuccessEvent::OnAccept | SuccessEvent::OnFinal) => vec![],
            (
                State::Awaiting | State::Held | State::Sent | State::InDoubt | State::WithStaff,
                success,
            ) => match success {
                SuccessEvent::OnAccept => vec![(accepted, 1)],
                SuccessEvent::OnFinal => vec![],
            },
            (State::Delivered, SuccessEvent::OnFinal) => vec![(accepted, 1), (approved, 2)],
            (State::Delivered, SuccessEvent::OnAccept) => vec![(approved, 2)],
            (State::Failed | State::Rejected, SuccessEvent::OnFinal) => vec![(rejected, 1)],
            (State::Failed | State::Rejected, SuccessEvent::OnAccept) => vec![(rejected, 2)],
            (State::Refunded, SuccessEvent::OnFinal | SuccessEvent::OnAccept) => {
                vec![(rejected, 3)]
            }
        };
        let render = |(event, sequence)| {
            let body = event::of_purchase(event, purchase);
            RenderedEvent { event, sequence, body }
        };
        events.into_iter().map(render).collect()
    }

    fn render_test(&self, endpoint: &Endpoint, at: Timestamp) -> RenderedEvent {
        RenderedEvent { event: TEST, sequence: 1, body: event::test(TEST, endpoint, at) }
    }

    fn render_account(
        &self,
        account: AccountId,
        event: AccountEvent<'_>,
        at: Timestamp,
    ) -> RenderedEvent {
        let name = match event {
            AccountEvent::LowBalance { .. } => LOW_BALANCE,
            AccountEvent::DepositPaid { .. } => DEPOSIT_PAID,
        };
        let body = event::of_account(name, account, event, at);
        RenderedEvent { event: name, sequence: 1, body }
    }

    fn event_names(&self) -> &'static [&'static str] {
        &EVENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irecharge::fixture;
    use engine::WebhookRenderer as _;
    use expect_test::expect_file;
    use serde_json::{Value, json};

    fn rendered(purchase: &Purchase, success: SuccessEvent) -> String {
        let events = WebhookEvents.render(purchase, success);
        let line = |t: &RenderedEvent| {
            let body: Value = serde_json::from_str(&t.body).unwrap();
            let (status, decision) = (&body["transaction"]["status"], &body["decision"]);
            format!("{} {} {status} {decision}", t.sequence, t.event.replace("billing.", ""))
        };
        events.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// The seed's payload, lines 541 to 556.
    #[test]
    fn the_body_is_the_documented_one() {
        let mut purchase = fixture::purchase(State::Delivered);
        purchase.updated_at = Timestamp(1_770_235_812_000_000);
        purchase.reference = "BILL-20260204-0001".into();
        let approved = &WebhookEvents.render(&purchase, SuccessEvent::OnFinal)[1];
        let expected = json!({
            "event": "billing.recharge.approved",
            "timestamp": "2026-02-04T20:10:12.000000Z",
            "api_key_id": 3,
            "user_id": 7,
            "transaction": { "id": 21, "reference": "BILL-20260204-0001", "status": "success" },
            "decision": { "action": "approved", "mode": "auto" }
        });
        assert_eq!(serde_json::from_str::<Value>(&approved.body).unwrap(), expected);
        expect_file!["event_body.txt"].assert_eq(&approved.body);
    }

    /// The envelope is that of the others; what is about an account is in a field of its own.
    #[test]
    fn events_of_an_account_have_the_same_envelope() {
        let (account, at) = (AccountId(7), Timestamp(1_770_235_812_000_000));
        let taka = |minor| domain::Money::new(minor, domain::Currency::BDT);
        let low = AccountEvent::LowBalance { available: taka(48_950), below: taka(50_000) };
        let (amount, rail, reference) = (taka(150_000), "bkash", "DKT5A1B2C3");
        let paid = AccountEvent::DepositPaid { amount, rail, reference };
        let body = |event| -> Value {
            let rendered = WebhookEvents.render_account(account, event, at);
            let body: Value = serde_json::from_str(&rendered.body).unwrap();
            assert_eq!((body["event"].as_str(), rendered.sequence), (Some(rendered.event), 1));
            body
        };
        assert_eq!(
            body(low),
            json!({
                "event": "account.low_balance",
                "timestamp": "2026-02-04T20:10:12.000000Z",
                "api_key_id": null,
                "user_id": 7,
                "wallet": { "currency": "BDT", "available": 489.5, "below": 500 },
            })
        );
        assert_eq!(
            body(paid),
            json!({
                "event": "deposit.paid",
                "timestamp": "2026-02-04T20:10:12.000000Z",
                "api_key_id": null,
                "user_id": 7,
                "deposit": {
                    "currency": "BDT", "amount": 1500, "rail": "bkash", "reference": "DKT5A1B2C3",
                },
            })
        );
    }

    #[test]
    fn each_outcome_has_the_documents_events() {
        let mut all = String::new();
        for success in SuccessEvent::ALL {
            for state in State::ALL {
                let purchase = fixture::purchase(state);
                let events = rendered(&purchase, success);
                all += &format!("{} {}: {events}\n", success.code(), state.code());
            }
        }
        expect_file!["events.txt"].assert_eq(&all);
    }

    #[test]
    fn offers_have_the_events_of_recharges_and_bills_have_none() {
        let with = |kind, scope| {
            let purchase = Purchase { kind, scope, ..fixture::purchase(State::Failed) };
            WebhookEvents
                .render(&purchase, SuccessEvent::OnFinal)
                .first()
                .map(|rendered| rendered.event)
        };
        assert_eq!(with(Kind::Offer, ReferenceScope::Irecharge), Some("billing.recharge.rejected"));
        assert_eq!(
            with(Kind::Banking, ReferenceScope::Irecharge),
            Some("billing.banking.rejected")
        );
        for kind in [Kind::Bundle, Kind::Bill, Kind::Recharge] {
            assert_eq!(with(kind, ReferenceScope::Rechargely), None);
        }
    }
}
