//! The connector against a server on this machine that speaks Google's two APIs.
//!
//! Here: that server, and a world with a clock. Each push of the world checks that no secret is
//! printed.

mod access_tokens;
mod sending;
mod service_accounts;

use super::*;
use crate::manual_clock::ManualClock;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::post;
use expect_test::expect;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Made for these tests: no service accepts it.
const KEY_PEM: &str = include_str!("../test-key.pem");
const DEVICE_TOKEN: &str = "fGx0:APA91b-device-token-that-nobody-may-see";
const ACCESS_TOKEN: &str = "ya29.access-token-that-nobody-may-see";

#[derive(Clone)]
enum Reply {
    /// Status, headers, body.
    Http(u16, &'static [(&'static str, &'static str)], String),
    Never,
}

/// The next replies of the server, the last of which is repeated, and the requests it received.
#[derive(Default)]
struct FakeGoogle {
    token_replies: Mutex<VecDeque<Reply>>,
    send_replies: Mutex<VecDeque<Reply>>,
    /// Requests with this `Authorization` get a 401.
    rejected: Mutex<String>,
    assertions: Mutex<Vec<String>>,
    /// Path, `Authorization` and body.
    messages: Mutex<Vec<(String, String, Value)>>,
}

struct World {
    google: Arc<FakeGoogle>,
    clock: Arc<ManualClock>,
    base: String,
    fcm: Fcm,
}

impl World {
    async fn new() -> World {
        World::with_timeout(Duration::from_secs(20)).await
    }

    async fn with_timeout(timeout: Duration) -> World {
        let google = Arc::new(FakeGoogle::default());
        let clock = Arc::new(ManualClock::new());
        let router = Router::new()
            .route("/token", post(grant_token))
            .fallback(receive_message)
            .with_state(Arc::clone(&google));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let fcm = open(&base, timeout, clock.clone());
        World { google, clock, base, fcm }
    }

    fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    fn reply_to_fetches(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.google.token_replies.lock() = replies.into_iter().collect();
    }

    fn reply_to_sends(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.google.send_replies.lock() = replies.into_iter().collect();
    }

    /// Sends a push, and checks that neither its result nor `Debug` shows a secret.
    async fn push(&self) -> Pushed {
        let pushed = self.fcm.push(&push()).await;
        let printed = format!("{pushed:?} {:?}", self.fcm);
        for secret in [DEVICE_TOKEN, "APA91b", ACCESS_TOKEN, "ya29", "Bearer", &KEY_PEM[120..160]] {
            assert!(!printed.contains(secret), "{printed}");
        }
        pushed
    }

    fn fetches(&self) -> usize {
        self.google.assertions.lock().len()
    }

    fn sends(&self) -> usize {
        self.google.messages.lock().len()
    }
}

fn open(base: &str, timeout: Duration, clock: Arc<ManualClock>) -> Fcm {
    let account = ServiceAccount::parse(account(base).to_string().as_bytes()).unwrap();
    let settings = FcmSettings::new(account, clock);
    Fcm::open(FcmSettings { api_base: base.to_owned(), timeout, ..settings }).unwrap()
}

fn account(base: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "saldo-tests",
        "private_key_id": "key-7",
        "private_key": KEY_PEM,
        "client_email": "pusher@saldo-tests.iam.gserviceaccount.com",
        "token_uri": format!("{base}/token"),
    })
}

fn push() -> Push {
    Push {
        device_token: DEVICE_TOKEN.into(),
        title: "Recharge delivered".into(),
        body: "৳50.00 → 01614031175".into(),
        data: BTreeMap::from([
            ("kind".into(), "purchase".into()),
            ("purchase".into(), "8123456789".into()),
        ]),
        tag: "purchase-8123456789".into(),
    }
}

async fn grant_token(State(google): State<Arc<FakeGoogle>>, body: String) -> Response<Body> {
    let form = Url::parse(&format!("http://form/?{body}")).unwrap();
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    assert_eq!(fields["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let number = {
        let mut assertions = google.assertions.lock();
        assertions.push(fields["assertion"].clone());
        assertions.len()
    };
    // Long enough for other pushes to arrive in the meantime.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let default_reply = token_reply(&format!("{ACCESS_TOKEN}-{number}"), 3599);
    respond(next(&google.token_replies).unwrap_or(default_reply)).await
}

async fn receive_message(
    State(google): State<Arc<FakeGoogle>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let is_rejected = *google.rejected.lock() == authorization;
    google.messages.lock().push((uri.path().to_owned(), authorization, message));
    if is_rejected {
        return respond(unauthenticated()).await;
    }
    respond(next(&google.send_replies).unwrap_or_else(accepted)).await
}

fn next(replies: &Mutex<VecDeque<Reply>>) -> Option<Reply> {
    let mut replies = replies.lock();
    if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
}

async fn respond(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::Http(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
    }
}

fn accepted() -> Reply {
    json_reply(200, json!({ "name": "projects/saldo-tests/messages/0:15" }))
}

fn json_reply(status: u16, body: Value) -> Reply {
    Reply::Http(status, &[], body.to_string())
}

fn unauthenticated() -> Reply {
    json_reply(401, fcm_error(401, "UNAUTHENTICATED", json!([])))
}

fn token_reply(token: &str, expires_in: u64) -> Reply {
    json_reply(
        200,
        json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" }),
    )
}

/// An error in FCM's format, with a message that quotes the device token.
fn fcm_error(code: u16, status: &str, details: Value) -> Value {
    let message = format!("Something about {DEVICE_TOKEN}.");
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
}
