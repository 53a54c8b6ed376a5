//! Offers: what an operator quotes for one number now, kept for the purchase that follows.
//!
//! Invariant: an offer is bought with exactly the identifiers and the amount that the operator
//! quoted.

use crate::rate::CallerKey;
use crate::refusals::{ensure, field_error, refuse_if_any};
use crate::{Caller, Engine, limits};
use domain::purchase::settle::SUBMIT_WITHIN;
use domain::refusal::{OfferAmount, OfferRefused, OfferUnknown, OffersRefused, OffersUnavailable};
use domain::{
    Details, FieldError, Kind, Money, Offer, OfferEnquiry, Operator, PriceQuery, Upstream,
};
use std::sync::Arc;
use std::time::Duration;

/// Which caller was shown the offers of which operator for which number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct OfferKey {
    caller: CallerKey,
    operator: String,
    recipient: String,
}

/// Offers that a caller was shown.
#[derive(Clone)]
pub(crate) struct ShownOffers {
    offers: Arc<Vec<Offer>>,
    at: Duration,
}

/// Who asks for offers, of which operator, for which number.
#[derive(Clone, Copy)]
struct Subject<'a> {
    caller: &'a Caller,
    operator: &'a Operator,
    recipient: &'a str,
}

impl Engine {
    /// What the operator offers this number now, each with the commission it earns. Refuses when
    /// no upstream that quotes offers is routed, and when it does not answer.
    pub async fn offers(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
    ) -> Result<Vec<(Offer, Money)>, OffersRefused> {
        let subject = Subject { caller, operator, recipient };
        let offers = self.ask_for_offers(subject).await?;
        let catalog = self.catalog();
        let priced = offers.iter().filter_map(|offer| {
            let query = self.offer_query(subject, offer.amount);
            Some((offer.clone(), catalog.price(&query)?.commission))
        });
        Ok(priced.collect())
    }

    /// The offer that these identifiers name (`ticketId`, or `offerId`), with all identifiers that
    /// the operator requires. It is looked up among the offers shown before, else the operator is
    /// asked again (CONTRACT A-31). Refuses an unknown offer, identifiers that contradict it, and
    /// another amount than it costs.
    pub async fn offer(
        &self,
        caller: &Caller,
        operator: &Operator,
        recipient: &str,
        given: &Details,
        amount: Money,
    ) -> Result<Offer, OfferRefused> {
        let naming = operator
            .offers
            .and_then(|form| form.required().first().copied())
            .ok_or(OfferUnknown)?;
        let named = given.get(naming).ok_or(OfferUnknown)?;
        let find = |offers: &[Offer]| {
            offers.iter().find(|o| o.identifiers.get(naming) == Some(named)).cloned()
        };
        let subject = Subject { caller, operator, recipient };
        let shown = self.shown_offers(subject);
        let offer = match shown.and_then(|offers| find(&offers)) {
            Some(offer) => offer,
            None => {
                let offers = self.ask_for_offers(subject).await?;
                find(&offers).ok_or_else(|| unknown_offer(operator, given))?
            }
        };
        refuse_if_any(contradictions(operator, given, &offer))?;
        ensure(offer.amount == amount, OfferAmount { costs: offer.amount })?;
        Ok(offer)
    }

    fn shown_offers(&self, subject: Subject<'_>) -> Option<Arc<Vec<Offer>>> {
        let shown = self.inner.offers.get(&offer_key(subject))?;
        let age = self.monotonic().saturating_sub(shown.at);
        (age < limits::OFFERS_SHOWN).then_some(shown.offers)
    }

    async fn ask_for_offers(&self, subject: Subject<'_>) -> Result<Arc<Vec<Offer>>, OffersRefused> {
        self.is_subscribed(subject.caller)?;
        let upstream = self.quoting_upstream(subject).ok_or_else(|| {
            let Subject { caller, operator, .. } = subject;
            self.no_route(caller.environment, &operator.code, Kind::Offer)
        })?;
        let enquiry = OfferEnquiry {
            environment: subject.caller.environment,
            operator: subject.operator.code.clone(),
            recipient: subject.recipient.to_owned(),
        };
        let answer = tokio::time::timeout(SUBMIT_WITHIN, upstream.offers(&enquiry)).await;
        let offers = match answer {
            Ok(Ok(offers)) => Arc::new(offers),
            Ok(Err(none)) => return Err(OffersUnavailable { reason: none.reason }.into()),
            Err(_) => {
                let reason = "The operator did not answer in time.".to_owned();
                return Err(OffersUnavailable { reason }.into());
            }
        };
        let shown = ShownOffers { offers: offers.clone(), at: self.monotonic() };
        self.inner.offers.insert(offer_key(subject), shown);
        Ok(offers)
    }

    /// The first connected upstream of the route that quotes offers.
    fn quoting_upstream(&self, subject: Subject<'_>) -> Option<Arc<dyn Upstream>> {
        let zero = Money::zero(self.catalog().country_of(subject.operator)?.currency);
        let path = self.catalog().path(&self.offer_query(subject, zero));
        let mut connected = path
            .upstreams
            .iter()
            .filter_map(|code| self.upstream_in(subject.caller.environment, code));
        connected.find(|u| u.capabilities().quotes_offers)
    }

    fn offer_query<'a>(&self, subject: Subject<'a>, amount: Money) -> PriceQuery<'a> {
        let Subject { caller, operator, recipient } = subject;
        let query = caller.price_query(&operator.code, Kind::Offer, amount, self.now());
        PriceQuery { recipient, ..query }
    }
}

fn offer_key(subject: Subject<'_>) -> OfferKey {
    let Subject { caller, operator, recipient } = subject;
    let (operator, recipient) = (operator.code.clone(), recipient.to_owned());
    OfferKey { caller: caller.rate_key(), operator, recipient }
}

/// The refusal of an offer that was not shown. If identifiers are missing, they are named: without
/// the offer they cannot be filled in.
fn unknown_offer(operator: &Operator, given: &Details) -> OfferRefused {
    let required = operator.offers.map_or(&[][..], |form| form.required());
    let missing = required.iter().filter(|field| !given.contains_key(**field)).map(|field| {
        let message = format!(
            "The {field} is missing, and the offer was not shown for this number: \
             list the offers first."
        );
        field_error(field, &message)
    });
    refuse_if_any(missing).err().map_or(OfferUnknown.into(), OfferRefused::from)
}

/// Identifiers that were sent and are not the offer's.
fn contradictions(operator: &Operator, given: &Details, offer: &Offer) -> Vec<FieldError> {
    let required = operator.offers.map_or(&[][..], |form| form.required());
    let is_wrong = |field: &&&'static str| {
        given.get(**field).is_some_and(|sent| offer.identifiers.get(**field) != Some(sent))
    };
    let wrong = required.iter().filter(is_wrong).map(|field| {
        let message = format!("The {field} does not belong to this offer; send the offer's own.");
        field_error(field, &message)
    });
    wrong.collect()
}
