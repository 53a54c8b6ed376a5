//! The courier: takes each webhook by one POST to its account's server, and never anywhere else.
//!
//! Not here: what is told, when, and how it is signed. Invariant (RELIABILITY O1, O2): a connection
//! is made only to an address that was judged public in the moment it was looked up, and of a name's
//! addresses all must be public, or no packet is sent to any. A connection that is used again was
//! made so too.

mod guard;
mod names;
#[cfg(test)]
mod tests;

pub use names::{Looking, Names, SystemNames};

use crate::http::{self, NoClient};
use domain::clock::Clock;
use domain::upstream::BoxFuture;
use domain::webhook::{Address, Delivery, DeliveryResult, WebhookPost, Where};
use guard::{Guard, NotPublic};
use ipnet::IpNet;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;
use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest that a delivery takes, from the look-up to the end of the answer (Standard Webhooks
/// advises 15 to 30 s).
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Receivers are anywhere in the world and some are slow, but who takes longer to shake hands will
/// not have answered in time either.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection waits this long for another webhook: less than the 5 s after which Node's servers
/// hang up, so that few webhooks meet a connection that is just being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// Connections to one host that wait for more: about as many as are ever out to one.
const IDLE_PER_HOST_MAX: usize = 64;

/// However busy a connection is, after this long its host's name is looked up anew: a receiver that
/// has moved is followed.
const CONNECTED_FOR: Duration = Duration::from_secs(60);

/// What is read of an answer. Nobody needs a word of it: it is read so that the connection can be used
/// again, and so that the account can see how it began.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is kept of an answer (RELIABILITY O3).
const EXCERPT_BYTES_MAX: usize = 256;

/// What the courier is told.
pub struct Settings {
    /// Parcels may go to this machine, if their address names it: for tests and demos only.
    pub allow_loopback: bool,
    /// Places it never goes to, public or not: this installation's own public addresses.
    pub never_to: Vec<IpNet>,
    /// The longest that a delivery takes. Usually [`TIMEOUT`].
    pub timeout: Duration,
    /// Certificates of CAs to trust besides the public ones, in PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Who is asked where a name leads. Usually [`SystemNames`].
    pub names: Arc<dyn Names>,
    /// Dates waits and measures deliveries.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// What is usual: the public Internet only, by the machine's own resolver.
    pub fn new(clock: Arc<dyn Clock>) -> Settings {
        Settings {
            allow_loopback: false,
            never_to: Vec::new(),
            timeout: TIMEOUT,
            extra_ca_pem: None,
            names: Arc::new(SystemNames::default()),
            clock,
        }
    }
}

/// Takes webhooks by HTTPS, and in the sandbox by HTTP.
pub struct WebhookSender {
    guard: Guard,
    tls: ClientConfig,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

/// The client whose connections are in use.
struct Current {
    client: Client,
    /// When it was made, by the monotonic clock.
    since: Duration,
}

impl WebhookSender {
    /// Connects to nobody yet. Says so in the log if it may go to this machine.
    pub fn open(settings: Settings) -> Result<WebhookSender, NoClient> {
        let Settings { allow_loopback, never_to, timeout, extra_ca_pem, names, clock } = settings;
        if allow_loopback {
            tracing::warn!("webhooks may go to this machine: for tests and demos only");
        }
        let guard = Guard { names, allow_loopback, never_to: never_to.into() };
        let tls = http::tls(extra_ca_pem.as_deref())?;
        let client = client(&guard, &tls, timeout)?;
        let current = Mutex::new(Current { client, since: clock.monotonic() });
        Ok(WebhookSender { guard, tls, timeout, clock, current })
    }

    async fn take(&self, post: &WebhookPost) -> (DeliveryResult, Option<u16>, String) {
        let url = match self.url(post) {
            Ok(url) => url,
            Err(reason) => return (DeliveryResult::Blocked, None, format!("the address {reason}")),
        };
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return (DeliveryResult::Failed, None, error.to_string()),
        };
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in &post.headers {
            request = request.header(*name, value);
        }
        match request.body(post.body.clone()).send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let after = http::retry_after(answer.headers(), self.clock.now());
                (verdict(status, after), Some(status), excerpt(&beginning(answer).await))
            }
            Err(error) if is_not_public(&error) => {
                (DeliveryResult::Blocked, None, NotPublic.to_string())
            }
            Err(error) => (DeliveryResult::Failed, None, reason(&error)),
        }
    }

    /// Where a parcel goes, as the HTTP library reads it; refused if that is not what was checked.
    fn url(&self, post: &WebhookPost) -> Result<Url, &'static str> {
        let allow_loopback = self.guard.allow_loopback;
        let allowed = Where { environment: post.environment, allow_loopback };
        let address = Address::parse(&post.url, allowed)?;
        let mut url = Url::parse(&post.url).map_err(|_| "names a host that is none.")?;
        let host = url.host_str().unwrap_or_default();
        let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_same_host = match ip {
            // The library asks no resolver about these, so the guard is not asked either.
            Some(ip) => address.loops_back() && ip.to_canonical().is_loopback(),
            None => host.strip_suffix('.').unwrap_or(host) == address.host(),
        };
        let is_same_port = url.port_or_known_default() == Some(address.port());
        let is_same_scheme = (url.scheme() == "https") == address.is_https();
        if !(is_same_host && is_same_port && is_same_scheme) {
            return Err("can be read in two ways.");
        }
        if ip.is_none() {
            // Without a dot at its end, which certificates do not have.
            url.set_host(Some(address.host())).map_err(|_| "names a host that is none.")?;
        }
        Ok(url)
    }

    /// The client in use, or a new one in its place when its time is up; the old one's connections
    /// end with what they are doing.
    fn client(&self) -> Result<Client, NoClient> {
        let now = self.clock.monotonic();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(current.since) >= CONNECTED_FOR {
            let client = client(&self.guard, &self.tls, self.timeout)?;
            *current = Current { client, since: now };
        }
        Ok(current.client.clone())
    }
}

impl domain::webhook::WebhookSender for WebhookSender {
    fn deliver<'a>(&'a self, post: &'a WebhookPost) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            let start = self.clock.monotonic();
            let (verdict, status, says) = self.take(post).await;
            let took = self.clock.monotonic().saturating_sub(start);
            Delivery { verdict, status, took, says }
        })
    }
}

/// A client that asks the guard where names lead, and whose connections rest for a moment only.
fn client(guard: &Guard, tls: &ClientConfig, timeout: Duration) -> Result<Client, NoClient> {
    Ok(http::builder(tls.clone(), timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(guard.clone())
        .pool_idle_timeout(IDLE_FOR)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .build()?)
}

const fn verdict(status: u16, after: Option<Duration>) -> DeliveryResult {
    match status {
        200..=299 => DeliveryResult::Accepted,
        410 => DeliveryResult::Gone,
        429 | 503 => DeliveryResult::Busy { after },
        _ => DeliveryResult::Failed,
    }
}

/// Reads an answer to its end, or hangs up on a long one. The status has said what counts: an answer
/// that breaks off takes nothing back.
async fn beginning(mut answer: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() <= ANSWER_BYTES_MAX
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// The first printable bytes: ASCII only, as anything else can make a terminal or a page lie.
fn excerpt(bytes: &[u8]) -> String {
    let spaced = bytes.iter().map(|b| if b.is_ascii_whitespace() { b' ' } else { *b });
    let printable = spaced.filter(|b| matches!(b, b' '..=b'~'));
    printable.take(EXCERPT_BYTES_MAX).map(char::from).collect()
}

/// Why there was no answer, for the account's log: no address, nothing of ours.
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

/// What lies behind an error, the nearest first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
