//! *Run* on the pages: requests of the API with the sandbox of whoever is logged in.

use super::browser::Browser;
use crate::support::Folder;
use crate::wire::docs::{codes, unescaped};
use serde_json::Value;

/// A request is run from the page, with the reader's own sandbox, and with nothing else.
#[tokio::test]
async fn a_request_is_run_from_the_page() {
    let folder = Folder::new();
    let server = folder.start();
    let mut anybody = Browser::open(&server).await;
    let page = anybody.get("/docs/run").await;
    assert!(page.html.contains("/dashboard/log-in?next=%2Fdocs%2Frun"), "{}", page.html);
    assert!(!page.html.contains("<textarea"));
    let mut browser = Browser::merchant(&server).await;
    let before = server.sandbox().await.balance().await;
    let page = browser.get("/docs/run?operation=recharge").await;
    let (_, body) = page.html.split_once("<textarea").unwrap();
    let body = body.split_once('>').unwrap().1.split_once("</textarea>").unwrap().0;
    let body = unescaped(body);
    let sent: Value = serde_json::from_str(&body).unwrap();
    let fields = [("operation", "recharge"), ("body", &body)];
    let answered = browser.post("/docs/run", &fields).await;
    assert_eq!(answered.status, 200, "{}", answered.html);
    assert!(answered.html.contains("HTTP 200"), "{}", answered.html);
    assert!(answered.html.contains("x-ratelimit-limit"), "{}", answered.html);
    let answer: Value = serde_json::from_str(&codes(&answered.html)["run-answer"]).unwrap();
    assert_eq!(answer["billing"]["reference"], sent["reference"]);
    assert_eq!(answer["billing"]["status"], "success");
    assert_eq!(server.sandbox().await.balance().await, before - 1_050);
    // The same form again buys nothing.
    let again = browser.post("/docs/run", &fields).await.html;
    assert!(again.contains("HTTP 422") && again.contains("DUPLICATE_REFERENCE"), "{again}");
    // A query, with its own field.
    let found = browser.post("/docs/run", &[("operation", "operators"), ("query.search", "robi")]);
    let found: Value = serde_json::from_str(&codes(&found.await.html)["run-answer"]).unwrap();
    assert_eq!(found[0]["operator_code"], "RB");
    // Nobody else's form, and nobody without a log-in.
    assert_eq!(browser.post_bare("/docs/run", &fields).await.status, 403);
    assert_ne!(anybody.post_bare("/docs/run", &fields).await.status, 200);
    server.stop();
}

/// Whoever is logged in sees the open key of the own sandbox in samples, and offers for any number.
#[tokio::test]
async fn the_documents_are_the_readers_own() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::merchant(&server).await;
    let page = browser.get("/docs").await.html;
    let open_key = &server.credentials.merchant.sandbox.open_key;
    assert!(codes(&page)["sample-recharge"].contains(open_key), "{page}");
    let page = browser.get("/docs/offers?operator=BL&number=01912345678").await.html;
    assert!(codes(&page)["response"].contains("01912345678"), "{page}");
    assert!(codes(&page)["purchase-error"].contains("VALIDATION_ERROR"), "{page}");
    server.stop();
}
