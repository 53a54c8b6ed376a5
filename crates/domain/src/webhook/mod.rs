//! The contract of a webhook sender: one POST to an account's server, its result, and which
//! addresses are allowed.
//!
//! Not here: the events, their signatures, the engine's queues. Invariant: a sender sends a webhook
//! at most once, to its address only; the decision to retry is made elsewhere.

pub mod schedule;

mod address;
mod public;

pub use address::{AddressPolicy, WebhookAddress, canonical};
pub use public::is_public;

use crate::account::Environment;
use crate::upstream::BoxFuture;
use std::fmt;
use std::time::Duration;

/// One POST of one webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookPost {
    /// An absolute `http` or `https` URL, as the account registered it.
    pub url: String,
    /// The environment of the event: live ones are sent over `https` only.
    pub environment: Environment,
    /// Headers besides those that every POST has; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body, byte for byte what was signed.
    pub body: Vec<u8>,
}

/// Shows neither the body (a customer's number), nor the URL (it may contain a token), nor the
/// values of headers (the signature).
impl fmt::Debug for WebhookPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebhookPost")
            .field("environment", &self.environment)
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What happened to one POST, for the log that the account can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Decides about retries.
    pub result: DeliveryResult,
    /// The answer's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// From the DNS query to the end of the answer.
    pub took: Duration,
    /// The first 256 printable bytes of the answer, or the reason why there is none.
    pub text: String,
}

/// The result of one POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// Any 2xx: it was received.
    Accepted,
    /// No answer in time, no connection, or any other status (a redirect too): retry later.
    Failed,
    /// 410: the endpoint wants no more webhooks.
    Gone,
    /// 429 or 503: retry later, and not before `after` if the answer named a time.
    Busy {
        /// The time in `Retry-After`.
        after: Option<Duration>,
    },
    /// Nothing was sent: the address is not public, or may not be.
    Blocked,
}

/// Sends webhooks to the accounts' servers.
pub trait WebhookSender: Send + Sync {
    /// Sends it once. Returns within the sender's own timeout.
    fn deliver<'a>(&'a self, post: &'a WebhookPost) -> BoxFuture<'a, Delivery>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_body_nor_signature_is_printed() {
        let post = WebhookPost {
            url: "https://example.com/hook?token=secret".into(),
            environment: Environment::Live,
            headers: vec![("webhook-signature", "v1,secret".into())],
            body: b"secret".to_vec(),
        };
        let printed = format!("{post:?} {post:#?}");
        assert!(!printed.contains("secret") && printed.contains("webhook-signature"), "{printed}");
    }
}
