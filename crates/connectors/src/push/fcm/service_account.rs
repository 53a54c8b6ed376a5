//! A service account: who we are to Google, and the assertion that says so.
//!
//! Not here: reading the file, fetching a token. Invariant: the key leaves this file only as a
//! signature; no error and no `Debug` has a byte of it.

use crate::http;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::clock::Timestamp;
use reqwest::Url;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{Signer, SigningKey};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What we ask leave for: sending, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long an assertion is good; Google takes no longer one.
const ASSERTION_LASTS: Duration = Duration::from_secs(60 * 60);

/// Why a service account's JSON is not one. Says which field, and nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceAccount {
    /// No JSON object.
    #[error("the service account is not a JSON object")]
    NotAnObject,
    /// A field is missing or wrong.
    #[error("the service account's {field} {trouble}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        trouble: &'static str,
    },
}

/// Who we are to Google.
pub struct ServiceAccount {
    project_id: String,
    client_email: String,
    key_id: String,
    key: Arc<dyn SigningKey>,
    token_uri: Url,
    /// `token_uri` to the letter: an assertion names whom it is for.
    audience: String,
}

impl ServiceAccount {
    /// Reads the JSON file that Google's console gives out.
    pub fn parse(json: &[u8]) -> Result<ServiceAccount, BadServiceAccount> {
        // Field by field: the JSON library's own errors quote what they found.
        let object: Map<String, Value> =
            serde_json::from_slice(json).map_err(|_| BadServiceAccount::NotAnObject)?;
        let audience = text(&object, "token_uri")?;
        let token_uri = http::parse_endpoint(&audience).map_err(|error| {
            let trouble = match error {
                http::EndpointError::NotAUrl => "is not a URL",
                http::EndpointError::Insecure => "is not https",
            };
            BadServiceAccount::Field { field: "token_uri", trouble }
        })?;
        Ok(ServiceAccount {
            project_id: project_id(&object)?,
            client_email: text(&object, "client_email")?,
            key_id: text(&object, "private_key_id")?,
            key: key(&text(&object, "private_key")?)?,
            token_uri,
            audience,
        })
    }

    /// The project for which it sends.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// Where its assertions are given for access tokens.
    pub(super) fn token_uri(&self) -> &Url {
        &self.token_uri
    }

    /// Says who we are, from now for an hour (RFC 7523; signed with RS256, RFC 7518).
    pub(super) fn assertion(&self, now: Timestamp) -> Result<String, Unsigned> {
        let header = Header { alg: "RS256", typ: "JWT", kid: &self.key_id };
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: &self.audience,
            iat: seconds(now),
            exp: seconds(now.after(ASSERTION_LASTS)),
        };
        let mut assertion = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = signer(self.key.as_ref())
            .ok_or(Unsigned)?
            .sign(assertion.as_bytes())
            .map_err(|_| Unsigned)?;
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
        Ok(assertion)
    }
}

/// Says whose it is, not the key.
impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("project_id", &self.project_id)
            .field("client_email", &self.client_email)
            .finish_non_exhaustive()
    }
}

/// The key did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsigned;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

fn text(object: &Map<String, Value>, field: &'static str) -> Result<String, BadServiceAccount> {
    let bad = |trouble| BadServiceAccount::Field { field, trouble };
    let text = object.get(field).ok_or(bad("is missing"))?;
    let text = text.as_str().ok_or(bad("is not a text"))?.trim();
    if text.is_empty() { Err(bad("is empty")) } else { Ok(text.to_owned()) }
}

/// It becomes a part of a path. Old projects have a domain in front: `example.com:shop`.
fn project_id(object: &Map<String, Value>) -> Result<String, BadServiceAccount> {
    let id = text(object, "project_id")?;
    let is_plain = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '.', ':'].contains(&c));
    if is_plain {
        Ok(id)
    } else {
        Err(BadServiceAccount::Field { field: "project_id", trouble: "is not a project's name" })
    }
}

/// The TLS library's key, because it brings its own randomness, of which this signature (PKCS#1
/// v1.5) needs none: the same words give the same signature.
fn key(pem: &str) -> Result<Arc<dyn SigningKey>, BadServiceAccount> {
    let bad = |trouble| BadServiceAccount::Field { field: "private_key", trouble };
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| bad("is not a private key in PKCS#8 PEM"))?;
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(der))
        .map_err(|_| bad("is not a key that can sign"))?;
    if signer(key.as_ref()).is_none() {
        return Err(bad("is not an RSA key"));
    }
    Ok(key)
}

fn signer(key: &dyn SigningKey) -> Option<Box<dyn Signer>> {
    key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
}

fn part(value: &impl Serialize) -> Result<String, Unsigned> {
    let json = serde_json::to_vec(value).map_err(|_| Unsigned)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

const fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}
