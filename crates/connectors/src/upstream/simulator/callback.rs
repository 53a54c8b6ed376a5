//! Callbacks of the simulator: JSON that names an attempt, and a signature over its bytes.
//!
//! Invariant: without the right signature nothing in it is read.

use domain::upstream::{AttemptRef, Callback, CallbackRead};
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The header that the signature stands in: HMAC-SHA256 over the body, in hexadecimal.
pub const SIGNATURE: &str = "x-simulator-signature";

#[derive(Serialize, Deserialize)]
struct Said {
    attempt: String,
    status: String,
}

/// A callback about an attempt, as the simulator makes it.
pub fn signed(secret: &[u8; 32], attempt: AttemptRef, status: &str) -> Callback {
    let said = Said { attempt: attempt.to_string(), status: status.to_owned() };
    // It holds two texts, which can always be written.
    let body = serde_json::to_vec(&said).unwrap_or_default();
    let tag = hmac::sign(&key(secret), &body);
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Callback { headers: vec![(SIGNATURE.to_owned(), hex)], body }
}

/// Reads one; without a secret nobody calls back.
pub(super) fn read(secret: Option<&[u8; 32]>, callback: &Callback) -> CallbackRead {
    let Some(secret) = secret else { return CallbackRead::NotOffered };
    let forged = |reason: &str| CallbackRead::Forged { reason: reason.to_owned() };
    let signature = callback.header(SIGNATURE).and_then(bytes);
    let Some(signature) = signature else { return forged("it has no signature") };
    if hmac::verify(&key(secret), &callback.body, &signature).is_err() {
        return forged("its signature is wrong");
    }
    let Ok(said) = serde_json::from_slice::<Said>(&callback.body) else {
        return forged("it cannot be read");
    };
    match AttemptRef::parse(&said.attempt) {
        Some(attempt) => CallbackRead::Genuine { attempt, says: said.status },
        None => forged("it names no attempt"),
    }
}

fn key(secret: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PurchaseId;

    #[test]
    fn only_what_is_signed_is_read() {
        let secret = [7; 32];
        let attempt = AttemptRef { purchase: PurchaseId(12), number: 1 };
        let genuine = signed(&secret, attempt, "delivered");
        let says = "delivered".to_owned();
        assert_eq!(read(Some(&secret), &genuine), CallbackRead::Genuine { attempt, says });
        assert_eq!(read(None, &genuine), CallbackRead::NotOffered);
        let with = |headers, body: &[u8]| Callback { headers, body: body.to_vec() };
        let signature = |text: &str| vec![(SIGNATURE.to_owned(), text.to_owned())];
        let right = genuine.header(SIGNATURE).unwrap();
        for forged in [
            signed(&[8; 32], attempt, "delivered"),
            with(Vec::new(), &genuine.body),
            with(signature(""), &genuine.body),
            with(signature("zz"), &genuine.body),
            with(signature("é"), &genuine.body),
            with(signature(&right[2..]), &genuine.body),
            with(signature(right), b"{\"attempt\":\"S12-1\",\"status\":\"reversed\"}"),
            with(signature(right), b""),
        ] {
            assert!(
                matches!(read(Some(&secret), &forged), CallbackRead::Forged { .. }),
                "{forged:?}"
            );
        }
    }
}
