//! What the merchants' pages share: who asks, in which zone, how queries are written.

use crate::parts::Zone;
use crate::view::{Problem, Session, View};
use domain::acts::grant;
use domain::refusal::{FindRefused, StaffRefused, WalletRefused};
use domain::{Act, Currency, Environment, Grant, Purchase, Service};
use engine::{Caller, PersonSession};
use std::fmt::Write as _;

/// Rows of a page of a list.
pub(super) const ROWS: u32 = 50;

impl From<FindRefused> for Problem {
    fn from(refused: FindRefused) -> Problem {
        match refused {
            FindRefused::PurchaseUnknown(_) => Problem::NotFound,
            FindRefused::Unavailable(_) | FindRefused::Uncertain(_) => Problem::Unavailable,
        }
    }
}

impl From<WalletRefused> for Problem {
    fn from(refused: WalletRefused) -> Problem {
        match refused {
            WalletRefused::NoWallet(_) => Problem::NotFound,
            WalletRefused::Unavailable(_) | WalletRefused::Uncertain(_) => Problem::Unavailable,
        }
    }
}

/// The environment of the page.
pub(super) fn environment(view: &View) -> Environment {
    view.environment.unwrap_or(Environment::Sandbox)
}

/// Who asks: the person, in the page's environment, on the account's plan.
pub(super) fn caller(view: &View, session: &Session) -> Result<Caller, Problem> {
    let account = view.site.engine.account(session.account)?;
    let plan = account.and_then(|account| account.subscription).map(|s| s.plan);
    Ok(Caller { plan, ..session.caller(environment(view)) })
}

/// Whether a person's role has an act, at once or after a second factor.
pub(super) fn may(session: &PersonSession, act: Act, environment: Option<Environment>) -> bool {
    let environment = environment.unwrap_or(Environment::Sandbox);
    match grant(act, session.holder, environment) {
        Grant::Yes | Grant::Masked | Grant::StepUp => true,
        Grant::No | Grant::TwoPeople => false,
    }
}

/// The zone of an account: that of the country whose currency it has.
pub(super) async fn zone(view: &View, caller: &Caller) -> Result<Zone, Problem> {
    Ok(zone_of(&currencies(view, caller).await?))
}

/// The currencies of the account's wallets.
pub(super) async fn currencies(view: &View, caller: &Caller) -> Result<Vec<Currency>, Problem> {
    let balances = view.site.engine.balances(caller).await?;
    Ok(balances.into_iter().map(|balance| balance.currency()).collect())
}

pub(super) fn zone_of(currencies: &[Currency]) -> Zone {
    let is_bangladesh = currencies.is_empty() || currencies.contains(&Currency::BDT);
    if is_bangladesh { Zone::DHAKA } else { Zone::HARARE }
}

/// Which services are bought by an operator and an amount.
pub(super) const fn is_sold_here(service: Service) -> bool {
    match service {
        Service::MobileRecharge | Service::MobileBanking => true,
        Service::BillPayment => false,
    }
}

/// An operator's name, by the code that a purchase has.
pub(super) fn operator_name(view: &View, purchase: &Purchase) -> String {
    let catalog = view.site.engine.catalog();
    let operator = catalog.operator_by_code(&purchase.operator);
    operator.map_or_else(|| purchase.operator.clone(), |operator| operator.name.clone())
}

/// Whether a refusal of an act on settings is about a field, and what it says of it.
pub(super) fn wrong_field(refused: StaffRefused) -> Result<String, Problem> {
    if let StaffRefused::Invalid(invalid) = refused {
        return Ok(invalid.errors.into_iter().map(|e| e.message).collect::<Vec<_>>().join(" "));
    }
    if let StaffRefused::NotPossible(refused) = refused {
        return Ok(refused.because);
    }
    let is_unknown =
        matches!(refused, StaffRefused::PurchaseUnknown(_) | StaffRefused::KeysInvalid(_));
    Err(if is_unknown { Problem::NotFound } else { Problem::Unavailable })
}

/// A query of these names and values, without the empty ones: `?a=1&b=2`, or nothing.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // A String takes everything.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_leave_out_what_is_empty() {
        assert_eq!(query(&[("a", ""), ("b", "x y"), ("c", "৳&")]), "?b=x%20y&c=%E0%A7%B3%26");
        assert_eq!(query(&[("a", "")]), "");
    }
}
