//! Firebase Cloud Messaging, HTTP v1: pushes to Android, iOS and the web.
//!
//! Not here: the text of a push, and how often a failed one is retried. Invariants: no reason,
//! error or `Debug` output contains a device token, an access token or the key; a push ends within
//! its timeout, whatever FCM does.

mod access_token;
mod response;
mod service_account;
#[cfg(test)]
mod tests;

pub use service_account::{ServiceAccount, ServiceAccountError};

use crate::http::{self, ClientError, EndpointError};
use access_token::{AccessToken, AccessTokenCache};
use domain::{BoxFuture, Clock, Push, Pushed, Pusher};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use response::{RetryLater, SendResult, read_response};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The base URL of FCM.
pub const API_BASE: &str = "https://fcm.googleapis.com";

/// FCM asks senders to wait at least this long for a response.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of APNs for the identifier of pushes that replace each other.
const COLLAPSE_ID_BYTES_MAX: usize = 64;

/// The settings of an [`Fcm`].
pub struct FcmSettings {
    /// The Google service account that sends.
    pub account: ServiceAccount,
    /// The default is [`API_BASE`]. Plain HTTP is accepted only for this machine.
    pub api_base: String,
    /// The limit of one push, including the fetch of an access token. The default is [`TIMEOUT`].
    pub timeout: Duration,
    /// PEM certificates of CAs to trust in addition to the public ones.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Dates the assertions, and says when an access token must be replaced.
    pub clock: Arc<dyn Clock>,
}

impl FcmSettings {
    /// The defaults: Google's own URL and [`TIMEOUT`].
    pub fn new(account: ServiceAccount, clock: Arc<dyn Clock>) -> FcmSettings {
        FcmSettings {
            account,
            api_base: API_BASE.to_owned(),
            timeout: TIMEOUT,
            extra_ca_pem: None,
            clock,
        }
    }
}

/// Why the connector cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FcmOpenError {
    /// The base URL is invalid.
    #[error("FCM's address: {0}")]
    ApiBase(#[from] EndpointError),
    /// The HTTPS client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Sends pushes through one Firebase project.
pub struct Fcm {
    client: Client,
    send_url: Url,
    access_tokens: AccessTokenCache,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Fcm {
    /// Opens no connection yet: the first push fetches an access token.
    pub fn open(settings: FcmSettings) -> Result<Fcm, FcmOpenError> {
        let FcmSettings { account, api_base, timeout, extra_ca_pem, clock } = settings;
        let mut send_url = http::parse_endpoint(&api_base)?;
        let not_a_url = |()| EndpointError::NotAUrl;
        let path = ["v1", "projects", account.project_id(), "messages:send"];
        send_url.path_segments_mut().map_err(not_a_url)?.pop_if_empty().extend(path);
        let client = http::client(timeout, extra_ca_pem.as_deref())?;
        let access_tokens = AccessTokenCache::new(client.clone(), account, Arc::clone(&clock));
        Ok(Fcm { client, send_url, access_tokens, timeout, clock })
    }

    async fn deliver(&self, push: &Push) -> Result<Pushed, RetryLater> {
        let request = SendRequest::of(push);
        let token = self.access_tokens.token(None).await?;
        if let SendResult::Done(pushed) = self.send(&request, &token).await {
            return Ok(pushed);
        }
        // Google may revoke a token before it expires: send once more, with a new token.
        let token = self.access_tokens.token(Some(&token)).await?;
        match self.send(&request, &token).await {
            SendResult::Done(pushed) => Ok(pushed),
            SendResult::AccessTokenRejected(retry) => Err(retry),
        }
    }

    async fn send(&self, request: &SendRequest<'_>, token: &AccessToken) -> SendResult {
        let request = self
            .client
            .post(self.send_url.clone())
            .header(AUTHORIZATION, token.header.clone())
            .json(request);
        match http::send(request).await {
            Ok(response) => read_response(&response, self.clock.now()),
            Err(error) => {
                let reason = format!("no answer from FCM: {}", error.reason());
                SendResult::Done(RetryLater::because(&reason).into())
            }
        }
    }
}

impl Pusher for Fcm {
    fn push<'a>(&'a self, push: &'a Push) -> BoxFuture<'a, Pushed> {
        Box::pin(async move {
            // One timeout for all: a push takes up to four exchanges, and may wait until another
            // push has fetched the access token.
            match tokio::time::timeout(self.timeout, self.deliver(push)).await {
                Ok(pushed) => pushed.unwrap_or_else(Pushed::from),
                Err(_) => RetryLater::because("no answer from FCM in time").into(),
            }
        })
    }
}

impl fmt::Debug for Fcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fcm").field("send_url", &self.send_url.as_str()).finish_non_exhaustive()
    }
}

/// The body of `projects.messages.send` in FCM's REST reference.
#[derive(Serialize)]
struct SendRequest<'a> {
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

impl<'a> SendRequest<'a> {
    fn of(push: &'a Push) -> SendRequest<'a> {
        SendRequest {
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

/// The tag, or its hash if APNs would not accept the tag. A shortened tag could equal another one,
/// and their pushes would replace each other.
fn collapse_id(tag: &str) -> Cow<'_, str> {
    if tag.len() <= COLLAPSE_ID_BYTES_MAX && tag.bytes().all(|b| b.is_ascii_graphic()) {
        return Cow::Borrowed(tag);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, tag.as_bytes());
    Cow::Owned(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}
