//! The OAuth access token: one for all pushes, replaced shortly before it expires.
//!
//! Not here: the requests that carry it. Invariants: at most one fetch runs at a time, and after a
//! failed one there is a pause; no reason and no `Debug` output contains a token.

use super::response::{RetryLater, code_or_empty};
use super::service_account::ServiceAccount;
use crate::http::{self, HttpResponse};
use domain::Clock;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is replaced this long before it expires, so that none expires while it is being sent.
const REPLACE_BEFORE_EXPIRY: Duration = Duration::from_secs(10 * 60);

/// The pause after a failed fetch. Pushes in this time get the same failure without another fetch.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that the endpoint can ask for.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Fetches and caches the access token of a service account.
pub(super) struct AccessTokenCache {
    client: Client,
    account: ServiceAccount,
    clock: Arc<dyn Clock>,
    state: Mutex<CacheState>,
}

/// All times are monotonic.
#[derive(Default)]
struct CacheState {
    /// How many tokens were fetched.
    fetched: u64,
    /// The token, and when it must be replaced.
    token: Option<(AccessToken, Duration)>,
    /// Why the last fetch failed, and when the next one may start.
    failure: Option<(RetryLater, Duration)>,
}

/// A token, ready to be sent.
#[derive(Clone)]
pub(super) struct AccessToken {
    /// The value of `Authorization`, `Bearer …`, marked as sensitive.
    pub(super) header: HeaderValue,
    /// Tells tokens apart without comparing secrets.
    number: u64,
}

impl AccessTokenCache {
    pub(super) fn new(
        client: Client,
        account: ServiceAccount,
        clock: Arc<dyn Clock>,
    ) -> AccessTokenCache {
        AccessTokenCache { client, account, clock, state: Mutex::default() }
    }

    /// The token from the cache, or a new one. A `rejected` token is never returned again.
    pub(super) async fn token(
        &self,
        rejected: Option<&AccessToken>,
    ) -> Result<AccessToken, RetryLater> {
        // Locked during a fetch: other callers wait for its result.
        let mut state = self.state.lock().await;
        let now = self.clock.monotonic();
        if let Some((token, until)) = &state.token
            && now < *until
            && rejected.is_none_or(|rejected| rejected.number != token.number)
        {
            return Ok(token.clone());
        }
        if let Some((retry, until)) = &state.failure
            && now < *until
        {
            return Err(retry.clone());
        }
        match self.fetch().await {
            Ok((header, lifetime)) => {
                state.fetched += 1;
                let token = AccessToken { header, number: state.fetched };
                // A token with a short lifetime is used for half of it at least.
                let used_for = lifetime.saturating_sub(REPLACE_BEFORE_EXPIRY).max(lifetime / 2);
                state.token = Some((token.clone(), now.saturating_add(used_for)));
                state.failure = None;
                Ok(token)
            }
            Err(retry) => {
                let pause = retry.after.unwrap_or(RETRY_PAUSE).min(RETRY_PAUSE_MAX);
                let until = self.clock.monotonic().saturating_add(pause);
                state.token = None;
                state.failure = Some((retry.clone(), until));
                Err(retry)
            }
        }
    }

    /// Exchanges an assertion for a token (RFC 7523, 2.1). Returns it with its lifetime.
    async fn fetch(&self) -> Result<(HeaderValue, Duration), RetryLater> {
        let assertion = self.account.assertion(self.clock.now()).map_err(|_| {
            RetryLater::because("no access token: the service account's key cannot sign")
        })?;
        // An assertion has only characters that need no escaping.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let request = self
            .client
            .post(self.account.token_uri().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = http::send(request).await.map_err(|error| {
            RetryLater::because(&format!("no access token: {}", error.reason()))
        })?;
        if response.status != StatusCode::OK {
            return Err(self.read_error(&response));
        }
        read_token(&response.body).ok_or_else(|| {
            RetryLater::because("no access token: the answer of the token endpoint has none")
        })
    }

    fn read_error(&self, response: &HttpResponse) -> RetryLater {
        let error: Option<TokenError> = serde_json::from_slice(&response.body).ok();
        let code = error.as_ref().map_or("", |error| code_or_empty(&error.error));
        let status = response.status.as_u16();
        let reason = format!("no access token: the token endpoint answered {status} {code}");
        let after = http::retry_after(&response.headers, self.clock.now());
        RetryLater { reason: reason.trim_end().to_owned(), after }
    }
}

/// A successful response of the token endpoint (RFC 6749, 5.1).
#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    /// In seconds.
    expires_in: u64,
}

/// RFC 6749, 5.2. Its `error_description` is not read: it may quote what we sent.
#[derive(Deserialize)]
struct TokenError {
    error: String,
}

fn read_token(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let response: TokenResponse = serde_json::from_slice(body).ok()?;
    if response.access_token.is_empty() {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", response.access_token)).ok()?;
    header.set_sensitive(true);
    Some((header, Duration::from_secs(response.expires_in)))
}
