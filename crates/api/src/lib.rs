//! The public APIs: each dialect parses, calls the engine, renders. No SQL, no rules, no state.
//!
//! A dialect is one folder and one line here. The dialects share `extract` (what is done before
//! and after a handler), `wire` (how values are parsed and rendered) and `logos`. `callbacks`
//! receives the callbacks of upstreams.

mod callbacks;
mod extract;
pub mod irecharge;
mod limits;
mod logos;
pub mod rechargely;
mod wire;

pub use extract::describe::{Document, DocumentedError};

use engine::Engine;
use ipnet::IpNet;

/// What the dialects need to know about their deployment.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The public base URL, without a slash at the end: `https://saldo.example`.
    pub base_url: String,
    /// Proxies that are trusted to say whom they forward.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Whether webhooks may go to loopback addresses: for tests and demos.
    pub webhooks_to_loopback: bool,
    /// Origins whose pages may call the wallet API from a browser: `https://shop.example`.
    pub wallet_origins: Vec<String>,
    /// What the server answers before a dialect sees a request, for the documents.
    pub server_errors: Vec<DocumentedError>,
}

/// The header from which the client's address is read behind a trusted proxy; the other one is
/// ignored, because a client may have written it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 203.0.113.7`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=203.0.113.7` (RFC 7239).
    Forwarded,
}

/// The client's address of a request that may have passed proxies.
pub fn client_address(parts: &http::request::Parts, settings: &Settings) -> std::net::IpAddr {
    extract::address::of_client(parts, settings)
}

/// The routes of all dialects and of upstreams' callbacks.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    axum::Router::new()
        .merge(irecharge::router(engine.clone(), settings.clone()))
        .merge(rechargely::router(engine.clone(), settings.clone()))
        .merge(callbacks::router(engine, settings.into()))
}
