//! The HTTPS client that connectors share, and how they ask with it.
//!
//! Not here: any upstream's words. Invariant: a connector talks only to the endpoint it was given
//! (no redirects, no proxies, no repeats of its own), for a limited time, about a limited answer;
//! [`Unanswered::NotSent`] is said only if no byte of the request was written.

#[cfg(test)]
mod tests;

use domain::clock::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Much more than any answer that a connector understands.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A machine that takes longer to shake hands is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Nobody gets us to wait longer than this by a header.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reasons are for records: a line.
const REASON_CHARS_MAX: usize = 256;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// The extra CA file is not one.
    #[error("the extra CA file has no certificate that can be read: {0}")]
    ExtraCa(String),
    /// The TLS library refuses its own defaults.
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses our settings.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// A client that trusts the public roots, and the CAs in `extra_ca_pem` besides. An exchange,
/// from connecting to the last byte of the answer, takes at most `timeout`.
pub fn client(timeout: Duration, extra_ca_pem: Option<&[u8]>) -> Result<Client, NoClient> {
    Ok(builder(tls(extra_ca_pem)?, timeout).connect_timeout(CONNECT_TIMEOUT).build()?)
}

/// What all our clients have in common.
pub(crate) fn builder(tls: ClientConfig, timeout: Duration) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("Saldo/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        // Money may hang on a request being sent once: who repeats it is decided elsewhere.
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(timeout)
}

/// By hand: the HTTP library's own defaults want the system's certificates, and a provider that
/// somebody installed.
pub(crate) fn tls(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, NoClient> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| NoClient::ExtraCa(error.to_string()))?;
        if certificates.is_empty() {
            return Err(NoClient::ExtraCa("it is empty".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| NoClient::ExtraCa(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Why an endpoint is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// No absolute URL that has paths.
    #[error("not a URL")]
    NotAUrl,
    /// Secrets are sent there: plain HTTP only within this machine.
    #[error("must be https (plain http only to 127.0.0.1, ::1 or localhost)")]
    Insecure,
}

/// Reads an endpoint to which secrets may be sent.
pub fn endpoint(text: &str) -> Result<Url, BadEndpoint> {
    let url = Url::parse(text).map_err(|_| BadEndpoint::NotAUrl)?;
    let is_within = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_within => Ok(url),
        "http" => Err(BadEndpoint::Insecure),
        _ => Err(BadEndpoint::NotAUrl),
    }
}

/// What came back, whatever the status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Vec<u8>,
}

/// Nothing came back that can be read. Reasons hold neither URL nor headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// No byte of the request was written.
    NotSent {
        /// Why.
        reason: String,
    },
    /// The request was perhaps received.
    Unknown {
        /// What was seen instead of an answer.
        reason: String,
    },
}

impl Unanswered {
    /// Why, in words for people.
    pub fn reason(&self) -> &str {
        match self {
            Unanswered::NotSent { reason } | Unanswered::Unknown { reason } => reason,
        }
    }
}

/// Sends a request, once, and reads its answer up to [`ANSWER_BYTES_MAX`].
pub async fn ask(request: RequestBuilder) -> Result<Answer, Unanswered> {
    let mut response = match request.send().await {
        Ok(response) => response,
        // A request that could not be built, or a connection that did not come about.
        Err(error) if error.is_builder() || error.is_connect() => {
            return Err(Unanswered::NotSent { reason: reason(error) });
        }
        Err(error) => return Err(Unanswered::Unknown { reason: reason(error) }),
    };
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = read_body(response, ANSWER_BYTES_MAX).await?;
    Ok(Answer { status, headers, body })
}

/// Reads a body, and hangs up on one that is longer than `bytes_max`.
pub async fn read_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Unanswered> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bytes_max => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let reason = format!("an answer of more than {bytes_max} bytes");
                return Err(Unanswered::Unknown { reason });
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(Unanswered::Unknown { reason: reason(error) }),
        }
    }
}

/// How long the answer asks us to wait (RFC 9110, 10.2.3: seconds, or a date).
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Timestamp(date.as_microsecond()).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The whole chain: the first link alone says "error sending request".
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        reason.push_str(": ");
        reason.push_str(&inner.to_string());
        cause = inner.source();
    }
    reason.chars().take(REASON_CHARS_MAX).collect()
}
