//! What a browser or a monitor gets without keys: health, pages, OpenAPI documents, logos.

use crate::support::{Folder, RECHARGE, Reply, UNLIMITED, anonymous, recharge};
use std::collections::BTreeSet;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.0.body).unwrap()
}

/// Every URL in the page is the server's own.
#[track_caller]
fn assert_no_foreign_host(html: &str, base_url: &str) {
    let rest = html.replace(base_url, "");
    for foreign in ["=\"http", "='http", "=\"//", "='//"] {
        assert!(!rest.contains(foreign), "{foreign} in {rest}");
    }
}

#[tokio::test]
async fn pages_need_no_keys_and_load_nothing_from_other_hosts() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    for (path, kind, begins) in [
        ("/healthz", "text/plain", "ok"),
        ("/", "text/html", "<!doctype html>"),
        ("/docs", "text/html", "<!doctype html>"),
        ("/docs/reference", "text/html", "<!doctype html>"),
        ("/docs/offers", "text/html", "<!doctype html>"),
        ("/docs/run", "text/html", "<!doctype html>"),
        ("/llms.txt", "text/plain", "# Saldo"),
        ("/docs.md", "text/markdown", ""),
        ("/docs/scalar.js", "text/javascript", "("),
        ("/openapi/irecharge.json", "application/json", "{"),
        ("/openapi/rechargely.json", "application/json", "{"),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status(), 200, "{path}");
        let sent = reply.header("content-type").unwrap();
        assert!(sent.starts_with(kind), "{path} is {sent}");
        assert!(text(&reply).starts_with(begins), "{path}: {:.80}", text(&reply));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        if kind == "text/html" {
            assert_no_foreign_host(text(&reply), server.base_url());
            let policy = reply.header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
        }
    }
    assert_eq!(text(&client.get("/healthz").await).trim(), "ok");
    server.stop();
}

/// With a slash at its end a path is the same.
#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    for path in ["/docs", "/healthz", "/openapi/irecharge.json"] {
        let plain = client.get(path).await;
        let slashed = client.get(&format!("{path}/")).await;
        assert_eq!((plain.status(), slashed.status()), (200, 200), "{path}");
        assert_eq!(plain.0.body, slashed.0.body, "{path}");
    }
    let mut merchant = server.sandbox().await;
    for path in ["/api/billing/balance/", "/api/billing/operators/?country=bd"] {
        assert_eq!(merchant.get(path).await.status(), 200, "{path}");
    }
    let bought = merchant.post(&format!("{RECHARGE}/"), recharge("01712345101", 10, "S-1")).await;
    assert_eq!(bought.json()["billing"]["status"], "success", "{bought:?}");
    server.stop();
}

/// The reference lists the codes that the server answers before an endpoint sees a request.
#[tokio::test]
async fn the_servers_own_codes_are_in_the_reference() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    let long = client.get(&format!("/docs?{}", "x".repeat(5_000))).await;
    assert_eq!((long.status(), &long.json()["code"]), (414, &"URI_TOO_LONG".into()));
    let mut client = anonymous(&server).await;
    for document in ["/openapi/irecharge.json", "/openapi/rechargely.json"] {
        let api = client.get(document).await.json();
        let codes = &api["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let codes: Vec<&str> =
            codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        for code in [
            "URI_TOO_LONG",
            "UNSUPPORTED_ENCODING",
            "HEAD_TOO_LARGE",
            "BAD_REQUEST_FRAMING",
            "REQUEST_TIMEOUT",
            "TOO_MANY_CONNECTIONS",
            "ANSWER_TIMEOUT",
            "ROUTE_NOT_FOUND",
        ] {
            assert!(codes.contains(&code), "{document}: {code}");
        }
    }
    server.stop();
}

/// Every page that is linked from the start, followed once: each answers, has one heading of the
/// first level, loads nothing from elsewhere, and what it links to inside a page is there.
#[tokio::test]
async fn every_link_of_the_pages_works() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    let mut waiting = vec!["/".to_owned(), "/docs/".to_owned(), "/docs/reference".to_owned()];
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut pages = 0;
    while let Some(address) = waiting.pop() {
        let reply = client.get(&address).await;
        // Without a log-in, a page of somebody leads to the log-in.
        assert!([200, 303].contains(&reply.status()), "{address}: {}", reply.status());
        let is_page =
            reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        if reply.status() != 200 || !is_page {
            continue;
        }
        pages += 1;
        let html = text(&reply).to_owned();
        assert_eq!(html.matches("<h1").count(), 1, "{address}");
        assert!(!html.contains("{{"), "{address}: a placeholder");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
        for attribute in ["href=\"", "src=\""] {
            for rest in html.split(attribute).skip(1) {
                let link = rest.split('"').next().unwrap().replace("&#38;", "&");
                let link = link.replace("&amp;", "&");
                if link == "https://www.standardwebhooks.com/" {
                    continue;
                }
                let (path, place) = link.split_once('#').unwrap_or((&link, ""));
                if place.is_empty() && path == address {
                    continue;
                }
                if path.is_empty() || path == address {
                    assert!(html.contains(&format!("id=\"{place}\"")), "{address}: #{place}");
                    continue;
                }
                assert!(path.starts_with('/'), "{address} links to {link}");
                // One of the filters and preferences each.
                let kind = path.split(['?', '=']).take(2).collect::<Vec<_>>().join("?");
                let is_one_of_many = path.contains('?') && seen.contains(&kind);
                if !is_one_of_many && seen.insert(path.to_owned()) {
                    seen.insert(kind);
                    waiting.push(path.to_owned());
                }
            }
        }
    }
    assert!(pages >= 14, "{pages} pages: {seen:?}");
    for document in ["/openapi/irecharge.json", "/openapi/rechargely.json"] {
        let api = client.get(document).await.json();
        assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
        assert!(include_str!("../../../../web/files/reference.js").contains(document));
    }
    server.stop();
}

#[tokio::test]
async fn every_logo_is_an_image_on_this_server() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let listed = server.sandbox().await.get("/api/billing/operators").await;
    assert_eq!(listed.status(), 200);
    let listed = listed.json();
    let operators = listed.as_array().unwrap();
    assert!(!operators.is_empty());
    let mut client = anonymous(&server).await;
    for operator in operators {
        let logo = operator["logo"].as_str().unwrap();
        let path = logo.strip_prefix(server.base_url()).unwrap();
        let reply = client.get(path).await;
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("image/png")));
        assert!(reply.0.body.starts_with(PNG), "{logo}");
        let svg = client.get(&path.replace(".png", ".svg")).await;
        assert_eq!((svg.status(), svg.header("content-type")), (200, Some("image/svg+xml")));
    }
    assert_eq!(client.get("/operator_logo/nobody.png").await.status(), 404);
    assert_eq!(client.get("/operator_logo/..%2f..%2fCargo.toml").await.status(), 404);
    server.stop();
}
