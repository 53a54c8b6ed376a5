//! Who may call: key pairs and access tokens.

mod keys;
mod tokens;
