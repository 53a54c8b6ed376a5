//! The documents: that their samples run, and that their recorded answers are what the sandbox
//! says.

use super::samples::run;
use crate::support::{Folder, OFFER, Reply, UNLIMITED, anonymous};
use expect_test::expect_file;
use serde_json::{Map, Value, json};
use standardwebhooks::Webhook;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const OFFERS: &str = "/api/billing/recharge/offers";
/// The last three digits: success at once.
const NUMBER: &str = "01712345101";

fn text(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{reply:?}");
    String::from_utf8(reply.0.body.to_vec()).unwrap()
}

/// The text of escaped HTML.
pub fn unescaped(html: &str) -> String {
    let pairs = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    pairs.iter().fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The code elements of a page, by their ids.
pub fn codes(html: &str) -> BTreeMap<String, String> {
    let codes = html.split("<code id=\"").skip(1).map(|rest| {
        let (id, rest) = rest.split_once("\">").unwrap();
        (id.to_owned(), unescaped(rest.split_once("</code>").unwrap().0))
    });
    codes.collect()
}

/// An answer without what is new each time: ids, and the operator's number of the transaction.
fn steady(mut answer: Value) -> Value {
    answer["billing"]["transactionId"] = json!(21);
    for path in ["/message", "/provider/message"] {
        let Some(message) = answer.pointer_mut(path) else { continue };
        let words = message.as_str().unwrap().split(' ').map(|word| {
            let is_number = word.starts_with('R') && word.matches('.').count() >= 2;
            if is_number { "R260423.2309.36014f." } else { word }
        });
        *message = json!(words.collect::<Vec<_>>().join(" "));
    }
    answer
}

/// What readers see who are not logged in is what a server says. `UPDATE_EXPECT=1` records anew.
#[tokio::test]
async fn the_recorded_offers_are_what_the_sandbox_says() {
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED.as_slice(), &["--balance", "50000"]].concat());
    let mut client = server.sandbox().await;
    let mut operators = Map::new();
    for (code, name) in
        [("GP", "grameenphone"), ("RB", "robi"), ("AT", "airtel"), ("BL", "banglalink")]
    {
        let offers = client.get(&format!("{OFFERS}?number={NUMBER}&operator={name}")).await.json();
        let (mut purchases, mut refused) = (Map::new(), Value::Null);
        for offer in offers["offers"].as_array().unwrap() {
            let id = offer["id"].as_str().unwrap();
            let mut body = Map::new();
            let names = "operator number amount ticketId offerId campaignId sessionContext \
                         optInKeyword tranId";
            for name in names.split_whitespace().filter(|name| !offer[name].is_null()) {
                body.insert(name.to_owned(), offer[name].clone());
            }
            let naming = if body.contains_key("ticketId") { "ticketId" } else { "offerId" };
            let reference = format!("BILL-{code}-{}", purchases.len() + 1);
            body.insert("reference".to_owned(), json!(reference));
            let reply = client.post(OFFER, Value::from(body.clone()).to_string()).await;
            assert_eq!(reply.status(), 200, "{reply:?}");
            let mut answer = steady(reply.json());
            assert_eq!(answer["billing"]["status"], "success", "{answer}");
            // As the page's body has it.
            answer["billing"]["reference"] = json!("BILL-20260204-0003");
            purchases.insert(id.to_owned(), answer);
            body.remove(naming);
            body.insert("reference".to_owned(), json!(format!("{reference}-again")));
            let reply = client.post(OFFER, Value::from(body).to_string()).await;
            reply.assert_refused(422, "VALIDATION_ERROR");
            refused = reply.json();
        }
        assert!(!purchases.is_empty(), "{code} has offers");
        let answers = json!({"offers": offers, "purchases": purchases, "refused": refused});
        operators.insert(code.to_owned(), answers);
    }
    let all = json!({"number": NUMBER, "operators": operators});
    let all = serde_json::to_string_pretty(&all).unwrap() + "\n";
    expect_file!["../../../../web/src/docs/offers/recorded.json"].assert_eq(&all);
    server.stop();
}

/// The program that runs a sample in this language; none: this machine has none.
fn ran(folder: &Folder, language: &str, code: &str) -> Option<String> {
    let file = |ending: &str| {
        let path = folder.path(&format!("sample.{ending}"));
        fs::write(&path, code).unwrap();
        path.to_string_lossy().into_owned()
    };
    match language {
        "curl" => {
            Some(run(folder, "bash", "bash", &["-c", &format!("{code} -sS -w ' %{{http_code}}'")]))
        }
        "javascript" => Some(run(folder, "node", "nodejs", &[&file("mjs")])),
        "python" => Some(run(folder, "python3", "python3", &[&file("py")])),
        "php" => {
            let has_php = Command::new("php").arg("--version").output().is_ok();
            has_php.then(|| run(folder, "php", "php-cli", &[&file("php")]))
        }
        // It needs a crate from elsewhere: here it is only read.
        "rust" => Some(run(folder, "rustfmt", "rustfmt", &["--edition", "2024", &file("rs")])),
        other => panic!("{other}"),
    }
}

/// Every sample of the billing API's page, in every language, does what the page says.
#[tokio::test]
async fn every_sample_runs_in_every_language() {
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED.as_slice(), &["--balance", "50000"]].concat());
    let mut client = anonymous(&server).await;
    let keys = server.credentials.merchant.sandbox.clone();
    for language in ["curl", "javascript", "python", "php", "rust"] {
        let page = text(&client.get(&format!("/docs/irecharge?lang={language}")).await);
        let samples = codes(&page).into_iter().filter(|(id, _)| id.starts_with("sample-"));
        let mut count = 0;
        // A status is asked for what the recharge has bought.
        for (id, code) in samples.collect::<BTreeMap<_, _>>().into_iter().rev() {
            let code = code
                .replace("ok_test_YOUR_OPEN_KEY", &keys.open_key)
                .replace("sk_test_YOUR_SECRET_KEY", &keys.secret_key)
                .replace("BILL-20260204-0001", &format!("BILL-{language}"))
                .replace("BILL-026401", &format!("BILL-{language}"))
                .replace("BILL-20260204-0003", &format!("OFFER-{language}"))
                .replace("BANK-0001", &format!("BANK-{language}"))
                .replace("\"transaction_id\": 1", &format!("\"reference\": \"BILL-{language}\""))
                .replace("'transaction_id' => 1", &format!("'reference' => 'BILL-{language}'"))
                .replace("https://your-domain.com", "https://example.com");
            let Some(output) = ran(&folder, language, &code) else { continue };
            count += 1;
            let is_checked = language != "rust";
            assert!(!is_checked || output.contains("200"), "{language} {id}: {output}\n{code}");
        }
        assert!(count >= 8 || language == "php", "{language}: {count} samples");
    }
    server.stop();
}

/// The way of verifying a webhook by hand believes what is signed, and nothing else.
#[test]
fn a_webhook_is_verified_in_a_shell() {
    let folder = Folder::new();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = r#"{"event":"webhook.test"}"#;
    let path = folder.path("body.json");
    fs::write(&path, body).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../samples/receivers/shell/verify.sh")
        .canonicalize()
        .unwrap();
    let verified = |at: i64, signed: &str| {
        let signature = Webhook::new(secret).unwrap().sign("evt_1", at, signed.as_bytes()).unwrap();
        let status = Command::new("sh")
            .arg(&script)
            .arg(&path)
            .env("WEBHOOK_SECRET", secret)
            .env("WEBHOOK_ID", "evt_1")
            .env("WEBHOOK_TIMESTAMP", at.to_string())
            .env("WEBHOOK_SIGNATURE", format!("v1,wrong {signature}"))
            .output()
            .unwrap();
        status.status.success()
    };
    assert!(verified(now, body));
    assert!(!verified(now, r#"{"event":"other"}"#), "another body");
    assert!(!verified(now - 400, body), "too old");
}

/// Whoever is not logged in sees operators, offers and every request of a purchase.
#[tokio::test]
async fn the_explorer_shows_a_whole_purchase_without_a_log_in() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    for (code, identifiers) in [
        ("GP", "offerId campaignId sessionContext"),
        ("RB", "ticketId"),
        ("AT", "ticketId"),
        ("BL", "offerId tranId"),
    ] {
        let page = text(&client.get(&format!("/docs/offers?operator={code}")).await);
        let codes = codes(&page);
        let response: Value = serde_json::from_str(&codes["response"]).unwrap();
        assert!(!response["offers"].as_array().unwrap().is_empty(), "{code}");
        let body: Value = serde_json::from_str(&codes["purchase-body"]).unwrap();
        for name in identifiers.split(' ') {
            assert_eq!(body[name], response["offers"][0][name], "{code}: {name}");
            assert!(page.contains(&format!("<code>{name}</code>")), "{code}: {name}");
        }
        let bought: Value = serde_json::from_str(&codes["purchase-response"]).unwrap();
        assert_eq!(bought["billing"]["amount"], body["amount"], "{code}");
        let refused: Value = serde_json::from_str(&codes["purchase-error"]).unwrap();
        assert_eq!(refused["code"], "VALIDATION_ERROR", "{code}");
        assert!(codes["purchase-request"].contains("recharge/offers/purchase"), "{code}");
    }
    // Another offer of the same operator.
    let page = text(&client.get("/docs/offers?operator=BL").await);
    let codes_first = codes(&page);
    let offers: Value = serde_json::from_str(&codes_first["response"]).unwrap();
    let second = offers["offers"][1]["id"].as_str().unwrap();
    let page = text(&client.get(&format!("/docs/offers?operator=BL&offer={second}")).await);
    assert!(codes(&page)["purchase-body"].contains(second));
    // One without offers, and a filter that finds one or none.
    let page = text(&client.get("/docs/offers?operator=TT").await);
    assert!(page.contains("Teletalk has no offers.") && !page.contains("purchase-body"));
    let page = text(&client.get("/docs/offers?q=rob").await);
    assert!(page.contains(">Robi<") && !page.contains("<span>Airtel</span>"));
    let page = text(&client.get("/docs/offers?q=nobody").await);
    assert!(page.contains("No operator has this name or code."));
    server.stop();
}

/// What programs read: the list of documents, each as Markdown, and a collection of all requests.
#[tokio::test]
async fn programs_find_the_documents() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    let list = text(&client.get("/llms.txt").await);
    let links = list.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let links: Vec<&str> =
        links.map(|link| link.strip_prefix(server.base_url()).unwrap()).collect();
    assert!(links.len() >= 9, "{links:?}");
    for link in links {
        let document = text(&client.get(link).await);
        assert!(!document.contains("{{operation") && document.len() > 500, "{link}");
    }
    let guide = text(&client.get("/docs/irecharge.md").await);
    assert!(guide.contains("### Normal recharge") && guide.contains("curl -X POST"), "{guide}");
    let reply = client.get("/docs/saldo.postman_collection.json").await;
    let collection: Value = serde_json::from_str(&text(&reply)).unwrap();
    assert_eq!(collection["variable"][0]["value"], server.base_url());
    for (folder, path) in [(0, "/openapi/irecharge.json"), (1, "/openapi/rechargely.json")] {
        let document = client.get(path).await.json();
        let paths = document["paths"].as_object().unwrap().values();
        let operations: usize = paths.map(|item| item.as_object().unwrap().len()).sum();
        let items = collection["item"][folder]["item"].as_array().unwrap();
        assert_eq!(items.len(), operations, "{path}");
        for item in items {
            let url = item["request"]["url"].as_str().unwrap();
            assert!(url.starts_with("{{base_url}}/"), "{url}");
        }
    }
    server.stop();
}
