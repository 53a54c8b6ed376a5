//! Key pairs, rate limits, idempotency keys, and the separation of the two environments.

use crate::support::{
    BALANCE, Client, Folder, Keys, RECHARGE, Reply, STATUS, Server, UNLIMITED, recharge,
};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn the_business_plan_ends_at_120_a_minute() {
    let folder = Folder::new();
    let server = folder.start_with(&[]);
    let mut client = server.sandbox().await;
    let mut allowed = 0;
    let refused = loop {
        let reply = client.get(BALANCE).await;
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            reply.header(header).unwrap().parse::<u64>().unwrap();
        }
        assert_eq!(reply.header("x-ratelimit-limit"), Some("120"));
        assert!(reply.header("ratelimit").is_some() && reply.header("ratelimit-policy").is_some());
        if reply.status() != 200 {
            break reply;
        }
        allowed += 1;
        assert!(allowed <= 132, "never refused");
    };
    assert!((120..=132).contains(&allowed), "120 a minute and at most a tenth more: {allowed}");
    refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");

    // A rate-limited recharge costs nothing and does not use its reference up. Each environment
    // has its own count, so live still answers.
    client
        .post(RECHARGE, recharge("01712345101", 10, "FAST-1"))
        .await
        .assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let mut live = server.live().await;
    assert_eq!(live.get(BALANCE).await.status(), 200);
    server.stop();
    assert!(folder.truth().is_empty());
}

/// The headers about the limit: the policy's name, its limit, and what is left.
fn limit_of(reply: &Reply) -> (String, u64, u64) {
    let number = |name: &str| {
        let value = reply.header(name).unwrap_or_else(|| panic!("no {name}: {reply:?}"));
        value.parse::<u64>().unwrap()
    };
    let (limit, left) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"));
    let reset = number("x-ratelimit-reset");
    assert!(left <= limit && reset <= 60, "{reply:?}");
    let (policy, rest) = reply.header("ratelimit-policy").unwrap().split_once(';').unwrap();
    assert_eq!(rest, format!("q={limit};w=60"));
    assert_eq!(reply.header("ratelimit"), Some(&*format!("{policy};r={left};t={reset}")));
    (policy.trim_matches('"').to_owned(), limit, left)
}

/// CONTRACT A-26: one answer of each status, in the order in which they are asked for.
#[tokio::test]
async fn every_answer_says_what_is_left_of_the_limit() {
    let folder = Folder::new();
    let server = folder.start_with(&["--balance", "50"]);
    let mut client = server.sandbox().await;
    let mut left = 120;
    let nowhere = "/api/billing/nowhere";
    let too_much = recharge("01712345101", 100, "Q-2");
    let sent = [
        (200, Method::GET, BALANCE, ""),
        (200, Method::POST, RECHARGE, &recharge("01712345101", 10, "Q-1")),
        (400, Method::POST, RECHARGE, "{"),
        (402, Method::POST, RECHARGE, &too_much),
        (404, Method::GET, nowhere, ""),
        (404, Method::GET, "/api/billing/", ""),
        (404, Method::GET, &format!("{STATUS}?reference=NONE"), ""),
        (405, Method::DELETE, BALANCE, ""),
        (422, Method::POST, RECHARGE, "{}"),
    ];
    for (status, method, path, body) in sent {
        let reply = client.send(method, path, body.to_owned()).await.unwrap();
        assert_eq!(reply.status(), status, "{path}: {reply:?}");
        left -= 1;
        assert_eq!(limit_of(&reply), ("default".to_owned(), 120, left), "{status} {path}");
    }
    client.set("content-type", "text/plain");
    let reply = client.post(RECHARGE, "{}").await;
    reply.assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(limit_of(&reply).2, left - 1);
    client.set("content-type", "application/json");
    // Refused before its route is reached; the connection ends.
    left -= 2;
    let reply = client.post(RECHARGE, " ".repeat(70_000)).await;
    reply.assert_refused(413, "BODY_TOO_LARGE");
    assert_eq!(limit_of(&reply), ("default".to_owned(), 120, left));
    let mut client = server.sandbox().await;
    let elsewhere = client.post("/api/wallet/v1/register", " ".repeat(70_000)).await;
    elsewhere.assert_refused(413, "BODY_TOO_LARGE");
    assert_eq!(elsewhere.header("x-ratelimit-limit"), None);
    let mut client = server.sandbox().await;
    folder.saldo_ok(&["halt", "--why", "a drill"]);
    let third = recharge("01712345101", 10, "Q-3");
    let halted = client.try_send(Method::POST, RECHARGE, third).await.unwrap();
    halted.assert_refused(503, "TEMPORARILY_UNAVAILABLE");
    left -= 1;
    assert_eq!(limit_of(&halted), ("default".to_owned(), 120, left));

    the_keys_are_wrong(&server, left).await;
    // What is refused for the address or the account is not counted.
    let open_key = &server.credentials.merchant.sandbox.open_key;
    folder.saldo_ok(&["key", "allow", open_key, "10.1.2.3"]);
    let refused = client.get(BALANCE).await;
    refused.assert_refused(403, "IP_NOT_WHITELISTED");
    left -= 2;
    assert_eq!(limit_of(&refused), ("default".to_owned(), 120, left));
    folder.saldo_ok(&["key", "allow", open_key]);
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    let merchant = accounts.iter().find(|account| account["role"] == "merchant").unwrap();
    folder.saldo_ok(&["account", "suspend", &merchant["id"].to_string()]);
    for path in [BALANCE, BALANCE] {
        let refused = client.get(path).await;
        refused.assert_refused(403, "ACCOUNT_INACTIVE");
        assert_eq!(limit_of(&refused), ("default".to_owned(), 120, left));
    }
    server.stop();
}

/// Without right keys the limit is that of failed authentications from one address.
async fn the_keys_are_wrong(server: &Server, left: u64) {
    let failed = |left| ("failed-authentications".to_owned(), 20, left);
    let mut nobody = Client::anonymous(&server.address).await;
    for (status, method, path) in [
        (401, Method::GET, BALANCE),
        (401, Method::POST, RECHARGE),
        (404, Method::GET, "/api/billing/nowhere"),
        (405, Method::DELETE, BALANCE),
    ] {
        let reply = nobody.send(method, path, "").await.unwrap();
        assert_eq!(reply.status(), status, "{path}: {reply:?}");
        assert_eq!(limit_of(&reply), failed(20), "without keys nothing is counted");
    }
    let keys = &server.credentials.merchant;
    let wrong = Keys { secret_key: keys.live.secret_key.clone(), ..keys.sandbox.clone() };
    let mut client = Client::open(&server.address, &wrong).await;
    for left in (0..20).rev() {
        // A path that does not exist counts guesses as any other does.
        let path = if left == 10 { "/api/billing/nowhere" } else { BALANCE };
        let reply = client.get(path).await;
        assert_eq!(reply.status(), if left == 10 { 404 } else { 401 }, "{reply:?}");
        assert_eq!(limit_of(&reply), failed(left));
    }
    let reply = client.get(BALANCE).await;
    reply.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(limit_of(&reply), failed(0));
    // Right keys behind the same address are not slowed down.
    let mut right = server.sandbox().await;
    for more in 1..=2 {
        let reply = right.get(BALANCE).await;
        assert_eq!(limit_of(&reply), ("default".to_owned(), 120, left - more), "{reply:?}");
    }
}

#[tokio::test]
async fn all_wrong_keys_get_the_same_answer() {
    let folder = Folder::new();
    let server = folder.start();
    let (sandbox, live) = (&server.credentials.merchant.sandbox, &server.credentials.merchant.live);
    let unknown_open = "ok_test_AAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mistyped = format!("{}x", &sandbox.secret_key[..sandbox.secret_key.len() - 1]);
    let cases = [
        ("mixed environments", &sandbox.open_key, &live.secret_key),
        ("mixed the other way", &live.open_key, &sandbox.secret_key),
        ("a mistyped secret", &sandbox.open_key, &mistyped),
        ("an unknown pair", &unknown_open, &sandbox.secret_key),
        ("swapped", &sandbox.secret_key, &sandbox.open_key),
        ("nonsense", &"x".to_owned(), &"y".to_owned()),
    ];
    let mut bodies = Vec::new();
    for (name, open_key, secret_key) in cases {
        let keys = Keys {
            open_key: open_key.clone(),
            secret_key: secret_key.clone(),
            webhook_secret: None,
        };
        let mut client = Client::open(&server.address, &keys).await;
        // Two each: after twenty failures in a minute an address is refused without a check.
        let reply = client.get(BALANCE).await;
        reply.assert_refused(401, "INVALID_API_KEYS");
        bodies.push((name, reply.0.body));
        let reply = client.post(RECHARGE, recharge("01712345101", 10, "KEY-1")).await;
        reply.assert_refused(401, "INVALID_API_KEYS");
        bodies.push((name, reply.0.body));
    }
    for (name, body) in &bodies {
        assert_eq!(body, &bodies[0].1, "{name} looks different");
    }
    all_missing_keys_get_the_same_answer(&server.address, sandbox).await;

    // A Bearer prefix in the documented header is accepted; the key pair decides the environment.
    let mut client = server.sandbox().await;
    client.set("x-authorization", &format!("Bearer {}", sandbox.secret_key));
    assert_eq!(client.get(BALANCE).await.status(), 200);
    server.stop();
}

async fn all_missing_keys_get_the_same_answer(address: &str, keys: &Keys) {
    let mut bodies = Vec::new();
    for missing in [&["x-open-key"][..], &["x-authorization"], &["x-open-key", "x-authorization"]] {
        let mut client = Client::open(address, keys).await;
        for header in ["x-open-key", "x-authorization"] {
            if missing.contains(&header) {
                client.set(header, "");
            }
        }
        let reply = client.get(BALANCE).await;
        reply.assert_refused(401, "MISSING_API_KEYS");
        bodies.push(reply.0.body);
    }
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_answer() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let body = recharge("01712345101", 10, "IDEM-1");
    client.set("idempotency-key", "key-1");
    let first = client.post(RECHARGE, body.clone()).await;
    assert_eq!(first.status(), 200, "{first:?}");
    assert_eq!(first.header("idempotent-replayed"), None);
    // Another purchase in between: an answer rendered anew would differ.
    client.set("idempotency-key", "");
    assert_eq!(client.post(RECHARGE, recharge("01712345101", 10, "IDEM-2")).await.status(), 200);
    client.set("idempotency-key", "key-1");
    for _ in 0..3 {
        let again = client.post(RECHARGE, body.clone()).await;
        assert_eq!((again.status(), &again.0.body), (200, &first.0.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    client
        .post(RECHARGE, recharge("01712345101", 20, "IDEM-1"))
        .await
        .assert_refused(422, "IDEMPOTENCY_MISMATCH");
    assert_eq!(client.balance().await, 700_000 - 2 * 1_050);

    // Without the key, or with another one, the reference is a duplicate.
    for key in ["", "key-2"] {
        client.set("idempotency-key", key);
        let known = client.post(RECHARGE, body.clone()).await;
        known.assert_refused(422, "DUPLICATE_REFERENCE");
        assert_eq!(known.json()["billing"]["status"], "success");
    }

    // A restart keeps it.
    server.stop();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.set("idempotency-key", "key-1");
    let again = client.post(RECHARGE, body).await;
    assert_eq!((again.status(), &again.0.body), (200, &first.0.body));
    server.stop();
    assert_eq!(folder.truth().len(), 2);
}

#[tokio::test]
async fn sandbox_and_live_are_separate() {
    let folder = Folder::new();
    let server = folder.start();
    let (mut sandbox, mut live) = (server.sandbox().await, server.live().await);
    let only_live = live.post(RECHARGE, recharge("01712345101", 20, "ONLY-LIVE")).await;
    assert_eq!(only_live.status(), 200, "{only_live:?}");
    assert_eq!((sandbox.balance().await, live.balance().await), (700_000, 700_000 - 2_050));
    let id = only_live.json()["billing"]["transactionId"].to_string();
    let mut bodies = Vec::new();
    for query in [
        "reference=ONLY-LIVE".to_owned(),
        format!("transaction_id={id}"),
        "reference=NONE".to_owned(),
    ] {
        let reply = sandbox.get(&format!("{STATUS}?{query}")).await;
        reply.assert_refused(404, "TRANSACTION_NOT_FOUND");
        bodies.push(reply.0.body);
    }
    assert!(
        bodies.iter().all(|body| body == &bodies[0]),
        "another account's looks like an unknown one"
    );
    // The same reference is free in the other environment.
    let same = sandbox.post(RECHARGE, recharge("01712345101", 10, "ONLY-LIVE")).await;
    assert_eq!(same.json()["billing"]["remainingBalance"], json!(6989.5), "{same:?}");
    assert_eq!(live.status("ONLY-LIVE").await["amount"], 20);
    assert_eq!(sandbox.status("ONLY-LIVE").await["amount"], 10);
    assert_eq!((sandbox.balance().await, live.balance().await), (700_000 - 1_050, 700_000 - 2_050));
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn the_demos_flag_sets_the_rate_limit() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut client = server.sandbox().await;
    let reply = client.get(BALANCE).await;
    assert_eq!(reply.header("x-ratelimit-limit"), Some(UNLIMITED[1]));
    server.stop();
}
