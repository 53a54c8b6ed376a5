//! What an app is shown about a payment, as a push: that it was delivered, failed or was called off.
//!
//! Invariant: no token, no name and no whole number stands in a push: a locked screen shows it to
//! everybody.

use super::wire::ids;
use super::wire::status::{Status, standing};
use domain::catalog::number::masked;
use domain::catalog::product::Part;
use domain::purchase::ReferenceScope;
use domain::{Catalog, Purchase, State};
use engine::PushText;
use std::collections::BTreeMap;

/// Finds the words for payments of this face; others are not its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushTexts;

impl engine::PushRenderer for PushTexts {
    fn render(&self, purchase: &Purchase, state: State, catalog: &Catalog) -> Option<PushText> {
        match purchase.scope {
            ReferenceScope::Rechargely => {}
            ReferenceScope::Irecharge | ReferenceScope::IrechargeKey | ReferenceScope::Staff => {
                return None;
            }
        }
        let name = purchase.product.as_deref();
        let product = name.and_then(|name| catalog.product_by_name(name));
        let what = product.map_or(purchase.operator.as_str(), |product| product.title.as_str());
        let payment = format!("{what}, {} for {}", purchase.amount, masked(&purchase.recipient));
        let has_tokens =
            product.is_some_and(|p| p.receipt.iter().any(|line| line.part == Part::Tokens));
        let (title, body) = match state {
            State::Delivered if has_tokens => (
                "Payment completed",
                format!("{payment}: it was delivered. Open the app for the token."),
            ),
            State::Delivered => ("Payment completed", format!("{payment}: it was delivered.")),
            State::Failed => (
                "Payment failed",
                format!("{payment}: nothing was delivered. Your money is back in the wallet."),
            ),
            State::Rejected => (
                "Payment cancelled",
                format!("{payment}: it was called off or expired. Nothing was charged."),
            ),
            State::Refunded => (
                "Payment reversed",
                format!("{payment}: the provider took it back. Your money is back in the wallet."),
            ),
            State::Quoted
            | State::Awaiting
            | State::Held
            | State::Sent
            | State::InDoubt
            | State::WithStaff => return None,
        };
        let data = data(purchase, standing(state).status);
        Some(PushText { title: title.to_owned(), body, data })
    }
}

fn data(purchase: &Purchase, status: Status) -> BTreeMap<String, String> {
    let reference = ids::reference(purchase.key.id, purchase.opened_at);
    [
        ("requestId", purchase.reference.clone()),
        ("transactionReference", reference),
        ("status", status.word().to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irecharge::fixture;
    use engine::PushRenderer as _;
    use expect_test::expect;

    #[test]
    fn an_app_is_told_what_became_of_it() {
        let catalog = Catalog::default();
        let mut told = String::new();
        for state in State::ALL {
            let mut purchase = fixture::purchase(state);
            assert_eq!(PushTexts.render(&purchase, state, &catalog), None, "another face's");
            purchase.scope = ReferenceScope::Rechargely;
            if let Some(PushText { title, body, data }) =
                PushTexts.render(&purchase, state, &catalog)
            {
                told += &format!("{title}. {body} {data:?}\n");
            }
        }
        expect![[r#"
            Payment completed. GP, 10.00 BDT for 017****5678: it was delivered. {"requestId": "BILL-026401", "status": "COMPLETED", "transactionReference": "TXN-2026-00000021"}
            Payment failed. GP, 10.00 BDT for 017****5678: nothing was delivered. Your money is back in the wallet. {"requestId": "BILL-026401", "status": "FAILED", "transactionReference": "TXN-2026-00000021"}
            Payment cancelled. GP, 10.00 BDT for 017****5678: it was called off or expired. Nothing was charged. {"requestId": "BILL-026401", "status": "CANCELLED", "transactionReference": "TXN-2026-00000021"}
            Payment reversed. GP, 10.00 BDT for 017****5678: the provider took it back. Your money is back in the wallet. {"requestId": "BILL-026401", "status": "CANCELLED", "transactionReference": "TXN-2026-00000021"}
        "#]].assert_eq(&told);
    }
}
