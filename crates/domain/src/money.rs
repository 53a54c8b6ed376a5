//! Money: integer minor units of one currency, checked arithmetic, one rounding rule.
//!
//! Not here: currency exchange (there is none), formatting for people. Invariant: no amount is ever
//! converted to a float, and no arithmetic wraps.

use std::fmt::{self, Write as _};

pub use iso_currency::Currency;

/// More than any exact amount has: 19 digits, a sign, a point.
const EXACT_BYTES: usize = 24;

/// An amount in minor units (poisha, cents) of one currency. May be negative in sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not of the form `^(0|[1-9][0-9]{0,8})(\.[0-9]{1,2})?$` (CONTRACT A-08), with as many
    /// decimals as the currency has if it has more than two.
    Form,
    /// The amount is zero.
    Zero,
    /// More than nine digits before the point.
    TooLarge,
    /// More decimals than the currency has; an amount is never rounded.
    Decimals,
}

/// How many decimals a currency has (BDT 2), from ISO 4217.
pub fn decimals(currency: Currency) -> u32 {
    currency.exponent().map_or(2, u32::from)
}

impl Money {
    /// An amount of `minor` units.
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Zero, in this currency.
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// The smallest amount: 0.01, 0.001 or 1.
    pub const fn smallest(currency: Currency) -> Money {
        Money { minor: 1, currency }
    }

    /// The largest amount that [`Money::parse`] reads: 999999999.99, 999999999.999 or 999999999.
    pub fn largest(currency: Currency) -> Money {
        Money { minor: 1_000_000_000 * 10_i64.pow(decimals(currency)) - 1, currency }
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency of the amount.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the amount is above zero.
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Parses an amount to pay: digits and at most one point, without sign, exponent or space. Zero
    /// and surplus decimals are refused, not rounded.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let is_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let whole_ok = is_digits(whole) && (whole == "0" || !whole.starts_with('0'));
        let digits_max = (decimals(currency) as usize).max(2);
        let fraction_ok = fraction.is_none_or(|f| is_digits(f) && f.len() <= digits_max);
        if !whole_ok || !fraction_ok {
            return Err(AmountError::Form);
        }
        if whole.len() > 9 {
            return Err(AmountError::TooLarge);
        }
        let decimals = decimals(currency);
        let fraction = fraction.unwrap_or("");
        let fraction_len = u32::try_from(fraction.len()).map_err(|_| AmountError::Form)?;
        if fraction_len > decimals {
            return Err(AmountError::Decimals);
        }
        let digits = |s: &str| s.bytes().fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
        let minor = digits(whole) * 10_i64.pow(decimals)
            + digits(fraction) * 10_i64.pow(decimals - fraction_len);
        if minor == 0 {
            return Err(AmountError::Zero);
        }
        Ok(Money { minor, currency })
    }

    /// The sum; `None` on overflow or when the currencies differ.
    pub fn plus(self, other: Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        Some(Money { minor: self.minor.checked_add(other.minor)?, ..self })
    }

    /// The difference; `None` on overflow or when the currencies differ.
    pub fn minus(self, other: Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        Some(Money { minor: self.minor.checked_sub(other.minor)?, ..self })
    }

    /// `ppm` millionths of this amount (5,000 is 0.5 %), rounded half-up away from zero to the
    /// minor unit. `None` on overflow.
    pub fn share(self, ppm: i64) -> Option<Money> {
        let product = i128::from(self.minor) * i128::from(ppm);
        let half = if product < 0 { -500_000 } else { 500_000 };
        let minor = i64::try_from((product + half) / 1_000_000).ok()?;
        Some(Money { minor, ..self })
    }

    /// With exactly the currency's decimals: `7000.00`.
    pub fn exact(self) -> String {
        let decimals = decimals(self.currency);
        let unit = 10_u64.pow(decimals);
        let sign = if self.minor < 0 { "-" } else { "" };
        let (whole, rest) = (self.minor.unsigned_abs() / unit, self.minor.unsigned_abs() % unit);
        let mut text = String::with_capacity(EXACT_BYTES);
        // A String takes whatever is written to it.
        let _ = match decimals {
            0 => write!(text, "{sign}{whole}"),
            _ => write!(text, "{sign}{whole}.{rest:0width$}", width = decimals as usize),
        };
        text
    }

    /// The shortest decimal form, fit for a JSON number: `6989.5`, `0.34`, `68`.
    pub fn shortest(self) -> String {
        let mut text = self.exact();
        if text.contains('.') {
            let shortest = text.trim_end_matches('0').trim_end_matches('.').len();
            text.truncate(shortest);
        }
        text
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.exact(), self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BDT: Currency = Currency::BDT;

    #[test]
    fn only_plain_amounts_are_parsed() {
        let good = [
            ("10", 1000),
            ("10.0", 1000),
            ("10.00", 1000),
            ("0.01", 1),
            ("999999999.99", 99_999_999_999),
        ];
        for (text, minor) in good {
            assert_eq!(Money::parse(text, BDT), Ok(Money::new(minor, BDT)), "{text}");
        }
        let bad = [
            "", " ", "-1", "+1", "1e2", "1E2", "01", "00", "1.", ".5", "1.234", "1,5", " 1", "1 ",
            "NaN", "Infinity", "٠١", "１０", "1_000", "0x10", "1.-1", "1..1", "\u{0}1",
        ];
        for text in bad {
            assert_eq!(Money::parse(text, BDT), Err(AmountError::Form), "{text}");
        }
        for text in ["1000000000", "1234567890.12", "9007199254740993"] {
            assert_eq!(Money::parse(text, BDT), Err(AmountError::TooLarge), "{text}");
        }
        assert_eq!(Money::parse("0", BDT), Err(AmountError::Zero));
        assert_eq!(Money::parse("0.00", BDT), Err(AmountError::Zero));
        assert_eq!(Money::parse("10.5", Currency::XOF), Err(AmountError::Decimals));
        assert_eq!(Money::parse("10", Currency::XOF), Ok(Money::new(10, Currency::XOF)));
    }

    /// Currencies with three decimals, and with none (ISO 4217).
    #[test]
    fn each_currency_has_its_own_decimals() {
        let parse = |text, code| Money::parse(text, Currency::from_code(code).unwrap());
        for (text, code, minor) in [
            ("18.605", "KWD", 18_605),
            ("18.6", "KWD", 18_600),
            ("0.001", "KWD", 1),
            ("999999999.999", "KWD", 999_999_999_999),
            ("10", "JPY", 10),
            ("1", "JPY", 1),
            ("999999999", "JPY", 999_999_999),
        ] {
            let currency = Currency::from_code(code).unwrap();
            let money = Money::new(minor, currency);
            assert_eq!(parse(text, code), Ok(money), "{text} {code}");
            assert_eq!(Money::parse(&money.exact(), currency), Ok(money));
            assert_eq!(money.shortest(), text);
        }
        assert_eq!(parse("18.6055", "KWD"), Err(AmountError::Form));
        assert_eq!(parse("0.000", "KWD"), Err(AmountError::Zero));
        assert_eq!(parse("10.5", "JPY"), Err(AmountError::Decimals));
        assert_eq!(parse("10.0", "JPY"), Err(AmountError::Decimals));
        let bounds = |code| {
            let currency = Currency::from_code(code).unwrap();
            (Money::smallest(currency).exact(), Money::largest(currency).exact())
        };
        assert_eq!(bounds("KWD"), ("0.001".to_owned(), "999999999.999".to_owned()));
        assert_eq!(bounds("BDT"), ("0.01".to_owned(), "999999999.99".to_owned()));
        assert_eq!(bounds("JPY"), ("1".to_owned(), "999999999".to_owned()));
    }

    #[test]
    fn amounts_are_written_as_the_contract_writes_them() {
        for (minor, exact, shortest) in [
            (700_000, "7000.00", "7000"),
            (698_950, "6989.50", "6989.5"),
            (34, "0.34", "0.34"),
            (6_800, "68.00", "68"),
            (0, "0.00", "0"),
            (-5, "-0.05", "-0.05"),
            (-1_050, "-10.50", "-10.5"),
        ] {
            let money = Money::new(minor, BDT);
            assert_eq!((money.exact().as_str(), money.shortest().as_str()), (exact, shortest));
        }
    }

    #[test]
    fn a_share_rounds_half_up() {
        for (minor, ppm, expected) in [
            (6_800, 5_000, 34),
            (6_800, 15_000, 102),
            (100, 5_000, 1),
            (99, 5_000, 0),
            (-100, 5_000, -1),
        ] {
            assert_eq!(
                Money::new(minor, BDT).share(ppm),
                Some(Money::new(expected, BDT)),
                "{minor} {ppm}"
            );
        }
        assert_eq!(Money::new(i64::MAX, BDT).share(2_000_000), None);
    }

    proptest! {
        /// An amount that is written and parsed again is the same, to the minor unit.
        #[test]
        fn parsing_reverses_writing(minor in 1_i64..100_000_000_000) {
            let money = Money::new(minor, BDT);
            prop_assert_eq!(Money::parse(&money.exact(), BDT), Ok(money));
            prop_assert_eq!(Money::parse(&money.shortest(), BDT), Ok(money));
        }

        /// No text panics, and every accepted text matches the documented grammar.
        #[test]
        fn any_text_is_parsed_or_refused(text in "[0-9+.eE \\-]{0,14}|\\PC{0,12}") {
            if let Ok(money) = Money::parse(&text, BDT) {
                let zeros = |s: &str| match s.contains('.') {
                    true => s.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => s.to_owned(),
                };
                prop_assert_eq!(zeros(&text), money.shortest());
                prop_assert!(money.is_positive());
            }
        }

        /// Splitting a purchase lowers a fee by at most half a minor unit for each part.
        #[test]
        fn rounding_is_bounded(
            parts in proptest::collection::vec(1_i64..1_000_000, 1..20),
            ppm in 0_i64..1_000_000,
        ) {
            let share = |minor| Money::new(minor, BDT).share(ppm).map(Money::minor);
            let whole = share(parts.iter().sum());
            let split: Option<i64> = parts.iter().map(|part| share(*part)).sum();
            let slack = i64::try_from(parts.len()).map(|n| n / 2 + 1).unwrap_or(i64::MAX);
            prop_assert!((whole.unwrap() - split.unwrap()).abs() <= slack);
        }

        /// A difference reverses a sum; on overflow or mixed currencies there is none.
        #[test]
        fn arithmetic_is_checked(a: i64, b: i64) {
            let (a, b) = (Money::new(a, BDT), Money::new(b, BDT));
            if let Some(sum) = a.plus(b) {
                prop_assert_eq!(sum.minus(b), Some(a));
            }
            prop_assert_eq!(a.plus(Money::new(1, Currency::USD)), None);
        }
    }
}
