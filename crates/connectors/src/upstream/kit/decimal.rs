//! Amounts as upstreams write them: decimal text of any scale, compared exactly.
//!
//! Invariant: no amount passes through a float.

use domain::{Currency, Money, money};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A decimal number, from a JSON number or a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    /// How many of the digits are decimals; none at the end is zero.
    scale: u32,
}

/// More digits than any amount has; longer ones are not read.
const DIGITS_MAX: usize = 30;

impl Decimal {
    /// Reads `505.00000000000`, `3.8E-5`, `-1`.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (is_negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all: String = [whole, fraction].concat();
        let is_number = !whole.is_empty()
            && all.len() <= DIGITS_MAX
            && all.bytes().all(|b| b.is_ascii_digit())
            && !number.ends_with('.');
        if !is_number || exponent.unsigned_abs() > 30 {
            return None;
        }
        let mut digits: i128 = all.parse().ok()?;
        let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
        while scale < 0 {
            digits = digits.checked_mul(10)?;
            scale += 1;
        }
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        let digits = if is_negative { -digits } else { digits };
        Some(Decimal { digits, scale: u32::try_from(scale).ok()? })
    }

    /// Whether it is exactly this amount.
    pub fn is(self, amount: Money) -> bool {
        self.to_money(amount.currency()) == Some(amount)
    }

    /// As money; none if it has more decimals than the currency.
    pub fn to_money(self, currency: Currency) -> Option<Money> {
        let decimals = money::decimals(currency);
        let missing = decimals.checked_sub(self.scale)?;
        let minor = self.digits.checked_mul(10_i128.checked_pow(missing)?)?;
        Some(Money::new(i64::try_from(minor).ok()?, currency))
    }

    /// As money, without the decimals that the currency lacks: for balances, which are never made
    /// larger than they are.
    pub fn to_money_floor(self, currency: Currency) -> Option<Money> {
        let decimals = money::decimals(currency);
        let Some(surplus) = self.scale.checked_sub(decimals) else {
            return self.to_money(currency);
        };
        let minor = self.digits.div_euclid(10_i128.checked_pow(surplus)?);
        Some(Money::new(i64::try_from(minor).ok()?, currency))
    }
}

impl Decimal {
    /// As money, rounded half up to the currency's decimals: for costs that are stated more finely.
    pub fn to_money_nearest(self, currency: Currency) -> Option<Money> {
        let Some(surplus) = self.scale.checked_sub(money::decimals(currency)) else {
            return self.to_money(currency);
        };
        let unit = 10_i128.checked_pow(surplus)?;
        let minor = self.digits.checked_add(unit / 2)?.div_euclid(unit);
        Some(Money::new(i64::try_from(minor).ok()?, currency))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        Decimal::parse(text).ok_or_else(|| serde::de::Error::custom("not an amount"))
    }
}

/// A text, from a JSON string or a JSON number as it stands: ids are written either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyText(pub String);

impl<'de> Deserialize<'de> for AnyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AnyText, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        match is_number {
            true => Ok(AnyText(text.to_owned())),
            false => serde_json::from_str(text).map(AnyText).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_any_scale_are_compared_exactly() {
        let taka = |minor| Money::new(minor, Currency::BDT);
        for (text, minor) in [
            ("10", 1000),
            ("10.0", 1000),
            ("505.00000000000", 50_500),
            ("0.01", 1),
            ("1E1", 1000),
            ("1.5e+1", 1500),
            ("-2.50", -250),
        ] {
            let number = Decimal::parse(text).unwrap();
            assert!(number.is(taka(minor)), "{text}: {number:?}");
            assert!(!number.is(taka(minor + 1)), "{text}");
            assert!(!number.is(Money::new(minor, Currency::XOF)), "{text}");
        }
        assert!(!Decimal::parse("10.001").unwrap().is(taka(1000)));
        for bad in ["", ".", "1.", ".5", "+1", "1,5", "NaN", "1e99", "0x1", " 1", "1 ", "--1"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_balance_is_rounded_down() {
        let usd = |text| Decimal::parse(text).unwrap().to_money_floor(Currency::USD).unwrap();
        assert_eq!(usd("504.53999").minor(), 50_453);
        assert_eq!(usd("3.8E-5").minor(), 0);
        assert_eq!(usd("-0.001").minor(), -1);
        assert_eq!(usd("7").minor(), 700);
        let near = |text| Decimal::parse(text).unwrap().to_money_nearest(Currency::USD).unwrap();
        for (text, minor) in [("0.465", 47), ("0.46499", 46), ("0.47", 47), ("3", 300)] {
            assert_eq!(near(text).minor(), minor, "{text}");
        }
    }

    #[test]
    fn ids_are_texts_or_numbers() {
        let read = |json| serde_json::from_str::<AnyText>(json).ok().map(|text| text.0);
        assert_eq!(read("4602843"), Some("4602843".to_owned()));
        assert_eq!(read("20261231235959123456789012"), Some("20261231235959123456789012".into()));
        assert_eq!(read("\"a\\u0041\""), Some("aA".to_owned()));
        assert_eq!(read("true"), None);
        assert_eq!(read("[1]"), None);
    }
}
