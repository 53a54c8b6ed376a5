//! The irecharge dialect: the API that resellers call with a key pair, under `/api/billing`.
//!
//! It follows the document in the seed literally; the guide on the pages lists the points that the
//! document leaves open as *Known quirks*. Invariants: keys, address, account, rate and, for what
//! is sold, approval and subscription are checked before a field is read; only
//! [`Engine::purchase`] moves money.

mod authenticate;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
mod idempotency;
mod limits;
mod lists;
mod log;
mod logo;
mod openapi;
mod refusals;
mod routes;
mod wire;

pub use crate::Settings;
pub use events::WebhookEvents;

use crate::extract::describe::{self, Document};
use authenticate::Unrouted;
use axum::response::Response;
use axum::routing::{any, get};
use engine::Engine;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::request::Parts;
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
    let (routes, Document { openapi, .. }) = described(&settings);
    let api = ApiState { engine, settings: Arc::new(settings) };
    routes
        .layer(log::Note(api.clone()))
        .with_state(api)
        .route("/openapi/irecharge.json", get(async move || describe::serve(openapi)))
}

/// The headers about the rate limit for the server's own answers: to a request that is refused once
/// its head was read (CONTRACT A-26). Paths of others get none.
pub fn limit_headers(
    engine: Engine,
    settings: Settings,
) -> impl Fn(Parts) -> BoxFuture<'static, HeaderMap> + Send + Sync {
    let api = ApiState { engine, settings: Arc::new(settings) };
    move |parts| {
        let api = api.clone();
        async move { authenticate::limit_headers(&api, parts).await }.boxed()
    }
}

/// The dialect's OpenAPI document and its errors, for the pages about it.
pub fn document(settings: &Settings) -> Document {
    described(settings).1
}

/// The routes and the document that describes them.
fn described(settings: &Settings) -> (axum::Router<ApiState>, Document) {
    let (api, api_document) = OpenApiRouter::default()
        .routes(routes!(routes::balance))
        .routes(routes!(routes::short_balance))
        .routes(routes!(routes::operators))
        .routes(routes!(routes::recharge))
        .routes(routes!(routes::offers))
        .routes(routes!(routes::buy_offer))
        .routes(routes!(routes::banking))
        .routes(routes!(routes::check_status, routes::post_check_status))
        .routes(routes!(lists::transactions))
        .routes(routes!(lists::statement))
        .routes(routes!(lists::commission))
        .routes(routes!(lists::prices))
        .split_for_parts();
    let (logos, logos_document) =
        OpenApiRouter::default().routes(routes!(logo::logo)).split_for_parts();
    let api = api.method_not_allowed_fallback(method_not_allowed).fallback(route_not_found);
    let document = openapi::document(api_document, logos_document, settings);
    // A nested router does not match its own path with a slash at the end.
    let slash = format!("{BASE}/");
    let routes =
        axum::Router::new().nest(BASE, api).route(&slash, any(route_not_found)).merge(logos);
    (routes, document)
}

async fn route_not_found(unrouted: Unrouted) -> Response {
    unrouted.refuse(&ApiError::route_not_found())
}

async fn method_not_allowed(unrouted: Unrouted) -> Response {
    unrouted.refuse(&ApiError::method_not_allowed())
}
