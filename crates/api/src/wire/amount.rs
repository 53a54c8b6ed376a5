//! Amounts on the wire: parsed from their literal text, rendered as JSON numbers.
//!
//! Invariant: no amount passes through a float, in either direction.

use super::fields::{Reader, Reported, Value};
use super::form::Required;
use domain::{AmountError, Currency, Money};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount as a JSON number in its shortest decimal form: `6989.5`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount(pub Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.shortest()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Reads a required amount of money: a number, or a string of one.
pub(crate) fn read(
    reader: &mut Reader<'_, '_>,
    field: Required,
    currency: Currency,
) -> Result<Money, Reported> {
    let parsed = match reader.value(field)? {
        None | Some(Value::Null) => return Err(reader.report_missing(field.name, "is required.")),
        Some(Value::Text(text)) => parse(text, currency),
        Some(Value::Number(text)) => parse(text, currency),
        Some(Value::Other(_)) => Err("must be a number, or a string of one."),
    };
    parsed.map_err(|message| reader.report(field.name, message))
}

/// Parses the literal text of an amount (CONTRACT A-08). The error is a text for people.
pub(crate) fn parse(text: &str, currency: Currency) -> Result<Money, &'static str> {
    Money::parse(text, currency).map_err(|error| match error {
        AmountError::Form => {
            "must be a plain decimal number: up to 9 digits, at most 2 decimals, no sign, \
             exponent or space."
        }
        AmountError::TooLarge => "is too large: at most 9 digits before the point.",
        AmountError::Zero => "must be more than 0.",
        AmountError::Decimals => "has more decimals than the currency.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_never_pass_through_a_float() {
        for (minor, text) in [
            (1, "0.01"),
            (34, "0.34"),
            (6_800, "68"),
            (698_950, "6989.5"),
            (-50, "-0.5"),
            (9_007_199_254_740_993, "90071992547409.93"),
            (i64::MAX, "92233720368547758.07"),
        ] {
            let amount = Amount(Money::new(minor, Currency::BDT));
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
        }
    }
}
