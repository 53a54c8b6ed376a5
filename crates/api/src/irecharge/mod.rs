//! The irecharge face: the API that resellers call with a key pair, under `/api/billing`.
//!
//! Written to the document in the seed, literally; `openapi` lists what it leaves open as *Known
//! quirks*. Invariant: keys, address, account, rate and subscription are checked before a field is
//! read, and nothing but [`Engine::purchase`] moves money.

mod authenticate;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
mod idempotency;
mod limits;
mod logo;
mod openapi;
mod refusals;
mod routes;
mod wire;

pub use crate::Settings;
pub use events::WebhookEvents;

use crate::extract::describe;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use engine::Engine;
use refusals::ApiError;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the API lives.
const BASE: &str = "/api/billing";

/// What every route needs.
#[derive(Clone)]
struct ApiState {
    engine: Engine,
    settings: Arc<Settings>,
}

/// The API, its operators' logos and its OpenAPI document.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    let (routes, document) = described(&settings.base_url);
    let api = ApiState { engine, settings: Arc::new(settings) };
    routes
        .with_state(api)
        .route("/openapi/irecharge.json", get(async move || describe::served(document)))
}

/// The routes and the document that describes them.
fn described(base_url: &str) -> (axum::Router<ApiState>, Bytes) {
    let (api, of_api) = OpenApiRouter::default()
        .routes(routes!(routes::balance))
        .routes(routes!(routes::short_balance))
        .routes(routes!(routes::operators))
        .routes(routes!(routes::recharge))
        .routes(routes!(routes::offers))
        .routes(routes!(routes::buy_offer))
        .routes(routes!(routes::banking))
        .routes(routes!(routes::check_status, routes::post_check_status))
        .split_for_parts();
    let (logos, of_logos) = OpenApiRouter::default().routes(routes!(logo::logo)).split_for_parts();
    let api = api
        .method_not_allowed_fallback(async || refusals::answer(&ApiError::Method).respond())
        .fallback(no_path);
    let document = openapi::document(of_api, of_logos, base_url);
    // A nested router does not see its own path with a slash at the end.
    let slash = format!("{BASE}/");
    let routes = axum::Router::new().nest(BASE, api).route(&slash, any(no_path)).merge(logos);
    (routes, document)
}

async fn no_path() -> Response {
    refusals::answer(&ApiError::Path).respond()
}
