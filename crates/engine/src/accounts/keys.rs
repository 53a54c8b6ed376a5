//! Key pairs: how they are made, and how a typo is recognised.
//!
//! `ok_{test,live}_` and 24 characters, `sk_{test,live}_` and 48, of which the last six are a
//! checksum (CONTRACT A-04). Invariant: only a secret's digest is stored.

use domain::{Environment, NoRandom, Random};
use ring::digest;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const OPEN_RANDOM: usize = 24;
const SECRET_RANDOM: usize = 42;
const CHECKSUM: usize = 6;

/// A new key pair. Its secret is shown once.
pub struct KeyPair {
    /// The public key, `ok_…`.
    pub open: String,
    /// The secret key, `sk_…`.
    pub secret: String,
}

/// Makes a key pair for an environment.
pub(crate) fn make(environment: Environment, random: &dyn Random) -> Result<KeyPair, NoRandom> {
    let word = environment.key_word();
    let open = format!("ok_{word}_{}", random_text(OPEN_RANDOM, random)?);
    let body = format!("sk_{word}_{}", random_text(SECRET_RANDOM, random)?);
    let secret = format!("{body}{}", checksum(&body));
    Ok(KeyPair { open, secret })
}

/// Random characters of the alphabet, each equally likely.
pub(crate) fn random_text(length: usize, random: &dyn Random) -> Result<String, NoRandom> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        random.fill(&mut bytes)?;
        // 248 is the largest multiple of 62 in a byte: larger bytes would favour the first
        // characters.
        for byte in bytes.iter().filter(|b| **b < 248).take(length - text.len()) {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    Ok(text)
}

fn checksum(body: &str) -> String {
    let mut rest = u64::from(crc32fast::hash(body.as_bytes()));
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

/// Whether a text has the shape of an open key.
pub(crate) fn is_open_key(text: &str) -> bool {
    has_shape(text, "ok_", OPEN_RANDOM)
}

/// Whether a text has the shape of a secret key, with the right checksum.
pub(crate) fn is_secret_key(text: &str) -> bool {
    has_shape(text, "sk_", SECRET_RANDOM + CHECKSUM)
        && text
            .split_at_checked(text.len() - CHECKSUM)
            .is_some_and(|(body, sum)| checksum(body) == sum)
}

fn has_shape(text: &str, prefix: &str, length: usize) -> bool {
    let rest = text
        .strip_prefix(prefix)
        .and_then(|t| t.strip_prefix("test_").or_else(|| t.strip_prefix("live_")));
    rest.is_some_and(|r| r.len() == length && r.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// What is stored of a secret: SHA-256. Its 250 random bits need no slow hash.
pub(crate) fn digest_of(secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Counted(AtomicU64);

    impl Random for Counted {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            for byte in bytes {
                let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
                *byte = ((n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn keys_have_the_documented_shape_and_a_typo_is_recognised() {
        let random = Counted(AtomicU64::new(1));
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            let pair = make(Environment::Sandbox, &random).unwrap();
            assert_eq!((pair.open.len(), pair.secret.len()), (8 + 24, 8 + 48));
            assert!(pair.open.starts_with("ok_test_") && pair.secret.starts_with("sk_test_"));
            assert!(is_open_key(&pair.open) && is_secret_key(&pair.secret));
            assert!(seen.insert(pair.secret));
        }
        let pair = make(Environment::Live, &random).unwrap();
        assert!(pair.open.starts_with("ok_live_") && pair.secret.starts_with("sk_live_"));
        for i in 8..pair.secret.len() {
            let mut wrong = pair.secret.clone().into_bytes();
            wrong[i] = if wrong[i] == b'x' { b'y' } else { b'x' };
            assert!(!is_secret_key(&String::from_utf8(wrong).unwrap()), "{i}");
        }
        for bad in [
            "",
            "sk_test_",
            "ok_test_YOUR_OPEN_KEY",
            "sk_test_YOUR_SECRET_KEY",
            "sk_prod_x",
            &"é".repeat(28),
        ] {
            assert!(!is_open_key(bad) && !is_secret_key(bad));
        }
    }
}
