//! Offers: what an operator quotes for one number now, remembered for the purchase that follows.

use crate::{Caller, Engine, limits};
use domain::account::AccountId;
use domain::catalog::Operator;
use domain::catalog::kind::Kind;
use domain::catalog::pricing::PriceQuery;
use domain::purchase::Details;
use domain::refusal::{FieldError, Refusal};
use domain::upstream::{Offer, OfferEnquiry, Upstream};
use domain::{Environment, Money};
use std::sync::Arc;
use std::time::Duration;

/// Who saw whose offers for whom.
pub(crate) type Seen = (AccountId, Environment, String, String);

/// Offers as they were shown.
#[derive(Clone)]
pub(crate) struct Shown {
    offers: Arc<Vec<Offer>>,
    at: Duration,
}

impl Engine {
    /// What the operator offers this number now, each with the commission it earns. Refuses when
    /// no upstream that quotes offers is routed, or it does not answer.
    pub async fn offers(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
    ) -> Result<Vec<(Offer, Money)>, Refusal> {
        let offers = self.ask_for_offers(caller, operator, recipient).await?;
        let catalog = self.catalog();
        let priced = offers.iter().filter_map(|offer| {
            let price = catalog.price(&self.query(caller, operator, recipient, offer.amount))?;
            Some((offer.clone(), price.commission))
        });
        Ok(priced.collect())
    }

    /// The offer that these identifiers name (`ticketId`, or `offerId`), with everything the
    /// operator wants to hear; from what was shown before, else asked anew (CONTRACT A-31). Refuses
    /// an unknown offer, identifiers that contradict it, and another amount than it costs.
    pub async fn offer(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
        given: &Details,
        amount: Money,
    ) -> Result<Offer, Refusal> {
        let naming = operator
            .offers
            .and_then(|form| form.required().first().copied())
            .ok_or(Refusal::OfferUnknown)?;
        let named = given.get(naming).ok_or(Refusal::OfferUnknown)?;
        let of_name = |offers: &[Offer]| {
            offers.iter().find(|o| o.identifiers.get(naming) == Some(named)).cloned()
        };
        let offer =
            match self.shown(caller, operator, recipient).and_then(|offers| of_name(&offers)) {
                Some(offer) => offer,
                None => {
                    let offers = self.ask_for_offers(caller, operator, recipient).await?;
                    of_name(&offers).ok_or_else(|| unknown(operator, given))?
                }
            };
        let complaints: Vec<FieldError> = contradictions(operator, given, &offer);
        if !complaints.is_empty() {
            return Err(Refusal::Invalid(complaints));
        }
        if offer.amount != amount {
            return Err(Refusal::OfferAmount { costs: offer.amount });
        }
        Ok(offer)
    }

    fn shown(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
    ) -> Option<Arc<Vec<Offer>>> {
        let shown = self.inner.shown.get(&seen(caller, operator, recipient))?;
        let age = self.inner.clock.monotonic().saturating_sub(shown.at);
        (age < limits::OFFERS_SHOWN).then_some(shown.offers)
    }

    async fn ask_for_offers(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
    ) -> Result<Arc<Vec<Offer>>, Refusal> {
        let nobody = || Refusal::OffersUnavailable {
            reason: format!("{} quotes no offers here.", operator.name),
        };
        let upstream = self.quoting_upstream(caller, operator, recipient).ok_or_else(nobody)?;
        let enquiry = OfferEnquiry {
            environment: caller.environment,
            operator: operator.code.clone(),
            recipient: recipient.to_owned(),
        };
        let answer = tokio::time::timeout(
            domain::purchase::settle::SUBMIT_WITHIN,
            upstream.offers(&enquiry),
        )
        .await;
        let offers = match answer {
            Ok(Ok(offers)) => Arc::new(offers),
            Ok(Err(none)) => return Err(Refusal::OffersUnavailable { reason: none.reason }),
            Err(_) => {
                return Err(Refusal::OffersUnavailable {
                    reason: "The operator did not answer in time.".to_owned(),
                });
            }
        };
        let shown = Shown { offers: offers.clone(), at: self.inner.clock.monotonic() };
        self.inner.shown.insert(seen(caller, operator, recipient), shown);
        Ok(offers)
    }

    /// The first connected upstream of the route that quotes offers.
    fn quoting_upstream(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
    ) -> Option<Arc<dyn Upstream>> {
        let nothing = Money::zero(self.catalog().country_of(operator)?.currency);
        let path = self.catalog().path(&self.query(caller, operator, recipient, nothing));
        let mut connected =
            path.upstreams.iter().filter_map(|code| self.upstream_in(caller.environment, code));
        connected.find(|u| u.capabilities().quotes_offers).cloned()
    }

    fn query<'a>(
        &self,
        caller: &Caller,
        operator: &'a Operator,
        recipient: &'a str,
        amount: Money,
    ) -> PriceQuery<'a> {
        PriceQuery {
            account: caller.account,
            plan: caller.plan,
            environment: caller.environment,
            operator: &operator.code,
            kind: Kind::Offer,
            recipient,
            amount,
            at: self.now(),
        }
    }
}

fn seen(caller: &Caller, operator: &Operator, recipient: &str) -> Seen {
    (caller.account, caller.environment, operator.code.clone(), recipient.to_owned())
}

/// An offer that nobody was shown: identifiers that were left out cannot be filled in either.
fn unknown(operator: &Operator, given: &Details) -> Refusal {
    let required = operator.offers.map_or(&[][..], |form| form.required());
    let missing: Vec<FieldError> = required
        .iter()
        .filter(|field| !given.contains_key(**field))
        .map(|field| FieldError {
            field,
            message: format!("The {field} is missing, and the offer was not shown for this number: list the offers first."),
        })
        .collect();
    if missing.is_empty() { Refusal::OfferUnknown } else { Refusal::Invalid(missing) }
}

/// Identifiers that were sent and are not the offer's.
fn contradictions(operator: &Operator, given: &Details, offer: &Offer) -> Vec<FieldError> {
    let required = operator.offers.map_or(&[][..], |form| form.required());
    required
        .iter()
        .filter(|field| {
            given.get(**field).is_some_and(|sent| offer.identifiers.get(**field) != Some(sent))
        })
        .map(|field| FieldError {
            field,
            message: format!("The {field} does not belong to this offer; send the offer's own."),
        })
        .collect()
}
