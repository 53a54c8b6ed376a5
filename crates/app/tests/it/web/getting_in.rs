//! Log-in, cookies, the guard of forms, second factors, sessions.

use super::browser::{Browser, Page};
use crate::support::{Folder, Server};
use ring::hmac;

const PASSWORD: &str = "a quiet river 7";

async fn try_log_in(server: &Server, email: &str, password: &str) -> Page {
    let mut browser = Browser::open(server).await;
    browser.get("/dashboard/log-in").await;
    browser.post("/dashboard/log-in", &[("email", email), ("password", password)]).await
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let folder = Folder::new();
    let server = folder.start();
    let merchant = &server.credentials.merchant;
    let staff = server.credentials.staff[0].clone();
    let of_staff = [staff["email"].as_str().unwrap(), staff["password"].as_str().unwrap()];
    let wrong = try_log_in(&server, &merchant.email, "wrong-password").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.html.contains("<title>Error: "), "{}", wrong.html);
    assert!(!wrong.html.contains("wrong-password"), "a password is never sent back");
    // Unknown, and right for another area.
    for (email, password) in [("nobody@example.org", "x"), (of_staff[0], of_staff[1])] {
        let answer = try_log_in(&server, email, password).await;
        let same = answer.without_tokens().replace(email, &merchant.email);
        assert_eq!((answer.status, same), (422, wrong.without_tokens()), "{email}");
    }
    let right = try_log_in(&server, &merchant.email, &merchant.password).await;
    assert_eq!((right.status, right.location.as_str()), (303, "/dashboard"));
    server.stop();
}

#[tokio::test]
async fn a_session_is_its_own_areas_and_ends_with_the_log_out() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::merchant(&server).await;
    assert_eq!(browser.visit("/dashboard").await.status, 200);
    assert_eq!(browser.get("/admin").await.location, "/admin/log-in?next=/admin");
    // Its cookie in the other area, and with any character changed.
    let cookie = browser.cookies["dashboard"].clone();
    let mut other = Browser::open(&server).await;
    other.cookies.insert("admin".to_owned(), cookie.clone());
    assert_eq!(other.get("/admin").await.status, 303);
    for at in 0..cookie.len() {
        let mut forged = cookie.clone().into_bytes();
        forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
        other.cookies.clear();
        other.cookies.insert("dashboard".to_owned(), String::from_utf8(forged).unwrap());
        assert_eq!(other.get("/dashboard/sandbox").await.status, 303, "{at}");
    }
    // The same cookie elsewhere is the same session, and ends with it.
    other.cookies.insert("dashboard".to_owned(), cookie);
    assert_eq!(other.get("/dashboard/sandbox").await.status, 200);
    assert_eq!(browser.post("/dashboard/log-out", &[]).await.status, 303);
    assert_eq!(other.get("/dashboard/sandbox").await.status, 303);
    assert!(!browser.cookies.contains_key("dashboard"));
    server.stop();
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::merchant(&server).await;
    browser.visit("/dashboard/security").await;
    let is_in = async |browser: &mut Browser| browser.get("/dashboard/sandbox").await.status == 200;
    // Without a token, with another's, and with one of this browser before the log-in.
    let mut anonymous = Browser::open(&server).await;
    anonymous.get("/dashboard/log-in").await;
    for token in ["", "x", &anonymous.csrf] {
        let page = browser.post_bare("/dashboard/log-out", &[("csrf", token)]).await;
        assert_eq!(page.status, 403, "{token}");
        assert!(is_in(&mut browser).await);
    }
    assert_eq!(browser.post_bare("/dashboard/log-out", &[]).await.status, 403);
    browser.visit("/dashboard/security").await;
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        browser.set(header, value);
        assert_eq!(browser.post("/dashboard/log-out", &[]).await.status, 403, "{header}: {value}");
        browser.set(header, "");
        assert!(is_in(&mut browser).await);
    }
    browser.set("origin", server.base_url());
    assert_eq!(browser.post("/dashboard/log-out", &[]).await.status, 303);
    // A log-in needs a token of its own browser too.
    let merchant = &server.credentials.merchant;
    let fields = [("email", merchant.email.as_str()), ("password", &merchant.password)];
    let mut other = Browser::open(&server).await;
    assert_eq!(other.post_bare("/dashboard/log-in", &fields).await.status, 403);
    server.stop();
}

#[tokio::test]
async fn a_link_from_elsewhere_brings_the_strict_cookie_at_the_second_request() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::open(&server).await;
    browser.set("sec-fetch-site", "cross-site");
    browser.set("sec-fetch-mode", "navigate");
    let page = browser.get("/dashboard/sandbox").await;
    assert_eq!(page.status, 200);
    assert!(page.html.contains("<meta http-equiv=\"refresh\" content=\"0\">"), "{}", page.html);
    browser.set("sec-fetch-site", "same-origin");
    assert_eq!(browser.get("/dashboard/sandbox").await.status, 303);
    // Over an open connection nobody logs in: the host is not this machine.
    browser.set("host", "saldo.example");
    let page = browser.get("/dashboard/log-in").await;
    assert!(page.html.contains("https"), "{}", page.html);
    let merchant = &server.credentials.merchant;
    let fields = [("email", merchant.email.as_str()), ("password", &merchant.password)];
    let page = browser.post("/dashboard/log-in", &fields).await;
    assert_eq!((page.status, browser.cookies.contains_key("dashboard")), (422, false));
    server.stop();
}

/// The code of a secret at a moment (RFC 6238), by another implementation than the server's.
pub fn code_at(secret: &str, seconds: u64) -> String {
    let mut bits = 0_u64;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in secret.bytes() {
        let value = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
        bits = (bits << 5) | u64::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(seconds / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let four: [u8; 4] = tag[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

pub fn now_s() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let folder = Folder::new();
    let server = folder.start();
    let merchant = &server.credentials.merchant;
    let mut browser = Browser::merchant(&server).await;
    browser.get("/dashboard/security").await;
    let wrong = browser.post("/dashboard/security/factor", &[("password", PASSWORD)]).await;
    assert_eq!(wrong.status, 422, "the password is asked for");
    let fields = [("password", merchant.password.as_str())];
    assert_eq!(browser.post("/dashboard/security/factor", &fields).await.status, 303);
    let page = browser.get("/dashboard/security/factor").await;
    let secret = page.html.split("<code id=\"factor\">").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap().to_owned();
    let picture = browser.get("/dashboard/security/factor.svg").await;
    assert!(picture.html.contains("<svg"), "{}", picture.html);
    // It does not count before its first code.
    let fields = [("email", merchant.email.as_str()), ("password", &merchant.password)];
    let page = try_log_in(&server, fields[0].1, fields[1].1).await;
    assert_eq!(page.location, "/dashboard");
    browser.get("/dashboard/security/factor").await;
    let started = now_s();
    let page = browser
        .post("/dashboard/security/factor/code", &[("code", &code_at(&secret, started))])
        .await;
    assert_eq!(page.status, 200, "{}", page.html);
    let codes = page.html.split("<code id=\"codes\">").nth(1).unwrap();
    let codes: Vec<&str> = codes.split('<').next().unwrap().lines().collect();
    assert_eq!(codes.len(), 10);

    let half_in = async || {
        let mut browser = Browser::open(&server).await;
        browser.get("/dashboard/log-in").await;
        let page = browser.post("/dashboard/log-in", &fields).await;
        assert!(page.location.starts_with("/dashboard/log-in/code"), "{}", page.location);
        assert!(!browser.cookies.contains_key("dashboard"));
        assert_eq!(browser.get("/dashboard/sandbox").await.status, 303);
        browser.get("/dashboard/log-in/code").await;
        browser
    };
    // The code that set it up is used; the next one logs in, once.
    let mut first = half_in().await;
    let enter = "/dashboard/log-in/code";
    let used = code_at(&secret, started);
    assert_eq!(first.post(enter, &[("code", &used)]).await.status, 422);
    // Of the step after this one: it is valid for a minute, however slow the machine is.
    let next = code_at(&secret, now_s() + 30);
    assert_eq!(first.post(enter, &[("code", &next)]).await.status, 303);
    assert_eq!(first.get("/dashboard/sandbox").await.status, 200);
    let mut second = half_in().await;
    assert_eq!(second.post(enter, &[("code", &next)]).await.status, 422);
    // A recovery code, however it is typed, once.
    let typed = codes[3].to_lowercase().replace('-', " ");
    assert_eq!(second.post(enter, &[("code", &typed)]).await.status, 303);
    let mut third = half_in().await;
    assert_eq!(third.post(enter, &[("code", codes[3])]).await.status, 422);
    // A ticket of nobody's.
    third.cookies.insert("dashboard-step".to_owned(), "1.2.x".to_owned());
    assert_eq!(third.post(enter, &[("code", codes[4])]).await.status, 422);
    // Removed with the password, a log-in needs none.
    first.get("/dashboard/security").await;
    let remove = "/dashboard/security/factor/remove";
    assert_eq!(first.post(remove, &[("password", PASSWORD)]).await.status, 422);
    let password = [("password", merchant.password.as_str())];
    assert_eq!(first.post(remove, &password).await.status, 303);
    assert_eq!(try_log_in(&server, fields[0].1, fields[1].1).await.location, "/dashboard");
    server.stop();
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner_only() {
    let folder = Folder::new();
    let server = folder.start();
    let mut one = Browser::merchant(&server).await;
    let mut other = Browser::merchant(&server).await;
    let mut staff = Browser::staff(&server, "operator").await;
    let page = one.get("/dashboard/security").await;
    let ends: Vec<&str> = page.html.split("/dashboard/security/sessions/").skip(1).collect();
    assert_eq!(ends.len(), 1, "the own one has no button: {}", page.html);
    let id = ends[0].split('/').next().unwrap();
    // What somebody else asks for changes nothing.
    staff.get("/admin/security").await;
    assert_eq!(staff.post(&format!("/admin/security/sessions/{id}/end"), &[]).await.status, 303);
    assert_eq!(other.get("/dashboard/sandbox").await.status, 200);
    let end = format!("/dashboard/security/sessions/{id}/end");
    assert_eq!(one.post(&end, &[]).await.status, 303);
    assert_eq!(other.get("/dashboard/sandbox").await.status, 303);
    assert_eq!(one.get("/dashboard/sandbox").await.status, 200);
    server.stop();
}

#[tokio::test]
async fn a_language_and_colours_are_the_readers() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::open(&server).await;
    browser.set("accept-language", "bn-BD");
    assert!(browser.get("/dashboard/log-in").await.html.contains("<html lang=\"bn\""));
    let page = browser.get("/preferences?language=en&next=/dashboard/log-in").await;
    assert_eq!(page.location, "/dashboard/log-in");
    let page = browser.get("/preferences?theme=dark&next=//evil.example").await;
    assert_eq!(page.location, "/");
    let page = browser.get("/dashboard/log-in").await;
    assert!(page.html.contains("<html lang=\"en\" data-theme=\"dark\""), "{}", page.html);
    server.stop();
}
