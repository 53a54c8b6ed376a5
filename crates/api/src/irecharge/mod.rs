//! The irecharge dialect: the API that resellers call with a key pair, under `/api/billing`.
//!
//! It follows the document in the seed literally; `openapi` lists the points that the document
//! leaves open as *Known quirks*. Invariant: keys, address, account, rate and subscription are
//! checked before a field is read, and only [`Engine::purchase`] moves money.

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

use crate::extract::answer::Answer;
use crate::extract::describe;
use axum::routing::{any, get};
use bytes::Bytes;
use engine::Engine;
use refusals::ApiError;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The path of the API.
const BASE: &str = "/api/billing";

/// The state of every route.
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
        .route("/openapi/irecharge.json", get(async move || describe::serve(document)))
}

/// The routes and the document that describes them.
fn described(base_url: &str) -> (axum::Router<ApiState>, Bytes) {
    let (api, api_document) = OpenApiRouter::default()
        .routes(routes!(routes::balance))
        .routes(routes!(routes::short_balance))
        .routes(routes!(routes::operators))
        .routes(routes!(routes::recharge))
        .routes(routes!(routes::offers))
        .routes(routes!(routes::buy_offer))
        .routes(routes!(routes::banking))
        .routes(routes!(routes::check_status, routes::post_check_status))
        .split_for_parts();
    let (logos, logos_document) =
        OpenApiRouter::default().routes(routes!(logo::logo)).split_for_parts();
    let api = api
        .method_not_allowed_fallback(async || refusals::answer(&ApiError::method_not_allowed()))
        .fallback(route_not_found);
    let document = openapi::document(api_document, logos_document, base_url);
    // A nested router does not match its own path with a slash at the end.
    let slash = format!("{BASE}/");
    let routes =
        axum::Router::new().nest(BASE, api).route(&slash, any(route_not_found)).merge(logos);
    (routes, document)
}

async fn route_not_found() -> Answer {
    refusals::answer(&ApiError::route_not_found())
}
