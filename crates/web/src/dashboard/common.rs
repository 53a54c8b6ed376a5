//! What the merchants' pages share: who asks, in which zone, how queries are written.

use crate::parts::{Zone, format};
use crate::view::{Problem, Session, View};
use domain::acts::grant;
use domain::refusal::{FindRefused, KeyPairRefused, StaffRefused, WalletRefused};
use domain::{Act, Currency, Environment, Grant, Purchase, Service, Timestamp};
use engine::{Caller, PageCaller, PersonSession};
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
    Ok(session.caller(environment(view)))
}

/// Who buys, with the account as it is now; counted as a call with keys of the account is.
pub(super) async fn buyer(view: &View, session: &Session) -> Result<Caller, Problem> {
    let from_page = PageCaller(session.caller(environment(view)));
    let access = view.site.engine.admit_from_pages(from_page).await;
    access.caller.map_err(|refused| match refused {
        KeyPairRefused::TooFast(wait) => Problem::TooMany { retry_after_s: wait.retry_after_s },
        KeyPairRefused::AccountInactive(_)
        | KeyPairRefused::AddressNotAllowed(_)
        | KeyPairRefused::KeyExpired(_)
        | KeyPairRefused::ScopeMissing(_)
        | KeyPairRefused::KeysInvalid(_)
        | KeyPairRefused::KeysMissing(_) => Problem::NotAllowed,
        KeyPairRefused::Unavailable(_) | KeyPairRefused::Uncertain(_) => Problem::Unavailable,
    })
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
    Ok(zone_of(view, &currencies(view, caller).await?))
}

/// The currencies of the account's wallets.
pub(super) async fn currencies(view: &View, caller: &Caller) -> Result<Vec<Currency>, Problem> {
    let balances = view.site.engine.balances(caller).await?;
    Ok(balances.into_iter().map(|balance| balance.currency()).collect())
}

/// The zone of the country of these currencies.
pub(super) fn zone_of(view: &View, currencies: &[Currency]) -> Zone {
    view.zone_of(currencies)
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

/// What somebody typed as a day or a minute in a zone, as its beginning; nothing typed is no time.
pub(super) fn moment(typed: &str, zone: Zone) -> Result<Option<Timestamp>, ()> {
    Ok(typed_time(typed, zone)?.map(|typed| typed.begins))
}

/// The end of what somebody typed: of the whole day, or of the minute. A list to the 30th shows the
/// 30th. An instant, which is not typed but computed, is its own end.
pub(super) fn moment_to(typed: &str, zone: Zone) -> Result<Option<Timestamp>, ()> {
    Ok(typed_time(typed, zone)?.map(|typed| typed.ends))
}

/// Until when something holds that ends with what somebody typed: a day counts whole, a minute is
/// where it ends.
pub(super) fn moment_until(typed: &str, zone: Zone) -> Result<Option<Timestamp>, ()> {
    let is_day = !typed.trim().contains(['T', 't', ' ']);
    Ok(typed_time(typed, zone)?.map(|typed| if is_day { typed.ends } else { typed.begins }))
}

/// A stretch of time by its name; what is at `ends` is no longer in it.
struct TypedTime {
    begins: Timestamp,
    ends: Timestamp,
}

fn typed_time(typed: &str, zone: Zone) -> Result<Option<TypedTime>, ()> {
    let typed = format::latin_digits(typed.trim());
    if typed.is_empty() {
        return Ok(None);
    }
    if let Ok(at) = typed.parse::<jiff::Timestamp>() {
        let at = Timestamp(at.as_microsecond());
        return Ok(Some(TypedTime { begins: at, ends: at }));
    }
    let there = typed.parse::<jiff::civil::DateTime>().map_err(|_| ())?;
    let length = match (typed.contains(['T', 't', ' ']), typed.matches(':').count()) {
        (false, _) => jiff::Span::new().days(1),
        (true, 0) => jiff::Span::new().hours(1),
        (true, 1) => jiff::Span::new().minutes(1),
        (true, _) => jiff::Span::new().seconds(1),
    };
    let at = |civil: jiff::civil::DateTime| {
        let at = zone.offset().to_timestamp(civil).map_err(|_| ())?;
        Ok(Timestamp(at.as_microsecond()))
    };
    let next = there.checked_add(length).map_err(|_| ())?;
    Ok(Some(TypedTime { begins: at(there)?, ends: at(next)? }))
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

    #[test]
    fn a_day_is_that_of_the_zone() {
        let micros = |typed| moment(typed, Zone::DHAKA).map(|at| at.map(|at| at.0));
        assert_eq!(micros(""), Ok(None));
        assert_eq!(micros("2026-11-29"), Ok(Some(1_795_888_800_000_000)));
        assert_eq!(micros("2026-11-29 20:05"), Ok(Some(1_795_961_100_000_000)));
        assert_eq!(micros("২০২৬-১১-২৯T20:05"), Ok(Some(1_795_961_100_000_000)));
        assert_eq!(micros("2026-11-29T14:05:00Z"), Ok(Some(1_795_961_100_000_000)));
        assert_eq!(micros("yesterday"), Err(()));
    }

    #[test]
    fn what_holds_to_a_day_holds_on_that_day() {
        let micros = |typed| moment_until(typed, Zone::DHAKA).map(|at| at.map(|at| at.0));
        assert_eq!(micros(""), Ok(None));
        for (typed, end) in [
            ("2026-11-29", "2026-11-30 00:00"),
            (" ২০২৬-১২-৩১ ", "2027-01-01 00:00"),
            ("2026-11-29 20:05", "2026-11-29 20:05"),
            ("2026-11-29 00:00", "2026-11-29"),
            ("2026-11-29T14:05:00Z", "2026-11-29 20:05"),
        ] {
            let end = moment(end, Zone::DHAKA).map(|at| at.map(|at| at.0));
            assert_eq!(micros(typed), end, "{typed}");
        }
        assert_eq!(micros("yesterday"), Err(()));
    }

    #[test]
    fn what_ends_a_list_counts_whole() {
        let micros = |typed| moment_to(typed, Zone::DHAKA).map(|at| at.map(|at| at.0));
        assert_eq!(micros(""), Ok(None));
        for (typed, next) in [
            ("2026-11-29", "2026-11-30"),
            ("2026-12-31", "2027-01-01 00:00"),
            ("২০২৬-১১-২৯", "2026-11-30"),
            ("2026-11-29 23:59", "2026-11-30"),
            ("2026-11-29T20", "2026-11-29 21:00"),
            ("2026-11-29T20:05:59", "2026-11-29 20:06"),
            ("2026-11-29T14:05:00Z", "2026-11-29 20:05"),
        ] {
            let begins = moment(next, Zone::DHAKA).map(|at| at.map(|at| at.0));
            assert_eq!(micros(typed), begins, "{typed}");
        }
        assert_eq!(micros("yesterday"), Err(()));
        assert_eq!(micros("9999-12-31"), Err(()));
    }
}
