//! One-time codes: ten characters that can be read out and typed.
//!
//! Fifty random bits in Crockford's base 32 (no I, L, O, U), fifty tries, half an hour. Invariant:
//! a code is in one mail and nowhere else; what is stored is a tag that only the vault can make.

use crate::Engine;
use domain::refusal::Refusal;
use store::DeviceMark;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 10;

/// What a code is for: one for the one is none for the other.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// Signing up with this password. A code is good only beside the password of its own sign-up:
    /// whoever signs up with somebody else's address cannot have that person confirm it for them.
    SignUp(&'a str),
    Reset,
}

impl Engine {
    /// A fresh code, as it is mailed: `7K2M4-9XQ0B`.
    pub(super) fn fresh_code(&self) -> Result<String, Refusal> {
        let mut random = [0; LENGTH];
        let filled = self.inner.random.fill(&mut random);
        filled.map_err(|_| Refusal::Unavailable { retry_after_s: 5 })?;
        let mut code: String =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        code.insert(LENGTH / 2, '-');
        Ok(code)
    }

    /// The digest of a code, however it was typed.
    pub(super) fn digest_of_code(&self, purpose: For<'_>, email: &str, code: &str) -> DeviceMark {
        let (purpose, password) = match purpose {
            For::SignUp(password) => ("code sign-up", password),
            For::Reset => ("code reset", ""),
        };
        let words = format!("{email}\n{}\n{password}", as_made(code));
        self.inner.vault.tag(purpose, words.as_bytes())
    }
}

/// A code as it was made, from what was typed: small letters, spaces, O for 0, I and L for 1.
fn as_made(typed: &str) -> String {
    let meant = typed.chars().filter(|c| !matches!(c, ' ' | '-' | '\t' | '\r' | '\n'));
    // One more than a code has, so that a longer text is another one.
    let meant = meant.take(LENGTH + 1).map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    meant.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_people_type() {
        for typed in ["10ABC-DEFG2", " lo abc defg2 ", "ioabcdefg2", "IOABC-DEFG2\n"] {
            assert_eq!(as_made(typed), "10ABCDEFG2", "{typed:?}");
        }
        assert_ne!(as_made("10ABCDEFG22"), as_made("10ABCDEFG2"));
        assert_eq!(as_made(&"9".repeat(10_000)).len(), LENGTH + 1);
    }
}
