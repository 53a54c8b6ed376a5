//! Key pairs with limits: scopes, an end, rotation with an overlap, the last use.

use super::person::{Person, text};
use crate::support::{BALANCE, Client, Folder, Keys, RECHARGE, Server, recharge};

const KEYS: &str = "/dashboard/sandbox/keys";
const EXPIRED: &str = "API_KEY_EXPIRED";
const NO_SCOPE: &str = "SCOPE_NOT_ALLOWED";

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

/// The pair that a page shows, and its own page.
fn made(server: &Server, html: &str) -> (Keys, String) {
    let after = |id: &str| {
        let found = html.split_once(&format!("id=\"{id}\">"));
        let (_, rest) = found.unwrap_or_else(|| panic!("no {id} in {html}"));
        rest.split('<').next().unwrap().to_owned()
    };
    let pair = Keys {
        open_key: after("open"),
        secret_key: after("secret"),
        ..server.credentials.merchant.sandbox.clone()
    };
    let (_, rest) = html.split_once(&format!("{KEYS}/")).unwrap();
    (pair, format!("{KEYS}/{}", rest.split('"').next().unwrap()))
}

#[tokio::test]
async fn a_pair_does_what_its_scopes_say_until_its_end() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let none = person.submit(KEYS, KEYS, &[("limited", "yes")]).await;
    assert_eq!(none.status(), 422);
    assert!(text(&none).contains("Tick at least one."), "{}", text(&none));
    let past = [("limited", "yes"), ("scope_buy", "yes"), ("expires", "2020-01-01")];
    let past = person.submit(KEYS, KEYS, &past).await;
    assert_eq!(past.status(), 422);
    assert!(text(&past).contains("This lies in the past."), "{}", text(&past));
    let buys = [("limited", "yes"), ("scope_buy", "yes"), ("expires", "2999-01-01")];
    let reply = person.submit(KEYS, KEYS, &buys).await;
    assert_eq!(reply.status(), 200, "{}", text(&reply));
    let (pair, one) = made(&server, text(&reply));
    // It works on the day that was typed, to its end in the account's zone.
    let end = format!("SELECT expires_at FROM keys WHERE open_key = '{}'", pair.open_key);
    let midnight: jiff::Timestamp = "2999-01-01T18:00:00Z".parse().unwrap();
    assert_eq!(folder.sql(&end), [midnight.as_microsecond().to_string()]);
    let html = person.page(&one).await;
    assert!(html.contains("value=\"2999-01-01\""), "{html}");
    let mut client = Client::open(&server.address, &pair).await;
    let bought = client.post(RECHARGE, recharge("01712345101", 10, "SCOPE-1")).await;
    assert_eq!(bought.status(), 200, "{bought:?}");
    client.get(BALANCE).await.assert_refused(403, NO_SCOPE);
    client.get("/api/billing/transactions").await.assert_refused(403, NO_SCOPE);
    // Other scopes at once, and the page says who made it and when it was used.
    let reads = [("scope_read", "yes"), ("scope_money", "yes"), ("expires", "")];
    let limited = person.submit(&one, &format!("{one}/limits"), &reads).await;
    assert_eq!(limited.status(), 303, "{}", text(&limited));
    assert_eq!(client.get(BALANCE).await.status(), 200);
    assert_eq!(client.get("/api/billing/transactions").await.status(), 200);
    let bought = client.post(RECHARGE, recharge("01712345101", 11, "SCOPE-2")).await;
    bought.assert_refused(403, NO_SCOPE);
    let html = person.page(&one).await;
    for words in ["merchant@demo.example", "Last used", "127.0.0.1", "no end"] {
        assert!(html.contains(words), "{words}: {html}");
    }
    // Its end comes: a code of its own for who has the secret, the usual one for who has not.
    let end = "UPDATE keys SET expires_at = 5 WHERE open_key = '";
    folder.sql(&format!("{end}{}'", pair.open_key));
    // As every change of a key says: a node of a shared database may keep what it has read.
    folder.sql("UPDATE news SET revision = revision + 1 WHERE topic = 'keys'");
    let ended = loop {
        let reply = client.get(BALANCE).await;
        if reply.status() != 200 {
            break reply;
        }
        // The pair is cached for a second.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    ended.assert_refused(401, EXPIRED);
    let wrong = Keys { secret_key: server.credentials.merchant.sandbox.secret_key.clone(), ..pair };
    let mut guesser = Client::open(&server.address, &wrong).await;
    guesser.get(BALANCE).await.assert_refused(401, "INVALID_API_KEYS");
    assert!(person.page(&one).await.contains("Expired"));
    person.speak("bn");
    assert!(person.page(KEYS).await.contains("মেয়াদোত্তীর্ণ"));
    server.stop();
}

#[tokio::test]
async fn a_rotation_keeps_the_limits_and_both_pairs_work_meanwhile() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let reads = [("limited", "yes"), ("scope_money", "yes")];
    let (old, one) = made(&server, text(&person.submit(KEYS, KEYS, &reads).await));
    let hook = [("url", "https://hooks.example.org/x"), ("success", "on_accept")];
    let saved = person.submit(&one, &format!("{one}/webhook"), &hook).await;
    assert_eq!(saved.status(), 303, "{}", text(&saved));
    let rotated = person.submit(&one, &format!("{one}/rotate"), &[("overlap", "24")]).await;
    assert_eq!(rotated.status(), 200, "{}", text(&rotated));
    let (new, next) = made(&server, text(&rotated));
    assert_ne!(old.open_key, new.open_key);
    for pair in [&old, &new] {
        let mut client = Client::open(&server.address, pair).await;
        assert_eq!(client.get(BALANCE).await.status(), 200);
        client.get("/api/billing/prices").await.assert_refused(403, NO_SCOPE);
    }
    let html = person.page(&next).await;
    assert!(html.contains("https://hooks.example.org/x"), "{html}");
    // At once, by the command line: the old one ends, the new one works.
    let verb = ["key", "rotate", &new.open_key, "--overlap", "0"];
    let third = folder.saldo_json(&verb).remove(0);
    let third: Keys = serde_json::from_value(third).unwrap();
    let mut client = Client::open(&server.address, &new).await;
    client.get(BALANCE).await.assert_refused(401, EXPIRED);
    let mut client = Client::open(&server.address, &third).await;
    assert_eq!(client.get(BALANCE).await.status(), 200);
    // An ended pair is not rotated, and an overlap has an end.
    let refused = folder.saldo(&["key", "rotate", &new.open_key]);
    assert!(!refused.status.success());
    let long = person.submit(&one, &format!("{one}/rotate"), &[("overlap", "9999")]).await;
    assert_eq!(long.status(), 422);
    // The flags of the command line.
    let limit = ["key", "limit", &third.open_key, "--scope", "read", "--expires"];
    folder.saldo_ok(&[&limit[..], &["2999-01-01T00:00:00Z"]].concat());
    client.get(BALANCE).await.assert_refused(403, NO_SCOPE);
    let account = folder.sql("SELECT account_id FROM users WHERE email = 'merchant@demo.example'");
    let list = folder.saldo(&["key", "list", "--account", &account[0]]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("scopes read, until 2999-01-01T00:00:00Z"), "{list}");
    assert!(list.contains("expired"), "{list}");
    // Nobody else's.
    let strangers = "/dashboard/sandbox/keys/999999";
    for act in ["limits", "rotate"] {
        let reply = person.submit(&next, &format!("{strangers}/{act}"), &[("overlap", "0")]).await;
        assert_eq!(reply.status(), 404, "{act}");
    }
    server.stop();
}
