//! A receiver of webhooks on this machine, which answers as the test says and writes down what came.
//!
//! Invariant: what it wrote down as taken was answered 2xx, whether or not the answer arrived.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// What is answered.
#[derive(Clone, Debug)]
pub enum Says {
    Status(u16),
    /// 429, to come again after so many seconds.
    Busy(u32),
    /// The connection stays open and silent.
    Nothing,
    /// The connection is reset.
    Reset,
}

/// One POST.
#[derive(Clone, Debug)]
pub struct Post {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub was_taken: bool,
    /// Whether a third party verified it as it came; only where the secret was known.
    pub was_verified: bool,
}

impl Post {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verifies it as a third party does.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        Webhook::new(secret).unwrap().verify(&self.body, &self.headers).is_ok()
    }
}

type Script = dyn Fn(&str, &str) -> Says + Send + Sync;

pub struct Receiver {
    pub base_url: String,
    posts: Arc<Mutex<Vec<Post>>>,
    secret: Arc<OnceLock<String>>,
}

impl Receiver {
    /// Listens on a free port; asked with each path and webhook's id what to say.
    pub async fn answering(
        script: impl Fn(&str, &str) -> Says + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let secret = Arc::new(OnceLock::new());
        let (script, heard, known): (Arc<Script>, _, _) =
            (Arc::new(script), posts.clone(), secret.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, heard, known) = (script.clone(), heard.clone(), known.clone());
                tokio::spawn(async move { serve(stream, &*script, (&heard, &known)).await });
            }
        });
        Receiver { base_url, posts, secret }
    }

    /// From now on each is verified as it comes: a signature is good for five minutes.
    pub fn knows(&self, secret: &str) {
        let _ = self.secret.set(secret.to_owned());
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.posts.lock().unwrap().len()
    }

    /// Waits until so many came.
    pub async fn has(&self, count: usize) -> Vec<Post> {
        let began = Instant::now();
        while self.count() < count {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", self.posts());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.posts()
    }
}

/// One connection, kept alive.
async fn serve(
    mut stream: TcpStream,
    script: &Script,
    (posts, secret): (&Mutex<Vec<Post>>, &OnceLock<String>),
) {
    let mut buffer = Vec::new();
    while let Some((path, headers, body)) = read(&mut stream, &mut buffer).await {
        let id = headers.get("webhook-id").map_or("", |id| id.to_str().unwrap());
        let says = script(&path, id);
        let was_taken = matches!(says, Says::Status(200..=299));
        let mut post = Post { path, headers, body, was_taken, was_verified: false };
        post.was_verified = secret.get().is_some_and(|secret| post.is_signed_by(secret));
        posts.lock().unwrap().push(post);
        let answer = match says {
            Says::Status(status) => {
                format!(
                    "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 5\r\n\r\nhello"
                )
            }
            Says::Busy(after_s) => {
                format!("HTTP/1.1 429 X\r\nretry-after: {after_s}\r\ncontent-length: 0\r\n\r\n")
            }
            Says::Nothing => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Says::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
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
