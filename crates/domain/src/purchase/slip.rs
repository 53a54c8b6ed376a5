//! What the end customer keeps of a delivery: electricity tokens, units, tariff and charges.
//!
//! A slip comes with an upstream's outcome, is stored in the commit that delivers, and is shown
//! again free of charge. Invariant: key-change tokens come before credit tokens, because a meter
//! accepts them in that order only.

use crate::money::Money;

/// The slip of one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slip {
    tokens: Vec<Token>,
    /// All units together, as the operator writes them: `45.7`.
    pub units: Option<String>,
    /// The tariff of the units.
    pub tariff: Option<String>,
    /// The parts of the amount: energy, taxes, levies, arrears.
    pub charges: Vec<Charge>,
}

/// A token: 20 digits to enter into a meter (IEC 62055-41).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    digits: String,
    /// The units that it adds; a key change adds none.
    pub units: Option<String>,
    /// Key change or credit; determines the order of entry.
    pub kind: TokenKind,
}

/// What a token does to the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// Changes the meter's key; in use since the TID roll-over of November 2024. Entered first.
    KeyChange,
    /// Adds units.
    Credit,
}

/// One part of a purchase's amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The operator's name for it: `RE Levy (6%)`.
    pub label: String,
    /// In the purchase's currency.
    pub amount: Money,
}

codes! {
    TokenKind {
        KeyChange => "KEY_CHANGE",
        Credit => "CREDIT",
    }
}

impl Token {
    /// `None` unless the text is 20 ASCII digits, apart from spaces and hyphens.
    pub fn new(text: &str, units: Option<String>, kind: TokenKind) -> Option<Token> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let is_token = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        is_token.then_some(Token { digits, units, kind })
    }

    /// The 20 digits, without gaps.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// In groups of four, as people enter them.
    pub fn grouped(&self) -> String {
        let groups: Vec<&str> = (0..5).filter_map(|i| self.digits.get(i * 4..i * 4 + 4)).collect();
        groups.join(" ")
    }
}

impl Slip {
    /// A slip with these tokens, sorted into the order of entry.
    pub fn of_tokens(mut tokens: Vec<Token>) -> Slip {
        tokens.sort_by_key(|token| token.kind);
        Slip { tokens, ..Slip::default() }
    }

    /// The tokens, in the order of entry.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_twenty_digits_and_key_changes_come_first() {
        let token = |text: &str, kind| Token::new(text, None, kind);
        for bad in ["", "1234567890123456789", "123456789012345678901", "1234567890123456789a"] {
            assert_eq!(token(bad, TokenKind::Credit), None, "{bad}");
        }
        let credit = token("1234-5678 9012 3456 7890", TokenKind::Credit).unwrap();
        assert_eq!(credit.digits(), "12345678901234567890");
        assert_eq!(credit.grouped(), "1234 5678 9012 3456 7890");
        let keys = ["1", "2"].map(|d| token(&d.repeat(20), TokenKind::KeyChange).unwrap());
        let slip = Slip::of_tokens(vec![keys[0].clone(), credit.clone(), keys[1].clone()]);
        assert_eq!(slip.tokens(), [keys[0].clone(), keys[1].clone(), credit]);
    }
}
