//! The rechargely dialect: the API that customers call with a login, under `/api/wallet/v1`.
//!
//! It follows the document in the seed literally; the guide on the pages lists the points that the
//! document leaves open as *Known quirks*. Invariant: a token is checked before a field is read,
//! and only an authorised quote moves money.

mod authenticate;
mod headers;
mod limits;
mod openapi;
mod origins;
mod pushes;
mod refusals;
mod routes;
mod wire;

pub use crate::Settings;
pub use pushes::PushTexts;

use crate::extract::answer::Answer;
use crate::extract::describe::{self, Document};
use axum::routing::{any, get};
use engine::Engine;
use refusals::ApiError;
use routes::{payments, people, products, wallet};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The path of the API.
const BASE: &str = "/api/wallet/v1";
/// Paths below this one belong to the dialect too: they get its errors, not a page.
const PARENT: &str = "/api/wallet";

/// The state of every route.
#[derive(Clone)]
struct ApiState {
    engine: Engine,
    settings: Arc<Settings>,
}

/// The API and its OpenAPI document.
pub fn router(engine: Engine, settings: Settings) -> axum::Router {
    let (routes, Document { openapi, .. }) = described(&settings);
    let api = ApiState { engine, settings: Arc::new(settings) };
    let serve = get(async move || describe::serve(openapi));
    routes.with_state(api).route("/openapi/rechargely.json", serve)
}

/// The dialect's OpenAPI document and its errors, for the pages about it.
pub fn document(settings: &Settings) -> Document {
    described(settings).1
}

/// The routes and the document that describes them.
fn described(settings: &Settings) -> (axum::Router<ApiState>, Document) {
    let (others, mut document) = OpenApiRouter::default()
        .routes(routes!(people::authenticate))
        .routes(routes!(people::register))
        .routes(routes!(people::confirm_registration))
        .routes(routes!(people::forgot_password))
        .routes(routes!(people::reset_password))
        .routes(routes!(people::change_password))
        .routes(routes!(people::log_out))
        .routes(routes!(products::search))
        .routes(routes!(products::categories))
        .routes(routes!(products::products))
        .routes(routes!(products::providers))
        .routes(routes!(wallet::balances))
        .routes(routes!(wallet::statement))
        .split_for_parts();
    let (payments, payments_document) = OpenApiRouter::default()
        .routes(routes!(payments::pre_auth))
        .routes(routes!(payments::auth))
        .routes(routes!(payments::payments))
        .routes(routes!(payments::payment))
        .routes(routes!(payments::resend))
        .split_for_parts();
    document.merge(payments_document);
    let document = openapi::document(document, settings);
    // CONTRACT B-01: the document's base path ends with `/v1`, and its payment paths begin with it.
    let twice = axum::Router::new().nest("/v1", payments.clone());
    let routes = others.merge(payments).merge(twice);
    (below_parent(routes, settings), document)
}

/// The routes at their path; any other path below [`PARENT`] gets an error of this dialect.
fn below_parent(routes: axum::Router<ApiState>, settings: &Settings) -> axum::Router<ApiState> {
    let routes = routes
        .method_not_allowed_fallback(async || refusals::answer(&ApiError::method_not_allowed()))
        .fallback(route_not_found);
    let routes = origins::allow(routes, &settings.wallet_origins);
    // A nested router does not match its own path with a slash at the end.
    axum::Router::new()
        .nest(BASE, routes)
        .route(&format!("{BASE}/"), any(route_not_found))
        .route(PARENT, any(route_not_found))
        .route(&format!("{PARENT}/"), any(route_not_found))
        .route(&format!("{PARENT}/{{*rest}}"), any(route_not_found))
}

async fn route_not_found() -> Answer {
    refusals::answer(&ApiError::route_not_found())
}
