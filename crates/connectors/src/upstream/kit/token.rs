//! Tokens of logins: one at a time per login, replaced before it expires.
//!
//! Not here: the requests that carry them. Invariants: one login runs at a time, and after a failed
//! one there is a pause; no reason contains a token.

use super::protocol::Login;
use super::settings::Secret;
use domain::Clock;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The part of its lifetime for which a token is used: one that is being sent does not expire.
const USED_PERCENT: u32 = 80;

/// The pause after a failed login. Requests in this time get the same failure without another one:
/// services lock accounts that try too often.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Logs in when needed, and keeps the tokens in memory.
pub struct Tokens {
    clock: Arc<dyn Clock>,
    logins: Mutex<BTreeMap<&'static str, TokenState>>,
}

/// All times are monotonic.
#[derive(Default)]
struct TokenState {
    /// How many logins there were.
    count: u64,
    /// The token, and until when it is used.
    token: Option<(Token, Duration)>,
    /// Why the last login failed, and when the next one may start.
    failure: Option<(String, Duration)>,
}

/// A token, ready to be sent.
#[derive(Clone, Debug)]
pub struct Token {
    /// The value of the header that carries it.
    pub value: Secret,
    /// Distinguishes tokens without comparing secrets.
    number: u64,
}

impl Tokens {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Tokens {
        Tokens { clock, logins: Mutex::default() }
    }

    /// The token of a login, from memory or by `log_in`. A `refused` one is never returned again.
    /// The error says why there is none.
    pub async fn token<F: Future<Output = Result<Login, String>>>(
        &self,
        login: &'static str,
        refused: Option<&Token>,
        log_in: impl FnOnce() -> F,
    ) -> Result<Token, String> {
        // Locked during a login: other requests wait for its result.
        let mut logins = self.logins.lock().await;
        let state = logins.entry(login).or_default();
        let now = self.clock.monotonic();
        if let Some((token, until)) = &state.token
            && now < *until
            && refused.is_none_or(|refused| refused.number != token.number)
        {
            return Ok(token.clone());
        }
        if let Some((reason, until)) = &state.failure
            && now < *until
        {
            return Err(reason.clone());
        }
        match log_in().await {
            Ok(Login { token: value, lifetime }) => {
                state.count += 1;
                let token = Token { value, number: state.count };
                let used_for = lifetime.saturating_mul(USED_PERCENT) / 100;
                state.token = Some((token.clone(), now.saturating_add(used_for)));
                state.failure = None;
                Ok(token)
            }
            Err(reason) => {
                let until = self.clock.monotonic().saturating_add(RETRY_PAUSE);
                state.token = None;
                state.failure = Some((reason.clone(), until));
                Err(reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual_clock::ManualClock;

    fn login(token: &str) -> Result<Login, String> {
        Ok(Login { token: Secret::new(token), lifetime: Duration::from_secs(100) })
    }

    #[tokio::test]
    async fn a_token_is_used_for_most_of_its_life_and_never_after_a_refusal() {
        let clock = Arc::new(ManualClock::new());
        let tokens = Tokens::new(clock.clone());
        let first = tokens.token("a", None, || async { login("1") }).await.unwrap();
        assert_eq!(first.value.reveal(), "1");
        clock.advance(Duration::from_secs(79));
        let same = tokens.token("a", None, || async { login("2") }).await.unwrap();
        assert_eq!(same.value.reveal(), "1");
        let other = tokens.token("b", None, || async { login("3") }).await.unwrap();
        assert_eq!(other.value.reveal(), "3");
        let fresh = tokens.token("a", Some(&same), || async { login("4") }).await.unwrap();
        assert_eq!(fresh.value.reveal(), "4");
        // The refusal of the old token does not end the new one.
        let again = tokens.token("a", Some(&same), || async { login("5") }).await.unwrap();
        assert_eq!(again.value.reveal(), "4");
        clock.advance(Duration::from_secs(81));
        let late = tokens.token("a", None, || async { login("6") }).await.unwrap();
        assert_eq!(late.value.reveal(), "6");
    }

    #[tokio::test]
    async fn a_failed_login_is_not_repeated_at_once() {
        let clock = Arc::new(ManualClock::new());
        let tokens = Tokens::new(clock.clone());
        let failed = tokens.token("a", None, || async { Err("no".to_owned()) }).await;
        assert_eq!(failed.unwrap_err(), "no");
        let early = tokens.token("a", None, || async { login("1") }).await;
        assert_eq!(early.unwrap_err(), "no");
        clock.advance(RETRY_PAUSE);
        assert!(tokens.token("a", None, || async { login("1") }).await.is_ok());
    }
}
