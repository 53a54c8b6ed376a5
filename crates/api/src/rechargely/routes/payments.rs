//! Payments: pre-auth (the quote), auth (the charge), status and list.
//!
//! Invariant: pre-auth looks the product up before it validates a field, and moves no money; only
//! auth does, once.

use super::super::authenticate::Authenticated;
use super::super::refusals::ApiError;
use super::super::wire::request::ProductRules;
use super::super::wire::{ids, request, response, status};
use super::{PathText, ok, paged, parse_body};
use crate::extract::body;
use crate::extract::work::record_recipient;
use crate::wire::fields::RawFields;
use crate::wire::json::rfc3339;
use axum::extract::{Path, Request};
use axum::response::Response;
use domain::purchase::CUSTOMER_MOBILE;
use domain::refusal::{PurchaseUnknown, Uncertain};
use domain::{
    Catalog, Product, ProductId, Purchase, ReceiptContext, ReferenceScope, ServiceType,
    State as PurchaseState,
};
use engine::{Caller, DeliveryDetails, Page, PurchaseRequest};
use http::Uri;

/// The scope of the payments' references.
const SCOPE: ReferenceScope = ReferenceScope::Rechargely;
/// A `preAuthToken` is this prefix and the quote's secret.
const TOKEN_PREFIX: &str = "preauth_";

/// Initiate payment (pre-auth)
///
/// Fixes the price for 15 minutes and, where the biller can be asked, finds out whom the bill
/// reference belongs to. Charges nothing and holds nothing. The same request again answers the same
/// `preAuthToken` while the price holds. Also served under `/v1/transactions/…` behind the base.
#[utoipa::path(
    post, path = "/transactions/bill-payment/pre-auth", tag = "Payments", operation_id = "pre_auth",
    request_body = request::PreAuthRequest,
    responses((status = 200, description = "A price that holds.", body = response::PreAuthAnswer)),
)]
pub(crate) async fn pre_auth(authenticated: Authenticated, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let (_, text) = body::read(request).await?;
        let catalog = api.engine.catalog();
        let payment = parse_payment(&catalog, *caller, &RawFields::from_json(&text)?)?;
        record_recipient(&payment.recipient);
        let quote = api.engine.quote(api.engine.permit(caller)?, payment).await?;
        let token = format!("{TOKEN_PREFIX}{}", quote.acceptance);
        ok(&response::PreAuthAnswer::of(&quote.purchase, &token))
    };
    authenticated.respond("pre_auth", work).await
}

/// Authorize payment
///
/// Charges amount and fee, sends the payment and waits up to 20 seconds for the outcome. Not every
/// 200 is a delivery: read `status`. Sent again it answers the payment as it stands, never a second
/// charge. Also served under `/v1/transactions/…` behind the base.
#[utoipa::path(
    post, path = "/transactions/bill-payment/auth", tag = "Payments", operation_id = "auth",
    request_body = request::AuthRequest,
    responses((status = 200, description = "The payment as it stands.",
        body = response::AuthAnswer)),
)]
pub(crate) async fn auth(authenticated: Authenticated, request: Request) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let request::Auth { pre_auth_token, request_id } =
            parse_body(request, request::auth).await?;
        let secret = pre_auth_token.strip_prefix(TOKEN_PREFIX);
        let secret = secret.ok_or(PurchaseUnknown)?;
        let permit = api.engine.permit(caller)?;
        let payment = api.engine.accept(permit, caller, SCOPE, &request_id, secret).await?;
        record_recipient(&payment.recipient);
        // It is charged: no refusal may say that nothing was (CONTRACT B-08).
        let delivery = api.engine.delivery(&payment).await.map_err(|_| Uncertain)?;
        let delivery = delivery_view(&payment, &delivery, &api.engine.catalog());
        ok(&response::AuthAnswer::of(&payment, delivery))
    };
    authenticated.respond("auth", work).await
}

/// List payments
///
/// Added to the document. Your payments, newest first, a page at a time.
#[utoipa::path(
    get, path = "/transactions", tag = "Payments", operation_id = "payments",
    params(request::TransactionsQuery),
    responses((status = 200, description = "A page of payments.", body = response::Transactions)),
)]
pub(crate) async fn payments(authenticated: Authenticated, uri: Uri) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let (request::Page { limit, before }, status) = request::payments(&body::query(&uri))?;
        let states = status.map(status::Status::states).unwrap_or_default();
        let page = Page { before, limit: limit + 1 };
        let found = api.engine.purchases_of(caller, SCOPE, &states, page).await?;
        let (found, next_before) = paged(found, limit, |payment| payment.key.id.number().0);
        let deliveries = api.engine.deliveries(&found).await?;
        let catalog = api.engine.catalog();
        let each = found.iter().zip(&deliveries);
        let transactions = each.map(|(payment, delivery)| transaction(payment, delivery, &catalog));
        ok(&response::Transactions { transactions: transactions.collect(), next_before })
    };
    authenticated.respond("payments", work).await
}

/// Payment status
///
/// Added to the document. A payment as it stands, by your `requestId`. Another customer's answers
/// like one that does not exist.
#[utoipa::path(
    get, path = "/transactions/{requestId}", tag = "Payments", operation_id = "payment",
    params(("requestId" = String, Path, description = "Yours.", min_length = 1, max_length = 128,
        pattern = "^[!-~]([ -~]{0,126}[!-~])?$", example = "R-20260204-0001")),
    responses((status = 200, description = "The payment as it stands.",
        body = response::Transaction)),
)]
pub(crate) async fn payment(authenticated: Authenticated, request_id: PathText) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let Path(request_id) = request_id.map_err(|_| PurchaseUnknown)?;
        let payment = api.engine.purchase_by_reference(caller, SCOPE, &request_id).await?;
        let delivery = api.engine.delivery(&payment).await?;
        ok(&transaction(&payment, &delivery, &api.engine.catalog()))
    };
    authenticated.respond("payment", work).await
}

/// Resend
///
/// Added to the document. Tokens and receipt of a delivered payment once more, without a charge;
/// the customer's devices are told again.
#[utoipa::path(
    post, path = "/transactions/{requestId}/resend", tag = "Payments", operation_id = "resend",
    params(("requestId" = String, Path, description = "Yours.", min_length = 1, max_length = 128,
        pattern = "^[!-~]([ -~]{0,126}[!-~])?$", example = "R-20260204-0001")),
    responses((status = 200, description = "The payment as it stands.",
        body = response::Transaction)),
)]
pub(crate) async fn resend(authenticated: Authenticated, request_id: PathText) -> Response {
    let Authenticated { api, caller, .. } = &authenticated;
    let work = async {
        let Path(request_id) = request_id.map_err(|_| PurchaseUnknown)?;
        let permit = api.engine.permit(caller)?;
        let (payment, delivery) =
            api.engine.delivery_again(permit, caller, SCOPE, &request_id).await?;
        record_recipient(&payment.recipient);
        ok(&transaction(&payment, &delivery, &api.engine.catalog()))
    };
    authenticated.respond("resend", work).await
}

/// Parses the payment of a pre-auth: first the product, then all fields at once.
fn parse_payment(
    catalog: &Catalog,
    caller: Caller,
    fields: &RawFields<'_>,
) -> Result<PurchaseRequest, ApiError> {
    let rules = match request::product_named(fields) {
        Some(number) => {
            Some(product_rules(catalog, number).ok_or_else(ApiError::product_not_found)?)
        }
        None => None,
    };
    let payment = request::pre_auth(fields, rules)?;
    // Never `None` here: without a product `pre_auth` refuses the fields.
    let ProductRules { product, .. } = rules.ok_or_else(ApiError::product_not_found)?;
    let mut details = payment.details;
    details.insert(CUSTOMER_MOBILE.to_owned(), payment.customer_mobile);
    Ok(PurchaseRequest {
        caller,
        scope: SCOPE,
        kind: product.kind,
        operator: product.operator.clone(),
        product: Some(product.name.clone()),
        recipient: payment.bill_reference,
        service_type: ServiceType::Prepaid,
        amount: payment.amount,
        reference: payment.request_id,
        details,
        webhook_url: None,
        digest: Some(payment.digest),
        allow_duplicate: false,
        idempotency: None,
    })
}

fn product_rules(catalog: &Catalog, number: i64) -> Option<ProductRules<'_>> {
    let product = catalog.product(ProductId(number))?;
    let operator = catalog.operator_by_code(&product.operator)?;
    let numbering = &catalog.country_of(operator)?.numbering;
    let is_inactive = !product.is_active || !operator.is_active;
    Some(ProductRules { product, numbering, is_inactive })
}

fn product_of<'c>(payment: &Purchase, catalog: &'c Catalog) -> Option<&'c Product> {
    payment.product.as_deref().and_then(|name| catalog.product_by_name(name))
}

fn transaction<'a>(
    payment: &'a Purchase,
    delivery: &'a DeliveryDetails,
    catalog: &'a Catalog,
) -> response::Transaction<'a> {
    let product = product_of(payment, catalog).map(|product| response::BoughtProduct {
        id: ids::product(product.id.0),
        product_id: product.id.0,
        product_name: &product.title,
    });
    response::Transaction::of(payment, product, delivery_view(payment, delivery, catalog))
}

/// Tokens and receipt of a delivered payment; empty for any other.
fn delivery_view<'a>(
    payment: &Purchase,
    delivery: &'a DeliveryDetails,
    catalog: &Catalog,
) -> response::DeliveryView<'a> {
    if payment.state != PurchaseState::Delivered {
        return response::DeliveryView::default();
    }
    let operator = catalog.operator_by_code(&payment.operator);
    let time = payment.delivered_at.map(rfc3339);
    let slip = delivery.slip.as_ref();
    let beside = ReceiptContext {
        operator: operator.map_or(payment.operator.as_str(), |operator| operator.name.as_str()),
        time: time.as_deref(),
        reference: delivery.reference.as_deref(),
        slip,
    };
    let lines = product_of(payment, catalog).map(|product| product.receipt(payment, &beside));
    let line = |(label, value)| response::ReceiptLine { label, value };
    response::DeliveryView {
        tokens: slip
            .map_or(&[][..], |slip| slip.tokens())
            .iter()
            .map(response::MeterToken::of)
            .collect(),
        receipt: lines.unwrap_or_default().into_iter().map(line).collect(),
    }
}
