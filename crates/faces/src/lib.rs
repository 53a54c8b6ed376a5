//! The ways in: each face parses, calls the engine, renders. No SQL, no rules, no state.
//!
//! A face is one folder and one line here. All faces share `edge` (the edge of HTTP), `door` (what
//! is done before and after a dialect has its say), `wire` (how values are read and written) and
//! `logos`.

mod callbacks;
pub mod docs;
mod door;
pub mod edge;
pub mod irecharge;
mod limits;
mod logos;
pub mod rechargely;
mod wire;

use engine::Engine;
use ipnet::IpNet;

/// What the faces are told about the place they run in.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How the outside reaches us, without a slash at the end: `https://saldo.example`.
    pub base_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Webhooks may go to this machine: for tests and demos.
    pub webhooks_to_loopback: bool,
}

/// All faces.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    axum::Router::new()
        .merge(irecharge::router(engine.clone(), settings.clone()))
        .merge(rechargely::router(engine.clone(), settings.clone()))
        .merge(docs::router(engine.clone(), settings))
        .merge(callbacks::router(engine))
        .fallback(nothing_here)
}

/// A path of no face.
async fn nothing_here() -> (http::StatusCode, &'static str) {
    (
        http::StatusCode::NOT_FOUND,
        "Nothing is served here. The APIs are under /api/billing and /api/wallet/v1, their reference at /docs.\n",
    )
}
