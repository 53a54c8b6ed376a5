//! Firebase Cloud Messaging, HTTP v1: pushes to Android, iOS and the web.
//!
//! Not here: who is told what, and how often one tries again. Invariant: neither the device token
//! nor the access token nor the key is in anything this connector says; a push ends within its
//! time, whatever the other side does.

mod access;
mod account;
#[cfg(test)]
mod tests;
mod verdict;

pub use account::{BadServiceAccount, ServiceAccount};

use crate::http::{self, BadEndpoint, NoClient};
use access::{Access, Token};
use domain::clock::Clock;
use domain::push::{Push, Pushed, Pusher};
use domain::upstream::BoxFuture;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use verdict::{Verdict, Wait, verdict};

/// Where FCM is.
pub const API_BASE: &str = "https://fcm.googleapis.com";

/// FCM asks senders to wait for an answer at least this long.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// APNs takes no longer name for pushes that replace each other.
const COLLAPSE_ID_BYTES_MAX: usize = 64;

/// What the connector is told.
pub struct Settings {
    /// Who we are to Google.
    pub account: ServiceAccount,
    /// Usually [`API_BASE`]; plain HTTP only within this machine.
    pub api_base: String,
    /// The longest that a push takes, an access token for it included. Usually [`TIMEOUT`].
    pub timeout: Duration,
    /// Certificates of CAs to trust besides the public ones, in PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Dates assertions, and tells when an access token is to be replaced.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// Google's own address and times.
    pub fn new(account: ServiceAccount, clock: Arc<dyn Clock>) -> Settings {
        Settings {
            account,
            api_base: API_BASE.to_owned(),
            timeout: TIMEOUT,
            extra_ca_pem: None,
            clock,
        }
    }
}

/// Why there is no connector.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// The address is not one.
    #[error("FCM's address: {0}")]
    ApiBase(#[from] BadEndpoint),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] NoClient),
}

/// Sends pushes through one Firebase project.
pub struct Fcm {
    client: Client,
    send_url: Url,
    access: Access,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Fcm {
    /// Asks nobody anything yet: the first push fetches an access token.
    pub fn open(settings: Settings) -> Result<Fcm, CannotOpen> {
        let Settings { account, api_base, timeout, extra_ca_pem, clock } = settings;
        let mut send_url = http::endpoint(&api_base)?;
        send_url.path_segments_mut().map_err(|()| BadEndpoint::NotAUrl)?.pop_if_empty().extend([
            "v1",
            "projects",
            account.project_id(),
            "messages:send",
        ]);
        let client = http::client(timeout, extra_ca_pem.as_deref())?;
        let access = Access::new(client.clone(), account, Arc::clone(&clock));
        Ok(Fcm { client, send_url, access, timeout, clock })
    }

    async fn deliver(&self, push: &Push) -> Pushed {
        let message = Envelope::of(push);
        let token = match self.access.token(None).await {
            Ok(token) => token,
            Err(wait) => return wait.into(),
        };
        if let Verdict::Said(pushed) = self.send(&message, &token).await {
            return pushed;
        }
        // Google may take a token back before its end: once more, with another one.
        let token = match self.access.token(Some(&token)).await {
            Ok(token) => token,
            Err(wait) => return wait.into(),
        };
        match self.send(&message, &token).await {
            Verdict::Said(pushed) => pushed,
            Verdict::AccessRejected(wait) => wait.into(),
        }
    }

    async fn send(&self, message: &Envelope<'_>, token: &Token) -> Verdict {
        let request = self
            .client
            .post(self.send_url.clone())
            .header(AUTHORIZATION, token.header.clone())
            .json(message);
        match http::ask(request).await {
            Ok(answer) => verdict(&answer, self.clock.now()),
            Err(error) => {
                Verdict::Said(Wait::of(&format!("no answer from FCM: {}", error.reason())).into())
            }
        }
    }
}

impl Pusher for Fcm {
    fn push<'a>(&'a self, push: &'a Push) -> BoxFuture<'a, Pushed> {
        Box::pin(async move {
            // Over everything: a push is up to four exchanges, and may wait for another's token.
            match tokio::time::timeout(self.timeout, self.deliver(push)).await {
                Ok(pushed) => pushed,
                Err(_) => Wait::of("no answer from FCM in time").into(),
            }
        })
    }
}

impl fmt::Debug for Fcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fcm").field("send_url", &self.send_url.as_str()).finish_non_exhaustive()
    }
}

/// A message as FCM reads it: `projects.messages` in its REST reference.
#[derive(Serialize)]
struct Envelope<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    token: &'a str,
    notification: Notification<'a>,
    data: &'a BTreeMap<String, String>,
    android: Android<'a>,
    apns: Apns<'a>,
}

#[derive(Serialize)]
struct Notification<'a> {
    title: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct Android<'a> {
    collapse_key: &'a str,
    priority: &'a str,
    notification: AndroidNotification<'a>,
}

#[derive(Serialize)]
struct AndroidNotification<'a> {
    tag: &'a str,
}

#[derive(Serialize)]
struct Apns<'a> {
    headers: ApnsHeaders<'a>,
}

#[derive(Serialize)]
struct ApnsHeaders<'a> {
    #[serde(rename = "apns-collapse-id")]
    collapse_id: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    fn of(push: &'a Push) -> Envelope<'a> {
        Envelope {
            message: Message {
                token: &push.device_token,
                notification: Notification { title: &push.title, body: &push.body },
                data: &push.data,
                android: Android {
                    collapse_key: &push.tag,
                    priority: "high",
                    notification: AndroidNotification { tag: &push.tag },
                },
                apns: Apns { headers: ApnsHeaders { collapse_id: collapse_id(&push.tag) } },
            },
        }
    }
}

/// The tag, or what stands for one that does not fit: cut short, two tags could become one and
/// hide each other's pushes.
fn collapse_id(tag: &str) -> Cow<'_, str> {
    if tag.len() <= COLLAPSE_ID_BYTES_MAX && tag.bytes().all(|b| b.is_ascii_graphic()) {
        return Cow::Borrowed(tag);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, tag.as_bytes());
    Cow::Owned(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}
