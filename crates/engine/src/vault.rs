//! Keys for all secrets, derived from one master key; sealing of what must be read again.
//!
//! A secret that need not be read again is not stored: its tag is stored and compared. Invariant:
//! each purpose has a key of its own (HKDF-SHA256, RFC 5869), so that one key reveals nothing about
//! another, and a sealed text opens only for the row that it was sealed for.

use domain::{NoRandom, Random};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};

/// Derives the keys.
pub struct Vault {
    root: hkdf::Prk,
}

/// A sealed text does not open: another key, another row, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Vault {
    /// From 256 random bits.
    pub fn new(master: &[u8; 32]) -> Vault {
        Vault { root: hkdf::Salt::new(hkdf::HKDF_SHA256, b"saldo").extract(master) }
    }

    /// The key of a purpose, such as `webhook secret`.
    pub(crate) fn key(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        let info = [purpose.as_bytes()];
        // Neither can fail: HKDF expands to up to 8,160 bytes.
        if let Ok(okm) = self.root.expand(&info, hkdf::HKDF_SHA256) {
            let _ = okm.fill(&mut key);
        }
        key
    }

    /// The tag by which data knows the master key that it is sealed with.
    pub fn master_key_tag(&self) -> [u8; 32] {
        self.tag("mark", b"master key")
    }

    /// A tag that only this vault can compute: HMAC-SHA256 under the purpose's key.
    pub(crate) fn tag(&self, purpose: &str, input: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key(purpose));
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&key, input).as_ref());
        tag
    }

    /// Seals a text for a purpose and a row (by a name of it): nonce, ciphertext, tag.
    pub(crate) fn seal(
        &self,
        purpose: &str,
        row: &str,
        text: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, NoRandom> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce)?;
        let mut sealed = text.to_vec();
        let key = self.cipher(purpose).map_err(|_| NoRandom)?;
        let sealing_nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(sealing_nonce, Aad::from(row.as_bytes()), &mut sealed)
            .map_err(|_| NoRandom)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Vault::seal`] sealed for the same purpose and row.
    pub(crate) fn open(
        &self,
        purpose: &str,
        row: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, Unreadable> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable)?;
        let mut rest = rest.to_vec();
        let key = self.cipher(purpose)?;
        let open = key.open_in_place(nonce, Aad::from(row.as_bytes()), &mut rest);
        Ok(open.map_err(|_| Unreadable)?.to_vec())
    }

    fn cipher(&self, purpose: &str) -> Result<LessSafeKey, Unreadable> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.key(purpose));
        Ok(LessSafeKey::new(key.map_err(|_| Unreadable)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    struct Counting(AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
            Ok(())
        }
    }

    #[test]
    fn a_seal_opens_where_it_was_made_and_nowhere_else() {
        let (vault, random) = (Vault::new(&[7; 32]), Counting(AtomicU8::new(0)));
        let sealed = vault.seal("push", "device 1", b"a token", &random).unwrap();
        assert_eq!(vault.open("push", "device 1", &sealed), Ok(b"a token".to_vec()));
        assert_ne!(sealed, vault.seal("push", "device 1", b"a token", &random).unwrap());
        assert!(!sealed.windows(7).any(|w| w == b"a token"));
        for (purpose, row) in [("push", "device 2"), ("mail", "device 1")] {
            assert_eq!(vault.open(purpose, row, &sealed), Err(Unreadable));
        }
        assert_eq!(Vault::new(&[8; 32]).open("push", "device 1", &sealed), Err(Unreadable));
        for broken in [&sealed[..sealed.len() - 1], &sealed[..4], &[]] {
            assert_eq!(vault.open("push", "device 1", broken), Err(Unreadable));
        }
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let vault = Vault::new(&[7; 32]);
        assert_ne!(vault.key("a"), vault.key("b"));
        assert_ne!(vault.tag("a", b"x"), vault.tag("b", b"x"));
        assert_eq!(vault.tag("a", b"x"), Vault::new(&[7; 32]).tag("a", b"x"));
    }
}
