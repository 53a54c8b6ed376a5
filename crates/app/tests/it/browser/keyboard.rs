//! By keyboard alone, where something is wrong: the focus goes there, and leads to its field. (The
//! whole way by keyboard is in `flows`.)

use super::driver::{Chromium, DELETE, END, ENTER};
use super::input_device::{InputDevice, tab_to};
use crate::support::{Folder, UNLIMITED};

async fn enter_at(browser: &Chromium, css: &str) {
    tab_to(browser, css).await;
    browser.type_keys(&ENTER.to_string()).await;
}

async fn type_at(browser: &Chromium, css: &str, text: &str) {
    tab_to(browser, css).await;
    browser.type_keys(text).await;
}

#[tokio::test]
async fn what_is_wrong_gets_the_focus_and_leads_to_its_field() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut browser = Chromium::start(&server).await;
    browser.width(360).await;
    browser.goto("/").await;
    enter_at(&browser, "main a[href=\"/dashboard/sign-up\"]").await;
    type_at(&browser, "#f-business", "River Telecom").await;
    type_at(&browser, "#f-email", "wrong").await;
    type_at(&browser, "#f-password", "a quiet river 7").await;
    // A form is sent by Enter in any of its fields.
    browser.type_keys(&ENTER.to_string()).await;
    // The browser itself refuses the address and goes there.
    browser.until("#f-email:focus").await;
    browser.type_keys(&format!("{END}@example.org{ENTER}")).await;
    enter_at(&browser, "form[action$=\"/first\"] .button.main").await;
    browser.until(".badge.ok").await;
    browser.goto("/dashboard/sandbox/new").await;
    // A list is chosen from by its first letters.
    type_at(&browser, "#f-operator", "Rob").await;
    type_at(&browser, "#f-number", "12").await;
    type_at(&browser, "#f-amount", "20").await;
    InputDevice::Keyboard.press(&mut browser, "main form .button.main").await;
    // What is wrong has the focus, and leads to its field.
    browser.until(".summary:focus").await;
    enter_at(&browser, ".summary a[href=\"#f-number\"]").await;
    browser.until("#f-number:focus").await;
    browser.type_keys(&format!("{END}{DELETE}{DELETE}01812345101")).await;
    enter_at(&browser, "main form .button.main").await;
    browser.until("main form[action$=\"/new\"]").await;
    enter_at(&browser, "main form .button.main").await;
    browser.until(".timeline").await;
    browser.until(".badge.ok").await;
    server.stop();
}
