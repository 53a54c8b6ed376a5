//! An HTTP client of both APIs, and what an answer must look like.
//!
//! Invariant: a 5xx fails the test, unless the test allows a 503 with `Retry-After`.

use super::server::{Keys, Server};
use crate::http_client::{Answer, Connection, Lost};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// A normal recharge.
pub const RECHARGE: &str = "/api/billing/service-requests/recharge/normal";
/// An offer's purchase.
pub const OFFER: &str = "/api/billing/recharge/offers/purchase";
/// Mobile banking.
pub const BANKING: &str = "/api/billing/service-requests/banking";
/// Status of a purchase.
pub const STATUS: &str = "/api/billing/transactions/status/check";
/// Balance of the wallet.
pub const BALANCE: &str = "/api/billing/wallet/balance";

/// A persistent connection that sends its keys with each request.
pub struct Client {
    connection: Connection,
    headers: HeaderMap,
}

impl Client {
    pub async fn open(address: &str, keys: &Keys) -> Client {
        Client::try_open(address, keys).await.unwrap()
    }

    pub async fn try_open(address: &str, keys: &Keys) -> Result<Client, Lost> {
        let mut client = Client::try_anonymous(address).await?;
        client.set("x-open-key", &keys.open_key);
        client.set("x-authorization", &keys.secret_key);
        Ok(client)
    }

    /// A connection without keys or token.
    pub async fn anonymous(address: &str) -> Client {
        Client::try_anonymous(address).await.unwrap()
    }

    async fn try_anonymous(address: &str) -> Result<Client, Lost> {
        let connection = Connection::open(address).await?;
        let mut client = Client { connection, headers: HeaderMap::new() };
        client.set("content-type", "application/json");
        Ok(client)
    }

    /// Sends this header from now on; an empty value removes it.
    pub fn set(&mut self, name: &'static str, value: &str) {
        let name = HeaderName::from_static(name);
        if value.is_empty() {
            self.headers.remove(name);
        } else {
            self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }

    pub async fn get(&mut self, target: &str) -> Reply {
        self.send(Method::GET, target, "").await.unwrap()
    }

    pub async fn post(&mut self, target: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, target, body).await.unwrap()
    }

    /// Sends a request; a 5xx fails the test.
    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Lost> {
        let reply = self.try_send(method, target, body).await?;
        assert!(reply.status() < 500, "{target}: {reply:?}");
        Ok(reply)
    }

    /// Sends a request; a 5xx other than a 503 with `Retry-After` fails the test.
    pub async fn try_send(
        &mut self,
        method: Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Lost> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let reply = Reply(self.connection.send(request).await?);
        let is_unavailable = reply.status() == 503 && reply.header("retry-after").is_some();
        assert!(reply.status() < 500 || is_unavailable, "{target}: {reply:?}");
        Ok(reply)
    }

    /// The balance in minor units.
    pub async fn balance(&mut self) -> i64 {
        let reply = self.get(BALANCE).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        minor(&reply.json()["balance"])
    }

    /// The `data` of a status check by reference.
    pub async fn status(&mut self, reference: &str) -> Value {
        let reply = self.get(&format!("{STATUS}?reference={reference}")).await;
        assert_eq!(reply.status(), 200, "{reference}: {reply:?}");
        reply.json()["data"].take()
    }

    /// Polls a purchase until it has this status.
    pub async fn becomes(&mut self, reference: &str, status: &str, within: Duration) -> Value {
        let started = Instant::now();
        loop {
            let data = self.status(reference).await;
            if data["status"] == status {
                return data;
            }
            assert!(started.elapsed() < within, "{reference} is not {status}: {data}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Reply(pub Answer);

impl Reply {
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A refusal with this status and code, in the documented form.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.json()["code"], code, "{self:?}");
        self.assert_error_body();
    }

    /// The four documented fields of every error.
    #[track_caller]
    pub fn assert_error_body(&self) {
        let body = self.json();
        assert_eq!(body["success"], false, "{self:?}");
        for field in ["message", "error", "code"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:?}");
        }
    }
}

/// One request on a new connection with the sandbox keys, with any answer.
pub async fn send_once(server: &Server, method: Method, target: &str, body: String) -> Answer {
    let keys = &server.credentials.merchant.sandbox;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("x-open-key", &keys.open_key)
        .header("x-authorization", &keys.secret_key)
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap();
    Connection::open(&server.address).await.unwrap().send(request).await.unwrap()
}

/// A normal recharge's body.
pub fn recharge(number: &str, amount: u32, reference: &str) -> String {
    format!(
        r#"{{"number":"{number}","amount":{amount},"operator":"gp","reference":"{reference}"}}"#
    )
}

/// An amount on the wire, in minor units: `"7000.00"`, `6989.5`, `68`.
#[track_caller]
pub fn minor(value: &Value) -> i64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
}
