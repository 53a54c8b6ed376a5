//! The public APIs: each dialect parses, calls the engine, renders. No SQL, no rules, no state.
//!
//! A dialect is one folder and one line here. All dialects share `extract` (what is done before and
//! after a handler), `wire` (how values are read and written) and `logos`. Upstreams' callbacks come
//! in by `callbacks`.

mod callbacks;
mod extract;
pub mod irecharge;
mod limits;
mod logos;
pub mod rechargely;
mod wire;

use engine::Engine;
use ipnet::IpNet;

/// What the dialects need to know about the place they run in.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How the outside reaches us, without a slash at the end: `https://saldo.example`.
    pub base_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Webhooks may go to this machine: for tests and demos.
    pub webhooks_to_loopback: bool,
}

/// The routes of all dialects and of upstreams' callbacks.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    axum::Router::new()
        .merge(irecharge::router(engine.clone(), settings.clone()))
        .merge(rechargely::router(engine.clone(), settings))
        .merge(callbacks::router(engine))
}
