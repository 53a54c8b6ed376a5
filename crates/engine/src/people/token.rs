//! Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, in exactly one form.
//!
//! A header is never read. It must be, to the byte, the one that we write for a key that counts
//! now, so no token can choose its algorithm or key: `none`, `jwk`, `crit`, another `typ` and all
//! that is yet to be thought of are a wrong text like any other (RFC 8725, 3.1, 3.9, 3.11). Keys
//! change every 30 days; the period before and after count too.

use crate::limits;
use crate::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::Environment;
use domain::clock::Timestamp;
use domain::ids::{SessionId, UserId};
use ring::hmac;
use serde::{Deserialize, Serialize};

const ISSUER: &str = "saldo";
const PERIOD_S: i64 = 30 * 24 * 3600;
const LIFE_S: i64 = limits::TOKEN_LIFE.as_secs().cast_signed();
/// Between two nodes' clocks. What has expired has expired.
const SKEW_S: i64 = 60;
const BYTES_MAX: usize = 2048;

/// RFC 7519's registered claims, and the session. Numbers are whole: RFC 7519 would allow fractions.
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

/// What a token says that was signed by us and counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) environment: Environment,
    pub(super) user: UserId,
    pub(super) session: SessionId,
}

/// A key that counts: named in the header by `kid`.
struct Key {
    environment: Environment,
    period: i64,
}

impl Key {
    fn header(&self) -> String {
        let letter = match self.environment {
            Environment::Live => 'l',
            Environment::Sandbox => 's',
        };
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{letter}{}"}}"#, self.period);
        URL_SAFE_NO_PAD.encode(header)
    }

    fn of(&self, vault: &Vault) -> hmac::Key {
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

/// Writes a token that counts for an hour from `now`; `None` only if JSON could not be written.
pub(super) fn write(vault: &Vault, said: &Said, now: Timestamp) -> Option<String> {
    let now_s = now.0.div_euclid(1_000_000);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: audience(said.environment).to_owned(),
        sub: said.user.to_string(),
        sid: said.session.to_string(),
        iat: now_s,
        nbf: now_s,
        exp: now_s + LIFE_S,
    };
    let key = Key { environment: said.environment, period: now_s.div_euclid(PERIOD_S) };
    let claims = serde_json::to_vec(&claims).ok()?;
    Some(signed(&key.of(vault), &key.header(), &claims))
}

fn signed(key: &hmac::Key, header: &str, claims: &[u8]) -> String {
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// What a token says; `None` if it is not ours or does not count now, whatever the reason.
pub(super) fn read(vault: &Vault, text: &str, now: Timestamp) -> Option<Said> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let now_s = now.0.div_euclid(1_000_000);
    let (input, tag) = text.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let key = keys_at(now_s).into_iter().find(|key| key.header() == header)?;
    // The engine takes one text for each value: no padding, no odd last bits.
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    hmac::verify(&key.of(vault), input.as_bytes(), &tag).ok()?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let is_ours = claims.iss == ISSUER && claims.aud == audience(key.environment);
    let life_s = claims.exp.checked_sub(claims.iat)?;
    let latest_s = now_s.checked_add(SKEW_S)?;
    let counts = claims.exp > now_s
        && claims.nbf <= latest_s
        && claims.iat <= latest_s
        && (1..=LIFE_S).contains(&life_s);
    (is_ours && counts).then_some(Said {
        environment: key.environment,
        user: UserId(claims.sub.parse().ok()?),
        session: SessionId(claims.sid.parse().ok()?),
    })
}

fn keys_at(now_s: i64) -> [Key; 6] {
    let period = now_s.div_euclid(PERIOD_S);
    let key = |environment, period| Key { environment, period };
    let (live, sandbox) = (Environment::Live, Environment::Sandbox);
    [
        key(live, period),
        key(sandbox, period),
        key(live, period - 1),
        key(sandbox, period - 1),
        key(live, period + 1),
        key(sandbox, period + 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.1.
    #[test]
    fn a_token_is_signed_as_the_standard_says() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(key).unwrap());
        let claims =
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        assert_eq!(
            signed(&key, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", claims.as_bytes()),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
             eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
             dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    /// Whichever character is another, missing or doubled.
    #[test]
    fn no_character_of_a_token_may_differ() {
        let vault = Vault::new(&[7; 32]);
        let (user, session) = (UserId(3), SessionId(4));
        let said = Said { environment: Environment::Live, user, session };
        let now = Timestamp(1_776_945_600_000_000);
        let good = write(&vault, &said, now).unwrap();
        assert_eq!(read(&vault, &good, now), Some(said));
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
    fn a_token_reads_back_for_its_hour() {
        let vault = Vault::new(&[7; 32]);
        for environment in Environment::ALL {
            let said = Said { environment, user: UserId(3), session: SessionId(4) };
            let at = |s: i64| Timestamp(1_776_945_600_000_000 + s * 1_000_000);
            let text = write(&vault, &said, at(0)).unwrap();
            for s in [-60, 0, 3_599] {
                assert_eq!(read(&vault, &text, at(s)), Some(said), "{s}");
            }
            for s in [-61, 3_600, 3_661, 1 << 40, -(1 << 40)] {
                assert_eq!(read(&vault, &text, at(s)), None, "{s}");
            }
            assert_eq!(read(&Vault::new(&[8; 32]), &text, at(0)), None);
        }
    }
}
