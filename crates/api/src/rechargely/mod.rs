//! The rechargely face: the API that customers call with a login, under `/api/wallet/v1`.
//!
//! Written to the document in the seed, literally; `openapi` lists what it leaves open as *Known
//! quirks*. Invariant: a token is checked before a field is read, and only an authorised quote
//! moves money.

mod authenticate;
mod headers;
mod limits;
mod openapi;
mod pushes;
mod refusals;
mod routes;
mod wire;

pub use crate::Settings;
pub use pushes::PushTexts;

use crate::extract::describe;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use engine::Engine;
use refusals::ApiError;
use routes::{payments, people, products, wallet};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the API lives.
const BASE: &str = "/api/wallet/v1";
/// What is this face's own, though nothing is served there.
const AROUND: &str = "/api/wallet";

/// What every route needs.
#[derive(Clone)]
struct ApiState {
    engine: Engine,
    settings: Arc<Settings>,
}

/// The API and its OpenAPI document.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    let (routes, document) = described(&settings.base_url);
    let api = ApiState { engine, settings: Arc::new(settings) };
    let serve = get(async move || describe::served(document));
    routes.with_state(api).route("/openapi/rechargely.json", serve)
}

/// The routes and the document that describes them.
fn described(base_url: &str) -> (axum::Router<ApiState>, Bytes) {
    let (people, of_people) = OpenApiRouter::default()
        .routes(routes!(people::authenticate))
        .routes(routes!(people::register))
        .routes(routes!(people::confirm_registration))
        .routes(routes!(people::forgot_password))
        .routes(routes!(people::reset_password))
        .routes(routes!(people::change_password))
        .routes(routes!(people::log_out))
        .split_for_parts();
    let (products, of_products) = OpenApiRouter::default()
        .routes(routes!(products::search))
        .routes(routes!(products::categories))
        .routes(routes!(products::products))
        .routes(routes!(products::providers))
        .split_for_parts();
    let (payments, of_payments) = OpenApiRouter::default()
        .routes(routes!(payments::pre_auth))
        .routes(routes!(payments::auth))
        .routes(routes!(payments::payments))
        .routes(routes!(payments::payment))
        .routes(routes!(payments::resend))
        .split_for_parts();
    let (wallet, of_wallet) = OpenApiRouter::default()
        .routes(routes!(wallet::balances))
        .routes(routes!(wallet::statement))
        .split_for_parts();
    let mut api = of_people;
    for part in [of_products, of_payments, of_wallet] {
        api.merge(part);
    }
    let document = openapi::document(api, base_url);
    // CONTRACT B-01: the document writes payments with `/v1` in front, behind a base that has it.
    let twice = axum::Router::new().nest("/v1", payments.clone());
    let served = people.merge(products).merge(payments).merge(wallet).merge(twice);
    (around(served), document)
}

/// The routes at their place, and this face's own words for all that is missing there.
fn around(served: axum::Router<ApiState>) -> axum::Router<ApiState> {
    let served = served
        .method_not_allowed_fallback(async || refusals::answer(&ApiError::Method).respond())
        .fallback(no_path);
    // A nested router does not see its own path with a slash at the end.
    axum::Router::new()
        .nest(BASE, served)
        .route(&format!("{BASE}/"), any(no_path))
        .route(AROUND, any(no_path))
        .route(&format!("{AROUND}/"), any(no_path))
        .route(&format!("{AROUND}/{{*rest}}"), any(no_path))
}

async fn no_path() -> Response {
    refusals::answer(&ApiError::Path).respond()
}
