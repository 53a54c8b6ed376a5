//! A customer who is logged in: what tests of the rechargely face share.

use crate::harness::{Client, Server};
use serde_json::{Value, json};

/// Where the face is.
pub const WALLET_API: &str = "/api/wallet/v1";

/// The demo's customer with an access token.
pub struct Consumer {
    pub client: Client,
    pub token: String,
}

impl Consumer {
    /// Logs in on a phone (none: an empty push token).
    pub async fn log_in(server: &Server, environment: &str, phone: &str) -> Consumer {
        let customer = &server.credentials.customer;
        let ask = json!({
            "username": customer["username"], "password": customer["password"],
            "fcmToken": phone, "environment": environment,
        });
        let mut client = stranger(server).await;
        let path = format!("{WALLET_API}/authenticate/customers");
        let reply = client.post(&path, ask.to_string()).await;
        assert_eq!(reply.status(), 200, "{}", reply.json());
        let token = reply.json()["accessToken"].as_str().unwrap().to_owned();
        client.set("authorization", &format!("Bearer {token}"));
        Consumer { client, token }
    }

    /// Asks for a price.
    pub async fn quote(&mut self, product: u32, amount: &str, bill: &str, request: &str) -> Value {
        let ask = json!({
            "amount": amount, "productId": product, "requestId": request, "billReference": bill,
            "customerMobile": "0771234567", "additionalData": {},
        });
        let path = format!("{WALLET_API}/v1/transactions/bill-payment/pre-auth");
        self.client.post(&path, ask.to_string()).await.json()
    }

    /// Asks for a price and accepts it.
    pub async fn buy(&mut self, product: u32, amount: &str, bill: &str, request: &str) -> Value {
        let quote = self.quote(product, amount, bill, request).await;
        let accept = json!({ "preAuthToken": quote["preAuthToken"], "requestId": request });
        let path = format!("{WALLET_API}/v1/transactions/bill-payment/auth");
        self.client.post(&path, accept.to_string()).await.json()
    }
}

/// A connection without keys or token.
pub async fn stranger(server: &Server) -> Client {
    Client::stranger(&server.address).await
}
