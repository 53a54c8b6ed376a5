//! By keyboard alone: Tab, Enter and typing, from the landing page to a purchase. What has the
//! focus can be seen.

use super::driver::{Chromium, ENTER, TAB};
use crate::support::{Folder, UNLIMITED};
use serde_json::json;

/// More stops than any page has before its main act.
const STOPS_MAX: usize = 80;

/// Presses Tab until this has the focus.
async fn tab_to(browser: &Chromium, css: &str) {
    browser.until(css).await;
    let look = "return [document.activeElement.matches(arguments[0]),
        getComputedStyle(document.activeElement).outlineStyle, document.activeElement.outerHTML]";
    let mut passed = Vec::new();
    for _ in 0..STOPS_MAX {
        let found = browser.run(look, json!([css])).await;
        if found[0] == true {
            assert_ne!(found[1], "none", "the focus on {css} cannot be seen");
            return;
        }
        passed.push(found[2].as_str().unwrap().chars().take(60).collect::<String>());
        browser.type_keys(&TAB.to_string()).await;
    }
    panic!("Tab does not reach {css}: {passed:?}");
}

async fn enter_at(browser: &Chromium, css: &str) {
    tab_to(browser, css).await;
    browser.type_keys(&ENTER.to_string()).await;
}

async fn type_at(browser: &Chromium, css: &str, text: &str) {
    tab_to(browser, css).await;
    browser.type_keys(text).await;
}

#[tokio::test]
async fn a_sign_up_and_a_purchase_need_no_mouse() {
    by_keyboard(1280).await;
}

#[tokio::test]
async fn a_sign_up_and_a_purchase_need_no_mouse_on_a_small_window() {
    by_keyboard(360).await;
}

async fn by_keyboard(width: u32) {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let browser = Chromium::start(&server).await;
    browser.width(width).await;
    browser.goto("/").await;
    enter_at(&browser, "main a[href=\"/dashboard/sign-up\"]").await;
    type_at(&browser, "#f-business", "River Telecom").await;
    type_at(&browser, "#f-email", "wrong").await;
    type_at(&browser, "#f-password", "a quiet river 7").await;
    browser.type_keys(&ENTER.to_string()).await;
    // The browser itself refuses the address and goes there.
    type_at(&browser, "#f-email:focus", "@example.org").await;
    browser.type_keys(&ENTER.to_string()).await;
    enter_at(&browser, "form[action$=\"/first\"] .button.main").await;
    browser.until(".badge.ok").await;
    enter_at(&browser, "main a[href=\"/dashboard/sandbox\"]").await;
    enter_at(&browser, ".head a[href=\"/dashboard/sandbox/new\"]").await;
    // A list is chosen from by its first letters.
    type_at(&browser, "#f-operator", "Rob").await;
    type_at(&browser, "#f-number", "12").await;
    type_at(&browser, "#f-amount", "20").await;
    enter_at(&browser, "main form .button.main").await;
    // What is wrong has the focus, and leads to its field.
    browser.until(".summary:focus").await;
    enter_at(&browser, ".summary a[href=\"#f-number\"]").await;
    type_at(&browser, "#f-number:focus", "\u{e010}\u{e003}\u{e003}01812345101").await;
    enter_at(&browser, "main form .button.main").await;
    browser.until("main form[action$=\"/new\"]").await;
    enter_at(&browser, "main form .button.main").await;
    browser.until(".timeline").await;
    browser.until(".badge.ok").await;
    server.stop();
}
