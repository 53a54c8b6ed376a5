//! Every page once in Chromium: no error, no refused policy, no barrier, nothing to scroll
//! sideways on a phone; and what pages weigh.

use super::driver::Chromium;
use super::pages::{PageAt, REFERENCE, barriers, demo_with_history, enter, pages, widest, width};
use crate::support::{Client, Folder};
use crate::web::browser::Browser;
use serde_json::json;
use std::time::Instant;
use web::AreaKind;

/// The width of a small phone.
const PHONE: u32 = 360;
/// Bytes, compressed: the budgets of the files.
const FILE_BUDGETS: [(&str, usize); 4] =
    [("ui-", 8_192), ("live-", 1_536), ("docs-", 1_536), ("saldo-", 1_024)];
/// Bytes of a page with fifty rows, not compressed.
const PAGE_BYTES_MAX: usize = 60_000;
/// Requests of a page: the first time, and again.
const COLD_MAX: usize = 5;
const WARM_MAX: usize = 1;

#[tokio::test]
async fn every_public_page_is_sound() {
    crawl(AreaKind::Public, 14).await;
}

#[tokio::test]
async fn every_page_of_the_dashboard_is_sound() {
    crawl(AreaKind::Dashboard, 28).await;
}

#[tokio::test]
async fn every_page_of_staff_is_sound() {
    crawl(AreaKind::Admin, 5).await;
}

async fn crawl(area: AreaKind, count: usize) {
    let folder = Folder::new();
    let server = demo_with_history(&folder).await;
    let pages = pages(&server, area).await;
    assert!(pages.len() >= count, "{} pages: {pages:?}", pages.len());
    let mut browser = Chromium::start(&server).await;
    enter(&mut browser, &server, area).await;
    browser.findings().await;
    let mut found = Vec::new();
    for PageAt { path, .. } in &pages {
        let mut note = |what: &str, all: Vec<String>| {
            found.extend(all.into_iter().map(|one| format!("{path}: {what}: {one}")));
        };
        browser.goto(path).await;
        note("log", browser.findings().await);
        if path == REFERENCE {
            continue;
        }
        note("light", barriers(&browser, &[]).await);
        browser.colours("dark").await;
        browser.width(PHONE).await;
        note("dark, on a phone", barriers(&browser, &[]).await);
        let wide = width(&browser).await;
        if wide > PHONE.into() {
            let what = widest(&browser, PHONE.into()).await;
            note("on a phone", vec![format!("{wide} pixels wide: {what}")]);
        }
        browser.colours("light").await;
        browser.width(1280).await;
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    server.stop();
}

/// A crawl that sees nothing would pass: what is wrong is seen.
#[tokio::test]
async fn what_is_wrong_with_a_page_is_seen() {
    let folder = Folder::new();
    let server = folder.start();
    let browser = Chromium::start(&server).await;
    browser.goto("/").await;
    assert_eq!(browser.findings().await, Vec::<String>::new());
    let spoil = "document.querySelector('main').insertAdjacentHTML('beforeend',
        `<img src=\"/files/nothing.svg\"><p style=\"color: #eee\">pale</p>`);
        const wide = document.createElement('pre');
        wide.style.inlineSize = '500px';
        wide.style.color = 'var(--line)';
        wide.textContent = 'wide and pale';
        document.querySelector('main').append(wide)";
    browser.width(PHONE).await;
    browser.run(spoil, json!([])).await;
    let barriers = barriers(&browser, &[]).await;
    for rule in ["image-alt", "color-contrast"] {
        assert!(barriers.iter().any(|one| one.starts_with(rule)), "{rule}: {barriers:?}");
    }
    assert!(width(&browser).await > PHONE.into());
    assert!(widest(&browser, PHONE.into()).await.contains("<pre"));
    let mut findings = browser.findings().await;
    findings.sort();
    assert!(findings.iter().any(|one| one.contains("Content Security Policy")), "{findings:?}");
    assert!(findings.iter().any(|one| one.contains("404")), "{findings:?}");
    server.stop();
}

/// What pages weigh, what they ask for, and how long they take: printed, and the sizes held.
#[tokio::test]
async fn pages_keep_their_budgets() {
    let folder = Folder::new();
    let server = demo_with_history(&folder).await;
    let mut failed = Vec::new();
    let mut reader = Browser::merchant(&server).await;
    println!("bytes of a page, and its time in the server (a debug build):");
    for PageAt { path, .. } in pages(&server, AreaKind::Dashboard).await {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..5 {
            let began = Instant::now();
            bytes = reader.get(&path).await.html.len();
            times.push(began.elapsed());
        }
        times.sort();
        println!("{bytes:>8} B {:>8.1?}  {path}", times[2]);
        if bytes > PAGE_BYTES_MAX {
            failed.push(format!("{path}: {bytes} bytes"));
        }
    }
    let mut browser = Chromium::start(&server).await;
    enter(&mut browser, &server, AreaKind::Dashboard).await;
    // The log-in has loaded the files already: they are asked for again by an empty cache.
    browser.cdp("Network.clearBrowserCache", json!({})).await;
    let mut files: Vec<String> = Vec::new();
    for path in ["/dashboard/live", "/dashboard/live/transactions", "/dashboard/live/webhooks"] {
        for (what, most) in [("cold", COLD_MAX), ("warm", WARM_MAX)] {
            if what == "cold" {
                browser.cdp("Network.clearBrowserCache", json!({})).await;
            }
            browser.requests().await;
            browser.goto(path).await;
            let mut asked = browser.requests().await;
            // The mark is the icon too: where both ask at once, it is chance who gets it first.
            asked.sort();
            asked.dedup();
            println!("{:>2} requests, {what}: {path}", asked.len());
            if asked.len() > most {
                failed.push(format!("{path}, {what}: {asked:?}"));
            }
            files.extend(asked.into_iter().filter(|url| url.starts_with("/files/")));
        }
    }
    let painted = first_paint(&mut browser).await;
    println!("{painted:.0} ms from a click to the first paint");
    files.push(files_of_docs(&mut reader).await);
    files.sort();
    files.dedup();
    let mut client = Client::anonymous(&server.address).await;
    client.set("accept-encoding", "gzip");
    for url in files {
        let reply = client.get(&url).await;
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{url}");
        let bytes = reply.0.body.len();
        println!("{bytes:>8} B compressed: {url}");
        let name = url.trim_start_matches("/files/");
        let limit = FILE_BUDGETS.iter().find(|(begins, _)| name.starts_with(begins));
        let (_, limit) = limit.unwrap_or_else(|| panic!("{url} has no budget"));
        let limit = if name.ends_with(".js") && name.starts_with("ui-") { 3_072 } else { *limit };
        if bytes > limit {
            failed.push(format!("{url}: {bytes} bytes"));
        }
    }
    assert!(failed.is_empty(), "over budget:\n{}", failed.join("\n"));
    server.stop();
}

/// The script of the documents, which the dashboard does not load.
async fn files_of_docs(reader: &mut Browser) -> String {
    let html = reader.get("/docs/offers").await.html;
    let (_, rest) = html.split_once("\"/files/docs-").unwrap();
    format!("/files/docs-{}", rest.split('"').next().unwrap())
}

/// Milliseconds from a click on the menu until something of the next page is seen.
async fn first_paint(browser: &mut Chromium) -> f64 {
    browser.goto("/dashboard/live").await;
    browser.click(".menu a[href=\"/dashboard/live/transactions\"]").await;
    browser.until(".filters").await;
    let look = "const done = arguments[arguments.length - 1];
        new PerformanceObserver((list) => done(list.getEntries()[0].startTime))
          .observe({ type: 'paint', buffered: true })";
    browser.run_until_done(look).await.as_f64().unwrap()
}
