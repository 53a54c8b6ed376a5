//! What a person presses and types with: a mouse, or the keyboard alone, where Tab, Shift+Tab,
//! Enter, Space, arrows and letters must do.
//!
//! Invariant: by keyboard, nothing is clicked and no element is handed a value: only keys are sent.

use super::driver::{CONTROL, Chromium, DOWN, ENTER, SHIFT, SPACE, TAB};
use serde_json::{Value, json};

/// More stops than any page has before its main act.
const STOPS_MAX: usize = 120;
/// More than any list has to choose from.
const OPTIONS_MAX: usize = 60;

/// Where the focus is, seen from the first element that a selector finds: on it, before it or
/// behind it; whether that can be seen; what kind of element has it, and its first words.
const LOOK: &str = "const one = document.querySelector(arguments[0]);
    const now = document.activeElement;
    if (!one || !now) return null;
    const isBehind = now !== document.body
        && Boolean(one.compareDocumentPosition(now) & Node.DOCUMENT_POSITION_FOLLOWING);
    const box = now.getBoundingClientRect();
    const isSeen = getComputedStyle(now).outlineStyle !== 'none'
        && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return { at: now === one ? 'here' : isBehind ? 'behind' : 'ahead', isSeen,
        tag: now.tagName, words: now.outerHTML.slice(0, 60) }";

/// What a person presses and types with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputDevice {
    Mouse,
    Keyboard,
}

impl InputDevice {
    /// Follows a link, presses a button, opens what is folded.
    pub async fn press(self, browser: &mut Chromium, css: &str) {
        match self {
            InputDevice::Mouse => browser.click(css).await,
            InputDevice::Keyboard => {
                let tag = tab_to(browser, css).await;
                // Links know Enter alone; buttons and what is folded know Space as well.
                let key = if tag == "A" { ENTER } else { SPACE };
                browser.type_keys(&key.to_string()).await;
                browser.clicks += 1;
            }
        }
    }

    /// Types into a field in place of what it holds.
    pub async fn fill(self, browser: &mut Chromium, css: &str, text: &str) {
        match self {
            InputDevice::Mouse => browser.fill(css, text).await,
            InputDevice::Keyboard => {
                tab_to(browser, css).await;
                browser.type_with(CONTROL, 'a').await;
                browser.type_keys(text).await;
                browser.fields += 1;
            }
        }
    }

    /// Chooses from a list.
    pub async fn choose(self, browser: &mut Chromium, css: &str, value: &str) {
        match self {
            InputDevice::Mouse => browser.choose(css, value).await,
            InputDevice::Keyboard => {
                tab_to(browser, css).await;
                let look = "return document.activeElement.value";
                for _ in 0..OPTIONS_MAX {
                    let chosen = browser.run(look, json!([])).await;
                    if chosen.as_str().unwrap().eq_ignore_ascii_case(value) {
                        browser.fields += 1;
                        return;
                    }
                    browser.type_keys(&DOWN.to_string()).await;
                }
                panic!("the arrows do not reach {value} in {css}");
            }
        }
    }
}

/// Presses Tab, or Shift+Tab where it lies behind, until this has the focus; gives its tag's name.
pub async fn tab_to(browser: &Chromium, css: &str) -> String {
    browser.until(css).await;
    let mut passed = Vec::new();
    for _ in 0..STOPS_MAX {
        let found = browser.try_run(LOOK, json!([css])).await.unwrap_or(Value::Null);
        if found.is_null() {
            // Another page is being loaded.
            browser.until(css).await;
            continue;
        }
        let words = found["words"].as_str().unwrap();
        match found["at"].as_str().unwrap() {
            "here" => {
                assert_eq!(found["isSeen"], true, "the focus on {css} cannot be seen: {words}");
                return found["tag"].as_str().unwrap().to_owned();
            }
            "behind" => browser.type_with(SHIFT, TAB).await,
            _ => browser.type_keys(&TAB.to_string()).await,
        }
        passed.push(words.to_owned());
    }
    panic!("Tab does not reach {css}: {passed:?}");
}
