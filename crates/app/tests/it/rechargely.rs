//! The wallet API as customers see it: the document's own lines, the sandbox's endings, every no.
//!
//! `samples/rechargely/` holds the document's commands as they stand; only the base URL,
//! credentials, token and placeholder values are replaced.

use crate::consumer::{Consumer, WALLET_API, stranger};
use crate::harness::{Client, Folder, Reply, Server, UNLIMITED, minor};
use crate::samples::curl;
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const HOME: &str = "https://rechargely.online";
const PRE_AUTH: &str = "/api/wallet/v1/transactions/bill-payment/pre-auth";
const AUTH: &str = "/api/wallet/v1/transactions/bill-payment/auth";
/// A prepaid meter's electricity, in USD.
const ELECTRICITY: i64 = 21;
/// The same in ZWG.
const ELECTRICITY_ZWG: i64 = 22;

/// A sample with these replacements, run; its HTTP status and its JSON.
fn sample(folder: &Folder, server: &Server, name: &str, instead: &[(&str, &str)]) -> (u16, Value) {
    let path = format!("tests/it/samples/rechargely/{name}.sh");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut script = fs::read_to_string(path).unwrap().replace(HOME, server.base_url());
    for (placeholder, value) in instead {
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
fn the_documents_lines_buy_electricity_in_both_currencies() {
    let folder = Folder::new();
    let server = folder.start_with(&[]);
    let customer = &server.credentials.customer;
    let mine = [
        ("user@example.com", text(&customer["username"])),
        ("yourPassword", text(&customer["password"])),
    ];
    let (status, body) = sample(&folder, &server, "authenticate", &mine);
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

    // The sample's zeros and placeholders name product 0, which nobody sells.
    let (status, body) = sample(&folder, &server, "pre_auth", &[with_token]);
    assert_eq!((status, &body["code"]), (404, &json!("PRODUCT_NOT_FOUND")), "{body}");
    let (status, body) = sample(&folder, &server, "auth", &[with_token]);
    assert_eq!((status, &body["code"]), (404, &json!("TRANSACTION_NOT_FOUND")), "{body}");

    buys(&folder, &server, with_token, ("21", "\"amount\": 10", "R-USD"));
    buys(&folder, &server, with_token, ("22", "\"amount\": 50.5", "R-ZWG"));
    server.stop();
    folder.verify();
}

/// Pays for a meter that delivers, by the document's two lines.
fn buys(
    folder: &Folder,
    server: &Server,
    with_token: (&str, &str),
    (product, amount, request_id): (&str, &str, &str),
) {
    let product = format!("\"productId\": {product}");
    let named = format!("\"requestId\": \"{request_id}\"");
    let real = [
        with_token,
        ("\"amount\": 0", amount),
        ("\"productId\": 0", &product),
        ("\"requestId\": \"string\"", &named),
        ("\"billReference\": \"string\"", "\"billReference\": \"41234563101\""),
        ("\"customerMobile\": \"string\"", "\"customerMobile\": \"0771234567\""),
    ];
    let (status, quote) = sample(folder, server, "pre_auth", &real);
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
    let token = text(&quote["preAuthToken"]);
    assert!(token.starts_with("preauth_") && token.len() == 51, "{token}");

    let with_quote = format!("\"preAuthToken\": \"{token}\"");
    let real = [
        with_token,
        ("\"preAuthToken\": \"string\"", &with_quote),
        ("\"requestId\": \"string\"", &named),
    ];
    let (status, done) = sample(folder, server, "auth", &real);
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
    let (_, again) = sample(folder, server, "auth", &real);
    assert_eq!(again, done, "a repeated auth tells, and charges nothing");
}

/// A customer who is logged in.
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

    async fn quote(&mut self, asked: &Value) -> Reply {
        self.client.post(PRE_AUTH, asked.to_string()).await
    }

    /// Both steps; gives the second one's answer.
    async fn pays(&mut self, asked: &Value) -> Value {
        let quote = self.quote(asked).await;
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

/// Puts money into the customer's wallet of the sandbox, or takes it out.
#[track_caller]
fn move_money(folder: &Folder, server: &Server, verb: &str, currency: &str, amount: &str) {
    let account = server.credentials.customer["account"].to_string();
    let whose = ["wallet", verb, "--account", &account, "--environment", "sandbox"];
    let paper = format!("T-{currency}");
    let what = ["--currency", currency, "--amount", amount, "--reference", &paper, "--by", "test"];
    let output = folder.saldo(&[&whose[..], &what[..]].concat());
    assert!(output.status.success(), "{}", crate::harness::words(&output));
}

fn accepting(quote: &Value) -> Value {
    json!({"preAuthToken": quote["preAuthToken"], "requestId": quote["requestId"]})
}

fn meter(request_id: &str, reference: &str) -> Value {
    json!({"amount": 1, "productId": ELECTRICITY, "requestId": request_id,
        "billReference": reference, "customerMobile": "0771234567", "additionalData": {}})
}

/// Endings of `billReference`, and the status that each comes to in the end.
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
    let asked: Vec<Value> = ENDINGS
        .iter()
        .map(|(ends, _)| meter(&format!("E-{ends}"), &format!("41234560{ends}")))
        .collect();
    for (asked, (ends, expected)) in asked.iter().zip(ENDINGS) {
        let done = customer.pays(asked).await;
        // What is known at once, is told at once.
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
        let ends: Vec<_> = listed.iter().rev().map(|t| text(&t["status"]).to_owned()).collect();
        let expected = ENDINGS.map(|(_, status)| status);
        if ends == expected {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{ends:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(1000)).await;
    }
    let delivered = customer.get("/transactions?status=completed").await;
    let delivered = delivered["transactions"].as_array().unwrap();
    assert_eq!(delivered.len(), 5);
    assert!(delivered.iter().all(|t| t["tokens"].as_array().unwrap().len() == 1), "{delivered:?}");
    let taken_back = customer.get("/transactions/E-108").await;
    assert_eq!((&taken_back["tokens"], &taken_back["receipt"]), (&json!([]), &json!([])));
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
async fn a_payment_is_told_again_by_every_path() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 2_000).await;
    let asked = meter("R 1/2", "41234562101");
    let first = customer.quote(&asked).await.json();
    assert_eq!(customer.quote(&asked).await.json(), first, "the same request, the same token");
    let mut written_otherwise = asked.clone();
    written_otherwise["amount"] = json!("1.00");
    written_otherwise["productId"] = json!("prod_021");
    written_otherwise["customerMobile"] = json!("+263 77 123 4567");
    assert_eq!(customer.quote(&written_otherwise).await.json(), first);

    let twice = "/api/wallet/v1/v1/transactions/bill-payment/auth";
    let done = customer.client.post(twice, accepting(&first).to_string()).await.json();
    assert_eq!(done["status"], "COMPLETED", "{done}");
    assert_eq!(done["tokens"].as_array().unwrap().len(), 2, "the fourth-last digit is 2");
    let again = customer.client.post(AUTH, accepting(&first).to_string()).await.json();
    assert_eq!(again, done);
    assert_eq!(customer.balance().await, 1_900, "charged once");

    let told = customer.get("/transactions/R%201%2F2").await;
    for (field, value) in done.as_object().unwrap() {
        assert_eq!(&told[field], value, "{field}");
    }
    assert_eq!(customer.get("/v1/transactions/R%201%2F2").await, told);
    let resent = format!("{WALLET_API}/transactions/R%201%2F2/resend");
    assert_eq!(customer.client.post(&resent, "").await.json(), told);
    let labels: Vec<_> =
        told["receipt"].as_array().unwrap().iter().map(|line| text(&line["label"])).collect();
    assert_eq!(labels.iter().filter(|label| **label == "Token").count(), 2, "{labels:?}");
    server.stop();
    folder.verify();
}

#[track_caller]
fn assert_no(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status(), status, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
    assert_eq!(reply.header("www-authenticate"), (status == 401).then_some("Bearer"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn every_no_has_its_status_and_code() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 500).await;
    let meter_with = |field: &str, value: Value| {
        let mut asked = meter("N-1", "41234560101");
        asked[field] = value;
        asked
    };
    for (asked, status, code) in [
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
        assert_no(&customer.quote(&asked).await, status, code);
    }
    let all = customer.quote(&json!({})).await.json();
    assert_eq!(all["errors"].as_object().unwrap().len(), 6, "{all}");
    assert_no(&customer.client.post(PRE_AUTH, "[]").await, 400, "INVALID_JSON");

    // What was refused used nothing up.
    let quote = customer.quote(&meter_with("amount", json!(6))).await.json();
    assert_no(&customer.quote(&meter("N-1", "41234560101")).await, 409, "DUPLICATE_REFERENCE");
    let short = customer.client.post(AUTH, accepting(&quote).to_string()).await;
    assert_no(&short, 422, "INSUFFICIENT_BALANCE");
    assert_eq!(customer.get("/transactions/N-1").await["status"], "PENDING", "it stays open");
    let mut wrong = accepting(&quote);
    wrong["requestId"] = json!("N-2");
    let wrong = customer.client.post(AUTH, wrong.to_string()).await;
    assert_no(&wrong, 404, "TRANSACTION_NOT_FOUND");
    let resent = customer.client.post(&format!("{WALLET_API}/transactions/N-1/resend"), "").await;
    assert_no(&resent, 409, "NOT_POSSIBLE");
    assert_eq!(customer.balance().await, 500, "no refusal moves money");
    let empty = meter_with("productId", json!(ELECTRICITY_ZWG));
    let mut zwg = empty.clone();
    zwg["requestId"] = json!("N-3");
    zwg["amount"] = json!(25);
    assert_eq!(customer.quote(&zwg).await.status(), 200, "a wallet may be empty until auth");

    paths(&mut customer.client).await;
    strangers(&server, &mut customer.client).await;
    server.stop();
    folder.verify();
}

/// What is asked for with a token and is not there.
async fn paths(client: &mut Client) {
    for (path, status, code) in [
        ("/products/products-list-category/cat_999", 404, "CATEGORY_NOT_FOUND"),
        ("/products/products-list-category/x", 404, "CATEGORY_NOT_FOUND"),
        ("/products/providers/nobody", 404, "PROVIDER_NOT_FOUND"),
        ("/products/providers/%ff", 404, "PROVIDER_NOT_FOUND"),
        ("/transactions/nothing", 404, "TRANSACTION_NOT_FOUND"),
        ("/transactions?limit=0", 422, "VALIDATION_ERROR"),
        ("/wallet/statement", 422, "VALIDATION_ERROR"),
        ("/wallet/balance?currency=BDT", 422, "NO_WALLET"),
        ("/nothing", 404, "ROUTE_NOT_FOUND"),
        ("/v1/products/categories", 404, "ROUTE_NOT_FOUND"),
        ("/", 404, "ROUTE_NOT_FOUND"),
        ("/../v2/products", 404, "ROUTE_NOT_FOUND"),
        ("/authenticate/customers", 405, "METHOD_NOT_ALLOWED"),
    ] {
        assert_no(&client.get(&format!("{WALLET_API}{path}")).await, status, code);
    }
    for path in ["/api/wallet", "/api/wallet/", "/api/wallet/v2"] {
        assert_no(&client.get(path).await, 404, "ROUTE_NOT_FOUND");
    }
    let by_number = format!("{WALLET_API}/products/products-list-category/1");
    assert_eq!(client.get(&by_number).await.json()[0]["id"], "prod_001");
}

/// Who is not logged in, or not any more; and headers that say no or two things.
async fn strangers(server: &Server, customer: &mut Client) {
    let mut client = stranger(server).await;
    let categories = format!("{WALLET_API}/products/categories");
    assert_no(&client.get(&categories).await, 401, "TOKEN_INVALID");
    client.set("authorization", "Bearer x.y.z");
    assert_no(&client.get(&categories).await, 401, "TOKEN_INVALID");
    // The channel is looked at before the token.
    client.set("x-channel-id", "FAX");
    assert_no(&client.get(&categories).await, 400, "INVALID_CHANNEL");
    client.set("x-channel-id", "");
    client.set("authorization", "");

    let path = format!("{WALLET_API}/authenticate/customers");
    let wrong = json!({"username": "nobody@demo.example", "password": "x", "fcmToken": ""});
    assert_no(&client.post(&path, wrong.to_string()).await, 401, "LOGIN_FAILED");
    let empty = client.post(&path, "{}").await;
    assert_no(&empty, 422, "VALIDATION_ERROR");
    assert_eq!(empty.json()["errors"].as_object().unwrap().len(), 3);
    let code = json!({"email": "nobody@demo.example", "code": "AAAAA-AAAAA",
        "password": "a password"});
    let confirmed = client.post(&format!("{WALLET_API}/register/confirm"), code.to_string()).await;
    assert_no(&confirmed, 422, "CODE_INVALID");
    assert_no(
        &client.get(&format!("{WALLET_API}/public/products/search")).await,
        422,
        "VALIDATION_ERROR",
    );
    client.set("content-type", "text/plain");
    assert_no(&client.post(&path, "{}").await, 415, "UNSUPPORTED_MEDIA_TYPE");

    let quota = customer.get(&categories).await;
    assert_eq!(quota.header("x-ratelimit-limit"), Some(UNLIMITED[1]));
    assert_eq!(quota.header("x-saldo-simulated"), Some("true"));
    let out = format!("{WALLET_API}/authenticate/logout");
    let gone = customer.send(Method::POST, &out, "").await.unwrap();
    assert_eq!(gone.status(), 200, "{gone:?}");
    assert_no(&customer.get(&categories).await, 401, "TOKEN_INVALID");
}

/// Every category and product has a drawing of this server, and what is listed can be searched for.
#[tokio::test]
async fn every_product_has_a_drawing_and_is_found_by_its_name() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut customer = Customer::of(&folder, &server, 500).await;
    let mut drawings = std::collections::BTreeSet::new();
    let mut products = 0;
    for category in customer.get("/products/categories").await.as_array().unwrap() {
        drawings.insert(text(&category["logo"]).to_owned());
        let listed = format!("/products/products-list-category/{}", text(&category["id"]));
        for product in customer.get(&listed).await.as_array().unwrap() {
            drawings.insert(text(&product["productLogoUrl"]).to_owned());
            assert_eq!(product["category"], category["category"], "{product}");
            let query = text(&product["name"]).replace('_', "%20");
            let found = customer.get(&format!("/public/products/search?query={query}")).await;
            let ids: Vec<_> = found.as_array().unwrap().iter().map(|p| &p["id"]).collect();
            assert!(ids.contains(&&product["id"]), "{query} finds {ids:?}");
            products += 1;
        }
    }
    assert!(products > 20, "{products} products");
    let mut client = stranger(&server).await;
    for drawing in drawings {
        let path = drawing.strip_prefix(server.base_url()).unwrap();
        let reply = client.get(path).await;
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("image/png")));
    }
    server.stop();
}

/// What the list says of a product is all that it takes to buy it.
#[tokio::test]
async fn every_product_can_be_bought_by_what_the_list_says_of_it() {
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
            let start = format.strip_suffix("XXX").unwrap_or_else(|| panic!("{product}"));
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
                    "billReference": format!("{}101", start.replace('X', "7")),
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

/// Bills and other countries are not the reseller's face's: a merchant with a BDT wallet sees whom
/// it can buy from.
#[tokio::test]
async fn a_reseller_sees_only_whom_it_can_buy_from() {
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

/// Whatever the level, the log knows no password, token or whole number (RELIABILITY K9).
#[tokio::test]
async fn the_trace_log_keeps_a_customers_secrets() {
    const DEVICE: &str = "CANARYfcmToken";
    const WRONG: &str = "CANARYwrongPassword";
    let folder = Folder::new();
    let server = folder.start_with(&[&UNLIMITED[..], &["--log", "trace"]].concat());
    let mut customer = Customer::of(&folder, &server, 500).await;
    let quote = customer.quote(&meter("L-1", "41234560101")).await.json();
    let done = customer.client.post(AUTH, accepting(&quote).to_string()).await.json();
    assert_eq!(done["status"], "COMPLETED", "{done}");
    let mut client = stranger(&server).await;
    let path = format!("{WALLET_API}/authenticate/customers");
    let mine = &server.credentials.customer;
    let right = json!({"username": mine["username"], "password": mine["password"],
        "fcmToken": DEVICE});
    let entered = client.post(&path, right.to_string()).await.json();
    let wrong = json!({"username": mine["username"], "password": WRONG, "fcmToken": DEVICE});
    assert_no(&client.post(&path, wrong.to_string()).await, 401, "LOGIN_FAILED");
    client.set("authorization", &format!("Bearer {WRONG}"));
    assert_no(&client.get(&format!("{WALLET_API}/wallet/balance")).await, 401, "TOKEN_INVALID");
    let token = text(&entered["accessToken"]);
    let secrets = [
        ("password", text(&mine["password"])),
        ("access token", token.rsplit('.').next().unwrap()),
        ("preAuthToken", text(&quote["preAuthToken"]).trim_start_matches("preauth_")),
        ("electricity's token", text(&done["tokens"][0]["token"])),
        ("meter", "41234560101"),
        ("mobile number", "771234567"),
        ("fcmToken", DEVICE),
        ("wrong password", WRONG),
    ];
    // The greeting is for whoever tries the demo out, not a log.
    let log = server.log();
    let log = log.split_once("everything is kept.").unwrap().1;
    assert!(log.contains("answered") && log.contains("access refused"), "there is a log: {log}");
    for (what, secret) in secrets {
        let told: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(told.is_empty(), "the log tells the {what}: {told:?}");
    }
    server.stop();
}
