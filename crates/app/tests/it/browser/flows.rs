//! The whole way of a developer who has never seen Saldo, as a person at a browser goes it: wide
//! and on a phone, by mouse; and by keyboard alone, with script and without.

use super::driver::Chromium;
use super::input_device::InputDevice;
use super::pages::{barriers, widest, width};
use crate::events::webhook_receiver::{Answer, Receiver};
use crate::support::{Folder, Server, UNLIMITED};
use crate::web::getting_in::{code_at, now_s};
use serde_json::json;
use std::fs;
use std::time::Duration;
use tokio::time::Instant;

const PASSWORD: &str = "a quiet river 7";
/// From the landing page to a successful recharge.
const CLICKS_MAX: usize = 7;
const FIELDS_MAX: usize = 4;
const SANDBOX: &str = "/dashboard/sandbox";

#[tokio::test]
async fn a_developer_gets_in_and_sells_with_script() {
    journey(1280, true, InputDevice::Mouse).await;
}

#[tokio::test]
async fn a_developer_gets_in_and_sells_on_a_phone() {
    journey(360, true, InputDevice::Mouse).await;
}

#[tokio::test]
async fn by_keyboard_alone_with_script() {
    journey(1280, true, InputDevice::Keyboard).await;
}

#[tokio::test]
async fn by_keyboard_alone_without_script() {
    journey(1280, false, InputDevice::Keyboard).await;
}

#[tokio::test]
async fn by_keyboard_alone_in_a_small_window() {
    journey(360, true, InputDevice::Keyboard).await;
}

#[tokio::test]
async fn by_keyboard_alone_in_a_small_window_without_script() {
    journey(360, false, InputDevice::Keyboard).await;
}

/// Somebody on the way.
struct Traveller {
    browser: Chromium,
    width: u32,
    has_script: bool,
    device: InputDevice,
}

async fn journey(width: u32, has_script: bool, device: InputDevice) {
    let folder = Folder::new();
    let server: Server = folder.start_with(&[&UNLIMITED[..], &["--webhooks-to-loopback"]].concat());
    let receiver = Receiver::answering(|_, _| Answer::Status(200)).await;
    let browser = Chromium::start(&server).await;
    browser.width(width).await;
    let mut one = Traveller { browser, width, has_script, device };
    one.browser.goto("/").await;
    one.browser.allow_script(has_script).await;
    one.gets_in().await;
    one.turns_a_second_factor_on().await;
    one.makes_a_key().await;
    one.explores_offers().await;
    one.adds_an_endpoint(&receiver.url("/hook")).await;
    let reference = one.buys_and_sees_it_succeed().await;
    one.replays(&receiver).await;
    one.exports(&reference).await;
    server.stop();
}

impl Traveller {
    async fn press(&mut self, css: &str) {
        self.device.press(&mut self.browser, css).await;
    }

    async fn fill(&mut self, css: &str, text: &str) {
        self.device.fill(&mut self.browser, css, text).await;
    }

    async fn choose(&mut self, css: &str, value: &str) {
        self.device.choose(&mut self.browser, css, value).await;
    }

    /// The page that is shown is sound: looked at once, by those who come with a mouse.
    async fn looks(&self, what: &str) {
        if !self.has_script || self.device == InputDevice::Keyboard {
            return;
        }
        let findings = self.browser.findings().await;
        assert!(findings.is_empty(), "{what}: {findings:?}");
        let barriers = barriers(&self.browser, &[]).await;
        assert!(barriers.is_empty(), "{what}: {}", barriers.join("\n"));
        let window = self.width.into();
        let wide = width(&self.browser).await;
        assert!(wide <= window, "{what}: {wide}: {}", widest(&self.browser, window).await);
    }

    /// Follows an entry of the menu, which is folded on a phone.
    async fn follows_menu(&mut self, href: &str) {
        self.browser.until(".menu").await;
        if self.browser.is_shown(".menu:not([open]) > summary").await {
            self.press(".menu > summary").await;
        }
        self.press(&format!(".menu a[href=\"{href}\"]")).await;
    }

    /// Signs up and makes the first recharge, in few clicks and fields.
    async fn gets_in(&mut self) {
        self.press("main a[href=\"/dashboard/sign-up\"]").await;
        self.fill("#f-business", "River Telecom").await;
        self.fill("#f-email", "new@example.org").await;
        self.fill("#f-password", PASSWORD).await;
        self.press("main form .button.main").await;
        self.browser.until("form[action$=\"/first\"]").await;
        self.looks("first recharge").await;
        self.press("form[action$=\"/first\"] .button.main").await;
        self.browser.until(".badge.ok").await;
        let (clicks, fields) = (self.browser.clicks, self.browser.fields);
        assert!(clicks <= CLICKS_MAX && fields <= FIELDS_MAX, "{clicks} clicks, {fields} fields");
        self.looks("bought").await;
    }

    async fn turns_a_second_factor_on(&mut self) {
        self.press(".account > summary").await;
        self.press(".sheet a[href=\"/dashboard/security\"]").await;
        self.fill("form[action$=\"/factor\"] input[type=password]", PASSWORD).await;
        self.press("form[action$=\"/factor\"] .button").await;
        let secret = self.browser.text("code#factor").await.replace(' ', "");
        self.looks("second factor").await;
        self.fill("#f-code", &code_at(&secret, now_s())).await;
        self.press("main form .button.main").await;
        self.browser.until("#codes").await;
        self.looks("recovery codes").await;
        self.press("main a.button.main").await;
        self.browser.until(".tiles").await;
        self.looks("overview").await;
    }

    async fn makes_a_key(&mut self) {
        self.follows_menu(&format!("{SANDBOX}/keys")).await;
        self.press(&format!("form[action=\"{SANDBOX}/keys\"] .button")).await;
        self.browser.until(".facts .secret").await;
        let made = self.browser.text("main").await;
        assert!(made.contains("ok_test_") && made.contains("sk_test_"), "{made}");
        self.looks("a new key").await;
    }

    async fn explores_offers(&mut self) {
        self.follows_menu("/docs").await;
        self.press(".beside a[href=\"/docs/offers\"]").await;
        self.press(".choices a[href*=\"operator=BL\"]").await;
        self.browser.until("#response").await;
        self.press(".choices.wide li:nth-child(2) a").await;
        self.browser.until("#purchase").await;
        self.looks("offers").await;
        self.press("a.button[href^=\"/docs/run\"]").await;
        self.press("form[action=\"/docs/run\"] .button.main").await;
        self.browser.until("#answer").await;
        let answer = self.browser.text("section[aria-labelledby=answer] .badge").await;
        assert!(answer.contains("HTTP 200"), "{answer}: {}", self.browser.text("main").await);
        self.looks("an answer").await;
        self.press("section[aria-labelledby=answer] a[href*=\"/transactions/\"]").await;
        self.browser.until(".timeline").await;
        self.looks("a timeline").await;
    }

    async fn adds_an_endpoint(&mut self, url: &str) {
        self.follows_menu(&format!("{SANDBOX}/webhooks")).await;
        self.press("main details.card > summary").await;
        self.fill("#f-url", url).await;
        self.press("main details.card form .button").await;
        self.browser.until(".facts .secret").await;
        self.looks("an endpoint's secret").await;
    }

    /// Price first; then the page says by itself that it has succeeded.
    async fn buys_and_sees_it_succeed(&mut self) -> String {
        self.follows_menu(&format!("{SANDBOX}/transactions")).await;
        self.looks("transactions").await;
        self.press(&format!(".head a[href=\"{SANDBOX}/new\"]")).await;
        self.choose("#f-operator", "gp").await;
        // Accepted, and delivered some seconds later.
        self.fill("#f-number", "01712345103").await;
        self.fill("#f-amount", "20").await;
        self.looks("a new transaction").await;
        self.press("main form .button.main").await;
        self.browser.until(".facts").await;
        self.looks("its price").await;
        self.press("main form .button.main").await;
        self.browser.until(".timeline").await;
        assert!(!self.browser.is_shown(".badge.ok").await, "it is not delivered at once");
        if self.has_script {
            // What a page that is loaded anew would have lost.
            self.browser.run("window.wasLoadedOnce = true", json!([])).await;
            self.browser.until(".badge.ok").await;
            let same = self.browser.run("return window.wasLoadedOnce === true", json!([])).await;
            assert_eq!(same, true, "the page was loaded again");
            self.looks("delivered").await;
        } else {
            let began = Instant::now();
            while !self.browser.is_shown(".badge.ok").await {
                assert!(began.elapsed() < Duration::from_secs(30), "it is not delivered");
                self.press(".small a[href*=\"/transactions/\"]").await;
            }
        }
        self.browser.text("h1").await
    }

    async fn replays(&mut self, receiver: &Receiver) {
        let before = receiver.receives(1).await.len();
        self.follows_menu(&format!("{SANDBOX}/webhooks")).await;
        self.looks("deliveries").await;
        self.press("form[action$=\"/webhooks/replay\"] .button").await;
        self.browser.until(".said").await;
        receiver.receives(before + 1).await;
    }

    async fn exports(&mut self, reference: &str) {
        self.follows_menu(&format!("{SANDBOX}/transactions")).await;
        self.press("main a[href*=\"transactions.csv\"]").await;
        let began = Instant::now();
        let text = loop {
            let files = fs::read_dir(self.browser.downloads()).into_iter().flatten().flatten();
            let mut paths = files.map(|file| file.path());
            let named = paths.find(|path| path.extension().is_some_and(|e| e == "csv"));
            // The browser reserves the name with an empty file and moves the whole one there.
            let text = named.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
            if !text.is_empty() {
                break text;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "nothing was downloaded");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(text.contains(reference), "{reference}: {text}");
        assert_eq!(text.lines().count(), 4, "a head and three purchases: {text}");
    }
}
