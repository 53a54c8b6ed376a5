//! The optional header `Idempotency-Key` (CONTRACT A-09).

use domain::purchase::is_reference;
use domain::{FieldError, ReferenceScope};
use engine::Idempotency;
use http::request::Parts;
use ring::digest;

/// The key with the digest of its request; an error if the key is invalid.
pub(super) fn key(parts: &Parts, body: &str) -> Result<Option<Idempotency>, FieldError> {
    let error = |text: &str| FieldError { field: "Idempotency-Key", message: text.to_owned() };
    let mut values = parts.headers.get_all("idempotency-key").iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(error("was sent twice with different values; send it once."));
    }
    let key = first.to_str().ok().filter(|k| is_reference(k));
    let key = key.ok_or_else(|| error("must be 1 to 128 printable ASCII characters."))?;
    let digest = digest_of(parts, body);
    Ok(Some(Idempotency { scope: ReferenceScope::IrechargeKey, key: key.to_owned(), digest }))
}

/// SHA-256 of method, path and body.
fn digest_of(parts: &Parts, body: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [parts.method.as_str(), parts.uri.path()] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    context.update(body.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_digest_of_its_request() {
        let read = |keys: &[&str], body: &str| {
            let mut request = http::Request::post("/api/billing/x");
            for key in keys {
                request = request.header("idempotency-key", *key);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            key(&parts, body)
        };
        assert_eq!(read(&[], "{}"), Ok(None));
        let first = read(&["k 1"], "{}").unwrap().unwrap();
        assert_eq!((first.key.as_str(), first.scope), ("k 1", ReferenceScope::IrechargeKey));
        assert_eq!(read(&["k 1", "k 1"], "{}").unwrap().unwrap(), first);
        assert_ne!(read(&["k 1"], "{ }").unwrap().unwrap().digest, first.digest);
        assert!(read(&["k 1", "k 2"], "{}").is_err());
        assert!(read(&[""], "{}").is_err());
        assert!(read(&[&"k".repeat(129)], "{}").is_err());
    }
}
