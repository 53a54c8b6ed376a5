//! One-time codes: ten characters that are easy to read out and to type.
//!
//! Fifty random bits in Crockford's base 32 (no I, L, O, U), fifty tries, half an hour. Invariant:
//! a code is in one mail and nowhere else; its tag is stored, which only the vault can compute.

use super::password::prepared;
use crate::Engine;
use domain::refusal::Unavailable;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 10;

/// What a code is for; it is valid for nothing else.
#[derive(Clone, Copy)]
pub(super) enum CodePurpose<'a> {
    /// Signing up with this password. The code is valid only with it, so that nobody can sign up
    /// with the address of somebody else and have that person confirm the account.
    SignUp(&'a str),
    Reset,
}

impl Engine {
    /// A new code, as it is mailed: `7K2M4-9XQ0B`.
    pub(super) fn fresh_code(&self) -> Result<String, Unavailable> {
        let random: [u8; LENGTH] = self.random_bytes()?;
        let mut code: String =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        code.insert(LENGTH / 2, '-');
        Ok(code)
    }

    /// The tag that is stored of a code, whichever way the code was typed.
    pub(super) fn tag_of_code(
        &self,
        purpose: CodePurpose<'_>,
        email: &str,
        code: &str,
    ) -> [u8; 32] {
        let (purpose, password) = match purpose {
            CodePurpose::SignUp(password) => ("code sign-up", password),
            CodePurpose::Reset => ("code reset", ""),
        };
        let password = prepared(password);
        let input = format!("{email}\n{}\n{password}", normalised(code));
        self.inner.vault.tag(purpose, input.as_bytes())
    }
}

/// The code that was meant, from what was typed: lower case, spaces, O for 0, I and L for 1.
pub(super) fn normalised(typed: &str) -> String {
    let meant = typed.chars().filter(|c| !matches!(c, ' ' | '-' | '\t' | '\r' | '\n'));
    // One more than a code has, so that a longer text differs.
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
    fn a_code_may_be_typed_in_many_ways() {
        for typed in ["10ABC-DEFG2", " lo abc defg2 ", "ioabcdefg2", "IOABC-DEFG2\n"] {
            assert_eq!(normalised(typed), "10ABCDEFG2", "{typed:?}");
        }
        assert_ne!(normalised("10ABCDEFG22"), normalised("10ABCDEFG2"));
        assert_eq!(normalised(&"9".repeat(10_000)).len(), LENGTH + 1);
    }
}
