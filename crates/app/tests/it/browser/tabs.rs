//! Many tabs of one browser: all load, one holds the stream, all hear of a change; where that tab
//! is closed, another one goes on. A tab that nobody sees lets go.

use super::driver::Chromium;
use super::pages::enter;
use crate::support::{Folder, RECHARGE, Server, UNLIMITED, recharge};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use web::AreaKind;

/// More than the six connections that a browser opens to one server.
const TABS: usize = 8;
const LIST: &str = "/dashboard/sandbox/transactions";
/// How long a tab that nobody sees keeps the stream, and how many times as fast its waits pass in
/// the test.
const HIDDEN: Duration = Duration::from_secs(60);
const FASTER: u32 = 30;

/// Tabs that hold the stream, and tabs that would take it over.
async fn holders(browser: &Chromium) -> (u64, u64) {
    let look = "const done = arguments[arguments.length - 1];
        navigator.locks.query().then((all) => done([all.held.length, all.pending.length]))";
    let counts = browser.run_until_done(look).await;
    (counts[0].as_u64().unwrap(), counts[1].as_u64().unwrap())
}

async fn shows_delivered(browser: &Chromium, tabs: &[String], id: &str) {
    for tab in tabs {
        browser.show_tab(tab).await;
        browser.until(&format!("tr:has(a[href$=\"/{id}\"]) .badge.ok")).await;
        let reported =
            browser.run("return document.querySelector('[data-told]').textContent", json!([]));
        assert!(reported.await.as_str().unwrap().contains("changed"), "nothing is said");
        let same = browser.run("return window.wasLoadedOnce === true", json!([])).await;
        assert_eq!(same, true, "a tab was loaded again");
    }
}

/// Two purchases that wait for staff.
async fn two_that_wait(server: &Server) -> Vec<String> {
    let mut client = server.sandbox().await;
    let mut ids = Vec::new();
    for reference in ["FIRST", "SECOND"] {
        let bought = client.post(RECHARGE, recharge("01712345105", 10, reference)).await.json();
        ids.push(bought["billing"]["transactionId"].to_string());
    }
    ids
}

fn approve(folder: &Folder, id: &str) {
    folder.saldo_ok(&["purchase", "approve", id, "--by", "rahim"]);
}

#[tokio::test]
async fn eight_tabs_follow_one_stream() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let ids = two_that_wait(&server).await;
    let mut browser = Chromium::start(&server).await;
    enter(&mut browser, &server, AreaKind::Dashboard).await;
    let mut tabs = vec![browser.tab().await];
    for _ in 1..TABS {
        tabs.push(browser.new_tab().await);
    }
    for tab in &tabs {
        browser.show_tab(tab).await;
        browser.goto(LIST).await;
        browser.until(".badge.wait").await;
        browser.run("window.wasLoadedOnce = true", json!([])).await;
    }
    assert_eq!(holders(&browser).await, (1, 7));
    approve(&folder, &ids[0]);
    shows_delivered(&browser, &tabs, &ids[0]).await;
    // The first one asked first, so it leads.
    let first = tabs.remove(0);
    browser.show_tab(&first).await;
    browser.close_tab().await;
    browser.show_tab(&tabs[0]).await;
    approve(&folder, &ids[1]);
    shows_delivered(&browser, &tabs, &ids[1]).await;
    assert_eq!(holders(&browser).await, (1, 6));
    // Nothing is left to wait for: no stream is held open by a tab that shows what is final.
    browser.goto(LIST).await;
    assert_eq!(browser.find("[data-stream=\"\"]").await.len(), 1);
    server.stop();
}

/// The streams that the page has open, of those that it has ever opened.
async fn streams(browser: &Chromium) -> (u64, u64) {
    let look = "return [streams.filter((one) => one.readyState !== EventSource.CLOSED).length,
        streams.length]";
    let counts = browser.run(look, json!([])).await;
    (counts[0].as_u64().unwrap(), counts[1].as_u64().unwrap())
}

#[tokio::test]
async fn a_tab_that_nobody_sees_lets_go_and_looks_again_when_it_is_shown() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let ids = two_that_wait(&server).await;
    let mut browser = Chromium::start(&server).await;
    enter(&mut browser, &server, AreaKind::Dashboard).await;
    // Before any script of the page: what waits, waits shorter; what streams, is counted.
    let prepare = format!(
        "const wait = setTimeout;
         window.setTimeout = (then, ms = 0, ...rest) => wait(then, ms / {FASTER}, ...rest);
         window.streams = [];
         window.EventSource = class extends EventSource {{
           constructor(...all) {{ super(...all); streams.push(this); }}
         }};"
    );
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": prepare })).await;
    browser.goto(LIST).await;
    browser.until(".badge.wait").await;
    browser.run("window.wasLoadedOnce = true", json!([])).await;
    let began = Instant::now();
    while streams(&browser).await.0 == 0 {
        assert!(began.elapsed() < HIDDEN, "no stream");
    }
    // Seen again in time, it keeps its stream.
    browser.minimize(true).await;
    browser.minimize(false).await;
    tokio::time::sleep(HIDDEN / FASTER + Duration::from_millis(500)).await;
    assert_eq!(holders(&browser).await, (1, 0));
    assert_eq!(streams(&browser).await, (1, 1), "it was opened again");
    let began = Instant::now();
    browser.minimize(true).await;
    while streams(&browser).await.0 > 0 || holders(&browser).await.0 > 0 {
        assert!(began.elapsed() < HIDDEN, "it does not let go");
    }
    assert!(began.elapsed() >= HIDDEN / FASTER, "it lets go after {:?}", began.elapsed());
    approve(&folder, &ids[0]);
    browser.minimize(false).await;
    let tab = [browser.tab().await];
    shows_delivered(&browser, &tab, &ids[0]).await;
    // And it follows the other one by a stream of its own.
    approve(&folder, &ids[1]);
    shows_delivered(&browser, &tab, &ids[1]).await;
    assert!(streams(&browser).await.1 >= 2);
    server.stop();
}
