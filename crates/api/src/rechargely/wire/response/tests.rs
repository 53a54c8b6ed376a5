//! Every kind of answer, to the byte.

use super::*;
use crate::irecharge::fixture;
use crate::wire::json::serialize;
use domain::{Currency, Money, PurchaseId, State};
use expect_test::expect;
use serde::Serialize;

const fn usd(minor: i64) -> Amount {
    Amount(Money::new(minor, Currency::USD))
}

fn payment(state: State) -> Purchase {
    let mut purchase = fixture::purchase(state);
    purchase.key.id = PurchaseId(1234);
    purchase.reference = "string".into();
    purchase.recipient = "0771234567".into();
    purchase.amount = usd(1_000).0;
    purchase.fee = usd(25).0;
    purchase
}

/// Each field on its own line.
fn lines(body: &impl Serialize) -> String {
    serialize(body).unwrap().replace(",\"", ",\n\"")
}

#[test]
fn the_seeds_category_and_provider() {
    let category = ListedCategory {
        id: ids::category(1),
        category: "Airtime",
        description: "Mobile airtime top-ups",
        logo: "https://example.com/logos/airtime.png".into(),
    };
    expect![[r#"
        [{"id":"cat_001",
        "category":"Airtime",
        "description":"Mobile airtime top-ups",
        "logo":"https://example.com/logos/airtime.png"}]"#]]
    .assert_eq(&lines(&[category]));
    expect![[r#"[{"providerName":"NetOne"}]"#]]
        .assert_eq(&lines(&[ListedProvider { provider_name: "NetOne" }]));
    let logged_in = LoggedIn {
        access_token: "eyJhbGciOiJIUzI1NiIs...",
        token_type: "Bearer",
        expires_in: 3600,
    };
    expect![[r#"
        {"accessToken":"eyJhbGciOiJIUzI1NiIs...",
        "tokenType":"Bearer",
        "expiresIn":3600}"#]]
    .assert_eq(&lines(&logged_in));
}

#[test]
fn the_seeds_product() {
    let product = ListedProduct {
        id: ids::product(1),
        name: "econet_airtime",
        description: "Econet Airtime",
        ref_name: "econet",
        bill_format: "07XXXXXXXX",
        category: "Airtime",
        status: Availability::Active,
        biller_name: "Econet Wireless",
        currency: "USD",
        product_price: usd(0),
        product_name: "Econet Airtime",
        provider_code: "ECONET",
        pricing_type: PricingType::Variable,
        product_logo_url: "https://example.com/logos/econet.png".into(),
        min_amount: usd(50),
        max_amount: usd(50_000),
        product_id: 1,
        fields: vec![ListedField {
            name: "studentName",
            label: "Student's name",
            required: true,
            format: None,
            max_length: 64,
        }],
    };
    expect![[r#"
        {"id":"prod_001",
        "name":"econet_airtime",
        "description":"Econet Airtime",
        "refName":"econet",
        "billFormat":"07XXXXXXXX",
        "category":"Airtime",
        "status":"ACTIVE",
        "billerName":"Econet Wireless",
        "currency":"USD",
        "productPrice":0,
        "productName":"Econet Airtime",
        "providerCode":"ECONET",
        "pricingType":"VARIABLE",
        "productLogoUrl":"https://example.com/logos/econet.png",
        "minAmount":0.5,
        "maxAmount":500,
        "productId":1,
        "fields":[{"name":"studentName",
        "label":"Student's name",
        "required":true,
        "format":null,
        "maxLength":64}]}"#]]
    .assert_eq(&lines(&product));
}

#[test]
fn the_seeds_pre_auth() {
    let mut quote = payment(State::Quoted);
    expect![[r#"
        {"responseCode":"200",
        "responseMessage":"Payment initiated successfully",
        "preAuthToken":"preauth_abc123",
        "requestId":"string",
        "status":"PENDING",
        "amount":10,
        "fee":0.25,
        "total":10.25,
        "currency":"USD",
        "expiresAt":"2026-02-05T19:57:34.000000Z",
        "message":"Nothing is charged yet. Authorize the payment before it expires."}"#]]
    .assert_eq(&lines(&PreAuthAnswer::of(&quote, "preauth_abc123")));
    quote.details.insert(CUSTOMER_NAME.into(), "T. MOYO".into());
    let answer = lines(&PreAuthAnswer::of(&quote, "preauth_abc123"));
    assert!(answer.contains("\"customer\":{\"name\":\"T. MOYO\",\n\"address\":null}"));
}

#[test]
fn the_seeds_auth() {
    let delivered = payment(State::Delivered);
    expect![[r#"
        {"responseCode":"200",
        "responseMessage":"Payment authorized successfully",
        "transactionReference":"TXN-2026-00001234",
        "status":"COMPLETED",
        "requestId":"string",
        "amount":10,
        "fee":0.25,
        "currency":"USD",
        "tokens":[],
        "receipt":[],
        "message":"It was delivered. Amount and fee are charged."}"#]]
    .assert_eq(&lines(&AuthAnswer::of(&delivered, DeliveryView::default())));
    let delivery = DeliveryView {
        tokens: vec![MeterToken {
            token: "12345678901234567890",
            units: Some("45.7"),
            kind: "CREDIT",
        }],
        receipt: vec![ReceiptLine { label: "Meter".into(), value: "41234567890".into() }],
    };
    let product =
        BoughtProduct { id: ids::product(1), product_id: 1, product_name: "Econet Airtime" };
    expect![[r#"
        {"responseCode":"200",
        "responseMessage":"Payment authorized successfully",
        "transactionReference":"TXN-2026-00001234",
        "status":"COMPLETED",
        "requestId":"string",
        "amount":10,
        "fee":0.25,
        "currency":"USD",
        "tokens":[{"token":"12345678901234567890",
        "units":"45.7",
        "kind":"CREDIT"}],
        "receipt":[{"label":"Meter",
        "value":"41234567890"}],
        "message":"It was delivered. Amount and fee are charged.",
        "id":1234,
        "product":{"id":"prod_001",
        "productId":1,
        "productName":"Econet Airtime"},
        "billReference":"0771234567",
        "createdAt":"2026-02-05T19:42:34.000000Z",
        "updatedAt":"2026-02-05T19:42:34.000000Z",
        "completedAt":"2026-02-05T19:42:34.000000Z"}"#]]
    .assert_eq(&lines(&Transaction::of(&delivered, Some(product), delivery)));
}

#[test]
fn a_status_is_never_null_and_a_code_always_a_string() {
    for state in State::ALL {
        let payment = payment(state);
        let answer = serialize(&AuthAnswer::of(&payment, DeliveryView::default())).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        for field in ["responseCode", "responseMessage", "transactionReference", "status"] {
            assert!(answer[field].as_str().is_some_and(|t| !t.is_empty()), "{state:?} {field}");
        }
        assert_eq!(answer["requestId"], "string");
    }
}

#[test]
fn wallets_and_their_movements() {
    let wallet = WalletBalance { currency: "USD", balance: usd(12_050) };
    expect![[r#"
        [{"currency":"USD",
        "balance":120.5}]"#]]
    .assert_eq(&lines(&[wallet]));
    let line = StatementLine {
        id: 42,
        kind: "hold",
        change: usd(-1_025),
        balance: usd(11_025),
        currency: "USD",
        reference: Some("TXN-2026-00001234".into()),
        request_id: Some("string".into()),
        at: rfc3339(domain::Timestamp(0)),
    };
    let deposit = StatementLine { kind: "deposit", reference: None, request_id: None, ..line };
    let statement = Statement { entries: vec![deposit], next_before: Some(42) };
    expect![[r#"
        {"entries":[{"id":42,
        "type":"deposit",
        "change":-10.25,
        "balance":110.25,
        "currency":"USD",
        "at":"1970-01-01T00:00:00.000000Z"}],
        "nextBefore":42}"#]]
    .assert_eq(&lines(&statement));
}
