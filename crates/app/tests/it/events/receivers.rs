//! The receivers in samples/receivers: each accepts a correctly signed webhook once, and nothing
//! else; and it accepts what Saldo sends.
//!
//! They verify with public libraries of Standard Webhooks (PHP by hand, as its library is not among
//! Debian's packages). `make test` installs the libraries; without them the tests fail and name
//! what is missing. PHP is tested where the machine has it.

use crate::http_client::Connection;
use crate::support::{Folder, RECHARGE, recharge};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use ring::hmac;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwlkjsdfgkjhsd";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// How far the timestamp may be from the receiver's clock.
const TOLERANCE_S: i64 = 300;
/// An interpreter on a busy machine is slow.
const WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A library for a receiver, as `make tools` installs it.
fn library(path: &str) -> PathBuf {
    let path = root().join("target/tools/receivers").join(path);
    assert!(path.exists(), "{} is missing; run: make tools", path.display());
    path
}

fn sample(path: &str) -> PathBuf {
    root().join("samples/receivers").join(path)
}

/// A running receiver, which ends with its test.
struct SampleReceiver {
    child: Child,
    address: String,
    /// Holds the file that it prints to.
    folder: Folder,
}

impl SampleReceiver {
    async fn start(secret: &str, command: impl FnOnce(&Folder, u16) -> Command) -> SampleReceiver {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = command(&folder, port);
        command.env("WEBHOOK_SECRET", secret).env("PORT", port.to_string());
        let child = command.stdout(fs::File::create(folder.path("printed")).unwrap()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut receiver = SampleReceiver { child, address: format!("127.0.0.1:{port}"), folder };
        let start = Instant::now();
        while Connection::open(&receiver.address).await.is_err() {
            let ended = receiver.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < WITHIN, "{command:?}: {ended:?}");
            tokio::time::sleep(POLL_EVERY).await;
        }
        receiver
    }

    /// The status that it answers with.
    async fn answers(&self, webhook: &Webhook) -> u16 {
        let mut request = Request::new(Full::new(Bytes::from(webhook.body.clone())));
        *request.method_mut() = Method::POST;
        for (name, value) in &webhook.headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let mut connection = Connection::open(&self.address).await.unwrap();
        connection.send(request).await.unwrap().status.as_u16()
    }

    /// What it has printed so far: each event that it accepted.
    fn printed(&self) -> String {
        fs::read_to_string(self.folder.path("printed")).unwrap()
    }
}

impl Drop for SampleReceiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct Webhook {
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Webhook {
    /// A webhook as Saldo sends it, `late_s` seconds ago, signed with all of these secrets.
    fn new(id: &str, reference: &str, late_s: i64, secrets: &[&str]) -> Webhook {
        let body = format!(
            r#"{{"event": "billing.recharge.approved", "timestamp": "2026-02-04T20:10:12.000000Z",
            "transaction": {{"id": 21, "reference": "{reference}", "status": "success"}},
            "decision": {{"action": "approved", "mode": "auto", "note": "ঠিক আছে"}}}}"#
        );
        Webhook::of(id, body, late_s, secrets)
    }

    fn of(id: &str, body: String, late_s: i64, secrets: &[&str]) -> Webhook {
        let timestamp = (jiff::Timestamp::now().as_second() - late_s).to_string();
        let signatures: Vec<String> =
            secrets.iter().map(|secret| signature(secret, id, &timestamp, &body)).collect();
        let headers = vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signatures.join(" ")),
        ];
        Webhook { headers, body }
    }

    fn good(id: &str) -> Webhook {
        Webhook::new(id, id, 0, &[SECRET])
    }

    fn with(mut self, name: &str, value: impl FnOnce(&str) -> String) -> Webhook {
        let header = self.headers.iter_mut().find(|(n, _)| *n == name).unwrap();
        header.1 = value(&header.1);
        self
    }

    fn without(mut self, name: &str) -> Webhook {
        self.headers.retain(|(n, _)| *n != name);
        self
    }

    fn with_body(mut self, from: &str, to: &str) -> Webhook {
        assert!(self.body.contains(from), "{from}");
        self.body = self.body.replacen(from, to, 1);
        self
    }
}

fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let digest = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(digest))
}

/// Webhooks that a receiver must accept.
fn valid() -> Vec<(&'static str, Webhook)> {
    let other = Webhook::good("evt_0").headers[2].1.clone();
    let test = r#"{"event": "webhook.test", "timestamp": "2026-02-04T20:10:12.000000Z"}"#;
    vec![
        ("as it is sent", Webhook::good("evt_1")),
        ("the same again", Webhook::good("evt_1")),
        ("late, but not too late", Webhook::new("evt_2", "evt_2", TOLERANCE_S - 60, &[SECRET])),
        ("by a clock that is fast", Webhook::new("evt_3", "evt_3", 60 - TOLERANCE_S, &[SECRET])),
        ("a new secret first", Webhook::new("evt_4", "evt_4", 0, &[OTHER_SECRET, SECRET])),
        ("a new secret second", Webhook::new("evt_5", "evt_5", 0, &[SECRET, OTHER_SECRET])),
        (
            "beside a signature of another kind",
            Webhook::good("evt_6").with("webhook-signature", |s| format!("v1a,AAAA {other} {s}")),
        ),
        ("a test, of no purchase", Webhook::of("evt_7", test.to_owned(), 0, &[SECRET])),
    ]
}

/// Webhooks that a receiver must refuse.
fn invalid() -> Vec<(&'static str, Webhook)> {
    let good = || Webhook::good("evt_no");
    let signed = |with: &'static str| good().with("webhook-signature", |_| with.to_owned());
    let one_off = |time: &str| (time.parse::<i64>().unwrap() + 1).to_string();
    vec![
        ("another id", good().with("webhook-id", |_| "evt_yes".into())),
        ("another time", good().with("webhook-timestamp", one_off)),
        ("another body", good().with_body("success", "failed")),
        ("one space more", good().with_body("\"id\": 21", "\"id\":  21")),
        ("a body cut off", good().with_body("}}", "}")),
        ("an old one", Webhook::new("evt_no", "evt_no", TOLERANCE_S + 60, &[SECRET])),
        ("one of the future", Webhook::new("evt_no", "evt_no", -TOLERANCE_S - 60, &[SECRET])),
        ("another secret", Webhook::new("evt_no", "evt_no", 0, &[OTHER_SECRET])),
        ("two other secrets", Webhook::new("evt_no", "evt_no", 0, &[OTHER_SECRET, OTHER_SECRET])),
        ("another version", good().with("webhook-signature", |s| s.replace("v1,", "v2,"))),
        ("half a signature", good().with("webhook-signature", |s| s[..20].into())),
        ("no id", good().without("webhook-id")),
        ("no time", good().without("webhook-timestamp")),
        ("no signature", good().without("webhook-signature")),
        ("no digest", signed("v1,")),
        ("no comma", signed("v1")),
        ("no base64", signed("v1,%%%")),
        ("nothing", signed("")),
        ("no number", good().with("webhook-timestamp", |_| "now".into())),
    ]
}

/// Sends a receiver all of these, and then lets Saldo itself send it a purchase.
async fn check(command: impl Fn(&Folder, u16) -> Command) {
    let receiver = SampleReceiver::start(SECRET, &command).await;
    for (what, webhook) in valid() {
        assert_eq!(receiver.answers(&webhook).await, 204, "{what}");
    }
    for (what, webhook) in invalid() {
        assert_eq!(receiver.answers(&webhook).await, 400, "{what}");
    }
    let expected: String =
        (1..=6).map(|n| format!("billing.recharge.approved evt_{n} success\n")).collect();
    assert_eq!(receiver.printed(), expected + "webhook.test - -\n");

    let folder = Folder::new();
    let server = folder.start_with(&["--webhooks-to-loopback"]);
    let secret = server.credentials.merchant.sandbox.webhook_secret.clone().unwrap();
    let receiver = SampleReceiver::start(&secret, &command).await;
    let mut client = server.sandbox().await;
    let mut request: Value = serde_json::from_str(&recharge("01712345101", 10, "R-1")).unwrap();
    request["webhook_url"] = format!("http://{}/", receiver.address).into();
    let bought = client.post(RECHARGE, request.to_string()).await;
    assert_eq!(bought.status(), 200, "{bought:?}");
    let start = Instant::now();
    while !receiver.printed().contains("billing.recharge.approved R-1 success\n") {
        assert!(start.elapsed() < WITHIN, "{} {}", receiver.printed(), server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }
    server.stop();
}

#[tokio::test]
async fn in_python() {
    let libraries = library("python");
    check(|_, _| {
        let mut command = Command::new("python3");
        command.arg(sample("python/receiver.py")).env("PYTHONPATH", &libraries);
        command
    })
    .await;
}

#[tokio::test]
async fn in_javascript() {
    let libraries = library("node_modules");
    check(|folder, _| {
        // Node searches libraries beside the file.
        let file = folder.path("receiver.mjs");
        fs::copy(sample("javascript/receiver.mjs"), &file).unwrap();
        std::os::unix::fs::symlink(&libraries, folder.path("node_modules")).unwrap();
        let mut command = Command::new("node");
        command.arg(file);
        command
    })
    .await;
}

#[tokio::test]
async fn in_rust() {
    // Cargo builds examples with the tests, into a folder beside theirs.
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/receiver");
    assert!(example.exists(), "{}: cargo build -p app --example receiver", example.display());
    check(|_, _| Command::new(&example)).await;
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the output must show what was not tested")]
async fn in_php() {
    let is_here = Command::new("php").arg("--version").output().is_ok_and(|o| o.status.success());
    if !is_here {
        println!("NOT TESTED: this machine has no PHP (on Debian: apt-get install php-cli)");
        return;
    }
    check(|folder, port| {
        let seen = folder.path("seen");
        fs::create_dir(&seen).unwrap();
        let mut command = Command::new("php");
        command.args(["-q", "-S", &format!("127.0.0.1:{port}")]);
        command.arg(sample("php/receiver.php")).env("SEEN", seen).stderr(Stdio::null());
        command
    })
    .await;
}
