//! Many tabs of one browser: all load, one holds the stream, all hear of a change; where that tab
//! is closed, another one goes on.

use super::driver::Chromium;
use super::pages::enter;
use crate::support::{Folder, RECHARGE, UNLIMITED, recharge};
use serde_json::json;
use web::AreaKind;

/// More than the six connections that a browser opens to one server.
const TABS: usize = 8;
const LIST: &str = "/dashboard/sandbox/transactions";

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

#[tokio::test]
async fn eight_tabs_follow_one_stream() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    // Both wait for staff.
    let mut client = server.sandbox().await;
    let mut ids = Vec::new();
    for reference in ["FIRST", "SECOND"] {
        let bought = client.post(RECHARGE, recharge("01712345105", 10, reference)).await.json();
        ids.push(bought["billing"]["transactionId"].to_string());
    }
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
    let approve = |id: &str| {
        folder.saldo_ok(&["purchase", "approve", id, "--by", "rahim"]);
    };
    approve(&ids[0]);
    shows_delivered(&browser, &tabs, &ids[0]).await;
    // The first one asked first, so it leads.
    let first = tabs.remove(0);
    browser.show_tab(&first).await;
    browser.close_tab().await;
    browser.show_tab(&tabs[0]).await;
    approve(&ids[1]);
    shows_delivered(&browser, &tabs, &ids[1]).await;
    assert_eq!(holders(&browser).await, (1, 6));
    // Nothing is left to wait for: no stream is held open by a tab that shows what is final.
    browser.goto(LIST).await;
    assert_eq!(browser.find("[data-stream=\"\"]").await.len(), 1);
    server.stop();
}
