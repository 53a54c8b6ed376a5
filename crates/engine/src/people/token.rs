//! Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, in exactly one form.
//!
//! Keys change every 30 days; those of the periods before and after are valid too. Invariant: a
//! header is never parsed, so no token can choose its algorithm or key (RFC 8725, 3.1, 3.9, 3.11).

use crate::limits;
use crate::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Environment, SessionId, Timestamp, UserId};
use ring::hmac;
use serde::{Deserialize, Serialize};

const ISSUER: &str = "saldo";
const PERIOD_S: i64 = 30 * 24 * 3600;
const LIFE_S: i64 = limits::TOKEN_LIFE.as_secs().cast_signed();
/// The difference allowed between the clocks of two nodes; not added to the expiry.
const SKEW_S: i64 = 60;
const BYTES_MAX: usize = 2048;

/// RFC 7519's registered claims, and the session. Numbers are integers; RFC 7519 would allow
/// fractions.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// The session that a valid token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenIdentity {
    pub(super) environment: Environment,
    pub(super) user: UserId,
    pub(super) session: SessionId,
}

/// A signing key; the header names it by `kid`.
struct SigningKey {
    environment: Environment,
    period: i64,
}

impl SigningKey {
    fn header(&self) -> String {
        let letter = match self.environment {
            Environment::Live => 'l',
            Environment::Sandbox => 's',
        };
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{letter}{}"}}"#, self.period);
        URL_SAFE_NO_PAD.encode(header)
    }

    fn derive(&self, vault: &Vault) -> hmac::Key {
        let purpose = format!("access token {} {}", self.environment.code(), self.period);
        hmac::Key::new(hmac::HMAC_SHA256, &vault.key(&purpose))
    }
}

fn audience(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "customers:live",
        Environment::Sandbox => "customers:sandbox",
    }
}

/// Writes a token that is valid for an hour from `now`; `None` only if JSON could not be written.
pub(super) fn write(vault: &Vault, identity: &TokenIdentity, now: Timestamp) -> Option<String> {
    let now_s = now.0.div_euclid(1_000_000);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: audience(identity.environment).to_owned(),
        sub: identity.user.to_string(),
        sid: identity.session.to_string(),
        iat: now_s,
        nbf: now_s,
        exp: now_s + LIFE_S,
    };
    let key = SigningKey { environment: identity.environment, period: now_s.div_euclid(PERIOD_S) };
    let claims = serde_json::to_vec(&claims).ok()?;
    Some(signed(&key.derive(vault), &key.header(), &claims))
}

fn signed(key: &hmac::Key, header: &str, claims: &[u8]) -> String {
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Reads a token; `None` if we did not sign it or it is not valid now, whatever the reason.
pub(super) fn read(vault: &Vault, text: &str, now: Timestamp) -> Option<TokenIdentity> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let now_s = now.0.div_euclid(1_000_000);
    let (input, tag) = text.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    // Byte for byte: `none`, `jwk`, `crit` or another `typ` is just a wrong text.
    let key = keys_at(now_s).find(|key| key.header() == header)?;
    // This base64 accepts one text for each value: no padding, no bits left over at the end.
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(&key.derive(vault), input.as_bytes(), &tag).ok()?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let is_ours = claims.iss == ISSUER && claims.aud == audience(key.environment);
    let life_s = claims.exp.checked_sub(claims.iat)?;
    let latest_s = now_s.checked_add(SKEW_S)?;
    let is_valid_now = claims.exp > now_s
        && claims.nbf <= latest_s
        && claims.iat <= latest_s
        && (1..=LIFE_S).contains(&life_s);
    (is_ours && is_valid_now).then_some(TokenIdentity {
        environment: key.environment,
        user: UserId(claims.sub.parse().ok()?),
        session: SessionId(claims.sid.parse().ok()?),
    })
}

fn keys_at(now_s: i64) -> impl Iterator<Item = SigningKey> {
    let period = now_s.div_euclid(PERIOD_S);
    let both = |period| Environment::ALL.map(|environment| SigningKey { environment, period });
    [period, period - 1, period + 1].into_iter().flat_map(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.1.
    #[test]
    fn a_token_is_signed_as_the_standard_says() {
        let key = concat!(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9C",
            "Aow"
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(key).unwrap());
        let claims =
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        assert_eq!(
            signed(&key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", claims.as_bytes()),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
             eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290\
             Ijp0cnVlfQ.\
             dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    /// Each character replaced, left out, or followed by another one.
    #[test]
    fn no_character_of_a_token_may_differ() {
        let vault = Vault::new(&[7; 32]);
        let (user, session) = (UserId(3), SessionId(4));
        let identity = TokenIdentity { environment: Environment::Live, user, session };
        let now = Timestamp(1_776_945_600_000_000);
        let good = write(&vault, &identity, now).unwrap();
        assert_eq!(read(&vault, &good, now), Some(identity));
        for at in 0..good.len() {
            let (before, rest) = good.split_at(at);
            let (own, after) = rest.split_at(1);
            for other in ["", "A", "B", "Q", "z", "0", "_", "-", "+", "/", "=", ".", " ", "\n", "é"]
            {
                let forged = format!("{before}{other}{after}");
                assert!(other == own || read(&vault, &forged, now).is_none(), "{forged}");
                let longer = format!("{before}{own}{other}{after}");
                assert!(other.is_empty() || read(&vault, &longer, now).is_none(), "{longer}");
            }
        }
    }

    #[test]
    fn a_token_is_valid_for_its_hour() {
        let vault = Vault::new(&[7; 32]);
        for environment in Environment::ALL {
            let (user, session) = (UserId(3), SessionId(4));
            let identity = TokenIdentity { environment, user, session };
            let at = |s: i64| Timestamp(1_776_945_600_000_000 + s * 1_000_000);
            let text = write(&vault, &identity, at(0)).unwrap();
            for s in [-60, 0, 3_599] {
                assert_eq!(read(&vault, &text, at(s)), Some(identity), "{s}");
            }
            for s in [-61, 3_600, 3_661, 1 << 40, -(1 << 40)] {
                assert_eq!(read(&vault, &text, at(s)), None, "{s}");
            }
            assert_eq!(read(&Vault::new(&[8; 32]), &text, at(0)), None);
        }
    }
}
