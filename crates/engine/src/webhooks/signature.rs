//! The signature of a webhook: the Standard Webhooks specification, version 1, symmetric.
//!
//! Invariant: the signed bytes are the bytes that are sent; a secret is in no log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use ring::hmac;

/// The prefix of a secret that is shown to people.
const PREFIX: &str = "whsec_";

/// A secret as it is shown to people.
pub(crate) fn shown(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The secrets that sign an endpoint's webhooks.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) current: Option<Vec<u8>>,
    /// The replaced secret; it signs too, until then.
    pub(crate) old: Option<(Vec<u8>, Timestamp)>,
}

impl Secrets {
    /// The value of the header: a signature by each valid secret, the current one first; `None`
    /// without a secret.
    pub(crate) fn sign(&self, id: &str, now: Timestamp, body: &str) -> Option<String> {
        let seconds = now.0.div_euclid(1_000_000);
        let text = format!("{id}.{seconds}.{body}");
        let old = self.old.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        let signatures: Vec<String> = [self.current.as_ref()?]
            .into_iter()
            .chain(old)
            .map(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                let tag = hmac::sign(&key, text.as_bytes());
                format!("v1,{}", STANDARD.encode(tag.as_ref()))
            })
            .collect();
        Some(signatures.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secrets = Secrets { current: Some(secret), old: None };
        let signed = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp(1_614_265_330_000_000),
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(Secrets::default().sign("a", Timestamp(0), "b"), None);
    }

    #[test]
    fn an_old_secret_signs_until_the_second_it_expires() {
        let old = Some((vec![1; 32], Timestamp(10_000_000)));
        let secrets = Secrets { current: Some(vec![2; 32]), old };
        let count = |at| secrets.sign("a", Timestamp(at), "b").unwrap().split(' ').count();
        assert_eq!([count(9_999_999), count(10_000_000)], [2, 1]);
    }
}
