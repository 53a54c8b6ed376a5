//! What an account's servers are told about a purchase: the document's events, to the letter.
//!
//! `success` and then `approved` once it is delivered; `rejected` once it failed, was called off or
//! was taken back (CONTRACT A-14). Invariant: nothing of the operator's words, and no number of a
//! customer, stands in it.

use super::wire::event;
use domain::purchase::ReferenceScope;
use domain::webhook::schedule::SuccessEvent;
use domain::{Kind, Purchase, State, Timestamp};
use engine::{Endpoint, RenderedEvent};

/// Every event there is.
const EVENTS: [&str; 7] = [
    "billing.recharge.success",
    "billing.recharge.approved",
    "billing.recharge.rejected",
    "billing.banking.success",
    "billing.banking.approved",
    "billing.banking.rejected",
    TEST,
];
/// Told of nothing, when an account asks for it.
const TEST: &str = "webhook.test";

/// Finds the words for purchases of this face; others are not its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookEvents;

/// The three events of a kind of purchase.
struct Names {
    success: &'static str,
    approved: &'static str,
    rejected: &'static str,
}

const fn names(kind: Kind) -> Option<Names> {
    match kind {
        Kind::Recharge | Kind::Offer => {
            Some(Names { success: EVENTS[0], approved: EVENTS[1], rejected: EVENTS[2] })
        }
        Kind::Banking => {
            Some(Names { success: EVENTS[3], approved: EVENTS[4], rejected: EVENTS[5] })
        }
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
        let Some(names) = names(purchase.kind) else { return Vec::new() };
        let told: &[(&'static str, u32)] = match (purchase.state, success) {
            (
                State::Awaiting | State::Held | State::Sent | State::InDoubt | State::WithStaff,
                SuccessEvent::OnAccept,
            ) => &[(names.success, 1)],
            (State::Delivered, SuccessEvent::OnFinal) => &[(names.success, 1), (names.approved, 2)],
            (State::Delivered, SuccessEvent::OnAccept) => &[(names.approved, 2)],
            (State::Failed | State::Rejected, SuccessEvent::OnFinal) => &[(names.rejected, 1)],
            (State::Failed | State::Rejected, SuccessEvent::OnAccept) => &[(names.rejected, 2)],
            (State::Refunded, SuccessEvent::OnFinal | SuccessEvent::OnAccept) => {
                &[(names.rejected, 3)]
            }
            (
                State::Quoted
                | State::Awaiting
                | State::Held
                | State::Sent
                | State::InDoubt
                | State::WithStaff,
                SuccessEvent::OnFinal,
            )
            | (State::Quoted, SuccessEvent::OnAccept) => &[],
        };
        let tale = |&(event, sequence): &(&'static str, u32)| {
            let body = event::of_purchase(event, purchase);
            RenderedEvent { event, sequence, body }
        };
        told.iter().map(tale).collect()
    }

    fn render_test(&self, endpoint: &Endpoint, at: Timestamp) -> RenderedEvent {
        RenderedEvent { event: TEST, sequence: 1, body: event::test(TEST, endpoint, at) }
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
    use expect_test::expect;
    use serde_json::{Value, json};

    fn told(purchase: &Purchase, success: SuccessEvent) -> String {
        let tales = WebhookEvents.render(purchase, success);
        let line = |t: &RenderedEvent| {
            let body: Value = serde_json::from_str(&t.body).unwrap();
            let (status, decision) = (&body["transaction"]["status"], &body["decision"]);
            format!("{} {} {status} {decision}", t.sequence, t.event.replace("billing.", ""))
        };
        tales.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// The seed's payload, lines 541 to 556.
    #[test]
    fn the_body_is_the_documents() {
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
        expect![[r#"{"event":"billing.recharge.approved","timestamp":"2026-02-04T20:10:12.000000Z","api_key_id":3,"user_id":7,"transaction":{"id":21,"reference":"BILL-20260204-0001","status":"success"},"decision":{"action":"approved","mode":"auto"}}"#]]
            .assert_eq(&approved.body);
    }

    #[test]
    fn each_end_is_told_in_the_documents_events() {
        let mut told_of = String::new();
        for success in SuccessEvent::ALL {
            for state in State::ALL {
                let purchase = fixture::purchase(state);
                told_of +=
                    &format!("{} {}: {}\n", success.code(), state.code(), told(&purchase, success));
            }
        }
        expect![[r#"
            on_final quoted: 
            on_final awaiting: 
            on_final held: 
            on_final sent: 
            on_final in_doubt: 
            on_final with_staff: 
            on_final delivered: 1 recharge.success "success" {"action":"approved","mode":"auto"}; 2 recharge.approved "success" {"action":"approved","mode":"auto"}
            on_final failed: 1 recharge.rejected "failed" {"action":"rejected","mode":"auto"}
            on_final rejected: 1 recharge.rejected "rejected" {"action":"rejected","mode":"auto"}
            on_final refunded: 3 recharge.rejected "reversed" {"action":"reversed","mode":"auto"}
            on_accept quoted: 
            on_accept awaiting: 1 recharge.success "pending" {"action":null,"mode":null}
            on_accept held: 1 recharge.success "pending" {"action":null,"mode":null}
            on_accept sent: 1 recharge.success "processing" {"action":null,"mode":null}
            on_accept in_doubt: 1 recharge.success "processing" {"action":null,"mode":null}
            on_accept with_staff: 1 recharge.success "processing" {"action":null,"mode":null}
            on_accept delivered: 2 recharge.approved "success" {"action":"approved","mode":"auto"}
            on_accept failed: 2 recharge.rejected "failed" {"action":"rejected","mode":"auto"}
            on_accept rejected: 2 recharge.rejected "rejected" {"action":"rejected","mode":"auto"}
            on_accept refunded: 3 recharge.rejected "reversed" {"action":"reversed","mode":"auto"}
        "#]].assert_eq(&told_of);
    }

    #[test]
    fn offers_are_recharges_banking_is_banking_and_bills_are_anothers() {
        let with = |kind, scope| {
            let purchase = Purchase { kind, scope, ..fixture::purchase(State::Failed) };
            WebhookEvents.render(&purchase, SuccessEvent::OnFinal).first().map(|tale| tale.event)
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
