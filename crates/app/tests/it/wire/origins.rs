//! Calls by browsers from pages of other origins: the wallet API where they are listed, the billing
//! API never.

use crate::support::{BALANCE, Folder, RECHARGE, Server, WALLET_API, anonymous};
use http::Method;

const SHOP: &str = "https://shop.example";

/// `200 https://shop.example`: the status, and the origin that is allowed.
async fn call(server: &Server, method: Method, path: &str, origin: &str) -> String {
    let mut client = anonymous(server).await;
    client.set("origin", origin);
    if method == Method::OPTIONS {
        client.set("access-control-request-method", "POST");
    }
    let reply = client.send(method, path, "").await.unwrap();
    let allowed = reply.header("access-control-allow-origin").unwrap_or("none");
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    format!("{} {allowed}", reply.status())
}

#[tokio::test]
async fn listed_origins_may_call_the_wallet_api_and_nobody_the_billing_api() {
    let folder = Folder::new();
    let file = folder.path("saldo.toml");
    let origins = format!("wallet_origins = [\"{SHOP}\", \"http://localhost:3000\"]\n");
    std::fs::write(&file, origins).unwrap();
    let server = folder.start_with(&["--config", file.to_str().unwrap()]);
    let search = format!("{WALLET_API}/public/products/search?query=airtime");
    let log_in = format!("{WALLET_API}/authenticate/customers");
    let pay = format!("{WALLET_API}/v1/transactions/bill-payment/pre-auth");
    for (method, path, origin, expected) in [
        (Method::GET, search.as_str(), SHOP, "200 https://shop.example"),
        (Method::GET, &search, "http://localhost:3000", "200 http://localhost:3000"),
        (Method::GET, &search, "https://other.example", "200 none"),
        (Method::GET, &search, "https://shop.example.evil.example", "200 none"),
        (Method::GET, &search, "null", "200 none"),
        (Method::OPTIONS, &log_in, SHOP, "204 https://shop.example"),
        (Method::OPTIONS, &pay, SHOP, "204 https://shop.example"),
        (Method::OPTIONS, &pay, "https://other.example", "405 none"),
        // Refusals can be read too.
        (Method::GET, &format!("{WALLET_API}/wallet/balance"), SHOP, "401 https://shop.example"),
        (Method::GET, BALANCE, SHOP, "401 none"),
        (Method::OPTIONS, RECHARGE, SHOP, "405 none"),
    ] {
        assert_eq!(call(&server, method, path, origin).await, expected, "{path} {origin}");
    }
    let mut client = anonymous(&server).await;
    client.set("origin", SHOP);
    client.set("access-control-request-method", "POST");
    let asked = client.send(Method::OPTIONS, &pay, "").await.unwrap();
    let headers = asked.header("access-control-allow-headers").unwrap();
    assert_eq!(headers, "authorization, content-type, x-channel-id");
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(asked.header("vary"), Some("origin"));
    server.stop();
}

#[tokio::test]
async fn without_the_setting_no_origin_is_allowed() {
    let folder = Folder::new();
    let server = folder.start();
    let search = format!("{WALLET_API}/public/products/search?query=airtime");
    assert_eq!(call(&server, Method::GET, &search, SHOP).await, "200 none");
    assert_eq!(call(&server, Method::OPTIONS, &search, SHOP).await, "405 none");
    server.stop();
}
