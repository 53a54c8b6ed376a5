//! What the log must not contain: secrets, complete numbers, header values of anonymous requests.

use crate::support::{Client, Folder, Keys, RECHARGE, Server, UNLIMITED, recharge};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(30);
/// Canaries: values of fields that must not be logged.
const SECRET: &str = "CANARYsecretheader";
const PASSWORD: &str = "CANARYurlpassword";
const IDEMPOTENCY: &str = "CANARYidempotency";
const GARBAGE: &str = "CANARYgarbage";
const REFERENCE: &str = "CANARYreference";
const OPEN: &str = "CANARYopenkey";

/// Valid recharges with every ending; gives their numbers.
async fn valid_recharges(server: &Server) -> Vec<String> {
    let mut numbers = Vec::new();
    let merchant = &server.credentials.merchant;
    let all = &["101", "102", "103", "106", "107", "109", "110", "112"][..];
    for (keys, prefix, ways) in
        [(&merchant.sandbox, "017", all), (&merchant.live, "013", &["101", "102", "112"])]
    {
        let mut client = Client::open(&server.address, keys).await;
        for (n, ends) in ways.iter().enumerate() {
            let number = format!("{prefix}9{n}583{ends}");
            client.set("idempotency-key", &format!("{IDEMPOTENCY}{n}"));
            let body = recharge(&number, 10, &format!("LOG-{ends}"));
            let reply = client.post(RECHARGE, body).await;
            assert_eq!(reply.status(), 200, "{reply:?}");
            numbers.push(number);
        }
    }
    let mut client = server.sandbox().await;
    for ends in ["103", "106", "109", "110"] {
        client.becomes(&format!("LOG-{ends}"), "success", SOON).await;
    }
    client.becomes("LOG-107", "failed", SOON).await;
    numbers
}

/// Invalid requests with a canary in every field; gives their numbers.
async fn invalid_requests(server: &Server) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut number = || {
        let number = format!("0181234{:04}", 5_670 + numbers.len());
        numbers.push(number.clone());
        number
    };
    let mut client = server.live().await;
    client.set("idempotency-key", IDEMPOTENCY);
    let body = json!({
        "number": number(), "amount": 10, "operator": "gp", "reference": REFERENCE,
        "webhook_url": format!("https://user:{PASSWORD}@hooks.example/x"),
    });
    assert_eq!(client.post(RECHARGE, body.to_string()).await.status(), 422);
    for body in [
        format!("{GARBAGE} {}", number()),
        format!("{{\"number\":\"{}\",\"{GARBAGE}", number()),
        format!("{{\"number\":\"{}\",\"amount\":\"{GARBAGE}\"}}", number()),
        format!("{{\"number\":\"{}{GARBAGE}\",\"amount\":1}}", number()),
        recharge(&number(), 10, &format!("{REFERENCE} {}", "é".repeat(200))),
    ] {
        let reply = client.post(RECHARGE, body).await;
        assert!((400..500).contains(&reply.status()), "{reply:?}");
    }
    for path in ["/api/billing/recharge/offers", "/api/billing/no-such-path"] {
        client.get(&format!("{path}?operator=gp&number={}&x={GARBAGE}", number())).await;
    }
    numbers
}

/// Requests with canaries instead of keys.
async fn unauthenticated_requests(server: &Server) {
    let live = &server.credentials.merchant.live;
    for (open_key, secret_key) in [
        (OPEN.to_owned(), SECRET.to_owned()),
        (live.open_key.clone(), SECRET.to_owned()),
        (live.open_key.clone(), format!("sk_live_{SECRET}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        // The secret in the wrong header.
        (live.secret_key.clone(), live.open_key.clone()),
        (live.secret_key.clone(), live.secret_key.clone()),
        (live.open_key.clone(), format!("Bearer {SECRET}")),
    ] {
        let keys = Keys { open_key, secret_key, webhook_secret: None };
        let mut client = Client::open(&server.address, &keys).await;
        client.set("idempotency-key", IDEMPOTENCY);
        let reply = client.post(RECHARGE, recharge("01912345678", 10, REFERENCE)).await;
        reply.assert_refused(401, "INVALID_API_KEYS");
    }
    // Requests that the edge refuses before they reach an API.
    for broken in ["Content-Length: 7\r\nContent-Length: 9", "Transfer-Encoding: x", "no header"] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let request = format!(
            "GET /{GARBAGE}?number=01912345678 HTTP/1.1\r\nHost: {REFERENCE}\r\n\
             X-Open-Key: {OPEN}\r\nX-Authorization: {SECRET}\r\n{broken}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{broken}: {answer}");
    }
}

/// Creates a key pair through the running server; gives its secret.
fn create_key_pair(folder: &Folder, server: &Server) -> String {
    let account = folder.saldo_json(&["account", "list", "--json"]).remove(1)["id"].to_string();
    let key = folder
        .saldo_json(&["key", "make", "--account", &account, "--environment", "live"])
        .remove(0);
    folder.saldo_json(&["purchase", "list", "--json"]);
    assert!(server.log().contains("listening"));
    key["secret_key"].as_str().unwrap().to_owned()
}

async fn no_secret_is_logged_at(level: &str) {
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED, ["--log", level]].concat());
    let mut numbers = valid_recharges(&server).await;
    numbers.extend(invalid_requests(&server).await);
    numbers.push("01912345678".to_owned());
    unauthenticated_requests(&server).await;
    let made = create_key_pair(&folder, &server);

    let credentials = &server.credentials;
    let mut secrets = vec![
        ("the live secret", credentials.merchant.live.secret_key.clone()),
        ("a secret made by a command", made),
        ("a webhook secret", "whsec_".to_owned()),
        ("the merchant's password", credentials.merchant.password.clone()),
    ];
    for person in credentials.staff.as_array().unwrap() {
        secrets.push(("a password of staff", person["password"].as_str().unwrap().to_owned()));
    }
    for canary in [SECRET, PASSWORD, IDEMPOTENCY, GARBAGE, REFERENCE, OPEN] {
        secrets.push(("a canary", canary.to_owned()));
    }
    // Without the leading 0: +880 1… is the same number.
    secrets.extend(numbers.iter().map(|number| ("a complete number", number[1..].to_owned())));

    server.ask_to_stop();
    let log_file = folder.path("server.log");
    assert_eq!(server.ended().code(), Some(0));
    let log = std::fs::read_to_string(log_file).unwrap();
    assert!(log.contains("answered") && log.contains("access refused"), "there is a log: {log}");
    let mut leaks = Vec::new();
    // The demo greets with its log-ins, each on a line of its own; these are no lines of the log.
    let lines = || log.lines().filter(|line| !line.starts_with("  "));
    for (what, secret) in secrets {
        leaks.extend(lines().filter(|l| l.contains(&secret)).map(|l| format!("{what}: {l}")));
    }
    assert!(leaks.is_empty(), "{level} has {} secrets:\n{}", leaks.len(), leaks.join("\n"));
}

#[tokio::test]
async fn the_debug_log_has_no_secrets() {
    no_secret_is_logged_at("debug").await;
}

#[tokio::test]
async fn the_trace_log_has_no_secrets() {
    no_secret_is_logged_at("trace").await;
}
