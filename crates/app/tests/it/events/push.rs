//! Pushes to customers' phones, sent to a local service that implements FCM's HTTP v1 API.

use crate::support::{Consumer, Folder};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

const SERVICE_ACCOUNT_KEY: &str = include_str!("../../../../connectors/src/push/fcm/test-key.pem");

/// The messages that the service received, and how many access tokens it issued.
#[derive(Default)]
struct PushService {
    messages: Mutex<Vec<Value>>,
    tokens: Mutex<u32>,
}

impl PushService {
    /// Push token, request and status of each message so far, sorted.
    fn received(&self) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |m: &Value| {
            let (token, data) = (text(&m["token"]), &m["data"]);
            format!("{token} {} {}", text(&data["requestId"]), text(&data["status"]))
        };
        let mut received: Vec<String> = messages.iter().map(line).collect();
        received.sort();
        received
    }

    /// Waits for so many messages.
    async fn receives(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        while self.received().len() < count {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.received());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.received()
    }
}

async fn access(State(service): State<Arc<PushService>>) -> Json<Value> {
    *service.tokens.lock().unwrap() += 1;
    Json(json!({"access_token": "ya29.test", "expires_in": 3600, "token_type": "Bearer"}))
}

async fn send(
    State(service): State<Arc<PushService>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let message = body["message"].clone();
    let is_gone = message["token"] == "phone-gone";
    service.messages.lock().unwrap().push(message);
    if !is_gone {
        return (StatusCode::OK, Json(json!({"name": "projects/demo/messages/1"})));
    }
    let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    let details = json!([{"@type": kind, "errorCode": "UNREGISTERED"}]);
    let error = json!({"code": 404, "message": "gone", "status": "NOT_FOUND", "details": details});
    (StatusCode::NOT_FOUND, Json(json!({"error": error})))
}

/// A push service on a free port, and the settings that name it.
async fn start_service(folder: &Folder) -> (Arc<PushService>, String) {
    let service = Arc::new(PushService::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/token", post(access))
        .route("/v1/projects/demo/messages:send", post(send))
        .with_state(service.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let key = SERVICE_ACCOUNT_KEY.find("-----BEGIN").map(|at| &SERVICE_ACCOUNT_KEY[at..]);
    let account = json!({
        "type": "service_account", "project_id": "demo", "private_key_id": "1",
        "private_key": key, "client_email": "saldo@demo.example",
        "token_uri": format!("{base}/token"),
    });
    let (file, settings) = (folder.path("account.json"), folder.path("saldo.toml"));
    std::fs::write(&file, account.to_string()).unwrap();
    let lines =
        format!("fcm_service_account = \"{}\"\nfcm_api_base = \"{base}\"\n", file.display());
    std::fs::write(&settings, lines).unwrap();
    (service, settings.display().to_string())
}

#[tokio::test]
async fn phones_receive_the_final_status_of_purchases() {
    let folder = Folder::new();
    let (service, settings) = start_service(&folder).await;
    let server = folder.start_with(&["--config", &settings, "--requests-per-minute", "1000000"]);
    Consumer::log_in(&server, "sandbox", "phone-gone").await;
    let mut consumer = Consumer::log_in(&server, "sandbox", "phone-one").await;
    let bought = consumer.buy(21, "10", "41234563101", "REQ-1").await;
    assert_eq!(bought["status"], "COMPLETED", "{bought}");
    let received = service.receives(2).await;
    assert_eq!(received, ["phone-gone REQ-1 COMPLETED", "phone-one REQ-1 COMPLETED"]);
    // The electricity token is worth money: the app shows it, the locked screen does not.
    let token = bought["tokens"][2]["token"].as_str().unwrap();
    for message in service.messages.lock().unwrap().iter() {
        assert!(!message.to_string().contains(&token[..8]), "{message}");
        assert!(!message["notification"]["title"].as_str().unwrap().is_empty());
    }
    // The unregistered device is deleted by now, or receives one more push first.
    let failed = consumer.buy(21, "10", "41234563102", "REQ-2").await;
    assert_eq!(failed["status"], "FAILED", "{failed}");
    let received = service.receives(3).await;
    assert!(received.contains(&"phone-one REQ-2 FAILED".to_owned()), "{received:?}");
    assert_eq!(*service.tokens.lock().unwrap(), 1, "one access token serves many pushes");
    server.stop();
    folder.verify();
}
