//! The contract of a courier that takes webhooks to accounts' servers, what became of each, and
//! where one may go.
//!
//! Not here: what is told, when, and how it is signed. Invariant: a courier takes a parcel once, to
//! the address it was given or nowhere; whether it is taken again is decided elsewhere.

pub mod schedule;

mod address;
mod public;

pub use address::{Address, Where};
pub use public::is_public;

use crate::account::Environment;
use crate::upstream::BoxFuture;
use std::fmt;
use std::time::Duration;

/// One POST of one webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookPost {
    /// Where it goes: an absolute `http` or `https` URL, as the account gave it.
    pub url: String,
    /// Of which environment it tells: live ones travel by `https` only.
    pub environment: Environment,
    /// Headers besides those that every POST has: names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// The body, byte for byte what was signed: JSON.
    pub body: Vec<u8>,
}

/// Says everything but the body and the headers' values: a signature lets others forge, and a body
/// has a customer's number in it.
impl fmt::Debug for WebhookPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Parcel")
            .field("environment", &self.environment)
            .field("headers", &names)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What became of a parcel, for the log that its account can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How it counts.
    pub verdict: DeliveryResult,
    /// The answer's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// From the first look-up to the end of the answer.
    pub took: Duration,
    /// The first 256 printable bytes of the answer, or in a few words why there is none.
    pub says: String,
}

/// How a delivery counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// Any 2xx: it was received.
    Accepted,
    /// No answer in time, no connection, or any other status (a redirect too): again later.
    Failed,
    /// 410: nobody wants any more of it there.
    Gone,
    /// 429 or 503: again later, and not before `after` if the answer named a time.
    Busy {
        /// What `Retry-After` asked for.
        after: Option<Duration>,
    },
    /// Nothing was sent: the address leads, or may lead, to a place that is not public.
    Blocked,
}

/// Takes parcels to where they go.
pub trait WebhookSender: Send + Sync {
    /// Takes it there once and tells what came of it. Ends by itself, within its own time-out.
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
