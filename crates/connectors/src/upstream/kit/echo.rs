//! The echo check: a reply counts only if it is about our order.
//!
//! Invariant: what the reply repeats of reference, recipient and amount must be ours; what it must
//! repeat must be there.

use super::decimal::Decimal;
use domain::{Answer, Money};

/// What a reply repeats of an order. A field that the reply lacks is `None` and passes, except
/// where the connector requires it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo<'a> {
    /// What it repeats as our reference.
    pub reference: Option<&'a str>,
    /// What it repeats as the recipient.
    pub recipient: Option<&'a str>,
    /// What it repeats as the amount.
    pub amount: Option<Decimal>,
}

/// What it must be.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Our reference as it was sent.
    pub reference: &'a str,
    /// The recipient as it was sent.
    pub recipient: &'a str,
    /// The amount as it was sent.
    pub amount: Money,
}

/// How many last digits of a mobile number identify it: national and international forms share
/// them.
const NUMBER_DIGITS: usize = 9;

impl Echo<'_> {
    /// Which part is not ours, if one is.
    pub fn foreign(&self, sent: &Sent<'_>) -> Option<&'static str> {
        if self.reference.is_some_and(|reference| reference != sent.reference) {
            return Some("reference");
        }
        if self.recipient.is_some_and(|number| !is_same_recipient(number, sent.recipient)) {
            return Some("recipient");
        }
        if self.amount.is_some_and(|amount| !amount.is(sent.amount)) {
            return Some("amount");
        }
        None
    }

    /// Unknown, with an alarm, if a part is not ours.
    pub fn alarm(&self, sent: &Sent<'_>) -> Option<Answer> {
        let part = self.foreign(sent)?;
        tracing::error!(
            reference = sent.reference,
            part,
            "an upstream's reply is about another order; the outcome stays unknown"
        );
        Some(Answer::Unknown { reason: format!("the reply has another {part} than our order") })
    }
}

/// Equal, or two spellings of one mobile number: the shorter without its prefix ends the longer.
pub fn is_same_recipient(one: &str, other: &str) -> bool {
    let plain =
        |text: &str| -> String { text.chars().filter(|c| !matches!(c, ' ' | '-' | '+')).collect() };
    let (one, other) = (plain(one), plain(other));
    if one == other {
        return true;
    }
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let tail = |text: &str| text.trim_start_matches('0').to_owned();
    let (a, b) = (tail(&one), tail(&other));
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    is_number(&long) && short.len() >= NUMBER_DIGITS && long.ends_with(&short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Currency;

    #[test]
    fn spellings_of_one_number_are_equal_and_others_are_not() {
        for (one, other) in [
            ("01712345678", "8801712345678"),
            ("1712345678", "01712345678"),
            ("+880 1712-345678", "01712345678"),
            ("04223568280", "04223568280"),
            ("METER-1", "METER-1"),
        ] {
            assert!(is_same_recipient(one, other), "{one} {other}");
            assert!(is_same_recipient(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("01712345678", "01712345679"),
            ("01712345678", "12345678"),
            ("", "01712345678"),
            ("METER-1", "METER-2"),
        ] {
            assert!(!is_same_recipient(one, other), "{one} {other}");
        }
    }

    #[test]
    fn each_foreign_part_is_named() {
        let sent = Sent {
            reference: "S1-1",
            recipient: "01712345678",
            amount: Money::new(1000, Currency::BDT),
        };
        let echo = Echo {
            reference: Some("S1-1"),
            recipient: Some("8801712345678"),
            amount: Decimal::parse("10.0"),
        };
        assert_eq!(echo.foreign(&sent), None);
        assert_eq!(Echo::default().foreign(&sent), None);
        let part = |echo: Echo<'_>| echo.foreign(&sent);
        assert_eq!(part(Echo { reference: Some("s1-1"), ..echo }), Some("reference"));
        assert_eq!(part(Echo { recipient: Some("017"), ..echo }), Some("recipient"));
        assert_eq!(part(Echo { amount: Decimal::parse("20"), ..echo }), Some("amount"));
        assert!(matches!(
            Echo { amount: Decimal::parse("1"), ..echo }.alarm(&sent),
            Some(Answer::Unknown { .. })
        ));
    }
}
