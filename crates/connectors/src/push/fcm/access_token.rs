//! The access token: fetched by whoever comes first, kept for everybody until shortly before its
//! end.
//!
//! Not here: what is sent with it. Invariant: at most one fetch is under way, and after one that
//! failed there is a rest; a token is in no reason and in no `Debug`.

use super::response::{Wait, word};
use super::service_account::ServiceAccount;
use crate::http::{self, HttpResponse};
use domain::clock::Clock;
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is replaced this long before its end, so that none ends on its way.
const REPLACED_BEFORE_END: Duration = Duration::from_secs(10 * 60);

/// After a failure everybody hears the same for this long, or a queue of pushes would ask the
/// endpoint one by one what it has just said.
const REST: Duration = Duration::from_secs(5);

/// An endpoint that names a time is asked again after it, but not later than this.
const REST_MAX: Duration = Duration::from_secs(60);

/// Fetches and keeps access tokens for a service account.
pub(super) struct Access {
    client: Client,
    account: ServiceAccount,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

/// Times are the clock's monotonic ones.
#[derive(Default)]
struct Kept {
    /// Counts tokens.
    number: u64,
    /// The token, and when it is to be replaced.
    token: Option<(Token, Duration)>,
    /// Why there is none, and when to try again.
    failed: Option<(Wait, Duration)>,
}

/// A token as it is sent.
#[derive(Clone)]
pub(super) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(super) header: HeaderValue,
    number: u64,
}

impl Access {
    pub(super) fn new(client: Client, account: ServiceAccount, clock: Arc<dyn Clock>) -> Access {
        Access { client, account, clock, kept: Mutex::default() }
    }

    /// The token, kept or fetched. A token that was `rejected` is not given again.
    pub(super) async fn token(&self, rejected: Option<&Token>) -> Result<Token, Wait> {
        // Held while fetching: who comes second waits for what the first one gets.
        let mut kept = self.kept.lock().await;
        let now = self.clock.monotonic();
        if let Some((token, until)) = &kept.token
            && now < *until
            && rejected.is_none_or(|rejected| rejected.number != token.number)
        {
            return Ok(token.clone());
        }
        if let Some((wait, until)) = &kept.failed
            && now < *until
        {
            return Err(wait.clone());
        }
        match self.fetch().await {
            Ok((header, lasts)) => {
                kept.number += 1;
                let token = Token { header, number: kept.number };
                // Half its life at least, should it be a short one.
                let kept_for = lasts.saturating_sub(REPLACED_BEFORE_END).max(lasts / 2);
                kept.token = Some((token.clone(), now.saturating_add(kept_for)));
                kept.failed = None;
                Ok(token)
            }
            Err(wait) => {
                let rest = wait.after.unwrap_or(REST).min(REST_MAX);
                kept.token = None;
                kept.failed = Some((wait.clone(), self.clock.monotonic().saturating_add(rest)));
                Err(wait)
            }
        }
    }

    /// Gives an assertion for a token (RFC 7523, 2.1), and says how long that lasts.
    async fn fetch(&self) -> Result<(HeaderValue, Duration), Wait> {
        let assertion = self
            .account
            .assertion(self.clock.now())
            .map_err(|_| Wait::of("the service account's key does not sign: ours to mend"))?;
        // An assertion has only letters that need no escaping.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let request = self
            .client
            .post(self.account.token_uri().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let answer = http::send(request)
            .await
            .map_err(|error| Wait::of(&format!("no access token: {}", error.reason())))?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer));
        }
        read(&answer.body)
            .ok_or_else(|| Wait::of("no access token: the answer of the token endpoint has none"))
    }

    fn refusal(&self, answer: &HttpResponse) -> Wait {
        let said: Option<Refusal> = serde_json::from_slice(&answer.body).ok();
        let said = said.as_ref().map_or("", |refusal| word(&refusal.error));
        let reason = format!(
            "no access token: the token endpoint answered {} {said}",
            answer.status.as_u16()
        );
        let after = http::retry_after(&answer.headers, self.clock.now());
        Wait { reason: reason.trim_end().to_owned(), after }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

/// RFC 6749, 5.2. Its description is left alone: it may quote what we sent.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn read(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let granted: Granted = serde_json::from_slice(body).ok()?;
    if granted.access_token.is_empty() {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", granted.access_token)).ok()?;
    header.set_sensitive(true);
    Some((header, Duration::from_secs(granted.expires_in)))
}
