//! Debian's Chromium, through its driver: the dozen commands of WebDriver (W3C) that the tests
//! need, each a request to this machine.
//!
//! Not a library: those that exist turn on features of `serde_json` that the binary under test
//! would then have, and the released one not. Invariants: a browser never outlives its test; each
//! has a folder of its own, which ends with it.

use crate::http_client::Connection;
use crate::support::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// How long a page may take until it shows what is waited for.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Where WebDriver puts an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that a keyboard's user needs.
pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e007}';
pub const SPACE: char = ' ';
pub const DOWN: char = '\u{e015}';
pub const END: char = '\u{e010}';
/// Deletes what is before the cursor.
pub const DELETE: char = '\u{e003}';
pub const SHIFT: char = '\u{e008}';
pub const CONTROL: char = '\u{e009}';

/// A browser with one window.
pub struct Chromium {
    driver: Driver,
    base_url: String,
    folder: TempDir,
    /// What a person has clicked so far.
    pub clicks: usize,
    /// The fields that a person has filled in so far.
    pub fields: usize,
}

/// The driver's process and its session.
struct Driver {
    process: Child,
    address: String,
    session: String,
}

impl Drop for Driver {
    /// The driver ends its browser when its session ends, even where a test has failed.
    fn drop(&mut self) {
        let Driver { address, session, .. } = self;
        if let Ok(mut stream) = TcpStream::connect(&*address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let head = format!("DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\n");
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
            let _ = stream.read(&mut [0; 1024]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Chromium {
    /// A browser for the pages of this server, in English, 1280 pixels wide.
    pub async fn start(server: &Server) -> Chromium {
        let folder = TempDir::new().unwrap();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no chromedriver (`make tools` installs it): {error}"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut ports = lines.map_while(Result::ok).filter_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let address = format!("127.0.0.1:{}", ports.next().unwrap());
        let driver = Driver { process, address, session: String::new() };
        let base_url = server.base_url().to_owned();
        let mut browser = Chromium { driver, base_url, folder, clicks: 0, fields: 0 };
        let made = browser.send(Method::POST, "/session", &browser.wanted()).await.unwrap();
        browser.driver.session = made["sessionId"].as_str().unwrap().to_owned();
        browser.width(1280).await;
        browser.colours("light").await;
        browser
    }

    fn wanted(&self) -> Value {
        let profile = format!("--user-data-dir={}", self.folder.path().join("profile").display());
        let options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--hide-scrollbars", profile,
            ],
            "prefs": {
                "intl.accept_languages": "en",
                "download.default_directory": self.downloads(),
                "download.prompt_for_download": false,
            },
        });
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 60_000 },
        });
        json!({ "capabilities": { "alwaysMatch": capabilities } })
    }

    /// Where downloads go.
    pub fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    async fn send(&self, method: Method, target: &str, body: &Value) -> Result<Value, String> {
        let body = if method == Method::POST { body.to_string() } else { String::new() };
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        let mut connection = Connection::open(&self.driver.address).await.unwrap();
        let answer = connection.send(request).await.unwrap();
        let mut answered: Value = serde_json::from_slice(&answer.body).unwrap();
        if answer.status.is_success() {
            return Ok(answered["value"].take());
        }
        Err(format!("{}: {}", answered["value"]["error"], answered["value"]["message"]))
    }

    /// A command of this session that must succeed.
    #[track_caller]
    fn command(&self, name: &str, body: Value) -> impl Future<Output = Value> + use<'_> {
        let (caller, name) = (std::panic::Location::caller(), name.to_owned());
        async move {
            match self.attempt(&name, &body).await {
                Ok(value) => value,
                Err(error) => panic!("{caller}: {name} {body}: {error}"),
            }
        }
    }

    async fn attempt(&self, name: &str, body: &Value) -> Result<Value, String> {
        let method = if body.is_null() { Method::GET } else { Method::POST };
        self.send(method, &format!("/session/{}/{name}", self.driver.session), body).await
    }

    /// A command of the browser's own protocol.
    pub async fn cdp(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.command("goog/cdp/execute", body).await
    }

    /// Loads a page of the server and waits until it is there.
    pub async fn goto(&self, path: &str) {
        self.command("url", json!({ "url": format!("{}{path}", self.base_url) })).await;
    }

    /// Path and query of the page that is shown.
    pub async fn path(&self) -> String {
        let url = self.command("url", Value::Null).await;
        url.as_str().unwrap().trim_start_matches(&*self.base_url).to_owned()
    }

    /// What a script gives; `arguments` are its own.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        self.command("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// What a script gives, if no other page is loaded meanwhile.
    pub async fn try_run(&self, script: &str, arguments: Value) -> Option<Value> {
        let body = json!({ "script": script, "args": arguments });
        self.attempt("execute/sync", &body).await.ok()
    }

    /// What a script hands to its last argument.
    pub async fn run_until_done(&self, script: &str) -> Value {
        self.command("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// The width of the window, as a phone's below 600 pixels.
    pub async fn width(&self, width: u32) {
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// `light` or `dark`, as the device says.
    pub async fn colours(&self, scheme: &str) {
        // A picture of a page that moves is of no use.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Whether pages may run script.
    pub async fn allow_script(&self, is_allowed: bool) {
        let value = json!({ "value": !is_allowed });
        self.cdp("Emulation.setScriptExecutionDisabled", value).await;
    }

    /// The elements that a selector finds now.
    pub async fn find(&self, css: &str) -> Vec<String> {
        let body = json!({ "using": "css selector", "value": css });
        let found = self.command("elements", body).await;
        let found = found.as_array().unwrap().iter();
        found.map(|element| element[ELEMENT].as_str().unwrap().to_owned()).collect()
    }

    /// The first element that a selector finds, once there is one.
    pub async fn element(&self, css: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(first) = self.find(css).await.into_iter().next() {
                return first;
            }
            if began.elapsed() > SHOWN_WITHIN {
                let page = self.page_text().await;
                panic!("no {css} at {}: {page}", self.path().await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn page_text(&self) -> String {
        let body = self.find("body").await;
        self.command(&format!("element/{}/text", body[0]), Value::Null).await.to_string()
    }

    /// The text that an element shows.
    pub async fn text(&self, css: &str) -> String {
        let element = self.element(css).await;
        let text = self.command(&format!("element/{element}/text"), Value::Null).await;
        text.as_str().unwrap().to_owned()
    }

    /// Whether somebody can see it.
    pub async fn is_shown(&self, css: &str) -> bool {
        let look = "const one = document.querySelector(arguments[0]);
            return Boolean(one?.checkVisibility({ visibilityProperty: true })
                && one.getClientRects().length)";
        // A page that loads meanwhile has nothing to see.
        self.try_run(look, json!([css])).await.is_some_and(|shown| shown == true)
    }

    /// Waits until somebody can see it.
    pub async fn until(&self, css: &str) {
        let began = Instant::now();
        while !self.is_shown(css).await {
            if began.elapsed() > SHOWN_WITHIN {
                let page = self.page_text().await;
                panic!("{css} is not shown at {}: {page}", self.path().await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Clicks as a person does: what is covered or outside cannot be clicked.
    pub async fn click(&mut self, css: &str) {
        self.until(css).await;
        let aim = "const one = document.querySelector(arguments[0]);
            one.scrollIntoView({ block: 'center' });
            const box = one.getClientRects()[0];
            const at = [box.left + box.width / 2, box.top + box.height / 2].map(Math.floor);
            const top = document.elementFromPoint(...at);
            return one.contains(top) ? at : String(top?.outerHTML)";
        let began = Instant::now();
        let at = loop {
            let at = self.run(aim, json!([css])).await;
            if at.is_array() {
                break at;
            }
            // What moves while the page is being laid out is looked for again.
            let page = self.path().await;
            assert!(began.elapsed() < SHOWN_WITHIN, "{css} at {page} is covered by {at}");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let mouse = json!({
            "type": "pointer",
            "id": "mouse",
            "actions": [
                { "type": "pointerMove", "duration": 0, "x": at[0], "y": at[1] },
                { "type": "pointerDown", "button": 0 },
                { "type": "pointerUp", "button": 0 },
            ],
        });
        self.command("actions", json!({ "actions": [mouse] })).await;
        self.clicks += 1;
    }

    /// Chooses from a list.
    pub async fn choose(&mut self, css: &str, value: &str) {
        let option = self.element(&format!("{css} option[value=\"{value}\" i]")).await;
        self.command(&format!("element/{option}/click"), json!({})).await;
        self.fields += 1;
    }

    /// Types into a field in place of what it holds.
    pub async fn fill(&mut self, css: &str, text: &str) {
        let element = self.element(css).await;
        self.command(&format!("element/{element}/clear"), json!({})).await;
        self.command(&format!("element/{element}/value"), json!({ "text": text })).await;
        self.fields += 1;
    }

    /// Types where the focus is, key by key.
    pub async fn type_keys(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| [("keyDown", key), ("keyUp", key)]);
        self.keyboard(presses.collect()).await;
    }

    /// Types one key while another one is held down.
    pub async fn type_with(&self, held: char, key: char) {
        let presses = [("keyDown", held), ("keyDown", key), ("keyUp", key), ("keyUp", held)];
        self.keyboard(presses.to_vec()).await;
    }

    async fn keyboard(&self, presses: Vec<(&str, char)>) {
        let press = |(kind, key): &(&str, char)| json!({ "type": kind, "value": key.to_string() });
        let presses: Vec<Value> = presses.iter().map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": presses });
        self.command("actions", json!({ "actions": [keyboard] })).await;
    }

    /// What the browser complains of since the last time: errors, refused policies.
    pub async fn findings(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().unwrap().iter();
        let bad =
            entries.filter(|entry| ["SEVERE", "WARNING"].iter().any(|l| entry["level"] == *l));
        bad.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// What the browser asked a server for since the last time, without what came from its cache.
    pub async fn requests(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "performance" })).await;
        let mut asked: Vec<(String, String)> = Vec::new();
        for entry in entries.as_array().unwrap() {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (event, params) = (&event["message"]["method"], &event["message"]["params"]);
            let id = params["requestId"].as_str().unwrap_or_default().to_owned();
            if event == "Network.requestWillBeSent" {
                let url = params["request"]["url"].as_str().unwrap().to_owned();
                if url.starts_with("http") {
                    asked.push((id, url));
                }
            } else if event == "Network.requestServedFromCache" {
                asked.retain(|(known, _)| *known != id);
            } else if event == "Network.responseReceived"
                && params["response"]["fromDiskCache"] == true
            {
                asked.retain(|(known, _)| *known != id);
            }
        }
        asked.into_iter().map(|(_, url)| url.replace(&self.base_url, "")).collect()
    }

    /// A new tab, which is shown from now on; gives its name.
    pub async fn new_tab(&self) -> String {
        let made = self.command("window/new", json!({ "type": "tab" })).await;
        let name = made["handle"].as_str().unwrap().to_owned();
        self.show_tab(&name).await;
        name
    }

    /// The tab that commands go to.
    pub async fn tab(&self) -> String {
        self.command("window", Value::Null).await.as_str().unwrap().to_owned()
    }

    /// Sends the commands to this tab from now on.
    pub async fn show_tab(&self, name: &str) {
        self.command("window", json!({ "handle": name })).await;
    }

    /// Closes the tab that commands go to.
    pub async fn close_tab(&self) {
        let target = format!("/session/{}/window", self.driver.session);
        self.send(Method::DELETE, &target, &Value::Null).await.unwrap();
    }

    /// Hides the window with all its tabs, or shows it again.
    pub async fn minimize(&self, is_hidden: bool) {
        match is_hidden {
            true => self.command("window/minimize", json!({})).await,
            false => self.command("window/rect", json!({ "x": 0, "y": 0 })).await,
        };
    }

    /// A picture of the whole page.
    pub async fn picture(&self) -> Vec<u8> {
        let params = json!({ "captureBeyondViewport": true, "format": "png" });
        let taken = self.cdp("Page.captureScreenshot", params).await;
        STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }
}
