//! Forged access tokens, as a table: each is refused, and a valid one is accepted before and after.
//!
//! Many rows are signed with the right key, which this file derives by the standard alone.

use crate::world::*;
use domain::{Clock as _, Environment, Role};
use engine::{LogInForm, NewAccount};
use ring::{hkdf, hmac};
use serde_json::{Value, json};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

const EMAIL: &str = "anna@example.org";
const PASSWORD: &str = "correct horse battery";
const PERIOD_S: i64 = 30 * 24 * 3600;

/// Makes forgeries of a valid token, with the right keys.
struct Forger {
    /// A segment of the valid token.
    header: String,
    claims: Value,
    tag: String,
    now_s: i64,
}

/// The key of an environment and a period, from the world's master key.
fn key(environment: &str, period: i64) -> [u8; 32] {
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"saldo").extract(&[7; 32]);
    let purpose = format!("access token {environment} {period}");
    let mut key = [0; 32];
    root.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256).unwrap().fill(&mut key).unwrap();
    key
}

fn signed(algorithm: hmac::Algorithm, key: &[u8], header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

impl Forger {
    fn period(&self) -> i64 {
        self.now_s / PERIOD_S
    }

    fn valid_header(&self) -> String {
        format!(r#"{{"alg":"HS256","typ":"JWT","kid":"l{}"}}"#, self.period())
    }

    /// This header, signed with the right live key.
    fn with_header(&self, header: &str) -> String {
        let key = key("live", self.period());
        signed(hmac::HMAC_SHA256, &key, header, &self.claims.to_string())
    }

    /// These claims, with the right header and key.
    fn with_claims(&self, claims: &str) -> String {
        signed(hmac::HMAC_SHA256, &key("live", self.period()), &self.valid_header(), claims)
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.with_claims(&claims.to_string())
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.with_claims(&claims.to_string())
    }

    fn claims_segment(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.claims.to_string())
    }
}

/// Headers that ask for another algorithm or key. Most are signed with the right key, some not at
/// all.
fn headers(forger: &Forger) -> Vec<(String, String)> {
    let kid = format!("l{}", forger.period());
    let mut rows = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", "NonE", ""] {
        let header = format!(r#"{{"alg":"{none}","typ":"JWT","kid":"{kid}"}}"#);
        let segment = URL_SAFE_NO_PAD.encode(&header);
        rows.push((
            format!("alg {none:?}, no signature"),
            format!("{segment}.{}.", forger.claims_segment()),
        ));
        rows.push((format!("alg {none:?}, signed"), forger.with_header(&header)));
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS256 ", "A256GCM"]
    {
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{kid}"}}"#);
        rows.push((format!("alg {alg}"), forger.with_header(&header)));
    }
    for bad in [
        "",
        "l",
        "l0",
        "x1",
        "L1",
        "../../../../dev/null",
        "/proc/self/environ",
        "' OR '1'='1",
        "l' UNION SELECT 'secret' --",
        "\\u0000",
        "http://127.0.0.1/key",
        "-1",
        "l9999999999999999999",
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{bad}"}}"#);
        rows.push((format!("kid {bad:?}"), forger.with_header(&header)));
    }
    rows.extend(
        odd_headers(&kid).map(|(what, header)| (what.to_owned(), forger.with_header(&header))),
    );
    rows
}

/// Headers that lack a member, or have one too many.
fn odd_headers(kid: &str) -> [(&'static str, String); 22] {
    [
        ("no kid", r#"{"alg":"HS256","typ":"JWT"}"#.to_owned()),
        ("kid a number", format!(r#"{{"alg":"HS256","typ":"JWT","kid":{}}}"#, &kid[1..])),
        ("kid a list", format!(r#"{{"alg":"HS256","typ":"JWT","kid":["{kid}"]}}"#)),
        ("kid twice", format!(r#"{{"alg":"HS256","typ":"JWT","kid":"x","kid":"{kid}"}}"#)),
        ("alg twice", format!(r#"{{"alg":"none","alg":"HS256","typ":"JWT","kid":"{kid}"}}"#)),
        ("no alg", format!(r#"{{"typ":"JWT","kid":"{kid}"}}"#)),
        ("alg null", format!(r#"{{"alg":null,"typ":"JWT","kid":"{kid}"}}"#)),
        ("no typ", format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)),
        ("typ JWE", format!(r#"{{"alg":"HS256","typ":"JWE","kid":"{kid}"}}"#)),
        ("typ at+jwt", format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#)),
        ("typ small", format!(r#"{{"alg":"HS256","typ":"jwt","kid":"{kid}"}}"#)),
        (
            "jwk",
            format!(
                r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jwk":{{"kty":"oct","k":"AAAA"}}}}"#
            ),
        ),
        (
            "jku",
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jku":"http://127.0.0.1/jwks"}}"#),
        ),
        (
            "x5u",
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","x5u":"http://127.0.0.1/x"}}"#),
        ),
        ("x5c", format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","x5c":["AAAA"]}}"#)),
        ("crit", format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","crit":["exp"]}}"#)),
        ("b64 false", format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","b64":false}}"#)),
        ("zip", format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","zip":"DEF"}}"#)),
        ("a space more", format!(r#"{{"alg":"HS256", "typ":"JWT","kid":"{kid}"}}"#)),
        ("another order", format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{kid}"}}"#)),
        ("no object", "[]".to_owned()),
        ("nothing", String::new()),
    ]
}

/// Invalid claims with the right header and key.
fn claims(forger: &Forger) -> Vec<(String, String)> {
    let now = forger.now_s;
    let (text, exp) = (forger.claims.to_string(), (now + 3600).to_string());
    let twice = |name: &str, value: &str| {
        forger.with_claims(&format!("{},\"{name}\":{value}}}", text.trim_end_matches('}')))
    };
    let times = |iat: i64, nbf: i64, exp: i64| {
        let mut claims = forger.claims.clone();
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(iat), json!(nbf), json!(exp));
        forger.with_claims(&claims.to_string())
    };
    let rows = [
        ("iss other", forger.with_claim("iss", json!("saldo2"))),
        ("iss a list", forger.with_claim("iss", json!(["saldo"]))),
        ("aud of the sandbox", forger.with_claim("aud", json!("customers:sandbox"))),
        ("aud of staff", forger.with_claim("aud", json!("staff:live"))),
        ("aud a list", forger.with_claim("aud", json!(["customers:live"]))),
        ("sub another", forger.with_claim("sub", json!("2"))),
        ("sub a number", forger.with_claim("sub", json!(1))),
        ("sub no number", forger.with_claim("sub", json!("1 OR 1=1"))),
        ("sid another", forger.with_claim("sid", json!("2"))),
        ("sid too large", forger.with_claim("sid", json!("99999999999999999999"))),
        ("expired now", times(now - 3600, now - 3600, now)),
        ("expired long ago", times(now - 9000, now - 9000, now - 5400)),
        ("not yet valid", times(now, now + 61, now + 3600)),
        ("issued in the future", times(now + 61, now, now + 3600)),
        ("too long a life", times(now, now, now + 3601)),
        ("for ever", times(now, now, i64::MAX)),
        ("since for ever", times(i64::MIN, now, now + 3600)),
        ("ends before it begins", times(now + 30, now, now + 20)),
        ("exp a fraction", forger.with_claims(&text.replace(&exp, &format!("{exp}.5")))),
        ("exp a whole float", forger.with_claims(&text.replace(&exp, &format!("{exp}.0")))),
        ("exp a text", forger.with_claim("exp", json!((now + 3600).to_string()))),
        ("a claim too many", forger.with_claim("admin", json!(true))),
        ("sub twice", twice("sub", "\"1\"")),
        ("exp twice", twice("exp", "99999999999")),
        ("no object", forger.with_claims("[1,2,3]")),
        ("no JSON", forger.with_claims("{")),
        ("nothing", forger.with_claims("")),
        ("two objects", forger.with_claims(&format!("{text}{text}"))),
    ];
    let without = ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"];
    let without = without.map(|name| (format!("no {name}"), forger.without_claim(name)));
    rows.map(|(what, token)| (what.to_owned(), token)).into_iter().chain(without).collect()
}

/// Valid claims with a wrong key or signature.
fn signatures(forger: &Forger, good: &str) -> Vec<(String, String)> {
    let text = forger.claims.to_string();
    let (header, period) = (forger.valid_header(), forger.period());
    let sandbox = header.replace("\"l", "\"s");
    let by = |algorithm, key: &[u8]| signed(algorithm, key, &header, &text);
    let (input, _) = good.rsplit_once('.').unwrap();
    let with_tag = |tag: &str| format!("{input}.{tag}");
    let tag = URL_SAFE_NO_PAD.decode(&forger.tag).unwrap();
    let mut flipped = tag.clone();
    flipped[31] ^= 1;
    // The last character of 32 bytes has two unused bits: this is another text of the same bytes.
    let odd = |last: char| char::from(last as u8 + 1);
    let last = forger.tag.chars().last().unwrap();
    let loose = format!("{}{}", &forger.tag[..forger.tag.len() - 1], odd(last));
    let rows = [
        ("no key", by(hmac::HMAC_SHA256, b"")),
        ("the issuer as key", by(hmac::HMAC_SHA256, b"saldo")),
        ("zeros as key", by(hmac::HMAC_SHA256, &[0; 32])),
        ("the master key itself", by(hmac::HMAC_SHA256, &[7; 32])),
        ("the sandbox's key", by(hmac::HMAC_SHA256, &key("sandbox", period))),
        ("a key of two periods ago", by(hmac::HMAC_SHA256, &key("live", period - 2))),
        ("the right key, SHA-384", by(hmac::HMAC_SHA384, &key("live", period))),
        ("the right key, SHA-512", by(hmac::HMAC_SHA512, &key("live", period))),
        (
            "the sandbox's kid and key, live aud",
            signed(hmac::HMAC_SHA256, &key("sandbox", period), &sandbox, &text),
        ),
        (
            "the sandbox's kid, live key",
            signed(hmac::HMAC_SHA256, &key("live", period), &sandbox, &text),
        ),
        ("the sandbox whole, live session", {
            let text = text.replace("customers:live", "customers:sandbox");
            signed(hmac::HMAC_SHA256, &key("sandbox", period), &sandbox, &text)
        }),
        ("two periods ago, kid and key", {
            let header = header.replace(&period.to_string(), &(period - 2).to_string());
            signed(hmac::HMAC_SHA256, &key("live", period - 2), &header, &text)
        }),
        ("no signature", with_tag("")),
        ("no signature nor dot", input.to_owned()),
        ("half a signature", with_tag(&forger.tag[..20])),
        ("a signature and more", with_tag(&format!("{}AAAA", forger.tag))),
        ("one bit off", with_tag(&URL_SAFE_NO_PAD.encode(flipped))),
        ("odd last bits", with_tag(&loose)),
        ("padded", with_tag(&URL_SAFE.encode(&tag))),
        ("a line break", format!("{good}\n")),
        ("a space before", format!(" {good}")),
        ("with its scheme", format!("Bearer {good}")),
        ("a dot more", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("five segments", format!("{good}.AAAA.AAAA")),
        ("claims of another", {
            let other = URL_SAFE_NO_PAD.encode(text.replace("customers", "Customers"));
            format!("{}.{other}.{}", forger.header, forger.tag)
        }),
        ("signature in ordinary base64", with_tag(&STANDARD.encode([0xff; 32]))),
        ("dots", "..".to_owned()),
        ("empty", String::new()),
        ("not ASCII", "é.é.é".to_owned()),
        ("a zero byte", format!("{good}\0")),
        ("huge", format!("{}.{}.{}", forger.header, "A".repeat(100_000), forger.tag)),
        ("right but huge", forger.with_claims(&format!("{text}{}", " ".repeat(2_000)))),
    ];
    rows.map(|(what, token)| (what.to_owned(), token)).into_iter().collect()
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let world = world().await;
    let new =
        NewAccount { role: Role::Customer, name: "Anna", subscription: None, currencies: &[] };
    let mut setup = world.engine.account_setup();
    let account = setup.account(&new).await.unwrap();
    setup.user(account, EMAIL, "owner", PASSWORD).await.unwrap();
    setup.commit().await.unwrap();
    let from = IpAddr::from([192, 0, 2, 1]);
    let environment = Environment::Live;
    let request = LogInForm { email: EMAIL, password: PASSWORD, push_token: "", environment, from };
    let good = world.engine.log_in(request).await.unwrap().text;
    let segments: Vec<&str> = good.split('.').collect();
    let decoded = |n: usize| URL_SAFE_NO_PAD.decode(segments[n]).unwrap();
    let forger = Forger {
        header: segments[0].to_owned(),
        claims: serde_json::from_slice(&decoded(1)).unwrap(),
        tag: segments[2].to_owned(),
        now_s: world.clock.now().0 / 1_000_000,
    };
    assert_eq!(String::from_utf8(decoded(0)).unwrap(), forger.valid_header());
    assert_eq!(forger.claims["exp"], json!(forger.now_s + 3600));
    // The forger's signatures are right: valid claims that it signs are accepted.
    let enter = async |token: &str| world.engine.authenticate_token(Some(token)).await.caller;
    assert!(enter(&good).await.is_ok());
    assert!(enter(&forger.with_claims(&forger.claims.to_string())).await.is_ok());
    let next = forger
        .valid_header()
        .replace(&forger.period().to_string(), &(forger.period() + 1).to_string());
    let next = signed(
        hmac::HMAC_SHA256,
        &key("live", forger.period() + 1),
        &next,
        &forger.claims.to_string(),
    );
    assert!(enter(&next).await.is_ok(), "a node whose clock is ahead");

    let rows = [headers(&forger), claims(&forger), signatures(&forger, &good)].concat();
    assert!(rows.len() >= 60, "{}", rows.len());
    for (n, (what, token)) in rows.iter().enumerate() {
        assert_ne!(token, &good, "{what} is no forgery");
        assert_eq!(enter(token).await, Err(TokenInvalid.into()), "{what}: {token}");
        if n % 10 == 0 {
            assert!(enter(&good).await.is_ok(), "after {what}");
        }
    }
    assert!(enter(&good).await.is_ok());
}
