//! A local receiver of webhooks, which answers as the test's script says and records what it gets.
//!
//! Invariant: what it recorded as accepted was answered 2xx, whether or not the answer arrived.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How the receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    /// 429, to be retried after so many seconds.
    Busy(u32),
    /// No answer; the connection stays open.
    Silence,
    /// The connection is reset.
    Reset,
}

/// One received POST.
#[derive(Clone, Debug)]
pub struct ReceivedWebhook {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub was_accepted: bool,
    /// Whether the Standard Webhooks library verified it on arrival, with the secret known then.
    pub was_verified: bool,
}

impl ReceivedWebhook {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verifies it with the Standard Webhooks library.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        Webhook::new(secret).unwrap().verify(&self.body, &self.headers).is_ok()
    }
}

type Script = dyn Fn(&str, &str) -> Answer + Send + Sync;

#[derive(Clone)]
pub struct Receiver {
    base_url: String,
    script: Arc<Script>,
    received: Arc<Mutex<Vec<ReceivedWebhook>>>,
    secret: Arc<OnceLock<String>>,
}

impl Receiver {
    /// Listens on a free port; the script maps each path and webhook id to an answer.
    pub async fn answering(
        script: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let secret = Arc::new(OnceLock::new());
        let serving = Receiver { base_url, script: Arc::new(script), received, secret };
        let receiver = serving.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        receiver
    }

    /// Verifies each webhook on arrival from now on: a signature is valid for five minutes.
    pub fn verify_with(&self, secret: &str) {
        let _ = self.secret.set(secret.to_owned());
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.received.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Waits until so many were received.
    pub async fn receives(&self, count: usize) -> Vec<ReceivedWebhook> {
        let began = Instant::now();
        while self.count() < count {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", self.received());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.received()
    }

    /// Serves one persistent connection.
    async fn serve(&self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some((path, headers, body)) = read(&mut stream, &mut buffer).await {
            let id = headers.get("webhook-id").map_or("", |id| id.to_str().unwrap());
            let answer = (self.script)(&path, id);
            let was_accepted = matches!(answer, Answer::Status(200..=299));
            let mut webhook =
                ReceivedWebhook { path, headers, body, was_accepted, was_verified: false };
            let secret = self.secret.get();
            webhook.was_verified = secret.is_some_and(|secret| webhook.is_signed_by(secret));
            self.received.lock().unwrap().push(webhook);
            let text = match answer {
                Answer::Status(status) => format!(
                    "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:9/\r\n\
                     content-length: 5\r\n\r\nhello"
                ),
                Answer::Busy(after_s) => {
                    format!("HTTP/1.1 429 X\r\nretry-after: {after_s}\r\ncontent-length: 0\r\n\r\n")
                }
                Answer::Silence => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    return;
                }
                Answer::Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
            };
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, HeaderMap, Bytes)> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap();
    assert!(request.starts_with("POST ") && request.ends_with(" HTTP/1.1"), "{request}");
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    let body_from = end + 4;
    while buffer.len() < body_from + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = Bytes::copy_from_slice(&buffer[body_from..body_from + length]);
    buffer.drain(..body_from + length);
    Some((path, headers, body))
}
