//! Callbacks of the simulator: JSON that names an attempt, and a signature over its bytes.
//!
//! Invariant: the body is parsed only after its signature was verified.

use domain::{AttemptRef, Callback, CallbackRead};
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The header with the signature: HMAC-SHA256 over the body, in hexadecimal.
pub const SIGNATURE_HEADER: &str = "x-simulator-signature";

#[derive(Serialize, Deserialize)]
struct CallbackBody {
    attempt: String,
    status: String,
}

/// A signed callback about an attempt, in the simulator's format.
pub fn signed_callback(secret: &[u8; 32], attempt: AttemptRef, status: &str) -> Callback {
    let body = CallbackBody { attempt: attempt.to_string(), status: status.to_owned() };
    // Serializing two strings cannot fail.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let tag = hmac::sign(&key(secret), &body);
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Callback::post(vec![(SIGNATURE_HEADER.to_owned(), hex)], body)
}

/// Verifies and parses a callback. Without a secret no callbacks are offered.
pub(super) fn read(secret: Option<&[u8; 32]>, callback: &Callback) -> CallbackRead {
    let Some(secret) = secret else { return CallbackRead::NotOffered };
    let forged = |reason: &str| CallbackRead::Forged { reason: reason.to_owned() };
    let signature = callback.header(SIGNATURE_HEADER).and_then(decode_hex);
    let Some(signature) = signature else { return forged("it has no signature") };
    if hmac::verify(&key(secret), &callback.body, &signature).is_err() {
        return forged("its signature is wrong");
    }
    let Ok(body) = serde_json::from_slice::<CallbackBody>(&callback.body) else {
        return forged("it cannot be read");
    };
    match AttemptRef::parse(&body.attempt) {
        Some(attempt) => CallbackRead::Genuine { attempt, text: body.status, answer: None },
        None => forged("it names no attempt"),
    }
}

fn key(secret: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PurchaseNumber;

    #[test]
    fn only_a_signed_callback_is_genuine() {
        let secret = [7; 32];
        let attempt = AttemptRef { purchase: PurchaseNumber(12), number: 1 };
        let genuine = signed_callback(&secret, attempt, "delivered");
        let says = "delivered".to_owned();
        assert_eq!(
            read(Some(&secret), &genuine),
            CallbackRead::Genuine { attempt, text: says, answer: None }
        );
        assert_eq!(read(None, &genuine), CallbackRead::NotOffered);
        let with = |headers, body: &[u8]| Callback::post(headers, body.to_vec());
        let signature = |text: &str| vec![(SIGNATURE_HEADER.to_owned(), text.to_owned())];
        let right = genuine.header(SIGNATURE_HEADER).unwrap();
        for forged in [
            signed_callback(&[8; 32], attempt, "delivered"),
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
