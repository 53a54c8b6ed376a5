//! The optional header `Idempotency-Key` (CONTRACT A-09).

use domain::purchase::is_reference;
use domain::{FieldError, ReferenceScope};
use engine::{Idempotency, PurchaseRequest};
use http::request::Parts;
use ring::digest;

/// The key, if one was sent; an error if it is invalid.
pub(super) fn key(parts: &Parts) -> Result<Option<String>, FieldError> {
    let error = |text: &str| FieldError { field: "Idempotency-Key", message: text.to_owned() };
    let mut values = parts.headers.get_all("idempotency-key").iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(error("was sent twice with different values; send it once."));
    }
    let key = first.to_str().ok().filter(|k| is_reference(k));
    let key = key.ok_or_else(|| error("must be 1 to 128 printable ASCII characters."))?;
    Ok(Some(key.to_owned()))
}

/// The key with the digest of its request as it was parsed: the order of its fields, white space
/// and `10.0` for `10` make no difference (CONTRACT A-39).
pub(super) fn of_request(key: String, request: &PurchaseRequest) -> Idempotency {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |part: &str| {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    };
    add(request.kind.code());
    add(&request.operator);
    add(&request.recipient);
    add(request.service_type.code());
    add(request.amount.currency().code());
    add(&request.amount.minor().to_string());
    add(&request.reference);
    add(request.webhook_url.as_deref().unwrap_or_default());
    for (name, value) in &request.details {
        add(name);
        add(value);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Idempotency { scope: ReferenceScope::IrechargeKey, key, digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_once() {
        let read = |keys: &[&str]| {
            let mut request = http::Request::post("/api/billing/x");
            for key in keys {
                request = request.header("idempotency-key", *key);
            }
            key(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["k 1"]), Ok(Some("k 1".to_owned())));
        assert_eq!(read(&["k 1", "k 1"]), read(&["k 1"]));
        assert!(read(&["k 1", "k 2"]).is_err());
        assert!(read(&[""]).is_err());
        assert!(read(&[&"k".repeat(129)]).is_err());
    }
}
