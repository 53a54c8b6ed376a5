//! The connector against a server on this machine that speaks Google's two APIs: what is sent, what
//! each answer means, how often a token is fetched, and that no secret comes out.

use super::*;
use crate::hands::{Hands, MORNING};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use expect_test::expect;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A fixture: it opens nothing.
const KEY_PEM: &str = include_str!("test-key.pem");
const DEVICE_TOKEN: &str = "fGx0:APA91b-device-token-that-nobody-may-see";
const ACCESS_TOKEN: &str = "ya29.access-token-that-nobody-may-see";

/// What the server is to answer.
#[derive(Clone)]
enum Reply {
    Says(u16, &'static [(&'static str, &'static str)], String),
    Silence,
}

/// What the server is to answer next, and what it was asked. The last answer is repeated.
#[derive(Default)]
struct Google {
    token_replies: Mutex<VecDeque<Reply>>,
    send_replies: Mutex<VecDeque<Reply>>,
    /// Whoever comes with this `Authorization` gets a 401.
    rejected: Mutex<String>,
    assertions: Mutex<Vec<String>>,
    /// Path, `Authorization` and body.
    messages: Mutex<Vec<(String, String, Value)>>,
}

struct World {
    google: Arc<Google>,
    clock: Arc<Hands>,
    base: String,
    fcm: Fcm,
}

impl World {
    async fn new() -> World {
        World::with_timeout(Duration::from_secs(20)).await
    }

    async fn with_timeout(timeout: Duration) -> World {
        let google = Arc::new(Google::default());
        let clock = Arc::new(Hands(AtomicI64::new(MORNING)));
        let router = Router::new()
            .route("/token", post(give_token))
            .fallback(take_message)
            .with_state(Arc::clone(&google));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let fcm = open(&base, timeout, clock.clone());
        World { google, clock, base, fcm }
    }

    fn pass(&self, span: Duration) {
        self.clock.0.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }

    fn tokens_answer(&self, replies: impl IntoIterator<Item = Reply>) {
        *locked(&self.google.token_replies) = replies.into_iter().collect();
    }

    fn sends_answer(&self, replies: impl IntoIterator<Item = Reply>) {
        *locked(&self.google.send_replies) = replies.into_iter().collect();
    }

    /// Pushes, and looks whether a secret came out.
    async fn push(&self) -> Pushed {
        let pushed = self.fcm.push(&push()).await;
        let printed = format!("{pushed:?} {:?}", self.fcm);
        for secret in [DEVICE_TOKEN, "APA91b", ACCESS_TOKEN, "ya29", "Bearer", &KEY_PEM[120..160]] {
            assert!(!printed.contains(secret), "{printed}");
        }
        pushed
    }

    fn fetches(&self) -> usize {
        locked(&self.google.assertions).len()
    }

    fn sends(&self) -> usize {
        locked(&self.google.messages).len()
    }
}

fn open(base: &str, timeout: Duration, clock: Arc<Hands>) -> Fcm {
    let account = ServiceAccount::parse(account(base).to_string().as_bytes()).unwrap();
    let settings = Settings::new(account, clock);
    Fcm::open(Settings { api_base: base.to_owned(), timeout, ..settings }).unwrap()
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

async fn give_token(State(google): State<Arc<Google>>, body: String) -> Response<Body> {
    let form = Url::parse(&format!("http://form/?{body}")).unwrap();
    let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    assert_eq!(fields["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let number = {
        let mut assertions = locked(&google.assertions);
        assertions.push(fields["assertion"].clone());
        assertions.len()
    };
    // Long enough for others to come meanwhile.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let usual = token_reply(&format!("{ACCESS_TOKEN}-{number}"), 3599);
    answer(next(&google.token_replies).unwrap_or(usual)).await
}

async fn take_message(
    State(google): State<Arc<Google>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let is_rejected = *locked(&google.rejected) == authorization;
    locked(&google.messages).push((uri.path().to_owned(), authorization, message));
    if is_rejected {
        return answer(unauthenticated()).await;
    }
    answer(next(&google.send_replies).unwrap_or_else(taken)).await
}

fn next(replies: &Mutex<VecDeque<Reply>>) -> Option<Reply> {
    let mut replies = locked(replies);
    if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
}

async fn answer(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Silence => std::future::pending().await,
        Reply::Says(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
    }
}

fn taken() -> Reply {
    says(200, json!({ "name": "projects/saldo-tests/messages/0:15" }))
}

fn says(status: u16, body: Value) -> Reply {
    Reply::Says(status, &[], body.to_string())
}

fn unauthenticated() -> Reply {
    says(401, error(401, "UNAUTHENTICATED", json!([])))
}

fn token_reply(token: &str, expires_in: u64) -> Reply {
    says(200, json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" }))
}

/// An error as FCM writes it, with a sentence that quotes the device token.
fn error(code: u16, status: &str, details: Value) -> Value {
    let message = format!("Something about {DEVICE_TOKEN}.");
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
}

fn own(code: &str) -> Value {
    json!([{
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": code
    }])
}

fn blames(field: &str) -> Value {
    json!([
        { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
          "errorCode": "INVALID_ARGUMENT" },
        { "@type": "type.googleapis.com/google.rpc.BadRequest",
          "fieldViolations": [{ "field": field, "description": format!("Bad: {DEVICE_TOKEN}") }] }
    ])
}

#[tokio::test]
async fn a_message_is_sent_as_fcm_reads_it() {
    let world = World::new().await;
    assert_eq!(world.push().await, Pushed::Accepted);
    let (path, authorization, message) = locked(&world.google.messages)[0].clone();
    assert_eq!(path, "/v1/projects/saldo-tests/messages:send");
    assert_eq!(authorization, format!("Bearer {ACCESS_TOKEN}-1"));
    expect![[r#"
        {
          "message": {
            "android": {
              "collapse_key": "purchase-8123456789",
              "notification": {
                "tag": "purchase-8123456789"
              },
              "priority": "high"
            },
            "apns": {
              "headers": {
                "apns-collapse-id": "purchase-8123456789"
              }
            },
            "data": {
              "kind": "purchase",
              "purchase": "8123456789"
            },
            "notification": {
              "body": "৳50.00 → 01614031175",
              "title": "Recharge delivered"
            },
            "token": "fGx0:APA91b-device-token-that-nobody-may-see"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&message).unwrap());
}

#[test]
fn a_tag_that_does_not_fit_stays_one_of_its_own() {
    let fits = "x".repeat(64);
    assert_eq!(collapse_id(&fits), fits.as_str());
    let long = ["x".repeat(65), "x".repeat(66), "ট্যাগ".into(), "a b".into(), "a\r\nb".into()];
    let ids: std::collections::BTreeSet<String> =
        long.iter().map(|tag| collapse_id(tag).into_owned()).collect();
    assert_eq!(ids.len(), long.len());
    assert!(ids.iter().all(|id| id.len() == 64), "{ids:?}");
}

#[tokio::test]
async fn an_assertion_is_signed_and_names_us() {
    let world = World::new().await;
    assert_eq!(world.push().await, Pushed::Accepted);
    let assertion = locked(&world.google.assertions)[0].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY_PEM.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT", "kid": "key-7" }));
    assert_eq!(
        parts[1],
        json!({
            "iss": "pusher@saldo-tests.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": format!("{}/token", world.base),
            "iat": 1_776_985_740,
            "exp": 1_776_985_740 + 3600,
        })
    );
}

#[tokio::test]
async fn twenty_at_once_fetch_one_token() {
    let world = Arc::new(World::new().await);
    let pushes: Vec<_> = (0..20)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.push().await })
        })
        .collect();
    for pushed in pushes {
        assert_eq!(pushed.await.unwrap(), Pushed::Accepted);
    }
    assert_eq!((world.fetches(), world.sends()), (1, 20));
}

#[tokio::test]
async fn a_token_is_replaced_ten_minutes_before_its_end() {
    let world = World::new().await;
    for (minutes, fetches) in [(0, 1), (49, 1), (1, 2), (49, 2), (1, 3)] {
        world.pass(Duration::from_secs(minutes * 60));
        assert_eq!(world.push().await, Pushed::Accepted);
        assert_eq!(world.fetches(), fetches, "{minutes} minutes later");
    }
    // One that lasts ten minutes is kept for five, and not fetched for every push.
    let world = World::new().await;
    world.tokens_answer([token_reply("short", 600)]);
    for (minutes, fetches) in [(0, 1), (4, 1), (1, 2)] {
        world.pass(Duration::from_secs(minutes * 60));
        assert_eq!(world.push().await, Pushed::Accepted);
        assert_eq!(world.fetches(), fetches, "{minutes} minutes later");
    }
}

#[tokio::test]
async fn a_token_that_is_rejected_is_replaced_once() {
    let world = World::new().await;
    world.sends_answer([unauthenticated(), taken()]);
    assert_eq!(world.push().await, Pushed::Accepted);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
    let second = locked(&world.google.messages)[1].1.clone();
    assert_eq!(second, format!("Bearer {ACCESS_TOKEN}-2"));

    world.sends_answer([unauthenticated()]);
    let reason = "FCM answered 401 UNAUTHENTICATED: the access token".to_owned();
    assert_eq!(world.push().await, Pushed::Later { reason, after: None });
    assert_eq!((world.fetches(), world.sends()), (3, 4));
}

#[tokio::test]
async fn twenty_rejected_at_once_fetch_one_more() {
    let world = Arc::new(World::new().await);
    assert_eq!(world.push().await, Pushed::Accepted);
    *locked(&world.google.rejected) = format!("Bearer {ACCESS_TOKEN}-1");
    // On one thread: all of them have the first token in hand before the first answer comes.
    let pushes = (0..20).map(|_| {
        let world = Arc::clone(&world);
        async move { world.push().await }
    });
    let pushes: Vec<_> = pushes.map(tokio::spawn).collect();
    for pushed in pushes {
        assert_eq!(pushed.await.unwrap(), Pushed::Accepted);
    }
    assert_eq!((world.fetches(), world.sends()), (2, 41));
}

/// Answers that FCM gives, or that something before it gives in its name.
fn answers() -> Vec<(&'static str, Reply)> {
    let no = || json!([]);
    let fcm = |code, status, own_code| says(code, error(code, status, own(own_code)));
    let after =
        |headers, code, status| Reply::Says(code, headers, error(code, status, no()).to_string());
    let page = |code| Reply::Says(code, &[], "<!DOCTYPE html><title>Error</title>".into());
    vec![
        ("a name", taken()),
        ("no name", says(200, json!({}))),
        ("garbage", Reply::Says(200, &[], "OK".into())),
        ("nothing", Reply::Says(204, &[], String::new())),
        ("unregistered", fcm(404, "NOT_FOUND", "UNREGISTERED")),
        ("another's device", fcm(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")),
        ("no such project", says(404, error(404, "NOT_FOUND", no()))),
        ("no such page", page(404)),
        ("unregistered, oddly", fcm(500, "INTERNAL", "UNREGISTERED")),
        ("not allowed", says(403, error(403, "PERMISSION_DENIED", no()))),
        ("bad token", says(400, error(400, "INVALID_ARGUMENT", blames("message.token")))),
        ("bad data", says(400, error(400, "INVALID_ARGUMENT", blames("message.data[0].value")))),
        ("bad, odd field", says(400, error(400, "INVALID_ARGUMENT", blames(DEVICE_TOKEN)))),
        ("bad, no field", fcm(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")),
        ("too big", says(400, error(400, "INVALID_ARGUMENT", no()))),
        ("bad, unreadable", page(400)),
        ("APNs key", fcm(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")),
        ("quota", fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")),
        ("quota, in 7 s", after(&[("retry-after", "7")], 429, "RESOURCE_EXHAUSTED")),
        ("down", fcm(503, "UNAVAILABLE", "UNAVAILABLE")),
        ("down, 30 s", after(&[("retry-after", "30")], 503, "UNAVAILABLE")),
        (
            "down, to a date",
            after(&[("retry-after", "Thu, 23 Apr 2026 23:09:45 GMT")], 503, "UNAVAILABLE"),
        ),
        ("down, oddly", after(&[("retry-after", "soon")], 503, "UNAVAILABLE")),
        ("internal", fcm(500, "INTERNAL", "INTERNAL")),
        ("bad gateway", page(502)),
        ("code that quotes", fcm(500, "INTERNAL", DEVICE_TOKEN)),
        ("redirect", Reply::Says(307, &[("location", "/elsewhere")], String::new())),
        ("10 MB", Reply::Says(200, &[], "x".repeat(10_000_000))),
    ]
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let mut table = String::new();
    for (name, reply) in answers() {
        let world = World::new().await;
        world.sends_answer([reply]);
        let pushed = match world.push().await {
            Pushed::Accepted => "taken".to_owned(),
            Pushed::Unregistered { reason } => format!("unregistered: {reason}"),
            Pushed::Refused { reason } => format!("refused: {reason}"),
            Pushed::Later { reason, after: None } => format!("later: {reason}"),
            Pushed::Later { reason, after: Some(after) } => {
                format!("later, after {} s: {reason}", after.as_secs())
            }
        };
        assert_eq!((world.fetches(), world.sends()), (1, 1), "{name}: one try, nowhere else");
        table += &format!("{name:20}{pushed}\n");
    }
    expect![[r#"
        a name              taken
        no name             later: FCM answered 200 without a message's name
        garbage             later: FCM answered 200 without a message's name
        nothing             later: FCM answered 204
        unregistered        unregistered: FCM answered 404 UNREGISTERED
        another's device    refused: FCM answered 403 SENDER_ID_MISMATCH
        no such project     later: FCM answered 404 NOT_FOUND: ours to mend (is there such a project?)
        no such page        later: FCM answered 404: ours to mend (is there such a project?)
        unregistered, oddly later: FCM answered 500 UNREGISTERED
        not allowed         later: FCM answered 403 PERMISSION_DENIED: ours to mend (may the service account send for this project?)
        bad token           unregistered: FCM answered 400 INVALID_ARGUMENT: message.token
        bad data            refused: FCM answered 400 INVALID_ARGUMENT: message.data[0].value
        bad, odd field      refused: FCM answered 400 INVALID_ARGUMENT
        bad, no field       refused: FCM answered 400 INVALID_ARGUMENT
        too big             refused: FCM answered 400 INVALID_ARGUMENT
        bad, unreadable     later: FCM answered 400
        APNs key            later: FCM answered 401 THIRD_PARTY_AUTH_ERROR: ours to mend (the APNs key or web push key in the Firebase project)
        quota               later, after 60 s: FCM answered 429 QUOTA_EXCEEDED
        quota, in 7 s       later, after 7 s: FCM answered 429 RESOURCE_EXHAUSTED
        down                later: FCM answered 503 UNAVAILABLE
        down, 30 s          later, after 30 s: FCM answered 503 UNAVAILABLE
        down, to a date     later, after 45 s: FCM answered 503 UNAVAILABLE
        down, oddly         later: FCM answered 503 UNAVAILABLE
        internal            later: FCM answered 500 INTERNAL
        bad gateway         later: FCM answered 502
        code that quotes    later: FCM answered 500
        redirect            later: FCM answered 307
        10 MB               later: no answer from FCM: an answer of more than 65536 bytes
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let answers = [
        says(400, json!({ "error": "invalid_grant", "error_description": DEVICE_TOKEN })),
        Reply::Says(503, &[("retry-after", "30")], "<html>".into()),
        says(200, json!({ "id_token": "x" })),
        says(200, json!({ "access_token": "", "expires_in": 3599 })),
        says(200, json!({ "access_token": "a\r\nb", "expires_in": 3599 })),
        Reply::Says(302, &[("location", "/token")], String::new()),
        Reply::Says(200, &[], "x".repeat(10_000_000)),
    ];
    let mut table = String::new();
    for reply in answers {
        let world = World::new().await;
        world.tokens_answer([reply]);
        let pushed = world.push().await;
        assert_eq!((world.fetches(), world.sends()), (1, 0), "{pushed:?}");
        table += &format!("{pushed:?}\n");
    }
    expect![[r#"
        Later { reason: "no access token: the token endpoint answered 400 invalid_grant", after: None }
        Later { reason: "no access token: the token endpoint answered 503", after: Some(30s) }
        Later { reason: "no access token: the answer of the token endpoint has none", after: None }
        Later { reason: "no access token: the answer of the token endpoint has none", after: None }
        Later { reason: "no access token: the answer of the token endpoint has none", after: None }
        Later { reason: "no access token: the token endpoint answered 302", after: None }
        Later { reason: "no access token: an answer of more than 65536 bytes", after: None }
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn after_a_failed_fetch_there_is_a_rest() {
    let world = Arc::new(World::new().await);
    world
        .tokens_answer([says(400, json!({ "error": "invalid_grant" })), token_reply("good", 3599)]);
    let pushes: Vec<_> = (0..20)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.push().await })
        })
        .collect();
    for pushed in pushes {
        assert!(matches!(pushed.await.unwrap(), Pushed::Later { .. }));
    }
    assert_eq!((world.fetches(), world.sends()), (1, 0));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.push().await, Pushed::Accepted);
    assert_eq!((world.fetches(), world.sends()), (2, 1));
}

#[tokio::test]
async fn silence_ends_in_time() {
    let patience = Duration::from_millis(200);
    for is_token_silent in [true, false] {
        let world = World::with_timeout(patience).await;
        if is_token_silent {
            world.tokens_answer([Reply::Silence]);
        } else {
            world.sends_answer([Reply::Silence]);
        }
        // Together, not one behind the other.
        let pushes = async { tokio::join!(world.push(), world.push(), world.push()) };
        let (first, second, third) = tokio::time::timeout(patience * 10, pushes).await.unwrap();
        for pushed in [first, second, third] {
            assert!(matches!(pushed, Pushed::Later { after: None, .. }), "{pushed:?}");
        }
    }
}

#[tokio::test]
async fn nobody_there_is_later() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let clock = Arc::new(Hands(AtomicI64::new(MORNING)));
    let pushed = open(&base, Duration::from_secs(5), clock).push(&push()).await;
    assert!(
        matches!(&pushed, Pushed::Later { reason, after: None }
        if reason.starts_with("no access token: ")),
        "{pushed:?}"
    );
}

#[test]
fn a_bad_service_account_is_told_by_its_field() {
    let good = account("https://oauth2.example");
    let with = |field: &str, value: Value| {
        let mut account = good.clone();
        account[field] = value;
        account.to_string()
    };
    let without = |field: &str| {
        let mut account = good.clone();
        account.as_object_mut().unwrap().remove(field);
        account.to_string()
    };
    let damaged = KEY_PEM.replace("MII", "MIJ");
    let ec = KEY_PEM.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let mut table = String::new();
    for json in [
        String::new(),
        "[]".into(),
        format!("{{\"private_key\": \"{}", KEY_PEM.replace('\n', "\\n")),
        without("project_id"),
        with("project_id", json!("../x")),
        with("project_id", json!(7)),
        without("client_email"),
        with("client_email", json!(" ")),
        without("private_key_id"),
        without("private_key"),
        with("private_key", json!([KEY_PEM])),
        with("private_key", json!("secret")),
        with("private_key", json!(damaged)),
        with("private_key", json!(ec)),
        without("token_uri"),
        with("token_uri", json!("http://oauth2.example/token")),
        with("token_uri", json!("token")),
    ] {
        let bad = ServiceAccount::parse(json.as_bytes()).unwrap_err();
        table += &format!("{bad}\n");
        assert!(!format!("{bad:?} {bad}").contains(&KEY_PEM[120..140]), "{bad}");
    }
    expect![[r#"
        the service account is not a JSON object
        the service account is not a JSON object
        the service account is not a JSON object
        the service account's project_id is missing
        the service account's project_id is not a project's name
        the service account's project_id is not a text
        the service account's client_email is missing
        the service account's client_email is empty
        the service account's private_key_id is missing
        the service account's private_key is missing
        the service account's private_key is not a text
        the service account's private_key is not a private key in PKCS#8 PEM
        the service account's private_key is not a key that can sign
        the service account's private_key is not a private key in PKCS#8 PEM
        the service account's token_uri is missing
        the service account's token_uri is not https
        the service account's token_uri is not a URL
    "#]]
    .assert_eq(&table);
    let good = ServiceAccount::parse(good.to_string().as_bytes()).unwrap();
    assert_eq!(good.project_id(), "saldo-tests");
    assert!(!format!("{good:?}").contains("key"), "{good:?}");
}
