//! The HTTPS client that the connectors share.
//!
//! Not here: any service's protocol. Invariants: a request goes only to the endpoint it names (no
//! redirects, no proxies, no automatic retries); its time and the size of its response are limited;
//! [`RequestError::NotSent`] is returned only if no byte of the request was written.

#[cfg(test)]
mod tests;

use domain::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Much more than any response that a connector understands.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// A server that needs longer for the TCP and TLS handshakes counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A `Retry-After` header cannot ask for a longer wait than this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A reason is stored with a record: one line of it is enough.
const REASON_CHARS_MAX: usize = 256;

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The extra CA file has no valid certificate.
    #[error("the extra CA file has no certificate that can be read: {0}")]
    ExtraCa(String),
    /// The TLS library rejects its own default protocol versions.
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP library rejects our settings.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// A client that trusts the public root CAs and those in `extra_ca_pem`. The `timeout` covers a
/// whole exchange, from connecting to the last byte of the response.
pub fn client(timeout: Duration, extra_ca_pem: Option<&[u8]>) -> Result<Client, ClientError> {
    Ok(builder(tls(extra_ca_pem)?, timeout).connect_timeout(CONNECT_TIMEOUT).build()?)
}

/// The settings that all our clients have in common.
pub(crate) fn builder(tls: ClientConfig, timeout: Duration) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("Saldo/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        // A repeated request may deliver twice: only the engine decides on a retry.
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(timeout)
}

/// The TLS settings of a client. The HTTP library's defaults would need the system's certificates
/// and a crypto provider installed for the whole process.
pub(crate) fn tls(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| ClientError::ExtraCa(error.to_string()))?;
        if certificates.is_empty() {
            return Err(ClientError::ExtraCa("it is empty".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| ClientError::ExtraCa(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Why a text is not accepted as an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    #[error("not a URL")]
    NotAUrl,
    /// Plain HTTP to another machine, although secrets are sent there.
    #[error("must be https (plain http only to 127.0.0.1, ::1 or localhost)")]
    Insecure,
}

/// Parses an endpoint to which secrets may be sent.
pub fn parse_endpoint(text: &str) -> Result<Url, EndpointError> {
    let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
    let is_this_machine = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine => Ok(url),
        "http" => Err(EndpointError::Insecure),
        _ => Err(EndpointError::NotAUrl),
    }
}

/// A complete response, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status code; every code is a response, also 4xx and 5xx.
    pub status: StatusCode,
    /// All headers, names in lower case.
    pub headers: HeaderMap,
    /// The whole body, at most [`RESPONSE_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// Why there is no complete response. The reasons contain neither the URL nor any header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// No byte of the request was written.
    NotSent {
        /// The whole chain of errors.
        reason: String,
    },
    /// The server may have received the request.
    Unknown {
        /// What happened instead of a complete response.
        reason: String,
    },
}

impl RequestError {
    /// The reason as a text for people.
    pub fn reason(&self) -> &str {
        match self {
            RequestError::NotSent { reason } | RequestError::Unknown { reason } => reason,
        }
    }
}

/// Sends a request once and reads the response, up to [`RESPONSE_BYTES_MAX`].
pub async fn send(request: RequestBuilder) -> Result<HttpResponse, RequestError> {
    let mut response = request.send().await.map_err(|error| {
        // The request could not be built, or the connection could not be opened.
        let is_unsent = error.is_builder() || error.is_connect();
        let reason = reason(error);
        if is_unsent { RequestError::NotSent { reason } } else { RequestError::Unknown { reason } }
    })?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = read_body(response, RESPONSE_BYTES_MAX).await?;
    Ok(HttpResponse { status, headers, body })
}

/// Reads a body; closes the connection on one that is longer than `bytes_max`.
pub async fn read_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::new();
    let cut_off = |error| RequestError::Unknown { reason: reason(error) };
    while let Some(chunk) = response.chunk().await.map_err(cut_off)? {
        if body.len() + chunk.len() > bytes_max {
            let reason = format!("an answer of more than {bytes_max} bytes");
            return Err(RequestError::Unknown { reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The wait that a response asks for in `Retry-After` (RFC 9110, 10.2.3: seconds, or a date).
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

/// The whole chain of errors: the first one alone only says "error sending request".
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
