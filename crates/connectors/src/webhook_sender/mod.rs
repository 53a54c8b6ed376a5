//! The webhook sender: sends each webhook by one POST to the endpoint of its account.
//!
//! Not here: the content, the schedule and the signature of a webhook. Invariants (RELIABILITY O1,
//! O2): the address of each new connection is checked as part of the look-up that connects to it;
//! if one address of a host is not public, no packet is sent to any of them.

mod lookup;
pub(crate) mod public_resolver;
#[cfg(test)]
mod tests;

pub use lookup::{HostLookup, LookupFuture, SystemLookup};

use crate::http::{self, ClientError};
use domain::{
    AddressPolicy, BoxFuture, Clock, Delivery, DeliveryResult, Environment, WebhookAddress,
    WebhookPost,
};
use ipnet::IpNet;
use parking_lot::Mutex;
use public_resolver::{NotPublic, PublicResolver};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The limit of one delivery, from the look-up to the end of the response. Standard Webhooks
/// recommends 15 to 30 s.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Receivers may be far away and slow. One whose handshakes take longer than this would not answer
/// within [`TIMEOUT`] either.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Node's servers close one after 5 s: with less than that,
/// few webhooks are sent on a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections kept per host: about as many as deliveries to one host run at the same time.
const IDLE_PER_HOST_MAX: usize = 64;

/// After this time the host is looked up again, however busy its connections are: a receiver may
/// have moved to another address.
const CLIENT_AGE_MAX: Duration = Duration::from_secs(60);

/// How many addresses are kept with the client as they were parsed and checked; of more, each is
/// parsed at each delivery.
const PARSED_MAX: usize = 4096;

/// How much of a response body is read. A body read to its end frees the connection for reuse; its
/// beginning is shown to the account.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How much of a response body is stored (RELIABILITY O3).
const EXCERPT_BYTES_MAX: usize = 256;

/// The settings of an [`HttpsWebhookSender`].
pub struct WebhookSenderSettings {
    /// Allows URLs that name this machine (127.0.0.0/8, ::1, localhost): for tests and demos only.
    pub allow_loopback: bool,
    /// Networks that never get a webhook: this installation's own public addresses.
    pub denied_networks: Vec<IpNet>,
    /// The limit of one delivery. The default is [`TIMEOUT`].
    pub timeout: Duration,
    /// PEM certificates of CAs to trust in addition to the public ones.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Resolves host names. The default is [`SystemLookup`].
    pub lookup: Arc<dyn HostLookup>,
    /// Measures deliveries, and turns the date of a `Retry-After` header into a wait.
    pub clock: Arc<dyn Clock>,
}

impl WebhookSenderSettings {
    /// The defaults: public addresses only, resolved by the machine's own resolver.
    pub fn new(clock: Arc<dyn Clock>) -> WebhookSenderSettings {
        WebhookSenderSettings {
            allow_loopback: false,
            denied_networks: Vec::new(),
            timeout: TIMEOUT,
            extra_ca_pem: None,
            lookup: Arc::new(SystemLookup::default()),
            clock,
        }
    }
}

/// Sends webhooks by HTTPS, and in the sandbox also by plain HTTP.
pub struct HttpsWebhookSender {
    resolver: PublicResolver,
    tls: ClientConfig,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    current: Mutex<CurrentClient>,
}

/// The client for new deliveries, with its pool of connections.
struct CurrentClient {
    client: Client,
    /// Monotonic time of its creation.
    created: Duration,
    /// What [`HttpsWebhookSender::parse`] made of the addresses that it was asked for.
    parsed: HashMap<(String, Environment), Url>,
}

impl CurrentClient {
    fn new(client: Client, created: Duration) -> CurrentClient {
        CurrentClient { client, created, parsed: HashMap::new() }
    }
}

impl HttpsWebhookSender {
    /// Opens no connection yet. Logs a warning if loopback addresses are allowed.
    pub fn open(settings: WebhookSenderSettings) -> Result<HttpsWebhookSender, ClientError> {
        let WebhookSenderSettings {
            allow_loopback,
            denied_networks,
            timeout,
            extra_ca_pem,
            lookup,
            clock,
        } = settings;
        if allow_loopback {
            tracing::warn!("webhooks may go to this machine: for tests and demos only");
        }
        let denied_networks = denied_networks.into();
        let resolver = PublicResolver { lookup, allow_loopback, denied_networks };
        let tls = http::tls(extra_ca_pem.as_deref())?;
        let client = client(&resolver, &tls, timeout)?;
        let current = Mutex::new(CurrentClient::new(client, clock.monotonic()));
        Ok(HttpsWebhookSender { resolver, tls, timeout, clock, current })
    }

    /// The result, the status of the response, and what the account's log shows.
    async fn post(&self, post: &WebhookPost) -> (DeliveryResult, Option<u16>, String) {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return (DeliveryResult::Failed, None, error.to_string()),
        };
        let url = match self.url(post) {
            Ok(url) => url,
            Err(reason) => return (DeliveryResult::Blocked, None, format!("the address {reason}")),
        };
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        match request.body(post.body.clone()).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let after = http::retry_after(response.headers(), self.clock.now());
                (result_of(status, after), Some(status), excerpt(&read_start(response).await))
            }
            Err(error) if is_not_public(&error) => {
                (DeliveryResult::Blocked, None, NotPublic.to_string())
            }
            Err(error) => (DeliveryResult::Failed, None, reason(&error)),
        }
    }

    /// The URL of a webhook, from what was parsed for the current client if it is there.
    fn url(&self, post: &WebhookPost) -> Result<Url, &'static str> {
        let key = (post.url.clone(), post.environment);
        if let Some(url) = self.current.lock().parsed.get(&key) {
            return Ok(url.clone());
        }
        let url = self.parse(post)?;
        let parsed = &mut self.current.lock().parsed;
        if parsed.len() < PARSED_MAX {
            parsed.insert(key, url.clone());
        }
        Ok(url)
    }

    /// The URL of a webhook as the HTTP library parses it. Rejected unless the library finds the
    /// same scheme, host and port as our own parser, whose result was checked.
    fn parse(&self, post: &WebhookPost) -> Result<Url, &'static str> {
        let allow_loopback = self.resolver.allow_loopback;
        let allowed = AddressPolicy { environment: post.environment, allow_loopback };
        let address = WebhookAddress::parse(&post.url, allowed)?;
        let mut url = Url::parse(&post.url).map_err(|_| "names a host that is none.")?;
        let host = url.host_str().unwrap_or_default();
        let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_same_host = match ip {
            // The library calls no resolver for a literal address, so it is checked here.
            Some(ip) => address.is_loopback() && ip.to_canonical().is_loopback(),
            None => host.strip_suffix('.').unwrap_or(host) == address.host(),
        };
        let is_same_port = url.port_or_known_default() == Some(address.port());
        let is_same_scheme = (url.scheme() == "https") == address.is_https();
        if !(is_same_host && is_same_port && is_same_scheme) {
            return Err("can be read in two ways.");
        }
        if ip.is_none() {
            // Certificates name hosts without the trailing dot.
            url.set_host(Some(address.host())).map_err(|_| "names a host that is none.")?;
        }
        Ok(url)
    }

    /// The current client. One older than [`CLIENT_AGE_MAX`] is replaced; deliveries that use the
    /// old one finish on its connections.
    fn client(&self) -> Result<Client, ClientError> {
        let now = self.clock.monotonic();
        let mut current = self.current.lock();
        if now.saturating_sub(current.created) >= CLIENT_AGE_MAX {
            let client = client(&self.resolver, &self.tls, self.timeout)?;
            *current = CurrentClient::new(client, now);
        }
        Ok(current.client.clone())
    }
}

impl domain::webhook::WebhookSender for HttpsWebhookSender {
    fn deliver<'a>(&'a self, post: &'a WebhookPost) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            let start = self.clock.monotonic();
            let (result, status, text) = self.post(post).await;
            let took = self.clock.monotonic().saturating_sub(start);
            Delivery { result, status, took, text }
        })
    }
}

/// A client that resolves names by `resolver` and keeps idle connections for a few seconds.
fn client(
    resolver: &PublicResolver,
    tls: &ClientConfig,
    timeout: Duration,
) -> Result<Client, ClientError> {
    Ok(http::builder(tls.clone(), timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(resolver.clone())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .build()?)
}

const fn result_of(status: u16, after: Option<Duration>) -> DeliveryResult {
    match status {
        200..=299 => DeliveryResult::Accepted,
        410 => DeliveryResult::Gone,
        429 | 503 => DeliveryResult::Busy { after },
        _ => DeliveryResult::Failed,
    }
}

/// Reads a response body to its end, or stops at [`BODY_BYTES_MAX`]. An error ends it too: the
/// status alone decides the result.
async fn read_start(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() <= BODY_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// The first printable ASCII bytes. Other characters could change how a terminal or a page shows
/// the text.
fn excerpt(bytes: &[u8]) -> String {
    let spaced = bytes.iter().map(|b| if b.is_ascii_whitespace() { b' ' } else { *b });
    let printable = spaced.filter(|b| matches!(b, b' '..=b'~'));
    printable.take(EXCERPT_BYTES_MAX).map(char::from).collect()
}

/// Why there was no response, for the account's log. Contains no IP address and no internal detail.
fn reason(error: &reqwest::Error) -> String {
    let what = if error.is_connect() { "no connection" } else { "no answer" };
    if error.is_timeout() {
        return format!("{what} in time");
    }
    let cause = causes(error).last().map_or_else(String::new, ToString::to_string);
    excerpt(format!("{what}: {cause}").as_bytes())
}

fn is_not_public(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<NotPublic>())
}

/// The causes of an error, the nearest first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
