//! A customer with a session: what tests of the rechargely dialect share.

use super::client::Client;
use super::server::Server;
use serde_json::{Value, json};

/// Path prefix of the dialect.
pub const WALLET_API: &str = "/api/wallet/v1";

/// The demo's customer with an access token.
pub struct Consumer {
    pub client: Client,
    pub token: String,
}

impl Consumer {
    /// Logs in on the phone with this push token; empty: no pushes.
    pub async fn log_in(server: &Server, environment: &str, phone: &str) -> Consumer {
        let customer = &server.credentials.customer;
        let body = json!({
            "username": customer["username"], "password": customer["password"],
            "fcmToken": phone, "environment": environment,
        });
        let mut client = anonymous(server).await;
        let path = format!("{WALLET_API}/authenticate/customers");
        let reply = client.post(&path, body.to_string()).await;
        assert_eq!(reply.status(), 200, "{}", reply.json());
        let token = reply.json()["accessToken"].as_str().unwrap().to_owned();
        client.set("authorization", &format!("Bearer {token}"));
        Consumer { client, token }
    }

    /// Asks for a price.
    pub async fn quote(&mut self, product: u32, amount: &str, bill: &str, request: &str) -> Value {
        let body = json!({
            "amount": amount, "productId": product, "requestId": request, "billReference": bill,
            "customerMobile": "0771234567", "additionalData": {},
        });
        let path = format!("{WALLET_API}/v1/transactions/bill-payment/pre-auth");
        self.client.post(&path, body.to_string()).await.json()
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
pub async fn anonymous(server: &Server) -> Client {
    Client::anonymous(&server.address).await
}
