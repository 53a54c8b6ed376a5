//! The pages that people see: for now the landing page and the API reference.
//!
//! Not here: the public APIs (`api`), SQL, rules. Invariant: no page asks another host for anything.

mod docs;

use engine::Engine;

/// All pages. `base_url`: how the outside reaches us, without a slash at the end.
pub fn router(engine: Engine, base_url: String) -> axum::Router {
    docs::router(engine, base_url)
}
