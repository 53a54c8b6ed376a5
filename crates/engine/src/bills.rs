//! Bills: whom a reference belongs to, asked before anything is quoted; and slips, shown again.
//!
//! Nothing here moves money or state.

use crate::request::PurchaseRequest;
use crate::{Caller, Engine, limits};
use domain::Purchase;
use domain::catalog::pricing::PriceQuery;
use domain::purchase::ReferenceScope;
use domain::purchase::lifecycle::State;
use domain::purchase::slip::Slip;
use domain::refusal::Refusal;
use domain::upstream::{BillAnswer, BillCustomer, BillEnquiry, cleaned};
use store::{Fault, Store};

impl Engine {
    /// Asks the upstreams of the wish's route, in order, whom the bill reference belongs to, if its
    /// product wants that. `None`: it does not, or none of them can tell. Refuses a reference that
    /// the operator does not know, and when all who could tell are out of reach.
    pub(crate) async fn look_up(
        &self,
        request: &PurchaseRequest,
    ) -> Result<Option<BillCustomer>, Refusal> {
        let catalog = self.catalog();
        let product = request.product.as_deref().and_then(|name| catalog.product_by_name(name));
        let Some(product) = product.filter(|product| product.checks_bill) else {
            return Ok(None);
        };
        let environment = request.caller.environment;
        let path = catalog.path(&PriceQuery {
            account: request.caller.account,
            plan: request.caller.plan,
            environment,
            operator: &request.operator,
            kind: request.kind,
            recipient: &request.recipient,
            amount: request.amount,
            at: self.now(),
        });
        let enquiry = BillEnquiry {
            environment,
            operator: request.operator.clone(),
            product: product.name.clone(),
            recipient: request.recipient.clone(),
            amount: request.amount,
        };
        let mut health = None;
        let connected = path.upstreams.iter().filter_map(|c| self.upstream_in(environment, c));
        for upstream in connected.filter(|u| u.capabilities().looks_up_bills) {
            let answer = upstream.look_up(&enquiry);
            match tokio::time::timeout(limits::LOOK_UP_WITHIN, answer).await {
                Ok(BillAnswer::Known(customer)) => return Ok(Some(printable(customer))),
                Ok(BillAnswer::Unknown) => return Err(Refusal::BillUnknown),
                Ok(BillAnswer::Unavailable { reason }) => health = Some(reason),
                Err(_) => health = Some("no answer in time".to_owned()),
            }
        }
        match health {
            Some(reason) => {
                tracing::warn!(
                    operator = request.operator,
                    reason,
                    "a bill could not be looked up"
                );
                Err(Refusal::BillUnavailable { reason })
            }
            None => Ok(None),
        }
    }

    /// What came with a purchase's delivery; nothing while it is open, or once it was taken back.
    #[expect(clippy::unused_async, reason = "a store over a network will be waited for here")]
    pub async fn delivery(&self, purchase: &Purchase) -> Result<Delivery, Refusal> {
        delivery_of(&self.inner.store, purchase).map_err(|fault| self.unavailable(&fault))
    }

    /// The same of many purchases, each in its place.
    pub async fn deliveries(&self, purchases: &[Purchase]) -> Result<Vec<Delivery>, Refusal> {
        let purchases = purchases.to_vec();
        self.list(move |store| purchases.iter().map(|p| delivery_of(store, p)).collect()).await
    }

    /// A delivered purchase once more, without a charge, with what came with it. If no slip is on
    /// record (the word that delivered it brought none), its upstream is asked for it; the account's
    /// devices are told again. Refuses what is not delivered.
    pub async fn delivery_again(
        &self,
        caller: &Caller,
        scope: ReferenceScope,
        reference: &str,
    ) -> Result<(Purchase, Delivery), Refusal> {
        let purchase = self.purchase_by_reference(caller, scope, reference).await?;
        if purchase.state != State::Delivered {
            let because = "Nothing was delivered, so there is nothing to send again.".to_owned();
            return Err(Refusal::NotPossible { because });
        }
        self.push_again(&purchase).await?;
        let mut delivery = self.delivery(&purchase).await?;
        // Only what is bought by name can have one.
        if let (None, Some(attempt), Some(_)) =
            (&delivery.slip, delivery.attempt, &purchase.product)
        {
            // Only for the slip: an upstream forgets, so what else it says now counts for nothing.
            let outcome = self.enquire_about(&purchase, attempt).await;
            let kept = self.keep_late_slip(&purchase, outcome.slip()).await;
            kept.map_err(|fault| self.unavailable(&fault))?;
            delivery = self.delivery(&purchase).await?;
        }
        Ok((purchase, delivery))
    }
}

/// What came with a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// What the end customer keeps, if there is anything to keep.
    pub slip: Option<Slip>,
    /// The operator's own number for it.
    pub reference: Option<String>,
    /// Which attempt brought it; none: staff's own hands.
    attempt: Option<u32>,
}

fn delivery_of(store: &Store, purchase: &Purchase) -> Result<Delivery, Fault> {
    let Some(upstream) = purchase.upstream.as_ref().filter(|_| purchase.state == State::Delivered)
    else {
        return Ok(Delivery::default());
    };
    let slip = store.slip(&purchase.key, upstream)?;
    let mut attempts = store.attempts(&purchase.key)?.into_iter();
    let delivered = attempts.find(|attempt| attempt.upstream == *upstream);
    let attempt = delivered.as_ref().map(|attempt| attempt.number);
    Ok(Delivery { slip, attempt, reference: delivered.and_then(|a| a.upstream_reference) })
}

/// What an operator writes about somebody, made fit to be shown.
fn printable(customer: BillCustomer) -> BillCustomer {
    BillCustomer {
        name: cleaned(&customer.name),
        address: customer.address.map(|address| cleaned(&address)),
        amount_due: customer.amount_due,
    }
}
