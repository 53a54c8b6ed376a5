//! An upstream is tried without buying anything: it is asked for our balance, and about an order
//! that it never got.

use super::manage::unknown_upstream;
use crate::refusals::not_possible;
use crate::{Engine, limits};
use domain::refusal::StaffRefused;
use domain::{
    AttemptRef, BalanceAnswer, Catalog, Currency, Details, EnquiryOutcome, Environment, Kind,
    Money, Order, Outcome, PurchaseNumber, Service, ServiceType, Timestamp, UpstreamCode,
};
use store::{StoredUpstream, UpstreamMaps};

/// What an upstream answered when it was tried. Nothing was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedUpstream {
    /// Our balance there.
    pub balance: BalanceAnswer,
    /// What it says about an order that it never got: its code, and its text.
    pub enquiry: (String, Option<String>),
    /// Whether that is an answer, rather than none.
    pub is_answer: bool,
}

impl Engine {
    /// Tries an upstream without buying anything: asks for the balance, and about an order that it
    /// never got.
    pub async fn try_upstream(&self, code: &UpstreamCode) -> Result<TriedUpstream, StaffRefused> {
        let connected = self.inner.upstreams.get(code).ok_or_else(unknown_upstream)?;
        let connector = connected.connector.clone();
        let connector = connector
            .ok_or_else(|| not_possible("It cannot be called: its settings are wrong."))?;
        let within = limits::TRY_WITHIN;
        let balance = self.or_unavailable(self.ask_balance_if_due(code, &connected).await)?;
        let currency = match &balance {
            BalanceAnswer::Reported(balance) => Some(balance.currency()),
            BalanceAnswer::NotOffered | BalanceAnswer::Unavailable { .. } => {
                connector.capabilities().currency
            }
        };
        // Of what it can write an order of, such as a panel's file, it knows best.
        let own = connector.trial_order().map(|order| Order {
            attempt: NEVER_SENT,
            started_at: self.now(),
            ..order
        });
        let order = own.unwrap_or_else(|| {
            never_sent(connected.row.as_ref(), &self.catalog(), currency, self.now())
        });
        let enquiry = tokio::time::timeout(within, connector.enquire(&order)).await;
        let Ok(enquiry) = enquiry else {
            let enquiry = ("unknown".to_owned(), Some("no answer in time".to_owned()));
            return Ok(TriedUpstream { balance, enquiry, is_answer: false });
        };
        let is_answer = matches!(enquiry, EnquiryOutcome::NotFound);
        let enquiry = Outcome::from(enquiry);
        let enquiry = (enquiry.code().to_owned(), enquiry.text().map(str::to_owned));
        Ok(TriedUpstream { balance, enquiry, is_answer })
    }
}

/// Of an order that no upstream ever got.
const NEVER_SENT: AttemptRef = AttemptRef { purchase: PurchaseNumber(0), number: 1 };

/// An order that no upstream ever got: ids begin far above. It is of an operator that the upstream
/// may sell: in its map if it has one, and in the currency of our balance there if that is known.
fn never_sent(
    row: Option<&StoredUpstream>,
    catalog: &Catalog,
    currency: Option<Currency>,
    now: Timestamp,
) -> Order {
    let no_maps = UpstreamMaps::new();
    let map = row.map_or(&no_maps, |row| &row.maps).get("operator").filter(|map| !map.is_empty());
    let sold = catalog.operators.iter().filter(|operator| {
        operator.service == Service::MobileRecharge
            && operator.is_active
            && operator.prepaid.is_some()
            && map.is_none_or(|map| map.contains_key(&operator.code))
    });
    let sold: Vec<_> = sold
        .filter_map(|operator| Some((operator, catalog.country_of(operator)?, operator.prepaid?)))
        .collect();
    let in_currency = sold.iter().find(|(_, country, _)| Some(country.currency) == currency);
    let chosen = in_currency.or(sold.first());
    let recipient = chosen.map(|(_, country, _)| country.numbering.example()).unwrap_or_default();
    Order {
        attempt: NEVER_SENT,
        started_at: now,
        environment: row.map_or(Environment::Sandbox, |row| row.environment),
        country: chosen.map(|(_, country, _)| country.code.clone()),
        operator: chosen.map(|(operator, ..)| operator.code.clone()).unwrap_or_default(),
        product: None,
        kind: Kind::Recharge,
        international: chosen
            .and_then(|(_, country, _)| country.numbering.international(&recipient)),
        recipient,
        amount: chosen.map_or_else(|| Money::zero(Currency::USD), |(_, _, amounts)| amounts.min),
        service_type: ServiceType::Prepaid,
        details: Details::new(),
        reference: String::new(),
        upstream_reference: None,
        is_acknowledged: false,
    }
}
