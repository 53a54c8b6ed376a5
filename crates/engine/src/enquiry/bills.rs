//! Bills: the owner of a bill reference, asked before anything is quoted; and slips, shown again.
//!
//! Invariant: nothing here moves money or state.

use crate::refusals::{ensure, not_possible};
use crate::request::PurchaseRequest;
use crate::{Caller, Engine, Permit, limits};
use domain::refusal::{BillUnavailable, BillUnknown, QuoteRefused, ResendRefused, StoreRefused};
use domain::upstream::cleaned;
use domain::{
    BillAnswer, BillCustomer, BillEnquiry, MonthClosed, Outcome, Purchase, ReferenceScope, Slip,
    State, act,
};
use store::{Fault, KeepSlip, Store};

impl Engine {
    /// Asks the upstreams of the request's route, in order, whom the bill reference belongs to, if
    /// its product wants that. `None`: the product does not, or no upstream looks up bills. Refuses
    /// a reference that the operator does not know, and when every upstream that looks up bills is
    /// unavailable.
    pub(crate) async fn look_up(
        &self,
        request: &PurchaseRequest,
    ) -> Result<Option<BillCustomer>, QuoteRefused> {
        let catalog = self.catalog();
        let product = request.product.as_deref().and_then(|name| catalog.product_by_name(name));
        let Some(product) = product.filter(|product| product.checks_bill) else {
            return Ok(None);
        };
        let environment = request.caller.environment;
        let path = catalog.path(&request.price_query(self.now()));
        let enquiry = BillEnquiry {
            environment,
            operator: request.operator.clone(),
            product: product.name.clone(),
            recipient: request.recipient.clone(),
            amount: request.amount,
        };
        let mut unavailable = None;
        let connected = path.upstreams.iter().filter_map(|c| self.upstream_in(environment, c));
        for upstream in connected.filter(|u| u.capabilities().looks_up_bills) {
            let answer = upstream.look_up(&enquiry);
            match tokio::time::timeout(limits::LOOK_UP_WITHIN, answer).await {
                Ok(BillAnswer::Known(customer)) => return Ok(Some(printable(customer))),
                Ok(BillAnswer::Unknown) => return Err(BillUnknown.into()),
                Ok(BillAnswer::Unavailable { reason }) => unavailable = Some(reason),
                Err(_) => unavailable = Some("no answer in time".to_owned()),
            }
        }
        let Some(reason) = unavailable else { return Ok(None) };
        tracing::warn!(operator = request.operator, reason, "a bill could not be looked up");
        Err(BillUnavailable { reason }.into())
    }

    /// What a delivery brought; empty while the purchase is open, and once it was reversed.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn delivery(&self, purchase: &Purchase) -> Result<DeliveryDetails, StoreRefused> {
        self.or_unavailable(delivery_of(&self.inner.store, purchase))
    }

    /// The same for many purchases, in their order.
    pub async fn deliveries(
        &self,
        purchases: &[Purchase],
    ) -> Result<Vec<DeliveryDetails>, StoreRefused> {
        let purchases = purchases.to_vec();
        let read = move |store: &Store| purchases.iter().map(|p| delivery_of(store, p)).collect();
        self.read(read).await
    }

    /// A delivered purchase once more, without a charge, with what its delivery brought. If no slip
    /// is on record (the outcome that delivered it had none), its upstream is asked for it. The
    /// account's devices get their push again. Refuses what is not delivered.
    pub async fn delivery_again(
        &self,
        permit: Permit<act::ReplayWebhooks>,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Result<(Purchase, DeliveryDetails), ResendRefused> {
        let purchase = self.purchase_by_reference(caller, scope, reference).await?;
        let because = "Nothing was delivered, so there is nothing to send again.";
        ensure(purchase.state == State::Delivered, not_possible(because))?;
        self.push_again(&permit, &purchase).await?;
        let mut delivery = self.delivery(&purchase).await?;
        // Only what is bought by product name can have a slip.
        if let (None, Some(attempt), Some(_)) =
            (&delivery.slip, delivery.attempt, &purchase.product)
        {
            // Only the slip of the answer counts: an upstream may have forgotten the rest.
            let outcome = Outcome::from(self.enquire_about(&purchase, attempt).await);
            self.or_unavailable(self.keep_late_slip(&purchase, outcome.slip()).await)?;
            delivery = self.delivery(&purchase).await?;
        }
        Ok((purchase, delivery))
    }

    /// Stores a slip that a later answer of the deciding upstream brought: the first answer may
    /// have had no tokens.
    pub(crate) async fn keep_late_slip(
        &self,
        purchase: &Purchase,
        slip: Option<&Slip>,
    ) -> Result<(), Fault> {
        let (Some(upstream), Some(slip)) = (purchase.upstream.clone(), slip) else { return Ok(()) };
        let slip = Box::new(slip.clone());
        let keep = KeepSlip { key: purchase.key, upstream, slip, at: self.now() };
        if let Err(MonthClosed) = self.write(&self.work(), keep, None).await? {
            tracing::warn!(purchase = %purchase.key.id, "a slip came after its month was closed");
        }
        Ok(())
    }
}

/// What a delivery brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryDetails {
    /// What the end customer keeps, if anything.
    pub slip: Option<Slip>,
    /// The operator's own number of the delivery.
    pub reference: Option<String>,
    /// The attempt that was delivered; none if staff delivered by hand.
    attempt: Option<u32>,
}

fn delivery_of(store: &Store, purchase: &Purchase) -> Result<DeliveryDetails, Fault> {
    let Some(upstream) = purchase.upstream.as_ref().filter(|_| purchase.state == State::Delivered)
    else {
        return Ok(DeliveryDetails::default());
    };
    let slip = store.slip(&purchase.key, upstream)?;
    let mut attempts = store.attempts(&purchase.key)?.into_iter();
    let delivered = attempts.find(|attempt| attempt.upstream == *upstream);
    let attempt = delivered.as_ref().map(|attempt| attempt.number);
    Ok(DeliveryDetails { slip, attempt, reference: delivered.and_then(|a| a.upstream_reference) })
}

/// An operator's text about a customer, cleaned so that it can be shown.
fn printable(customer: BillCustomer) -> BillCustomer {
    BillCustomer {
        name: cleaned(&customer.name),
        address: customer.address.map(|address| cleaned(&address)),
        amount_due: customer.amount_due,
    }
}
