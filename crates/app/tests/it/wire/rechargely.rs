//! The wallet API as customers see it: the document's samples, the sandbox's endings, every
//! refusal.
//!
//! `samples/rechargely/` holds the document's commands unchanged; only the base URL, credentials,
//! token and placeholder values are replaced.

use super::samples::curl;
use crate::support::{
    Client, Consumer, Folder, Reply, Server, UNLIMITED, WALLET_API, anonymous, minor,
};
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const DOCUMENTED_URL: &str = "https://rechargely.online";
const PRE_AUTH: &str = "/api/wallet/v1/transactions/bill-payment/pre-auth";
const AUTH: &str = "/api/wallet/v1/transactions/bill-payment/auth";
/// The product "electricity for a prepaid meter", in USD.
const ELECTRICITY: i64 = 21;
/// The same product in ZWG.
const ELECTRICITY_ZWG: i64 = 22;

/// Runs a sample with these values instead of its placeholders; gives HTTP status and JSON.
fn sample(folder: &Folder, server: &Server, name: &str, values: &[(&str, &str)]) -> (u16, Value) {
    let path = format!("tests/it/wire/samples/rechargely/{name}.sh");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut script = fs::read_to_string(path).unwrap().replace(DOCUMENTED_URL, server.base_url());
    for (placeholder, value) in values {
        assert!(script.contains(placeholder), "{name} has no {placeholder}");
        script = script.replacen(placeholder, value, 1);
    }
    curl(folder, &script)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

const PRODUCT: [&str; 16] = [
    "id",
    "name",
    "description",
    "refName",
    "billFormat",
    "category",
    "status",
    "billerName",
    "currency",
    "productPrice",
    "productName",
    "providerCode",
    "pricingType",
    "productLogoUrl",
    "minAmount",
    "maxAmount",
];

#[test]
fn the_documents_samples_buy_electricity_in_both_currencies() {
    let folder = Folder::new();
    let server = folder.start_with(&[]);
    let customer = &server.credentials.customer;
    let credentials = [
        ("user@example.com", text(&customer["username"])),
        ("yourPassword", text(&customer["password"])),
    ];
    let (status, body) = sample(&folder, &server, "authenticate", &credentials);
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["tokenType"], &body["expiresIn"]), (&json!("Bearer"), &json!(3600)));
    let token = text(&body["accessToken"]).to_owned();
    let with_token = ("<access_token>", token.as_str());

    let (status, categories) = sample(&folder, &server, "categories", &[with_token]);
    assert_eq!((status, &categories[0]["id"]), (200, &json!("cat_001")), "{categories}");
    for field in ["id", "category", "description", "logo"] {
        assert!(categories[0][field].is_string(), "{field}: {categories}");
    }
    let of_category = [with_token, ("{categoryId}", text(&categories[0]["id"]))];
    let (status, products) = sample(&folder, &server, "products", &of_category);
    assert_eq!((status, &products[0]["id"]), (200, &json!("prod_001")), "{products}");
    for field in PRODUCT {
        assert!(!products[0][field].is_null(), "{field}: {products}");
    }
    let named = [with_token, ("{name}", "econet")];
    let (status, providers) = sample(&folder, &server, "providers", &named);
    assert_eq!((status, providers), (200, json!([{"providerName": "Econet Wireless"}])));
    let (status, found) = sample(&folder, &server, "search", &[]);
    assert_eq!((status, &found[0]["category"]), (200, &json!("Airtime")), "{found}");

    // The sample's zeros and placeholders name product 0, which does not exist.
    let (status, body) = sample(&folder, &server, "pre_auth", &[with_token]);
    assert_eq!((status, &body["code"]), (404, &json!("PRODUCT_NOT_FOUND")), "{body}");
    let (status, body) = sample(&folder, &server, "auth", &[with_token]);
    assert_eq!((status, &body["code"]), (404, &json!("TRANSACTION_NOT_FOUND")), "{body}");

    for bill in [
        Bill { product: "21", amount: "10", request_id: "R-USD" },
        Bill { product: "22", amount: "50.5", request_id: "R-ZWG" },
    ] {
        pays_with_samples(&folder, &server, &token, &bill);
    }
    server.stop();
    folder.verify();
}

struct Bill {
    product: &'static str,
    amount: &'static str,
    request_id: &'static str,
}

/// Pays for a meter that delivers, by the document's two samples.
fn pays_with_samples(folder: &Folder, server: &Server, token: &str, bill: &Bill) {
    let request_id = bill.request_id;
    let product = format!("\"productId\": {}", bill.product);
    let amount = format!("\"amount\": {}", bill.amount);
    let with_id = format!("\"requestId\": \"{request_id}\"");
    let values = [
        ("<access_token>", token),
        ("\"amount\": 0", &amount),
        ("\"productId\": 0", &product),
        ("\"requestId\": \"string\"", &with_id),
        ("\"billReference\": \"string\"", "\"billReference\": \"41234563101\""),
        ("\"customerMobile\": \"string\"", "\"customerMobile\": \"0771234567\""),
    ];
    let (status, quote) = sample(folder, server, "pre_auth", &values);
    assert_eq!(status, 200, "{quote}");
    for (field, value) in [
        ("responseCode", "200"),
        ("responseMessage", "Payment initiated successfully"),
        ("requestId", request_id),
        ("status", "PENDING"),
    ] {
        assert_eq!(quote[field], value, "{field}: {quote}");
    }
    assert!(quote["customer"]["name"].is_string(), "{quote}");
    let pre_auth_token = text(&quote["preAuthToken"]);
    let is_valid = pre_auth_token.starts_with("preauth_") && pre_auth_token.len() == 51;
    assert!(is_valid, "{pre_auth_token}");

    let with_quote = format!("\"preAuthToken\": \"{pre_auth_token}\"");
    let values = [
        ("<access_token>", token),
        ("\"preAuthToken\": \"string\"", &with_quote),
        ("\"requestId\": \"string\"", &with_id),
    ];
    let (status, done) = sample(folder, server, "auth", &values);
    assert_eq!((status, &done["status"]), (200, &json!("COMPLETED")), "{done}");
    assert_eq!(done["responseMessage"], "Payment authorized successfully");
    assert!(text(&done["transactionReference"]).starts_with("TXN-2"), "{done}");
    let kinds: Vec<_> =
        done["tokens"].as_array().unwrap().iter().map(|t| text(&t["kind"])).collect();
    assert_eq!(kinds, ["KEY_CHANGE", "KEY_CHANGE", "CREDIT"], "the fourth-last digit is 3");
    for token in done["tokens"].as_array().unwrap() {
        let digits = text(&token["token"]);
        assert!(digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()), "{digits}");
    }
    let (_, again) = sample(folder, server, "auth", &values);
    assert_eq!(again, done, "a repeated auth shows the payment and charges nothing");
}

/// A customer with a session.
struct Customer {
    client: Client,
}

impl Customer {
    /// Logs in to the sandbox, with exactly this much to spend there in USD (minor units).
    async fn of(folder: &Folder, server: &Server, start: i64) -> Customer {
        let client = Consumer::log_in(server, "sandbox", "").await.client;
        let mut customer = Customer { client };
        let missing = start - customer.balance().await;
        if missing != 0 {
            let verb = if missing > 0 { "deposit" } else { "withdraw" };
            let missing = missing.abs();
            let amount = format!("{}.{:02}", missing / 100, missing % 100);
            move_money(folder, server, verb, "USD", &amount);
        }
        assert_eq!(customer.balance().await, start);
        customer
    }

    async fn get(&mut self, path: &str) -> Value {
        let reply = self.client.get(&format!("{WALLET_API}{path}")).await;
        assert_eq!(reply.status(), 200, "{path}: {reply:?}");
        reply.json()
    }

    async fn quote(&mut self, body: &Value) -> Reply {
        self.client.post(PRE_AUTH, body.to_string()).await
    }

    /// Both steps; gives the answer to the second.
    async fn pays(&mut self, body: &Value) -> Value {
        let quote = self.quote(body).await;
        assert_eq!(quote.status(), 200, "{quote:?}");
        let reply = self.client.post(AUTH, accepting(&quote.json()).to_string()).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        reply.json()
    }

    async fn balance(&mut self) -> i64 {
        let wallets = self.get("/wallet/balance?currency=USD").await;
        minor(&wallets[0]["balance"])
    }
}

/// Deposits into the customer's sandbox wallet, or withdraws from it.
#[track_caller]
fn move_money(folder: &Folder, server: &Server, verb: &str, currency: &str, amount: &str) {
    let account = server.credentials.customer["account"].to_string();
    let wallet = ["wallet", verb, "--account", &account, "--environment", "sandbox"];
    let reference = format!("T-{currency}");
    let booking =
        ["--currency", currency, "--amount", amount, "--reference", &reference, "--by", "test"];
    folder.saldo_ok(&[&wallet[..], &booking[..]].concat());
}

fn accepting(quote: &Value) -> Value {
    json!({"preAuthToken": quote["preAuthToken"], "requestId": quote["requestId"]})
}

fn meter(request_id: &str, reference: &str) -> Value {
    json!({"amount": 1, "productId": ELECTRICITY, "requestId": request_id,
        "billReference": reference, "customerMobile": "0771234567", "additionalData": {}})
}

/// Endings of `billReference`, and the final status of each.
const ENDINGS: [(&str, &str); 12] = [
    ("101", "COMPLETED"),
    ("102", "FAILED"),
    ("103", "COMPLETED"),
    ("104", "FAILED"),
    ("105", "PENDING"),
    ("106", "COMPLETED"),
    ("107", "FAILED"),
    ("108", "CANCELLED"),
    ("109", "COMPLETED"),
    ("110", "COMPLETED"),
    ("111", "PROCESSING"),
    ("112", "FAILED"),
];

#[tokio::test]
async fn every_ending_of_the_sandbox() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 10_000).await;
    let bodies: Vec<Value> = ENDINGS
        .iter()
        .map(|(ends, _)| meter(&format!("E-{ends}"), &format!("41234560{ends}")))
        .collect();
    for (body, (ends, expected)) in bodies.iter().zip(ENDINGS) {
        let done = customer.pays(body).await;
        // A status that is known at once is in the answer.
        match ends {
            "101" | "110" => assert_eq!(done["status"], expected, "{ends}: {done}"),
            "102" => assert_eq!(
                (&done["status"], &done["responseCode"]),
                (&json!("FAILED"), &json!("422"))
            ),
            "105" => assert_eq!(
                (&done["status"], &done["responseCode"]),
                (&json!("PENDING"), &json!("202"))
            ),
            _ => {}
        }
    }
    let started = Instant::now();
    loop {
        let listed = customer.get("/transactions?limit=100").await;
        let listed = listed["transactions"].as_array().unwrap();
        assert_eq!(listed.len(), ENDINGS.len());
        // The list is newest first.
        let statuses: Vec<_> = listed.iter().rev().map(|t| text(&t["status"]).to_owned()).collect();
        let expected = ENDINGS.map(|(_, status)| status);
        if statuses == expected {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{statuses:?}, not {expected:?}");
        sleep(Duration::from_millis(1000)).await;
    }
    let delivered = customer.get("/transactions?status=completed").await;
    let delivered = delivered["transactions"].as_array().unwrap();
    assert_eq!(delivered.len(), 5);
    assert!(delivered.iter().all(|t| t["tokens"].as_array().unwrap().len() == 1), "{delivered:?}");
    let cancelled = customer.get("/transactions/E-108").await;
    assert_eq!((&cancelled["tokens"], &cancelled["receipt"]), (&json!([]), &json!([])));
    // Five are delivered, two are held.
    assert_eq!(customer.balance().await, 10_000 - 700);
    let lines = statement(&mut customer).await;
    for (kind, count) in [("hold", 12), ("release", 4), ("refund", 1)] {
        assert_eq!(lines.iter().filter(|line| line["type"] == kind).count(), count, "{kind}");
    }
    server.stop();
    folder.verify();
}

/// The whole statement, page by page: each line's balance is the one before plus its change.
async fn statement(customer: &mut Customer) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut before = String::new();
    loop {
        let page = customer.get(&format!("/wallet/statement?currency=USD&limit=5{before}")).await;
        lines.extend(page["entries"].as_array().unwrap().clone());
        match page["nextBefore"].as_i64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    let mut balance = 0;
    for line in lines.iter().rev() {
        let change = line["change"].to_string();
        balance += match change.strip_prefix('-') {
            Some(less) => -minor(&json!(less)),
            None => minor(&json!(change)),
        };
        assert_eq!(minor(&line["balance"]), balance, "{line}");
        let is_payment = ["hold", "release", "refund"].iter().any(|kind| line["type"] == *kind);
        assert_eq!(line["reference"].is_string(), is_payment, "{line}");
    }
    assert_eq!(customer.balance().await, balance);
    lines
}

#[tokio::test]
async fn a_payment_is_shown_again_by_every_path() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 2_000).await;
    let body = meter("R 1/2", "41234562101");
    let first = customer.quote(&body).await.json();
    assert_eq!(customer.quote(&body).await.json(), first, "the same request, the same token");
    let mut equivalent = body.clone();
    equivalent["amount"] = json!("1.00");
    equivalent["productId"] = json!("prod_021");
    equivalent["customerMobile"] = json!("+263 77 123 4567");
    assert_eq!(customer.quote(&equivalent).await.json(), first);

    let doubled = "/api/wallet/v1/v1/transactions/bill-payment/auth";
    let done = customer.client.post(doubled, accepting(&first).to_string()).await.json();
    assert_eq!(done["status"], "COMPLETED", "{done}");
    assert_eq!(done["tokens"].as_array().unwrap().len(), 2, "the fourth-last digit is 2");
    let again = customer.client.post(AUTH, accepting(&first).to_string()).await.json();
    assert_eq!(again, done);
    assert_eq!(customer.balance().await, 1_900, "charged once");

    let shown = customer.get("/transactions/R%201%2F2").await;
    for (field, value) in done.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert_eq!(customer.get("/v1/transactions/R%201%2F2").await, shown);
    let resent = format!("{WALLET_API}/transactions/R%201%2F2/resend");
    assert_eq!(customer.client.post(&resent, "").await.json(), shown);
    let labels: Vec<_> =
        shown["receipt"].as_array().unwrap().iter().map(|line| text(&line["label"])).collect();
    assert_eq!(
        labels.iter().filter(|label| label.to_lowercase().contains("token")).count(),
        2,
        "{labels:?}"
    );
    server.stop();
    folder.verify();
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status(), status, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
    assert_eq!(reply.header("www-authenticate"), (status == 401).then_some("Bearer"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 500).await;
    let meter_with = |field: &str, value: Value| {
        let mut body = meter("N-1", "41234560101");
        body[field] = value;
        body
    };
    for (body, status, code) in [
        (meter_with("productId", json!(0)), 404, "PRODUCT_NOT_FOUND"),
        (meter_with("productId", json!("prod_999")), 404, "PRODUCT_NOT_FOUND"),
        (meter_with("productId", json!("econet")), 422, "VALIDATION_ERROR"),
        (meter_with("amount", json!(0)), 422, "VALIDATION_ERROR"),
        (meter_with("amount", json!(500.01)), 422, "VALIDATION_ERROR"),
        (meter_with("billReference", json!("string")), 422, "VALIDATION_ERROR"),
        (meter_with("billReference", json!("00000000000")), 422, "BILL_REFERENCE_NOT_FOUND"),
        (meter_with("customerMobile", json!("12")), 422, "VALIDATION_ERROR"),
        (meter_with("additionalData", json!([])), 422, "VALIDATION_ERROR"),
        (meter_with("requestId", json!("")), 422, "VALIDATION_ERROR"),
    ] {
        assert_refused(&customer.quote(&body).await, status, code);
    }
    let all = customer.quote(&json!({})).await.json();
    assert_eq!(all["errors"].as_object().unwrap().len(), 6, "{all}");
    assert_refused(&customer.client.post(PRE_AUTH, "[]").await, 400, "INVALID_JSON");

    // A refused request did not use its reference up.
    let quote = customer.quote(&meter_with("amount", json!(6))).await.json();
    assert_refused(&customer.quote(&meter("N-1", "41234560101")).await, 409, "DUPLICATE_REFERENCE");
    let refused = customer.client.post(AUTH, accepting(&quote).to_string()).await;
    assert_refused(&refused, 422, "INSUFFICIENT_BALANCE");
    assert_eq!(customer.get("/transactions/N-1").await["status"], "PENDING", "it stays open");
    let mut wrong = accepting(&quote);
    wrong["requestId"] = json!("N-2");
    let wrong = customer.client.post(AUTH, wrong.to_string()).await;
    assert_refused(&wrong, 404, "TRANSACTION_NOT_FOUND");
    let resent = customer.client.post(&format!("{WALLET_API}/transactions/N-1/resend"), "").await;
    assert_refused(&resent, 409, "NOT_POSSIBLE");
    assert_eq!(customer.balance().await, 500, "no refusal moves money");
    let mut zwg = meter_with("productId", json!(ELECTRICITY_ZWG));
    zwg["requestId"] = json!("N-3");
    zwg["amount"] = json!(25);
    assert_eq!(customer.quote(&zwg).await.status(), 200, "a wallet may be empty until auth");

    unknown_paths(&mut customer.client).await;
    unauthenticated(&server, &mut customer.client).await;
    server.stop();
    folder.verify();
}

/// Requests with a valid token for something that does not exist.
async fn unknown_paths(client: &mut Client) {
    for (path, status, code) in [
        ("/products/products-list-category/cat_999", 404, "CATEGORY_NOT_FOUND"),
        ("/products/products-list-category/x", 404, "CATEGORY_NOT_FOUND"),
        ("/products/providers/nobody", 404, "PROVIDER_NOT_FOUND"),
        ("/products/providers/%ff", 404, "PROVIDER_NOT_FOUND"),
        ("/transactions/nothing", 404, "TRANSACTION_NOT_FOUND"),
        ("/transactions?limit=0", 422, "VALIDATION_ERROR"),
        ("/wallet/statement", 400, "VALIDATION_ERROR"),
        ("/wallet/balance?currency=BDT", 422, "NO_WALLET"),
        ("/nothing", 404, "ROUTE_NOT_FOUND"),
        ("/v1/products/categories", 404, "ROUTE_NOT_FOUND"),
        ("/", 404, "ROUTE_NOT_FOUND"),
        ("/../v2/products", 404, "ROUTE_NOT_FOUND"),
        ("/authenticate/customers", 405, "METHOD_NOT_ALLOWED"),
    ] {
        assert_refused(&client.get(&format!("{WALLET_API}{path}")).await, status, code);
    }
    // CONTRACT B-21: a reference name, a product's name or title, or a category's name.
    for (name, count) in [
        ("econet", 1),
        ("Econet_Airtime", 1),
        ("ECONET%20airtime", 1),
        ("airtime", 3),
        ("Data%20Bundles", 3),
    ] {
        let listed = client.get(&format!("{WALLET_API}/products/providers/{name}")).await.json();
        let providers = listed.as_array().or(listed["data"].as_array()).unwrap();
        assert_eq!(providers.len(), count, "{name}: {listed}");
    }
    for path in ["/api/wallet", "/api/wallet/", "/api/wallet/v2"] {
        assert_refused(&client.get(path).await, 404, "ROUTE_NOT_FOUND");
    }
    let by_number = format!("{WALLET_API}/products/products-list-category/1");
    assert_eq!(client.get(&by_number).await.json()[0]["id"], "prod_001");
}

/// Requests without a valid token, with wrong credentials, or with invalid headers.
async fn unauthenticated(server: &Server, customer: &mut Client) {
    let mut client = anonymous(server).await;
    let categories = format!("{WALLET_API}/products/categories");
    assert_refused(&client.get(&categories).await, 401, "TOKEN_INVALID");
    client.set("authorization", "Bearer x.y.z");
    assert_refused(&client.get(&categories).await, 401, "TOKEN_INVALID");
    // The channel is checked before the token.
    client.set("x-channel-id", "FAX");
    assert_refused(&client.get(&categories).await, 400, "INVALID_CHANNEL");
    client.set("x-channel-id", "");
    client.set("authorization", "");

    let path = format!("{WALLET_API}/authenticate/customers");
    let wrong = json!({"username": "nobody@demo.example", "password": "x", "fcmToken": ""});
    assert_refused(&client.post(&path, wrong.to_string()).await, 401, "LOGIN_FAILED");
    let empty = client.post(&path, "{}").await;
    assert_refused(&empty, 400, "VALIDATION_ERROR");
    assert_eq!(empty.json()["errors"].as_object().unwrap().len(), 3);
    let code = json!({"email": "nobody@demo.example", "code": "AAAAA-AAAAA",
        "password": "a password"});
    let confirmed = client.post(&format!("{WALLET_API}/register/confirm"), code.to_string()).await;
    assert_refused(&confirmed, 422, "CODE_INVALID");
    assert_refused(
        &client.get(&format!("{WALLET_API}/public/products/search")).await,
        400,
        "VALIDATION_ERROR",
    );
    client.set("content-type", "text/plain");
    assert_refused(&client.post(&path, "{}").await, 415, "UNSUPPORTED_MEDIA_TYPE");

    let quota = customer.get(&categories).await;
    assert_eq!(quota.header("x-ratelimit-limit"), Some(UNLIMITED[1]));
    assert_eq!(quota.header("x-saldo-simulated"), Some("true"));
    let out = format!("{WALLET_API}/authenticate/logout");
    let logged_out = customer.send(Method::POST, &out, "").await.unwrap();
    assert_eq!(logged_out.status(), 200, "{logged_out:?}");
    assert_refused(&customer.get(&categories).await, 401, "TOKEN_INVALID");
}

/// Every category and product has an image on this server, and every listed product is found by a
/// search.
#[tokio::test]
async fn every_product_has_an_image_and_is_found_by_its_name() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 500).await;
    let mut images = std::collections::BTreeSet::new();
    let mut products = 0;
    for category in customer.get("/products/categories").await.as_array().unwrap() {
        images.insert(text(&category["logo"]).to_owned());
        let listed = format!("/products/products-list-category/{}", text(&category["id"]));
        for product in customer.get(&listed).await.as_array().unwrap() {
            images.insert(text(&product["productLogoUrl"]).to_owned());
            assert_eq!(product["category"], category["category"], "{product}");
            let query = text(&product["name"]).replace('_', "%20");
            let found = customer.get(&format!("/public/products/search?query={query}")).await;
            let ids: Vec<_> = found.as_array().unwrap().iter().map(|p| &p["id"]).collect();
            assert!(ids.contains(&&product["id"]), "{query} finds {ids:?}");
            products += 1;
        }
    }
    assert!(products > 20, "{products} products");
    let mut client = anonymous(&server).await;
    for image in images {
        let path = image.strip_prefix(server.base_url()).unwrap();
        let reply = client.get(path).await;
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("image/png")));
    }
    server.stop();
}

/// The listed fields of a product are enough to buy it.
#[tokio::test]
async fn every_product_can_be_bought_with_its_listed_fields() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    for currency in ["USD", "ZWG"] {
        move_money(&folder, &server, "deposit", currency, "100000");
    }
    let mut customer = Customer { client: Consumer::log_in(&server, "sandbox", "").await.client };
    let mut bought = 0;
    for category in customer.get("/products/categories").await.as_array().unwrap() {
        let listed = format!("/products/products-list-category/{}", text(&category["id"]));
        for product in customer.get(&listed).await.as_array().unwrap() {
            let format = text(&product["billFormat"]);
            let prefix = format.strip_suffix("XXX").unwrap_or_else(|| panic!("{product}"));
            let fields = product["fields"].as_array().unwrap().iter();
            let required = fields.filter(|field| field["required"] == true);
            let additional: serde_json::Map<_, _> =
                required.map(|field| (text(&field["name"]).to_owned(), json!("Tariro"))).collect();
            let amount = match text(&product["pricingType"]) {
                "FIXED" => &product["productPrice"],
                _ => &product["minAmount"],
            };
            let done = customer
                .pays(&json!({"amount": amount, "productId": product["id"],
                    "requestId": format!("P-{bought}"), "customerMobile": "0771234567",
                    "billReference": format!("{}101", prefix.replace('X', "7")),
                    "additionalData": additional}))
                .await;
            assert_eq!(done["status"], "COMPLETED", "{product}: {done}");
            assert!(!done["receipt"].as_array().unwrap().is_empty(), "{product}: {done}");
            bought += 1;
        }
    }
    assert!(bought > 20, "{bought} products");
    server.stop();
    folder.verify();
}

/// The irecharge dialect lists no billers and no operators of other countries: a merchant with a
/// BDT wallet sees only operators that it can buy from.
#[tokio::test]
async fn a_reseller_sees_only_operators_it_can_buy_from() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let listed = server.sandbox().await.get("/api/billing/operators").await.json();
    let listed = listed.as_array().unwrap();
    assert!(listed.len() >= 6, "{listed:?}");
    for operator in listed {
        assert_eq!(operator["country"], "Bangladesh", "{operator}");
        assert_ne!(operator["service"], "Bill Payment", "{operator}");
    }
    server.stop();
}

/// Even at level trace the log has no password, token or complete number (RELIABILITY K9).
#[tokio::test]
async fn the_trace_log_has_no_secret_of_a_customer() {
    const DEVICE: &str = "CANARYfcmToken";
    const WRONG: &str = "CANARYwrongPassword";
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED, ["--log", "trace"]].concat());
    let mut customer = Customer::of(&folder, &server, 500).await;
    let quote = customer.quote(&meter("L-1", "41234560101")).await.json();
    let done = customer.client.post(AUTH, accepting(&quote).to_string()).await.json();
    assert_eq!(done["status"], "COMPLETED", "{done}");
    let mut client = anonymous(&server).await;
    let path = format!("{WALLET_API}/authenticate/customers");
    let known = &server.credentials.customer;
    let right = json!({"username": known["username"], "password": known["password"],
        "fcmToken": DEVICE});
    let session = client.post(&path, right.to_string()).await.json();
    let wrong = json!({"username": known["username"], "password": WRONG, "fcmToken": DEVICE});
    assert_refused(&client.post(&path, wrong.to_string()).await, 401, "LOGIN_FAILED");
    client.set("authorization", &format!("Bearer {WRONG}"));
    assert_refused(
        &client.get(&format!("{WALLET_API}/wallet/balance")).await,
        401,
        "TOKEN_INVALID",
    );
    let token = text(&session["accessToken"]);
    let secrets = [
        ("password", text(&known["password"])),
        ("access token", token.rsplit('.').next().unwrap()),
        ("preAuthToken", text(&quote["preAuthToken"]).trim_start_matches("preauth_")),
        ("electricity's token", text(&done["tokens"][0]["token"])),
        ("meter", "41234560101"),
        ("mobile number", "771234567"),
        ("fcmToken", DEVICE),
        ("wrong password", WRONG),
    ];
    // The greeting with the credentials is no part of the log.
    let written = async {
        // Refusals are counted, and said once a second.
        while !server.log().contains("access refused") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let written = timeout(Duration::from_secs(10), written).await;
    let log = server.log();
    let log = log.split_once("everything is kept.").unwrap().1;
    assert!(written.is_ok() && log.contains("answered"), "there is a log: {log}");
    for (what, secret) in secrets {
        let leaks: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "the log has the {what}: {leaks:?}");
    }
    server.stop();
}
