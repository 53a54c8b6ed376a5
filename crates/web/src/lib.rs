//! The web pages for people: the landing page and the API reference.
//!
//! Not here: the public APIs (`api`), SQL, business rules. Invariant: no page loads anything from
//! another host.

mod docs;

use engine::Engine;

/// The routes of all pages. `base_url` is the public URL of this server, without a final slash.
pub fn router(engine: Engine, base_url: String) -> axum::Router {
    docs::router(engine, base_url)
}
