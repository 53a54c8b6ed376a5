//! Every page once in Chromium: no error, no refused policy, no barrier, nothing to scroll
//! sideways on a phone; and what pages weigh.

use super::driver::Chromium;
use super::pages::{PageAt, REFERENCE, barriers, demo_with_history, enter, pages, widest, width};
use crate::support::{Client, Folder, Server};
use crate::web::browser::Browser;
use serde_json::json;
use tokio::time::Instant;
use web::AreaKind;

/// The width of a small phone.
const PHONE: u32 = 360;
/// Bytes, compressed: the budgets of the files.
const FILE_BUDGETS: [(&str, &str, usize); 5] = [
    ("ui-", ".css", 8_192),
    ("ui-", ".js", 3_072),
    ("live-", ".js", 1_536),
    ("docs-", ".js", 1_536),
    ("saldo-", ".svg", 1_024),
];
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
            // Drawn by its script after it is loaded.
            browser.until("#app h1").await;
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
    let mut reader = Browser::merchant(&server).await;
    let mut over = weigh_pages(&server, &mut reader).await;
    let mut browser = Chromium::start(&server).await;
    enter(&mut browser, &server, AreaKind::Dashboard).await;
    let (mut files, too_many) = count_requests(&browser).await;
    over.extend(too_many);
    let painted = first_paint(&mut browser).await;
    print(&format!("{painted:.0} ms from a click to the first paint"));
    files.push(files_of_docs(&mut reader).await);
    files.sort();
    files.dedup();
    over.extend(weigh_files(&server, &files).await);
    assert!(over.is_empty(), "over budget:\n{}", over.join("\n"));
    server.stop();
}

#[expect(clippy::print_stdout, reason = "the budgets are to be read, even where they are kept")]
fn print(line: &str) {
    println!("{line}");
}

/// The pages that are too large.
async fn weigh_pages(server: &Server, reader: &mut Browser) -> Vec<String> {
    print("bytes of a page, and its time in the server (a debug build):");
    let mut over = Vec::new();
    for PageAt { path, .. } in pages(server, AreaKind::Dashboard).await {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..5 {
            let began = Instant::now();
            bytes = reader.get(&path).await.html.len();
            times.push(began.elapsed());
        }
        times.sort();
        print(&format!("{bytes:>8} B {:>8.1?}  {path}", times[2]));
        if bytes > PAGE_BYTES_MAX {
            over.push(format!("{path}: {bytes} bytes"));
        }
    }
    over
}

/// The files that pages ask for, and the pages that ask for too much: with an empty cache, and
/// again.
async fn count_requests(browser: &Chromium) -> (Vec<String>, Vec<String>) {
    let (mut files, mut over) = (Vec::new(), Vec::new());
    for path in ["/dashboard/live", "/dashboard/live/transactions", "/dashboard/live/webhooks"] {
        browser.cdp("Network.clearBrowserCache", json!({})).await;
        for (what, most) in [("cold", COLD_MAX), ("warm", WARM_MAX)] {
            browser.requests().await;
            browser.goto(path).await;
            let mut asked = browser.requests().await;
            // The mark is the icon too: where both ask at once, it is chance who gets it first.
            asked.sort();
            asked.dedup();
            print(&format!("{:>2} requests, {what}: {path}", asked.len()));
            if asked.len() > most {
                over.push(format!("{path}, {what}: {asked:?}"));
            }
            files.extend(asked.into_iter().filter(|url| url.starts_with("/files/")));
        }
    }
    (files, over)
}

/// The files that are too large, compressed.
async fn weigh_files(server: &Server, files: &[String]) -> Vec<String> {
    let mut client = Client::anonymous(&server.address).await;
    client.set("accept-encoding", "gzip");
    let mut over = Vec::new();
    for url in files {
        let reply = client.get(url).await;
        assert_eq!(reply.header("content-encoding"), Some("gzip"), "{url}");
        let bytes = reply.0.body.len();
        print(&format!("{bytes:>8} B compressed: {url}"));
        let name = url.trim_start_matches("/files/");
        let fits = |(begins, ends, _): &&(&str, &str, usize)| {
            name.starts_with(begins) && name.ends_with(ends)
        };
        let budget = FILE_BUDGETS.iter().find(fits);
        let (_, _, limit) = budget.unwrap_or_else(|| panic!("{url} has no budget"));
        if bytes > *limit {
            over.push(format!("{url}: {bytes} bytes"));
        }
    }
    over
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
