//! A Google service account, and the signed assertion (JWT) that authenticates it.
//!
//! Not here: reading the file, fetching a token. Invariant: the key is used for signatures only; no
//! error and no `Debug` output contains any part of it.

use crate::http;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
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

/// The OAuth scope that we request: sending messages, nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// The validity of an assertion: the longest that Google accepts.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Why the JSON of a service account is rejected. Names the field, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// It is not a JSON object.
    #[error("the service account is not a JSON object")]
    NotAnObject,
    /// A field is missing or invalid.
    #[error("the service account's {field} {problem}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// The rest of the sentence: `is missing`.
        problem: &'static str,
    },
}

/// The identity that sends pushes, with its private key.
pub struct ServiceAccount {
    project_id: String,
    client_email: String,
    key_id: String,
    key: Arc<dyn SigningKey>,
    token_uri: Url,
    /// `token_uri` exactly as in the file: the audience that an assertion must name.
    audience: String,
}

impl ServiceAccount {
    /// Parses the JSON file that one downloads from Google's console.
    pub fn parse(json: &[u8]) -> Result<ServiceAccount, ServiceAccountError> {
        // Field by field: errors of the JSON library would quote values.
        let object: Map<String, Value> =
            serde_json::from_slice(json).map_err(|_| ServiceAccountError::NotAnObject)?;
        let audience = text(&object, "token_uri")?;
        let token_uri = http::parse_endpoint(&audience).map_err(|error| {
            let problem = match error {
                http::EndpointError::NotAUrl => "is not a URL",
                http::EndpointError::Insecure => "is not https",
            };
            ServiceAccountError::Field { field: "token_uri", problem }
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

    /// The Firebase project to which it belongs.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The endpoint that exchanges an assertion for an access token.
    pub(super) fn token_uri(&self) -> &Url {
        &self.token_uri
    }

    /// An assertion that is valid for an hour from `now` (RFC 7523; signed with RS256, RFC 7518).
    pub(super) fn assertion(&self, now: Timestamp) -> Result<String, SigningError> {
        let header = Header { alg: "RS256", typ: "JWT", kid: &self.key_id };
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: &self.audience,
            iat: seconds(now),
            exp: seconds(now.after(ASSERTION_LIFETIME)),
        };
        let mut assertion = format!("{}.{}", encode(&header)?, encode(&claims)?);
        let signer = signer(self.key.as_ref()).ok_or(SigningError)?;
        let signature = signer.sign(assertion.as_bytes()).map_err(|_| SigningError)?;
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
        Ok(assertion)
    }
}

/// Without the key.
impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("project_id", &self.project_id)
            .field("client_email", &self.client_email)
            .finish_non_exhaustive()
    }
}

/// The key could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SigningError;

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

fn text(object: &Map<String, Value>, field: &'static str) -> Result<String, ServiceAccountError> {
    let error = |problem| ServiceAccountError::Field { field, problem };
    let text = object.get(field).ok_or(error("is missing"))?;
    let text = text.as_str().ok_or(error("is not a string"))?.trim();
    if text.is_empty() { Err(error("is empty")) } else { Ok(text.to_owned()) }
}

/// Restricted to characters that are safe in a URL path. Old projects have a domain as a prefix:
/// `example.com:shop`.
fn project_id(object: &Map<String, Value>) -> Result<String, ServiceAccountError> {
    let id = text(object, "project_id")?;
    let is_plain = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || ['-', '.', ':'].contains(&c));
    let (field, problem) = ("project_id", "is not a project's name");
    if is_plain { Ok(id) } else { Err(ServiceAccountError::Field { field, problem }) }
}

/// A key of the TLS library: it has its own random source, so none is needed as an argument. A
/// PKCS#1 v1.5 signature uses no randomness: the same input gives the same signature.
fn key(pem: &str) -> Result<Arc<dyn SigningKey>, ServiceAccountError> {
    let error = |problem| ServiceAccountError::Field { field: "private_key", problem };
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| error("is not a private key in PKCS#8 PEM"))?;
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(der))
        .map_err(|_| error("is not a key that can sign"))?;
    if signer(key.as_ref()).is_none() {
        return Err(error("is not an RSA key"));
    }
    Ok(key)
}

fn signer(key: &dyn SigningKey) -> Option<Box<dyn Signer>> {
    key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
}

fn encode(value: &impl Serialize) -> Result<String, SigningError> {
    let json = serde_json::to_vec(value).map_err(|_| SigningError)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

const fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}
