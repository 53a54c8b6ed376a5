//! Receives Saldo's webhooks, and believes only what Saldo has signed.
//!
//! ```sh
//! cargo add axum@0.8 serde_json@1 standardwebhooks@1 && cargo add tokio@1 --features full
//! WEBHOOK_SECRET=whsec_... PORT=9000 cargo run
//! ```

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;
use std::collections::HashSet;
use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

const BODY_BYTES_MAX: usize = 64 * 1024;

struct Receiver {
    webhook: Webhook,
    /// Better a unique column, written in the same commit as what the event changes.
    seen: Mutex<HashSet<String>>,
}

/// Takes the body's bytes as they came: what is parsed and printed again has another signature.
async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return StatusCode::BAD_REQUEST;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    // An event may come twice; its id tells.
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    if receiver.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        // A test tells of no purchase.
        let purchase = &event["transaction"];
        let words = [&event["event"], &purchase["reference"], &purchase["status"]].map(text);
        let _ = writeln!(std::io::stdout(), "{}", words.join(" "));
    }
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let webhook = Webhook::new(&std::env::var("WEBHOOK_SECRET")?)?;
    let receiver = Arc::new(Receiver { webhook, seen: Mutex::default() });
    let router = Router::new()
        .route("/", post(receive))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(receiver);
    let port: u16 = std::env::var("PORT")?.parse()?;
    axum::serve(TcpListener::bind(("127.0.0.1", port)).await?, router).await?;
    Ok(())
}
