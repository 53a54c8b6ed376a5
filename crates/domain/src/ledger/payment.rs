//! Payments into and out of wallets, as the world knows them: by rail and reference.
//!
//! A reference of money received or paid out (a TrxID, a bank's or a receipt's number) is unique
//! over the whole house, for each rail and environment. Not here: the journal that books a payment.
//! Invariant: a key's reference is normalised, so however it is typed it is the same key.

use crate::account::{AccountId, Environment};
use crate::clock::Timestamp;
use crate::money::Currency;

/// Longest name of a rail.
const RAIL_BYTES_MAX: usize = 32;
/// Longest reference, after it is normalised.
const REFERENCE_BYTES_MAX: usize = 128;
/// Longest reference of a plan that is bought: the account's number is put before it.
const PLAN_REFERENCE_MAX: usize = 100;
/// The rail of commission that is paid out to a wallet.
const COMMISSION: &str = "commission";
/// The rail of plans that are bought from a wallet.
const PLAN: &str = "plan";

/// The way that money came or went: `manual`, `bkash`, `bank`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rail(String);

impl Rail {
    /// Reads the name of a rail: 1 to 32 of a–z, 0–9 and `-`, in either case. `None` for another
    /// text, and for `commission` and `plan`, by which no money comes or goes.
    pub fn parse(text: &str) -> Option<Rail> {
        let name = text.trim().to_ascii_lowercase();
        let is_right = (1..=RAIL_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (is_right && name != COMMISSION && name != PLAN).then_some(Rail(name))
    }

    /// As stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A payment's key: used up for ever, whichever account had it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentKey {
    environment: Environment,
    rail: Rail,
    reference: String,
}

impl PaymentKey {
    /// The key of a reference as somebody typed it: without blanks, in capitals. `None` unless 1 to
    /// 128 printable ASCII characters are left.
    pub fn new(environment: Environment, rail: Rail, typed: &str) -> Option<PaymentKey> {
        let is_blank =
            |c: &char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}');
        let reference: String =
            typed.chars().filter(|c| !is_blank(c)).map(|c| c.to_ascii_uppercase()).collect();
        let is_right = (1..=REFERENCE_BYTES_MAX).contains(&reference.len())
            && reference.bytes().all(|b| b.is_ascii_graphic());
        is_right.then_some(PaymentKey { environment, rail, reference })
    }

    /// The key of an account's commission in one currency, paid out on one day (`2026-11-30`).
    pub fn commission(
        environment: Environment,
        account: AccountId,
        currency: Currency,
        day: &str,
    ) -> PaymentKey {
        let reference = format!("{account}-{}-{day}", currency.code());
        PaymentKey { environment, rail: Rail(COMMISSION.to_owned()), reference }
    }

    /// The key of a plan that an account buys under a reference of its own. `None` unless 1 to 100
    /// printable ASCII characters are left without blanks.
    pub fn plan(account: AccountId, typed: &str) -> Option<PaymentKey> {
        let rail = Rail(PLAN.to_owned());
        let own = PaymentKey::new(Environment::Live, rail, typed)?;
        let reference = format!("{account}-{}", own.reference);
        (own.reference.len() <= PLAN_REFERENCE_MAX).then_some(PaymentKey { reference, ..own })
    }

    /// Where it is unique.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// How the money came or went.
    pub const fn rail(&self) -> &Rail {
        &self.rail
    }

    /// The reference, normalised.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

/// The booking that has a payment's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentOwner {
    /// The account whose wallet it was booked to.
    pub account: AccountId,
    /// When it was booked.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(rail: &str, typed: &str) -> Option<(String, String)> {
        let key = PaymentKey::new(Environment::Live, Rail::parse(rail)?, typed)?;
        Some((key.rail().as_str().to_owned(), key.reference().to_owned()))
    }

    #[test]
    fn a_reference_is_the_same_however_it_is_typed() {
        let same = Some(("bkash".to_owned(), "DKT5A1B2C3".to_owned()));
        for typed in [
            "DKT5A1B2C3",
            "dkt5a1b2c3",
            " DKT5A1B2C3\n",
            "DKT5 A1B2 C3",
            "dkt5\u{a0}a1b2\tc3",
            "\u{feff}DKT5\u{200b}A1B2C3",
        ] {
            assert_eq!(key("bkash", typed), same, "{typed:?}");
            assert_eq!(key(" bKash ", typed), same, "{typed:?}");
        }
        assert_ne!(key("nagad", "DKT5A1B2C3"), same);
    }

    #[test]
    fn what_is_no_reference_or_no_rail_is_refused() {
        for typed in ["", " ", "\u{200b}", "TRX\u{9e7}", "a\u{0}b", &"x".repeat(129)] {
            assert_eq!(key("manual", typed), None, "{typed:?}");
        }
        assert!(key("manual", &"x".repeat(128)).is_some());
        for rail in
            ["", " ", "b kash", "বিকাশ", "a_b", "commission", "Commission", "plan", &"r".repeat(33)]
        {
            assert_eq!(key(rail, "X1"), None, "{rail:?}");
        }
    }
}
