//! Signatures of requests: hashes and keyed hashes, as panels want them.

use super::file::{Algorithm, Encoding, KeyForm, SignForm};
use super::template::{EscapeContext, Template, Unfit, Values};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};

/// A signature, with its texts read.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    algorithm: Algorithm,
    key: Option<Template>,
    key_form: KeyForm,
    message: Template,
    encoding: Encoding,
}

impl Signature {
    /// Reads a `[sign]` table.
    pub(super) fn of(form: &SignForm) -> Result<Signature, Unfit> {
        let is_keyed =
            !matches!(form.algorithm, Algorithm::Md5 | Algorithm::Sha256 | Algorithm::Sha512);
        if is_keyed != form.key.is_some() {
            let text = "[sign]: hmac algorithms need key, the others take none";
            return Err(Unfit::Malformed(text.to_owned()));
        }
        Ok(Signature {
            algorithm: form.algorithm,
            key: form.key.as_deref().map(Template::parse).transpose()?,
            key_form: form.key_form,
            message: Template::parse(&form.message)?,
            encoding: form.encoding,
        })
    }

    /// The texts that it is made of.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.key.iter().chain([&self.message])
    }

    /// The signature over this order's values; `{body}` is among them.
    pub(super) fn sign(&self, values: &dyn Values) -> Result<String, Unfit> {
        let message = self.message.render(values, EscapeContext::Plain)?;
        let key = match &self.key {
            Some(key) => self.key_bytes(&key.render(values, EscapeContext::Plain)?)?,
            None => Vec::new(),
        };
        let bytes = digest(self.algorithm, &key, message.as_bytes());
        let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(match self.encoding {
            Encoding::HexLower => hex(),
            Encoding::HexUpper => hex().to_ascii_uppercase(),
            Encoding::Base64 => STANDARD.encode(&bytes),
        })
    }

    fn key_bytes(&self, key: &str) -> Result<Vec<u8>, Unfit> {
        let unwritable = || Unfit::Unwritable("the key of the signature".to_owned());
        match self.key_form {
            KeyForm::Text => Ok(key.as_bytes().to_vec()),
            KeyForm::Base64 => STANDARD.decode(key).map_err(|_| unwritable()),
            KeyForm::Hex => {
                let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                let byte = |pair: &[u8]| match pair {
                    [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                    _ => None,
                };
                let bytes = key.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
                bytes.ok_or_else(unwritable)
            }
        }
    }
}

fn digest(algorithm: Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    let sha = |algorithm| ring::digest::digest(algorithm, message).as_ref().to_vec();
    let keyed = |algorithm| {
        let key = ring::hmac::Key::new(algorithm, key);
        ring::hmac::sign(&key, message).as_ref().to_vec()
    };
    match algorithm {
        Algorithm::Md5 => Md5::digest(message).to_vec(),
        Algorithm::Sha256 => sha(&ring::digest::SHA256),
        Algorithm::Sha512 => sha(&ring::digest::SHA512),
        Algorithm::HmacSha256 => keyed(ring::hmac::HMAC_SHA256),
        Algorithm::HmacSha512 => keyed(ring::hmac::HMAC_SHA512),
        Algorithm::HmacMd5 => hmac_md5(key, message),
    }
}

/// What `ring` does not have.
fn hmac_md5(key: &[u8], message: &[u8]) -> Vec<u8> {
    // Any length of key is taken: a long one is hashed first (RFC 2104).
    match Hmac::<Md5>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(message).finalize().into_bytes().to_vec(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    struct Pair;

    impl Values for Pair {
        fn value(&self, name: &str) -> Option<String> {
            match name {
                "secret.key" => Some("Jefe".to_owned()),
                "secret.hex" => Some("4a656665".to_owned()),
                "body" => Some("what do ya want for nothing?".to_owned()),
                _ => None,
            }
        }

        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn started_at(&self) -> Option<Timestamp> {
            None
        }
    }

    fn signed(
        algorithm: Algorithm,
        key: Option<&str>,
        key_form: KeyForm,
        encoding: Encoding,
    ) -> String {
        let form = SignForm {
            algorithm,
            key: key.map(str::to_owned),
            key_form,
            message: "{body}".to_owned(),
            encoding,
        };
        Signature::of(&form).unwrap().sign(&Pair).unwrap()
    }

    /// RFC 2202 and RFC 4231, test case 2 of each.
    #[test]
    fn the_published_test_cases_agree() {
        let key = Some("{secret.key}");
        assert_eq!(
            signed(Algorithm::HmacMd5, key, KeyForm::Text, Encoding::HexLower),
            "750c783e6ab0b503eaa86e310a5db738"
        );
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed(Algorithm::HmacSha256, key, KeyForm::Text, Encoding::HexLower), sha256);
        let hex = Some("{secret.hex}");
        assert_eq!(
            signed(Algorithm::HmacSha256, hex, KeyForm::Hex, Encoding::HexUpper),
            sha256.to_ascii_uppercase()
        );
        let md5 = "d03cb659cbf9192dcd066272249f8412";
        assert_eq!(signed(Algorithm::Md5, None, KeyForm::Text, Encoding::HexLower), md5);
    }
}
