//! What a browser or a monitor gets without keys: health, pages, OpenAPI documents, logos.

use crate::support::{Folder, Reply, UNLIMITED, anonymous};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.0.body).unwrap()
}

/// Every URL in the page is the server's own.
#[track_caller]
fn assert_no_foreign_host(html: &str, base_url: &str) {
    let rest = html.replace(base_url, "");
    for foreign in ["http://", "https://", "=\"//", "='//"] {
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
        ("/docs/scalar.js", "text/javascript", "("),
        ("/docs/start.js", "text/javascript", ""),
        ("/docs/saldo.css", "text/css", ""),
        ("/docs/saldo.svg", "image/svg+xml", "<svg"),
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

/// Every link of a page to this server works.
#[tokio::test]
async fn every_link_of_the_pages_works() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    let mut links = 0;
    for page in ["/", "/docs"] {
        let html = text(&client.get(page).await).to_owned();
        for attribute in ["href=\"", "src=\""] {
            for rest in html.split(attribute).skip(1) {
                let link = rest.split('"').next().unwrap();
                assert_eq!(client.get(link).await.status(), 200, "{page} links to {link}");
                links += 1;
            }
        }
    }
    assert!(links >= 10, "{links} links");
    for document in ["/openapi/irecharge.json", "/openapi/rechargely.json"] {
        let api = client.get(document).await.json();
        assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
        assert!(text(&client.get("/docs/start.js").await).contains(document));
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
