//! The credentials file of the demo: everything a newcomer or a test needs to log in.

use serde::{Deserialize, Serialize};

/// What the demo made; its secrets are nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) base_url: String,
    pub(crate) merchant: Merchant,
    pub(crate) customer: Customer,
    pub(crate) staff: Vec<Staff>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) account: i64,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) sandbox: KeyCredentials,
    pub(crate) live: KeyCredentials,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyCredentials {
    pub(crate) key: i64,
    pub(crate) open_key: String,
    pub(crate) secret_key: String,
    pub(crate) webhook_secret: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) account: i64,
    pub(crate) username: String,
    pub(crate) password: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Staff {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) role: String,
}
