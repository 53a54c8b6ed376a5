//! The push notifications about a payment: delivered, failed, cancelled or reversed.
//!
//! Invariant: a push contains no meter token, no customer's name and no complete number, because a
//! locked screen shows it to everybody.

use super::wire::ids;
use super::wire::status::{Status, status_text};
use domain::catalog::number::masked;
use domain::{Catalog, Part, Purchase, ReferenceScope, State};
use engine::PushText;
use std::collections::BTreeMap;

/// Renders the pushes of payments that were made in this dialect; other purchases have none.
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
        let title = product.map_or(purchase.operator.as_str(), |product| product.title.as_str());
        let payment = format!("{title}, {} for {}", purchase.amount, masked(&purchase.recipient));
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
        let data = data(purchase, status_text(state).status);
        Some(PushText { title: title.to_owned(), body, data })
    }
}

fn data(purchase: &Purchase, status: Status) -> BTreeMap<String, String> {
    let reference = ids::reference(purchase.key.id, purchase.opened_at);
    [
        ("requestId", purchase.reference.clone()),
        ("transactionReference", reference),
        ("status", status.as_str().to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irecharge::fixture;
    use engine::PushRenderer as _;
    use expect_test::expect_file;

    #[test]
    fn each_final_state_has_a_push() {
        let catalog = Catalog::default();
        let mut all = String::new();
        for state in State::ALL {
            let mut purchase = fixture::purchase(state);
            assert_eq!(
                PushTexts.render(&purchase, state, &catalog),
                None,
                "a purchase of the other dialect"
            );
            purchase.scope = ReferenceScope::Rechargely;
            if let Some(PushText { title, body, data }) =
                PushTexts.render(&purchase, state, &catalog)
            {
                all += &format!("{title}. {body} {data:?}\n");
            }
        }
        expect_file!["pushes.txt"].assert_eq(&all);
    }
}
