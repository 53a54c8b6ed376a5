//! The credentials file of the demo: everything that a newcomer or a test needs to log in.
//!
//! Its fields are read by the tests of the whole binary and by scripts.

use serde::{Deserialize, Serialize};

/// All logins and keys of the demo. No other file has its passwords and secret keys.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) base_url: String,
    pub(crate) merchant: MerchantCredentials,
    pub(crate) customer: CustomerCredentials,
    pub(crate) staff: Vec<StaffCredentials>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MerchantCredentials {
    pub(crate) account: i64,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) sandbox: KeyCredentials,
    pub(crate) live: KeyCredentials,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeyCredentials {
    pub(crate) key: i64,
    pub(crate) open_key: String,
    pub(crate) secret_key: String,
    pub(crate) webhook_secret: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CustomerCredentials {
    pub(crate) account: i64,
    pub(crate) username: String,
    pub(crate) password: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StaffCredentials {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) role: String,
}
